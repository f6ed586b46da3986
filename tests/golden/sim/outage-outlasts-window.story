# The API server is away while the instances bind and get Ready. When it is back the write path is there before the watches
# are, and the window has passed by then: nothing may be lowered by what was true before the outage.
seed 393
operators 1
nodes fixed
type g6 gpus=4 nodes=1 boot=30s load=5s
endpoint b count=2 gpus=4 window=7s retry=29s max-retry=29s startup=60s
pool b g6 priority=1
4 down for 19s
heal 34
