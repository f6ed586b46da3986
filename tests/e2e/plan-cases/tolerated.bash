# shellcheck shell=bash disable=SC2034 # read by plan.bats
# The pool's own toleration, and a taint for the rest.
given() {
	nodes "$P5" 1
	nodes "$G6" 2
	kubectl taint nodes -l "node.kubernetes.io/instance-type=$P5" team=llm:NoSchedule >/dev/null
}
COUNT=2
POOLS="
- {instanceType: $P5, priority: 1, tolerations: [{key: team, value: llm, effect: NoSchedule}]}
- {instanceType: $G6, priority: 2}"
