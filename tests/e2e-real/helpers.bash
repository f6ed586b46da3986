# shellcheck shell=bash disable=SC2034 # variables for the tests
# What the scenarios on real nodes share, beside the words of ../e2e/helpers.bash (wait_for, stays, fails, api, k, ...).
# Each test has a namespace, and instance types that no other test has: $P5, $G6 and $G5. There is no operator unless the
# test installs one.

# shellcheck source=tests/e2e/helpers.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/../e2e/helpers.bash"

TINY=instancepool.dev/tiny:1
SERVER=instancepool-modelserver:$(<"$(dirname -- "${BASH_SOURCE[0]}")/../../VERSION")

setup() {
	local id=$E2E_RUN-$BATS_SUITE_TEST_NUMBER
	T=$BATS_TEST_TMPDIR
	NS=real-$id
	P5=p5.$id G6=g6.$id G5=g5.$id
	RECORDERS=() AT_END=(true)
	kubectl create namespace "$NS" >/dev/null
	wait_for 20 "the namespace's ServiceAccount" api "/api/v1/namespaces/$NS/serviceaccounts/default"
}

teardown() {
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || diagnose
	"${AT_END[@]}" || true
	# The namespace first, so that nothing is made anew on the nodes.
	api "/api/v1/namespaces/$NS" -X DELETE >/dev/null || true
	api "/api/v1/namespaces/$NS/pods?gracePeriodSeconds=1" -X DELETE >/dev/null || true
	kill "${RECORDERS[@]}" 2>/dev/null || true
	while read -r type; do
		remove_real_nodes "$type" || true
	done < <(sort -u "$T/types" 2>/dev/null)
	kubectl wait namespace "$NS" --for=delete --timeout=60s >/dev/null
}

# For the eyes of whoever has to find out why a test failed.
diagnose() {
	echo "--- objects"
	kubectl get deployments,services,pods -n "$NS" -o wide
	kubectl get events -n "$NS" --sort-by=.metadata.creationTimestamp | tail -n 40
	kubectl get nodes -L node.kubernetes.io/instance-type
	kubectl get pods -n "$NS" -o name | while read -r pod; do
		echo "--- the last lines of $pod"
		kubectl logs -n "$NS" "$pod" --all-containers --prefix --tail=30
	done
}

need_cluster() {
	[[ -n $E2E_CLUSTER ]] || skip "needs a cluster of hack/cluster up --nodes real"
}

cluster() {
	"$E2E_ROOT/hack/cluster" --name "$E2E_CLUSTER" "$@"
}

## Nodes

# real_nodes TYPE COUNT GPUS: nodes that are gone again after the test; prints their names.
real_nodes() {
	echo "$1" >>"$T/types"
	if [[ -n $E2E_CLUSTER ]]; then
		cluster node add "$1" --behaviour real --count "$2" --gpus "$3" --label "instancepool.dev/e2e=$NS"
		return
	fi
	local names name
	mapfile -t names < <(kubectl get nodes -l instancepool.dev/e2e-worker=free -o name | head -n "$2")
	((${#names[@]} == $2)) || { echo "the cluster has too few free workers" >&2 && return 1; }
	for name in "${names[@]}"; do
		kubectl label "$name" --overwrite instancepool.dev/e2e-worker=used "instancepool.dev/e2e=$NS" \
			"node.kubernetes.io/instance-type=$1" >/dev/null
		kubectl taint "$name" --overwrite nvidia.com/gpu=present:NoSchedule >/dev/null
		kubectl patch "$name" --subresource=status -p \
			"{\"status\":{\"capacity\":{\"nvidia.com/gpu\":\"$3\"},\"allocatable\":{\"nvidia.com/gpu\":\"$3\"}}}" >/dev/null
		echo "${name#node/}"
	done
}

# remove_real_nodes TYPE: with the pods on them, as when machines are lost. Borrowed ones lose their pods and are given back.
remove_real_nodes() {
	if [[ -n $E2E_CLUSTER ]]; then
		cluster node remove "$1"
		return
	fi
	local name
	for name in $(kubectl get nodes -l "node.kubernetes.io/instance-type=$1" -o name); do
		kubectl label "$name" node.kubernetes.io/instance-type- instancepool.dev/e2e- >/dev/null
		kubectl delete pods -n "$NS" --field-selector "spec.nodeName=${name#node/}" --force --grace-period=0 >/dev/null 2>&1
		kubectl taint "$name" nvidia.com/gpu- >/dev/null
		kubectl label "$name" --overwrite instancepool.dev/e2e-worker=free >/dev/null
	done
}

## Pods

# tiny NAME SPEC-JSON ARGUMENT...: a pod of the tests' own program, with the ARGUMENTs, under the restricted profile; the
# jq-readable SPEC-JSON is added to its spec (GRACE_S=30 GPUS=0).
tiny() {
	jq -n --arg name "$1" --argjson spec "$2" --arg image "$TINY" --arg gpus "${GPUS:-0}" --argjson grace "${GRACE_S:-30}" '
		(if $gpus == "0" then {} else {"nvidia.com/gpu": $gpus} end) as $limits | {
		apiVersion: "v1", kind: "Pod",
		metadata: {name: $name, labels: {app: $name, e2e: "tiny"}},
		spec: ({
			terminationGracePeriodSeconds: $grace,
			affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
				{matchExpressions: [{key: "type", operator: "NotIn", values: ["kwok"]}]}]}}},
			securityContext: {runAsNonRoot: true, seccompProfile: {type: "RuntimeDefault"}},
			containers: [{
				name: "tiny", image: $image, imagePullPolicy: "Never", args: $ARGS.positional,
				securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: ["ALL"]}},
				resources: {limits: $limits},
				readinessProbe: {httpGet: {path: "/", port: 8080}, periodSeconds: 1}
			}]
		} * $spec)}' --args "${@:3}" | k apply -f - >/dev/null
}

