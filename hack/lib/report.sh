# shellcheck shell=bash
# What a run of bats is told as.

# rights_test ARGUMENT...: hack/rights with these for the operator's account and what it is granted, as one more test in TAP.
rights_test() {
	local said bad='' title="the operator uses every right that deploy/rbac.yaml grants, and is denied nothing"
	[[ $1 != --denied ]] || title="the operator is denied nothing"
	said=$(hack/rights --user system:serviceaccount:instancepool-system:instancepool-operator "$@" 2>&1) || bad='not '
	printf '1..1\n%sok 1 %s\n%s\n' "$bad" "$title" "# ${said//$'\n'/$'\n# '}"
}

# report FILE: TAP of one or more runs -> one line for each test, all that bats knows of those that failed; the sum into
# FILE.
report() {
	awk -v sum="$1" '
		/^1\.\.[0-9]+$/ { planned += substr($0, 4); next }
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
