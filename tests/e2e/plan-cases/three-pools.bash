# shellcheck shell=bash disable=SC2034 # read by plan.bats
given() {
	nodes "$P5" 1
	nodes "$G6" 2
	nodes "$G5" 4
}
COUNT=5
POOLS="
- {instanceType: $G5, priority: 30}
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 7}"
