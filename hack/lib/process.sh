# shellcheck shell=bash
# Background processes of one cluster: start, look, stop. A process is known by
# pid, start time and boot, so a pid that the kernel gave to another program is
# never touched. Needs CLUSTER_DIR.

process_file() {
	printf '%s/run/%s.pid\n' "$CLUSTER_DIR" "$1"
}

# Prints "state start-time" of a pid, or fails if there is none.
process_stat() {
	local line
	local -a fields
	{ line=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	# the program's name, in parentheses, may hold blanks
	read -r -a fields <<<"${line##*) }"
	printf '%s %s\n' "${fields[0]}" "${fields[19]}"
}

# Prints the pid of a process of this cluster if it is alive.
process_pid() {
	local pid start boot now_boot state now_start
	[[ -f $(process_file "$1") ]] || return 1
	read -r pid start boot <"$(process_file "$1")" || return 1
	read -r now_boot </proc/sys/kernel/random/boot_id
	read -r state now_start < <(process_stat "$pid") || return 1
	[[ $boot == "$now_boot" && $start == "$now_start" && $state != [ZX] ]] || return 1
	printf '%s\n' "$pid"
}

process_alive() {
	process_pid "$1" >/dev/null
}

process_record_self() {
	local pid=$BASHPID boot start file
	file=$(process_file "$1")
	read -r _ start < <(process_stat "$pid")
	read -r boot </proc/sys/kernel/random/boot_id
	printf '%s %s %s\n' "$pid" "$start" "$boot" >"$file.new"
	mv "$file.new" "$file"
}

# Closes every descriptor but the standard three: locks, and the one on which
# bats waits for the end of a test.
process_close_descriptors() {
	local path fd
	for path in /proc/self/fd/*; do
		fd=${path##*/}
		if ((fd > 2 && fd != 255)); then
			exec {fd}>&-
		fi
	done
}

# process_start NAME PROGRAM ARGUMENT...: in its own session, with its output
# in log/NAME.log.
process_start() {
	local name=$1 log=$CLUSTER_DIR/log/$1.log
	shift
	rm -f "$(process_file "$name")"
	(
		process_record_self "$name"
		cd /
		process_close_descriptors
		# not a group leader, so setsid keeps the pid
		exec setsid "$@" </dev/null >>"$log" 2>&1
	) &
	wait_until 10 test -f "$(process_file "$name")" || die "cannot start $name"
}

process_gone() {
	! process_alive "$1"
}

# Ends a process of this cluster, with no grace: its data goes too.
process_stop() {
	local pid
	if pid=$(process_pid "$1"); then
		kill -KILL "$pid" 2>/dev/null || true
		wait_until 10 process_gone "$1" || die "$1 (pid $pid) does not end"
	fi
	rm -f "$(process_file "$1")"
}
