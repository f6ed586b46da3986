# shellcheck shell=bash
# Fake nodes: Node objects that the scheduler fills and kwok brings to life.
# Adding and removing them is how a test gives and takes capacity.
# nodes_use says on which cluster.

NODE_KUBECTL=()
# The real nodes that may be removed beside the fake ones (realnodes.sh).
NODE_REAL=()

# nodes_use KUBECTL KUBECONFIG
nodes_use() {
	NODE_KUBECTL=("$1" --kubeconfig "$2")
}

node_kubectl() {
	"${NODE_KUBECTL[@]}" "$@"
}

# The name of a type's nodes without the number: p5.48xlarge -> p5-48xlarge
node_prefix() {
	printf '%s\n' "${1//./-}"
}

# node_free_numbers PREFIX COUNT: the lowest that no node has, one a line.
node_free_numbers() {
	local prefix=$1 count=$2 number=0 name
	local -A taken=()
	while read -r name; do
		taken[${name#node/}]=1
	done < <(node_kubectl get nodes -o name)
	while ((count > 0)); do
		if [[ -z ${taken[$prefix-$number]-} ]]; then
			printf '%s\n' "$number"
			count=$((count - 1))
		fi
		number=$((number + 1))
	done
}

# node_manifest TYPE GPUS BEHAVIOUR LABELS-JSON PODS: a List, from names on stdin.
node_manifest() {
	local annotation=fake
	[[ $3 == instant ]] || annotation=$3
	jq -R -n --arg type "$1" --argjson gpus "$2" --arg annotation "$annotation" --argjson labels "$4" --arg pods "$5" '
		({cpu: "192", memory: "2Ti", pods: $pods}
			+ if $gpus > 0 then {"nvidia.com/gpu": ($gpus | tostring)} else {} end) as $room
		| {apiVersion: "v1", kind: "List", items: [inputs | {
			apiVersion: "v1", kind: "Node",
			metadata: {
				name: .,
				annotations: {"kwok.x-k8s.io/node": $annotation},
				labels: ({
					type: "kwok",
					"kubernetes.io/arch": "amd64",
					"kubernetes.io/os": "linux",
					"kubernetes.io/hostname": .,
					"node.kubernetes.io/instance-type": $type
				} + $labels)
			},
			spec: {taints: (if $gpus > 0
				then [{key: "nvidia.com/gpu", value: "present", effect: "NoSchedule"}] else [] end)},
			status: {capacity: $room, allocatable: $room}
		}]}'
}

# in_batches SIZE COMMAND...: runs COMMAND with the lines of stdin as further
# arguments. kubectl sends a burst of 10 requests and then 5 a second, so many
# short runs are faster than a long one.
in_batches() {
	local size=$1
	local -a batch
	shift
	while mapfile -t -n "$size" batch && ((${#batch[@]})); do
		"$@" "${batch[@]}" </dev/null
	done
}

# node_create TYPE GPUS BEHAVIOUR LABELS-JSON PODS NAME...: prints the names that
# were created; one that another caller took meanwhile is passed over.
node_create() {
	local type=$1 gpus=$2 behaviour=$3 labels=$4 pods=$5 errors
	shift 5
	errors=$(mktemp)
	if ! printf '%s\n' "$@" | node_manifest "$type" "$gpus" "$behaviour" "$labels" "$pods" |
		node_kubectl create -f - -o name 2>"$errors" | sed 's,^node/,,' &&
		grep -qv AlreadyExists "$errors"; then
		cat "$errors" >&2
		rm -f "$errors"
		die "cannot create the nodes"
	fi
	rm -f "$errors"
}

# nodes_ready TYPE NAME...: true if all are Ready and open to the scheduler.
nodes_ready() {
	local type=$1
	shift
	node_kubectl get nodes -l "node.kubernetes.io/instance-type=$type" -o json | jq -e '
		[.items[]
		| select([.status.conditions[]? | select(.type == "Ready") | .status] == ["True"])
		| select([.spec.taints[]? | select(.key == "node.kubernetes.io/not-ready")] == [])
		| .metadata.name] as $ready
		| $ARGS.positional - $ready == []' --args "$@" >/dev/null
}

# node_add TYPE PREFIX COUNT GPUS BEHAVIOUR LABELS-JSON PODS: prints the new names.
node_add() {
	local type=$1 prefix=$2 count=$3 gpus=$4 behaviour=$5 labels=$6 pods=$7
	local -a names=()
	local tries=0 new
	while ((${#names[@]} < count)); do
		((++tries <= 20)) || die "other callers keep taking the names $prefix-*"
		new=$(node_free_numbers "$prefix" $((count - ${#names[@]})) |
			sed "s/^/$prefix-/" | in_batches 10 node_create "$type" "$gpus" "$behaviour" "$labels" "$pods")
		[[ -z $new ]] || mapfile -t -O "${#names[@]}" names <<<"$new"
	done
	((${#names[@]})) || return 0
	wait_until 60 nodes_ready "$type" "${names[@]}" ||
		die "the nodes are not Ready: does kwok manage kwok.x-k8s.io/node for behaviour $behaviour here?"
	printf '%s\n' "${names[@]}"
}

# node_select TYPE COUNT: names of that many fake nodes, and of NODE_REAL, highest
# numbers first; COUNT "all" for every one.
node_select() {
	{
		node_kubectl get nodes -l "type=kwok,node.kubernetes.io/instance-type=$1" -o name
		printf 'node/%s\n' "${NODE_REAL[@]}"
	} |
		sed -n 's,^node/\(.*\)-\([0-9]*\)$,\2 \1-\2,p' | sort -k1,1nr |
		awk -v count="$2" 'count == "all" || NR <= count { print $2 }'
}

# Prints "namespace name" of each pod that is bound to one of NAME...
node_pods() {
	node_kubectl get pods -A -o json | jq -r '
		.items[] | select(.spec.nodeName | IN($ARGS.positional[]))
		| .metadata.namespace + " " + .metadata.name' --args "$@"
}

# pods_delete NAMESPACE NAME...: at once, without asking anybody.
pods_delete() {
	local namespace=$1
	shift
	node_kubectl delete pods -n "$namespace" "$@" --ignore-not-found \
		--grace-period=0 --force --wait=false >/dev/null 2>&1 || true
}

nodes_delete() {
	node_kubectl delete nodes "$@" --ignore-not-found --wait=false >/dev/null
}

# Deletes the pods of nodes that are gone.
node_delete_pods() {
	local pods namespace
	local -a namespaces
	pods=$(node_pods "$@")
	mapfile -t namespaces < <(cut -s -d ' ' -f 1 <<<"$pods" | sort -u)
	for namespace in "${namespaces[@]}"; do
		sed -n "s/^$namespace //p" <<<"$pods" | in_batches 5 pods_delete "$namespace"
	done
}

node_no_pods() {
	node_delete_pods "$@"
	[[ -z $(node_pods "$@") ]]
}

# node_remove TYPE COUNT: deletes the nodes, then the pods that were on them
# (the pod garbage collector would do that a minute later). Prints the names.
node_remove() {
	local name
	local -a names
	mapfile -t names < <(node_select "$1" "$2")
	((${#names[@]})) || return 0
	if [[ $2 != all ]] && ((${#names[@]} < $2)); then
		say "only ${#names[@]} nodes of $1"
	fi
	for name in "${names[@]}"; do
		[[ " ${NODE_REAL[*]} " != *" $name "* ]] || real_forget "$name"
	done
	printf '%s\n' "${names[@]}" | in_batches 5 nodes_delete
	wait_until 30 node_no_pods "${names[@]}" || die "pods stay on ${names[*]} (finalizers?)"
	printf '%s\n' "${names[@]}"
}
