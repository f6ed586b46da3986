#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# The chart, from the first install to the last uninstall: one story, in which each test goes on where the one before it
# ended, with one endpoint whose instances nothing may touch.

export BATS_NO_PARALLELIZE_WITHIN_FILE=true

load helpers

story() {
	local id=$E2E_RUN-install
	T=$BATS_FILE_TMPDIR
	NS=real-$id SYSTEM=real-$id-system TEAM=real-$id-team
	OPERATOR=$RELEASE
	P5=p5.$id G6=g6.$id
	RECORDERS=() AT_END=(true)
}

setup_file() {
	story
	use_helm "$T"
	! kubectl get crds -o name | grep instancepool || { echo "there are CRDs of another installation" && return 1; }
	restricted_namespace "$NS"
	restricted_namespace "$SYSTEM"
	restricted_namespace "$TEAM"
	real_nodes "$P5" 1 1
	real_nodes "$G6" 1 2
}

teardown_file() {
	local namespace
	story
	for namespace in "$TEAM" "$SYSTEM"; do
		helm list -n "$namespace" -q | xargs -r helm uninstall -n "$namespace" >/dev/null || true
	done
	kubectl delete crds -l app.kubernetes.io/name=instancepool-operator >/dev/null
	kubectl delete namespace "$NS" "$SYSTEM" "$TEAM" --wait=false >/dev/null
	remove_real_nodes "$P5" >/dev/null
	remove_real_nodes "$G6" >/dev/null
	kubectl wait namespace "$NS" "$SYSTEM" "$TEAM" --for=delete --timeout=60s >/dev/null
}

setup() {
	story
	[[ ! -e $T/broken ]] || { echo "a test before this one has failed" && return 1; }
}

teardown() {
	if [[ -z ${BATS_TEST_COMPLETED:-} && ! -e $T/broken ]]; then
		touch "$T/broken"
		diagnose
		NS=$SYSTEM diagnose
	fi
	"${AT_END[@]}" || true
	kill "${RECORDERS[@]}" 2>/dev/null || true
}

# For the reader of a run.
tell() {
	echo "      $*" >&3
}

@test "helm install: two operators are Ready in less than 10 s, and what the notes say works" {
	local started=$EPOCHREALTIME command count=0 seconds
	install >"$T/notes"
	operators_are_ready
	seconds=$(jq -n "$EPOCHREALTIME - $started")
	tell "Ready ${seconds:0:4} s after the start of helm install"
	[[ $(operators | wc -l) == 2 ]]
	jq -en "$seconds < 10"
	grep -F "instancepool-operator $(<"$E2E_ROOT/VERSION") manages the endpoints of all namespaces." "$T/notes"
	# Those that need no endpoint; among them helm test.
	while read -r command; do
		echo "\$ $command"
		bash -c "$command"
		count=$((count + 1))
	done < <(sed -n 's/^   \(kubectl\|helm\) /\1 /p' "$T/notes" | grep -vE 'NAME|my-endpoint| -w$')
	((count == 4))
	fails kubectl get pod "$OPERATOR-test" -n "$SYSTEM"
}

@test "the operator's process: no root, no capabilities, with seccomp, its files cannot be written, and there is no shell" {
	local pod node uid pid
	need_cluster
	while read -r pod node; do
		uid=$(kubectl get pod "$pod" -n "$SYSTEM" -o 'jsonpath={.metadata.uid}')
		pid=$(pgrep -x instancepool-op | while read -r pid; do ! grep -q "$uid" "/proc/$pid/cgroup" || echo "$pid"; done)
		[[ -n $pid ]]
		echo "$pod is $pid"
		awk '
			/^(Uid|Gid):/ && !/\t65532\t65532\t65532\t65532$/ || /^Groups:/ && $2 != "" && $2 != 65532 { bad = 1 }
			/^Cap/ && $2 != "0000000000000000" || /^NoNewPrivs:/ && $2 != 1 || /^Seccomp:/ && $2 != 2 { bad = 1 }
			/^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)/ { seen++; print }
			END { exit bad || seen < 10 }' "/proc/$pid/status"
		run touch "/proc/$pid/root/tmp-file"
		[[ $status != 0 && $output == *"Read-only file system"* ]]
		run kubectl exec -n "$SYSTEM" "$pod" -- /bin/sh -c true
		[[ $status != 0 && $output == *"/bin/sh"*"no such file"* ]]
		fails kubectl exec -n "$SYSTEM" "$pod" -- sh -c true
	done < <(operators)
}

