# shellcheck shell=bash
# The certificates and kubeconfig files of one cluster. Needs CLUSTER_DIR and
# CLUSTER_NAME. Every component has its own user, so that the audit log tells
# who wrote what.

readonly PKI_DAYS=3650

pki_path() {
	printf '%s/pki/%s\n' "$CLUSTER_DIR" "$1"
}

pki_new_key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1" 2>/dev/null
}

pki_new_ca() {
	local dir=$1
	pki_new_key "$dir/ca.key"
	openssl req -x509 -new -sha256 -key "$dir/ca.key" -out "$dir/ca.crt" -days "$PKI_DAYS" \
		-subj "/CN=instancepool-$CLUSTER_NAME" \
		-addext keyUsage=critical,digitalSignature,keyCertSign
}

# pki_new_certificate DIR NAME SUBJECT EXTENSION...
pki_new_certificate() {
	local dir=$1 name=$2 subject=$3
	shift 3
	pki_new_key "$dir/$name.key"
	openssl req -new -sha256 -key "$dir/$name.key" -subj "$subject" |
		openssl x509 -req -sha256 -days "$PKI_DAYS" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
			-set_serial "0x$(openssl rand -hex 8)" \
			-extfile <(printf '%s\n' keyUsage=critical,digitalSignature "$@") \
			-out "$dir/$name.crt" 2>/dev/null
}

pki_new_client() {
	pki_new_certificate "$1" "$2" "$3" extendedKeyUsage=clientAuth
}

pki_fill() {
	local dir=$1
	pki_new_ca "$dir"
	pki_new_certificate "$dir" serving "/CN=instancepool-$CLUSTER_NAME-serving" \
		extendedKeyUsage=serverAuth \
		"subjectAltName=IP:127.0.0.1,IP:10.96.0.1,IP:10.99.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
	pki_new_client "$dir" admin /O=system:masters/CN=admin
	pki_new_client "$dir" kwok /O=system:masters/CN=kwok
	pki_new_client "$dir" kube-controller-manager /CN=system:kube-controller-manager
	pki_new_client "$dir" kube-scheduler /CN=system:kube-scheduler
	if cluster_is_real; then
		pki_new_client "$dir" kube-proxy /CN=system:kube-proxy
		pki_new_client "$dir" kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
	fi
	pki_new_key "$dir/service-account.key"
	openssl pkey -in "$dir/service-account.key" -pubout -out "$dir/service-account.pub"
}

# Makes all keys and certificates unless they are there.
pki_ensure() {
	local temporary=$CLUSTER_DIR/pki.new
	[[ ! -d $CLUSTER_DIR/pki ]] || return 0
	rm -rf "$temporary"
	mkdir -p "$temporary"
	(
		umask 077
		pki_fill "$temporary"
	)
	mv "$temporary" "$CLUSTER_DIR/pki"
}

# pki_kubeconfig USER SERVER FILE: a kubeconfig that needs no other file.
pki_kubeconfig() {
	local user=$1 server=$2 file=$3
	(
		umask 077
		cat >"$file.new" <<YAML
apiVersion: v1
kind: Config
current-context: instancepool-$CLUSTER_NAME
clusters:
- name: instancepool-$CLUSTER_NAME
  cluster:
    server: $server
    certificate-authority-data: $(base64 -w 0 "$(pki_path ca.crt)")
users:
- name: instancepool-$CLUSTER_NAME-$user
  user:
    client-certificate-data: $(base64 -w 0 "$(pki_path "$user.crt")")
    client-key-data: $(base64 -w 0 "$(pki_path "$user.key")")
contexts:
- name: instancepool-$CLUSTER_NAME
  context:
    cluster: instancepool-$CLUSTER_NAME
    user: instancepool-$CLUSTER_NAME-$user
YAML
	)
	mv "$file.new" "$file"
}
