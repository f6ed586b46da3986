#!/usr/bin/env bash
# Builds the programs of the test cluster, and those that check the chart, from
# their Go modules, once, into the cache. hack/tools/<tool>/go.mod pins the version of each.
#
# As a library: tools_ensure TOOL...; tools_binary TOOL PROGRAM prints a path.
# As a program: hack/lib/tools.sh [TOOL...] builds and prints the folders.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

TOOLS=(etcd kwok kubernetes kubelet containerd coredns helm kubeconform kube-score)

tools_module() {
	case $1 in
	kubernetes | kubelet) echo k8s.io/kubernetes ;;
	containerd) echo github.com/containerd/containerd/v2 ;;
	coredns) echo github.com/coredns/coredns ;;
	etcd) echo go.etcd.io/etcd/server/v3 ;;
	kwok) echo sigs.k8s.io/kwok ;;
	helm) echo helm.sh/helm/v4 ;;
	kubeconform) echo github.com/yannh/kubeconform ;;
	kube-score) echo github.com/zegl/kube-score ;;
	*) die "unknown tool: $1 (known: ${TOOLS[*]})" ;;
	esac
}

tools_programs() {
	case $1 in
	kubernetes) echo kube-apiserver kube-controller-manager kube-scheduler kubectl ;;
	kubelet) echo kubelet kube-proxy ;;
	containerd) echo containerd containerd-shim-runc-v2 ctr ;;
	*) echo "$1" ;;
	esac
}

tools_minutes() {
	case $1 in
	kubernetes) echo "about 6 minutes on 2 cores" ;;
	*) echo "about a minute" ;;
	esac
}

# The folder of its go.mod. The kubelet comes from the module of the control plane, but only some clusters need it.
tools_source() {
	case $1 in
	kubelet) echo "$HACK_DIR/tools/kubernetes" ;;
	*) echo "$HACK_DIR/tools/$1" ;;
	esac
}

tools_version() {
	local module
	module=$(tools_module "$1")
	awk -v module="$module" '{ sub(/^require /, "") } $1 == module { print $2; exit }' "$(tools_source "$1")/go.mod"
}

# The folder with the programs of a tool, whether built or not.
tools_dir() {
	printf '%s/tools/%s-%s\n' "$CACHE_DIR" "$1" "$(tools_version "$1")"
}

tools_binary() {
	printf '%s/%s\n' "$(tools_dir "$1")" "$2"
}

tools_ldflags() {
	local version=$1 package=k8s.io/component-base/version
	local major=${version#v} minor=${version#v*.}
	printf -- '-s -w -X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s' \
		"$package" "$version" "$package" "${major%%.*}" "$package" "${minor%%.*}"
}

# The packages of a tool's programs.
tools_packages() {
	local tool=$1 module program
	module=$(tools_module "$tool")
	case $tool in
	etcd)
		# its program is the root of the module
		printf '%s\n' "$module"
		return
		;;
	coredns)
		# a program of ours, around the module
		echo .
		return
		;;
	esac
	for program in $(tools_programs "$tool"); do
		printf '%s/cmd/%s\n' "$module" "$program"
	done
}

# tools_compile TOOL FOLDER: becomes the compiler, so run it in a subshell.
tools_compile() {
	local tool=$1 out=$2 ldflags="-s -w" tags=
	local -a packages
	mapfile -t packages < <(tools_packages "$tool")
	case $tool in
	kubernetes | kubelet) ldflags=$(tools_ldflags "$(tools_version "$tool")") ;;
	containerd) tags=no_btrfs,no_aufs,no_zfs,no_devmapper ;;
	esac
	cd "$(tools_source "$tool")"
	exec env -u GOFLAGS CGO_ENABLED=0 GOWORK=off \
		go build -trimpath -mod=readonly -tags "$tags" -ldflags "$ldflags" -o "$out/" "${packages[@]}"
}

# Waits for a build in the background and says every half minute that it goes on.
tools_await() {
	local pid=$1 what=$2 next=$((SECONDS + 30))
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if ((SECONDS >= next)); then
			say "still building $what"
			next=$((SECONDS + 30))
		fi
	done
	wait "$pid"
}

# The name that the module's path gave to etcd's program.
tools_rename() {
	local -a built=("$2"/*)
	if [[ $1 == etcd && ${built[0]} != "$2/etcd" ]]; then
		mv "${built[0]}" "$2/etcd"
	fi
}

# tools_build TOOL FOLDER: all or nothing; a subshell for the sake of its trap.
tools_build() (
	tool=$1 dir=$2 build=''
	version=$(tools_version "$tool")
	temporary=$(mktemp -d "$CACHE_DIR/tools/.$tool.XXXXXX")
	trap '[[ -z $build ]] || kill "$build" 2>/dev/null || true; rm -rf "$temporary"' EXIT
	say "building $(tools_programs "$tool") $version (first time only, $(tools_minutes "$tool"))..."
	tools_compile "$tool" "$temporary" &
	build=$!
	tools_await "$build" "$tool $version" || die "building $tool $version failed"
	build=''
	tools_rename "$tool" "$temporary"
	chmod 755 "$temporary"
	mv -T "$temporary" "$dir"
	say "built $tool $version"
)

# tools_ensure TOOL...: returns when all are in the cache.
tools_ensure() {
	local tool dir lock
	for tool in "$@"; do
		dir=$(tools_dir "$tool")
		[[ ! -d $dir ]] || continue
		need_commands go flock
		mkdir -p "$CACHE_DIR/tools"
		exec {lock}>"$CACHE_DIR/tools/.$tool.lock"
		if ! flock -n "$lock"; then
			say "waiting for another build of $tool"
			flock "$lock"
		fi
		[[ -d $dir ]] || tools_build "$tool" "$dir"
		exec {lock}>&-
	done
}

tools_main() {
	local tool
	if [[ ${1-} == -h || ${1-} == --help ]]; then
		echo "usage: hack/lib/tools.sh [TOOL...]   builds ${TOOLS[*]} into the cache, prints the folders"
		return 0
	fi
	if (($# == 0)); then
		set -- "${TOOLS[@]}"
	fi
	tools_ensure "$@"
	for tool in "$@"; do
		tools_dir "$tool"
	done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	tools_main "$@"
fi
