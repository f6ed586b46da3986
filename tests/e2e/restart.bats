#!/usr/bin/env bats
# The operator dies and comes back.

load helpers

# Five endpoints, one after the other, so that each kill meets them at five different moments of a fallback.
@test "kill -9 at many moments of a fallback: it goes on where it was, nothing twice, nothing lost (real-life nodes)" {
	local i
	for i in 1 2 3 4 5; do
		real_life_nodes "$P5-$i" 1
		real_life_nodes "$G6-$i" 2
	done
	operator_start
	READY_AFTER=1s apply_model llm
	for i in 1 2 3 4 5; do
		P5=$P5-$i G6=$G6-$i two_pools "llm$i" 3
		sleep 0.3
		operator_kill
		operator_start
		sleep "0.$i"
	done
	for i in 1 2 3 4 5 6; do
		sleep "0.$((i * 3 % 10))"
		operator_kill
		operator_start
	done
	for i in 1 2 3 4 5; do
		settles 40 "llm$i" 1 2
	done
	[[ $(objects deployments) == 10 && $(objects services) == 5 && $(objects poddisruptionbudgets) == 5 && $(objects pods) == 15 ]]
	[[ $(k get replicasets -o name | wc -l) == 10 ]]
	# Three pods on each first choice, of which two were cancelled, and two on each fallback: nothing was asked twice.
	created=$(jq -s '[.[].object.metadata.uid] | unique | length' "$T/pods.jsonl")
	echo "$created pods were created"
	((created == 25))
	if [[ -r ${E2E_AUDIT_LOG:-} ]]; then
		[[ $(writes '.verb == "create" and .objectRef.resource == "deployments" and .responseStatus.code == 201' | wc -l) == 10 ]]
	fi
}

@test "kill -9 in a scale-in and during the wait for capacity: counts are right afterwards (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 3
	operator_start
	apply_model llm
	two_pools llm 4
	settles 25 llm 1 3
	best=$(k get pods -l "inference.instancepool.dev/instance-type=$P5" -o jsonpath='{.items[*].metadata.uid}')
	k scale ipe llm --replicas 2 >/dev/null
	operator_kill
	operator_start
	settles 15 llm 1 1
	k scale ipe llm --replicas 6 >/dev/null
	wait_for 20 "InsufficientCapacity" ipe_is llm 'is("InsufficientCapacity")'
	before=$(ipe llm -c '[.status.instancePools[] | [.nextRetryTime, .strikes]]')
	operator_kill
	operator_start
	stays 4 "the same next retry" test_retry "$before"
	wait_for 10 "four pods" pods_number llm 4
	grep -qF "$best" <(uids llm)
}

test_retry() {
	[[ $(ipe llm -c '[.status.instancePools[] | [.nextRetryTime, .strikes]]') == "$1" ]]
}

@test "a restart with nothing to do writes nothing" {
	need_audit_log
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 2
	settles 20 llm 1 1
	sleep 2
	operator_stop
	before=$(writes | wc -l)
	((before > 0))
	operator_start
	sleep 4
	writes | tail -n +"$((before + 1))"
	[[ $(writes | wc -l) == "$before" ]]
}

@test "SIGTERM in the middle of work ends the operator at once with exit code 0" {
	nodes "$P5" 1
	operator_start
	apply_model llm
	two_pools llm 3
	two_pools other 2
	operator_stop
	logged '.msg == "shutting down" and .signal == 15'
	operator_start
	operator_stop
}
