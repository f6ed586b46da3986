# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Two pools of one type: reserved nodes first, then spot.
given() {
	nodes "$P5" 1 --label capacity=reserved
	nodes "$P5" 3 --label capacity=spot
}
COUNT=3
POOLS="
- {name: reserved, instanceType: $P5, priority: 1, nodeSelector: {capacity: reserved, node.kubernetes.io/instance-type: $P5}}
- {name: spot, instanceType: $P5, priority: 2, nodeSelector: {capacity: spot, node.kubernetes.io/instance-type: $P5}}"