# on_type TYPE: the SPEC-JSON of a pod for the GPU nodes of that type.
on_type() {
	jq -cn --arg type "$1" '{
		nodeSelector: {"node.kubernetes.io/instance-type": $type},
		tolerations: [{key: "nvidia.com/gpu", operator: "Exists"}]}'
}

# pod_is NAME FILTER: true if the jq FILTER is.
pod_is() {
	api "/api/v1/namespaces/$NS/pods/$1" | jq -e "$2" >/dev/null
}

READY='any(.status.conditions[]?; .type == "Ready" and .status == "True")'

# becomes_ready SECONDS POD...
becomes_ready() {
	local name
	for name in "${@:2}"; do
		wait_for "$1" "$name to be Ready" pod_is "$name" "$READY"
	done
}

pod_is_gone() {
	[[ -z $(k get pod "$1" --ignore-not-found -o name) ]]
}

## The chart and what it installs: the release $RELEASE in the namespace $SYSTEM

RELEASE=instancepool-operator

# To be called once for a file, before its tests: helm, with folders of its own.
use_helm() {
	local tools
	tools=$("$E2E_ROOT/hack/lib/tools.sh" helm)
	export PATH=$tools:$PATH HELM_CACHE_HOME=$1/helm HELM_CONFIG_HOME=$1/helm HELM_DATA_HOME=$1/helm
}

# restricted_namespace NAME: one that takes only pods of the Pod Security level "restricted".
restricted_namespace() {
	kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: $1
  labels: {pod-security.kubernetes.io/enforce: restricted, instancepool.dev/e2e: "$E2E_RUN"}
YAML
}

# install [ARGUMENT...]: prints the notes. The chart is $CHART, the present one unless set.
install() {
	helm install "$RELEASE" "${CHART:-$E2E_ROOT/charts/instancepool-operator}" -n "$SYSTEM" "$@"
}

operators_are_ready() {
	kubectl rollout status -n "$SYSTEM" "deployment/$OPERATOR" --timeout=60s
}

# The pods of the operator that are not being ended: "NAME NODE", one a line.
operators() {
	api "/api/v1/namespaces/$SYSTEM/pods?labelSelector=app.kubernetes.io/name%3Dinstancepool-operator" |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null) | "\(.metadata.name) \(.spec.nodeName)"'
}

# lease FILTER: what the jq FILTER makes of the spec of the leaders' Lease.
lease() {
	api "/apis/coordination.k8s.io/v1/namespaces/$SYSTEM/leases/$OPERATOR" | jq -r ".spec | $1"
}

# The pod that leads.
leader() {
	lease '.holderIdentity | split("_")[0]'
}

# True if the leader is an operator that is there to stay.
is_led() {
	operators | grep -q "^$(leader) "
}

