#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# The operator as pods when something is wrong around it: one line each that says what and what to do, so does /readyz, and
# no container is started again. The last of the files: the nodes' Services need a while after it. The namespace is not the usual one, so that what it is denied here is nobody else's.

# One after the other.
export BATS_NO_PARALLELIZE_WITHIN_FILE=true

load helpers

OPERATOR_NS=e2e-operator

setup_file() {
	operator_install "$OPERATOR_NS"
}

teardown_file() {
	operator_uninstall "$OPERATOR_NS"
}

# look_at_operator: what follows is about these pods, and what they log from now on.
look_at_operator() {
	# Log times are asked for by the second.
	sleep 1
	SINCE=$(date -u +%FT%TZ)
	mapfile -t PODS < <(operator_pods '.items[] | "\(.metadata.name) \(.status.podIP)"')
	((${#PODS[@]} == 2))
}

# operator_pods [FILTER]: what the jq FILTER makes of the list.
operator_pods() {
	api "/api/v1/namespaces/$OPERATOR_NS/pods?labelSelector=app.kubernetes.io%2Fname%3Dinstancepool-operator" | jq -r "$@"
}

# operator_logs POD: its lines, without the time and other things that Kubernetes may add.
operator_logs() {
	kubectl logs -n "$OPERATOR_NS" "${1% *}" --since-time="$SINCE"
}

# operator_says COUNT FILTER...: there are so many warnings and errors in the log of each pod, but for those of the leader
# election, which tells each kind of failure; and each jq FILTER is true of one of them all.
operator_says() {
	local pod filter lines
	for pod in "${PODS[@]}"; do
		lines=$(operator_logs "$pod" | jq -Rc 'fromjson? | select(.level == "warn" or .level == "error")')
		printf '%s:\n%s\n' "$pod" "$lines"
		(($(jq -c 'select(.msg | startswith("leader election") | not)' <<<"$lines" | wc -l) == $1)) || return 1
		for filter in "${@:2}"; do
			[[ -n $(jq -c "select($filter)" <<<"$lines") ]] || { echo "no line with $filter" && return 1; }
		done
	done
}

# readyz POD: what it answers a probe. By its address where the API server may be away.
readyz() {
	if [[ -n $E2E_CLUSTER ]]; then
		curl -sS --fail-with-body --max-time 5 "http://${1#* }:8081/readyz"
	else
		api "/api/v1/namespaces/$OPERATOR_NS/pods/${1% *}:8081/proxy/readyz"
	fi
}

# all_not_ready TEXT: no probe succeeds, and the answers say why.
all_not_ready() {
	local pod body
	for pod in "${PODS[@]}"; do
		if body=$(readyz "$pod" 2>/dev/null); then
			return 1
		fi
		echo "$pod: $body"
		[[ $body == *"$1"* ]] || return 1
	done
}

# all_are_ready: for the kubelet, and in the same containers as ever.
all_are_ready() {
	operator_pods -e '[.items[] | select('"$READY"' and .status.containerStatuses[0].restartCount == 0)] | length == 2'
}

none_is_ready() {
	operator_pods -e "all(.items[]; ($READY) | not)"
}

# without_right VERB RESOURCE: the operator's ClusterRole without it; grant_again puts it back.
without_right() {
	kubectl get clusterrole instancepool-operator -o json | jq --arg verb "$1" --arg resource "$2" '
		.rules |= map(if .resources == [$resource] then .verbs -= [$verb] else . end)' | kubectl replace -f - >/dev/null
}

grant_again() {
	manifests "$OPERATOR_NS" | kubectl apply -f - >/dev/null
}

GRANT="grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm release"

# lacks VERB RESOURCE GROUP: a jq filter for the line that says so.
lacks() {
	printf '.httpStatus == 403 and .hint == "%s" and (.error | test("%s"))' "$GRANT" \
		"User .system:serviceaccount:$OPERATOR_NS:instancepool-operator. cannot $1 resource .$2. in API group .$3. "
}

# one_pool NAME: an endpoint of one instance. Without a node all but the instance is made.
one_pool() {
	serves "$1" '{}'
	apply_endpoint "$1" <<-YAML
		modelName: $1
		instanceCount: 1
		instancePools: [{instanceType: $P5, priority: 1}]
	YAML
}

is_taken_up() {
	ipe_is "$1" '.status.observedGeneration == 1 and .status.instancePools[0].desiredInstanceCount == 1'
}

@test "a right to write that is taken away: one line of the leader, and /readyz; granted, it goes on" {
	look_at_operator
	AT_END=(grant_again)
	without_right create deployments
	sleep 2 # the API server's own watch of roles
	one_pool llm
	one_pool other
	sleep 8
	pods=("${PODS[@]}")
	leader=$(kubectl get lease instancepool-operator -n "$OPERATOR_NS" -o json | jq -r .spec.holderIdentity)
	for pod in "${pods[@]}"; do
		PODS=("$pod")
		if [[ $leader == "${pod% *}"* ]]; then
			all_not_ready "$GRANT"
			operator_says 1 ".msg == \"write was refused\" and .kind == \"Deployment\" and $(lacks create deployments apps)"
		else
			readyz "$pod"
			operator_says 0
		fi
	done
	grant_again
	wait_for 30 "the Deployment" is_taken_up llm
	wait_for 30 "the other one" is_taken_up other
	wait_for 30 "Ready pods, in the same containers" all_are_ready
}

@test "CRDs that are deleted while it runs: one line each; applied again, it goes on" {
	look_at_operator
	AT_END=(operator_install "$OPERATOR_NS")
	kubectl delete -f "$E2E_ROOT/crds" >/dev/null
	missing() {
		printf '.msg == "watch failed and is tried again" and .resource == "%s" and .httpStatus == 404 and .hint == "%s"' \
			"$1" "CustomResourceDefinition $1.inference.instancepool.dev is not installed: kubectl apply -f crds/"
	}
	wait_for 20 "/readyz to say so" all_not_ready 'kubectl apply -f crds/'
	wait_for 20 "pods that are not Ready" none_is_ready
	operator_says 2 "$(missing instancepoolendpoints)" "$(missing models)"
	kubectl apply --server-side --force-conflicts -f "$E2E_ROOT/crds" >/dev/null
	wait_for 30 "Ready pods, in the same containers" all_are_ready
	one_pool llm
	wait_for 20 "an endpoint that is taken up" is_taken_up llm
	operator_says 2
}

apiserver_signal() {
	local pid
	read -r pid _ <"${KUBECONFIG%/*}/run/kube-apiserver.pid"
	kill "$1" "$pid"
}

apiserver_goes_on() {
	apiserver_signal -CONT || true
	cluster up
	grant_again
}

@test "an API server that hangs, then dies and comes back without a right to watch: a line each, and the containers live on" {
	need_cluster
	look_at_operator
	AT_END=(apiserver_goes_on)
	real_nodes "$P5" 1 1
	one_pool llm
	settles 30 llm 1
	serving=$(uids llm)
	apiserver_signal -STOP
	hangs=0
	wait_for 30 "/readyz to say so" all_not_ready 'leader election: ' || hangs=1
	all_not_ready 'not answered within 5 s' || hangs=1
	apiserver_signal -CONT # else nobody could look at why it failed
	((hangs == 0))
	wait_for 30 "Ready pods, in the same containers" all_are_ready
	operator_says 0 '.msg == "leader election has trouble and goes on trying" and (.error | test("not answered within 5 s"))'

	without_right watch pods
	look_at_operator
	apiserver_signal -KILL
	wait_for 20 "/readyz to say so" all_not_ready ': connection refused'
	# Longer than the liveness probe's patience.
	stays 30 "/readyz says so" all_not_ready ': connection refused'
	cluster up
	wait_for 30 "the missing right in /readyz" all_not_ready "$GRANT"
	wait_for 20 "the lines" operator_says 2 \
		'.msg == "requests to the API server fail and are tried again" and (.error | test("connection refused$"))' \
		".msg == \"watch failed and is tried again\" and .resource == \"pods\" and $(lacks watch pods '')"
	grant_again
	wait_for 40 "Ready pods, in the same containers" all_are_ready
	[[ $(uids llm) == "$serving" ]]
	k scale ipe llm --replicas 0 >/dev/null
	# When the instance ends is up to Kubernetes' own controllers, which may be a minute late after such a death.
	wait_for 60 "the scale-in" ipe_is llm '.status.observedGeneration == 2 and .status.instancePools[0].desiredInstanceCount == 0'
	k get deployments -o json | jq -e '.items | length == 1 and .[0].spec.replicas == 0'
	operator_says 2
}
