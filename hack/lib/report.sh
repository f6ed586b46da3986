# shellcheck shell=bash
# What a run of bats is told as.

# report FILE: TAP -> one line for each test, all that bats knows of those that failed; the sum into FILE.
report() {
	awk -v sum="$1" '
		/^1\.\.[0-9]+$/ { planned = substr($0, 4) + 0; next }
		/^(not )?ok [0-9]+ / {
			bad = $1 == "not"; skipped = !bad && / # skip/
			title = $0; sub(/^(not )?ok [0-9]+ /, "", title)
			time = ""
			if (match(title, / in [0-9]+ms/)) {
				time = sprintf("%6.1f s", substr(title, RSTART + 4, RLENGTH - 6) / 1000)
				title = substr(title, 1, RSTART - 1) substr(title, RSTART + RLENGTH)
			}
			printf "%-4s %9s  %s\n", bad ? "FAIL" : skipped ? "skip" : "ok", time, title
			if (bad) failed++; else if (skipped) skips++; else passed++
			fflush(); next
		}
		/^#/ && bad { print "    " substr($0, 3); fflush(); next }
		!/^#/ { print; fflush() }
		END {
			missing = planned - passed - failed - skips
			if (missing > 0) { print missing " tests did not report"; failed += missing }
			printf "%d passed, %d failed%s\n", passed, failed, skips ? ", " skips " skipped" : "" >sum
			exit !(passed > 0 && failed == 0)
		}'
}
