#!/usr/bin/env bats
# shellcheck disable=SC2016 # jq's own variables
# What node autoscalers say: a scripted one writes the Events, with the words of the real ones.

load helpers

# What to say of each pod: as Cluster Autoscaler ...
LIMIT='NotTriggerScaleUp|pod didn'\''t trigger scale-up: 2 node(s) didn'\''t match Pod'\''s node affinity/selector, 1 max node group size reached'
TRIGGERED='TriggeredScaleUp|pod triggered scale-up: [{p5-group 0->1 (max: 7)}]'
# ... and as Karpenter.
NO_OFFERING='FailedScheduling|Failed to schedule pod, incompatible with nodepool "cpu", daemonset overhead={"cpu":"150m","pods":"2"}, did not tolerate team=a:NoSchedule; incompatible with nodepool "p5", daemonset overhead={"cpu":"150m","pods":"2"}, no instance type satisfied resources {"nvidia.com/gpu":"8","pods":"3"} and requirements karpenter.sh/nodepool In [p5] (no instance type has the required offering)'

# Pods for that type that the scheduler has refused and that have waited 3 s, one a line.
refused_pods() {
	api "/api/v1/namespaces/$NS/pods" | jq -c --arg type "$1" '.items[]
		| select(.metadata.deletionTimestamp == null and .spec.nodeName == null)
		| select(.spec.nodeSelector["node.kubernetes.io/instance-type"] == $type)
		| select(any(.status.conditions[]?; .type == "PodScheduled" and .status == "False"))
		| select((.metadata.creationTimestamp | fromdate) + 3 < now)'
}

# As client-go's recorders write it: the older API, and the newer one.
core_event() {
	jq --arg source "$1" --arg reason "${2%%|*}" --arg message "${2#*|}" '{
		metadata: {generateName: (.metadata.name + "-"), namespace: .metadata.namespace},
		involvedObject: {apiVersion: "v1", kind: "Pod", namespace: .metadata.namespace, name: .metadata.name,
			uid: .metadata.uid},
		reason: $reason, message: $message, type: "Normal", count: 1, source: {component: $source},
		firstTimestamp: (now | todate), lastTimestamp: (now | todate)}' |
		api "/api/v1/namespaces/$NS/events" -H 'Content-Type: application/json' --data-binary @-
}

new_event() {
	jq --arg source "$1" --arg reason "${2%%|*}" --arg message "${2#*|}" '{
		metadata: {generateName: (.metadata.name + "-"), namespace: .metadata.namespace},
		regarding: {apiVersion: "v1", kind: "Pod", namespace: .metadata.namespace, name: .metadata.name,
			uid: .metadata.uid},
		reason: $reason, note: $message, type: "Normal", action: "Provision",
		reportingController: $source, reportingInstance: "test", eventTime: (now | todate | sub("Z$"; ".000000Z"))}' |
		api "/apis/events.k8s.io/v1/namespaces/$NS/events" -H 'Content-Type: application/json' --data-binary @-
}

# autoscaler_says TYPE WRITER SOURCE WHAT: about every pod for that type, once, as long as the test runs.
autoscaler_says() {
	local pod name told=' '
	while sleep 1; do
		while read -r pod; do
			name=$(jq -r .metadata.name <<<"$pod")
			[[ $told != *" $name "* ]] || continue
			"$2" "$3" "$4" <<<"$pod" >/dev/null && told+="$name "
		done < <(refused_pods "$1")
	done
}

autoscaler_start() {
	autoscaler_says "$@" 3>&- &
	RECORDERS+=($!)
}

# pools NAME COUNT WINDOW
pools() {
	apply_endpoint "$1" <<YAML
modelName: llm
instanceCount: $2
instanceProvisionTimeoutSeconds: $3
capacity: {retryAfterSeconds: 20}
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
}

no_pods_of() {
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$1\""
}

@test "cluster-autoscaler's group is at its limit: the next pool is asked at once, and so at each retry (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 3
	operator_start --node-autoscaler external
	autoscaler_start "$P5" core_event cluster-autoscaler "$LIMIT"
	apply_model llm
	sleep 12 # so that the scheduler need not be given time to look at new nodes again
	pools llm 3 30
	wait_for 12 "the fallback" ipe_is llm 'pool(1).desiredInstanceCount == 2'
	ipe_is llm 'pool(0) | .state == "BackOff" and .reason == "Limit" and .strikes == 1
		and .message == "the autoscaler says: max node group size reached"'
	settles 20 llm 1 2
	expect_event llm PoolOutOfCapacity
	# The pause is over: a scale-out asks the top first, for all that is new, and the new pod has its own Event.
	wait_for 45 "the end of the pause" ipe_is llm 'pool(0).state != "BackOff"'
	k scale ipe llm --replicas 4 >/dev/null
	wait_for 20 "the second strike" ipe_is llm 'pool(0) | .strikes == 2 and .reason == "Limit"'
	settles 20 llm 1 3
	never_seen endpoints '.status.instancePools[0].state == "Probing"'
}

@test "Karpenter finds no offering: the next pool is asked at once (real-life nodes)" {
	real_life_nodes "$G6" 2
	operator_start --node-autoscaler external
	autoscaler_start "$P5" new_event karpenter "$NO_OFFERING"
	apply_model llm
	pools llm 2 600
	wait_for 12 "the fallback" ipe_is llm 'pool(0) | .state == "BackOff" and .reason == "StockOut"
		and .message == "the autoscaler says: no instance type has the required offering"'
	settles 20 llm 0 2
}

@test "a node that was promised is waited for, and used (real-life nodes)" {
	real_life_nodes "$G6" 1
	operator_start --node-autoscaler external
	autoscaler_start "$P5" core_event cluster-autoscaler "$TRIGGERED"
	apply_model llm
	pools llm 1 60
	wait_for 12 "the promise" ipe_is llm 'pool(0) | .state == "Waiting" and .reason == "Provisioning"
		and .message == "the autoscaler brings a node"'
	real_life_nodes "$P5" 1
	settles 30 llm 1 0
	no_pods_of "$G6"
	never_seen endpoints '.status.instancePools[0].strikes > 0'
}

@test "one node every few seconds, each within the window: all instances land in the preferred pool (real-life nodes)" {
	real_life_nodes "$G6" 6
	operator_start --node-autoscaler external
	autoscaler_start "$P5" core_event cluster-autoscaler "$TRIGGERED"
	apply_model llm
	pools llm 6 15
	for _ in 1 2 3 4 5 6; do
		sleep 7
		real_life_nodes "$P5" 1
	done
	settles 40 llm 6 0
	no_pods_of "$G6"
	never_seen endpoints '.status.instancePools[0].strikes > 0'
}

@test "a promised node that comes after the window still takes its instance, and a fallback one goes (real-life nodes)" {
	real_life_nodes "$G6" 2
	operator_start --node-autoscaler external
	autoscaler_start "$P5" core_event cluster-autoscaler "$TRIGGERED"
	apply_model llm
	pools llm 2 12
	wait_for 30 "the fallback, and who waits on" ipe_is llm 'pool(0).state == "BackOff"
		and pool(0).reason == "ProvisionTimeout" and pool(0).waitingInstanceCount == 2 and pool(1).currentInstanceCount == 2'
	real_life_nodes "$P5" 1
	wait_for 30 "the late instance in the place of a fallback one" ipe_is llm '
		pool(0).currentInstanceCount == 1 and pool(1).desiredInstanceCount == 1'
	real_life_nodes "$P5" 1
	settles 40 llm 2 0
	never_seen endpoints '.status.phase == "InService" and .status.currentInstanceCount < 1'
}
