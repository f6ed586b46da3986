#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# When the next pool is asked, and when not.

load helpers

# seconds_between FILTER FILTER: from the first to the second, RFC 3339 times in the recorded pods (each filter's first).
seconds_between() {
	jq -s "[.[].object] as \$pods | ([\$pods[] | $2][0] | fromdate) - ([\$pods[] | $1][0] | fromdate)" "$T/pods.jsonl"
}

of_type() {
	printf 'select(.metadata.labels["inference.instancepool.dev/instance-type"] == "%s")' "$1"
}

@test "where nothing adds nodes the next pool is asked a few seconds after the scheduler's verdict" {
	nodes "$P5" 1
	nodes "$G6" 3
	operator_start --node-autoscaler none
	apply_model llm
	sleep 12 # so that the scheduler need not be given time to look at new nodes again
	two_pools llm 3
	settles 20 llm 1 2
	waited=$(seconds_between \
		"$(of_type "$P5") | .status.conditions[]? | select(.type == \"PodScheduled\" and .status == \"False\").lastTransitionTime" \
		"$(of_type "$G6").metadata.creationTimestamp")
	echo "from the verdict to the next pool's pods: $waited s"
	((waited >= 2 && waited <= 7))
	expect_event llm PoolOutOfCapacity
}

@test "no fallback while a pod that is being ended still holds the GPU (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start --node-autoscaler none
	STOP_AFTER=12s READY_AFTER=1s apply_model llm
	two_pools old 1
	settles 20 old 1 0
	k delete ipe old >/dev/null
	two_pools llm 1
	wait_for 10 "the reason Releasing" ipe_is llm 'pool(0).state == "Waiting" and pool(0).reason == "Releasing"'
	settles 40 llm 1 0
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_seen endpoints '.metadata.name == "llm" and .status.instancePools[0].state == "BackOff"'
}

@test "with an external autoscaler the next pool is asked when the pool's window is over, not before (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start --node-autoscaler external
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 3
instanceProvisionTimeoutSeconds: 20
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
	wait_for 10 "two waiting instances with a deadline" ipe_is llm '
		pool(0).state == "Waiting" and pool(0).waitingInstanceCount == 2 and pool(0).deadline != null'
	settles 45 llm 1 2
	waited=$(seconds_between "$(of_type "$P5").metadata.creationTimestamp" "$(of_type "$G6").metadata.creationTimestamp")
	echo "from the first pool's pods to the second's: $waited s"
	((waited >= 19 && waited <= 30))
	# What waited for the first pool was cancelled.
	pods_number llm 3
	ipe_is llm 'pool(0).state == "BackOff" and pool(0).reason == "ProvisionTimeout" and pool(0).strikes == 1'
}

@test "an autoscaler's node that comes within the window is used, and there is no fallback (real-life nodes)" {
	real_life_nodes "$G6" 1
	operator_start --node-autoscaler external
	apply_model llm
	two_pools llm 1
	wait_for 10 "a waiting instance" ipe_is llm 'pool(0).waitingInstanceCount == 1'
	stays 6 "waiting for the first pool" ipe_is llm 'pool(0).waitingInstanceCount == 1 and pool(1).desiredInstanceCount == 0'
	real_life_nodes "$P5" 1
	settles 25 llm 1 0
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
}

@test "cluster-autoscaler is found by its status, with the rights of deploy/" {
	if kubectl create configmap -n kube-system cluster-autoscaler-status --from-literal=status=test; then
		AT_END=(kubectl delete configmap -n kube-system cluster-autoscaler-status)
	fi
	operator_start --node-autoscaler auto
	wait_for 10 "the log line" logged '.found == "ConfigMap kube-system/cluster-autoscaler-status"'
}

@test "when the retry time comes an unmet demand starts again at the top; the pause does not grow while nobody takes it" {
	nodes "$G6" 1
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
capacity: {retryAfterSeconds: 20, maxRetryAfterSeconds: 600}
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
	wait_for 25 "all pools short" ipe_is llm 'is("InsufficientCapacity") and all(.status.instancePools[]; .strikes == 1)'
	ipe_is llm 'all(.status.instancePools[]; (.nextRetryTime | fromdate) - (.lastStrikeTime | fromdate) == 20)'
	wait_for 45 "the second try" ipe_is llm 'is("InsufficientCapacity") and all(.status.instancePools[]; .strikes == 2)'
	ipe_is llm 'all(.status.instancePools[]; (.nextRetryTime | fromdate) - (.lastStrikeTime | fromdate) == 20)'
	# The first pool was asked first, the second when that was over.
	seen endpoints '.status.instancePools[0].state == "Waiting" and .status.instancePools[1].state == "BackOff"'
	ipe_is llm '.status.phase == "InService" and pool(1).currentInstanceCount == 1'
	never_seen endpoints '[.status.instancePools[]?.desiredInstanceCount] | add > 2'
}
