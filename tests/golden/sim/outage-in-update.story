# The same in an update, with nodes that are provided: what became Ready during the outage serves on.
seed 651
operators 1
nodes cluster-autoscaler
type p5 gpus=1 nodes=0 stock=4 boot=30s load=5s
type g5 gpus=1 nodes=1 stock=4 boot=30s load=5s
endpoint a count=2 gpus=1 window=19s retry=31s max-retry=31s startup=60s
pool a p5 priority=1
50 scale a 5
76 down for 38s
80 edit-model a
heal 110
