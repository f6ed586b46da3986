# Four wait and two are promised a node. The ReplicaSet controller picks whom a lower count ends: not the two.
seed 1206
operators 1
nodes karpenter
type p5 gpus=4 nodes=3 stock=5 boot=30s load=5s
type g6 gpus=4 nodes=0 stock=1 boot=30s load=5s
endpoint a count=4 gpus=4 window=99s retry=38s max-retry=38s startup=60s
pool a g6 priority=1
pool a p5 priority=2
endpoint c count=3 gpus=1 window=47s retry=53s max-retry=53s startup=60s
pool c p5 priority=1
heal 60
