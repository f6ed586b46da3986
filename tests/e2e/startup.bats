#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2034 # variables for helpers.bash; each test has its own
# Instances that have a node and do not become Ready. It is never a matter of capacity: no pool is given up for it. After
# its time (60 s here, the least that there is) one instance is lent by the next pool, or none.

load helpers

# pools COUNT LEND-OR-HOLD: the best pool runs the Model "llm", the fallbacks run "plain".
pools() {
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: $1
modelDataDownloadTimeoutSeconds: ${DOWNLOAD_S:-60}
containerStartupHealthCheckTimeoutSeconds: ${STARTUP_S:-60}
onStartupFailure: $2
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2, modelNameOverride: plain}
YAML
}

with_download() {
	sed '/^      containers:/i\      initContainers: [{name: download, image: example/fetch:1}]'
}

# trouble REASON WORDS: the best pool tells it while its instances start, and nothing follows yet.
trouble() {
	ipe_is llm "
		pool(0).state == \"Starting\" and pool(0).reason == \"$1\" and (pool(0).message | test(\"$2\"))
		and (is(\"StartupFailed\") | not) and pool(1).desiredInstanceCount == 0"
}

# nothing_yet: they take their time, and that is all.
nothing_yet() {
	ipe_is llm '
		pool(0).state == "Starting" and (pool(0).reason // "" | IN("ImagePullFailed", "CrashLoop", "ContainerError") | not)
		and (is("StartupFailed") | not) and pool(1).desiredInstanceCount == 0'
}

# failed REASON
failed() {
	ipe_is llm "is(\"StartupFailed\") and [condition(\"StartupFailed\").reason] == [\"$1\"]"
}

not_failed() {
	ipe_is llm '(is("StartupFailed") or is("Stalled") | not) and is("Ready") and .status.phase == "InService" and .status.failureReason == null'
}

# lent COUNT: beyond the COUNT instances of the best pool, which stay, one serves in the next one.
lent() {
	ipe_is llm "
		pool(0).desiredInstanceCount == $1 and pool(0).state == \"Starting\" and pool(1).desiredInstanceCount == 1
		and pool(1).currentInstanceCount == 1 and .status.phase != \"Failed\""
}

# Seconds from the first bind in the best pool to the creation of the first pod in the next one.
seconds_to_lend() {
	jq -s --arg p5 "$P5" --arg g6 "$G6" '
		def of($type): .[].object | select(.metadata.labels["inference.instancepool.dev/instance-type"] == $type);
		(first(of($g6)).metadata.creationTimestamp | fromdate)
			- (first(of($p5).status.conditions[]? | select(.type == "PodScheduled" and .status == "True")).lastTransitionTime
				| fromdate)' "$T/pods.jsonl"
}

# What holds whatever happens: no pool has a strike, and no more is asked than is wanted and one for the template.
never_a_stock_out() {
	never_seen endpoints 'any(.status.instancePools[]?; (.strikes // 0) > 0 or .state == "BackOff")'
	never_seen endpoints '.metadata.name == "llm" and ([.status.instancePools[]?.desiredInstanceCount] | add // 0) > .status.desiredInstanceCount + '"${1:-1}"
}

recovers_by_itself() {
	k annotate pods -l "inference.instancepool.dev/instance-type=$P5" kwok.instancepool.dev/fails-with- >/dev/null
}

@test "an image that cannot be pulled, Lend: one instance is lent, of two that fail, and the mended Model ends it (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 3
	operator_start
	FAILS_WITH=image-pull apply_model llm
	apply_model plain
	pools 2 Lend
	wait_for 20 "the trouble to be told" trouble ImagePullFailed "example/llm:1"
	k describe ipe llm | grep -F Message: | grep -F example/llm:1
	stays 35 "the same trouble, and nothing more" trouble ImagePullFailed "example/llm:1"
	wait_for 45 "the failure" failed ImagePullFailed
	wait_for 15 "one lent instance" lent 2
	waited=$(seconds_to_lend)
	echo "lent after $waited s"
	((waited >= 59 && waited <= 75))
	expect_event llm StartupFailed
	# It is all in the status: nothing is lent a second time.
	operator_kill
	operator_start
	stays 5 "one lent instance" lent 2
	pods_number llm 3

	apply_model llm
	mended() {
		not_failed && pods_number llm 2 && ipe_is llm '
			.status.currentInstanceCount == 2 and pool(1).desiredInstanceCount <= 1
			and ([.status.instancePools[].desiredInstanceCount] | add) == 2'
	}
	wait_for 45 "two Ready instances, at most one of them lent" mended
	stays 5 "the same" mended
	never_a_stock_out
	never_seen endpoints '.status.phase == "Failed"'
}

@test "a crash loop, Hold: nothing is lent, the endpoint has failed, and it recovers by itself (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	FAILS_WITH=crash-loop apply_model llm
	apply_model plain
	pools 1 Hold
	wait_for 20 "the trouble to be told" trouble CrashLoop "exit code 1"
	wait_for 70 "the failure" failed CrashLoop
	wait_for 5 "the phase Failed, and why" ipe_is llm '.status.phase == "Failed" and (.status.failureReason | length) > 0'
	# Whatever state its next try is in.
	stays 12 "the phase Failed" ipe_is llm '.status.phase == "Failed" and is("StartupFailed")'
	recovers_by_itself
	settles 60 llm 1 0
	wait_for 5 "the end of the failure" not_failed
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_a_stock_out 0
}

@test "a download that takes too long, Lend: when it ends after all, the lent instance goes (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	FAILS_WITH=download model llm | with_download | k apply -f - >/dev/null
	apply_model plain
	STARTUP_S=600 pools 1 Lend
	wait_for 15 "an instance that starts" nothing_yet
	stays 40 "starting, and nothing more" nothing_yet
	wait_for 40 "the failure" failed DownloadTimeout
	wait_for 15 "one lent instance" lent 1
	waited=$(seconds_to_lend)
	echo "lent after $waited s"
	((waited >= 59 && waited <= 75))
	best=$(k get pods -l "inference.instancepool.dev/instance-type=$P5" -o jsonpath='{.items[*].metadata.uid}')
	recovers_by_itself
	settles 30 llm 1 0
	[[ $(uids llm) == "$best" ]]
	not_failed
	never_a_stock_out
	# From the loan on one has served.
	lent_at=$(jq -s '[.[].object | select(.status.currentInstanceCount == 1).metadata.resourceVersion | tonumber] | min' "$T/endpoints.jsonl")
	never_seen endpoints "(.metadata.resourceVersion | tonumber) >= $lent_at and .status.currentInstanceCount < 1"
}

