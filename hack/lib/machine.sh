#!/usr/bin/env bash
# A real node's "machine": a cgroup, and mount and network namespaces of its own, in which the usual folders are the
# node's. So nodes do not meet in /run or /var/lib, and all their mounts, interfaces and iptables rules go with their
# last process.
#
# machine.sh boot FOLDER CGROUP                becomes the process that holds the namespaces; touches FOLDER/booted
# machine.sh run PID CGROUP PROGRAM ARGUMENT...  becomes PROGRAM in the namespaces of PID
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=cgroup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/cgroup.sh"

# The settings of the kernel that a kubelet insists on changing, for the whole machine: it gets files to write into.
readonly KERNEL_SETTINGS=(kernel/panic kernel/panic_on_oops kernel/keys/root_maxbytes kernel/keys/root_maxkeys
	vm/overcommit_memory vm/panic_on_oom)

# Mounts FOLDER's own places upon those that programs take for the machine's.
machine_mount() {
	local dir=$1 path
	# FOLDER may itself be below one of the places that get hidden
	mount --bind "$dir" /mnt
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/node /run/lock /run/upper /run/work
	mount --move /mnt /run/node
	mount -t overlay -o lowerdir=/var/lib,upperdir=/run/upper,workdir=/run/work overlay /var/lib
	for path in /var/lib/containerd /var/lib/kubelet /var/lib/cni /var/log; do
		mkdir -p "$path" "/run/node$path"
		mount --bind "/run/node$path" "$path"
	done
	mkdir /run/settings
	for path in "${KERNEL_SETTINGS[@]}"; do
		cat "/proc/sys/$path" >"/run/settings/${path##*/}"
		mount --bind "/run/settings/${path##*/}" "/proc/sys/$path"
	done
	mount --make-rshared /
}

case ${1-} in
boot)
	cgroup_enter "$3"
	exec unshare --mount --net --propagation private -- "${BASH_SOURCE[0]}" hold "$2"
	;;
hold)
	machine_mount "$2"
	touch /run/node/booted
	exec sleep infinity
	;;
run)
	cgroup_enter "$3"
	exec nsenter --target "$2" --mount --net -- "${@:4}"
	;;
*)
	sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
