#!/usr/bin/env bats
# What users see: refusals, columns, events, metrics; and what the operator may do.

load helpers

@test "the CRDs refuse what is wrong and say what is right" {
	local file expected answer failures=0 resource
	shopt -s nullglob
	for file in "$E2E_ROOT"/tests/e2e/crd-cases/*.yaml; do
		expected=$(sed -n '1s/^# expect: //p' "$file")
		[[ -n $expected ]] || { echo "$file: no line '# expect: text'" && failures=$((failures + 1)) && continue; }
		resource=instancepoolendpoints
		! grep -q '^kind: Model' "$file" || resource=models
		if answer=$(api "$GROUP/namespaces/$NS/$resource?dryRun=All&fieldValidation=Strict" -X POST \
			-H 'Content-Type: application/yaml' --data-binary "@$file" 2>/dev/null); then
			echo "$file: accepted"
			failures=$((failures + 1))
		elif ! jq -r .message <<<"$answer" | grep -qF -- "$expected"; then
			printf '%s:\n  expected: %s\n  answered: %s\n' "$file" "$expected" "$(jq -r .message <<<"$answer")"
			failures=$((failures + 1))
		fi
	done
	[[ -n ${file:-} ]]
	((failures == 0))
}

@test "kubectl get shows phase, counts, pools and the reason in columns" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 3
	wait_for 20 "two Ready instances" ipe_is llm '.status.currentInstanceCount == 2 and is("InsufficientCapacity")'
	k get ipe
	k get ipe | grep -E '^NAME +PHASE +DESIRED +READY +POOLS +AGE +WHY'
	k get ipe | grep -E "^llm +InService +3 +2 +$P5=1 $G6=1 +[0-9]+s +2 of 3 instances are Ready; $P5 has no capacity, tried again at "
	k get ipe -o wide | grep -E 'MODEL +CAPACITY'
	k get ipe llm -o wide | grep -E ' llm +AllPoolsShort '
	k get models | grep -E '^llm +example/llm:1 '
}

@test "events tell the story in kubectl describe (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	operator_start
	apply_model llm
	two_pools llm 2
	settles 30 llm 1 1
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 1 2
	expect_event llm ScaledOut
	k describe ipe llm | sed -n '/^Events:/,$p' | tee "$T/events"
	grep -E "Warning +PoolOutOfCapacity .*instancepool-operator +p5-.*\(StockOut\): .*\(Insufficient nvidia.com/gpu\); asking g6-.* for 1; tried again at" "$T/events"
	grep -E "Normal +InService .*serve: $P5=1" "$T/events"
	grep -E 'Normal +ScaledOut .*2 -> 3 instances' "$T/events"
	# Each once, however often the operator looked.
	[[ $(grep -c ' InService ' "$T/events") == 1 ]]
}

@test "metrics and probes" {
	nodes "$P5" 1
	nodes "$G6" 1
	operator_start
	apply_model llm
	two_pools llm 2
	settles 20 llm 1 1
	[[ $(operator_get /healthz) == ok && $(operator_get /readyz) == ok ]]
	operator_get /metrics >"$T/metrics"
	labels="namespace=\"$NS\",endpoint=\"llm\""
	p5="$labels,pool=\"${P5//./-}\",instance_type=\"$P5\"" g6="$labels,pool=\"${G6//./-}\",instance_type=\"$G6\""
	grep -xF "instancepool_desired_instances{$labels} 2" "$T/metrics"
	grep -xF "instancepool_instance_count{$p5} 1" "$T/metrics"
	grep -xF "instancepool_instance_count{$g6} 1" "$T/metrics"
	grep -xF "instancepool_pool_back_off{$p5} 1" "$T/metrics"
	grep -xF "instancepool_pool_out_of_capacity_total{$p5} 1" "$T/metrics"
	grep -xE 'instancepool_endpoints 1' "$T/metrics"
	grep -E '^process_resident_memory_bytes [0-9]' "$T/metrics"
	# Each name has one HELP and one TYPE line.
	[[ -z $(grep '^# TYPE' "$T/metrics" | sort | uniq -d) ]]
	k delete ipe llm >/dev/null
	gone() { ! operator_get /metrics | grep -q 'endpoint="llm"'; }
	wait_for 10 "the endpoint's metrics to go" gone
}

@test "the manifests of deploy/ are admitted, restricted and without wildcards" {
	kubectl apply --dry-run=server -f "$E2E_ROOT/deploy" 2>&1 | tee "$T/applied"
	fails grep -i warning "$T/applied"
	kubectl get clusterrole instancepool-operator -o json | jq -e '[.rules[][][]] | all(test("[*]") | not)'
	may() {
		kubectl auth can-i "$@" --as system:serviceaccount:instancepool-system:instancepool-operator -q
	}
	may list pods -A
	may get configmap/cluster-autoscaler-status -n kube-system
	fails may get secrets -A
	fails may get configmaps -A
	fails may delete pods -A
	may patch pods -A # their marks
	fails may update pods -A
	may create pods -A # for dry runs
	fails may update instancepoolendpoints.inference.instancepool.dev -A
	fails may delete services -A
	may create poddisruptionbudgets.policy -A
	fails may patch poddisruptionbudgets.policy -A
	fails may delete poddisruptionbudgets.policy -A
}
