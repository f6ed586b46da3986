#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables for helpers.bash
# What is wrong around the operator: one line each that says what and what to do, and no restart is needed afterwards.
# What hits the whole cluster is in outage.bats.

load helpers

# refuses STATUS TEXT COMMAND...: it ends at once with that status and a single line, which has TEXT.
refuses() {
	local status=0
	LINE=$(timeout 10 "${@:3}" 2>&1) || status=$?
	printf '%s\n' "$LINE"
	[[ $status == "$1" && $LINE == *"$2"* && $(wc -l <<<"$LINE") == 1 ]]
}

# cannot_start TEXT FILE: with this kubeconfig.
cannot_start() {
	refuses 1 "$1" "$E2E_OPERATOR" --kubeconfig "$2"
}

@test "a flag that is wrong is refused in one line, with exit code 2" {
	refuses 2 "unknown flag --no-such-flag (see --help)" "$E2E_OPERATOR" --no-such-flag
	refuses 2 "unknown flag -x" "$E2E_OPERATOR" -x
	refuses 2 'unexpected argument "up"' "$E2E_OPERATOR" up
	refuses 2 "--kubeconfig needs a value" "$E2E_OPERATOR" --kubeconfig
	refuses 2 "--log-level: 'loud' is not a log level: debug, info" "$E2E_OPERATOR" --log-level loud
	refuses 2 "--log-format: 'xml' is not a log format: json or" "$E2E_OPERATOR" --log-format xml
	refuses 2 '--node-autoscaler: "maybe" is none of auto, none,' "$E2E_OPERATOR" --node-autoscaler maybe
	refuses 2 '--namespace: "No_Name" is no name' "$E2E_OPERATOR" --namespace No_Name
	refuses 2 '--leader-elect: "perhaps" is neither' "$E2E_OPERATOR" --leader-elect=perhaps
	refuses 2 '--leader-elect-retry-period: "2" is no duration; write it like' "$E2E_OPERATOR" --leader-elect-retry-period 2
	refuses 2 "the lease duration must be longer than the renew deadline" \
		"$E2E_OPERATOR" --leader-elect --leader-elect-lease-duration 5s
	refuses 2 "--leader-elect-lease-duration must be at least 1 s longer than --leader-elect-renew-deadline" \
		"$E2E_OPERATOR" --leader-elect --leader-elect-lease-duration 10s --leader-elect-renew-deadline 9500ms
	refuses 2 '--metrics-bind-address: listen address "8080": not host:port' "$E2E_OPERATOR" --metrics-bind-address 8080
	refuses 2 '--health-probe-bind-address: listen address' "$E2E_OPERATOR" --health-probe-bind-address :99999
	# An address that somebody has is no misuse.
	operator_start
	refuses 1 "--metrics-bind-address: listen on \\\"127.0.0.1:$(operator_port)\\\": Address already in use" \
		"$E2E_OPERATOR" --kubeconfig "$E2E_ACCOUNT_KUBECONFIG" --metrics-bind-address "127.0.0.1:$(operator_port)"
	[[ $("$E2E_OPERATOR" --version) == "instancepool-operator $(<"$E2E_ROOT/VERSION")" ]]
	"$E2E_OPERATOR" --help | grep -E '^Exit status: 0 .* 1 .* 2 '
}

operator_port() {
	jq -Rr 'fromjson? | select(.msg == "serving") | .port' "$OPERATOR_LOG" | head -n 1
}

