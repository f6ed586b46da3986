# The mark that takes the protection off is answered with a conflict, as when others write at the same time: it is tried again,
# though nothing else happens that would bring the endpoint up.
seed 40387
operators 1
nodes fixed
type p5 gpus=1 nodes=1 boot=30s load=5s
endpoint a count=1 gpus=1 window=106s retry=137s max-retry=137s startup=60s
pool a p5 priority=1
86 fail-writes refused 10
99.683 fail-writes conflict 5
100 end-instance a 0
heal 130
