# shellcheck shell=bash disable=SC2034 # read by plan.bats
# The Model's own node affinity rules a zone out.
given() {
	nodes "$P5" 1 --label zone=a
	nodes "$P5" 2 --label zone=c
	nodes "$G6" 2 --label zone=b
}
COUNT=3
POD='affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: NotIn, values: [c]}]}]}}}'
