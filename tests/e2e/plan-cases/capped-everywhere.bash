# shellcheck shell=bash disable=SC2034 # read by plan.bats
# All pools together may have less than is wanted.
given() {
	nodes "$P5" 2
	nodes "$G6" 3
}
COUNT=4
POOLS="
- {instanceType: $P5, priority: 1, maxInstanceCount: 1}
- {instanceType: $G6, priority: 2, maxInstanceCount: 2}"
