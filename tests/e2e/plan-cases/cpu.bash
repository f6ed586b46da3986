# shellcheck shell=bash disable=SC2034 # read by plan.bats
# GPUs are left, but cores are not: of 192 two instances take 160.
given() {
	nodes "$P5" 1
	nodes "$G6" 2
}
GPUS=1
CPU=80500m
COUNT=5
