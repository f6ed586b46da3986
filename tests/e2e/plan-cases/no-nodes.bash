# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Nobody has such nodes.
given() {
	nodes "$G5" 1
}
COUNT=2
