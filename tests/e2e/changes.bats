#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# What must not restart anything, and what must.

load helpers

@test "instanceType to instancePools, adding, reordering and removing pools keep every instance, InService throughout (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instanceType: $P5
YAML
	settles 20 llm 2
	before=$(uids llm)
	served_at=$(ipe llm -r .metadata.resourceVersion)

	# A merge patch, as `kubectl apply` makes it, replaces one by the other.
	two_pools llm 2
	settles 15 llm 2 0
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instancePools:
- {instanceType: $G5, priority: 1}
- {instanceType: $P5, priority: 2}
- {instanceType: $G6, priority: 3}
YAML
	settles 15 llm 0 2 0
	ipe_is llm 'is("OnFallback")'
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instancePools:
- {instanceType: $G6, priority: 1, maxInstanceCount: 1}
- {instanceType: ml.$P5, priority: 1}
YAML
	settles 15 llm 0 2
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instanceType: $P5
YAML
	settles 15 llm 2
	[[ $(uids llm) == "$before" ]]
	never_seen pods '.metadata.deletionTimestamp != null'
	# From the moment it served, every version of the object says so.
	never_seen endpoints "(.metadata.resourceVersion | tonumber) >= $served_at and .status.phase != \"InService\""
	wait_for 10 "the Deployments of pools that are gone to go" deployments_are 1
}

deployments_are() {
	[[ $(objects deployments) == "$1" ]]
}

@test "an instance in a pool that is taken out of the list is replaced before it goes" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	served_at=$(ipe llm -r .metadata.resourceVersion)
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 1
instancePools:
- {instanceType: $G6, priority: 1}
YAML
	settles 20 llm 1
	wait_for 15 "one Deployment, one pod" pods_number llm 1
	wait_for 10 "the old Deployment to go" deployments_are 1
	never_seen endpoints "(.metadata.resourceVersion | tonumber) >= $served_at and .status.currentInstanceCount < 1"
}

@test "restartedAt replaces every instance, one at a time, and no more than once (real-life nodes)" {
	real_life_nodes "$P5" 3
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 2
	settles 20 llm 2 0
	before=$(uids llm)
	k patch ipe llm --type merge -p '{"spec":{"restartedAt":"2026-11-25T17:00:00Z"}}' >/dev/null
	settles 60 llm 2 0
	after=$(uids llm)
	[[ -z $(comm -12 <(echo "$before") <(echo "$after")) ]]
	never_seen endpoints '.metadata.name == "llm" and .status.phase == "Updating" and .status.currentInstanceCount < 2'
	never_seen endpoints '([.status.instancePools[]?.desiredInstanceCount] | add // 0) > 2'
	k annotate ipe llm "example/note=nothing" >/dev/null
	sleep 3
	[[ $(uids llm) == "$after" ]]
}

# all_new COUNT...: settled so, and all run the changed template.
all_new() {
	is_settled llm "$@" && pods_number llm "$(ipe llm .spec.instanceCount)" '.spec.containers[0].image == "example/llm:2"' &&
		pods_number llm 0 '.spec.containers[0].image != "example/llm:2"'
}

# Since it served, Ready were never fewer.
never_fewer_than() {
	never_seen endpoints ".metadata.name == \"llm\" and (.metadata.resourceVersion | tonumber) >= $SERVED_AT and .status.currentInstanceCount < $1"
}

never_a_strike() {
	never_seen endpoints ".metadata.name == \"llm\" and ((.status.instancePools[$1]?.strikes) // 0) > 0"
}

# changes COUNT: an endpoint of so many instances on the best pool gets another template.
changes() {
	READY_AFTER=2s STOP_AFTER=2s apply_model llm
	two_pools llm "$1"
	settles 20 llm "$1" 0
	SERVED_AT=$(ipe llm -r .metadata.resourceVersion)
	READY_AFTER=2s STOP_AFTER=2s apply_model llm example/llm:2
}

@test "an update of a full best pool borrows from the fallback and gives back: never fewer, the same mix (real-life nodes)" {
	real_life_nodes "$P5" 3
	real_life_nodes "$G6" 2
	operator_start
	changes 3
	wait_for 120 "three new instances in the best pool" all_new 3 0
	wait_for 5 "as many Ready pods" has_ready_pods llm 3 0
	stays 5 "the same" all_new 3 0
	never_fewer_than 3
	never_a_strike 0
	never_a_strike 1
	never_seen endpoints '.status.phase == "Failed"'
}

@test "an update of a full best pool and no room anywhere: one is missing at a time (real-life nodes)" {
	real_life_nodes "$P5" 3
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=1s apply_model other
	apply_endpoint other <<YAML
modelName: other
instanceType: $G6
YAML
	settles 20 other 1
	changes 3
	wait_for 120 "three new instances in the best pool" all_new 3 0
	never_fewer_than 2
	never_a_strike 0
	never_seen endpoints '.status.phase == "Failed"'
	has_ready_pods other 1
}

@test "an update of one instance in a full best pool: the fallback serves meanwhile (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	changes 1
	wait_for 60 "the new instance in the best pool" all_new 1 0
	stays 5 "the same" all_new 1 0
	never_fewer_than 1
	never_a_strike 0
	never_a_strike 1
}

@test "an update of one instance and no room anywhere: it goes first, and the new one comes (real-life nodes)" {
	real_life_nodes "$P5" 1
	operator_start
	changes 1
	wait_for 60 "the new instance in the best pool" all_new 1 0
	never_a_strike 0
	never_seen endpoints '.status.phase == "Failed"'
}
