#!/usr/bin/env bats
# Drains: how many instances may go at a time.

load helpers

# evict POD: as kubectl drain does it.
evict() {
	api "/api/v1/namespaces/$NS/pods/$1/eviction" -X POST -H 'Content-Type: application/json' --data-binary \
		"{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"$NS\"}}"
}

# The one pod of a type.
pod_on() {
	k get pods -l "inference.instancepool.dev/instance-type=$1" -o json | jq -re '.items | if length == 1 then .[0].metadata.name else empty end'
}

# Is it another one than POD?
replaced() {
	local now
	now=$(pod_on "$P5") && [[ $now != "$1" ]]
}

allows() {
	[[ $(k get poddisruptionbudget llm -o jsonpath='{.status.disruptionsAllowed}') == "$1" ]]
}

# Of those that serve none keeps the marks that it was born with.
unprotected() {
	k get pods -o json | jq -e '[.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))
		| .metadata.annotations // {} | keys[] | select(IN("inference.instancepool.dev/protected-until-ready",
			"karpenter.sh/do-not-disrupt", "cluster-autoscaler.kubernetes.io/safe-to-evict"))] == []'
}

refuses() {
	local answer
	if answer=$(evict "$1" 2>/dev/null); then
		return 1
	fi
	jq -e '.code == 429 and (.message | test("disruption budget"))' <<<"$answer"
}

@test "one instance at a time may be evicted, of all pools together; a broken one always (real-life nodes)" {
	local best fallback
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=5s apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 2
instancePools:
- {instanceType: $P5, priority: 1, maxInstanceCount: 1}
- {instanceType: $G6, priority: 2}
YAML
	settles 30 llm 1 1
	k get poddisruptionbudget llm -o json | jq -e '.metadata.ownerReferences[0].name == "llm" and .metadata.ownerReferences[0].controller'
	wait_for 10 "one disruption to be allowed" allows 1
	wait_for 10 "instances without protection" unprotected
	best=$(pod_on "$P5") fallback=$(pod_on "$G6")
	evict "$best"
	refuses "$fallback"
	wait_for 30 "another instance in the place of $best" replaced "$best"
	settles 30 llm 1 1
	wait_for 10 "one disruption to be allowed again" allows 1

	best=$(pod_on "$P5")
	k patch pod "$best" --subresource status -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}' >/dev/null
	wait_for 10 "no disruption to be allowed" allows 0
	refuses "$fallback"
	evict "$best"
	settles 30 llm 1 1
}

@test "the budget is there again when somebody has deleted it" {
	nodes "$P5" 1
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	k delete poddisruptionbudget llm >/dev/null
	wait_for 10 "the budget" k get poddisruptionbudget llm
}
