# shellcheck shell=bash
# Real nodes: a containerd, a kubelet and a kube-proxy for each, in a "machine" (machine.sh) of its own. What a node is
# stands in CLUSTER_DIR/nodes/NAME; that folder "nodes" makes a cluster one with real nodes. Needs the other libraries.

readonly REAL_FIRST_NODES=2 REAL_PAUSE=instancepool.dev/pause:1 REAL_COREDNS=instancepool.dev/coredns:1
# The parts of a node, in the order of start. The machine is the process that holds its namespaces.
readonly REAL_PARTS=(machine containerd kubelet kube-proxy)

# shellcheck disable=SC2034 # for hack/cluster
TOOLS_REAL=(kubelet containerd coredns)

cluster_is_real() {
	[[ -d $CLUSTER_DIR/nodes ]]
}

# Ends the script with what this machine lacks for real nodes.
real_require() {
	((EUID == 0)) || die "real nodes need root: their pods are real containers"
	need_commands runc iptables ip nsenter unshare mount sha256sum tar "${CC:-cc}"
	[[ -x /usr/lib/cni/bridge ]] || die "/usr/lib/cni/bridge is missing: run hack/install-deps.sh"
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null ||
		die "real nodes need overlayfs, which this kernel has not"
	[[ -d /proc/sys/net/bridge ]] || modprobe --dry-run --quiet br_netfilter 2>/dev/null ||
		die "real nodes need br_netfilter, which this kernel has not"
	unshare --mount --net true 2>/dev/null || die "real nodes need namespaces, and this process may not make any"
	[[ -n $(cgroup_roots) ]] || die "real nodes need cgroups, and none are mounted at /sys/fs/cgroup"
	[[ -w $(cgroup_roots | head -n 1)/cgroup.procs ]] || die "real nodes need cgroups that can be written"
}

real_cgroup() {
	printf 'instancepool-%s/%s\n' "$CLUSTER_ID" "${1-}"
}

real_dir() {
	printf '%s/nodes/%s\n' "$CLUSTER_DIR" "$1"
}

# Prints the names of all real nodes, in the order of their numbers.
real_nodes() {
	local file
	for file in "$CLUSTER_DIR"/nodes/*/node; do
		[[ ! -f $file ]] || printf '%s %s\n' "$(cut -d ' ' -f 1 "$file")" "$(basename -- "$(dirname -- "$file")")"
	done | sort -n | cut -d ' ' -f 2
}

# real_read NAME: sets NUMBER, TYPE, GPUS and LABELS (key=value,...).
real_read() {
	read -r NUMBER TYPE GPUS LABELS <"$(real_dir "$1")/node"
}

real_nodes_of_type() {
	local name
	local NUMBER TYPE GPUS LABELS
	for name in $(real_nodes); do
		real_read "$name"
		[[ $TYPE != "$1" ]] || printf '%s\n' "$name"
	done
}

# Prints the lowest number that no node has.
real_free_number() {
	local number used
	used=$(cat "$CLUSTER_DIR"/nodes/*/node 2>/dev/null | cut -d ' ' -f 1)
	for ((number = NETWORK_FIRST; number <= NETWORK_LAST; number++)); do
		if ! grep -qx "$number" <<<"$used"; then
			printf '%s\n' "$number"
			return
		fi
	done
	die "no more than $((NETWORK_LAST - NETWORK_FIRST + 1)) real nodes"
}

# real_describe NAME TYPE GPUS PODS LABELS: writes down a new node, its certificates and its configuration.
real_describe() {
	local name=$1 number dir address
	number=$(real_free_number)
	dir=$(real_dir "$name")
	address=$(network_address "$number")
	(
		umask 077
		mkdir -p "$dir/cni" "$dir/pki"
		pki_new_client "$CLUSTER_DIR/pki" "$name" "/O=system:nodes/CN=system:node:$name"
		pki_new_certificate "$CLUSTER_DIR/pki" "$name-serving" "/O=system:nodes/CN=system:node:$name" \
			extendedKeyUsage=serverAuth "subjectAltName=IP:$address,DNS:$name"
		cp "$CLUSTER_DIR/pki/ca.crt" "$dir/pki/"
		mv "$CLUSTER_DIR/pki/$name-serving".* "$dir/pki/"
	)
	pki_kubeconfig "$name" "$(apiserver_url)" "$dir/kubelet.kubeconfig"
	cp "$(component_kubeconfig kube-proxy)" "$dir/kube-proxy.kubeconfig"
	network_cni "$number" >"$dir/cni/bridge.conflist"
	network_proxy "$name" /run/node/kube-proxy.kubeconfig >"$dir/kube-proxy.yaml"
	real_containerd_config >"$dir/containerd.toml"
	real_kubelet_config "$name" "$address" "$4" "$3" "$(real_cgroup "$name")" >"$dir/kubelet.yaml"
	printf '%s %s %s %s\n' "$number" "$2" "$3" "$5" >"$dir/node.new"
	mv "$dir/node.new" "$dir/node"
}

