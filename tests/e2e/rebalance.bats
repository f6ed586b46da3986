#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# Better pools that have capacity again, and pools that are to keep some.

load helpers

# pools REBALANCE COUNT [OF-THE-SECOND-POOL]
pools() {
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: $2
instanceProvisionTimeoutSeconds: 15
capacity: {retryAfterSeconds: 10, rebalance: $1}
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2${3:+, $3}}
YAML
}

never_fewer_than() {
	never_seen endpoints ".metadata.name == \"llm\" and .status.phase == \"InService\" and .status.currentInstanceCount < $1"
}

@test "Active: the fleet goes back one by one, and never serves with less (real-life nodes)" {
	real_life_nodes "$G6" 3
	operator_start --node-autoscaler none
	READY_AFTER=2s STOP_AFTER=1s apply_model llm
	pools Active 3
	settles 30 llm 0 3
	real_life_nodes "$P5" 3
	settles 120 llm 3 0
	never_fewer_than 3
	# One at a time.
	never_seen endpoints '([.status.instancePools[]?.desiredInstanceCount] | add // 0) > 4'
	expect_event llm Rebalancing
}

@test "Passive: what serves stays where it is (real-life nodes)" {
	real_life_nodes "$G6" 2
	operator_start --node-autoscaler none
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	pools Passive 2
	settles 30 llm 0 2
	real_life_nodes "$P5" 2
	stays 25 "all on the fallback" ipe_is llm 'pool(0).desiredInstanceCount == 0 and pool(1).currentInstanceCount == 2'
}

@test "after a timeout one instance is tried, while the demand goes on to the next pool (real-life nodes)" {
	real_life_nodes "$G6" 4
	operator_start --node-autoscaler external
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	pools Passive 2
	settles 45 llm 0 2
	wait_for 30 "the end of the pause" ipe_is llm 'pool(0).state == "Idle"'
	pools Passive 4
	wait_for 5 "a probe" ipe_is llm 'pool(0).state == "Probing" and pool(0).desiredInstanceCount == 1'
	wait_for 10 "all served meanwhile" ipe_is llm 'pool(0).state == "Probing" and pool(1).currentInstanceCount == 4 and is("Ready")'
	real_life_nodes "$P5" 2
	settles 30 llm 1 3 # it binds, and a fallback goes
	pools Passive 5
	settles 20 llm 2 3 # proven: the pool gets the demand
}

@test "minInstanceCount is kept while there is capacity (real-life nodes)" {
	real_life_nodes "$P5" 4
	real_life_nodes "$G6" 2
	operator_start --node-autoscaler none
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	pools Passive 4 "minInstanceCount: 2"
	settles 20 llm 2 2
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 1 2
	never_fewer_than 3
}

# ranked REBALANCE OF-P5 OF-G6: ten instances, with these priorities.
ranked() {
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 10
capacity: {retryAfterSeconds: 10, rebalance: $1}
instancePools:
- {instanceType: $P5, priority: $2}
- {instanceType: $G6, priority: $3}
YAML
}

@test "Passive: ten instances stay when the priorities are turned round (real-life nodes)" {
	real_life_nodes "$P5" 10
	real_life_nodes "$G6" 10
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	ranked Passive 1 2
	settles 30 llm 10 0
	before=$(uids llm)
	ranked Passive 2 1
	settles 10 llm 0 10
	ipe_is llm "pool(0).instanceType == \"$G6\" and is(\"OnFallback\") and is(\"Ready\")"
	same() { [[ $(uids llm) == "$before" ]]; }
	stays 30 "the same ten instances" same
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_fewer_than 10
}

@test "Active: ten instances follow the priorities that are turned round, one at a time (real-life nodes)" {
	real_life_nodes "$P5" 10
	real_life_nodes "$G6" 10
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	ranked Active 1 2
	settles 30 llm 10 0
	ranked Active 2 1
	settles 200 llm 10 0
	ipe_is llm "pool(0).instanceType == \"$G6\" and (is(\"OnFallback\") | not)"
	never_fewer_than 10
	never_seen endpoints '([.status.instancePools[]?.desiredInstanceCount] | add // 0) > 11'
	# Each was asked for once.
	[[ $(jq -s '[.[].object | select(.metadata.labels["inference.instancepool.dev/instance-type"] == "'"$G6"'").metadata.uid] | unique | length' \
		"$T/pods.jsonl") == 10 ]]
}
