# shellcheck shell=bash
# Once before all tests. hack/e2e-real sets KUBECONFIG and E2E_CLUSTER, the name of the hack/cluster if it is one.

# shellcheck source=tests/e2e/cluster.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/../e2e/cluster.bash"

setup_suite() {
	export E2E_ROOT E2E_RUN
	E2E_ROOT=$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd)
	[[ -n ${KUBECONFIG:-} && -n ${E2E_CLUSTER+set} ]] || {
		echo "KUBECONFIG and E2E_CLUSTER must be set: start the suite with hack/e2e-real"
		return 1
	}
	E2E_RUN=$(printf '%04x' "$((RANDOM * 2 + RANDOM % 2))")
	cluster_proxy "$BATS_SUITE_TMPDIR"
}

teardown_suite() {
	cluster_release "$BATS_SUITE_TMPDIR"
}
