# The leader dies right when it has asked the fallback for what the best pool has no room for, before and after other writes,
# and is back before anybody else may lead. Then it is stopped for longer than its lease, and the other one leads. Nothing is
# asked twice.
seed 1
operators 2
nodes fixed
type p5 gpus=2 nodes=1 boot=30s load=5s
type g6 gpus=2 nodes=3 boot=30s load=5s
endpoint a count=2 gpus=1 window=30s retry=60s max-retry=120s startup=60s on-failure=Lend
pool a p5 priority=1
pool a g6 priority=2
60 scale a 6
60.5 crash-at during 1
90 crash-at before 0
90.5 scale a 5
120 crash-at after 0
120.5 scale a 6
140 freeze 0 for 40s
141 scale a 3
heal 200
