# shellcheck shell=bash
# What the operator needs in a cluster when it runs outside of it: the CRDs, its ServiceAccount and rights, and a
# kubeconfig for that account, so that it has the rights that it has inside. For the cluster of $KUBECONFIG.

# install_objects: from crds/ and deploy/ below the current folder.
install_objects() {
	local tries
	kubectl apply --server-side --force-conflicts -f crds >/dev/null
	kubectl apply -f deploy/namespace.yaml -f deploy/rbac.yaml >/dev/null
	# In its first moments a CRD has no conditions, and kubectl wait takes that for an error.
	for ((tries = 0; tries < 20; tries++)); do
		! kubectl wait --for=condition=Established --timeout=30s -f crds >/dev/null 2>&1 || return 0
		sleep 0.5
	done
	kubectl wait --for=condition=Established --timeout=30s -f crds >/dev/null
}

# account_kubeconfig NAMESPACE NAME: prints one with a token for four hours.
account_kubeconfig() {
	local token
	token=$(kubectl create token "$2" --namespace "$1" --duration=4h)
	kubectl config view --minify --flatten --raw -o json | jq --arg token "$token" --arg name "$2" '
		.users = [{name: $name, user: {token: $token}}] | .contexts[].context.user = $name'
}
