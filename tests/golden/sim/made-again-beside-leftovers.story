# An endpoint is deleted and made again under its name while instances of the first are still there, on a node that is gone:
# they are not taken for its own.
seed 1071
operators 1
nodes fixed
type p5 gpus=2 nodes=1 boot=30s load=5s
type g6 gpus=1 nodes=1 boot=30s load=5s
type g5 gpus=1 nodes=3 boot=30s load=5s
endpoint a count=2 gpus=1 window=103s retry=50s max-retry=50s startup=60s
pool a p5 priority=1
pool a g6 priority=2
163 delete-node p5 0
164 delete a
167 create a
heal 197
