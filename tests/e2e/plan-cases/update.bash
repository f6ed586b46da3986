# shellcheck shell=bash disable=SC2034 # read by plan.bats
# A changed template on full nodes: the fleet ends where it was.
given() {
	nodes "$P5" 2
	nodes "$G6" 1
}
COUNT=2
THEN_ARGUMENT=--slow
