#!/usr/bin/env bats
# Another version of the operator takes over.

load helpers

@test "a version that renders otherwise restarts nothing and writes no Deployment; what it makes is as it renders (real-life nodes)" {
	local before deployments
	need_audit_log
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start
	READY_AFTER=1s apply_model llm
	two_pools llm 2
	settles 30 llm 1 1
	uids llm >"$T/before"
	deployments=$(k get deployments -o json | jq -c '[.items[] | [.metadata.uid, .metadata.generation, .spec]]')
	operator_stop
	before=$(writes | wc -l)

	E2E_OPERATOR=$E2E_RELABELLED operator_start
	two_pools new 1
	settles 20 new 0 1
	k get pods,deployments -l inference.instancepool.dev/endpoint=new -o json | jq -e '
		[.items[] | .spec.template.metadata // .metadata | .labels["example.com/version"]] | length == 3 and all(. == "new")'
	sleep 2
	settles 5 llm 1 1
	diff "$T/before" <(uids llm)
	[[ $(k get deployments -l inference.instancepool.dev/endpoint=llm -o json | jq -c '[.items[] | [.metadata.uid, .metadata.generation, .spec]]') == "$deployments" ]]
	writes | tail -n +"$((before + 1))" | tee "$T/writes"
	fails grep -E '/(deployments|instancepoolendpoints)/llm(-|/|\?)' "$T/writes"
	[[ $(grep -cE '/deployments\?' "$T/writes") == 2 ]]
}
