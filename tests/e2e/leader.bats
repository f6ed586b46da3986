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
	start_leader
	start_standby
}

start_leader() {
	grant_lease
	candidate_start
	wait_for 10 "a leader" leads
	LEADER=$OPERATOR_PID LEADER_LOG=$OPERATOR_LOG
	# shellcheck disable=SC2034 # the teardown runs it
	AT_END=(end_election)
}

# A leader is left over if the test failed, and may be suspended.
end_election() {
	! jobs -p | grep -qx "$LEADER" || kill -9 "$LEADER"
	drop_lease
}

start_standby() {
	candidate_start
	fails leads
}

# lease FILTER: what the jq FILTER makes of its spec.
lease() {
	api "/apis/coordination.k8s.io/v1/namespaces/instancepool-system/leases/$NS" | jq -r ".spec | $1"
}

# keeps_lease SECONDS: the leader leads all that time, and never did not.
keeps_lease() {
	stays "$1" "the leader leads, the standby does not" only_the_leader_leads
	[[ $(jq -Rr 'fromjson? | .msg | select(test("leading"))' "$LEADER_LOG") == leading ]]
	[[ $(lease .leaseTransitions) == 0 ]]
}

only_the_leader_leads() {
	OPERATOR_LOG=$LEADER_LOG leads && fails leads
}

# with_clock FILE: a program whose wall clock is off by what the file says at the time, e.g. "+2h"; its monotonic clock
# is right. Only ahead of the real time: the API server's certificate is as old as the cluster.
with_clock() {
	local library program=$1.program
	library=$(find /usr/lib -name libfaketimeMT.so.1 | head -n 1)
	[[ -n $library ]]
	# The sanitizer insists on being the first library.
	cat >"$program" <<SH
#!/bin/sh
export LD_PRELOAD="$(ldd "$E2E_OPERATOR" | awk '/libasan/ { print $3 }') $library"
export FAKETIME_TIMESTAMP_FILE=$1 FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
exec "$E2E_OPERATOR" "\$@"
SH
	chmod +x "$program"
	E2E_OPERATOR=$program
}

# renewed_ahead FROM TO: the lease says that it was renewed so many seconds ahead of the real time.
renewed_ahead() {
	lease "(.renewTime | sub(\"\\\\.[0-9]+Z\"; \"Z\") | fromdate) - now | . > $1 and . < $2" | grep -x true
}

# suspended_leader_is_silent SECONDS: the standby goes on meanwhile, and afterwards the old leader writes nothing.
suspended_leader_is_silent() {
	local since before
	need_audit_log
	start_two
	real_life_nodes "$P5" 3
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	since=$SECONDS
	kill -STOP "$LEADER"
	wait_for 20 "the standby to lead" leads
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 3 0
	sleep 2
	while ((SECONDS < since + $1)); do
		sleep 0.5
	done
	before=$(writes | wc -l)
	kill -CONT "$LEADER"
	sleep 5
	[[ $(writes | wc -l) == "$before" ]]
	kill -TERM "$LEADER"
	wait "$LEADER"
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
	suspended_leader_is_silent 20
}

@test "a leader that was suspended for 60 s writes nothing either (real-life nodes)" {
	suspended_leader_is_silent 60
}

@test "a standby whose wall clock is 2 h ahead does not take the lease of a living leader" {
	nodes "$P5" 2
	start_leader
	echo +2h >"$T/clock"
	with_clock "$T/clock"
	start_standby
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	keeps_lease 20
	kill -9 "$LEADER"
	wait "$LEADER" 2>/dev/null || true
	wait_for 17 "the standby to lead" leads
	wait_for 5 "its clock in the lease" renewed_ahead 7100 7300
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
}

@test "a leader whose wall clock jumps by hours, ahead and back, keeps the lease" {
	nodes "$P5" 3
	plain=$E2E_OPERATOR
	echo +0 >"$T/clock"
	with_clock "$T/clock"
	start_leader
	E2E_OPERATOR=$plain
	start_standby
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	echo +3h >"$T/clock"
	wait_for 5 "the jump in the lease" renewed_ahead 10700 10900
	keeps_lease 17
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
	echo +0 >"$T/clock"
	wait_for 5 "the jump back in the lease" renewed_ahead -100 100
	keeps_lease 17
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 3 0
	fails leads
	kill -TERM "$LEADER"
	wait "$LEADER"
}
