#!/usr/bin/env bash
# Installs the Debian packages that the project needs to build, lint and test.
# Quiet and quick when nothing is missing.
set -euo pipefail

usage() {
	cat <<'TEXT'
usage: hack/install-deps.sh [--check]

Installs the missing Debian packages for the whole project (with sudo unless
run as root) and checks that a recent enough Go is there for the test cluster.

  --check   only say what is missing; exit 1 if something is
TEXT
}

readonly GO_MINIMUM=1.26

PACKAGES=(
	# compilers and build
	gcc make pkg-config clang llvm libclang-rt-14-dev
	# libraries
	libcurl4-openssl-dev libjansson-dev libyaml-dev libuv1-dev uthash-dev
	libmicrohttpd-dev libcmocka-dev
	# lint and analysis
	clang-format clang-tidy cppcheck shellcheck valgrind
	# tests and the test cluster
	bats parallel jq curl openssl procps util-linux python3 python3-h2 python3-venv python3-yaml nginx libfaketime
	git ca-certificates
	# real nodes in the test cluster
	runc containernetworking-plugins iptables iproute2
	# images
	buildah mmdebstrap
)

say() {
	printf 'install-deps: %s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# Prints the packages of PACKAGES that are not installed, one a line.
missing_packages() {
	local installed
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' \
		"${PACKAGES[@]}" 2>/dev/null | sed -n 's/^installed //p') || true
	printf '%s\n' "${PACKAGES[@]}" | grep -vxF -f <(printf '%s\n' "$installed" -) || true
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root and no sudo: run as root: $*"
	fi
}

# True if apt knows a version of every package it is asked for.
apt_knows() {
	apt-get install --simulate --no-install-recommends "$@" >/dev/null 2>&1
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

install_packages() {
	say "installing: $*"
	if ! apt_knows "$@"; then
		as_root apt-get update -qq
		apt_install "$@"
	elif ! apt_install "$@"; then
		say "retrying with a fresh package list"
		as_root apt-get update -qq
		apt_install "$@"
	fi
	say "done"
}

# The tests start an nginx of their own (HTTP/2 over TLS); the package's service is of no use here.
stop_service() {
	as_root service "$1" stop >/dev/null 2>&1 || true
	! command -v systemctl >/dev/null || as_root systemctl disable "$1" >/dev/null 2>&1 || true
}

go_version() {
	GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed 's/^go//'
}

check_go() {
	local have=
	if command -v go >/dev/null; then
		have=$(go_version)
	fi
	if [[ -n $have && $(printf '%s\n' "$GO_MINIMUM" "$have" | sort -V | head -n 1) == "$GO_MINIMUM" ]]; then
		return 0
	fi
	say "Go $GO_MINIMUM or newer is needed to build the test cluster (found: ${have:-none}): Debian 12's own is too old, so unpack the archive from https://go.dev/dl/ into /usr/local and put /usr/local/go/bin on PATH."
	return 1
}

main() {
	local check_only=
	case ${1-} in
	-h | --help)
		usage
		return 0
		;;
	--check) check_only=yes ;;
	'') ;;
	*) die "unknown argument: $1 (see --help)" ;;
	esac

	command -v dpkg-query >/dev/null || die "not a Debian system: install by hand: ${PACKAGES[*]}"

	local -a missing
	mapfile -t missing < <(missing_packages)
	if ((${#missing[@]})); then
		if [[ -n $check_only ]]; then
			die "missing: ${missing[*]}"
		fi
		install_packages "${missing[@]}"
		[[ " ${missing[*]} " != *" nginx "* ]] || stop_service nginx
	fi
	check_go || [[ -z $check_only ]]
}

main "$@"
