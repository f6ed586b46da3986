#pragma once
/* Where the API server is and who we are: kubeconfig files and the in-cluster ServiceAccount
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/). */
#include <stdbool.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* A program that gives the credential (client.authentication.k8s.io). */
struct kube_exec {
	char *command;      /* with a slash: a path; else to be looked for in PATH */
	char *api_version;  /* "client.authentication.k8s.io/v1" or its v1beta1 */
	char **args, **env; /* up to a NULL, "NAME=value" in env; NULL: none */
	char *install_hint; /* for people, when there is no such program; NULL: none */
	bool provide_cluster_info;
};

struct kube_config {
	char *server;    /* https://host[:port][/prefix], no trailing slash */
	char *namespace; /* of the context or of the ServiceAccount; NULL if not said */
	/* Of each pair the file or the PEM text is set, or neither; certificate and key in the same form. */
	char *ca_file, *ca_pem;
	char *cert_file, *key_file, *cert_pem, *key_pem;
	char *token, *token_file; /* a file is read again when it changes and after a 401; it wins over a token */
	struct kube_exec *exec; /* NULL: none. Not run where there is a token; a certificate wins over its own */
	char *exec_config;      /* JSON: what the cluster wants its plugins to be told; NULL: nothing */
	char *tls_server_name, *proxy_url;
	bool insecure_skip_verify;
	char *source; /* for messages: the files read, or "in-cluster" */
};

/* path: what --kubeconfig gave. NULL or "": the KUBECONFIG list (merged: the first file that sets a value
 * wins, files that do not exist are passed over), else in-cluster when KUBERNETES_SERVICE_HOST is set,
 * else ~/.kube/config. Relative paths inside a file are relative to that file; *-data members win over
 * files. Certificates and keys in files of their own must be readable. Users whose credentials are not
 * supported (auth-provider, passwords, impersonation, plugins that ask questions) are refused with a message
 * that says so. On failure *ret is empty. */
int kube_config_load(const char *path, struct kube_config *ret, struct err *err);
/* The same with another context than current-context, as --context gives it; NULL or "": that one. Contexts stand in files,
 * so where one is named the ServiceAccount of a pod does not count. */
int kube_config_load_context(const char *path, const char *context, struct kube_config *ret, struct err *err);
/* One file's text, as the fuzzer and the tests feed it; dir is what relative paths in it are relative to.
 * Reads no file. */
int kube_config_parse(struct slice text, const char *dir, struct kube_config *ret, struct err *err);
/* What a pod is given: the host and port of its environment and the folder of its ServiceAccount. */
int kube_config_in_cluster(const char *host, const char *port, const char *dir, struct kube_config *ret,
                           struct err *err);
void kube_config_copy(const struct kube_config *c, struct kube_config *ret);
void kube_config_done(struct kube_config *c); /* wipes the secrets before freeing; may be called twice */
#define CLEANUP_KUBE_CONFIG CLEANUP(kube_config_done)
