# shellcheck shell=bash disable=SC2034 # read by plan.bats
# A taint that the instances do not tolerate: the window must pass.
given() {
	nodes "$P5" 2
	nodes "$G6" 2
	kubectl taint nodes -l "node.kubernetes.io/instance-type=$P5" team=other:NoSchedule >/dev/null
}
COUNT=2
SPEC='instanceProvisionTimeoutSeconds: 10'
