# shellcheck shell=bash disable=SC2034 # read by plan.bats
# Scheduling gates: nothing moves.
given() {
	nodes "$P5" 1
}
COUNT=1
POD='schedulingGates: [{name: example.com/later}]'
