# shellcheck shell=bash disable=SC2034 # read by plan.bats
# What if there are no nodes of the first choice? There are none by the time that the endpoint comes.
given() {
	nodes "$P5" 3
	nodes "$G6" 2
}
COUNT=3
OUT=(--out "$P5")
afterwards() {
	api "/api/v1/nodes?labelSelector=node.kubernetes.io/instance-type%3D$P5" -X DELETE >/dev/null
}
