# Active: the best pool has no room and is tried again and again, the second best has some. It is tried, too.
seed 366
operators 1
nodes fixed
type p5 gpus=1 nodes=1 boot=30s load=5s
type g6 gpus=1 nodes=0 boot=30s load=5s
type g5 gpus=1 nodes=1 boot=30s load=5s
endpoint a count=1 gpus=1 window=0s retry=33s max-retry=33s startup=60s rebalance=Active
pool a p5 priority=1
pool a g6 priority=2
pool a g5 priority=3
199 turn-pools a 1
heal 229
