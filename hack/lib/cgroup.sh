# shellcheck shell=bash
# The cgroups of real nodes: CGROUP/system for a node's own programs, CGROUP/pods for its pods. A CGROUP is a path below
# every hierarchy of version 1, or below the one of version 2.

cgroup_roots() {
	local dir
	if [[ -f /sys/fs/cgroup/cgroup.procs ]]; then
		echo /sys/fs/cgroup
		return
	fi
	for dir in /sys/fs/cgroup/*/; do
		[[ ! -f ${dir}cgroup.procs ]] || printf '%s\n' "${dir%/}"
	done
}

# Gives a new cgroup what its parent has: in version 1 a cpuset is empty at first, in version 2 so is all.
cgroup_inherit() {
	local dir=$1 parent=${1%/*} file controller
	for file in cpuset.cpus cpuset.mems; do
		[[ ! -f $dir/$file || ! -f $parent/$file || -n $(<"$dir/$file") ]] || cat "$parent/$file" >"$dir/$file"
	done
	if [[ -f $parent/cgroup.subtree_control ]]; then
		for controller in $(<"$parent/cgroup.controllers"); do
			echo "+$controller" >"$parent/cgroup.subtree_control" 2>/dev/null || true
		done
	fi
}

# cgroup_create CGROUP
cgroup_create() {
	local root dir part
	for root in $(cgroup_roots); do
		for part in "$1/system" "$1/pods"; do
			dir=$root
			while [[ -n $part ]]; do
				dir+=/${part%%/*}
				[[ $part == */* ]] && part=${part#*/} || part=
				mkdir -p "$dir"
				cgroup_inherit "$dir"
			done
		done
	done
}

# cgroup_enter CGROUP: this shell, and what it starts, belongs to the node.
cgroup_enter() {
	local root
	for root in $(cgroup_roots); do
		echo $$ >"$root/$1/system/cgroup.procs"
	done
}

# cgroup_processes CGROUP: prints the pids, of all below it.
cgroup_processes() {
	local root
	for root in $(cgroup_roots); do
		find "$root/$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
	done | sort -un
}

# Ends what is in CGROUP as a power cut does; true once nothing is.
cgroup_kill() {
	local pid
	# a process that runc had just frozen cannot die
	find "/sys/fs/cgroup/freezer/$1" -name freezer.state -exec sh -c 'echo THAWED >"$1"' sh {} \; 2>/dev/null || true
	for pid in $(cgroup_processes "$1"); do
		# 0 is a process that this pid namespace does not see; for kill it is ourselves
		((pid == 0)) || kill -KILL "$pid" 2>/dev/null || true
	done
	[[ -z $(cgroup_processes "$1") ]]
}

# cgroup_remove CGROUP: with all processes in it.
cgroup_remove() {
	local root
	wait_until 20 cgroup_kill "$1" || die "processes in the cgroup $1 do not end: $(cgroup_processes "$1" | xargs)"
	for root in $(cgroup_roots); do
		[[ ! -d $root/$1 ]] || wait_until 5 cgroup_remove_dirs "$root/$1" || die "cannot remove $root/$1"
	done
}

cgroup_remove_dirs() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || [[ ! -d $1 ]]
}
