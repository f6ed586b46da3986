#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# Objects that are not the operator's, and objects that it cannot read.

load helpers

@test "a foreign Deployment with our name is not touched, and said so; the next pool serves" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	name=$(k get deployments -l "inference.instancepool.dev/instance-type=$P5" -o jsonpath='{.items[0].metadata.name}')
	k delete ipe llm >/dev/null
	wait_for 20 "everything to go" nothing_is_left
	k create deployment "$name" --image example/foreign:1 --replicas 0 >/dev/null
	before=$(k get deployment "$name" -o jsonpath='{.spec}{.metadata.labels}{.metadata.generation}')

	two_pools llm 1
	wait_for 20 "the condition that says so" ipe_is llm "
		is(\"Stalled\") and ([condition(\"Stalled\")] | first | .reason == \"NameTaken\" and (.message | test(\"Deployment $name\")))
		and pool(1).currentInstanceCount == 1"
	[[ $(k get deployment "$name" -o jsonpath='{.spec}{.metadata.labels}{.metadata.generation}') == "$before" ]]
	expect_event llm NameTaken
	logged '.msg == "name cannot be used" and .reason == "NameTaken"'
}

nothing_is_left() {
	[[ -z $(k get deployments,replicasets,services,poddisruptionbudgets,pods -o name) ]]
}

@test "a foreign Service with the endpoint's name is not touched, and said so; the instances come up" {
	nodes "$P5" 1
	k create service clusterip llm --tcp=80:80 >/dev/null
	before=$(k get service llm -o jsonpath='{.spec.selector}{.metadata.labels}{.metadata.uid}')
	operator_start
	apply_model llm
	two_pools llm 1
	wait_for 20 "the condition that says so" ipe_is llm '
		is("Stalled") and ([condition("Stalled")] | first | .reason == "NameTaken" and (.message | test("Service llm")))
		and .status.currentInstanceCount == 1'
	[[ $(k get service llm -o jsonpath='{.spec.selector}{.metadata.labels}{.metadata.uid}') == "$before" ]]
	expect_event llm NameTaken
	k delete service llm >/dev/null
	wait_for 40 "the endpoint's own Service" ipe_is llm 'is("Stalled") | not'
	k get service llm -o json | jq -e '.metadata.ownerReferences[0].name == "llm"'
}

@test "a foreign PodDisruptionBudget with the endpoint's name is not touched and no trouble of the endpoint's; the log says so" {
	nodes "$P5" 1
	k create poddisruptionbudget llm --selector app=other --min-available 1 >/dev/null
	before=$(k get poddisruptionbudget llm -o jsonpath='{.spec}{.metadata.labels}{.metadata.uid}')
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	wait_for 10 "the log to say so" logged '.reason == "NameTaken" and (.why | test("PodDisruptionBudget llm"))'
	ipe_is llm 'is("Stalled") | not'
	[[ $(k get poddisruptionbudget llm -o jsonpath='{.spec}{.metadata.labels}{.metadata.uid}') == "$before" ]]
	k get service llm -o json | jq -e '.metadata.ownerReferences[0].name == "llm"'
	k delete poddisruptionbudget llm >/dev/null
	own() { k get poddisruptionbudget llm -o json | jq -e '.metadata.ownerReferences[0].name == "llm"'; }
	wait_for 40 "the endpoint's own budget" own
}

@test "an object that cannot be read is named in the log and counted; the others go on; mended, it goes on too" {
	EXPECTED_LOG='object cannot be read'
	nodes "$P5" 2
	apply_model llm
	one() {
		apply_endpoint "$1" <<YAML
modelName: $2
instanceType: $P5
YAML
	}
	# Admission knows nothing of quantities.
	model odd | sed 's,gpu: 8,gpu: -8,' | k apply -f - >/dev/null
	one of-odd-model odd
	operator_start
	one good llm
	settles 20 good 1
	logged ".msg == \"object cannot be read and is left as it was\" and .level == \"error\"
		and .resource == \"models\" and .namespace == \"$NS\" and .name == \"odd\" and (.error | test(\"nvidia.com/gpu\"))"
	operator_get /metrics | grep -E '^instancepool_undecodable_objects_total\{resource="models"\} 1$'
	ipe_is of-odd-model 'is("ModelMissing") and ([condition("ModelMissing").message] | first | test("cannot be read"))'
	apply_model odd
	settles 20 of-odd-model 1
}

