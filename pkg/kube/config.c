#include "kube/config.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "kube/base64.h"
#include "kube/exec.h"
#include "kube/pem.h"

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
#define MAX_FILES 32u
#define MAX_KEY_BYTES (1u << 20)
#define MAX_SHOWN_NAMES_BYTES 200u
/* What often explains that something is not there or not understood. */
#define CUT_SHORT "; is the file complete?"
/* Where in a file something stands, for messages; names may be cut. */
#define WHERE_SIZE 160

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void kube_config_done(struct kube_config *c)
{
	wipe(&c->token);
	wipe(&c->key_pem);
	wipe(&c->proxy_url); /* may hold a password */
	kube_exec_free(c->exec);
	char *plain[] = {c->server,      c->namespace,       c->ca_file,  c->ca_pem,
	                 c->cert_file,   c->key_file,        c->cert_pem, c->token_file,
	                 c->exec_config, c->tls_server_name, c->source};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		free(plain[i]);
	*c = (struct kube_config){0};
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void kube_config_copy(const struct kube_config *c, struct kube_config *ret)
{
	*ret = (struct kube_config){
		.server = dup_or_null(c->server),
		.namespace = dup_or_null(c->namespace),
		.ca_file = dup_or_null(c->ca_file),
		.ca_pem = dup_or_null(c->ca_pem),
		.cert_file = dup_or_null(c->cert_file),
		.key_file = dup_or_null(c->key_file),
		.cert_pem = dup_or_null(c->cert_pem),
		.key_pem = dup_or_null(c->key_pem),
		.token = dup_or_null(c->token),
		.token_file = dup_or_null(c->token_file),
		.exec = kube_exec_copy(c->exec),
		.exec_config = dup_or_null(c->exec_config),
		.tls_server_name = dup_or_null(c->tls_server_name),
		.proxy_url = dup_or_null(c->proxy_url),
		.insecure_skip_verify = c->insecure_skip_verify,
		.source = dup_or_null(c->source),
	};
}

/* A file with a secret in it. */
static void wipe_buf(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->cap);
	buf_done(b);
}
#define CLEANUP_SECRET_BUF CLEANUP(wipe_buf)

/* Values */

static bool is_word(const char *s)
{
	for (; *s; s++) {
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	}
	return true;
}

static int take_str(const json_t *o, const char *where, const char *key, char **ret, struct err *err)
{
	const char *s = NULL;
	if (json_opt_str(o, where, key, &s, err) < 0)
		return -1;
	if (!str_empty(s))
		*ret = xstrdup(s);
	return 0;
}

/* A value that goes into a header, a URL or TLS: nothing in it may end a line. */
static int take_word(const json_t *o, const char *where, const char *key, char **ret, struct err *err)
{
	if (take_str(o, where, key, ret, err) < 0)
		return -1;
	if (*ret && !is_word(*ret))
		return err_set(err, ERR_INVALID, "%s.%s: spaces, control characters or other than ASCII", where, key);
	return 0;
}

static int take_path(const json_t *o, const char *where, const char *key, const char *dir, char **ret,
                     struct err *err)
{
	const char *s = NULL;
	if (json_opt_str(o, where, key, &s, err) < 0)
		return -1;
	if (!str_empty(s))
		*ret = *s == '/' ? xstrdup(s) : xasprintf("%s/%s", dir, s);
	return 0;
}

static int take_pem(const json_t *o, const char *where, const char *key, char **ret, struct err *err)
{
	const char *s = NULL;
	if (json_opt_str(o, where, key, &s, err) < 0)
		return -1;
	if (str_empty(s))
		return 0;
	*ret = base64_decode(s);
	if (!*ret)
		return err_set(err, ERR_INVALID, "%s.%s: not base64" CUT_SHORT, where, key);
	if (!pem_is_whole(*ret))
		return err_set(err, ERR_INVALID, "%s.%s: not PEM in base64" CUT_SHORT, where, key);
	return 0;
}

static int check_port(struct slice port, struct err *err)
{
	int64_t n;
	if (slice_to_i64(port, &n, err) < 0 || n < 1 || n > 65535)
		return err_set(err, ERR_INVALID, "its port is not a number from 1 to 65535");
	return 0;
}

