# The pool's last older instance ends while the pool is in BackOff because it was full of these: there is nothing to wait for any
# more. Seed 6643 of a simulator that did not know this.
seed 6643
operators 1
nodes fixed
type p5 gpus=4 nodes=1 boot=30s load=5s
type g6 gpus=4 nodes=1 boot=30s load=5s
endpoint a count=2 gpus=1 window=22s retry=20s max-retry=20s startup=60s
pool a p5 priority=1
endpoint b count=2 gpus=4 window=0s retry=51s max-retry=51s startup=60s
pool b g6 priority=1
617 edit-model b
618.348 end-instance b 0
heal 648
