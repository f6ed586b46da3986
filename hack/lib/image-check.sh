# shellcheck shell=bash
# shellcheck disable=SC2317 # the cases are called by name
# What must be true of the archives in build/images. Each case is a function that fails, with a word why, if it is not.

CHECKS_PASSED=0 CHECKS_FAILED=0

# check WHAT COMMAND...
check() {
	local what=$1 output status
	shift
	# Not as a condition, in which errexit would not count.
	set +e
	output=$(set -e && "$@" 2>&1)
	status=$?
	set -e
	if ((status == 0)); then
		printf 'ok   %s\n' "$what"
		CHECKS_PASSED=$((CHECKS_PASSED + 1))
	else
		printf 'FAIL %s\n     %s\n' "$what" "${output//$'\n'/$'\n'     }"
		CHECKS_FAILED=$((CHECKS_FAILED + 1))
	fi
}

# nothing COMMAND...: fails with what it prints.
nothing() {
	local output
	output=$("$@") || true
	[[ -z $output ]] || { echo "$output" && return 1; }
}

same() {
	[[ $1 == "$2" ]] || { echo "'$1' is not '$2'" && return 1; }
}

# in_image ROOT COMMAND...: the program and its own files, read-only, as the image's user, who can gain no rights. Takes
# the place of the subshell that it is called in, so that whoever kills that kills the program.
in_image() {
	# shellcheck disable=SC2016 # for the inner shell
	exec unshare --mount --propagation private bash -euc '
		mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
		exec setpriv --no-new-privs chroot --userspec=65532:65532 "$@"' bash "$@" 9>&-
}

prints() {
	local want=$1 output
	shift
	output=$("$@" 2>&1)
	[[ $output == *"$want"* ]] || { echo "no '$want' in: $output" && return 1; }
}

unpack() {
	local layer
	mkdir -p "$2"
	for layer in $(tar -xOf "$1" manifest.json | jq -r '.[].Layers[]'); do
		tar -xOf "$1" "$layer" | tar -x -p -C "$2"
	done
}

config_of() {
	tar -xOf "$1" "$(tar -xOf "$1" manifest.json | jq -r '.[0].Config')"
}

# holds CONFIG FILTER VALUE
holds() {
	same "$(jq -r "$2" <<<"$1")" "$3"
}

programs_beside() {
	find "$1" -type f -perm /111 ! -path "$1/usr/bin/$2" ! -name '*.so*' -printf 'executable: /%P\n'
	find "$1" \( -name sh -o -name 'bash*' -o -name 'busybox*' -o -name 'apt*' -o -name 'dpkg' ! -path '*/var/lib/dpkg' \) \
		-printf 'not here: /%P\n'
}

open_modes() {
	find "$1" \( -perm /6000 -o ! -type l -perm /002 -o ! -user 0 -o ! -group 0 \) -printf '%M %u:%g /%P\n'
}

