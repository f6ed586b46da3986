# shellcheck shell=bash
# Once before all tests: the CRDs, the operator's ServiceAccount and a proxy to the API server, so that looking costs a
# curl and not a kubectl. Needs KUBECONFIG, and E2E_OPERATOR (the program). hack/e2e sets both.

setup_suite() {
	export E2E_ROOT E2E_RUN E2E_SOCKET E2E_ACCOUNT_KUBECONFIG KUBECACHEDIR
	E2E_ROOT=$(cd -- "$BATS_TEST_DIRNAME/../.." && pwd)
	[[ -n ${KUBECONFIG:-} && -x ${E2E_OPERATOR:-} ]] || {
		echo "KUBECONFIG and E2E_OPERATOR must be set: start the suite with hack/e2e"
		return 1
	}
	E2E_RUN=$(printf '%04x' "$((RANDOM * 2 + RANDOM % 2))")
	KUBECACHEDIR=$BATS_SUITE_TMPDIR/kubectl
	E2E_SOCKET=$BATS_SUITE_TMPDIR/api.sock
	E2E_ACCOUNT_KUBECONFIG=$BATS_SUITE_TMPDIR/operator.kubeconfig

	# shellcheck source=hack/lib/install.sh
	source "$E2E_ROOT/hack/lib/install.sh"
	(cd "$E2E_ROOT" && install_objects)
	account_kubeconfig instancepool-system instancepool-operator >"$E2E_ACCOUNT_KUBECONFIG"

	kubectl proxy --unix-socket="$E2E_SOCKET" >"$BATS_SUITE_TMPDIR/proxy.log" 2>&1 3>&- &
	echo $! >"$BATS_SUITE_TMPDIR/proxy.pid"
	local tries
	for ((tries = 0; tries < 50; tries++)); do
		! curl -fsS --unix-socket "$E2E_SOCKET" http://localhost/readyz >/dev/null 2>&1 || return 0
		sleep 0.2
	done
	echo "kubectl proxy does not answer:"
	cat "$BATS_SUITE_TMPDIR/proxy.log"
	return 1
}

teardown_suite() {
	[[ ! -f $BATS_SUITE_TMPDIR/proxy.pid ]] || kill "$(<"$BATS_SUITE_TMPDIR/proxy.pid")" || true
}
