# shellcheck shell=bash disable=SC2034 # read by plan.bats
# The Model of the first pool is not there.
given() {
	nodes "$P5" 2
	nodes "$G6" 2
}
COUNT=2
POOLS="
- {instanceType: $P5, priority: 1, modelNameOverride: there-is-none}
- {instanceType: $G6, priority: 2}"
