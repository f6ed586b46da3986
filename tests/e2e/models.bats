#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# What runs on each type, and templates that cannot be used.

load helpers

# container_of TYPE: image and arguments of that type's pods.
container_of() {
	k get pods -l "inference.instancepool.dev/instance-type=$1" -o json |
		jq -r '[.items[].spec.containers[0] | "\(.image) \(.args | join(" "))"] | unique | join("; ")'
}

# all_run IMAGE: two Ready instances of it, and nothing of an older template.
all_run() {
	is_settled llm 2 && [[ $(container_of "$P5") == "$1 --fast" && $(objects deployments) == 1 ]]
}

@test "each type runs its own model's image and arguments (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start
	apply_model llm example/llm:1 --full
	apply_model llm-g6 example/llm-fp8:3 --quantization=fp8
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 3
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2, modelNameOverride: llm-g6}
YAML
	settles 20 llm 1 2
	[[ $(container_of "$P5") == "example/llm:1 --full" ]]
	[[ $(container_of "$G6") == "example/llm-fp8:3 --quantization=fp8" ]]
	ipe_is llm 'pool(0).modelName == "llm" and pool(1).modelName == "llm-g6"'
	# What the operator adds to a template: selector, toleration, the readiness probe, labels.
	k get pods -l "inference.instancepool.dev/instance-type=$G6" -o json | jq -e '.items[0].spec
		| .containers[0].readinessProbe.httpGet == {path: "/ping", port: 8080, scheme: "HTTP"}
		and any(.tolerations[]; .key == "nvidia.com/gpu" and .operator == "Exists")'
}

@test "a missing Model is said so; it appears and all goes on (real-life nodes)" {
	real_life_nodes "$P5" 1
	operator_start
	two_pools llm 1
	wait_for 15 "the condition ModelMissing" ipe_is llm '
		is("ModelMissing") and is("Stalled") and ([condition("ModelMissing").message] | first | test("Model llm does not exist"))'
	[[ $(objects deployments) == 0 ]]
	apply_model llm
	settles 20 llm 1 0
	ipe_is llm '(is("ModelMissing") or is("Stalled") | not) and .status.phase == "InService"'
	expect_event llm ModelMissing
}

@test "a missing override Model closes its own pool only" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 1
instancePools:
- {instanceType: $P5, priority: 1, modelNameOverride: not-there-yet}
- {instanceType: $G6, priority: 2}
YAML
	wait_for 20 "the fallback to serve" ipe_is llm '
		.status.phase == "InService" and .status.currentInstanceCount == 1 and pool(1).currentInstanceCount == 1 and is("ModelMissing")'
	apply_model not-there-yet
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 1 1
}

@test "a template that the API server refuses: its words are in the condition, others go on, and it is mended" {
	EXPECTED_LOG='write was refused'
	nodes "$P5" 2
	operator_start
	apply_model llm
	model broken | sed '/image:/a\        readinessProbe: {exec: {command: [check]}, httpGet: {port: 8080}}' | k apply -f - >/dev/null
	apply_endpoint broken <<YAML
modelName: broken
instanceType: $P5
YAML
	wait_for 15 "the condition with the API server's words" ipe_is broken '
		is("Stalled") and ([condition("Stalled")] | first | .reason == "InstanceRefused" and (.message | test("^an instance would be refused: .*may not specify more than 1 handler type")))'
	apply_endpoint llm <<YAML
modelName: llm
instanceType: $P5
YAML
	settles 15 llm 1
	expect_event broken InstanceRefused
	apply_model broken
	settles 15 broken 1
	ipe_is broken 'is("Stalled") | not'
}

@test "a changed template replaces the instances one at a time, with one more while there is room" {
	nodes "$P5" 3
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instanceType: $P5
YAML
	settles 20 llm 2
	apply_model llm example/llm:2
	wait_for 40 "two instances of the new template alone" all_run example/llm:2
	seen endpoints '.status.phase == "Updating"'
	never_seen endpoints '.status.phase == "Updating" and .status.currentInstanceCount < 2'
}

@test "a changed template where there is no spare node: one goes first, the rest serve (real-life nodes)" {
	real_life_nodes "$P5" 2
	operator_start
	READY_AFTER=1s apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instanceType: $P5
YAML
	settles 20 llm 2
	READY_AFTER=1s apply_model llm example/llm:2
	wait_for 60 "two instances of the new template alone" all_run example/llm:2
	never_seen endpoints '.status.phase == "Updating" and .status.currentInstanceCount < 1'
}
