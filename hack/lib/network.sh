# shellcheck shell=bash
# The network of real nodes. Each node has network namespaces of its own, with kube-proxy's rules in it, and a cable to
# the bridge ipool0 of this machine, which routes between them. Node N is 10.99.0.N, its pods are 10.99.N.0/24. Nodes
# have no default route, and what this machine sends to a pod or a Service goes to the bridge: nothing leaves it.
# Needs CLUSTER_ID and CLUSTER_DIR.

readonly NETWORK_BRIDGE=ipool0 NETWORK_HOST=10.99.0.1 NETWORK_ALL=10.99.0.0/16
readonly NETWORK_SERVICES=10.96.0.0/16 NETWORK_KWOK=10.200.0.0/14
# shellcheck disable=SC2034 # for realnodes.sh
readonly NETWORK_DNS=10.96.0.10 NETWORK_FIRST=2 NETWORK_LAST=254
# A machine with Docker forwards nothing that is not asked for.
readonly NETWORK_RULE=(FORWARD -i "$NETWORK_BRIDGE" -o "$NETWORK_BRIDGE" -m comment --comment instancepool -j ACCEPT)

network_address() {
	printf '10.99.0.%s\n' "$1"
}

# Prints the id of the cluster that has the bridge; nothing if there is none.
network_owner() {
	sed -n 's/^instancepool cluster //p' "/sys/class/net/$NETWORK_BRIDGE/ifalias" 2>/dev/null || true
}

# Prints the routes of this machine to the cluster's addresses, or some of them, by another way than the bridge.
network_foreign_routes() {
	local addresses
	for addresses in "$NETWORK_ALL" "$NETWORK_KWOK" "$NETWORK_SERVICES"; do
		ip -oneline route show root "$addresses"
	done | awk -v bridge="$NETWORK_BRIDGE" '!index($0 " ", " dev " bridge " ")'
}

# Ends the script if another cluster has the bridge, or somebody else the addresses.
network_require() {
	local owner routes
	owner=$(network_owner)
	[[ -z $owner || $owner == "$CLUSTER_ID" ]] ||
		die "the cluster ${owner%-*} has real nodes, and only one at a time can: hack/cluster --name ${owner%-*} down" \
			"(with the XDG_STATE_HOME that it was started with)"
	routes=$(network_foreign_routes) || die "cannot read the routes"
	[[ -z $routes ]] ||
		die "real nodes need $NETWORK_ALL, $NETWORK_KWOK and $NETWORK_SERVICES; this machine routes elsewhere: $routes"
}

# The note says who has loaded it.
network_load_filter() {
	[[ ! -d /proc/sys/net/bridge ]] || return 0
	touch "$CLUSTER_DIR/br_netfilter"
	modprobe br_netfilter
}

# Any other bridge may count on it by now.
network_unload_filter() {
	[[ -f $CLUSTER_DIR/br_netfilter ]] || return 0
	compgen -G '/sys/class/net/*/bridge' >/dev/null || rmmod br_netfilter 2>/dev/null || true
}

network_ensure() {
	network_load_filter
	# an address of its own, or it would change with the first node
	[[ -d /sys/class/net/$NETWORK_BRIDGE ]] ||
		ip link add "$NETWORK_BRIDGE" address 02:10:99:00:00:01 type bridge
	ip link set "$NETWORK_BRIDGE" alias "instancepool cluster $CLUSTER_ID" up
	ip address replace "$NETWORK_HOST/24" dev "$NETWORK_BRIDGE"
	ip route replace "$NETWORK_ALL" dev "$NETWORK_BRIDGE"
	ip route replace "$NETWORK_KWOK" dev "$NETWORK_BRIDGE"
	[[ -n $(ip route show "$NETWORK_SERVICES") ]] || ip route add "$NETWORK_SERVICES" dev "$NETWORK_BRIDGE"
	echo 1 >"/proc/sys/net/ipv4/conf/$NETWORK_BRIDGE/forwarding"
	iptables -w -C "${NETWORK_RULE[@]}" 2>/dev/null || iptables -w -I "${NETWORK_RULE[@]}"
}

# network_route_services NUMBER: this machine reaches Services by the kube-proxy of that node.
network_route_services() {
	ip route replace "$NETWORK_SERVICES" via "$(network_address "$1")" dev "$NETWORK_BRIDGE"
}

network_remove() {
	[[ $(network_owner) == "$CLUSTER_ID" ]] || return 0
	while iptables -w -D "${NETWORK_RULE[@]}" 2>/dev/null; do :; done
	ip link delete "$NETWORK_BRIDGE"
}

# network_attach NUMBER PID: the cable between the bridge and the node's namespace. A second time it repairs.
network_attach() {
	local number=$1 cable=ipool-$1 address
	address=$(network_address "$number")
	[[ -d /sys/class/net/$cable ]] || ip link add "$cable" type veth peer name eth0 netns "$2"
	ip link set "$cable" master "$NETWORK_BRIDGE" up
	nsenter --target "$2" --net ip -batch - <<-TEXT
		link set lo up
		link set eth0 up
		address replace $address/24 dev eth0
		route replace $NETWORK_ALL via $NETWORK_HOST
		route replace $NETWORK_SERVICES dev eth0
	TEXT
	ip route replace "10.99.$number.0/24" via "$address" dev "$NETWORK_BRIDGE"
}

# network_detach NUMBER: at once, while the kernel takes its time to end the namespace.
network_detach() {
	ip link delete "ipool-$1" 2>/dev/null || true
	ip route delete "10.99.$1.0/24" 2>/dev/null || true
}

# network_cni NUMBER: the configuration for a node's containerd.
network_cni() {
	jq -n --arg subnet "10.99.$1.0/24" '{
		cniVersion: "1.0.0", name: "bridge",
		plugins: [{
			type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true,
			ipam: {type: "host-local", ranges: [[{subnet: $subnet}]], routes: [{dst: "0.0.0.0/0"}]}
		}]}'
}

# network_proxy NAME KUBECONFIG: the configuration of a node's kube-proxy, which leaves the machine's conntrack alone.
network_proxy() {
	cat <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		hostnameOverride: $1
		clientConnection: {kubeconfig: $2}
		mode: iptables
		detectLocalMode: BridgeInterface
		detectLocal: {bridgeInterface: cni0}
		conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
		iptables: {localhostNodePorts: false, minSyncPeriod: 0s}
	YAML
}
