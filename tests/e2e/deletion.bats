#!/usr/bin/env bats
# An endpoint can be deleted at any time.

load helpers

nothing_is_left() {
	[[ -z $(k get ipe,deployments,replicasets,services,poddisruptionbudgets,pods -o name) ]]
}

@test "deletion in every phase leaves no Deployment, no Service, no budget, no pod (real-life nodes)" {
	real_life_nodes "$P5" 4
	operator_start
	READY_AFTER=1s apply_model llm
	READY_AFTER=24h apply_model slow
	one() {
		apply_endpoint "$1" <<YAML
modelName: $2
instanceCount: ${4:-1}
instanceType: $3
YAML
	}
	one serving llm "$P5"
	one updating updated "$P5"
	one starting slow "$P5"
	one waiting llm "$G6"
	one missing no-such-model "$P5"
	READY_AFTER=1s apply_model updated
	wait_for 20 "an endpoint in service" ipe_is serving '.status.phase == "InService"'
	wait_for 10 "another" ipe_is updating '.status.phase == "InService"'
	READY_AFTER=24h apply_model updated example/llm:2
	wait_for 10 "an endpoint that starts" ipe_is starting '.status.phase == "Creating" and pool(0).startingInstanceCount == 1'
	wait_for 20 "an endpoint without capacity" ipe_is waiting '.status.phase == "Failed" and is("InsufficientCapacity")'
	wait_for 10 "an endpoint without a model" ipe_is missing 'is("ModelMissing")'
	wait_for 10 "an endpoint that is being updated" ipe_is updating '.status.phase == "Updating"'
	one fresh llm "$P5" 2
	k delete ipe fresh >/dev/null # before anybody looked at it
	k delete ipe serving updating starting waiting missing >/dev/null
	wait_for 40 "all to go" nothing_is_left
	stays 3 "nothing comes back" nothing_is_left
	# And the same name can be used again at once.
	READY_AFTER=1s one serving llm "$P5"
	settles 20 serving 1
}

@test "deletion while the operator is down leaves nothing either, and it does not mind" {
	nodes "$P5" 1
	operator_start
	apply_model llm
	two_pools llm 2
	settles_one() { ipe_is llm 'pool(0).currentInstanceCount == 1'; }
	wait_for 20 "an instance" settles_one
	operator_kill
	k delete ipe llm >/dev/null
	wait_for 30 "all to go" nothing_is_left
	operator_start
	stays 2 "nothing comes back" nothing_is_left
}
