#!/usr/bin/env bats
# The client alone, as any program would use it: docs/examples/kube-list-watch-patch.c with the ASan build.

load helpers

setup_file() {
	EXAMPLE=$E2E_ROOT/build/asan-gcc/examples/kube-list-watch-patch
	make -C "$E2E_ROOT" --no-print-directory BUILD=asan CC=gcc "${EXAMPLE#"$E2E_ROOT/"}" >&2
	export EXAMPLE
}

@test "the client's example lists, patches and watches, with a token file and a CA file" {
	may_use_configmaps
	k create configmap one >/dev/null
	k create configmap two >/dev/null
	k create token client >"$T/token"
	cluster_part '.clusters[0].cluster."certificate-authority-data"' | jq -r . | base64 -d >"$T/ca.crt"
	cluster_part '
		del(.clusters[0].cluster."certificate-authority-data")
		| .clusters[0].cluster."certificate-authority" = "ca.crt"
		| .contexts[0].context.user = "client"
		| .users = [{name: "client", user: {tokenFile: "token"}}]' >"$T/kubeconfig"
	example_start "$T/kubeconfig" one

	wait_for 10 "the list" grep -qx '+ two ' "$LOG"
	# kube-root-ca.crt is in every namespace, sooner or later.
	wait_for 10 "the end of the list" grep -qE '^[23] ConfigMaps$' "$LOG"
	wait_for 10 "the outcome of the patch" grep -qE '^patch of one: done [0-9]+ $' "$LOG"
	wait_for 10 "the patch as the watch shows it" grep -qx '~ one yes' "$LOG"
	[[ $(k get configmap one -o 'jsonpath={.metadata.annotations.example\.com/seen}') == yes ]]

	k create configmap three >/dev/null
	wait_for 10 "what is new" grep -qx '+ three ' "$LOG"
	k delete configmap one two >/dev/null
	wait_for 10 "what is deleted" grep -qx -- '- one yes' "$LOG"
	wait_for 10 "what is deleted, not annotated" grep -qx -- '- two ' "$LOG"
	example_stop
}

@test "the client runs a credential plugin, from merged kubeconfigs, and again before the credential expires" {
	may_use_configmaps
	k create configmap one >/dev/null
	local token
	token=$(k create token client)
	mkdir "$T/users"
	cat >"$T/users/plugin" <<-SH
		#!/bin/sh
		echo "\$1" >>"$T/runs"
		printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{%s,"%s":"%s"}}' \\
			'"token":"$token"' expirationTimestamp "\$(date -u -d '+6 seconds' +%FT%TZ)"
	SH
	chmod +x "$T/users/plugin"
	cluster_part '{clusters, contexts} | .contexts[0].context.user = "client"' >"$T/clusters"
	cluster_part '{
		"current-context": ."current-context",
		users: [{name: "client", user: {exec: {
			apiVersion: "client.authentication.k8s.io/v1", command: "./plugin", args: ["it"],
			interactiveMode: "Never", provideClusterInfo: true}}}]}' >"$T/users/config"
	example_start "$T/missing:$T/users/config:$T/clusters" one
	wait_for 10 "the outcome of the patch" grep -qE '^patch of one: done [0-9]+ $' "$LOG"
	wait_for 15 "another run of the plugin" runs_at_least 2
	example_stop
	fails grep -qF "$token" "$LOG"
}

may_use_configmaps() {
	k create serviceaccount client >/dev/null
	k create role client --verb=get,list,watch,patch --resource=configmaps >/dev/null
	k create rolebinding client --role=client --serviceaccount="$NS:client" >/dev/null
}

# cluster_part FILTER: of the administrator's kubeconfig, its present context alone.
cluster_part() {
	kubectl config view --minify --flatten --raw -o json | jq "$1"
}

# example_start KUBECONFIG NAME
example_start() {
	LOG=$T/example.log
	KUBECONFIG=$1 "$EXAMPLE" "$NS" "$2" >"$LOG" 2>&1 3>&- &
	EXAMPLE_PID=$!
	# shellcheck disable=SC2034 # for helpers.bash
	AT_END=(show_and_kill "$EXAMPLE_PID")
}

show_and_kill() {
	sed 's/^/example: /' "$LOG"
	kill -9 "$1" 2>/dev/null
}

example_stop() {
	kill -TERM "$EXAMPLE_PID"
	wait "$EXAMPLE_PID"
	fails grep -E 'AddressSanitizer|LeakSanitizer|runtime error|again in' "$LOG"
}

runs_at_least() {
	(($(wc -l <"$T/runs") >= $1))
}
