# shellcheck shell=bash
# The programs of one cluster and their flags. Everything listens on loopback
# only. Needs CLUSTER_DIR and the other libraries.

# In the order of start.
COMPONENTS=(etcd kube-apiserver kube-controller-manager kube-scheduler kwok-instant kwok-real-life)
# shellcheck disable=SC2034 # for hack/cluster
TOOLS_NEEDED=(etcd kubernetes kwok)

# How many requests a second the controllers may send; the defaults (20) would
# make tests that run side by side wait for each other.
readonly CONTROLLER_QPS=${INSTANCEPOOL_CLUSTER_QPS:-200}

# Pods on real nodes have to reach it, so it is on their bridge then.
apiserver_host() {
	if cluster_is_real; then
		printf '%s\n' "$NETWORK_HOST"
	else
		printf '127.0.0.1\n'
	fi
}

apiserver_url() {
	printf 'https://%s:%s\n' "$(apiserver_host)" "$(port_of kube-apiserver)"
}

component_kubeconfig() {
	printf '%s/conf/%s.kubeconfig\n' "$CLUSTER_DIR" "$1"
}

admin_kubeconfig() {
	printf '%s/kubeconfig\n' "$CLUSTER_DIR"
}

audit_log() {
	printf '%s/log/audit.log\n' "$CLUSTER_DIR"
}

write_kubeconfigs() {
	local server user
	local -a users=(kwok kube-controller-manager kube-scheduler)
	! cluster_is_real || users+=(kube-proxy)
	server=$(apiserver_url)
	for user in "${users[@]}"; do
		pki_kubeconfig "$user" "$server" "$(component_kubeconfig "$user")"
	done
	pki_kubeconfig admin "$server" "$(admin_kubeconfig)"
}

start_etcd() {
	local url
	url=http://127.0.0.1:$(port_of etcd)
	# port 0: with one member nobody connects to the peer port
	process_start etcd "$(tools_binary etcd etcd)" \
		--data-dir="$CLUSTER_DIR/etcd" --unsafe-no-fsync \
		--listen-client-urls="$url" --advertise-client-urls="$url" \
		--listen-peer-urls=http://127.0.0.1:0 \
		--quota-backend-bytes=4294967296 --auto-compaction-retention=5m \
		--log-level=warn
}

start_kube-apiserver() {
	local host
	local -a flags
	host=$(apiserver_host)
	if cluster_is_real; then
		flags=(--kubelet-certificate-authority="$(pki_path ca.crt)"
			--kubelet-client-certificate="$(pki_path kubelet-client.crt)"
			--kubelet-client-key="$(pki_path kubelet-client.key)"
			--kubelet-preferred-address-types=InternalIP
			--enable-admission-plugins=NodeRestriction --enable-aggregator-routing=true)
	else
		# Nothing but this machine reaches a loopback address, so there are no
		# endpoints to publish for the Service "kubernetes".
		flags=(--endpoint-reconciler-type=none)
	fi
	[[ -z ${INSTANCEPOOL_CLUSTER_FEATURES:-} ]] || flags+=(--feature-gates="$INSTANCEPOOL_CLUSTER_FEATURES")
	process_start kube-apiserver "$(tools_binary kubernetes kube-apiserver)" \
		--etcd-servers="http://127.0.0.1:$(port_of etcd)" \
		--bind-address="$host" --secure-port="$(port_of kube-apiserver)" \
		--advertise-address="$host" "${flags[@]}" \
		--tls-cert-file="$(pki_path serving.crt)" --tls-private-key-file="$(pki_path serving.key)" \
		--client-ca-file="$(pki_path ca.crt)" \
		--authorization-mode=Node,RBAC --allow-privileged \
		--service-cluster-ip-range=10.96.0.0/16 \
		--service-account-issuer=https://kubernetes.default.svc \
		--service-account-key-file="$(pki_path service-account.pub)" \
		--service-account-signing-key-file="$(pki_path service-account.key)" \
		--audit-policy-file="$HACK_DIR/lib/audit-policy.yaml" \
		--audit-log-path="$(audit_log)" --audit-log-maxsize=2000 --audit-log-maxbackup=1 \
		--profiling=false
}