@test "a NUL in an annotation or an argument hides nothing" {
	nodes "$P5" 1
	operator_start
	apply_model llm example/llm:1 'a\0b'
	apply_endpoint llm <<YAML
modelName: llm
instanceType: $P5
YAML
	k patch ipe llm --type merge -p '{"metadata":{"annotations":{"example.com/note":"a\u0000b"}}}' >/dev/null
	settles 20 llm 1
	k get pods -o json | jq -e '.items[0].spec.containers[0].args == ["a\u0000b"]'
}

# said_times COUNT [REASON]
said_times() {
	[[ $(k get events --field-selector "reason=${2:-ScaledByOthers}" -o json | jq '[.items[].count // 1] | add') == "$1" ]]
}

@test "kubectl scale of a pool's Deployment is put back and reported once (real-life nodes)" {
	real_life_nodes "$P5" 3
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 2
	settles 20 llm 2 0
	name=$(k get deployments -l "inference.instancepool.dev/pool=${P5//./-}" -o name)
	k scale "$name" --replicas 3 >/dev/null
	expect_event llm ScaledByOthers
	settles 20 llm 2 0
	k scale "$name" --replicas 1 >/dev/null
	wait_for 10 "the second event" said_times 2
	settles 20 llm 2 0
	[[ $(k get "$name" -o 'jsonpath={.spec.replicas}') == 2 ]]
	said_times 2
}

# The template is as it was, all instances are of the ReplicaSet that was there first, and the others have none.
is_put_back() {
	[[ $(k get "$1" -o jsonpath='{.spec.template}') == "$2" ]] &&
		k get "$1" -o json --show-managed-fields | jq -e 'all(.metadata.managedFields[]; .fieldsV1["f:spec"]["f:template"] == null or .manager == "instancepool-operator")' &&
		k get replicasets -l "inference.instancepool.dev/pool=${P5//./-}" -o json |
		jq -e --arg first "$3" 'all(.items[]; .status.readyReplicas == (if .metadata.name == $first then 3 else null end) and .status.replicas == (if .metadata.name == $first then 3 else 0 end))'
}

# put_back COUNT NAME TEMPLATE REPLICASET: said for the COUNT-th time, and with a loss of one instance at most.
put_back() {
	wait_for 10 "the event" said_times "$1" TemplateChangedByOthers
	wait_for 20 "the template and the ReplicaSet that were there" is_put_back "${@:2}"
	settles 20 llm 3 0
	never_seen endpoints '.status.phase == "InService" and .status.currentInstanceCount < 2'
}

@test "kubectl rollout restart and set image of a pool's Deployment are put back and said once (real-life nodes)" {
	local name template first before
	real_life_nodes "$P5" 3
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 3
	settles 20 llm 3 0
	name=$(k get deployments -l "inference.instancepool.dev/pool=${P5//./-}" -o name)
	template=$(k get "$name" -o jsonpath='{.spec.template}')
	first=$(k get replicasets -l "inference.instancepool.dev/pool=${P5//./-}" -o jsonpath='{.items[0].metadata.name}')
	is_put_back "$name" "$template" "$first"

	k rollout restart "$name" >/dev/null
	put_back 1 "$name" "$template" "$first"
	k get events --field-selector reason=TemplateChangedByOthers | grep -F "somebody (kubectl-rollout) has changed the template of Deployment ${name#*/}; it is put back"
	k set image "$name" server=example/mine:1 >/dev/null
	put_back 2 "$name" "$template" "$first"
	# Somebody takes part in fields, with the very values that they have.
	k get "$name" -o json | jq 'del(.metadata.managedFields, .metadata.resourceVersion, .status)' |
		k apply --server-side --force-conflicts -f - >/dev/null
	put_back 3 "$name" "$template" "$first"

	if [[ -r ${E2E_AUDIT_LOG:-} ]]; then
		sleep 2
		before=$(writes | wc -l)
		sleep 4
		writes | tail -n +"$((before + 1))"
		[[ $(writes | wc -l) == "$before" ]]
		[[ $(writes '.verb == "patch" and .objectRef.resource == "deployments"' | wc -l) == 3 ]]
	fi
	said_times 3 TemplateChangedByOthers
}