# The files of no package: those that we write.
strangers() {
	(cd "$1" && find . -type f ! -path './var/lib/dpkg/*' -printf '%P\n') | sort >"$WORK/files"
	sed 's/^[0-9a-f]*  //; s|^lib|usr/lib|' "$1"/var/lib/dpkg/status.d/*.md5sums | sort | comm -23 "$WORK/files" - |
		grep -vxE "etc/(passwd|group|nsswitch.conf|ssl/certs/ca-certificates.crt)|usr/bin/$2|usr/share/doc/($2|uthash-dev)/.*"
}

md5sums_agree() {
	(cd "$1" && cat var/lib/dpkg/status.d/*.md5sums | md5sum --check --quiet)
}

# Where it was built is nobody's business, and another place would give other bytes.
places() {
	grep -rlaF -e "$PWD" -e /src/pkg "$1" | sed 's/^/names where it was built: /'
}

# What dpkg says is what the document says, in both directions, and the program is this very one.
sbom_agrees() {
	local root=$1 name=$2 sbom=$3
	jq -e '.spdxVersion == "SPDX-2.3" and (.packages | map(.SPDXID) | length == (unique | length))' "$sbom" >/dev/null
	diff <(for file in "$root"/var/lib/dpkg/status.d/*; do
		[[ $file == *.md5sums ]] || sed -n 's/^Package: //p; s/^Version: //p' "$file" | paste -sd ' '
	done | sort) <(jq -r '. as $d | .relationships[] | select(.relationshipType == "CONTAINS").relatedSpdxElement as $id |
		$d.packages[] | select(.SPDXID == $id and .supplier == "Organization: Debian") | "\(.name) \(.versionInfo)"' \
		"$sbom" | sort)
	same "$(sha256sum <"$root/usr/bin/$name" | cut -d ' ' -f 1)" \
		"$(jq -r --arg n "$name" '.packages[] | select(.name == $n and .primaryPackagePurpose == "APPLICATION")
			.checksums[0].checksumValue' "$sbom")"
}

# answers CODE ADDRESS
answers() {
	same "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "$2")" "$1"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# An API server whose certificate nobody signed: the program runs, answers, and says what is wrong, for which it must have
# found the resolver, OpenSSL and the certificates of the authorities.
operator_runs() {
	local root=$1 port tls_port pid tls_pid status=0
	port=$(free_port) tls_port=$(free_port)
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout "$WORK/tls.key" -out "$WORK/tls.crt" 2>/dev/null
	openssl s_server -quiet -accept "127.0.0.1:$tls_port" -key "$WORK/tls.key" -cert "$WORK/tls.crt" >/dev/null 2>&1 9>&- &
	tls_pid=$!
	printf '%s\n' 'apiVersion: v1' 'kind: Config' 'current-context: c' 'contexts: [{name: c, context: {cluster: c, user: u}}]' \
		"clusters: [{name: c, cluster: {server: 'https://localhost:$tls_port'}}]" 'users: [{name: u, user: {token: none}}]' \
		>"$root/kubeconfig"
	in_image "$root" /usr/bin/instancepool-operator --kubeconfig /kubeconfig --metrics-bind-address "127.0.0.1:$port" \
		--health-probe-bind-address "127.0.0.1:$port" >"$WORK/operator.log" 2>&1 &
	pid=$!
	{ wait_until 20 curl -s -o /dev/null "http://127.0.0.1:$port/healthz" &&
		answers 200 "http://127.0.0.1:$port/healthz" && answers 503 "http://127.0.0.1:$port/readyz" &&
		answers 200 "http://127.0.0.1:$port/metrics" &&
		wait_until 20 grep -q 'self-signed certificate' "$WORK/operator.log"; } || status=1
	kill "$pid" "$tls_pid"
	wait "$pid" || status=1
	((status == 0)) || cat "$WORK/operator.log"
	return $status
}

modelserver_runs() {
	local root=$1 port pid status=0
	port=$(free_port)
	in_image "$root" /usr/bin/modelserver --port "$port" --term-seconds 1 >"$WORK/modelserver.log" 2>&1 &
	pid=$!
	# Pausing it does not end it.
	{ wait_until 20 curl -s -o /dev/null "http://127.0.0.1:$port/ping" &&
		kill -STOP "$pid" && sleep 0.2 && kill -CONT "$pid" && sleep 0.2 &&
		answers 200 "http://127.0.0.1:$port/ping" && answers 405 "http://127.0.0.1:$port/invocations" &&
		same "$(curl -s -d 12345 "http://127.0.0.1:$port/invocations" | jq .inputBytes)" 5; } || status=1
	kill "$pid"
	answers 200 "http://127.0.0.1:$port/ping" || status=1
	wait "$pid" || status=1
	((status == 0)) || cat "$WORK/modelserver.log"
	return $status
}

# Another folder, other times and order of the files, compiled again.
same_again() {
	local name=$1 first
	first=$(image_id "$name")
	build_image "$name" "$WORK/again"
	same "$(image_id "$name")" "$first"
}

copy_sources() {
	mkdir -p "$WORK/again"
	cp -r --parents .dockerignore LICENSE Makefile VERSION pkg cmd/instancepool-operator tests/modelserver \
		hack/lib/image-rootfs.sh "$WORK/again"
	: >"$WORK/again/pkg/.again" # so that nothing cached will do
}

check_archive() {
	local name=$1 program=$2 archive=$OUT/instancepool-$1.tar root=$WORK/root-$1 config
	unpack "$archive" "$root"
	config=$(config_of "$archive")
	check "$name: its name is for every runtime" \
		same "$(tar -xOf "$archive" manifest.json | jq -r '.[0].RepoTags[0]')" "$PREFIX-$name:$VERSION"
	check "$name: not root" holds "$config" .config.User 65532:65532
	check "$name: starts the program" holds "$config" '.config.Entrypoint | join(" ")' "/usr/bin/$program"
	check "$name: labels" holds "$config" '.config.Labels | [."org.opencontainers.image.title",
		."org.opencontainers.image.version", ."org.opencontainers.image.licenses",
		."org.opencontainers.image.revision"] | join(" ")' "instancepool-$name $VERSION Apache-2.0 $(revision)"
	check "$name: size" test "$(compressed_bytes "$archive")" -le "$MAX_BYTES"
	check "$name: no shell, no package manager, no other program" nothing programs_beside "$root" "$program"
	check "$name: all files are root's, none setuid or writable for all" nothing open_modes "$root"
	check "$name: every file is of a package or ours" nothing strangers "$root" "$program"
	check "$name: every file is as its package has it" md5sums_agree "$root"
	check "$name: no trace of where it was built" nothing places "$root"
	check "$name: the SBOM is right" sbom_agrees "$root" "$program" "${archive%.tar}.spdx.json"
	check "$name: --version" prints "$program $VERSION" in_image "$root" "/usr/bin/$program" --version
	check "$name: --help" prints "Usage: $program" in_image "$root" "/usr/bin/$program" --help
}

check_images() {
	check_archive operator instancepool-operator
	check_archive modelserver modelserver
	check "operator: runs from a read-only root and answers" operator_runs "$WORK/root-operator"
	check "modelserver: runs from a read-only root and answers" modelserver_runs "$WORK/root-modelserver"
	copy_sources
	check "operator: the same sources give the same image" same_again operator
	check "modelserver: the same sources give the same image" same_again modelserver
	printf '%d passed, %d failed\n' "$CHECKS_PASSED" "$CHECKS_FAILED"
	((CHECKS_FAILED == 0))
}