@test "a kubeconfig that is missing, unreadable or none is refused in one line, with exit code 1" {
	local part
	cd "$T"
	cannot_start 'cannot start","error":"not-there: No such file or directory"' not-there
	KUBECONFIG=$T/a:$T/b refuses 1 "KUBECONFIG names no file that exists: $T/a:$T/b" "$E2E_OPERATOR"
	KUBECONFIG='' HOME=$T refuses 1 "no kubeconfig: not in a pod, and KUBECONFIG is not set: $T/.kube/config: No such" "$E2E_OPERATOR"
	mkdir folder
	cannot_start '"folder: Is a directory"' folder

	cp "$E2E_ACCOUNT_KUBECONFIG" unreadable
	chmod 000 unreadable
	part=("$E2E_OPERATOR")
	((EUID != 0)) || part=(setpriv "--bounding-set=-dac_override,-dac_read_search" "$E2E_OPERATOR")
	refuses 1 '"unreadable: Permission denied"' "${part[@]}" --kubeconfig unreadable

	: >empty
	cannot_start '"empty: the file is empty: no current-context' empty
	echo "no kubeconfig at all" >text
	cannot_start '"text: not a kubeconfig"' text
	jq 'del(."current-context")' "$E2E_ACCOUNT_KUBECONFIG" >contextless
	cannot_start '"contextless: no current-context is set (kubectl config use-context NAME' contextless
	jq '."current-context" = "other"' "$E2E_ACCOUNT_KUBECONFIG" >other
	cannot_start "\"other: current-context: there is no context 'other', only '" other
	jq '.users = []' "$E2E_ACCOUNT_KUBECONFIG" >userless
	cannot_start "\"userless: there is no user 'instancepool-operator', there are no users at all" userless
	jq '.clusters[0].cluster |= (del(."certificate-authority-data") | ."certificate-authority" = "no.crt")' \
		"$E2E_ACCOUNT_KUBECONFIG" >caless
	cannot_start '"caless: certificate-authority: ./no.crt: No such file or directory"' caless
	jq '.users[0].user = {tokenFile: "no.token"}' "$E2E_ACCOUNT_KUBECONFIG" >tokenless
	cannot_start 'token file ./no.token: No such file or directory"' tokenless
	kubectl config view --minify --flatten --raw | sed 's/^kind: /kind:: : [/' >broken
	cannot_start '"broken: line ' broken
}

@test "a half-written kubeconfig is refused in one line wherever it ends, which says what is missing" {
	local size i
	kubectl config view --minify --flatten --raw >"$T/whole"
	kubectl config view --minify --flatten --raw -o json >"$T/whole.json"
	cd "$T"
	size=$(stat -c %s whole)
	for ((i = 1; i < 20; i++)); do
		head -c $((size * i / 20)) whole >half
		cannot_start '"half: ' half
		[[ $LINE == *"is the file complete?"* || $LINE == *", only '"* || $LINE == *"half: line "* ]]
	done
	# In the last line of the key.
	for ((i = 7; i < 20; i++)); do
		head -c $((size - i)) whole >half
		cannot_start '"half: user ' half
		[[ $LINE == *"client-key-data: not "*"is the file complete?"* ]]
	done
	size=$(stat -c %s whole.json)
	for ((i = 1; i < 10; i++)); do
		head -c $((size * i / 10)) whole.json >half
		cannot_start '"half: line ' half
	done
}

# admin_kubeconfig FILTER: of the cluster's administrator, changed by the jq FILTER.
admin_kubeconfig() {
	kubectl config view --minify --flatten --raw -o json | jq "$1"
}

@test "an expired client certificate is named with its date; once its file is replaced there is no restart" {
	local pki
	pki=$(dirname -- "$KUBECONFIG")/pki
	[[ -r $pki/ca.key ]] || skip "the key of this cluster's authority is not known"
	EXPECTED_LOG='expired at'
	cd "$T"
	mkdir old new
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout old/key -subj /O=system:masters/CN=old |
		openssl x509 -req -days -1 -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial 7 -out old/crt
	cp "$pki/admin.crt" new/crt
	cp "$pki/admin.key" new/key
	until=$(date -u -d "$(openssl x509 -in old/crt -noout -enddate | cut -d = -f 2)" +%FT%TZ)
	# As a kubelet swaps the files of a Secret.
	ln -s old pair
	ln -s new pair.new
	admin_kubeconfig '.users[0].user = {"client-certificate": "pair/crt", "client-key": "pair/key"}' >kubeconfig
	OPERATOR_KUBECONFIG=$T/kubeconfig operator_launch
	complains 10 1 '.msg == "requests to the API server fail and are tried again" and .httpStatus == 401
		and .error == "the client certificate '"$T/pair/crt expired at $until"': Unauthorized"'
	not_ready "the client certificate $T/pair/crt expired at $until"
	mv -T pair.new pair
	wait_for 40 "the operator to be ready" operator_get /readyz
	logged '.msg == "the API server answers again"'
	complains 0 1
}

