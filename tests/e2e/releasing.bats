#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# Room that is being made, and nodes that come or come back: the next pool is not asked meanwhile.

load helpers

# The fallback was never asked, and no pool has a strike.
never_moved_on() {
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0 or .state == "BackOff")'
}

best_waits() {
	ipe_is llm "pool(0).state == \"Waiting\" and pool(0).reason == \"$1\" and (pool(0).message | test(\"$2\"))"
}

the_node_of() {
	kubectl get nodes -l "node.kubernetes.io/instance-type=$1" -o name
}

@test "a replacement waits for the GPUs that its predecessor still holds (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=1s STOP_AFTER=12s apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	first=$(uids llm)
	k delete pods --all --wait=false >/dev/null
	wait_for 10 "the wait for the one that ends" best_waits Releasing "instances are still ending on its nodes"
	settles 40 llm 1 0
	[[ $(uids llm) != "$first" ]]
	never_moved_on
}

@test "preemption of a pod of low priority that takes its time to end (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	kubectl create priorityclass "$NS" --value=1000 >/dev/null
	AT_END=(kubectl delete priorityclass "$NS")
	k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: batch
  annotations: {kwok.instancepool.dev/ready-after: 0s, kwok.instancepool.dev/stop-after: 12s}
spec:
  nodeSelector: {node.kubernetes.io/instance-type: $P5}
  tolerations: [{key: nvidia.com/gpu, operator: Exists}]
  containers:
  - name: train
    image: example/train:1
    resources: {limits: {nvidia.com/gpu: 8}}
YAML
	k wait pod batch --for condition=Ready --timeout 20s >/dev/null
	operator_start
	READY_AFTER=1s model llm | sed "/terminationGracePeriodSeconds/a\\      priorityClassName: $NS" | k apply -f - >/dev/null
	two_pools llm 1
	wait_for 10 "the wait for the preempted pod" best_waits Releasing "room is being made by preemption"
	seen pods '.status.nominatedNodeName != null'
	settles 40 llm 1 0
	never_moved_on
}

@test "a young node whose GPUs are not allocatable yet (real-life nodes)" {
	real_life_nodes "$P5" 1 --gpus 0
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=1s apply_model llm
	two_pools llm 1
	wait_for 10 "the wait for the node" best_waits Provisioning "its node is coming up"
	stays 10 "waiting for the node" best_waits Provisioning "its node is coming up"
	kubectl patch "$(the_node_of "$P5")" --subresource status --type merge -p '
		{"status":{"capacity":{"nvidia.com/gpu":"8"},"allocatable":{"nvidia.com/gpu":"8"}}}' >/dev/null
	settles 30 llm 1 0
	never_moved_on
}

# An endpoint of one instance, whose best pool's node is cordoned.
waits_for_cordoned() {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	kubectl cordon "$(the_node_of "$P5")" >/dev/null
	operator_start
	READY_AFTER=1s apply_model llm
	two_pools llm 1
	wait_for 10 "the wait for the node" best_waits Releasing "its node is cordoned"
}

@test "a cordoned node that is uncordoned within a minute (real-life nodes)" {
	waits_for_cordoned
	stays 20 "waiting for the node" best_waits Releasing "its node is cordoned"
	kubectl uncordon "$(the_node_of "$P5")" >/dev/null
	settles 30 llm 1 0
	never_moved_on
}

@test "a cordon that nobody lifts is a stock-out after 90 s (real-life nodes)" {
	waits_for_cordoned
	stays 80 "waiting for the node" best_waits Releasing "its node is cordoned"
	settles 30 llm 0 1
	ipe_is llm 'pool(0).state == "BackOff" and pool(0).reason == "StockOut" and (pool(0).message | test("its node is cordoned"))'
}
