#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# The operator decides on what it has seen; the cluster has gone on.

load helpers

replicas_are() {
	k get deployments -o json | jq -e --arg type "$1" --argjson n "$2" '
		[.items[] | select(.metadata.labels["inference.instancepool.dev/instance-type"] == $type) | .spec.replicas] == [$n]'
}

# The pods that are on a node and not Ready.
starting_pods() {
	api "/api/v1/namespaces/$NS/pods" | jq -er '
		.items[] | select(.spec.nodeName and all(.status.conditions[]; .type != "Ready" or .status != "True")) | .metadata.uid'
}

@test "a cancel races with a binding: the one that was just bound goes, and none that is Ready (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	forward_start
	operator_kubeconfig_by_forward "$E2E_ACCOUNT_KUBECONFIG"
	operator_start --node-autoscaler external
	READY_AFTER=20s STOP_AFTER=1s apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instanceProvisionTimeoutSeconds: 30
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
	wait_for 30 "one that serves" ipe_is llm 'pool(0).currentInstanceCount == 1 and pool(0).waitingInstanceCount == 1'
	first=$(uids llm)
	serving=$(api "/api/v1/namespaces/$NS/pods" | jq -r '.items[] | select(.spec.nodeName) | .metadata.uid')
	# From here on the operator sees nothing: neither the node nor the binding nor the answer to its own raise.
	forward_hold
	real_life_nodes "$P5" 1
	wait_for 10 "a node for the one that waits" starting_pods
	bound=$(starting_pods)
	[[ $first == *"$bound"* && $bound != "$serving" ]]
	wait_for 40 "the end of the window" replicas_are "$G6" 1
	[[ $(starting_pods) == *"$bound"* ]]
	forward_release
	wait_for 10 "the cancel" replicas_are "$P5" 1
	settles 60 llm 1 1
	[[ $(uids llm) == *"$serving"* ]]
	seen pods ".metadata.uid == \"$bound\" and .metadata.deletionTimestamp"
	never_seen pods ".metadata.uid == \"$serving\" and .metadata.deletionTimestamp"
}
