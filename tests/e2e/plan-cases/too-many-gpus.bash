# shellcheck shell=bash disable=SC2034 # read by plan.bats
# No node of the first pool could ever hold one.
given() {
	nodes "$P5" 2 --gpus 4
	nodes "$G6" 2
}
COUNT=1
SPEC='instanceProvisionTimeoutSeconds: 10'