static int check_host(struct slice s, struct err *err)
{
	struct slice host, rest, zone;
	if (!slice_starts(s, "[")) {
		host = slice_split(s, ':', &rest);
		if (slice_contains(rest, ":"))
			return err_set(err, ERR_INVALID, "an IPv6 address must stand in brackets");
		if (host.len == 0)
			return err_set(err, ERR_INVALID, "it has no host");
		return host.len < s.len ? check_port(rest, err) : 0;
	}
	if (!slice_contains(s, "]"))
		return err_set(err, ERR_INVALID, "its closing bracket is missing");
	host = slice_split((struct slice){s.ptr + 1, s.len - 1}, ']', &rest);
	host = slice_split(host, '%', &zone);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr unused;
	if (!str_format(text, sizeof(text), SLICE_FMT, SLICE_ARG(host)) ||
	    inet_pton(AF_INET6, text, &unused) != 1)
		return err_set(err, ERR_INVALID, "what stands in its brackets is not an IPv6 address");
	if (rest.len == 0)
		return 0;
	if (rest.ptr[0] != ':')
		return err_set(err, ERR_INVALID, "something follows its brackets");
	return check_port((struct slice){rest.ptr + 1, rest.len - 1}, err);
}

static int check_server(char *server, struct err *err)
{
	static const char scheme[] = "https://";
	/* Not shown before this: a password may stand in it. */
	if (strpbrk(server, "@?#\\\"<>{}|^`"))
		return err_set(err, ERR_INVALID, "no user, query or special characters are allowed in it");
	if (!str_starts(server, scheme))
		return err_set(err, ERR_INVALID, "'%s' does not start with https://", server);
	size_t len = strlen(server);
	while (len > sizeof(scheme) - 1 && server[len - 1] == '/')
		server[--len] = '\0';
	struct slice rest, host = slice_split(slice_from(server + sizeof(scheme) - 1), '/', &rest);
	if (check_host(host, err) < 0)
		return err_prefix(err, "'%s'", server);
	return 0;
}

static int check_proxy(const char *url, const char *where, struct err *err)
{
	static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (str_starts(url, schemes[i]))
			return 0;
	}
	return err_set(err, ERR_INVALID, "%s.proxy-url: must start with http://, https:// or socks5://", where);
}

/* Files */

struct file {
	json_t *root;
	char *dir; /* what its relative paths are relative to */
};

struct files {
	struct file list[MAX_FILES];
	size_t n;
	struct buf names; /* as read, with colons */
};

static void files_init(struct files *f)
{
	f->n = 0;
	buf_init(&f->names, SIZE_MAX - 1);
}

static void files_done(struct files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		json_decref(f->list[i].root);
		free(f->list[i].dir);
	}
	buf_done(&f->names);
}
#define CLEANUP_FILES CLEANUP(files_done)

static int files_add(struct files *f, struct slice text, const char *dir, struct err *err)
{
	if (f->n == MAX_FILES)
		return err_set(err, ERR_LIMIT, "more than %u files", MAX_FILES);
	CLEANUP_JSON json_t *root = yaml_parse(text, err);
	if (!root)
		return -1;
	if (!json_is_object(root) && !json_is_null(root))
		return err_set(err, ERR_INVALID, "not a kubeconfig");
	f->list[f->n++] = (struct file){STEAL_PTR(root), xstrdup(dir)};
	return 0;
}

static char *dir_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

static int files_read(struct files *f, const char *path, struct err *err)
{
	CLEANUP_SECRET_BUF struct buf text;
	CLEANUP_FREE char *dir = dir_name(path);
	buf_init(&text, YAML_MAX_BYTES);
	if (file_read(path, &text, err) < 0)
		return -1;
	if (files_add(f, buf_slice(&text), dir, err) < 0)
		return err_prefix(err, "%s", path);
	if (f->names.len > 0)
		buf_add_char(&f->names, ':');
	buf_add_str(&f->names, path);
	return 0;
}

static int files_read_list(struct files *f, const char *list, struct err *err)
{
	struct slice rest = slice_from(list);
	while (rest.len > 0) {
		struct slice part = slice_split(rest, ':', &rest);
		CLEANUP_FREE char *path = xstrndup(part.ptr, part.len);
		struct err failure = ERR_INIT;
		if (part.len > 0 && files_read(f, path, &failure) < 0 && failure.code != ERR_NOT_FOUND) {
			*err = failure;
			return -1;
		}
	}
	if (f->n == 0)
		return err_set(err, ERR_NOT_FOUND, "KUBECONFIG names no file that exists: %s", list);
	return 0;
}

static int current_context(const struct files *f, const char **ret, struct err *err)
{
	const char *name = NULL;
	for (size_t i = 0; i < f->n && str_empty(name); i++) {
		if (json_opt_str(f->list[i].root, "", "current-context", &name, err) < 0)
			return -1;
	}
	if (!str_empty(name)) {
		*ret = name;
		return 0;
	}
	for (size_t i = 0; i < f->n; i++) {
		if (!json_is_null(f->list[i].root))
			return err_set(err, ERR_INVALID,
			               "no current-context is set (kubectl config use-context NAME does that)" CUT_SHORT);
	}
	return err_set(err, ERR_INVALID, "the file is empty: no current-context is set");
}