@test "an endpoint of real pods answers by its Service; the second instance finds no p5 and goes to g6" {
	serving_endpoint llm 1
	settles 60 llm 1 0
	wait_for 10 "an answer" answers llm ".instanceType == \"$P5\" and .model == \"llm-p5\" and .inputBytes == 2"
	invoke llm
	k scale ipe llm --replicas 2 >/dev/null
	settles 60 llm 1 1
	ipe_is llm 'is("Ready") and .status.phase == "InService" and pool(0).reason == "StockOut"'
	wait_for 20 "an answer of the other type" answers llm ".instanceType == \"$G6\" and .model == \"llm-g6\""
	wait_for 20 "an answer of the first type" answers llm ".instanceType == \"$P5\""
}

# Asks the endpoint all the time until there is the file $T/enough.
ask_on() {
	until [[ -e $T/enough ]]; do
		invoke llm >>"$T/answers" 2>>"$T/no-answers" || echo failed >>"$T/no-answers"
		sleep 0.1
	done
}

@test "the leader's node is drained: another leads in less than 3 s, and the endpoint does not notice" {
	local leader node taken evicted answers
	need_cluster
	[[ $(operators | cut -d ' ' -f 2 | sort -u | wc -l) == 2 ]]
	leader=$(leader)
	node=$(operators | awk -v pod="$leader" '$1 == pod { print $2 }')
	AT_END=(kubectl uncordon "$node")
	instances llm | grep -v '"Deployment"' >"$T/before"
	ask_on 3>&- &
	RECORDERS=($!)

	kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=60s >"$T/drain" 2>&1 3>&- &
	wait_for 30 "the leader to be evicted" grep -F "evicting pod $SYSTEM/$leader" "$T/drain"
	k scale ipe llm --replicas 3 >/dev/null
	settles 60 llm 1 2
	wait $!
	# The standby, or the new one if that has looked first.
	wait_for 20 "another leader" is_led
	operators_are_ready

	evicted=$(jq -r "select(.objectRef.subresource == \"eviction\" and .objectRef.name == \"$leader\")
		| select(.responseStatus.code == 201) | .requestReceivedTimestamp" "$E2E_AUDIT_LOG")
	taken=$(lease .acquireTime)
	tell "the Lease had its new holder $(($(ms "$taken") - $(ms "$evicted"))) ms after the leader's eviction"
	(($(ms "$taken") - $(ms "$evicted") < 3000))
	# All of before is there as it was, and one instance more.
	touch "$T/enough"
	instances llm >"$T/after"
	[[ -z $(comm -23 "$T/before" "$T/after") ]]
	answers=$(wc -l <"$T/answers")
	tell "$answers requests were answered meanwhile, $(grep -c failed "$T/no-answers" || true) were not"
	((answers > 5))
	[[ ! -s $T/no-answers ]]
}

# What is in the cluster with the release's name, and what is in its namespace.
left_of_release() {
	local all
	all=$(kubectl api-resources --verbs=list -o name | grep -v '^events')
	kubectl get "$(paste -sd, <<<"$all")" -A -l "app.kubernetes.io/instance=$RELEASE" -o name
	all=$(kubectl api-resources --verbs=list --namespaced -o name | grep -v '^events')
	kubectl get "$(paste -sd, <<<"$all")" -n "$SYSTEM" -o name
}

is_uninstalled() {
	diff <(sort <<-END
		configmap/kube-root-ca.crt
		customresourcedefinition.apiextensions.k8s.io/instancepoolendpoints.inference.instancepool.dev
		customresourcedefinition.apiextensions.k8s.io/models.inference.instancepool.dev
		lease.coordination.k8s.io/$OPERATOR
		serviceaccount/default
	END
	) <(left_of_release 2>/dev/null | sort)
}

@test "helm uninstall leaves the CRDs, the Lease and endpoints that serve; a new install goes on and writes nothing" {
	local before
	instances llm >"$T/before"
	helm uninstall "$RELEASE" -n "$SYSTEM"
	wait_for 20 "nothing else to be left" is_uninstalled
	diff "$T/before" <(instances llm)
	answers llm .instanceType

	before=$(date -u +%FT%T.%6NZ)
	install >/dev/null
	operators_are_ready
	wait_for 30 "a new leader" is_led
	if [[ -n $E2E_AUDIT_LOG ]]; then
		sleep 3
		requests ".requestReceivedTimestamp > \"$before\" and (.verb | IN(\"create\", \"patch\", \"update\", \"delete\"))" \
			>"$T/writes"
		[[ -s $T/writes ]]
		fails grep -v "/leases/${OPERATOR}[?\"]" "$T/writes"
	fi
	diff "$T/before" <(instances llm)
	k scale ipe llm --replicas 2 >/dev/null
	settles 30 llm 1 1
}

# The chart of an older version in $T/previous, whose endpoints have no summary of their pools, and its image.
previous_chart() {
	local chart=$T/previous image=$T/image tag=docker.io/library/instancepool-operator:0.0.9
	cp -rL "$E2E_ROOT/charts/instancepool-operator" "$chart"
	sed -i -E 's/^(version|appVersion): .*/\1: "0.0.9"/' "$chart/Chart.yaml"
	/usr/bin/python3 - "$chart/files/crds/inference.instancepool.dev_instancepoolendpoints.yaml" <<-'PYTHON'
		import sys, yaml
		with open(sys.argv[1]) as file:
		    crd = yaml.safe_load(file)
		version = crd["spec"]["versions"][0]
		del version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["poolSummary"]
		version["additionalPrinterColumns"] = [c for c in version["additionalPrinterColumns"] if c["name"] != "Pools"]
		with open(sys.argv[1], "w") as file:
		    yaml.safe_dump(crd, file, width=1000)
	PYTHON
	mkdir "$image"
	tar -xf "$E2E_ROOT/build/images/instancepool-operator.tar" -C "$image"
	rm -f "$image/repositories"
	jq --arg tag "$tag" '.[].RepoTags = [$tag]' "$image/manifest.json" >"$T/manifest"
	mv "$T/manifest" "$image/manifest.json"
	tar -cf "$T/previous.tar" -C "$image" .
	cluster image load "$T/previous.tar"
}

# knows_summary: the CRD does, and so does the status.
knows_summary() {
	kubectl get crd instancepoolendpoints.inference.instancepool.dev -o json | jq -e '.spec.versions[0]
		| .schema.openAPIV3Schema.properties.status.properties.poolSummary
			and any(.additionalPrinterColumns[]; .name == "Pools")' &&
		ipe_is llm ".status.poolSummary == \"$P5=1 $G6=1\""
}

# operators_are VERSION
operators_are() {
	[[ $(kubectl get pods -n "$SYSTEM" -l app.kubernetes.io/name=instancepool-operator -o json |
		jq -r '.items[].spec.containers[].image' | sort -u) == instancepool-operator:$1 ]]
}

@test "helm upgrade from an older chart: the CRD has its new field, the operators are new, no instance is touched" {
	need_cluster
	previous_chart
	helm uninstall "$RELEASE" -n "$SYSTEM" --wait
	CHART=$T/previous install --set image.tag=0.0.9 >/dev/null
	operators_are_ready
	operators_are 0.0.9
	fails knows_summary
	k annotate ipe llm e2e=older >/dev/null
	wait_for 30 "the status without the field" ipe_is llm '.status | .phase == "InService" and .poolSummary == null'
	instances llm >"$T/before"

	helm upgrade "$RELEASE" "$E2E_ROOT/charts/instancepool-operator" -n "$SYSTEM" --reset-then-reuse-values --wait \
		--set image.tag= >/dev/null
	wait_for 20 "the old operators to be gone" operators_are "$(<"$E2E_ROOT/VERSION")"
	wait_for 30 "a new leader" is_led
	wait_for 20 "the CRD and the status with the field" knows_summary
	diff "$T/before" <(instances llm)
	answers llm .instanceType
}

# From here on, the words for the release are about the team's.
team_release() {
	RELEASE=team SYSTEM=$TEAM OPERATOR=team-instancepool-operator
}

@test "a release for one namespace: nothing in it is cluster-wide, its endpoints are served, others are left alone" {
	k delete ipe llm >/dev/null
	wait_for 30 "the instances to be gone" pods_number llm 0
	helm uninstall "$RELEASE" -n "$SYSTEM" --wait
	team_release
	install --set "watchNamespaces={$TEAM}" --set crds.install=false >"$T/notes"
	grep -F "manages the endpoints of $TEAM." "$T/notes"
	operators_are_ready
	helm test "$RELEASE" -n "$TEAM"
	helm get manifest "$RELEASE" -n "$TEAM" | kubectl get -f - -o json | jq -e --arg namespace "$TEAM" \
		'.items | length > 5 and all(.metadata.namespace == $namespace)'

	serving_endpoint other 1
	NS=$TEAM
	serving_endpoint llm 2
	settles 60 llm 1 1
	ipe_is llm 'pool(0).reason == "StockOut"'
	wait_for 20 "an answer of the fallback" answers llm ".instanceType == \"$G6\""
	NS=real-$E2E_RUN-install
	ipe_is other '.status == null'
	[[ $(objects deployments) == 0 && $(objects services) == 0 ]]
	if [[ -n $E2E_AUDIT_LOG ]]; then
		[[ -z $(requests ".objectRef.resource and .objectRef.namespace != \"$TEAM\"" | tee /dev/stderr) ]]
	fi
}

# denied: but for the end of a release, when Helm has taken the rights already: its leader gives its Lease back, and the standby
# may look at it once more. Without these rights nobody would lead.
denied() {
	requests '(.responseStatus.code | IN(401, 403)) and .objectRef.resource != "leases"'
}

@test "nothing that an operator asked of the API server was denied" {
	need_cluster
	[[ -n $(requests) && -z $(denied | tee /dev/stderr) ]]
	team_release
	[[ -n $(requests) && -z $(denied | tee /dev/stderr) ]]
}
