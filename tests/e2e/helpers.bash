# shellcheck shell=bash disable=SC2034 # variables for the tests
# What all scenarios share. Each test has a namespace, instance types (so that tests do not take each other's nodes) and
# an operator process of its own; the operator runs with the token of the ServiceAccount in deploy/. A test says what it
# waits for and how long it may take; everything that the API showed of its endpoints and pods is recorded meanwhile.

GROUP=/apis/inference.instancepool.dev/v1alpha1

setup() {
	local id=$E2E_RUN-$BATS_SUITE_TEST_NUMBER
	T=$BATS_TEST_TMPDIR
	NS=e2e-$id
	# Three types: the best, the fallback and the last resort.
	P5=p5.$id G6=g6.$id G5=g5.$id
	OPERATOR_PID='' OPERATOR_STARTS=0 RECORDERS=() AT_END=(true)
	EXPECTED_LOG='' # an extended regular expression: log lines with problems that the test provokes
	kubectl create namespace "$NS" >/dev/null
	wait_for 20 "the namespace's ServiceAccount" api "/api/v1/namespaces/$NS/serviceaccounts/default"
	record endpoints "$GROUP/namespaces/$NS/instancepoolendpoints"
	record pods "/api/v1/namespaces/$NS/pods"
}

teardown() {
	local status=0
	operator_stop || status=1
	check_logs || status=1
	[[ -n ${BATS_TEST_COMPLETED:-} && $status == 0 ]] || diagnose
	"${AT_END[@]}" || true
	# The namespace first, so that nothing is made anew; no kubelet answers for the pods of a node that is gone.
	api "/api/v1/namespaces/$NS" -X DELETE >/dev/null || true
	api "/api/v1/namespaces/$NS/pods?gracePeriodSeconds=0" -X DELETE >/dev/null || true
	api "/api/v1/nodes?labelSelector=instancepool.dev/e2e%3D$NS" -X DELETE >/dev/null || true
	kill "${RECORDERS[@]}" 2>/dev/null || true
	wait "${RECORDERS[@]}" 2>/dev/null || true
	return "$status"
}

# For the eyes of whoever has to find out why a test failed.
diagnose() {
	local log
	for log in "$T"/operator.*.log; do
		[[ ! -f $log ]] || { echo "--- the last lines of ${log##*/}" && tail -n 50 "$log"; }
	done
	echo "--- objects"
	kubectl get ipe -n "$NS" -o yaml --show-managed-fields=false
	kubectl get ipe,deployments,services,pods -n "$NS" -o wide
	kubectl get events -n "$NS" --sort-by=.metadata.creationTimestamp | tail -n 40
	kubectl get nodes -l "instancepool.dev/e2e=$NS"
}

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= deadline)); then
			echo "waited in vain for: $what"
			"$@" || true
			return 1
		fi
		sleep 0.4
	done
}

# stays SECONDS WHAT COMMAND...: COMMAND succeeds all that time.
stays() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	while ((SECONDS < deadline)); do
		"$@" >/dev/null || { echo "did not last: $what" && return 1; }
		sleep 0.5
	done
}

# fails COMMAND...: COMMAND must not succeed (a plain "!" is no assertion in bats).
fails() {
	if "$@"; then
		echo "succeeded, but should not: $*"
		return 1
	fi
}

## The API

# api PATH [CURL-ARGUMENT...]
api() {
	curl -sS --fail-with-body --unix-socket "$E2E_SOCKET" "http://localhost$1" "${@:2}"
}

k() {
	kubectl -n "$NS" "$@"
}

# record NAME PATH: all that a watch of PATH shows, into $T/NAME.jsonl. A test reads it with `seen`.
record() {
	curl -sN --unix-socket "$E2E_SOCKET" "http://localhost$2?watch=true&timeoutSeconds=3600" >"$T/$1.jsonl" 2>/dev/null 3>&- &
	RECORDERS+=($!)
}

# seen NAME FILTER: true if the jq FILTER was true of any recorded object.
seen() {
	[[ -n $(jq -c "select(.object | $2) | 1" "$T/$1.jsonl") ]]
}

