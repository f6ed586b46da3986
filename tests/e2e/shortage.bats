#!/usr/bin/env bats
# Many endpoints after the same few nodes: what one finds out, all know, and one at a time asks again.

load helpers

NO_EVENTS='.objectRef.resource != "events"'

setup_deployments() {
	record deployments "/apis/apps/v1/namespaces/$NS/deployments"
}

# asks TYPE: how often a Deployment of that type was asked for more, as far as the watch has shown.
asks() {
	jq -s --arg pool "-${1//./-}-" '
		reduce (.[].object | select(.metadata.name | contains($pool))) as $d ({};
			.n += (if $d.spec.replicas > (.last[$d.metadata.name] // 0) then 1 else 0 end)
			| .last[$d.metadata.name] = $d.spec.replicas) | .n // 0' "$T/deployments.jsonl"
}

# patches TYPE: the operator's writes to such Deployments that are there, by the audit log: each ask, and each end of one.
patches() {
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
	setup_deployments
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
	before=$(asks "$P5")
	sleep 60
	tries=$(($(asks "$P5") - before))
	echo "asked for $P5 in 60 s: $tries"
	# The one that would move asks after 10, 20, 40 s; the other never.
	((tries >= 1 && tries <= 4))
	[[ $(uids "$winner") == "$first" ]]
	never_seen endpoints '.status.phase == "InService" and .status.currentInstanceCount < 1'
}

@test "200 endpoints after a type with 3 nodes: one at a time asks again, and nodes that come are all used" {
	need_audit_log
	setup_deployments
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
	echo "asked for $P5 until everybody knew: $(asks "$P5")"
	all_pods_ready 3
	wait_for 40 "most wait for their turn, not for a time of their own" all_ipe '
		[.items[].status.instancePools[] | select(.nextRetryTime)] | length <= 4'
	p5=$(asks "$P5") g6=$(asks "$G6") p5_patches=$(patches "$P5") all=$(writes "$NO_EVENTS" | wc -l)
	sleep 60
	p5=$(($(asks "$P5") - p5)) g6=$(($(asks "$G6") - g6)) p5_patches=$(($(patches "$P5") - p5_patches))
	all=$(($(writes "$NO_EVENTS" | wc -l) - all))
	echo "in 60 s: asked for $P5 $p5 times, for $G6 $g6 times; $p5_patches writes to Deployments of $P5, $all writes in all but for events"
	# A try takes 3 s and more, and 15 s lie between two: the time that another pool would take.
	((p5 >= 2 && p5 <= 5 && g6 <= 5))
	((p5_patches <= 2 * 5))
	# Two counts and three or four statuses for each try, and not a word by those who wait.
	((all <= 6 * (p5 + g6 + 2)))

	before=$(asks "$P5")
	operator_stop
	operator_start
	sleep 8
	tries=$(($(asks "$P5") - before))
	echo "asked for $P5 within 8 s of a restart: $tries"
	((tries <= 2))

	before=$(asks "$P5") started=$SECONDS
	nodes "$P5" 5
	wait_for 20 "all nodes used" all_pods_ready 8
	echo "5 more nodes were used after $((SECONDS - started)) s"
	sleep 10
	tries=$(($(asks "$P5") - before))
	echo "asked for $P5 meanwhile: $tries"
	# Each node by one, and the one who finds that there are no more.
	((tries >= 5 && tries <= 7))
	all_ipe '[.items[].status.currentInstanceCount] | add == 8'
}
