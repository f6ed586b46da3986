#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# Instances that the API server would refuse: known before they are needed.

load helpers

# with_fallback POOL-FIELDS: the first pool serves, the second has a Model of its own.
with_fallback() {
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 1
instancePools:
- {instanceType: $P5, priority: 1}
- {name: fallback, instanceType: $G6, priority: 2$1}
YAML
}

# says_refused TEXT: in the condition, at the pool and in kubectl describe, while the first pool serves.
says_refused() {
	ipe_is llm "
		.status.phase == \"InService\" and is(\"Ready\") and pool(0).currentInstanceCount == 1
		and ([condition(\"Stalled\")] | first | .status == \"True\" and .reason == \"InstanceRefused\"
			and (.message | test(\"^an instance would be refused: .*$1\")))
		and pool(1).reason == \"Config\" and (pool(1).message | test(\"$1\"))" || return 1
	k describe ipe llm >"$T/described"
	grep -E "an instance would be refused: .*$1" "$T/described"
}

heals() {
	wait_for 60 "the fallback's Deployment" ipe_is llm '(is("Stalled") | not) and pool(1).reason == null and pool(1).message == null'
	[[ $(objects deployments) == 2 ]]
	# Nothing that was tried was there.
	never_seen pods '.metadata.labels["inference.instancepool.dev/pool"] == "fallback"'
}

# model_with NAME YAML: a Model whose pod spec has one line more.
model_with() {
	model "$1" | sed "/terminationGracePeriodSeconds/i\      $2" | k apply -f - >/dev/null
}

@test "an unknown PriorityClass of the second pool's Model is said at once, and it heals when it is made" {
	EXPECTED_LOG='write was refused'
	nodes "$P5" 1
	operator_start
	apply_model llm
	model_with llm-g6 "priorityClassName: $NS"
	with_fallback ', modelNameOverride: llm-g6'
	wait_for 20 "what would be refused" says_refused "no PriorityClass with name $NS was found"
	expect_event llm InstanceRefused
	[[ $(objects deployments) == 1 ]]
	AT_END=(kubectl delete priorityclass "$NS" --wait=false)
	kubectl create priorityclass "$NS" --value 10 >/dev/null
	heals
}

@test "an unknown RuntimeClass of the second pool is said at once, and it heals when it is made" {
	EXPECTED_LOG='write was refused'
	nodes "$P5" 1
	operator_start
	apply_model llm
	with_fallback ", runtimeClassName: $NS"
	wait_for 20 "what would be refused" says_refused "RuntimeClass .*$NS.* not found"
	AT_END=(kubectl delete runtimeclass "$NS" --wait=false)
	kubectl apply -f - >/dev/null <<YAML
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: $NS}
handler: nvidia
YAML
	heals
}

@test "an unknown ServiceAccount of the second pool's Model is said at once, and it heals when it is made" {
	EXPECTED_LOG='write was refused'
	nodes "$P5" 1
	operator_start
	apply_model llm
	model_with llm-g6 "serviceAccountName: llm"
	with_fallback ', modelNameOverride: llm-g6'
	wait_for 20 "what would be refused" says_refused 'serviceaccount .*llm.* not found'
	k create serviceaccount llm >/dev/null
	heals
}

@test "a quota that is used up is no refusal: the Deployments are there, the wait says why" {
	nodes "$P5" 1
	k create quota none --hard=pods=0 >/dev/null
	used() { [[ -n $(k get quota none -o jsonpath='{.status.hard}') ]]; }
	wait_for 10 "the quota to be counted" used
	operator_start
	apply_model llm
	two_pools llm 1
	wait_for 20 "the wait for quota" ipe_is llm '(is("Stalled") | not) and pool(0).reason == "Quota"'
	[[ $(objects deployments) == 2 ]]
	k delete quota none >/dev/null
}
