#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# Each cause of a wait has its own reason and its own words in `kubectl describe`, and what follows from it
# (docs/design/capacity-signals.md).

load helpers

# pools WINDOW-S [MORE-OF-THE-BEST-POOL]: one instance. The best pool runs the Model "llm", the fallback runs "plain".
pools() {
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 1
instanceProvisionTimeoutSeconds: $1
instancePools:
- {instanceType: $P5, priority: 1${2:+, $2}}
- {instanceType: $G6, priority: 2, modelNameOverride: plain}
YAML
}

# model_with SED-SCRIPT: the Model "llm", changed so; "plain" is as usual.
model_with() {
	apply_model plain
	model llm | sed "$1" | k apply -f - >/dev/null
}

# best_says STATE REASON WORDS
best_says() {
	ipe_is llm "pool(0).state == \"$1\" and pool(0).reason == \"$2\"" && k describe ipe llm | grep -F "Message:" | grep -F "$3"
}

# moves_on_after SECONDS REASON WORDS: the best pool waits so long with that reason and is given up then, not before; the
# reason and the words stay, and the fallback serves.
moves_on_after() {
	wait_for 15 "the best pool to wait: $2, $3" best_says Waiting "$2" "$3"
	settles $(($1 + 20)) llm 0 1
	best_says BackOff "$2" "$3"
	waited=$(jq -s '
		[.[].object | select(.metadata.name == "llm") | .status.instancePools[0]? | select(. != null)]
		| (first(.[] | select(.state == "BackOff").lastStrikeTime) | fromdate)
			- (first(.[] | select(.state == "Waiting").since) | fromdate)' "$T/endpoints.jsonl")
	echo "given up after $waited s"
	((waited >= $1 && waited <= $1 + 15))
	ipe_is llm 'pool(0).strikes == 1 and is("OnFallback")'
}

@test "a quota that is exceeded waits for the window; the fallback asks for less" {
	nodes "$P5" 1
	nodes "$G6" 1
	k create quota gpus --hard=requests.nvidia.com/gpu=4 >/dev/null
	wait_for 20 "the quota to be in force" quota_counts
	model_with ''
	model plain | sed 's,nvidia.com/gpu: 8,nvidia.com/gpu: 4,' | k apply -f - >/dev/null
	operator_start
	pools 15
	moves_on_after 15 Quota "pods are refused: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8"
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$P5\""
}

quota_counts() {
	k get quota gpus -o json | jq -e '.status.used["requests.nvidia.com/gpu"] == "0"'
}

@test "scheduling gates stop the clock, and when they open the best pool is used (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	model_with '/terminationGracePeriodSeconds/a\      schedulingGates: [{name: example.com/hold}]'
	operator_start
	pools 5
	wait_for 10 "the gated wait" best_says Waiting Gated "its pods have scheduling gates"
	stays 15 "waiting for the gate" best_says Waiting Gated "its pods have scheduling gates"
	k patch "$(k get pods -o name)" --type merge -p '{"spec":{"schedulingGates":null}}' >/dev/null
	settles 20 llm 1 0
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0)'
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
}

@test "a volume that is not bound waits for the window" {
	nodes "$P5" 1
	nodes "$G6" 1
	k apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: weights}
spec: {storageClassName: "", accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
YAML
	model_with '/terminationGracePeriodSeconds/a\      volumes: [{name: weights, persistentVolumeClaim: {claimName: weights}}]'
	operator_start
	pools 15
	moves_on_after 15 Config "pod has unbound immediate PersistentVolumeClaims"
}

@test "a selector that no node carries moves on in seconds" {
	nodes "$P5" 1
	nodes "$G6" 1
	model_with ''
	operator_start
	pools 600 "nodeSelector: {example.com/zone: $NS}"
	settles 20 llm 0 1
	best_says BackOff NoNodes "no node carries its selector"
}

@test "more GPUs than any node has waits for the window" {
	nodes "$P5" 1
	nodes "$P5" 1 --gpus 4
	nodes "$G6" 1
	model_with 's,nvidia.com/gpu: 8,nvidia.com/gpu: 16,'
	operator_start
	pools 15
	moves_on_after 15 Config "asks for 16 nvidia.com/gpu, its largest node has 8"
}

@test "a taint that keeps the nodes for others waits for the window" {
	nodes "$P5" 1
	nodes "$G6" 1
	kubectl taint nodes -l "node.kubernetes.io/instance-type=$P5" example.com/team=research:NoSchedule >/dev/null
	model_with ''
	operator_start
	pools 15
	moves_on_after 15 Config "its nodes have a taint that the instances do not tolerate (example.com/team)"
}

@test "full nodes move on in seconds" {
	nodes "$P5" 1
	nodes "$G6" 1
	model_with ''
	operator_start
	pools 600
	settles 20 llm 1 0
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 1 1
	best_says BackOff StockOut "no room on its node (Insufficient nvidia.com/gpu)"
}
