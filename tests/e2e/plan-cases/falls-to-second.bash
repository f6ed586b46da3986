# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Two of the first choice, the rest goes down; then less is wanted.
given() {
	nodes "$P5" 2
	nodes "$G6" 4
}
COUNT=5
THEN_COUNT=3