never_seen() {
	kill -0 "${RECORDERS[@]}"
	[[ -s $T/$1.jsonl ]]
	fails seen "$@"
}

## Nodes

# nodes TYPE COUNT [OPTION...]: as for hack/cluster node add.
nodes() {
	"$E2E_ROOT/hack/cluster" node add "$1" --count "$2" --label "instancepool.dev/e2e=$NS" \
		--kubeconfig "$KUBECONFIG" "${@:3}" >/dev/null
}

real_life_nodes() {
	nodes "$@" --behaviour real-life
}

## Endpoints and models

# apply_model NAME [IMAGE] [ARGUMENT]: one container that takes all GPUs of a node. READY_AFTER and STOP_AFTER pin the
# times of real-life nodes, FAILS_WITH makes it fail there (hack/README.md).
apply_model() {
	model "$@" | k apply -f - >/dev/null
}

model() {
	cat <<YAML
apiVersion: inference.instancepool.dev/v1alpha1
kind: Model
metadata:
  name: $1
spec:
  template:
    metadata:
      annotations:
        kwok.instancepool.dev/ready-after: ${READY_AFTER:-2s}
        kwok.instancepool.dev/stop-after: ${STOP_AFTER:-1s}
        ${FAILS_WITH:+"kwok.instancepool.dev/fails-with: $FAILS_WITH"}
    spec:
      terminationGracePeriodSeconds: ${GRACE_S:-30}
      containers:
      - name: server
        image: ${2:-example/llm:1}
        args: ["${3:---fast}"]
        resources:
          limits:
            nvidia.com/gpu: 8
YAML
}

# apply_endpoint NAME [KUBECTL-APPLY-ARGUMENT...]: the spec is standard input.
apply_endpoint() {
	endpoint "$1" | k apply -f - "${@:2}" >/dev/null
}

endpoint() {
	cat <<YAML
apiVersion: inference.instancepool.dev/v1alpha1
kind: InstancePoolEndpoint
metadata:
  name: $1
spec:
$(sed 's/^/  /')
YAML
}

# two_pools NAME COUNT: the model "llm" on P5, with G6 as fallback.
two_pools() {
	apply_endpoint "$1" <<YAML
modelName: llm
instanceCount: $2
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
}

# ipe NAME [JQ-ARGUMENT...]
ipe() {
	api "$GROUP/namespaces/$NS/instancepoolendpoints/$1" | jq "${@:2}"
}