# requests [FILTER]: what the operator's account asked of the API server.
requests() {
	grep -F "\"username\":\"system:serviceaccount:$SYSTEM:$OPERATOR\"" "$E2E_AUDIT_LOG" | jq -c "select(${1:-true}) | {
		at: .requestReceivedTimestamp, verb, uri: .requestURI, namespace: .objectRef.namespace, code: .responseStatus.code}"
}

# ms TIME: an RFC 3339 time as milliseconds.
ms() {
	date -d "$1" +%s%3N
}

## Endpoints that run

# serving_model NAME: our model server on one GPU.
serving_model() {
	k apply -f - >/dev/null <<YAML
apiVersion: inference.instancepool.dev/v1alpha1
kind: Model
metadata: {name: $1}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 5
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: server
        image: instancepool-modelserver:$(<"$E2E_ROOT/VERSION")
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        env:
        - {name: MODEL_NAME, value: $1}
        - name: INSTANCE_TYPE
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['inference.instancepool.dev/instance-type']"}}
        resources:
          limits: {nvidia.com/gpu: 1}
YAML
}

# serving_endpoint NAME COUNT: as deploy/examples/llm.yaml, a model for each of two types.
serving_endpoint() {
	serving_model "$1-p5"
	serving_model "$1-g6"
	apply_endpoint "$1" <<YAML
modelName: $1-p5
instanceCount: $2
instancePools:
- {instanceType: ml.$P5, priority: 1}
- {instanceType: ml.$G6, priority: 2, modelNameOverride: $1-g6}
YAML
}

# invoke NAME: what an instance of the endpoint answers by its Service. Of a cluster elsewhere this machine reaches none.
invoke() {
	if [[ -n $E2E_CLUSTER ]]; then
		curl -sS --fail-with-body --max-time 5 -d '{}' "http://$(k get service "$1" -o 'jsonpath={.spec.clusterIP}')/invocations"
	else
		api "/api/v1/namespaces/$NS/services/$1:80/proxy/invocations" -d '{}'
	fi
}

# answers NAME FILTER: true if the jq FILTER is of an answer.
answers() {
	invoke "$1" | jq -e "$2"
}

# instances NAME: all that would show that an instance, or what keeps it, was touched.
instances() {
	k get pods,deployments,services,poddisruptionbudgets -l "inference.instancepool.dev/endpoint=$1" -o json | jq -c '.items[]
		| [.kind, .metadata.name, .metadata.uid, .metadata.generation, .metadata.deletionTimestamp,
			[.status.containerStatuses[]? | .containerID, .restartCount]]' | sort
}

## The operator

# manifests NAMESPACE: those of deploy/, for another namespace than instancepool-system.
manifests() {
	sed -s '1i---' "$E2E_ROOT"/deploy/{namespace,rbac,operator}.yaml | sed "s/instancepool-system/$1/"
}

# operator_install NAMESPACE: from deploy/; returns when all replicas are ready.
operator_install() {
	kubectl apply --server-side --force-conflicts -f "$E2E_ROOT/crds" >/dev/null
	manifests "$1" | kubectl apply -f - >/dev/null
	kubectl rollout status deployment/instancepool-operator -n "$1" --timeout=60s >/dev/null
}

# operator_uninstall NAMESPACE: with the CRDs; first the pods, which give their Lease back.
operator_uninstall() {
	kubectl delete deployment instancepool-operator -n "$1" --ignore-not-found --cascade=foreground >/dev/null
	kubectl delete --ignore-not-found -f "$E2E_ROOT/crds" >/dev/null
	manifests "$1" | kubectl delete --ignore-not-found -f - >/dev/null
}

# serves NAME SPEC-JSON ARGUMENT...: a Model that takes one GPU and runs our model server with the ARGUMENTs, or IMAGE. The
# SPEC-JSON is added to its pods' spec.
serves() {
	jq -n --arg name "$1" --argjson spec "$2" --arg image "${IMAGE:-$SERVER}" '{
		apiVersion: "inference.instancepool.dev/v1alpha1", kind: "Model",
		metadata: {name: $name},
		spec: {template: {spec: ({
			terminationGracePeriodSeconds: 5,
			containers: [{name: "server", image: $image, args: $ARGS.positional, resources: {limits: {"nvidia.com/gpu": 1}}}]
		} * $spec)}}}' --args -- "${@:3}" | k apply -f - >/dev/null
}
