#pragma once
/* Where the API server is and who we are: kubeconfig files and the in-cluster ServiceAccount
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/). */
#include <stdbool.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct kube_config {
	char *server;    /* https://host[:port][/prefix], no trailing slash */
	char *namespace; /* of the context or of the ServiceAccount; NULL if not said */
	/* Of each pair the file or the PEM text is set, or neither; certificate and key in the same form. */
	char *ca_file, *ca_pem;
	char *cert_file, *key_file, *cert_pem, *key_pem;
	char *token, *token_file; /* a file is read again when it changes and after a 401; it wins over a token */
	char *tls_server_name, *proxy_url;
	bool insecure_skip_verify;
	char *source; /* for messages: the files read, or "in-cluster" */
};

/* path: what --kubeconfig gave. NULL or "": the KUBECONFIG list (merged: the first file that sets a value
 * wins, files that do not exist are passed over), else in-cluster when KUBERNETES_SERVICE_HOST is set,
 * else ~/.kube/config. Relative paths inside a file are relative to that file; *-data members win over
 * files. Users whose credentials are not supported (exec, auth-provider, passwords, impersonation) are
 * refused with a message that says so. On failure *ret is empty. */
int kube_config_load(const char *path, struct kube_config *ret, struct err *err);
/* One file's text, as the fuzzer and the tests feed it; dir is what relative paths in it are relative to.
 * Reads no file. */
int kube_config_parse(struct slice text, const char *dir, struct kube_config *ret, struct err *err);
/* What a pod is given: the host and port of its environment and the folder of its ServiceAccount. */
int kube_config_in_cluster(const char *host, const char *port, const char *dir, struct kube_config *ret,
                           struct err *err);
void kube_config_done(struct kube_config *c); /* wipes the secrets before freeing; may be called twice */
#define CLEANUP_KUBE_CONFIG CLEANUP(kube_config_done)
