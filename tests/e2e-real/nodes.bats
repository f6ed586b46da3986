#!/usr/bin/env bats
# The real nodes themselves: are they what a pod finds in a cluster?

# What comes and goes here concerns the whole machine.
export BATS_NO_PARALLELIZE_WITHIN_FILE=true

load helpers

# client_gets HOST PORT: prints what the pod "client" is answered.
client_gets() {
	k exec client -- /tiny get "$@"
}

# Two pods that are not on the same node.
server_and_client() {
	tiny server '{}' serve 8080
	tiny client '{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
		{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "server"}}}]}}}' serve 8080
	k expose pod server --port 80 --target-port 8080 >/dev/null
	becomes_ready 30 server client
}

@test "pods of a loaded image become Ready under the restricted profile; Service, DNS, logs and exec reach them" {
	kubectl label namespace "$NS" pod-security.kubernetes.io/enforce=restricted >/dev/null
	server_and_client
	fails pod_is server ".spec.nodeName == $(api "/api/v1/namespaces/$NS/pods/client" | jq .spec.nodeName)"
	address=$(k get service server -o 'jsonpath={.spec.clusterIP}')
	for host in "$address" server "server.$NS" "server.$NS.svc.cluster.local"; do
		[[ $(client_gets "$host" 80) == server ]]
	done
	[[ $(k logs server) == *"serving on port 8080"* ]]
}

@test "a pod reaches the API server, its own Service, and nothing outside" {
	server_and_client
	[[ $(client_gets kubernetes.default 443) == *"HTTP request to an HTTPS server"* ]]
	k expose pod client --port 80 --target-port 8080 >/dev/null
	wait_for 10 "its own Service" client_gets "client.$NS" 80 # "client" alone is the pod itself
	fails client_gets no-such-service 80
	fails client_gets example.com 80
	need_cluster
	fails client_gets 192.0.2.1 80
}

@test "GPUs are counted: the second pod of a node with one GPU waits, and the kubelet does not forget the number" {
	node=$(real_nodes "$P5" 1 1)
	GPUS=1 tiny first "$(on_type "$P5")" serve 8080
	becomes_ready 20 first
	GPUS=1 tiny second "$(on_type "$P5")" serve 8080
	wait_for 10 "the second pod to be refused" pod_is second \
		'any(.status.conditions[]; .type == "PodScheduled" and (.message | test("Insufficient nvidia.com/gpu")))'
	# more than one status update of the kubelet
	stays 22 "the pod waits" pod_is second '.spec.nodeName == null'
	kubectl get node "$node" -o json | jq -e '.status.capacity["nvidia.com/gpu"] == "1"
		and .status.allocatable["nvidia.com/gpu"] == "1" and any(.spec.taints[]; .key == "nvidia.com/gpu")'
}

@test "a pod that ends in its own time holds its GPU until then" {
	real_nodes "$P5" 1 1
	GPUS=1 tiny first "$(on_type "$P5")" serve 8080 6
	becomes_ready 20 first
	GPUS=1 tiny second "$(on_type "$P5")" serve 8080
	k delete pod first --wait=false >/dev/null
	deleted=$SECONDS
	stays 4 "the first holds the GPU" pod_is second '.spec.nodeName == null'
	[[ $(k logs first) == *"ending in 6 s"* ]]
	wait_for 15 "the first to be gone" pod_is_gone first
	((SECONDS - deleted >= 5))
	becomes_ready 20 second
}

@test "a node that is removed takes its pods with it, and leaves nothing on this machine" {
	need_cluster
	node=$(real_nodes "$P5" 1 1)
	GPUS=1 tiny first "$(on_type "$P5")" serve 8080 "600$BASHPID"
	becomes_ready 20 first
	pgrep -f "tiny serve 8080 600$BASHPID"
	[[ $(remove_real_nodes "$P5") == "$node" ]]
	fails kubectl get node "$node"
	pod_is_gone first
	[[ -z $(find /sys/fs/cgroup -maxdepth 3 -name "$node") ]]
	fails pgrep -f -- "--hostname-override $node"
	fails pgrep -f "tiny serve 8080 600$BASHPID"
}

@test "up repairs a node of which a part died, and its pods go on" {
	need_cluster
	node=$(real_nodes "$P5" 1 1)
	GPUS=1 tiny first "$(on_type "$P5")" serve 8080
	becomes_ready 20 first
	for part in kubelet containerd; do
		kill -KILL "$(cluster status | awk -v part="$node.$part" '$1 == part {print $4}')"
	done
	fails cluster status
	cluster up
	cluster status
	kubectl get node "$node" -o json | jq -e '.status.allocatable["nvidia.com/gpu"] == "1"'
	stays 5 "the pod is the same" pod_is first "$READY and .status.containerStatuses[0].restartCount == 0"
	k exec first -- /tiny get localhost 8080
}
