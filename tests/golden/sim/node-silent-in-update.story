# A node falls silent in the middle of an update that has no room to spare, and the view of the pods is late: what serves
# goes on to serve, and in the end all are of the new template.
seed 2
nodes fixed
type p5 gpus=2 nodes=2 boot=30s load=8s
type g6 gpus=2 nodes=1 boot=30s load=8s
endpoint a count=4 gpus=1 window=20s retry=30s max-retry=60s startup=60s rebalance=Active on-failure=Lend
pool a p5 priority=1
pool a g6 priority=2
60 edit-model a
70 silence-node p5 0 for 120s
75 fail-watch pods late for 20s
100 edit-model a
heal 240
