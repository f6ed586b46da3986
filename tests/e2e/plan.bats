#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2034 # variables for helpers.bash; each test has its own
# `kubectl instancepool plan` says what the operator then does. plan-cases/*.bash are clusters and endpoints: each gets
# instance types of its own, is planned before the endpoint is there, and compared when nothing moves any more.

load helpers

bats_require_minimum_version 1.5.0

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
	foretold "$1" "${2:-0}" >"$T/foretold" && happened "$1" >"$T/happened" && [[ -s $T/foretold ]] &&
		diff -u --label "$1, foretold" --label "$1, happened" "$T/foretold" "$T/happened"
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
	[[ -n $THEN_ARGUMENT ]] || jq -e 'all(.answers[0].timeline[]; .text | test(" waits?, "))' "$T/$CASE.plan" >/dev/null || {
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

@test "a plan from files asks no cluster, and its exit status tells whether all land" {
	local plan=("$E2E_PLUGIN" plan --kubeconfig /nonexistent)
	case_load "$BATS_TEST_DIRNAME/plan-cases/falls-to-second.bash"
	manifest >"$T/llm.yaml"
	echo "- {type: $P5, count: 2, gpus: 8}" >"$T/nodes.yaml"
	echo "- {type: $G6, count: 3, gpus: 8}" >>"$T/nodes.yaml"
	run -0 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml"
	[[ $output == *"5 of 5 instances land; it rests after about 5s; phase InService, OnFallback."* ]]
	[[ $output =~ 1\ +p5-[^\ ]+\ +$P5\ +2\ +0\ +BackOff\ +StockOut:\ no\ room ]]
	run -1 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml" --out "ml.$P5"
	[[ $output == *"If $P5 is out:"*"3 of 5 instances land, 2 find no place"* ]]
	run -0 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml" --autoscaler external
	[[ $output == *"If the autoscaler brings all nodes"*"If none comes within the window of a pool (20m)"* ]]

	run -0 "${plan[@]}" -f - --nodes "$T/nodes.yaml" <"$T/llm.yaml"
	[[ $output == *"5 of 5 instances land"* ]]
	run -0 "${plan[@]}" -f "$T/llm.yaml" --nodes - <"$T/nodes.yaml"
	run -2 "${plan[@]}" -f - --nodes - <"$T/llm.yaml"
	[[ $output == *"standard input (-) can be read once only"* ]]
	run -2 "${plan[@]}" -f - --nodes "$T/nodes.yaml" <<<'{'
	[[ $output == "kubectl instancepool plan: standard input: line "* ]]

	# The same nodes and what runs there, as kubectl writes them.
	nodes "$P5" 2
	nodes "$G6" 3
	stranger "$P5" 1
	wait_for 20 "the stranger to have its GPU" strangers_run
	kubectl get nodes,pods -A -o json >"$T/nodes.json"
	kubectl get nodes,pods -A -o yaml >"$T/all.yaml"
	run -1 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.json" -o json
	jq -e '[.answers[0].rest.pools[].lands] == [1, 3] and .answers[0].rest.missing == 1' <<<"$output"
	run -1 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/all.yaml" -o json
	jq -e '[.answers[0].rest.pools[].lands] == [1, 3]' <<<"$output"

	# What is wrong is named, and what would be right.
	run -2 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml" --out g4.xlarge
	[[ $output == *"--out: 'g4.xlarge' is none of the instance types of falls-to-second ($P5, $G6)"* ]]
	echo "- {type: $P5, count: many}" >"$T/nodes.yaml"
	run -2 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml"
	[[ $output == *"nodes.yaml: entry 1: count: \"many\" is not a number between 0 and 10000"* ]]
	sed -i 's/priority: 1/priority: 0/' "$T/llm.yaml"
	run -2 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/nodes.yaml"
	[[ $output == *"llm.yaml: document 2: InstancePoolEndpoint falls-to-second: spec.instancePools[0].priority: 0 is not between 1 and 1000"* ]]
	run -2 "${plan[@]}" llm
	[[ $output == *"/nonexistent"* ]]
}

# refuses TEXT FILE: said of a file with this text, given as the nodes and as the endpoint.
refuses() {
	echo "$2" >"$T/wrong"
	run -2 "${plan[@]}" -f "$T/llm.yaml" --nodes "$T/wrong"
	[[ $output == "kubectl instancepool plan: $T/wrong: $1"* ]]
	run -2 "${plan[@]}" -f "$T/wrong" --nodes "$T/nodes.yaml"
	[[ $output == "kubectl instancepool plan: $T/wrong: $1"* ]]
}

@test "a file that cannot be read is refused in words, with the place" {
	local plan=("$E2E_PLUGIN" plan --kubeconfig /nonexistent)
	case_load "$BATS_TEST_DIRNAME/plan-cases/falls-to-second.bash"
	manifest >"$T/llm.yaml"
	echo "- {type: $P5, count: 2, gpus: 8}" >"$T/nodes.yaml"
	refuses 'items[0]: must be a Kubernetes object' '{"kind": "NodeList", "items": [1]}'
	refuses 'must be ' 5
	refuses 'line 2, column 11: ' $'{"kind": "NodeList",\n "items":[}'
}

@test "an answer that cannot be written is an error, and help, too" {
	case_load "$BATS_TEST_DIRNAME/plan-cases/falls-to-second.bash"
	manifest >"$T/llm.yaml"
	echo "- {type: $P5, count: 9, gpus: 8}" >"$T/nodes.yaml"
	local arguments
	for arguments in "-f $T/llm.yaml --nodes $T/nodes.yaml" "-f $T/llm.yaml --nodes $T/nodes.yaml -o json" --help; do
		# shellcheck disable=SC2016,SC2086 # the inner shell's; words
		run -2 bash -c '"$0" plan "$@" >/dev/full' "$E2E_PLUGIN" $arguments
		[[ $output == "kubectl instancepool plan: standard output: "* ]]
	done
}

@test "text that comes with an object does not steer the terminal" {
	case_load "$BATS_TEST_DIRNAME/plan-cases/falls-to-second.bash"
	manifest >"$T/llm.yaml"
	echo "- {type: $P5, count: 9, gpus: 8}" >"$T/nodes.yaml"
	sed -i "s/metadata: {name: $CASE}/metadata: {name: $CASE, namespace: \"a\\\\e[2J\\\\nb\\\\u202e\"}/" "$T/llm.yaml"
	run -0 "$E2E_PLUGIN" plan -f "$T/llm.yaml" --nodes "$T/nodes.yaml"
	[[ $output == "Endpoint $CASE in namespace a [2J b   : "* ]]
	echo '{"kind": "a\u001b[2J"}' >"$T/nodes.yaml"
	run -2 "$E2E_PLUGIN" plan -f "$T/llm.yaml" --nodes "$T/nodes.yaml"
	[[ $output == *"kind: 'a [2J' is none of"* ]]
}

# said JQ ARGUMENT...: is it in the plan?
said() {
	"$E2E_PLUGIN" plan -n "$NS" -o json "${@:2}" >"$T/said" || (($? == 1))
	jq -e "$1" "$T/said" >/dev/null
}

@test "a plan says what an operator with fewer rights would not know, and that nothing is done for what is deleted" {
	case_load "$BATS_TEST_DIRNAME/plan-cases/falls-to-second.bash"
	manifest >"$T/llm.yaml"
	if kubectl create configmap -n kube-system cluster-autoscaler-status --from-literal=status=test; then
		AT_END=(kubectl delete configmap -n kube-system cluster-autoscaler-status)
	fi
	said '.answers[0].nodes == "Come" and any(.notes[]; test("--watch-nodes=false .*--autoscaler none"))' -f "$T/llm.yaml"
	said '.answers[0].nodes == "Fixed" and .notes == []' -f "$T/llm.yaml" --autoscaler none

	# Another namespace's endpoint has found no more of a type.
	kubectl create namespace "$NS-2" >/dev/null
	kubectl apply -n "$NS-2" -f "$T/llm.yaml" >/dev/null
	kubectl patch ipe -n "$NS-2" "$CASE" --subresource status --type merge -p "{\"status\": {\"instancePools\": [
		{\"name\": \"x\", \"instanceType\": \"$P5\", \"modelName\": \"llm\", \"priority\": 1, \"state\": \"BackOff\", \"reason\": \"StockOut\"}]}}" >/dev/null
	said "any(.notes[]; test(\"in namespace $NS-2 has found no more $P5, .*--namespace\"))" -f "$T/llm.yaml" --autoscaler none
	kubectl delete namespace "$NS-2" --wait=false >/dev/null

	k apply -f "$T/llm.yaml" >/dev/null
	k patch ipe "$CASE" --type merge -p '{"metadata": {"finalizers": ["example.com/stays"]}}' >/dev/null
	k delete ipe "$CASE" --wait=false >/dev/null
	said 'any(.notes[]; test("is being deleted")) and .answers[0].timeline == []' "$CASE" --autoscaler none
	k patch ipe "$CASE" --type merge -p '{"metadata": {"finalizers": null}}' >/dev/null
}
