# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Enough of the first choice.
given() {
	nodes "$P5" 2
	nodes "$G6" 1
}
COUNT=2
