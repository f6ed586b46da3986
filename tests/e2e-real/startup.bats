#!/usr/bin/env bats
# Instances that have a node and do not become Ready, and one that waits for the GPU of its predecessor: by the words of
# real kubelets, in real time.

load helpers

setup_file() {
	operator_install instancepool-system
}

teardown_file() {
	operator_uninstall instancepool-system
}

# downloads ARGUMENT...: the SPEC-JSON of an init container that does that.
downloads() {
	jq -cn --arg image "$SERVER" '{initContainers: [{name: "download", image: $image, args: $ARGS.positional}]}' --args -- "$@"
}

# starts LEND-OR-HOLD NAME...: an endpoint of one instance for each Model, with the Model "plain" in the fallback.
starts() {
	local name
	for name in "${@:2}"; do
		apply_endpoint "$name" <<-YAML
			modelName: $name
			instanceCount: 1
			modelDataDownloadTimeoutSeconds: 60
			containerStartupHealthCheckTimeoutSeconds: 60
			onStartupFailure: $1
			instancePools:
			- {instanceType: $P5, priority: 1}
			- {instanceType: $G6, priority: 2, modelNameOverride: plain}
		YAML
	done
}

# trouble NAME REASON WORDS: told while it starts, and nothing follows yet.
trouble() {
	ipe_is "$1" "
		pool(0).state == \"Starting\" and pool(0).reason == \"$2\" and (pool(0).message | test(\"$3\"))
		and (is(\"StartupFailed\") | not) and pool(1).desiredInstanceCount == 0"
}

# nothing_yet NAME...: they take their time, and that is all.
nothing_yet() {
	local name
	for name in "$@"; do
		ipe_is "$name" 'pool(0).state == "Starting" and pool(0).reason == null and (is("StartupFailed") | not)
			and pool(1).desiredInstanceCount == 0'
	done
}

# failed NAME REASON WORDS
failed() {
	ipe_is "$1" "
		is(\"StartupFailed\") and [condition(\"StartupFailed\").reason] == [\"$2\"] and pool(0).reason == \"$2\"
		and (pool(0).message | test(\"$3\"))"
}

# lent NAME: the instance stays, and one serves in the next pool.
lent() {
	ipe_is "$1" '
		pool(0).desiredInstanceCount == 1 and pool(0).state == "Starting" and pool(1).desiredInstanceCount == 1
		and pool(1).currentInstanceCount == 1 and .status.phase == "InService" and is("StartupFailed")'
}

# held NAME: nothing is lent, and the endpoint says why it has failed.
held() {
	ipe_is "$1" '
		pool(0).desiredInstanceCount == 1 and pool(1).desiredInstanceCount == 0 and is("StartupFailed")
		and .status.phase == "Failed" and (.status.failureReason | length) > 0'
}

# seconds_to_lend NAME: from the bind of its instance to the creation of the one that is lent.
seconds_to_lend() {
	jq -s --arg name "$1" --arg p5 "$P5" --arg g6 "$G6" '
		def of($type): .[].object | select(.metadata.labels["inference.instancepool.dev/endpoint"] == $name
			and .metadata.labels["inference.instancepool.dev/instance-type"] == $type);
		(first(of($g6)).metadata.creationTimestamp | fromdate)
			- (first(of($p5).status.conditions[]? | select(.type == "PodScheduled" and .status == "True")).lastTransitionTime
				| fromdate)' "$T/pods.jsonl"
}

@test "starts that fail in all ways: each is told, lent for or held after its 60 s, and ends by itself or with a mended Model" {
	real_nodes "$P5" 1 6
	real_nodes "$G6" 1 3
	record endpoints "$GROUP/namespaces/$NS/instancepoolendpoints"
	record pods "/api/v1/namespaces/$NS/pods"
	serves plain '{}'
	serves slow-download "$(downloads --download-seconds 75)"
	serves slow-start '{}' --load-seconds 75
	IMAGE=registry.invalid/none:1 serves no-image '{}'
	serves no-start '{}' --load-seconds 3600
	serves no-download "$(downloads --download-fails)"
	serves crashes '{}' --load-seconds 3600 --crash-after 2
	starts Lend slow-download slow-start no-image
	starts Hold no-start no-download crashes

	wait_for 30 "the missing image" trouble no-image ImagePullFailed registry.invalid/none:1
	wait_for 30 "the failed download" trouble no-download CrashLoop "download has ended with exit code 1"
	wait_for 30 "the crashes" trouble crashes CrashLoop "server has ended with exit code 1"
	stays 15 "starting, and nothing more" nothing_yet slow-download slow-start no-start
	trouble no-image ImagePullFailed registry.invalid/none:1

	wait_for 60 "the failed start" failed slow-start StartupTimeout "not Ready within 60 s"
	wait_for 5 "the other one" failed no-start StartupTimeout "not Ready within 60 s"
	wait_for 5 "the failed download" failed slow-download DownloadTimeout "have not ended within 60 s"
	wait_for 5 "the failed image" failed no-image ImagePullFailed registry.invalid/none:1
	wait_for 5 "the failed download" failed no-download CrashLoop "download has ended with exit code 1"
	wait_for 5 "the failed crashes" failed crashes CrashLoop "server has ended with exit code 1"
	for name in slow-download slow-start no-image; do
		wait_for 15 "one lent for $name" lent "$name"
		waited=$(seconds_to_lend "$name")
		echo "lent for $name after $waited s"
		((waited >= 59 && waited <= 70))
	done
	for name in no-start no-download crashes; do
		wait_for 5 "the phase Failed of $name" held "$name"
	done
	for name in slow-download slow-start no-image no-start no-download crashes; do
		expect_event "$name" StartupFailed
	done

	# These were only late.
	settles 40 slow-download 1 0
	settles 40 slow-start 1 0
	k get pods -o json | jq -e 'all(.items[] | select(.metadata.labels["inference.instancepool.dev/endpoint"] | . == "slow-download"
		or . == "slow-start"); .status.containerStatuses[0].restartCount == 0)'
	# These are mended.
	serves no-image '{}'
	serves crashes '{}'
	settles 40 no-image 0 1 # what serves stays where it is
	settles 40 crashes 1 0
	for name in slow-download slow-start no-image crashes; do
		ipe_is "$name" '(is("StartupFailed") | not) and is("Ready") and .status.failureReason == null'
	done
	held no-start
	held no-download
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\"
		and (.metadata.labels[\"inference.instancepool.dev/endpoint\"] | IN(\"no-start\", \"no-download\", \"crashes\"))"
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0 or .state == "BackOff")'
}

best_waits() {
	ipe_is llm "pool(0).state == \"Waiting\" and pool(0).reason == \"$1\" and (pool(0).message | test(\"$2\"))"
}

@test "a replacement waits until its predecessor gives its GPU back, 25 s of 30; the fallback is not asked" {
	real_nodes "$P5" 1 1
	real_nodes "$G6" 1 1
	serves llm '{"terminationGracePeriodSeconds": 30}' --term-seconds 25
	two_pools llm 1
	settles 40 llm 1 0
	record endpoints "$GROUP/namespaces/$NS/instancepoolendpoints"
	record pods "/api/v1/namespaces/$NS/pods"
	first=$(uids llm)
	k delete pods --all --wait=false >/dev/null
	deleted=$SECONDS
	wait_for 10 "the wait for the one that ends" best_waits Releasing "instances are still ending on its nodes"
	stays 12 "the wait for the one that ends" best_waits Releasing "instances are still ending on its nodes"
	settles 40 llm 1 0
	((SECONDS - deleted >= 25))
	[[ $(uids llm) != "$first" ]]
	jq -rc '.object.status | [.phase, (.instancePools[]? | .state, .reason)]' "$T/endpoints.jsonl"
	# Pending is what the operator says before the scheduler has said anything.
	never_seen endpoints 'any(.status.instancePools[]?; .state == "Waiting" and (.reason | IN("Pending", "Releasing") | not))'
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0 or .state == "BackOff")'
	never_seen endpoints '.status.instancePools[1].desiredInstanceCount > 0'
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
}
