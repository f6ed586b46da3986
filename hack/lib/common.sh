# shellcheck shell=bash
# shellcheck disable=SC2034 # the folders are for the files that read this one
# Messages, small helpers and the folders that all the tools share.

HACK_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

CACHE_DIR=${INSTANCEPOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/instancepool}
CLUSTERS_DIR=${XDG_STATE_HOME:-$HOME/.local/state}/instancepool/clusters

# Prints a progress line with the seconds since the start of the script.
say() {
	printf '[%4ds] %s\n' "$SECONDS" "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_commands() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null ||
			die "$command is missing: run hack/install-deps.sh"
	done
}

# wait_until SECONDS COMMAND...: polls until COMMAND succeeds; 1 if it never does.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.2
	done
}

# require_no_cluster NAME: ends the script if there is one, which may be somebody's.
require_no_cluster() {
	local status=0
	"$HACK_DIR/cluster" --name "$1" status >/dev/null 2>&1 || status=$?
	((status == 3)) || die "there is a cluster \"$1\" already. To run on it: KUBECONFIG=\$(hack/cluster --name $1 kubeconfig)" \
		"hack/${0##*/}; to remove it: hack/cluster --name $1 down"
}

is_number() {
	[[ $1 =~ ^(0|[1-9][0-9]{0,5})$ ]]
}
