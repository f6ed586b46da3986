#!/usr/bin/env bats
# `kubectl instancepool plan` says what the operator then does. plan-cases/*.bash are clusters and endpoints: each gets
# instance types of its own, is planned before the endpoint is there, and compared when nothing moves any more.

load helpers

# case_load FILE: what the case says; the rest is this.
case_load() {
	CASE=${1##*/} CASE=${CASE%.bash}
	# shellcheck disable=SC2034 # the case's
	P5=p5.$E2E_RUN-$BATS_SUITE_TEST_NUMBER.$CASE G6=${P5/#p5/g6} G5=${P5/#p5/g5}
	COUNT=1 GPUS=8 CPU=1 SPEC='' POD='' OUT=() THEN_COUNT='' THEN_ARGUMENT=''
	POOLS="
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}"
	afterwards() { :; }
	# shellcheck disable=SC1090 # one after the other
	source "$1"
}

each_case() {
	local file
	for file in "$BATS_TEST_DIRNAME"/plan-cases/*.bash; do
		case_load "$file"
		"$@"
	done
}

# stranger TYPE GPUS: somebody else's pod.
stranger() {
	k create -o name -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {generateName: stranger-}
spec:
  nodeSelector: {node.kubernetes.io/instance-type: $1}
  tolerations: [{operator: Exists}]
  containers:
  - {name: train, image: example/train:1, resources: {limits: {nvidia.com/gpu: $2}}}
YAML
}

# manifest [ARGUMENT]: the Model and the endpoint of the case.
manifest() {
	cat <<YAML
apiVersion: inference.instancepool.dev/v1alpha1
kind: Model
metadata: {name: $CASE}
spec:
  template:
    spec:
      $POD
      containers:
      - {name: server, image: example/llm:1, args: [${1:---fast}], resources: {limits: {nvidia.com/gpu: $GPUS}, requests: {cpu: $CPU}}}
---
apiVersion: inference.instancepool.dev/v1alpha1
kind: InstancePoolEndpoint
metadata: {name: $CASE}
spec:
  $SPEC
  modelName: $CASE
  instanceCount: $COUNT
  instancePools: ${POOLS//$'\n'/$'\n  '}
YAML
}

# plan_case NAME ARGUMENT...: what will be, into $T/NAME.plan. All others that the test has are known, too.
plan_case() {
	local status=0
	"$E2E_PLUGIN" plan -n "$NS" -o json "${@:2}" >"$T/$1.plan" 2>"$T/$1.complaints" || status=$?
	[[ ! -s $T/$1.complaints ]] || { cat "$T/$1.complaints" && return 1; }
	# The exit status is the answer in short.
	jq -e --argjson status "$status" '
		([.answers[] | select(.nodes != "StayAway") | .rest.missing] | max > 0) == ($status == 1)' "$T/$1.plan" >/dev/null
}

# foretold NAME INDEX: an answer, in the words of `happened`.
foretold() {
	jq -S --argjson i "$2" '.answers[$i].rest
		| {phase, conditions: (.conditions | sort),
		   pools: [.pools[] | {name, lands, waits, state, reason: (.reason // ""), message: (.message // "")}]}' "$T/$1.plan"
}

happened() {
	ipe "$1" -S '.status
		| {phase, conditions: ([.conditions[] | select(.status == "True") | .type] | sort),
		   pools: [.instancePools[] | {name, lands: ((.currentInstanceCount // 0) + (.startingInstanceCount // 0)),
		                               waits: (.waitingInstanceCount // 0), state, reason: (.reason // ""), message: (.message // "")}]}'
}

nothing_moves() {
	ipe_is "$1" '
		.status.observedGeneration == .metadata.generation and .status.desiredInstanceCount == .spec.instanceCount
		and all(.status.instancePools[]; .startingInstanceCount == 0 and (.waitingInstanceCount == 0 or .reason == "Gated"))'
}

# Twice, with some time between: between two steps nothing moves for a moment.
comes_to_rest() {
	wait_for 60 "$1 to come to rest" nothing_moves "$1"
}

compare_case() {
	diff -u --label "$1, foretold" --label "$1, happened" <(foretold "$1" "${2:-0}") <(happened "$1")
}

settle_case() {
	comes_to_rest "$CASE"
}

check_case() {
	compare_case "$CASE" || WRONG+=("$CASE")
}

given_case() {
	given
	manifest >"$T/$CASE.yaml"
}

plan_new_case() {
	plan_case "$CASE" --autoscaler none -f "$T/$CASE.yaml" "${OUT[@]}"
	((${#OUT[@]} == 0)) || keep_last_answer
}

# Only the answer to the question that was asked last.
keep_last_answer() {
	jq '.answers |= [.[-1]]' "$T/$CASE.plan" >"$T/last"
	mv "$T/last" "$T/$CASE.plan"
}

create_case() {
	afterwards
	k apply -f "$T/$CASE.yaml" >/dev/null
}

strangers_run() {
	k get pods -l '!inference.instancepool.dev/endpoint' -o json | jq -e 'all(.items[]; .spec.nodeName != null)'
}

# What comes after: another count, another template, or the same once more, which must change nothing.
plan_next() {
	if [[ -n $THEN_COUNT ]]; then
		plan_case "$CASE" --autoscaler none "$CASE" --count "$THEN_COUNT"
		return
	fi
	[[ -z $THEN_ARGUMENT ]] || manifest "$THEN_ARGUMENT" >"$T/$CASE.yaml"
	plan_case "$CASE" --autoscaler none -f "$T/$CASE.yaml"
	[[ -n $THEN_ARGUMENT ]] || jq -e '.answers[0].timeline == []' "$T/$CASE.plan" >/dev/null || {
		echo "the same manifest once more, $CASE: $(jq -c '.answers[0].timeline' "$T/$CASE.plan")"
		return 1
	}
}

go_on() {
	[[ -z $THEN_COUNT ]] || k scale ipe "$CASE" --replicas "$THEN_COUNT" >/dev/null
	[[ -z $THEN_ARGUMENT ]] || k apply -f "$T/$CASE.yaml" >/dev/null
}

rest_and_compare() {
	WRONG=()
	each_case settle_case
	sleep 4
	each_case settle_case
	each_case check_case
	[[ ${#WRONG[@]} == 0 ]] || { echo "not as foretold: ${WRONG[*]}" && return 1; }
}

@test "what a plan says of twenty clusters and endpoints is what the operator then does" {
	each_case given_case
	wait_for 20 "strangers to have their GPUs" strangers_run
	each_case plan_new_case
	operator_start
	each_case create_case
	rest_and_compare
	each_case plan_next
	each_case go_on
	sleep 2
	rest_and_compare
}

# external_case NAME: two of P5 and G6, of which there is one each.
external_case() {
	CASE=$1 P5=p5.$E2E_RUN-$BATS_SUITE_TEST_NUMBER.$1 G6=g6.$E2E_RUN-$BATS_SUITE_TEST_NUMBER.$1
	GPUS=8 CPU=1 POD='' COUNT=2 SPEC="instanceProvisionTimeoutSeconds: $2"
	POOLS="
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}"
	nodes "$P5" 1
	nodes "$G6" 1
	manifest >"$T/$CASE.yaml"
	plan_case "$CASE" --autoscaler external -f "$T/$CASE.yaml"
	k apply -f "$T/$CASE.yaml" >/dev/null
}

waits_as_foretold() {
	ipe_is "$1" "
		[.status.instancePools[] | [.name, .currentInstanceCount // 0, .waitingInstanceCount // 0, .state, .reason // \"\"]]
			== $(jq -c '[.answers[0].now.pools[] | [.name, .lands, .waits, .state, .reason // ""]]' "$T/$1.plan")"
}

@test "with an autoscaler a plan has both ends: all nodes come, or none does" {
	operator_start --node-autoscaler external
	external_case none-comes 20
	external_case they-come 600
	wait_for 20 "what lands now and what waits" waits_as_foretold they-come
	nodes "$P5" 1
	comes_to_rest they-come
	compare_case they-come 0
	wait_for 60 "the window to pass" ipe_is none-comes 'pool(0).state == "BackOff"'
	comes_to_rest none-comes
	compare_case none-comes 1
}