@test "a server certificate that the authority did not sign is not trusted; once the file is mended there is no restart" {
	cd "$T"
	admin_kubeconfig '.clusters[0].cluster."certificate-authority-data"' | jq -r . | base64 -d >right.crt
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj /CN=other -out ca.crt
	jq '.clusters[0].cluster |= (del(."certificate-authority-data") | ."certificate-authority" = "ca.crt")' \
		"$E2E_ACCOUNT_KUBECONFIG" >kubeconfig
	OPERATOR_KUBECONFIG=$T/kubeconfig operator_launch
	server=$(jq -r '.clusters[0].cluster.server' kubeconfig)
	complains 10 1 ".error | test(\"^GET $server/.*: the server's certificate is not trusted: .*issuer.* .trusted: $T/ca.crt\")"
	not_ready "the server's certificate is not trusted"
	cp right.crt ca.crt
	wait_for 20 "the operator to be ready" operator_get /readyz
	logged '.msg == "the API server answers again"'
	complains 0 1
}

# account_without VERBS RESOURCE: the ServiceAccount "weak" has all the operator's rights but these ("list,watch" "pods").
account_without() {
	k create serviceaccount weak >/dev/null
	weak_role "$@"
	kubectl create clusterrolebinding "$NS" --clusterrole="$NS" --serviceaccount="$NS:weak" >/dev/null
	AT_END=(kubectl delete "clusterrole/$NS" "clusterrolebinding/$NS" --wait=false)
	# shellcheck source=hack/lib/install.sh
	source "$E2E_ROOT/hack/lib/install.sh"
	account_kubeconfig "$NS" weak >"$T/kubeconfig"
	OPERATOR_KUBECONFIG=$T/kubeconfig
	ACCOUNT="system:serviceaccount:$NS:weak"
}

weak_role() {
	kubectl get clusterrole instancepool-operator -o json | jq --arg name "$NS" --arg verbs "$1" --arg resource "$2" '
		.metadata = {name: $name}
		| .rules |= [.[] | .resources[] as $one | .resources = [$one]
			| if $one == $resource then .verbs -= ($verbs / ",") else . end | select(.verbs != [])]' |
		kubectl apply -f - >/dev/null
}

GRANT="grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm release"

# lacks VERB RESOURCE GROUP: a jq filter for the line that says so.
lacks() {
	printf '.httpStatus == 403 and .hint == "%s" and (.error | endswith("%s"))' "$GRANT" \
		"User \\\"$ACCOUNT\\\" cannot $1 resource \\\"$2\\\" in API group \\\"$3\\\" in the namespace \\\"$NS\\\""
}

@test "without the right to list and watch pods: one line with verb, resource and group; granted, it goes on" {
	account_without list,watch pods
	EXPECTED_LOG='cannot watch resource'
	operator_launch
	complains 10 1 ".msg == \"watch failed and is tried again\" and .resource == \"pods\" and $(lacks watch pods '')"
	not_ready 'waiting to hear of pods: pods is forbidden: User'
	not_ready 'cannot watch resource "pods" in API group "" in the namespace'
	not_ready "$GRANT"
	weak_role none none
	wait_for 40 "the operator to be ready" operator_get /readyz
	logged '.msg == "watch goes on" and .resource == "pods"'
	complains 0 1
}

@test "the right to watch a resource is enough where the server streams lists" {
	account_without list pods
	operator_start
	complains 2 0
}

@test "a right to watch that is taken away while the operator runs: one line when the watch ends; granted, it goes on" {
	nodes "$P5" 1
	account_without none none
	forward_start
	operator_kubeconfig_by_forward "$T/kubeconfig"
	EXPECTED_LOG='cannot watch resource|connection'
	operator_start
	weak_role watch deployments
	# Nobody looks at the rights of a watch that is open: what opens it anew is a broken connection.
	forward_stop
	forward_start
	wait_for 10 "the line" logged ".resource == \"deployments\" and $(lacks watch deployments apps)"
	sleep 8
	[[ $(log_count ".httpStatus == 403") == 1 ]]
	weak_role none none
	wait_for 40 "the watch" logged '.msg == "watch goes on" and .resource == "deployments"'
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
}

