#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# An operator for some namespaces alone, which has no right outside of them, not even to read nodes.

load helpers

# An account with the operator's rights in the test's two namespaces and nowhere else.
setup_namespaces() {
	local ns
	OTHER=$NS-b
	kubectl create namespace "$OTHER" >/dev/null
	AT_END=(kubectl delete namespace "$OTHER" --wait=false)
	k create serviceaccount narrow >/dev/null
	for ns in "$NS" "$OTHER"; do
		kubectl get clusterrole instancepool-operator -o json | jq '
			.kind = "Role" | .metadata = {name: "narrow"} | .rules |= map(select(.resources != ["nodes"]))' |
			kubectl apply -n "$ns" -f - >/dev/null
		kubectl create rolebinding narrow -n "$ns" --role=narrow --serviceaccount="$NS:narrow" >/dev/null
	done
	# shellcheck source=hack/lib/install.sh
	source "$E2E_ROOT/hack/lib/install.sh"
	account_kubeconfig "$NS" narrow >"$T/kubeconfig"
	OPERATOR_KUBECONFIG=$T/kubeconfig
}

# in_other COMMAND...: the helpers' namespace is the other one meanwhile.
in_other() {
	local NS=$OTHER
	"$@"
}

@test "two namespaces without any right in the cluster: both are served, with fallback by the scheduler's words" {
	setup_namespaces
	nodes "$P5" 2
	nodes "$G6" 2
	operator_start --namespace "$OTHER" --watch-nodes=false
	apply_model llm
	two_pools llm 1
	in_other apply_model llm
	in_other two_pools llm 2
	settles 30 llm 1 0
	in_other settles 30 llm 1 1
	in_other ipe_is llm 'pool(0) | .reason == "StockOut" and (.message | test("the scheduler says: Insufficient nvidia.com/gpu"))'
	expect_event llm InService
	# Each goes on from its own watch.
	k scale ipe llm --replicas 0 >/dev/null
	settles 20 llm 0 0
	in_other k scale ipe llm --replicas 1 >/dev/null
	in_other settles 20 llm 1 0
	complains 0 0
}

@test "the same without the right to read nodes and without the flag: it says what is missing, and how to do without" {
	local grant="grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm release"
	EXPECTED_LOG='cannot watch resource'
	setup_namespaces
	operator_launch --namespace "$OTHER"
	complains 10 1 '.msg == "watch failed and is tried again" and .resource == "nodes" and .httpStatus == 403
		and .hint == "'"$grant"', or do without: --watch-nodes=false"'
	not_ready 'waiting to hear of nodes: nodes is forbidden'
	not_ready 'or do without: --watch-nodes=false'
}

@test "a namespace whose rights are missing is named; the watches of the other stand" {
	EXPECTED_LOG='cannot watch resource'
	setup_namespaces
	kubectl delete rolebinding narrow -n "$OTHER" >/dev/null
	operator_launch --namespace "$OTHER" --watch-nodes=false
	sleep 10
	logged '.msg == "watch failed and is tried again" and .resource == "pods" and .namespace == "'"$OTHER"'"'
	[[ $(log_count '.level == "warn" and .namespace == "'"$NS"'"') == 0 ]]
	kubectl create rolebinding narrow -n "$OTHER" --role=narrow --serviceaccount="$NS:narrow" >/dev/null
	wait_for 40 "the operator to be ready" operator_get /readyz
	logged '.msg == "watch goes on" and .resource == "pods" and .namespace == "'"$OTHER"'"'
}

@test "what --namespace takes" {
	local value
	for value in A "a,B" "a," "a,,b" ",a"; do
		run "$E2E_OPERATOR" --namespace "$value"
		[[ $status == 2 && $output == *'is no name of a namespace'* ]]
	done
	run "$E2E_OPERATOR" --namespace a,b,a
	[[ $status == 2 && $output == *'"a" is there twice'* ]]
	run "$E2E_OPERATOR" --namespace a --namespace b,a
	[[ $status == 2 && $output == *'"a" is there twice'* ]]
	run "$E2E_OPERATOR" --watch-nodes=never
	[[ $status == 2 && $output == *'--watch-nodes: "never" is neither true nor false'* ]]
}
