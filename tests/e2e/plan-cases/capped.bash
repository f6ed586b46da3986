# shellcheck shell=bash disable=SC2034 # read by plan.bats
# The first pool may not have more: nothing is short.
given() {
	nodes "$P5" 3
	nodes "$G6" 3
}
COUNT=3
POOLS="
- {instanceType: $P5, priority: 1, maxInstanceCount: 1}
- {instanceType: $G6, priority: 2}"