@test "without the right to patch deployments: one line for all endpoints; granted, they go on" {
	nodes "$P5" 4
	account_without patch deployments
	EXPECTED_LOG='cannot patch resource'
	operator_start
	apply_model llm
	two_pools one 1
	two_pools two 1
	settles 20 one 1 0
	settles 20 two 1 0
	k scale ipe one two --replicas 2 >/dev/null
	complains 10 1 ".msg == \"write was refused\" and .kind == \"Deployment\" and $(lacks patch deployments apps)"
	not_ready 'cannot patch resource "deployments" in API group "apps" in the namespace'
	not_ready "$GRANT"
	weak_role none none
	settles 20 one 2 0
	settles 20 two 2 0
	operator_get /readyz
	logged '.msg == "no write is refused for want of a right any more"'
	complains 0 1
}

@test "without the right to patch instancepoolendpoints/status: one line for all endpoints; granted, they go on" {
	nodes "$P5" 2
	account_without patch instancepoolendpoints/status
	EXPECTED_LOG='cannot patch resource'
	operator_start
	apply_model llm
	two_pools one 1
	two_pools two 1
	complains 10 1 ".msg == \"write was refused\" and .kind == \"InstancePoolEndpoint\"
		and $(lacks patch instancepoolendpoints/status inference.instancepool.dev)"
	not_ready "$GRANT"
	weak_role none none
	settles 20 one 1 0
	settles 20 two 1 0
	operator_get /readyz
	complains 0 1
}

@test "without the right to create events: one line, and nothing else suffers; granted, they come" {
	nodes "$P5" 2
	nodes "$G6" 1
	account_without create events
	EXPECTED_LOG='cannot create resource'
	operator_start
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	k scale ipe llm --replicas 2 >/dev/null
	settles 20 llm 2 0
	complains 3 1 ".msg == \"Events are lost\" and $(lacks create events '')"
	weak_role none none
	sleep 2
	k scale ipe llm --replicas 3 >/dev/null
	settles 20 llm 2 1
	expect_event llm PoolOutOfCapacity
	complains 0 1
}

@test "without the right to read events: one line, and nobody waits for them; granted, they are watched" {
	nodes "$P5" 1
	account_without list,watch events
	EXPECTED_LOG='cannot watch resource'
	operator_start --node-autoscaler external
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0
	complains 10 1 ".msg == \"watch failed and is tried again\" and .resource == \"events\" and $(lacks watch events '')"
	weak_role none none
	wait_for 40 "the watch" logged '.msg == "watch goes on" and .resource == "events"'
	complains 0 1
}

@test "an API server out of reach, at the start and later: one line each with address and cause; it comes back" {
	nodes "$P5" 1
	forward_start
	forward_stop
	operator_kubeconfig_by_forward "$E2E_ACCOUNT_KUBECONFIG"
	operator_launch
	refused='.msg == "requests to the API server fail and are tried again"
		and (.error | test("^GET https://127.0.0.1:'"$FORWARD_PORT"'/.*: connection refused$"))'
	complains 10 1 "$refused"
	not_ready "waiting to hear of instancepoolendpoints: GET https://127.0.0.1:$FORWARD_PORT/"
	not_ready ": connection refused"
	forward_start
	wait_for 20 "the operator to be ready" operator_get /readyz
	logged '.msg == "the API server answers again"'
	apply_model llm
	two_pools llm 1
	settles 20 llm 1 0

	# Long enough for it to be another outage.
	sleep 12
	forward_stop
	complains 10 2 "$refused"
	wait_for 10 "/readyz to say so" not_ready ": connection refused"
	forward_start
	wait_for 20 "the second recovery" log_count_is 2 '.msg == "the API server answers again"'
	k scale ipe llm --replicas 0 >/dev/null
	settles 20 llm 0 0
	complains 0 2
}

log_count_is() {
	[[ $(log_count "$2") == "$1" ]]
}
