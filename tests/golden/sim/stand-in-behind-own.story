# In an update the new instance does not start, and its stand-in waits behind an older one in a pool that has no room: it waits,
# and is not asked for and cancelled in turns.
seed 72416
operators 1
nodes fixed
type p5 gpus=1 nodes=1 boot=30s load=5s
type g6 gpus=1 nodes=3 boot=30s load=5s
endpoint a count=4 gpus=1 window=16s retry=37s max-retry=37s startup=60s on-failure=Lend
pool a p5 priority=1
pool a g6 priority=2
115 fail-starts g6 unready for 12s
115 edit-model a
heal 561.075
