#!/usr/bin/env bats
# Two replicas: one leads, the other stands by.

load helpers

# One more replica, which is then the one that the helpers know.
candidate_start() {
	operator_start --leader-elect --leader-elect-resource-namespace instancepool-system \
		--leader-elect-resource-name "$NS"
}

leads() {
	[[ $(operator_get /metrics | sed -n 's/^instancepool_leader //p') == 1 ]]
}

lists() {
	operator_get /metrics | grep -E '^instancepool_relists_total' | sort
}

start_two() {
	candidate_start
	wait_for 10 "a leader" leads
	LEADER=$OPERATOR_PID
	candidate_start
	fails leads
	# shellcheck disable=SC2034 # the teardown runs it
	AT_END=(kubectl -n instancepool-system delete lease "$NS" --ignore-not-found)
}

@test "the leader is killed: within 17 s the standby goes on, without a new list (real-life nodes)" {
	start_two
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 2
	settles 20 llm 1 1
	before=$(lists)
	kill -9 "$LEADER"
	wait "$LEADER" 2>/dev/null || true
	k scale ipe llm --replicas 3 >/dev/null
	wait_for 17 "the standby to lead" leads
	settles 20 llm 1 2
	[[ $(lists) == "$before" ]]
}

@test "the leader is asked to go: the standby goes on at once (real-life nodes)" {
	start_two
	real_life_nodes "$P5" 2
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	kill -TERM "$LEADER"
	wait_for 3 "the standby to lead" leads
	wait "$LEADER"
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
}

@test "a leader that was suspended for 20 s writes nothing after the lease has passed on (real-life nodes)" {
	need_audit_log
	start_two
	real_life_nodes "$P5" 3
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	kill -STOP "$LEADER"
	wait_for 20 "the standby to lead" leads
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 3 0
	sleep 2
	before=$(writes | wc -l)
	kill -CONT "$LEADER"
	sleep 5
	[[ $(writes | wc -l) == "$before" ]]
	kill -TERM "$LEADER"
	wait "$LEADER"
}