# The two nodes that a new cluster has.
real_describe_first() {
	local number
	[[ ! -f $CLUSTER_DIR/ready ]] || return 0
	for ((number = 0; number < REAL_FIRST_NODES; number++)); do
		[[ -f $(real_dir "real-$number")/node ]] || real_describe "real-$number" m7i.large 0 110 ''
	done
}

# The adjustments are for a machine that may not lower an OOM score (no CAP_SYS_RESOURCE).
real_containerd_config() {
	cat <<-TOML
		version = 3
		root = "/var/lib/containerd"
		state = "/run/containerd"
		disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp"]
		[grpc]
		address = "/run/containerd/containerd.sock"
		[plugins.'io.containerd.cri.v1.images']
		snapshotter = "overlayfs"
		[plugins.'io.containerd.cri.v1.images'.pinned_images]
		sandbox = "$REAL_PAUSE"
		[plugins.'io.containerd.cri.v1.runtime']
		restrict_oom_score_adj = true
		disable_apparmor = true
		[plugins.'io.containerd.cri.v1.runtime'.cni]
		bin_dirs = ["/usr/lib/cni"]
		conf_dir = "/run/node/cni"
		[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
		SystemdCgroup = false
	TOML
}

# real_kubelet_config NAME ADDRESS PODS GPUS CGROUP
real_kubelet_config() {
	local taints='[]'
	[[ $4 == 0 ]] || taints='[{key: nvidia.com/gpu, value: present, effect: NoSchedule}]'
	cat <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $2
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /run/node/pki/ca.crt}}
		authorization: {mode: Webhook}
		tlsCertFile: /run/node/pki/$1-serving.crt
		tlsPrivateKeyFile: /run/node/pki/$1-serving.key
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		clusterDNS: [$NETWORK_DNS]
		clusterDomain: cluster.local
		resolvConf: ""
		maxPods: $3
		registerWithTaints: $taints
		cgroupDriver: cgroupfs
		cgroupRoot: /$5/pods
		cgroupsPerQOS: true
		enforceNodeAllocatable: []
		failCgroupV1: false
		failSwapOn: false
		featureGates: {KubeletInUserNamespace: true}
		localStorageCapacityIsolation: false
		makeIPTablesUtilChains: false
		evictionHard: {}
		imageGCHighThresholdPercent: 100
		logging: {verbosity: 1}
	YAML
}

# real_alive NAME PART
real_alive() {
	process_alive "$1.$2"
}

# real_run NAME PROGRAM ARGUMENT...: in the node's machine; becomes the program.
real_run() {
	local name=$1 pid
	shift
	pid=$(process_pid "$name.machine") || die "the machine of $name does not run"
	"$HACK_DIR/lib/machine.sh" run "$pid" "$(real_cgroup "$name")" "$@"
}

# real_start_part NAME PART PROGRAM ARGUMENT...
real_start_part() {
	local name=$1 part=$2 pid
	shift 2
	pid=$(process_pid "$name.machine") || die "the machine of $name does not run"
	process_start "$name.$part" "$HACK_DIR/lib/machine.sh" run "$pid" "$(real_cgroup "$name")" "$@"
}

# A machine whose holder died is started anew: what was left in it cannot be reached any more.
real_start_machine() {
	local name=$1 dir
	dir=$(real_dir "$name")
	real_read "$name"
	if ! real_alive "$name" machine; then
		real_halt "$name"
		rm -f "$dir/booted"
		cgroup_create "$(real_cgroup "$name")"
		process_start "$name.machine" "$HACK_DIR/lib/machine.sh" boot "$dir" "$(real_cgroup "$name")"
		await_booted "$name"
	fi
	network_attach "$NUMBER" "$(process_pid "$name.machine")"
}

