# In the middle of an update the API server is away, and what it has missed comes late: no instance goes that turned Ready
# meanwhile.
seed 21259
operators 1
nodes fixed
type p5 gpus=1 nodes=2 boot=30s load=5s
type g6 gpus=1 nodes=3 boot=30s load=15s
endpoint a count=1 gpus=1 window=0s retry=118s max-retry=118s startup=60s
pool a p5 priority=1
pool a g6 priority=2
endpoint b count=1 gpus=1 window=0s retry=48s max-retry=48s startup=60s
pool b g6 priority=1
pool b p5 priority=2
20 scale b 0
32.55 create a
33 fail-watch deployments twice
33 fail-writes lost 3
85 scale a 5
86.645 down for 22s
87 cap b 0
95 turn-pools b 1
95 edit-model a
97 delete-node g6 0
heal 127
