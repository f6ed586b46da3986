# shellcheck shell=bash
# A kubeconfig for a ServiceAccount, so that a program outside the cluster runs with the rights it has inside.

# account_kubeconfig NAMESPACE NAME: prints one for the cluster of $KUBECONFIG, with a token for four hours.
account_kubeconfig() {
	local token
	token=$(kubectl create token "$2" --namespace "$1" --duration=4h)
	kubectl config view --minify --flatten --raw -o json | jq --arg token "$token" --arg name "$2" '
		.users = [{name: $name, user: {token: $token}}] | .contexts[].context.user = $name'
}
