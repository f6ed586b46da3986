#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# What hits the whole cluster, so on one of its own: the CRDs are not there, the API server dies.

# One after the other.
BATS_NO_PARALLELIZE_WITHIN_FILE=true

load helpers
load cluster

setup_file() {
	export KUBECONFIG E2E_CLUSTER=e2e-$E2E_RUN
	"$E2E_ROOT/hack/cluster" --name "$E2E_CLUSTER" up >&2 3>&-
	KUBECONFIG=$("$E2E_ROOT/hack/cluster" --name "$E2E_CLUSTER" kubeconfig)
	cluster_prepare "$BATS_FILE_TMPDIR"
}

teardown_file() {
	cluster_release "$BATS_FILE_TMPDIR"
	"$E2E_ROOT/hack/cluster" --name "$E2E_CLUSTER" down >&2 3>&-
}

# And kwok: unlike a kubelet it takes a minute to find back by itself, and the nodes' leases run out.
apiserver_kill() {
	local name pid
	for name in kube-apiserver kwok-instant; do
		read -r pid _ <"$(dirname -- "$KUBECONFIG")/run/$name.pid"
		kill -9 "$pid"
	done
}

cluster_up() {
	"$E2E_ROOT/hack/cluster" --name "$E2E_CLUSTER" up 3>&-
}

# missing_crd PLURAL: a jq filter for the line that says so.
missing_crd() {
	printf '.msg == "watch failed and is tried again" and .resource == "%s" and .httpStatus == 404 and .hint == "%s"' \
		"$1" "CustomResourceDefinition $1.inference.instancepool.dev is not installed: kubectl apply -f crds/"
}

delete_crds() {
	kubectl delete -f "$E2E_ROOT/crds" >/dev/null
}

apply_crds() {
	(cd "$E2E_ROOT" && kubectl apply --server-side --force-conflicts -f crds/ >/dev/null)
	wait_for 20 "the CRDs to be served" kubectl get ipe,models -A
}

@test "CRDs that are not there, at the start and later: one line each that says which and what to do; applied, it goes on" {
	EXPECTED_LOG='"httpStatus":404'
	AT_END=(apply_crds)
	nodes "$P5" 1
	delete_crds
	operator_launch
	complains 10 2 "$(missing_crd instancepoolendpoints)" "$(missing_crd models)"
	not_ready 'waiting to hear of instancepoolendpoints: the server has no resource "instancepoolendpoints"'
	not_ready 'kubectl apply -f crds/'
	apply_crds
	wait_for 40 "the operator to be ready" operator_get /readyz
	logged '.msg == "watch goes on" and .resource == "models"'
	apply_model llm
	two_pools llm 1
	settles 30 llm 1 0

	# Long enough for it to be another outage.
	sleep 12
	delete_crds
	complains 10 4 "$(missing_crd instancepoolendpoints)" "$(missing_crd models)"
	wait_for 10 "/readyz to say so" not_ready 'kubectl apply -f crds/'
	apply_crds
	apply_model llm
	two_pools llm 1
	# What is left of the other endpoint of that name goes first.
	settles 90 llm 1 0
	complains 0 4
}

@test "CRDs of an older version, which refuse statuses: one line that says so, and /readyz; applied anew, it goes on" {
	EXPECTED_LOG='field not declared in schema'
	AT_END=(apply_crds)
	nodes "$P5" 2
	kubectl get crd instancepoolendpoints.inference.instancepool.dev -o json |
		jq 'del(.spec.versions[].schema.openAPIV3Schema.properties.status.properties.instancePools.items.properties.since)
			| del(.metadata.managedFields)' | kubectl replace -f - >/dev/null
	operator_start
	apply_model llm
	two_pools llm 1
	two_pools other 1
	complains 12 1 '.msg == "statuses cannot be written" and (.hint | test("older than the operator: kubectl apply --server-side -f crds/$"))'
	not_ready 'the CustomResourceDefinitions are older than the operator'
	[[ $(k get pods -o name | wc -l) == 2 ]]
	(cd "$E2E_ROOT" && kubectl apply --server-side --force-conflicts -f crds/ >/dev/null)
	settles 30 llm 1 0
	settles 30 other 1 0
	wait_for 20 "the operator to be ready" operator_get /readyz
	logged '.msg == "statuses are written again"'
	complains 0 1
}

@test "the API server is killed and comes back: one line, and all goes on" {
	nodes "$P5" 3
	operator_start --node-autoscaler auto
	apply_model llm
	two_pools llm 1
	two_pools other 1
	settles 20 llm 1 0
	settles 20 other 1 0
	apiserver_kill
	# Not one for each watch, whatever the server says while it starts.
	complains 10 1 '.msg == "requests to the API server fail and are tried again" and (.error | test("connection refused$"))'
	wait_for 10 "/readyz to say so" not_ready ': connection refused'
	cluster_up
	wait_for 20 "the recovery" logged '.msg == "the API server answers again"'
	k scale ipe llm --replicas 2 >/dev/null
	settles 60 llm 2 0 # the controllers come back after their leases
	complains 0 1
}

# reads_since LINE: what the operator asked for since that line of the audit log.
reads_since() {
	tail -n "+$(($1 + 1))" "$E2E_AUDIT_LOG" |
		grep -F '"username":"system:serviceaccount:instancepool-system:instancepool-operator"'
}

@test "an API server that does not stream lists: all is read in pages, and served" {
	E2E_AUDIT_LOG=$(dirname -- "$KUBECONFIG")/log/audit.log
	apiserver_kill
	INSTANCEPOOL_CLUSTER_FEATURES=WatchList=false cluster_up
	nodes "$P5" 1
	since=$(wc -l <"$E2E_AUDIT_LOG")
	operator_start --node-autoscaler external
	apply_model llm
	two_pools llm 1
	settles 60 llm 1 0
	complains 0 0
	listed=$(reads_since "$since" | jq -r 'select(.verb == "list" and .responseStatus.code == 200).objectRef.resource' | sort -u)
	[[ $(tr '\n' ' ' <<<"$listed") == \
		"deployments events instancepoolendpoints models nodes poddisruptionbudgets pods services " ]]
	reads_since "$since" >>"${E2E_OTHER_AUDIT_LOG:-/dev/null}"
}
