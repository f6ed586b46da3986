# A changed template while the best pool, full of older instances, is in BackOff: each makes room for a new one. Before, the fleet
# went to the pool below while the pause lasted, and stayed there.
seed 1
operators 1
nodes fixed
type p5 gpus=1 nodes=4 boot=30s load=5s
type g6 gpus=1 nodes=8 boot=30s load=5s
endpoint a count=6 gpus=1 window=60s retry=300s max-retry=300s startup=60s
pool a p5 priority=1
pool a g6 priority=2
130 edit-model a
heal 200
