#pragma once
/* Credential plugins (client.authentication.k8s.io, v1 and v1beta1): what a kubeconfig says about one, what it
 * is told and what it answers. Nothing is run here. Private to pkg/kube. */
#include <jansson.h>
#include "base/clock.h"
#include "kube/config.h"

/* The user's `exec`. `where` names it in messages; a command with a slash is relative to dir. New. */
struct kube_exec *kube_exec_read(const json_t *exec, const char *where, const char *dir, struct err *err);
struct kube_exec *kube_exec_copy(const struct kube_exec *e); /* NULL of NULL */
void kube_exec_free(struct kube_exec *e);                    /* wipes what may be secrets */

/* For messages: the command without its folders. Borrowed. */
const char *kube_exec_name(const struct kube_exec *e);
/* Up to a NULL. The list is new, free() it; its words are borrowed. */
const char **kube_exec_arguments(const struct kube_exec *e);
const char **kube_exec_environment(const struct kube_exec *e, char *const *ours, const char *info);
/* What goes with it: "KUBERNETES_EXEC_INFO=...". New. Reads the CA file where the plugin wants the cluster. */
char *kube_exec_info(const struct kube_config *cfg, struct err *err);

struct exec_credential {
	char *token;              /* NULL: none */
	char *cert_pem, *key_pem; /* both or none */
	struct wall expires;      /* not set: never */
};
/* The plugin's output. There is a token, or a certificate, or both; nothing of it comes into a message. */
int exec_credential_read(struct slice output, const char *api_version, struct exec_credential *ret,
                         struct err *err);
void exec_credential_done(struct exec_credential *c);
#define CLEANUP_EXEC_CREDENTIAL CLEANUP(exec_credential_done)
