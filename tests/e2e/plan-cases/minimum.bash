# shellcheck shell=bash disable=SC2034 # read by plan.bats
# The second pool has its minimum first, and no more than that of nodes.
given() {
	nodes "$P5" 2
	nodes "$G6" 1
}
COUNT=4
POOLS="
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2, minInstanceCount: 1}"
