# shellcheck shell=bash
# What a cluster needs before scenarios run on it. For setup_suite.bash, and for files with a cluster of their own.

# cluster_prepare FOLDER: for the cluster of KUBECONFIG: the CRDs and the operator's ServiceAccount, and a proxy to the API
# server. The account's kubeconfig goes into FOLDER, too.
cluster_prepare() {
	export E2E_ACCOUNT_KUBECONFIG=$1/operator.kubeconfig KUBECACHEDIR=$1/kubectl
	# shellcheck source=hack/lib/install.sh
	source "$E2E_ROOT/hack/lib/install.sh"
	(cd "$E2E_ROOT" && install_objects)
	account_kubeconfig instancepool-system instancepool-operator >"$E2E_ACCOUNT_KUBECONFIG"
	cluster_proxy "$1"
}

# cluster_proxy FOLDER: a proxy to the API server, so that looking costs a curl and not a kubectl. Its socket and pid go
# into FOLDER.
cluster_proxy() {
	export E2E_SOCKET=$1/api.sock
	local tries
	kubectl proxy --unix-socket="$E2E_SOCKET" >"$1/proxy.log" 2>&1 3>&- &
	echo $! >"$1/proxy.pid"
	for ((tries = 0; tries < 50; tries++)); do
		! curl -fsS --unix-socket "$E2E_SOCKET" http://localhost/readyz >/dev/null 2>&1 || return 0
		sleep 0.2
	done
	echo "kubectl proxy does not answer:"
	cat "$1/proxy.log"
	return 1
}

# cluster_release FOLDER
cluster_release() {
	[[ ! -f $1/proxy.pid ]] || kill "$(<"$1/proxy.pid")" || true
}

# The garbage collector asks for kinds each half minute, and does nothing for owners of one that it does not know. What it
# fails to delete it leaves alone for longer and longer, so each attempt is made with another pair.
cluster_await_garbage_collector() {
	local tries namespace=e2e-$E2E_RUN-gc status=1
	kubectl create namespace "$namespace" >/dev/null
	for ((tries = 0; tries < 40 && status; tries++)); do
		! orphan_is_collected "$namespace" "try-$tries" || status=0
	done
	kubectl delete namespace "$namespace" --wait=false >/dev/null
	((status == 0)) || echo "the garbage collector does not delete what an InstancePoolEndpoint owned"
	return "$status"
}

# orphan_is_collected NAMESPACE NAME: a ConfigMap goes, within 2 s, with the endpoint that owns it.
orphan_is_collected() {
	local uid look
	uid=$(kubectl create -n "$1" -o 'jsonpath={.metadata.uid}' -f - <<YAML
apiVersion: inference.instancepool.dev/v1alpha1
kind: InstancePoolEndpoint
metadata: {name: $2}
spec: {modelName: none, instanceType: none}
YAML
	)
	kubectl create -n "$1" -f - >/dev/null <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: $2
  ownerReferences:
  - {apiVersion: inference.instancepool.dev/v1alpha1, kind: InstancePoolEndpoint, name: $2, uid: $uid}
YAML
	kubectl delete -n "$1" ipe "$2" >/dev/null
	for ((look = 0; look < 8; look++)); do
		[[ -n $(kubectl get -n "$1" configmap "$2" --ignore-not-found -o name) ]] || return 0
		sleep 0.2
	done
	return 1
}
