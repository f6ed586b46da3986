#!/usr/bin/env bats
# kubectl instancepool: what it shows of a real endpoint, and that what it converts is taken.

load helpers

# plugin ARGUMENT...: as kubectl runs it. Its Lease would be in this namespace.
plugin() {
	PATH=$(dirname -- "$E2E_PLUGIN"):$PATH kubectl instancepool "$@"
}

# shows TEXT...: the page about the endpoint llm has each TEXT, in the order of its lines.
shows() {
	local text page rest
	page=$(plugin status llm -n "$NS" --operator-namespace "$NS" 2>&1) || { echo "$page" && return 1; }
	echo "$page"
	rest=$page
	for text in "$@"; do
		[[ $rest == *"$text"* ]] || { echo "not there, or not in this place: $text" && return 1; }
		rest=${rest#*"$text"}
	done
}

# refuses STATUS TEXT ARGUMENT...: one line on stderr.
refuses() {
	local status=0 line
	line=$(plugin "${@:3}" 2>&1) || status=$?
	echo "$line"
	[[ $status == "$1" && $line == *"$2"* && $(wc -l <<<"$line") == 1 ]]
}

pod_of() {
	k get pods -l "inference.instancepool.dev/instance-type=$1" -o 'jsonpath={.items[0].metadata.name}'
}

@test "status of an endpoint that is well: its pools and instances, and nothing to do" {
	nodes "$P5" 2
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 2
	settles 30 llm 2 0
	shows "llm   InService   2 of 2 Ready" "(namespace $NS, " \
		"├─ 1  $P5   2/2 Ready" "│   ├─ llm-" "   Ready   node " "│   └─ llm-" \
		"└─ 2  $G6   0/0 Ready   Idle" "Next: nothing to do."
	# No colour where nobody looks.
	fails grep $'\033' <<<"$(plugin status llm -n "$NS")"
	kubectl config view --minify --flatten --raw -o json |
		jq --arg ns "$NS" '.contexts = [.contexts[0] | .name = "other" | .context.namespace = $ns] | ."current-context" = "none"' \
			>"$T/kubeconfig"
	plugin status llm --kubeconfig "$T/kubeconfig" --context other | grep -F "2 of 2 Ready"
	refuses 1 "$T/kubeconfig: there is no context 'third', only 'other'" \
		status llm --kubeconfig "$T/kubeconfig" --context third
}

@test "status on a fallback: why, until when, and how to get back" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 2
	settles 30 llm 1 1
	expect_event llm PoolOutOfCapacity
	shows "InService   2 of 2 Ready" "1  $P5   1/1 Ready   no capacity for " "StockOut: no room on its node " "; tried again in " \
		"2  $G6   1/1 Ready" "OnFallback (FallbackServes)" "PoolOutOfCapacity" \
		"Next:" "kubectl patch ipe -n $NS llm --type merge -p '{\"spec\":{\"capacity\":{\"rebalance\":\"Active\"}}}'"
	# The step does what it says.
	k patch ipe llm --type merge -p '{"spec":{"capacity":{"rebalance":"Active"}}}' >/dev/null
	wait_for 10 "the new generation" ipe_is llm '.status.observedGeneration == .metadata.generation'
	shows "Next:" "nothing has to be done: instances move back"
}

@test "status without any capacity names the nodes that are missing" {
	operator_start
	apply_model llm
	two_pools llm 1
	wait_for 20 "no capacity anywhere" ipe_is llm 'is("InsufficientCapacity")'
	shows "0 of 1 Ready" "NoNodes" "InsufficientCapacity (AllPoolsShort)" "Next:" \
		"no node has node.kubernetes.io/instance-type=$P5" "add nodes, or a pool of another instance type"
}

@test "status of an instance that crashes says whose log to read" {
	real_life_nodes "$P5" 1
	operator_start
	FAILS_WITH=crash-loop apply_model llm
	two_pools llm 1
	wait_for 30 "the crash" ipe_is llm 'pool(0).reason == "CrashLoop"'
	shows "1  $P5   0/1 Ready   1 starting for " "CrashLoop: container server has ended" "└─ $(pod_of "$P5")   CrashLoop   node " \
		"Next:" "kubectl logs -n $NS $(pod_of "$P5") -c server --previous"
}

