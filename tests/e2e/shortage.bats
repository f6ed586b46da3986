#!/usr/bin/env bats
# Many endpoints after the same few nodes: what one finds out, all know, and one at a time asks again.

load helpers

NO_EVENTS='.objectRef.resource != "events"'

# counts TYPE: the operator's writes to Deployments of that type that are there, by the audit log: one for each time that it
# was asked for an instance, and one for each time that this was taken back.
counts() {
	writes ".verb == \"patch\" and .objectRef.resource == \"deployments\" and (.objectRef.name | contains(\"-${1//./-}-\"))" | wc -l
}

all_ipe() {
	api "$GROUP/namespaces/$NS/instancepoolendpoints" | jq -e "
		def is(\$type): any(.status.conditions[]?; .type == \$type and .status == \"True\");
		$1"
}

all_pods_ready() {
	[[ $(api "/api/v1/namespaces/$NS/pods" | jq '[.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length') == "$1" ]]
}

@test "two endpoints after the last node of a type: one has it, the other falls back, and is quiet (real-life nodes)" {
	need_audit_log
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start
	READY_AFTER=1s STOP_AFTER=1s apply_model llm
	for name in a b; do
		apply_endpoint "$name" <<-YAML
			modelName: llm
			instanceCount: 1
			capacity: {retryAfterSeconds: 10, rebalance: Active}
			instancePools:
			- {instanceType: $P5, priority: 1}
			- {instanceType: $G6, priority: 2}
		YAML
	done
	wait_for 40 "all are served" all_ipe '[.items[].status.currentInstanceCount] == [1, 1]'
	wait_for 20 "one in each pool" all_ipe '[.items[].status.instancePools[].currentInstanceCount] | sort == [0, 0, 1, 1]'
	winner=$(all_ipe '[.items[] | select(.status.instancePools[0].currentInstanceCount == 1)][0].metadata.name' | tr -d '"')
	first=$(uids "$winner")
	before=$(counts "$P5")
	sleep 60
	counts=$(($(counts "$P5") - before))
	echo "writes to Deployments of $P5 in 60 s: $counts"
	# The one that would move asks after 10, 20, 40 s; the other never.
	((counts >= 1 && counts <= 8))
	[[ $(uids "$winner") == "$first" ]]
	never_seen endpoints '.status.phase == "InService" and .status.currentInstanceCount < 1'
}

@test "200 endpoints after a type with 3 nodes: one at a time asks again, and nodes that come are all used" {
	need_audit_log
	nodes "$P5" 3
	operator_start
	apply_model llm
	for i in {1..200}; do
		endpoint "e$i" <<-YAML
			modelName: llm
			instanceCount: 1
			capacity: {retryAfterSeconds: 10}
			instancePools:
			- {instanceType: $P5, priority: 1}
			- {instanceType: $G6, priority: 2}
		YAML
		echo ---
	done | k apply -f - >/dev/null
	wait_for 90 "everybody knows" all_ipe '
		[.items[] | select(.status.phase == "InService" or is("InsufficientCapacity"))] | length == 200'
	echo "writes to Deployments of $P5 until everybody knew: $(counts "$P5")"
	all_pods_ready 3
	wait_for 40 "most wait for their turn, not for a time of their own" all_ipe '
		[.items[].status.instancePools[] | select(.nextRetryTime)] | length <= 4'
	p5=$(counts "$P5") g6=$(counts "$G6") all=$(writes "$NO_EVENTS" | wc -l)
	sleep 60
	p5=$(($(counts "$P5") - p5)) g6=$(($(counts "$G6") - g6)) all=$(($(writes "$NO_EVENTS" | wc -l) - all))
	echo "in 60 s: $p5 writes to Deployments of $P5, $g6 to those of $G6, $all in all but for events"
	# A try takes 3 s and more, and 15 s lie between two: the time that another pool would take.
	((p5 >= 2 && p5 <= 10 && g6 >= 2 && g6 <= 10))
	# Two counts and three or four statuses for each try, and not a word by those who wait.
	((all <= 3 * (p5 + g6 + 4)))

	before=$(counts "$P5")
	operator_stop
	operator_start
	sleep 8
	p5=$(($(counts "$P5") - before))
	echo "in 8 s from a restart: $p5 writes to Deployments of $P5"
	((p5 <= 4))

	before=$(counts "$P5") started=$SECONDS
	nodes "$P5" 5
	wait_for 60 "all nodes used" all_pods_ready 8
	echo "5 more nodes were used after $((SECONDS - started)) s"
	sleep 10
	p5=$(($(counts "$P5") - before))
	echo "meanwhile: $p5 writes to Deployments of $P5"
	# Each node by one, and one or two who find that there are no more.
	((p5 >= 5 && p5 <= 9))
	all_ipe '[.items[].status.currentInstanceCount] | add == 8'
}