/* No such thing: says what could have been meant. */
static void set_not_among(const struct files *f, const char *list, const char *member, const char *name,
                          struct err *err)
{
	CLEANUP_BUF struct buf names;
	buf_init(&names, MAX_SHOWN_NAMES_BYTES);
	for (size_t i = 0; i < f->n; i++) {
		const json_t *element;
		size_t k;
		json_array_foreach(json_at(f->list[i].root, list, NULL), k, element) {
			const char *other = json_string_value(json_at(element, "name", NULL));
			if (other)
				buf_addf(&names, "%s'%s'", names.len > 0 ? ", " : ", only ", other);
		}
	}
	if (names.len > 0 || buf_failed(&names))
		err_set(err, ERR_INVALID, "there is no %s '%s'%s", member, name, buf_failed(&names) ? "" : names.ptr);
	else
		err_set(err, ERR_INVALID, "there is no %s '%s', there are no %s at all" CUT_SHORT, member, name,
		        list);
}

/* The member (context, cluster, user) of the named element of the list; the first file that has it wins.
 * *ret may be NULL: it is there, but empty. */
static int find_named(const struct files *f, const char *list, const char *member, const char *name,
                      const struct file **ret_file, json_t **ret, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		json_t *array = NULL, *element;
		size_t k;
		if (json_opt_array(f->list[i].root, "", list, &array, err) < 0)
			return -1;
		json_array_foreach(array, k, element) {
			char where[WHERE_SIZE];
			const char *found = NULL;
			str_format(where, sizeof(where), "%s[%zu]", list, k);
			if (json_opt_str(element, where, "name", &found, err) < 0)
				return -1;
			if (!found || strcmp(found, name) != 0)
				continue;
			*ret_file = &f->list[i];
			*ret = NULL;
			if (json_opt_object(element, where, member, ret, err) < 0)
				return err_set(err, ERR_INVALID, "%s.%s: must be an object" CUT_SHORT, where, member);
			return 0;
		}
	}
	set_not_among(f, list, member, name, err);
	return -1;
}

