# An update where more is wanted than the pools may have has to end all the same. Before, the older instances served on for the
# rest, and went never.
seed 5027
operators 1
nodes fixed
type g6 gpus=4 nodes=2 boot=30s load=5s
endpoint a count=0 gpus=1 window=19s retry=54s max-retry=54s startup=60s
pool a g6 priority=1 max=3
62 scale a 6
330 edit-model a
heal 360
