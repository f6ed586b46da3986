#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2034 # variables for helpers.bash; each test has its own
# Nodes that are gone, that nobody hears of, or that are to go: what runs there is replaced before it goes, and once.

load helpers

# all_serve COUNT: COUNT instances on the best pool. LOST_NODE is one's node, LOST its uid, KEPT are the others'.
all_serve() {
	two_pools llm "$1"
	settles 45 llm "$1" 0
	LOST=$(uids llm | head -n 1)
	KEPT=$(uids llm | tail -n +2)
	LOST_NODE=$(node_of "$LOST")
	SERVED_AT=$(ipe llm -r .metadata.resourceVersion)
}

node_of() {
	api "/api/v1/namespaces/$NS/pods" | jq -r --arg uid "$1" '.items[] | select(.metadata.uid == $uid).spec.nodeName'
}

# Has no more than WANTED instances and those of the nodes that are lost been asked for at any time?
never_more_than() {
	never_seen endpoints ".metadata.name == \"llm\" and ([.status.instancePools[]?.desiredInstanceCount] | add // 0) > $1"
}

# The status never told of fewer Ready instances.
never_fewer_than() {
	never_seen endpoints ".metadata.name == \"llm\" and (.metadata.resourceVersion | tonumber) >= $SERVED_AT and .status.currentInstanceCount < $1"
}

# LOST went, and not before one that is not of KEPT was Ready.
went_after_its_replacement() {
	jq -se --arg lost "$LOST" --arg kept "$KEPT" '
		($kept | split("\n")) as $kept
		| ([.[] | select(.object.metadata.uid == $lost and (.type == "DELETED" or .object.metadata.deletionTimestamp != null))
			| .object.metadata.resourceVersion | tonumber] | min) as $went
		| ([.[].object | select(.metadata.uid | . != $lost and (IN($kept[]) | not))
			| select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))
			| .metadata.resourceVersion | tonumber] | min) as $ready
		| $went != null and $ready != null and $ready < $went' "$T/pods.jsonl"
}

# One was lost of COUNT; it alone was replaced, ahead.
replaced_ahead() {
	expect_event llm ReplacingInstances
	fails grep -qF "$LOST" <(uids llm)
	[[ -z $(comm -23 <(echo "$KEPT") <(uids llm)) ]]
	seen endpoints "([.status.instancePools[]?.desiredInstanceCount] | add // 0) == $(($1 + 1))"
	never_more_than "$(($1 + 1))"
	went_after_its_replacement
	never_seen endpoints '.status.phase == "Failed"'
}

# loses_contact NODE: as when nothing has been heard of its kubelet for long. kwok, which would heal it, lets go of it; the
# controllers do the rest.
loses_contact() {
	kubectl annotate node "$1" kwok.x-k8s.io/node- >/dev/null
	node_ready "$1" Unknown NodeStatusUnknown "Kubelet stopped posting node status."
	wait_for 15 "the taint of an unreachable node" is_tainted "$1" node.kubernetes.io/unreachable
}

# node_ready NODE STATUS REASON MESSAGE
node_ready() {
	kubectl patch node "$1" --subresource status --type strategic -p "$(jq -n --arg now "$(date -u +%FT%TZ)" '{status: {conditions: [
		{type: "Ready", status: $ARGS.positional[0], reason: $ARGS.positional[1], message: $ARGS.positional[2],
			lastTransitionTime: $now}]}}' --args "${@:2}")" >/dev/null
}

# is_heard_of NODE POD: contact is back, and the kubelet tells that its pod has been Ready all the time.
is_heard_of() {
	node_ready "$1" True KubeletReady "kubelet is posting ready status"
	k patch pod "$2" --subresource status --type strategic -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null
}

is_tainted() {
	kubectl get node "$1" -o json | jq -e --arg key "$2" 'any(.spec.taints[]?; .key == $key)'
}

