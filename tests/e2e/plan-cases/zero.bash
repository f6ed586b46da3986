# shellcheck shell=bash disable=SC2034 # read by plan.bats
# None is wanted; then two.
given() {
	nodes "$P5" 1
	nodes "$G6" 1
}
COUNT=0
THEN_COUNT=2