# ipe_is NAME FILTER: true if the jq FILTER is. `pool(0)` is the status of the best pool, `condition("Ready")` a condition.
ipe_is() {
	ipe "$1" -e "
		def condition(\$type): .status.conditions[]? | select(.type == \$type);
		def is(\$type): [condition(\$type).status] == [\"True\"];
		def pool(\$i): .status.instancePools[\$i];
		$2"
}

# The status is about the present spec, and all pools have what they should: COUNT... by priority.
is_settled() {
	ipe_is "$1" "
		.status.observedGeneration == .metadata.generation
		and .status.desiredInstanceCount == .spec.instanceCount
		and ([.status.instancePools[] | .currentInstanceCount] | join(\" \")) == \"${*:2}\"
		and all(.status.instancePools[]; .desiredInstanceCount == .currentInstanceCount and .waitingInstanceCount == 0)"
}

# Pods that have a node and are not being ended, by pool: "2 4".
ready_pods() {
	local pods pools
	pods=$(api "/api/v1/namespaces/$NS/pods?labelSelector=inference.instancepool.dev/endpoint%3D$1") || return
	pools=$(ipe "$1" -c '[.status.instancePools[].name]') || return
	jq -r --argjson pools "$pools" '
		[.items[] | select(.metadata.deletionTimestamp == null)
			| select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))
			| .metadata.labels["inference.instancepool.dev/pool"]] as $of
		| [$pools[] as $p | [$of[] | select(. == $p)] | length] | join(" ")' <<<"$pods"
}

has_ready_pods() {
	local found
	found=$(ready_pods "$1") && [[ $found == "${*:2}" ]]
}

# settles SECONDS NAME COUNT...: all is Ready with that many instances in each pool, in the status and in truth.
settles() {
	wait_for "$1" "$2 with ${*:3} Ready instances in its pools" is_settled "${@:2}"
	wait_for 5 "as many Ready pods" has_ready_pods "${@:2}"
}

# uids NAME: of its pods, sorted, one a line.
uids() {
	api "/api/v1/namespaces/$NS/pods?labelSelector=inference.instancepool.dev/endpoint%3D$1" |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .metadata.uid' | sort
}

# pods NAME [FILTER]: how many pods of the endpoint the jq FILTER is true of.
count_pods() {
	api "/api/v1/namespaces/$NS/pods?labelSelector=inference.instancepool.dev/endpoint%3D$1" |
		jq "[.items[] | select(${2:-true})] | length"
}

pods_number() {
	[[ $(count_pods "$1" "${3:-true}") == "$2" ]]
}

# objects RESOURCE: how many there are in the namespace.
objects() {
	k get "$1" -o name | wc -l
}

has_event() {
	k get events -o json | jq -e --arg reason "$2" --arg name "$1" '
		any(.items[]; .involvedObject.name == $name and .reason == $reason)'
}

# expect_event NAME REASON: an Event of the endpoint NAME; they come after the status.
expect_event() {
	wait_for 10 "the event $2 of $1" has_event "$@"
}

## The operator

# operator_start [FLAG...]: returns when it is ready. Nothing adds nodes unless a flag says so.
operator_start() {
	operator_launch "$@"
	wait_for 20 "the operator to be ready" operator_get /readyz
}

# The same without the wait. OPERATOR_KUBECONFIG: another than that of its ServiceAccount.
operator_launch() {
	OPERATOR_STARTS=$((OPERATOR_STARTS + 1))
	OPERATOR_LOG=$T/operator.$OPERATOR_STARTS.log
	"$E2E_OPERATOR" --kubeconfig "${OPERATOR_KUBECONFIG:-$E2E_ACCOUNT_KUBECONFIG}" --namespace "$NS" --node-autoscaler none \
		--metrics-bind-address 127.0.0.1:0 --health-probe-bind-address 127.0.0.1:0 "$@" \
		>"$OPERATOR_LOG" 2>&1 3>&- &
	OPERATOR_PID=$!
}

# The operator's rights to its Lease, for one of this test's name; drop_lease takes it, and the rights.
grant_lease() {
	kubectl -n instancepool-system get role instancepool-operator-leader-election -o json | jq --arg lease "$NS" '
		.metadata = {name: $lease}
		| .rules |= map(if .resourceNames then .resourceNames = [$lease] else . end)' |
		kubectl -n instancepool-system apply -f - >/dev/null
	kubectl -n instancepool-system create rolebinding "$NS" --role="$NS" \
		--serviceaccount=instancepool-system:instancepool-operator >/dev/null
	wait_for 5 "the right to the lease" kubectl -n instancepool-system auth can-i patch "leases/$NS" \
		--as=system:serviceaccount:instancepool-system:instancepool-operator
}

drop_lease() {
	kubectl -n instancepool-system delete lease,role,rolebinding "$NS" --ignore-not-found
}

operator_get() {
	local port
	port=$(jq -Rr 'fromjson? | select(.msg == "serving") | .port' "$OPERATOR_LOG") && [[ -n $port ]] &&
		curl -sS --fail-with-body --max-time 5 "http://127.0.0.1:$port$1"
}

# Ends it as a kubelet does; it must go quickly and without complaint.
operator_stop() {
	local status=0 pid=$OPERATOR_PID tries=0
	[[ -n $pid ]] || return 0
	OPERATOR_PID=''
	kill -TERM "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null && ((tries++ < 100)); do
		sleep 0.1
	done
	if kill -9 "$pid" 2>/dev/null; then
		echo "the operator did not end within 10 s of SIGTERM"
	fi
	wait "$pid" || status=$?
	((status == 0)) || echo "the operator ended with $status"
	return "$status"
}

operator_kill() {
	kill -9 "$OPERATOR_PID"
	wait "$OPERATOR_PID" 2>/dev/null || true
	OPERATOR_PID=''
}

# No word of the sanitizers, nothing that the ServiceAccount may not do, no error that the test does not provoke.
check_logs() {
	local bad
	bad=$(cat "$T"/operator.*.log 2>/dev/null |
		grep -E 'AddressSanitizer|LeakSanitizer|runtime error|fatal:|Assertion|"level":"error"|"httpStatus":40[13]' |
		grep -vE "${EXPECTED_LOG:-^$}") || return 0
	printf 'bad lines in the log of the operator:\n%s\n' "$bad"
	return 1
}

# logged FILTER: true if the jq FILTER is true of a line of the log.
logged() {
	[[ -n $(jq -Rc "fromjson? | select($1) | 1" "$OPERATOR_LOG") ]]
}

# log_count FILTER: of how many lines of the log the jq FILTER is true.
log_count() {
	jq -Rc "fromjson? | select($1) | 1" "$OPERATOR_LOG" | wc -l
}

# complains SECONDS COUNT FILTER...: after so many seconds there are so many warnings and errors in its log, from its
# start on, and each jq FILTER is true of one of them.
complains() {
	local filter
	sleep "$1"
	jq -Rc 'fromjson? | select(.level == "warn" or .level == "error")' "$OPERATOR_LOG"
	[[ $(log_count '.level == "warn" or .level == "error"') == "$2" ]]
	for filter in "${@:3}"; do
		logged "$filter" || { echo "no line with $filter" && return 1; }
	done
}

# not_ready TEXT: /readyz says so, and why.
not_ready() {
	local body
	if body=$(operator_get /readyz 2>/dev/null); then
		return 1
	fi
	echo "/readyz: $body"
	[[ $body == *"$1"* ]]
}

## A way to the API server that can be closed, or be slow

# forward_start, forward_stop: after that connections are refused.
forward_start() {
	local host
	host=$(kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}')
	host=${host#https://} host=${host%%/*}
	FORWARD_TO=${host%:*}
	/usr/bin/python3 "$E2E_ROOT/tests/e2e/forward.py" "${FORWARD_PORT:-0}" "$FORWARD_TO" "${host##*:}" >"$T/forward" 2>&1 3>&- &
	FORWARD_PID=$!
	RECORDERS+=("$FORWARD_PID")
	wait_for 10 "the way to the API server" grep -qE '^[0-9]+$' "$T/forward"
	FORWARD_PORT=$(<"$T/forward")
}

forward_stop() {
	kill -9 "$FORWARD_PID"
	wait "$FORWARD_PID" || true
}

# forward_hold, forward_release: what the API server sends meanwhile comes later; what it is sent comes through.
forward_hold() {
	kill -USR1 "$FORWARD_PID"
}

forward_release() {
	kill -USR2 "$FORWARD_PID"
}

# operator_kubeconfig_by_forward KUBECONFIG: the same by that way, for OPERATOR_KUBECONFIG.
operator_kubeconfig_by_forward() {
	jq --arg server "https://127.0.0.1:$FORWARD_PORT" --arg name "$FORWARD_TO" '
		.clusters[0].cluster |= (.server = $server | ."tls-server-name" = $name)' "$1" >"$T/by-forward"
	OPERATOR_KUBECONFIG=$T/by-forward
}

## The audit log

need_audit_log() {
	[[ -r ${E2E_AUDIT_LOG:-} ]] || skip "no audit log of this cluster is known (E2E_AUDIT_LOG)"
}

# writes [FILTER]: the operator's writes in this namespace, one a line.
writes() {
	grep -F "\"namespace\":\"$NS\"" "$E2E_AUDIT_LOG" | jq -c "
		select(.user.username == \"system:serviceaccount:instancepool-system:instancepool-operator\")
		| select(.verb | IN(\"create\", \"update\", \"patch\", \"delete\"))
		| select(${1:-true}) | {at: .requestReceivedTimestamp, verb, uri: .requestURI, code: .responseStatus.code}"
}
