#!/usr/bin/env bats
# Growing and shrinking: kubectl scale, HPA, manifests.

load helpers

@test "kubectl scale: up takes the best pool first, down the fallback first, to 0 and back (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 4
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	first=$(uids llm)
	k scale ipe llm --replicas 4 >/dev/null
	settles 25 llm 2 2
	k scale ipe llm --replicas 3 >/dev/null
	settles 15 llm 2 1
	k scale ipe llm --replicas 1 >/dev/null
	settles 15 llm 1 0
	k scale ipe llm --replicas 0 >/dev/null
	settles 15 llm 0 0
	wait_for 10 "no pods" pods_number llm 0
	ipe_is llm '.status.phase == "InService" and is("Ready") and (is("Stalled") | not)'
	k scale ipe llm --replicas 2 >/dev/null
	settles 25 llm 2 0
	fails grep -qF "$first" <(uids llm)
	expect_event llm ScaledOut
	expect_event llm ScaledIn
}

@test "scale-out of a running endpoint goes on to the fallback, and a new node of the best type is used first (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	k scale ipe llm --replicas 2 >/dev/null
	settles 30 llm 1 1
	real_life_nodes "$P5" 1
	k scale ipe llm --replicas 3 >/dev/null
	settles 30 llm 2 1
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
}

@test "scale-in cancels what waits first, then takes from the fallback; Ready instances of the best pool stay (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start --node-autoscaler external
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 3
instanceProvisionTimeoutSeconds: 8
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
	settles 40 llm 2 1
	before=$(uids llm)
	# From now on nothing is given up for lack of time.
	k patch ipe llm --type merge -p '{"spec":{"instanceProvisionTimeoutSeconds":600,"instanceCount":5}}' >/dev/null
	wait_for 15 "two waiting instances" ipe_is llm '[.status.instancePools[].waitingInstanceCount] | add == 2'
	k scale ipe llm --replicas 3 >/dev/null
	settles 15 llm 2 1
	wait_for 5 "three pods" pods_number llm 3
	[[ $(uids llm) == "$before" ]]

	best=$(k get pods -l "inference.instancepool.dev/instance-type=$P5" -o jsonpath='{.items[*].metadata.uid}' | tr ' ' '\n' | sort)
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
	[[ $(uids llm) == "$best" ]]
}

@test "scale-in while better instances load: the fallback serves until they are Ready (real-life nodes)" {
	real_life_nodes "$G6" 2
	operator_start
	READY_AFTER=12s STOP_AFTER=1s apply_model llm
	two_pools llm 2
	settles 40 llm 0 2
	served_at=$(ipe llm -r .metadata.resourceVersion)
	real_life_nodes "$P5" 2
	k scale ipe llm --replicas 4 >/dev/null
	wait_for 15 "two better ones that load" ipe_is llm 'pool(0).startingInstanceCount == 2 and pool(1).currentInstanceCount == 2'
	k scale ipe llm --replicas 2 >/dev/null
	wait_for 5 "the new count to be seen" ipe_is llm '.status.desiredInstanceCount == 2'
	# They are more than wanted and none is missing yet: all stay until the better ones serve.
	ipe_is llm 'pool(0).desiredInstanceCount == 2 and pool(0).startingInstanceCount == 2 and pool(1).currentInstanceCount == 2'
	settles 30 llm 2 0
	never_seen endpoints "(.metadata.resourceVersion | tonumber) >= $served_at and .status.currentInstanceCount < 2"
}

@test "instances that lose their node are replaced, in the fallback if need be (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 2
	operator_start
	apply_model llm
	two_pools llm 2
	settles 20 llm 2 0
	"$E2E_ROOT/hack/cluster" node remove "$P5" --count 1 --kubeconfig "$KUBECONFIG" >/dev/null
	settles 30 llm 1 1
	never_seen endpoints '.status.phase == "Failed"'
}

@test "a count that somebody else wrote into a pool's Deployment is put right" {
	nodes "$P5" 3
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	k scale deployment -l inference.instancepool.dev/endpoint=llm --replicas 3 >/dev/null
	settles 20 llm 1 0
	wait_for 10 "one pod" pods_number llm 1
	k scale deployment -l "inference.instancepool.dev/instance-type=$P5" --replicas 0 >/dev/null
	settles 20 llm 1 0
}

@test "HPA's view of /scale: selector, replicas and the wanted count, which the operator fills in where it was not set (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
YAML
	settles 20 llm 1 0
	two_pools other 0
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 1 1
	scale=$(api "$GROUP/namespaces/$NS/instancepoolendpoints/llm/scale")
	jq -e '.spec.replicas == 2 and .status.replicas == 2 and .status.selector == "inference.instancepool.dev/endpoint=llm"' <<<"$scale"
	# It selects exactly the instances.
	k run bystander --image example/bystander:1 --labels app=llm >/dev/null
	[[ $(k get pods -l "$(jq -r .status.selector <<<"$scale")" -o jsonpath='{.items[*].metadata.uid}' | tr ' ' '\n' | sort) == "$(uids llm)" ]]
	[[ $(uids llm | wc -l) == 2 ]]
}

@test "a real HPA reads and scales an endpoint" {
	nodes "$P5" 3
	operator_start
	apply_model llm
	apply_endpoint llm <<YAML
modelName: llm
instanceType: $P5
YAML
	k apply -f - >/dev/null <<YAML
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: llm
spec:
  scaleTargetRef: {apiVersion: inference.instancepool.dev/v1alpha1, kind: InstancePoolEndpoint, name: llm}
  minReplicas: 2
  maxReplicas: 3
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
YAML
	# Without a metrics server it still keeps the count within its bounds.
	settles 75 llm 2
	hpa_sees() {
		k get hpa llm -o json | jq -e '
			.status.currentReplicas == 2 and any(.status.conditions[]; .type == "AbleToScale" and .status == "True")
			and all(.status.conditions[]; .reason != "InvalidSelector" and .reason != "FailedGetScale")'
	}
	wait_for 40 "the HPA to see two replicas" hpa_sees
}

@test "a manifest that is applied without instanceCount keeps what was scaled" {
	nodes "$P5" 3
	operator_start
	apply_model llm
	manifest() {
		printf 'modelName: llm\ninstanceType: %s\n%s\n' "$P5" "$1"
	}
	manifest '' | apply_endpoint llm
	settles 20 llm 1
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 3
	before=$(uids llm)
	manifest 'instanceProvisionTimeoutSeconds: 900' | apply_endpoint llm
	settles 20 llm 3
	# Where an earlier manifest had it, kubectl takes the field away: the operator puts the count back.
	manifest 'instanceCount: 3' | apply_endpoint llm
	manifest '' | apply_endpoint llm
	settles 20 llm 3
	ipe_is llm '.spec.instanceCount == 3'
	manifest '' | apply_endpoint llm --server-side --field-manager gitops --force-conflicts
	settles 20 llm 3
	[[ $(uids llm) == "$before" ]]
	never_seen endpoints '.status.desiredInstanceCount == 3 and .status.currentInstanceCount < 3 and .status.phase == "Failed"'
	never_seen pods '.metadata.deletionTimestamp != null'
}