@test "a probe that never succeeds, Hold: the download's time is not the start's; the mended Model serves (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 1
	operator_start
	READY_AFTER=24h model llm | with_download |
		sed '/annotations:/a\        kwok.instancepool.dev/init-after: 15s' | k apply -f - >/dev/null
	apply_model plain
	pools 1 Hold
	wait_for 15 "an instance that starts" nothing_yet
	# 15 s of download do not count.
	stays 65 "starting, and nothing more" nothing_yet
	wait_for 30 "the failure" failed StartupTimeout
	wait_for 5 "the phase Failed, and why" ipe_is llm '.status.phase == "Failed" and (.status.failureReason | length) > 0'
	apply_model llm
	settles 40 llm 1 0
	wait_for 5 "the end of the failure" not_failed
	never_seen pods ".metadata.labels[\"inference.instancepool.dev/instance-type\"] == \"$G6\""
	never_a_stock_out 0
}

@test "what is lent fails too: the pool after it lends one, and that is all (real-life nodes)" {
	real_life_nodes "$P5" 1
	real_life_nodes "$G6" 2
	real_life_nodes "$G5" 2
	operator_start
	FAILS_WITH=image-pull apply_model llm
	apply_model plain
	apply_endpoint llm <<YAML
modelName: llm
instanceCount: 1
containerStartupHealthCheckTimeoutSeconds: 60
instancePools:
- {instanceType: $P5, priority: 1}
- {instanceType: $G6, priority: 2}
- {instanceType: $G5, priority: 3, modelNameOverride: plain}
YAML
	asked() {
		ipe_is llm "([.status.instancePools[].desiredInstanceCount] | map(tostring) | join(\" \")) == \"$*\""
	}
	wait_for 75 "one lent by the second pool" asked 1 1 0
	stays 50 "nothing of the third" asked 1 1 0
	wait_for 30 "one lent by the third" asked 1 1 1
	wait_for 10 "it to serve" ipe_is llm 'pool(2).currentInstanceCount == 1 and .status.phase == "InService" and is("StartupFailed")'
	# What the second pool has lent for is not needed any more.
	wait_for 5 "the end of the second one" asked 1 0 1
	stays 10 "nothing more" asked 1 0 1
	never_a_stock_out 2
}

@test "instances that serve are not touched by one that cannot start (real-life nodes)" {
	real_life_nodes "$P5" 2
	real_life_nodes "$G6" 1
	operator_start
	apply_model llm
	apply_model plain
	pools 1 Hold
	settles 20 llm 1 0
	serving=$(uids llm)
	served_at=$(ipe llm -r .metadata.resourceVersion)
	READY_AFTER=24h apply_model llm
	wait_for 15 "the new one to start beside it" ipe_is llm '.status.phase == "Updating" and pool(0).startingInstanceCount >= 1'
	wait_for 80 "the failure" failed StartupTimeout
	stays 5 "an instance that serves" ipe_is llm '.status.currentInstanceCount == 1 and .status.phase != "Failed"'
	grep -qF "$serving" <(uids llm)
	apply_model llm
	wait_for 40 "the end of the update" ipe_is llm '.status.phase == "InService" and .status.currentInstanceCount == 1 and (is("StartupFailed") | not)'
	never_seen endpoints "(.metadata.resourceVersion | tonumber) >= $served_at and .status.currentInstanceCount < 1"
	never_a_stock_out
}