/* The extension that is meant for plugins. */
static int read_exec_config(const json_t *cluster, const char *where, struct kube_config *c, struct err *err)
{
	json_t *list = NULL, *element;
	size_t i;
	if (json_opt_array(cluster, where, "extensions", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, element) {
		const json_t *extension = json_at(element, "extension", NULL);
		const char *name = json_string_value(json_at(element, "name", NULL));
		if (extension && !c->exec_config && str_eq(name, "client.authentication.k8s.io/exec"))
			c->exec_config = json_compact(extension);
	}
	return 0;
}

static int read_cluster(const struct files *f, const char *name, struct kube_config *c, struct err *err)
{
	char where[WHERE_SIZE];
	const struct file *file;
	json_t *o;
	str_format(where, sizeof(where), "cluster '%s'", name);
	if (find_named(f, "clusters", "cluster", name, &file, &o, err) < 0 ||
	    take_word(o, where, "server", &c->server, err) < 0 ||
	    take_pem(o, where, "certificate-authority-data", &c->ca_pem, err) < 0 ||
	    (!c->ca_pem && take_path(o, where, "certificate-authority", file->dir, &c->ca_file, err) < 0) ||
	    take_word(o, where, "tls-server-name", &c->tls_server_name, err) < 0 ||
	    take_word(o, where, "proxy-url", &c->proxy_url, err) < 0 ||
	    json_opt_bool(o, where, "insecure-skip-tls-verify", &c->insecure_skip_verify, err) < 0 ||
	    read_exec_config(o, where, c, err) < 0)
		return -1;
	if (!c->server)
		return err_set(err, ERR_INVALID, "%s: it has no server", where);
	if (check_server(c->server, err) < 0)
		return err_prefix(err, "%s.server", where);
	if (c->proxy_url && check_proxy(c->proxy_url, where, err) < 0)
		return -1;
	if (c->insecure_skip_verify && (c->ca_file || c->ca_pem))
		return err_set(err, ERR_INVALID,
		               "%s: a certificate authority and insecure-skip-tls-verify exclude each other", where);
	return 0;
}

static int refuse_unsupported(const json_t *user, const char *where, struct err *err)
{
	static const struct {
		const char *key, *what;
	} refused[] = {
		{"auth-provider", "authentication providers"},
		{"username", "user names and passwords"},
		{"password", "user names and passwords"},
		{"as", "impersonation"},
		{"as-uid", "impersonation"},
		{"as-groups", "impersonation"},
		{"as-user-extra", "impersonation"},
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const json_t *v = json_at(user, refused[i].key, NULL);
		if (!v || (json_is_string(v) && json_string_length(v) == 0))
			continue;
		return err_set(
			err, ERR_INVALID,
			"%s.%s: %s are not supported here; give it a token, a tokenFile or a client certificate", where,
			refused[i].key, refused[i].what);
	}
	return 0;
}

static int read_exec(const json_t *user, const char *where, const char *dir, struct kube_config *c,
                     struct err *err)
{
	char at[WHERE_SIZE];
	json_t *exec = NULL;
	if (json_opt_object(user, where, "exec", &exec, err) < 0)
		return -1;
	if (!exec)
		return 0;
	str_format(at, sizeof(at), "%s.exec", where);
	c->exec = kube_exec_read(exec, at, dir, err);
	return c->exec ? 0 : -1;
}

static int read_user(const struct files *f, const char *name, struct kube_config *c, struct err *err)
{
	char where[WHERE_SIZE];
	const struct file *file;
	json_t *o;
	str_format(where, sizeof(where), "user '%s'", name);
	if (find_named(f, "users", "user", name, &file, &o, err) < 0 || refuse_unsupported(o, where, err) < 0 ||
	    take_pem(o, where, "client-certificate-data", &c->cert_pem, err) < 0 ||
	    (!c->cert_pem && take_path(o, where, "client-certificate", file->dir, &c->cert_file, err) < 0) ||
	    take_pem(o, where, "client-key-data", &c->key_pem, err) < 0 ||
	    (!c->key_pem && take_path(o, where, "client-key", file->dir, &c->key_file, err) < 0) ||
	    take_word(o, where, "token", &c->token, err) < 0 ||
	    take_path(o, where, "tokenFile", file->dir, &c->token_file, err) < 0 ||
	    read_exec(o, where, file->dir, c, err) < 0)
		return -1;
	bool cert = c->cert_file || c->cert_pem, key = c->key_file || c->key_pem;
	if (cert && !key)
		return err_set(err, ERR_INVALID, "%s: a client certificate, but no client-key" CUT_SHORT, where);
	if (key && !cert)
		return err_set(err, ERR_INVALID, "%s: a client key, but no client-certificate" CUT_SHORT, where);
	if (!cert && !c->token && !c->token_file && !c->exec && (!o || json_object_size(o) > 0))
		return err_set(err, ERR_INVALID,
		               "%s: no token, client certificate or exec ({} if it needs none)" CUT_SHORT, where);
	return 0;
}

/* context NULL: the current one. */
static int read_context(const struct files *f, const char *context, struct kube_config *c, struct err *err)
{
	const struct file *file;
	const char *name = context, *cluster = NULL, *user = NULL;
	char where[WHERE_SIZE];
	json_t *o;
	if (!name && current_context(f, &name, err) < 0)
		return -1;
	if (find_named(f, "contexts", "context", name, &file, &o, err) < 0)
		return context ? -1 : err_prefix(err, "current-context");
	str_format(where, sizeof(where), "context '%s'", name);
	if (json_opt_str(o, where, "cluster", &cluster, err) < 0 ||
	    json_opt_str(o, where, "user", &user, err) < 0 ||
	    take_str(o, where, "namespace", &c->namespace, err) < 0)
		return -1;
	if (str_empty(cluster))
		return err_set(err, ERR_INVALID, "%s: it has no cluster", where);
	if (read_cluster(f, cluster, c, err) < 0)
		return -1;
	return str_empty(user) ? 0 : read_user(f, user, c, err);
}

static int pem_from_file(char **file, char **pem, struct err *err)
{
	CLEANUP_SECRET_BUF struct buf text;
	buf_init(&text, MAX_KEY_BYTES);
	if (file_read(*file, &text, err) < 0)
		return -1;
	*pem = xstrdup(text.ptr ? text.ptr : "");
	wipe(file);
	return 0;
}

/* What cannot be read now would be a failure of each request. That it is no good yet may be: it may be being written. */
static int check_file(const char *key, const char *path, struct err *err)
{
	CLEANUP_SECRET_BUF struct buf text;
	buf_init(&text, MAX_KEY_BYTES);
	return path && file_read(path, &text, err) < 0 ? err_prefix(err, "%s", key) : 0;
}

static int check_files(const struct kube_config *c, struct err *err)
{
	if (check_file("certificate-authority", c->ca_file, err) < 0 ||
	    check_file("client-certificate", c->cert_file, err) < 0)
		return -1;
	return check_file("client-key", c->key_file, err);
}

/* TLS wants certificate and key both as files or both as texts. */
static int unify_pair(struct kube_config *c, struct err *err)
{
	if (c->cert_pem && c->key_file)
		return pem_from_file(&c->key_file, &c->key_pem, err);
	if (c->key_pem && c->cert_file)
		return pem_from_file(&c->cert_file, &c->cert_pem, err);
	return 0;
}

static int from_files(struct files *f, const char *context, struct kube_config *ret, struct err *err)
{
	CLEANUP_KUBE_CONFIG struct kube_config c = {0};
	if (read_context(f, context, &c, err) < 0 || check_files(&c, err) < 0 || unify_pair(&c, err) < 0)
		return err_prefix(err, "%s", buf_slice(&f->names).ptr);
	c.source = buf_steal(&f->names);
	*ret = c;
	c = (struct kube_config){0};
	return 0;
}

int kube_config_parse(struct slice text, const char *dir, struct kube_config *ret, struct err *err)
{
	CLEANUP_FILES struct files f;
	CLEANUP_KUBE_CONFIG struct kube_config c = {0};
	*ret = (struct kube_config){0};
	files_init(&f);
	if (files_add(&f, text, dir, err) < 0 || read_context(&f, NULL, &c, err) < 0)
		return -1;
	*ret = c;
	c = (struct kube_config){0};
	return 0;
}

/* In a pod */

static char *mounted_file(const char *dir, const char *name, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
	if (access(path, R_OK) < 0) {
		err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
		        "in-cluster: %s: %s (is a ServiceAccount token mounted into this pod?)", path,
		        strerror(errno));
		return NULL;
	}
	return STEAL_PTR(path);
}

