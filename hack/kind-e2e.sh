#!/usr/bin/env bash
# The scenarios on kind.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
source hack/lib/common.sh
# shellcheck source-path=SCRIPTDIR source=lib/tools.sh
source hack/lib/tools.sh
# shellcheck source-path=SCRIPTDIR source=lib/controlplane.sh
source hack/lib/controlplane.sh

usage() {
	cat <<'TEXT'
usage: hack/kind-e2e.sh [fake|real]

Makes a kind cluster (hack/kind-config.yaml), builds the images with docker and loads them, and runs hack/e2e (with kwok,
as processes on this machine) and hack/e2e-real on it; or only the one for fake or real nodes. Needs docker, kind and
kubectl, and Go for kwok. There must be no kind cluster "instancepool" yet; it is removed at the end.
KEEP=1 leaves it, and says where its kubeconfig is.

This script has not been run where it was written: there is no Docker there. What it starts has, on a hack/cluster.
TEXT
}

SUITE=${1:-all}
case $SUITE in
all | fake | real) ;;
-h | --help) usage && exit ;;
*) die "fake or real, not $SUITE (see --help)" ;;
esac
need_commands docker kind kubectl jq

readonly CLUSTER=instancepool
WORK=$(mktemp -d)
KWOKS=() CREATED=
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	((${#KWOKS[@]} == 0)) || kill "${KWOKS[@]}" || true
	if [[ -n $CREATED && -n ${KEEP:-} ]]; then
		say "the kind cluster $CLUSTER is left: KUBECONFIG=$KUBECONFIG"
		return
	fi
	[[ -z $CREATED ]] || kind delete cluster --name "$CLUSTER"
	rm -rf "$WORK"
}
trap cleanup EXIT

load_images() {
	local version target
	version=$(<VERSION)
	for target in operator modelserver; do
		docker build -f deploy/Dockerfile --target "$target" --build-arg "VERSION=$version" \
			-t "instancepool-$target:$version" .
		kind load docker-image --name "$CLUSTER" "instancepool-$target:$version"
	done
	kind load image-archive --name "$CLUSTER" "$(hack/e2e-real --test-image)"
}

# start_kwok_here BEHAVIOUR VALUE CIDR
start_kwok_here() {
	local -a flags
	mapfile -t flags < <(kwok_flags "$KUBECONFIG" "$@")
	KWOK_WORKDIR=$WORK "$(tools_binary kwok kwok)" "${flags[@]}" >"$WORK/kwok-$1.log" 2>&1 &
	KWOKS+=($!)
}

there=$(kind get clusters)
! grep -qx "$CLUSTER" <<<"$there" || die "there is a kind cluster $CLUSTER already: kind delete cluster --name $CLUSTER"
export KUBECONFIG=$WORK/kubeconfig
CREATED=1
kind create cluster --config hack/kind-config.yaml --kubeconfig "$KUBECONFIG" --wait 120s
status=0
if [[ $SUITE != real ]]; then
	tools_ensure kwok
	start_kwok_here instant fake 10.201.0.1/16
	start_kwok_here real-life real-life 10.202.0.1/16
	hack/cluster node add m7i.large --gpus 0 --kubeconfig "$KUBECONFIG"
	hack/e2e || status=1
fi
if [[ $SUITE != fake ]]; then
	load_images
	hack/e2e-real || status=1
fi
exit "$status"