@test "a node is deleted: its instance is replaced ahead (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	all_serve 2
	kubectl delete node "$LOST_NODE" --wait=false >/dev/null
	# Long before the garbage collector of pods does it: that waits 40 s at least.
	wait_for 35 "three asked" ipe_is llm '[.status.instancePools[].desiredInstanceCount] | add == 3'
	settles 60 llm 1 1
	replaced_ahead 2
	never_fewer_than 2
}

@test "an interruption notice: the next pool replaces the instance before the node goes (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	all_serve 2
	kubectl taint node "$LOST_NODE" aws-node-termination-handler/spot-itn=1:NoSchedule >/dev/null
	settles 45 llm 1 1
	replaced_ahead 2
	never_fewer_than 2
	# Neither was a stock-out of the first pool: it had no room, as everybody knew.
	stays 5 "one and one" is_settled llm 1 1
}

@test "a node that an autoscaler removes: the best pool replaces the instance, and none of the others goes (real-life nodes)" {
	real_life_nodes "$P5" 4
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	all_serve 3
	kubectl taint node "$LOST_NODE" ToBeDeletedByClusterAutoscaler=1764115200:NoSchedule >/dev/null
	wait_for 15 "one that takes its place" ipe_is llm 'pool(0).desiredInstanceCount == 4'
	settles 45 llm 3 0
	replaced_ahead 3
	never_fewer_than 3
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0)'
	# One pod took its place, and only one.
	[[ $(jq -s '[.[].object.metadata.uid] | unique | length' "$T/pods.jsonl") == 4 ]]
}

@test "two nodes at once are two replacements, not more (real-life nodes)" {
	real_life_nodes "$P5" 3
	real_life_nodes "$G6" 3
	operator_start
	READY_AFTER=5s apply_model llm
	all_serve 3
	KEPT=$(tail -n 1 <<<"$KEPT")
	kept_node=$(node_of "$KEPT")
	for node in "${P5//./-}"-{0,1,2}; do
		[[ $node == "$kept_node" ]] ||
			kubectl taint node "$node" aws-node-termination-handler/spot-itn=1:NoSchedule >/dev/null
		sleep 1
	done
	settles 60 llm 1 2
	expect_event llm ReplacingInstances
	grep -qF "$KEPT" <(uids llm)
	never_more_than 5
	never_fewer_than 3
	stays 5 "one and two" is_settled llm 1 2
	pods_number llm 3 '.metadata.deletionTimestamp == null'
}

@test "nowhere to go: a doomed instance serves as long as it can, and is replaced when there is room (real-life nodes)" {
	real_life_nodes "$P5" 2
	operator_start
	apply_model llm
	all_serve 2
	kubectl taint node "$LOST_NODE" aws-node-termination-handler/spot-itn=1:NoSchedule >/dev/null
	wait_for 40 "InsufficientCapacity" ipe_is llm 'is("InsufficientCapacity")'
	stays 10 "both serve" has_ready_pods llm 2 0
	real_life_nodes "$P5" 1
	settles 60 llm 2 0
	replaced_ahead 2
	never_fewer_than 2
}

@test "nothing is heard of a node: its instance is replaced ahead (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	all_serve 2
	loses_contact "$LOST_NODE"
	settles 45 llm 1 1
	replaced_ahead 2
	stays 5 "one and one" is_settled llm 1 1
}

@test "a node that is heard of again within a minute keeps its instance, and nothing is left over (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=25s apply_model llm
	all_serve 2
	lost_pod=$(k get pods -o json | jq -r --arg uid "$LOST" '.items[] | select(.metadata.uid == $uid).metadata.name')
	loses_contact "$LOST_NODE"
	wait_for 15 "one that takes its place" ipe_is llm '[.status.instancePools[].desiredInstanceCount] | add == 3'
	sleep 5
	is_heard_of "$LOST_NODE" "$lost_pod"
	settles 60 llm 2 0
	stays 10 "both, and no other" is_settled llm 2 0
	[[ $(uids llm) == "$(sort <<<"$LOST"$'\n'"$KEPT")" ]]
	never_more_than 3
}