@test "status without the Model says which one to make, and sees it also without an operator" {
	two_pools llm 1
	sleep 11
	shows "llm   no status" "not in the status yet" "Next:" \
		"no operator has taken this endpoint up, and none holds the Lease instancepool-operator in namespace $NS" \
		"make the Model llm in namespace $NS"
	# The chart calls Deployment and Lease after the release.
	k create deployment blue --image none --replicas 0 >/dev/null
	k label deployment blue app.kubernetes.io/name=instancepool-operator >/dev/null
	shows "none holds the Lease blue in namespace $NS" "logs deployment/blue"
	k delete deployment blue >/dev/null
	operator_start
	wait_for 10 "the missing Model" ipe_is llm 'is("ModelMissing")'
	shows "Failed   0 of 1 Ready" "Config: Model llm does not exist in namespace $NS" "ModelMissing" "Next:" "make the Model llm in namespace $NS"
}

@test "status of an endpoint that does not exist tells those that do" {
	apply_model llm
	two_pools my-llm 1
	two_pools your-llm 1
	refuses 1 "there is no InstancePoolEndpoint \"my-lm\" in namespace $NS; there are: my-llm, your-llm" status my-lm -n "$NS"
	refuses 1 "there is no InstancePoolEndpoint \"your-llm\" in namespace default; there is one in namespace $NS (-n)" \
		status your-llm -n default
	refuses 1 "there is none at all in this namespace" status none-of-"$NS" -n default
	refuses 2 "give the name of one endpoint" status
	refuses 2 "there is no command 'state'" state
}

@test "status with few rights shows what may be read, and names the rest" {
	nodes "$P5" 1
	operator_start
	apply_model llm
	two_pools llm 1
	settles 30 llm 1 0
	k create serviceaccount looker >/dev/null
	k create role looker --verb=get --resource=instancepoolendpoints.inference.instancepool.dev >/dev/null
	k create rolebinding looker --role=looker --serviceaccount="$NS:looker" >/dev/null
	# shellcheck source=hack/lib/install.sh
	source "$E2E_ROOT/hack/lib/install.sh"
	account_kubeconfig "$NS" looker >"$T/looker"
	wait_for 10 "the right to read endpoints" plugin status llm -n "$NS" --kubeconfig "$T/looker"
	page=$(plugin status llm -n "$NS" --kubeconfig "$T/looker")
	echo "$page"
	[[ $page == *"InService   1 of 1 Ready"*"1  $P5   1/1 Ready"*"could not be read:"*"pods: "*"cannot list resource \"pods\""* ]]
	[[ $page == *"deployments: "* && $page == *"models: "* && $page == *"events: "* && $page == *"the operator's Deployment: "*"the operator's Lease: "* ]]
	# The endpoint itself must be readable.
	refuses 1 "is forbidden" status llm -n default --kubeconfig "$T/looker"
}

@test "the API server takes all that convert writes" {
	local file n=0
	for file in "$E2E_ROOT"/tests/golden/convert/*.json; do
		[[ $file != */refused-* ]] || continue
		plugin convert "$file" 2>"$T/notes" >"$T/converted.yaml"
		[[ -s $T/notes ]]
		k apply --dry-run=server -f "$T/converted.yaml" >"$T/applied"
		[[ $(wc -l <"$T/applied") == $(grep -c ^kind: "$T/converted.yaml") ]]
		n=$((n + 1))
	done
	((n >= 5))
	plugin convert - <"$E2E_ROOT/tests/golden/convert/single-type.json" 2>/dev/null | k apply --dry-run=server -f -
	refuses 1 "it has TrainingJobName, RoleArn" convert "$E2E_ROOT/tests/golden/convert/refused-unknown-object.json"
	refuses 1 "no-such-file: No such file" convert no-such-file
}
