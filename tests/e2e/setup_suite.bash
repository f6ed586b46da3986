# shellcheck shell=bash
# Once before all tests. Needs KUBECONFIG, and E2E_OPERATOR (the program). hack/e2e sets both.

# shellcheck source=tests/e2e/cluster.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/cluster.bash"

setup_suite() {
	export E2E_ROOT E2E_RUN
	E2E_ROOT=$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd)
	[[ -n ${KUBECONFIG:-} && -x ${E2E_OPERATOR:-} ]] || {
		echo "KUBECONFIG and E2E_OPERATOR must be set: start the suite with hack/e2e"
		return 1
	}
	E2E_RUN=$(printf '%04x' "$((RANDOM * 2 + RANDOM % 2))")
	cluster_prepare "$BATS_SUITE_TMPDIR" && cluster_await_garbage_collector
}

teardown_suite() {
	cluster_release "$BATS_SUITE_TMPDIR"
}
