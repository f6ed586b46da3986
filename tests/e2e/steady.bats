#!/usr/bin/env bats
# Nothing to do.

load helpers

@test "steady state: 0 writes by the operator in 60 s (real-life nodes)" {
	need_audit_log
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=1s apply_model llm
	two_pools serving 1
	settles 20 serving 1 0
	two_pools fallback 2
	settles 20 fallback 1 1
	two_pools short 1
	wait_for 20 "an endpoint without capacity" ipe_is short 'is("InsufficientCapacity")'
	two_pools empty 0
	settles 10 empty 0 0
	two_pools missing 1
	k patch ipe missing --type merge -p '{"spec":{"modelName":"not-there"}}' >/dev/null
	wait_for 10 "an endpoint without its Model" ipe_is missing 'is("ModelMissing")'
	sleep 3
	before=$(writes | wc -l)
	((before > 0))
	sleep 60
	writes | tail -n +"$((before + 1))"
	[[ $(writes | wc -l) == "$before" ]]
}