await_booted() {
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		[[ ! -f $(real_dir "$1")/booted ]] || return 0
		process_alive "$1.machine" || break
		sleep 0.05
	done
	show_log "$1.machine"
	die "the machine of $1 does not start"
}

real_start_containerd() {
	real_alive "$1" containerd || real_start_part "$1" containerd \
		env PATH="$(tools_dir containerd):$PATH" "$(tools_binary containerd containerd)" --config /run/node/containerd.toml
}

real_start_kubelet() {
	local labels
	! real_alive "$1" kubelet || return 0
	real_read "$1"
	labels=node.kubernetes.io/instance-type=$TYPE${LABELS:+,$LABELS}
	# Without its notes about devices a kubelet that starts takes the node for a new one, and sets its GPUs to 0.
	mkdir -p "$(real_dir "$1")/var/lib/kubelet/device-plugins"
	touch "$(real_dir "$1")/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
	real_start_part "$1" kubelet "$(tools_binary kubelet kubelet)" --config /run/node/kubelet.yaml \
		--kubeconfig /run/node/kubelet.kubeconfig --hostname-override "$1" --node-ip "$(network_address "$NUMBER")" \
		--node-labels "$labels"
}

real_start_kube-proxy() {
	real_alive "$1" kube-proxy || real_start_part "$1" kube-proxy \
		"$(tools_binary kubelet kube-proxy)" --config /run/node/kube-proxy.yaml
}

real_ctr() {
	real_run "$1" "$(tools_binary containerd ctr)" --namespace k8s.io "${@:2}"
}

containerd_serves() {
	real_ctr "$1" version >/dev/null 2>&1
}

# real_import NAME TAR...: makes them the node's images.
real_import() {
	local name=$1 tar said
	shift
	for tar in "$@"; do
		said=$(real_ctr "$name" images import - <"$tar" 2>&1) || die "cannot load $tar into $name: $said"
	done
}

