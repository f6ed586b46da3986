#!/usr/bin/env bash
# image-rootfs.sh ROOT PROGRAM [PACKAGE...]: fills ROOT with all that an image of PROGRAM holds, and nothing else: the
# program, stripped, the shared libraries it is linked to, CA certificates, two users, and what scanners and lawyers ask
# for: each Debian package's entry of the dpkg database, its md5sums and its copyright file. The PACKAGEs are those that
# have become a part of the program itself. Runs in the builder of deploy/Dockerfile. The same packages, program and
# SOURCE_DATE_EPOCH give the same tree.
set -euo pipefail
export LC_ALL=C
umask 022

die() {
	printf 'image-rootfs: %s\n' "$*" >&2
	exit 1
}

# The libraries, the dynamic linker among them.
libraries() {
	ldd "$1" | sed -nE 's/.*not found.*/&/p; s/^(.* => |\t)(\/\S+) \(0x[0-9a-f]+\)$/\2/p' | sort -u
}

# take PATH: copies a file of a package, and all links on the way to it.
take() {
	local path
	path=$(readlink -f "$(dirname "$1")")/${1##*/}
	[[ -e $path ]] || die "there is no $1"
	mkdir -p "$ROOT${path%/*}"
	cp -P --preserve=mode "$path" "$ROOT$path"
	if [[ -L $path ]]; then
		take "$(cd "${path%/*}" && realpath -s "$(readlink "$path")")"
	fi
}

# /lib and /lib64 are links into /usr, as in any Debian.
take_merged_links() {
	local link
	for link in /lib*; do
		[[ ! -L $link || ! -d $ROOT/usr$link ]] || cp -P "$link" "$ROOT$link"
	done
}

# "package path" for each file of ROOT. dpkg may know it by its name from before /usr was merged.
owners() {
	(cd "$ROOT" && find . ! -type d ! -path './lib*' -printf '/%P\n') | awk '
		FILENAME == "-" { want[$0] = 1; next }
		FNR == 1 { package = FILENAME; sub(/.*\//, "", package); sub(/(:[^:]*)?\.list$/, "", package) }
		("/usr" $0) in want { $0 = "/usr" $0 }
		$0 in want { print package, $0; delete want[$0] }
		END { for (path in want) { print "image-rootfs: no package has " path >"/dev/stderr"; bad = 1 } exit bad }
	' - /var/lib/dpkg/info/*.list | sort
}

# Every package's licences, as a file even where its folder is a link to that of a sister.
take_copyright() {
	local path=/usr/share/doc/$1/copyright
	mkdir -p "$ROOT${path%/*}"
	cp -L "$path" "$ROOT$path"
	chmod 644 "$ROOT$path"
}

# The package's own md5sums, of those files that are here.
md5sums_here() {
	local sum path
	while read -r sum path; do
		[[ ! -f $ROOT/$path ]] || printf '%s  %s\n' "$sum" "$path"
	done <"$(dpkg-query --control-path "$1" md5sums)"
}

write_package() {
	local dir=$ROOT/var/lib/dpkg/status.d
	mkdir -p "$dir"
	take_copyright "$1"
	dpkg-query -s "$1" >"$dir/$1"
	md5sums_here "$1" >"$dir/$1.md5sums"
}

write_own_files() {
	local name=${1##*/} package
	# shellcheck disable=SC2016 # for dpkg-query
	local fields='Package: ${Package}\nSource: ${source:Package}\nVersion: ${Version}\nArchitecture: ${Architecture}\n\n'
	mkdir -p "$ROOT"/{usr/bin,"usr/share/doc/$name"}
	strip -o "$ROOT/usr/bin/$name" "$1"
	install -m 644 LICENSE "$ROOT/usr/share/doc/$name/copyright"
	printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$ROOT/etc/passwd"
	printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' >"$ROOT/etc/group"
	printf 'hosts: files dns\n' >"$ROOT/etc/nsswitch.conf"
	for package in "${@:2}"; do
		take_copyright "$package"
		dpkg-query -W -f "$fields" "$package"
	done >"$ROOT/usr/share/doc/$name/built-using"
}

main() {
	local path package packages libraries
	readonly ROOT=$1
	libraries=$(libraries "$2")
	for path in $libraries /etc/os-release /usr/share/common-licenses/*; do
		take "$path"
	done
	take_merged_links
	packages=$(owners) || die "the tree is not complete"
	# The bundle is made when its package is installed; it is in no list.
	install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
	for package in $(cut -d ' ' -f 1 <<<"$packages" | sort -u) ca-certificates; do
		write_package "$package"
	done
	write_own_files "${@:2}"
	find "$ROOT" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
}

main "$@"
