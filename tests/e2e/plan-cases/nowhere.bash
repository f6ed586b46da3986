# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Not enough anywhere.
given() {
	nodes "$P5" 1
	nodes "$G6" 2
}
COUNT=5