# The images that every node has: the pause image and what "image load" brought.
real_images() {
	local tar
	for tar in "$CLUSTER_DIR"/conf/pause.tar "$CLUSTER_DIR"/images/*; do
		[[ ! -f $tar ]] || printf '%s\n' "$tar"
	done
}

# real_load NAME: the images TARS.
real_load() {
	real_import "$1" "${TARS[@]}"
}

# Makes the images of the cluster's own pods.
real_make_images() {
	local conf=$CLUSTER_DIR/conf
	[[ ! -f $conf/coredns.tar ]] || return 0
	oci_compile "$HACK_DIR/lib/pause.c" "$conf/pause"
	oci_of_program "$REAL_PAUSE" "$conf/pause" "$conf/pause.tar"
	oci_of_program "$REAL_COREDNS" "$(tools_binary coredns coredns)" "$conf/coredns.tar"
}

# real_prepare NAME: all of a node that does not need the API server. Only what is missing is done.
real_prepare() {
	local name=$1
	local -a images
	real_start_machine "$name"
	real_start_containerd "$name"
	await_component "$name.containerd" containerd_serves "$name"
	[[ ! -f $(real_dir "$name")/loaded ]] || return 0
	mapfile -t images < <(real_images)
	# CoreDNS does not tolerate the taint of GPU nodes.
	((GPUS > 0)) || images+=("$CLUSTER_DIR/conf/coredns.tar")
	real_import "$name" "${images[@]}"
	touch "$(real_dir "$name")/loaded"
}

# real_join NAME: makes it a node of the cluster; returns when it is Ready and open to the scheduler.
real_join() {
	local name=$1
	# A kubelet makes its Node object only when it starts.
	! real_alive "$name" kubelet || node_kubectl get node "$name" >/dev/null 2>&1 || process_stop "$name.kubelet"
	real_start_kubelet "$name"
	real_start_kube-proxy "$name"
	real_read "$name"
	((GPUS == 0)) || await_component "$name.kubelet" real_give_gpus "$name" "$GPUS"
	await_component "$name.kubelet" nodes_ready "$TYPE" "$name"
}

# The kubelet keeps what others have written into its Node's status.
real_give_gpus() {
	node_kubectl patch node "$1" --subresource=status -p "$(jq -cn --arg gpus "$2" '
		{"nvidia.com/gpu": $gpus} as $room | {status: {capacity: $room, allocatable: $room}}')" >/dev/null 2>&1
}

# real_each FUNCTION NAME...: side by side; fails if one does, which has said why. Not to be called as a condition: there
# the FUNCTIONs would go on after an error.
real_each() {
	local function=$1 name pid failed=0
	local -a pids=()
	shift
	for name in "$@"; do
		"$function" "$name" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	((failed == 0))
}

# This machine reaches Services by the oldest node.
real_route_services() {
	local -a names
	local NUMBER TYPE GPUS LABELS
	mapfile -t names < <(real_nodes)
	((${#names[@]})) || return 0
	real_read "${names[0]}"
	network_route_services "$NUMBER"
}

# real_halt NAME: as a power cut.
real_halt() {
	local part
	for part in "${REAL_PARTS[@]}"; do
		process_stop "$1.$part"
	done
	cgroup_remove "$(real_cgroup "$1")"
	network_detach "$NUMBER"
}

# real_forget NAME: nothing of it is left but its Node object.
real_forget() {
	local NUMBER TYPE GPUS LABELS
	real_read "$1"
	real_halt "$1"
	rm -rf "$(real_dir "$1")" "$CLUSTER_DIR/pki/$1".*
	real_route_services
}

# real_start NAME...: like real_each.
real_start() {
	real_each real_prepare "$@"
	real_each real_join "$@"
}

# real_add TYPE PREFIX COUNT GPUS LABELS PODS: prints the new names.
real_add() {
	local number name
	local -a names=()
	while read -r number; do
		if ((${#names[@]} < $3)) && [[ ! -f $(real_dir "$2-$number")/node ]]; then
			real_describe "$2-$number" "$1" "$4" "$6" "$5"
			names+=("$2-$number")
		fi
	done < <(node_free_numbers "$2" $(($3 + $(real_nodes | wc -l))))
	((${#names[@]})) || return 0
	real_start "${names[@]}" &
	if ! wait $!; then
		for name in "${names[@]}"; do
			real_forget "$name"
			nodes_delete "$name"
		done
		die "no node was added"
	fi
	real_route_services
	printf '%s\n' "${names[@]}"
}

# Prints the parts of all nodes, as processes.
real_processes() {
	local name part
	for name in $(real_nodes); do
		for part in "${REAL_PARTS[@]}"; do
			printf '%s.%s\n' "$name" "$part"
		done
	done
}

# Prints those that do not run, and the nodes whose Node object was deleted.
real_dead() {
	local process
	for process in $(real_processes); do
		process_alive "$process" || printf '%s\n' "$process"
	done
	if cluster_is_real && apiserver_ready; then
		real_nodes | grep -vxF -f <(admin_kubectl get nodes -o name | sed 's,^node/,,') || true
	fi
}

# The bridge may be new, and the nodes old.
real_repair_network() {
	local name pid
	local NUMBER TYPE GPUS LABELS
	for name in $(real_nodes); do
		if pid=$(process_pid "$name.machine"); then
			real_read "$name"
			network_attach "$NUMBER" "$pid"
		fi
	done
	real_route_services
}

real_start_dns() {
	admin_kubectl apply --server-side --force-conflicts -f "$HACK_DIR/lib/coredns.yaml" >/dev/null
}

real_await_dns() {
	admin_kubectl rollout status -n kube-system deployment/coredns --timeout=60s >/dev/null ||
		die "CoreDNS did not become ready: hack/cluster --name $CLUSTER_NAME kubectl describe pods -n kube-system"
}

# Everything of the cluster that is on this machine outside its folder.
real_remove_all() {
	local process
	for process in $(real_processes); do
		process_stop "$process"
	done
	cgroup_remove "$(real_cgroup)"
	network_remove
	network_unload_filter
}

real_leftovers() {
	[[ $(network_owner) == "$CLUSTER_ID" || -n $(cgroup_processes "$(real_cgroup)") ]]
}
