# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Somebody else's pods have one node and a part of another; then more is wanted than there is.
given() {
	nodes "$P5" 3
	nodes "$G6" 1
	stranger "$P5" 8
	stranger "$P5" 3
}
GPUS=4
COUNT=4
THEN_COUNT=7
