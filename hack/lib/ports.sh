# shellcheck shell=bash
# Free loopback ports for a cluster, kept in its folder so that a restarted
# process comes back on the same one. Needs CLUSTER_DIR and CLUSTERS_DIR.

# Below the range from which the kernel takes ports for outgoing connections.
readonly PORTS_FIRST=20000 PORTS_COUNT=10000

port_listens() {
	(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_taken() {
	grep -qsx "[a-z-]* $1" "$CLUSTERS_DIR"/*/ports "$CLUSTERS_DIR"/*/ports.new
}

port_choose() {
	local port
	while :; do
		port=$((PORTS_FIRST + (RANDOM * 32768 + RANDOM) % PORTS_COUNT))
		if ! port_taken "$port" && ! port_listens "$port"; then
			printf '%s\n' "$port"
			return
		fi
	done
}

# ports_ensure NAME...: gives each name a port unless that was done before.
# One cluster at a time chooses.
ports_ensure() {
	local lock name file=$CLUSTER_DIR/ports
	[[ ! -f $file ]] || return 0
	exec {lock}<"$CLUSTERS_DIR"
	flock "$lock"
	: >"$file.new"
	for name in "$@"; do
		printf '%s %s\n' "$name" "$(port_choose)" >>"$file.new"
	done
	mv "$file.new" "$file"
	exec {lock}<&-
}

port_of() {
	awk -v name="$1" '$1 == name { print $2 }' "$CLUSTER_DIR/ports"
}
