# shellcheck shell=bash
# Container images of one static program, made without a registry or a daemon.

# oci_compile SOURCE PROGRAM: static. The linker warns of name lookups, which work.
oci_compile() {
	local said
	said=$("${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -Os -s -static -Wall -Wextra -Werror -o "$2" "$1" 2>&1) ||
		die "cannot compile $1: $said"
}

# oci_blob FOLDER: puts standard input into the layout FOLDER; prints "digest size".
oci_blob() {
	local file=$1/blobs/sha256/.new digest
	cat >"$file"
	digest=$(sha256sum "$file")
	digest=${digest%% *}
	mv "$file" "$1/blobs/sha256/$digest"
	printf 'sha256:%s %s\n' "$digest" "$(stat -c %s "$1/blobs/sha256/$digest")"
}

# oci_of_program REFERENCE PROGRAM TAR: an OCI archive whose root holds only PROGRAM, which is also its entry point.
# The same program gives the same bytes. A subshell for the sake of its trap.
oci_of_program() (
	reference=$1 program=$2 tar=$3 name=${2##*/}
	layout=$(mktemp -d)
	trap 'rm -rf "$layout"' EXIT
	mkdir -p "$layout/blobs/sha256"
	reproducible=(--sort=name --owner=0 --group=0 --numeric-owner --mtime=@0)
	read -r layer layer_size < <(tar -C "$(dirname -- "$program")" "${reproducible[@]}" --mode=0755 -cf - "$name" |
		oci_blob "$layout")
	read -r config config_size < <(jq -cn --arg layer "$layer" --arg name "/$name" '{
			architecture: "amd64", os: "linux",
			config: {User: "65532:65532", Entrypoint: [$name], WorkingDir: "/"},
			rootfs: {type: "layers", diff_ids: [$layer]}
		}' | oci_blob "$layout")
	read -r manifest manifest_size < <(jq -cn --arg layer "$layer" --argjson layer_size "$layer_size" \
		--arg config "$config" --argjson config_size "$config_size" '
		"application/vnd.oci.image." as $type | {
			schemaVersion: 2, mediaType: ($type + "manifest.v1+json"),
			config: {mediaType: ($type + "config.v1+json"), digest: $config, size: $config_size},
			layers: [{mediaType: ($type + "layer.v1.tar"), digest: $layer, size: $layer_size}]
		}' | oci_blob "$layout")
	jq -cn --arg manifest "$manifest" --argjson size "$manifest_size" --arg reference "$reference" '{
		schemaVersion: 2, manifests: [{
			mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $manifest, size: $size,
			annotations: {"io.containerd.image.name": $reference, "org.opencontainers.image.ref.name": $reference}
		}]}' >"$layout/index.json"
	printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
	tar -C "$layout" "${reproducible[@]}" -cf "$tar.new" oci-layout index.json blobs
	mv "$tar.new" "$tar"
)
