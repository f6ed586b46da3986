#!/usr/bin/env bats
# An endpoint comes up.

load helpers

@test "an endpoint comes up on its first choice and gets a Service" {
	nodes "$P5" 2
	nodes "$G6" 2
	operator_start
	apply_model llm
	two_pools llm 2
	settles 20 llm 2 0
	ipe_is llm '
		.status.phase == "InService" and is("Ready")
		and (is("Reconciling") or is("Stalled") or is("InsufficientCapacity") or is("OnFallback") or is("ModelMissing") | not)
		and pool(0).state == "Ready" and pool(1).state == "Idle" and .status.poolSummary == "'"$P5"'=2"'
	# A fallback is one small write: its Deployment is there.
	[[ $(objects deployments) == 2 ]]
	[[ $(k get service llm -o jsonpath='{.spec.selector}') == '{"inference.instancepool.dev/endpoint":"llm","inference.instancepool.dev/track":"blue"}' ]]
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
}

@test "an endpoint with instanceType is a list of one pool, and a leading ml. means nothing (real-life nodes)" {
	real_life_nodes "$P5" 1
	operator_start
	READY_AFTER=2s apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceType: ml.$P5
YAML
	settles 20 llm 1
	ipe_is llm ".spec.instanceCount == 1 and pool(0).instanceType == \"$P5\""
	k get pods -o json | jq -e ".items[0].spec.nodeSelector == {\"node.kubernetes.io/instance-type\": \"$P5\"}"
}

@test "an endpoint is split over two pools when the first is short (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 3
	operator_start
	apply_model llm
	two_pools llm 4
	settles 30 llm 2 2
	ipe_is llm '
		.status.phase == "InService" and is("OnFallback") and (is("InsufficientCapacity") | not)
		and .status.poolSummary == "'"$P5=2 $G6=2"'"
		and pool(0).state == "BackOff" and pool(0).reason == "StockOut" and pool(0).nextRetryTime > .status.instancePools[0].since'
	# The first two served while the others were being found.
	seen endpoints '.status.phase == "Creating" and .status.currentInstanceCount == 2'
	pods_number llm 4
}

@test "an endpoint goes down a list of three pools, the order given by priority alone (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	real_life_nodes "$G5" 4
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 4
instancePools:
- {instanceType: $G5, priority: 30}
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 7}
YAML
	settles 40 llm 1 1 2
	ipe_is llm "[.status.instancePools[].instanceType] == [\"$P5\", \"$G6\", \"$G5\"]"
}

@test "two pools of one type: reserved nodes first, then spot, by the pool's own nodeSelector (real-life nodes)" {
	real_life_nodes "$P5" 1 --label capacity=reserved
	real_life_nodes "$P5" 2 --label capacity=spot
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 3
instancePools:
- {name: reserved, instanceType: $P5, priority: 1, maxInstanceCount: 1, nodeSelector: {capacity: reserved, instancepool.dev/e2e: $NS}}
- {name: spot, instanceType: $P5, priority: 2, nodeSelector: {capacity: spot, instancepool.dev/e2e: $NS}}
YAML
	settles 20 llm 1 2
	# The first pool has all it may have, so nothing is short and nothing is on a fallback.
	ipe_is llm '(is("OnFallback") or is("InsufficientCapacity") | not) and pool(0).state == "Ready" and .status.poolSummary == "reserved=1 spot=2"'
}

@test "with all pools short the next retry is shown; then a node arrives and it goes on by itself (real-life nodes)" {
	real_life_nodes "$P5" 1
	operator_start
	apply_model llm
	two_pools llm 3
	# Nobody has nodes of the second type: stock-out or typo, it is said as it is.
	wait_for 30 "InsufficientCapacity" ipe_is llm '
		is("InsufficientCapacity") and ([condition("InsufficientCapacity").message] | first | test("^2 instances.*tried again at [0-9:]+Z"))
		and pool(0).nextRetryTime != null and pool(1).state == "BackOff" and pool(1).reason == "NoNodes" and pool(1).nextRetryTime != null'
	settles_short() { ipe_is llm '.status.phase == "InService" and .status.currentInstanceCount == 1'; }
	wait_for 15 "the one instance to serve" settles_short
	# No pods are left waiting while nothing can be asked.
	wait_for 10 "one pod" pods_number llm 1

	real_life_nodes "$G6" 2
	settles 30 llm 1 2
	ipe_is llm '(is("InsufficientCapacity") | not) and is("Ready") and is("OnFallback")'
	expect_event llm InsufficientCapacity
	expect_event llm PoolRecovered
}