int kube_config_in_cluster(const char *host, const char *port, const char *dir, struct kube_config *ret,
                           struct err *err)
{
	CLEANUP_KUBE_CONFIG struct kube_config c = {0};
	*ret = (struct kube_config){0};
	if (str_empty(host) || str_empty(port))
		return err_set(err, ERR_INVALID,
		               "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must both be set");
	bool bare_ipv6 = strchr(host, ':') && *host != '[';
	c.server = xasprintf(bare_ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (!is_word(c.server))
		return err_set(err, ERR_INVALID, "in-cluster: KUBERNETES_SERVICE_HOST or _PORT is no host or port");
	if (check_server(c.server, err) < 0)
		return err_prefix(err, "in-cluster");
	c.token_file = mounted_file(dir, "token", err);
	c.ca_file = c.token_file ? mounted_file(dir, "ca.crt", err) : NULL;
	if (!c.ca_file)
		return -1;

	CLEANUP_FREE char *path = xasprintf("%s/namespace", dir);
	CLEANUP_BUF struct buf text;
	buf_init(&text, 1024);
	struct err unread = ERR_INIT;
	struct slice ns = {0};
	if (file_read(path, &text, &unread) == 0)
		ns = slice_trim(buf_slice(&text));
	if (ns.len > 0)
		c.namespace = xstrndup(ns.ptr, ns.len);
	c.source = xstrdup("in-cluster");
	*ret = c;
	c = (struct kube_config){0};
	return 0;
}

int kube_config_load_context(const char *path, const char *context, struct kube_config *ret, struct err *err)
{
	CLEANUP_FILES struct files f;
	*ret = (struct kube_config){0};
	files_init(&f);
	if (str_empty(context))
		context = NULL;
	if (!str_empty(path))
		return files_read(&f, path, err) < 0 ? -1 : from_files(&f, context, ret, err);

	const char *list = getenv("KUBECONFIG");
	if (!str_empty(list))
		return files_read_list(&f, list, err) < 0 ? -1 : from_files(&f, context, ret, err);

	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *home = getenv("HOME");
	if (!str_empty(host) && !context)
		return kube_config_in_cluster(host, getenv("KUBERNETES_SERVICE_PORT"), SERVICE_ACCOUNT_DIR, ret, err);
	if (str_empty(home))
		return err_set(err, ERR_NOT_FOUND,
		               "no kubeconfig: not in a pod, and neither KUBECONFIG nor HOME is set");
	CLEANUP_FREE char *standard = xasprintf("%s/.kube/config", home);
	if (files_read(&f, standard, err) < 0)
		return err_prefix(err, "no kubeconfig: not in a pod, and KUBECONFIG is not set");
	return from_files(&f, context, ret, err);
}

int kube_config_load(const char *path, struct kube_config *ret, struct err *err)
{
	return kube_config_load_context(path, NULL, ret, err);
}
