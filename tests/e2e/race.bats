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

# slow_writes RESOURCE: from here on these writes in this namespace take longer than the operator waits for an answer;
# writes_are_quick ends it.
slow_writes() {
	/usr/bin/python3 -c '
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(600)' >"$T/silent" 3>&- &
	RECORDERS+=("$!")
	wait_for 10 "the port" grep -q . "$T/silent"
	kubectl apply -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: $NS}
webhooks:
- name: silent.example.com
  clientConfig: {url: "https://127.0.0.1:$(<"$T/silent")/"}
  rules: [{apiGroups: ["*"], apiVersions: ["*"], operations: [UPDATE], resources: ["$1"]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $NS}}
  timeoutSeconds: 10
  failurePolicy: Ignore
  admissionReviewVersions: [v1]
  sideEffects: None
YAML
}

writes_are_quick() {
	kubectl delete --ignore-not-found validatingwebhookconfiguration "$NS" >/dev/null
}

clean_up() {
	writes_are_quick
	drop_lease
}

# looked_at RESOURCE: the operator has read one that it has written.
looked_at() {
	grep -F "\"namespace\":\"$NS\"" "$E2E_AUDIT_LOG" | jq -e --arg resource "$1" '
		select(.user.username == "system:serviceaccount:instancepool-system:instancepool-operator")
		| select(.verb == "get" and .objectRef.resource == $resource)'
}

# Replicas do not wait longer for an answer than others wait for the lease.
impatient_start() {
	need_audit_log
	AT_END=(clean_up)
	grant_lease
	operator_start --leader-elect --leader-elect-resource-namespace instancepool-system --leader-elect-resource-name "$NS"
}

unmarked() {
	pods_number llm 1 '.metadata.annotations["karpenter.sh/do-not-disrupt"] == null'
}

@test "the mark of an instance, whose write is not answered in time: the instance is looked at, and marked in the end" {
	real_life_nodes "$P5" 1
	impatient_start
	READY_AFTER=8s apply_model llm
	two_pools llm 1
	wait_for 15 "an instance that starts" pods_number llm 1 '.spec.nodeName != null'
	fails unmarked
	slow_writes pods
	wait_for 30 "a look at the instance" looked_at pods
	fails unmarked
	logged '.msg == "outcome of a write is unknown, looking" and .kind == "Pod"'
	writes_are_quick
	settles 30 llm 1 0
	wait_for 20 "the mark to go" unmarked
}

@test "a status whose write is not answered in time: the endpoint is looked at, and its status written in the end" {
	nodes "$P5" 1
	impatient_start
	slow_writes instancepoolendpoints/status
	apply_model llm
	two_pools llm 1
	wait_for 60 "a look at the endpoint" looked_at instancepoolendpoints
	writes_are_quick
	settles 30 llm 1 0
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
