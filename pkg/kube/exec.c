#include "kube/exec.h"
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "kube/base64.h"
#include "kube/pem.h"

#define GROUP "client.authentication.k8s.io/"
#define INFO "KUBERNETES_EXEC_INFO"
#define MAX_CA_BYTES (1u << 20)

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

/* Lists of words that end with NULL; NULL for an empty one. */

static size_t words_count(char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	return n;
}

static void words_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		wipe(&list[i]);
	free(list);
}

static char **words_copy(char *const *list)
{
	size_t n = words_count(list);
	if (n == 0)
		return NULL;
	char **copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

/* The kubeconfig */

static int check_version(const char *version, const char *where, struct err *err)
{
	if (str_eq(version, GROUP "v1") || str_eq(version, GROUP "v1beta1"))
		return 0;
	return err_set(err, ERR_INVALID, "%s.apiVersion: '%s' is neither " GROUP "v1 nor " GROUP "v1beta1", where,
	               version ? version : "");
}

static int check_mode(const char *mode, const char *where, struct err *err)
{
	if (str_empty(mode) || str_eq(mode, "Never") || str_eq(mode, "IfAvailable"))
		return 0;
	if (str_eq(mode, "Always"))
		return err_set(err, ERR_INVALID,
		               "%s.interactiveMode: Always: a plugin that asks questions cannot be used here", where);
	return err_set(err, ERR_INVALID, "%s.interactiveMode: '%s' is not Never, IfAvailable or Always", where,
	               mode);
}

static int read_args(const json_t *exec, const char *where, struct kube_exec *e, struct err *err)
{
	json_t *list = NULL, *word;
	size_t i;
	if (json_opt_array(exec, where, "args", &list, err) < 0)
		return -1;
	if (json_array_size(list) == 0)
		return 0;
	e->args = xcalloc(json_array_size(list) + 1, sizeof(*e->args));
	json_array_foreach(list, i, word) {
		const char *text = json_string_value(word);
		if (!text || strlen(text) != json_string_length(word))
			return err_set(err, ERR_INVALID, "%s.args[%zu]: must be a string without \\u0000", where, i);
		e->args[i] = xstrdup(text);
	}
	return 0;
}

static int read_env(const json_t *exec, const char *where, struct kube_exec *e, struct err *err)
{
	json_t *list = NULL, *entry;
	size_t i;
	if (json_opt_array(exec, where, "env", &list, err) < 0)
		return -1;
	if (json_array_size(list) == 0)
		return 0;
	e->env = xcalloc(json_array_size(list) + 1, sizeof(*e->env));
	json_array_foreach(list, i, entry) {
		const char *name = NULL, *value = "";
		char at[32];
		str_format(at, sizeof(at), "env[%zu]", i);
		if (json_opt_str(entry, at, "name", &name, err) < 0 ||
		    json_opt_str(entry, at, "value", &value, err) < 0)
			return err_prefix(err, "%s", where);
		if (str_empty(name) || strchr(name, '='))
			return err_set(err, ERR_INVALID, "%s.%s: it has no name, or one with a '='", where, at);
		e->env[i] = xasprintf("%s=%s", name, value);
	}
	return 0;
}

static int read_members(const json_t *exec, const char *where, const char *dir, struct kube_exec *e,
                        struct err *err)
{
	const char *version = NULL, *command = NULL, *mode = NULL, *hint = NULL;
	if (json_opt_str(exec, where, "apiVersion", &version, err) < 0 ||
	    json_opt_str(exec, where, "command", &command, err) < 0 ||
	    json_opt_str(exec, where, "interactiveMode", &mode, err) < 0 ||
	    json_opt_str(exec, where, "installHint", &hint, err) < 0 ||
	    json_opt_bool(exec, where, "provideClusterInfo", &e->provide_cluster_info, err) < 0 ||
	    read_args(exec, where, e, err) < 0 || read_env(exec, where, e, err) < 0 ||
	    check_version(version, where, err) < 0 || check_mode(mode, where, err) < 0)
		return -1;
	if (str_empty(command))
		return err_set(err, ERR_INVALID, "%s: it has no command", where);
	bool relative = strchr(command, '/') && *command != '/';
	e->command = relative ? xasprintf("%s/%s", dir, command) : xstrdup(command);
	e->api_version = xstrdup(version);
	e->install_hint = str_empty(hint) ? NULL : xstrdup(hint);
	return 0;
}

struct kube_exec *kube_exec_read(const json_t *exec, const char *where, const char *dir, struct err *err)
{
	struct kube_exec *e = xcalloc(1, sizeof(*e));
	if (read_members(exec, where, dir, e, err) == 0)
		return e;
	kube_exec_free(e);
	return NULL;
}

struct kube_exec *kube_exec_copy(const struct kube_exec *e)
{
	if (!e)
		return NULL;
	struct kube_exec *copy = xcalloc(1, sizeof(*copy));
	*copy = (struct kube_exec){
		.command = xstrdup(e->command),
		.api_version = xstrdup(e->api_version),
		.args = words_copy(e->args),
		.env = words_copy(e->env),
		.install_hint = dup_or_null(e->install_hint),
		.provide_cluster_info = e->provide_cluster_info,
	};
	return copy;
}

void kube_exec_free(struct kube_exec *e)
{
	if (!e)
		return;
	words_free(e->args);
	words_free(e->env);
	free(e->command);
	free(e->api_version);
	free(e->install_hint);
	free(e);
}

/* What it is told */

const char *kube_exec_name(const struct kube_exec *e)
{
	const char *slash = strrchr(e->command, '/');
	return slash ? slash + 1 : e->command;
}

const char **kube_exec_arguments(const struct kube_exec *e)
{
	size_t n = words_count(e->args);
	const char **list = xcalloc(n + 2, sizeof(*list));
	list[0] = e->command;
	for (size_t i = 0; i < n; i++)
		list[1 + i] = e->args[i];
	return list;
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");
	return strncmp(a, b, len) == 0 && b[len] == '=';
}

static void put_variable(const char **list, size_t *n, const char *variable)
{
	size_t i = 0;
	while (i < *n && !same_name(list[i], variable))
		i++;
	list[i] = variable;
	if (i == *n)
		(*n)++;
}

const char **kube_exec_environment(const struct kube_exec *e, char *const *ours, const char *info)
{
	size_t n = 0;
	const char **list = xcalloc(words_count(ours) + words_count(e->env) + 2, sizeof(*list));
	for (size_t i = 0; ours[i]; i++)
		list[n++] = ours[i];
	for (size_t i = 0; e->env && e->env[i]; i++)
		put_variable(list, &n, e->env[i]);
	put_variable(list, &n, info);
	return list;
}

static int put_ca(json_t *cluster, const struct kube_config *cfg, struct err *err)
{
	CLEANUP_BUF struct buf pem, text;
	buf_init(&pem, MAX_CA_BYTES);
	buf_init(&text, 2 * MAX_CA_BYTES);
	if (cfg->ca_pem)
		buf_add_str(&pem, cfg->ca_pem);
	else if (cfg->ca_file && file_read(cfg->ca_file, &pem, err) < 0)
		return -1;
	base64_encode(buf_slice(&pem), &text);
	if (text.len > 0)
		json_put_str(cluster, "certificate-authority-data", text.ptr);
	return 0;
}

static int put_cluster(json_t *spec, const struct kube_config *cfg, struct err *err)
{
	json_t *cluster = json_child(spec, "cluster");
	json_put_str(cluster, "server", cfg->server);
	json_put_str(cluster, "tls-server-name", cfg->tls_server_name);
	if (cfg->insecure_skip_verify)
		json_put_bool(cluster, "insecure-skip-tls-verify", true);
	if (put_ca(cluster, cfg, err) < 0)
		return -1;
	json_put_str(cluster, "proxy-url", cfg->proxy_url);
	if (cfg->exec_config)
		json_set(cluster, "config", json_must(json_loads(cfg->exec_config, JSON_DECODE_ANY, NULL)));
	return 0;
}

char *kube_exec_info(const struct kube_config *cfg, struct err *err)
{
	CLEANUP_JSON json_t *o = json_object();
	json_put_str(o, "kind", "ExecCredential");
	json_put_str(o, "apiVersion", cfg->exec->api_version);
	json_t *spec = json_child(o, "spec");
	json_put_bool(spec, "interactive", false);
	if (cfg->exec->provide_cluster_info && put_cluster(spec, cfg, err) < 0)
		return NULL;
	CLEANUP_FREE char *json = json_compact(o);
	return xasprintf(INFO "=%s", json);
}

/* What it answers */

void exec_credential_done(struct exec_credential *c)
{
	wipe(&c->token);
	wipe(&c->cert_pem);
	wipe(&c->key_pem);
	*c = (struct exec_credential){0};
}

static int take(const json_t *status, const char *key, char **ret, struct err *err)
{
	const char *s = NULL;
	if (json_opt_str(status, "status", key, &s, err) < 0)
		return -1;
	if (!str_empty(s))
		*ret = xstrdup(s);
	return 0;
}

static int read_status(const json_t *status, struct exec_credential *c, struct err *err)
{
	if (take(status, "token", &c->token, err) < 0 ||
	    take(status, "clientCertificateData", &c->cert_pem, err) < 0 ||
	    take(status, "clientKeyData", &c->key_pem, err) < 0 ||
	    json_opt_time(status, "status", "expirationTimestamp", &c->expires, err) < 0)
		return -1;
	if (!c->token && !c->cert_pem && !c->key_pem)
		return err_set(err, ERR_INVALID, "it gave neither a token nor a client certificate");
	if (!c->cert_pem != !c->key_pem)
		return err_set(err, ERR_INVALID, "it gave a client certificate without its key, or a key alone");
	if ((c->cert_pem && !pem_is_whole(c->cert_pem)) || (c->key_pem && !pem_is_whole(c->key_pem)))
		return err_set(err, ERR_INVALID, "its client certificate or key is not PEM, or cut short");
	/* It could add headers of its own. */
	for (const char *p = c->token; p && *p; p++) {
		if (*p <= 0x20 || *p >= 0x7f)
			return err_set(err, ERR_INVALID, "its token has spaces, control characters or other than ASCII");
	}
	return 0;
}

int exec_credential_read(struct slice output, const char *api_version, struct exec_credential *ret,
                         struct err *err)
{
	CLEANUP_EXEC_CREDENTIAL struct exec_credential c = {0};
	const char *kind = NULL, *version = NULL;
	json_t *status = NULL;
	*ret = (struct exec_credential){0};
	CLEANUP_JSON json_t *o = json_parse(output, err);
	if (!o)
		return err_prefix(err, "its output is not JSON");
	if (json_opt_str(o, "", "kind", &kind, err) < 0 || json_opt_str(o, "", "apiVersion", &version, err) < 0 ||
	    json_opt_object(o, "", "status", &status, err) < 0)
		return err_prefix(err, "its output");
	if (!str_eq(kind, "ExecCredential") || !str_eq(version, api_version))
		return err_set(err, ERR_INVALID, "its output is not an ExecCredential of %s", api_version);
	if (!status)
		return err_set(err, ERR_INVALID, "its output has no status");
	if (read_status(status, &c, err) < 0)
		return -1;
	*ret = c;
	c = (struct exec_credential){0};
	return 0;
}