# start_controller PROGRAM ARGUMENT...: what controller manager and scheduler share.
start_controller() {
	local program=$1
	shift
	process_start "$program" "$(tools_binary kubernetes "$program")" \
		--kubeconfig="$(component_kubeconfig "$program")" --leader-elect=false \
		--bind-address=127.0.0.1 --secure-port="$(port_of "$program")" \
		--tls-cert-file="$(pki_path serving.crt)" --tls-private-key-file="$(pki_path serving.key)" \
		--authentication-skip-lookup \
		--kube-api-qps="$CONTROLLER_QPS" --kube-api-burst=$((CONTROLLER_QPS * 2)) "$@"
}

start_kube-controller-manager() {
	start_controller kube-controller-manager \
		--root-ca-file="$(pki_path ca.crt)" \
		--service-account-private-key-file="$(pki_path service-account.key)" \
		--use-service-account-credentials --allocate-node-cidrs=false \
		--concurrent-deployment-syncs=20 --concurrent-replicaset-syncs=20 \
		--concurrent-endpoint-syncs=10 --concurrent-service-endpoint-syncs=10 \
		--concurrent-namespace-syncs=20
}

start_kube-scheduler() {
	start_controller kube-scheduler
}

# kwok_flags KUBECONFIG BEHAVIOUR VALUE CIDR: prints the flags, one a line, with which kwok manages the nodes with
# kwok.x-k8s.io/node=VALUE and gives their pods addresses out of CIDR.
kwok_flags() {
	printf -- '--%s\n' "kubeconfig=$1" "manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=$3" \
		"config=$HACK_DIR/kwok/common.yaml" "config=$HACK_DIR/kwok/$2.yaml" \
		"cidr=$4" node-ip=10.200.0.1 node-port=0 node-lease-duration-seconds=40
}

# start_kwok BEHAVIOUR VALUE CIDR
start_kwok() {
	local -a flags
	mapfile -t flags < <(kwok_flags "$(component_kubeconfig kwok)" "$@")
	process_start "kwok-$1" env KWOK_WORKDIR="$CLUSTER_DIR/conf" "$(tools_binary kwok kwok)" "${flags[@]}"
}

start_kwok-instant() {
	start_kwok instant fake 10.201.0.1/16
}

start_kwok-real-life() {
	start_kwok real-life real-life 10.202.0.1/16
}

etcd_healthy() {
	curl -fsS --max-time 2 "http://127.0.0.1:$(port_of etcd)/health" >/dev/null 2>&1
}

# https_ok PORT PATH [HOST]
https_ok() {
	curl -fsS --max-time 2 --cacert "$(pki_path ca.crt)" "https://${3:-127.0.0.1}:$1$2" >/dev/null 2>&1
}

apiserver_ready() {
	https_ok "$(port_of kube-apiserver)" /readyz "$(apiserver_host)"
}

controller_manager_ready() {
	https_ok "$(port_of kube-controller-manager)" /healthz && default_account_exists
}

scheduler_ready() {
	https_ok "$(port_of kube-scheduler)" /healthz
}

default_account_exists() {
	admin_kubectl get serviceaccount default --namespace default >/dev/null 2>&1
}

admin_kubectl() {
	"$(tools_binary kubernetes kubectl)" --kubeconfig "$(admin_kubeconfig)" "$@"
}

show_log() {
	local log=$CLUSTER_DIR/log/$1.log
	printf 'the last lines of %s:\n' "$log" >&2
	tail -n 15 "$log" >&2 || true
}

# Succeeds with the test, or as soon as the process is dead.
ready_or_dead() {
	! process_alive "$1" || "${@:2}"
}

# await_component NAME TEST...: until TEST succeeds; ends the script if the process dies.
await_component() {
	if wait_until 90 ready_or_dead "$@" && process_alive "$1"; then
		return 0
	fi
	show_log "$1"
	die "$1 did not become ready"
}

# Starts what does not run; waits until the API serves.
start_components() {
	local name
	for name in "${COMPONENTS[@]}"; do
		if ! process_alive "$name"; then
			say "starting $name"
			"start_$name"
		fi
		case $name in
		etcd) await_component etcd etcd_healthy ;;
		kube-apiserver) await_component kube-apiserver apiserver_ready ;;
		esac
	done
	await_component kube-controller-manager controller_manager_ready
	await_component kube-scheduler scheduler_ready
}

# Prints the components that do not run.
dead_components() {
	local name
	for name in "${COMPONENTS[@]}"; do
		process_alive "$name" || printf '%s\n' "$name"
	done
}

stop_components() {
	local index
	for ((index = ${#COMPONENTS[@]} - 1; index >= 0; index--)); do
		process_stop "${COMPONENTS[index]}"
	done
}
