#include "kube/client.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json.h"
#include "base/objmeta.h"

#define DEFAULT_TIMEOUT_MS (30 * MS_PER_S)
#define CONNECT_TIMEOUT_MS (10 * MS_PER_S)
/* With one, a connection that was told to go away but still carries a watch would block its replacement. */
#define READ_CONNECTIONS 3
#define WRITE_CONNECTIONS 2
#define MAX_IN_FLIGHT 64
#define MAX_TOKEN_BYTES (64u << 10)
#define MAX_PATH_BYTES (60u << 10)
#define MAX_REPLY_BYTES (64u << 20)

struct token {
	char *value;      /* NULL: none */
	char *path;       /* NULL: the value never changes */
	struct stat seen; /* of the file that gave the value */
	bool refused;     /* a 401 came: read it again, whatever stat says */
};

struct kube_call {
	LIST_ENTRY(kube_call) link;
	struct kube_client *client;
	struct http_call *http;
	struct loop_timer *refusal; /* instead of http, for a request that makes no sense; then err says why */
	struct err err;
	enum kube_verb verb;
	const struct kube_resource *resource; /* NULL: a plain path */
	struct mono started;
	kube_done_fn *fn;
	void *arg;
};

struct kube_client {
	struct loop *loop;
	struct http_client *reads, *writes;
	struct token token;
	LIST_HEAD(, kube_call) calls;
	struct metric *requests, *durations; /* NULL without a registry */
	struct kube_informer_metrics informers;
};

static const struct {
	const char *method, *name, *content_type;
	bool mutates;
} verbs[] = {
	[KUBE_GET] = {"GET", "get", NULL, false},
	[KUBE_LIST] = {"GET", "list", NULL, false},
	[KUBE_CREATE] = {"POST", "create", "application/json", true},
	[KUBE_PATCH_JSON] = {"PATCH", "patch", "application/json-patch+json", true},
	[KUBE_PATCH_MERGE] = {"PATCH", "patch", "application/merge-patch+json", true},
	[KUBE_APPLY] = {"PATCH", "apply", "application/apply-patch+yaml", true},
	[KUBE_DELETE] = {"DELETE", "delete", "application/json", true},
};

const char *kube_outcome_name(enum kube_outcome o)
{
	switch (o) {
	case KUBE_DONE:
		return "done";
	case KUBE_NOT_DONE:
		return "not_done";
	case KUBE_UNKNOWN:
		break;
	}
	return "unknown";
}

/* Wiped, because it may be a secret. */
static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* What stands in the file, new, and which file that was. */
static char *read_token(const char *path, struct stat *ret_stat, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_set(err, ERR_IO, "token file %s: %s", path, strerror(errno));
		return NULL;
	}
	char *text = xmalloc(MAX_TOKEN_BYTES), *value = NULL;
	size_t len = 0;
	/* stat comes first: a file that changes while it is read counts as changed the next time. */
	ssize_t n = fstat(fd, ret_stat);
	while (n >= 0 && len < MAX_TOKEN_BYTES) {
		n = read(fd, text + len, MAX_TOKEN_BYTES - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	struct slice token = slice_trim((struct slice){text, len});
	bool printable = true;
	for (size_t i = 0; i < token.len; i++)
		printable = printable && token.ptr[i] > 0x20 && token.ptr[i] < 0x7f;
	if (n < 0)
		err_set(err, ERR_IO, "token file %s: %s", path, strerror(errno));
	else if (len == MAX_TOKEN_BYTES)
		err_set(err, ERR_LIMIT, "token file %s is too large", path);
	else if (token.len == 0)
		err_set(err, ERR_INVALID, "token file %s is empty", path);
	else if (!printable) /* it could add headers of its own */
		err_set(err, ERR_INVALID, "token file %s does not hold a token", path);
	else
		value = xstrndup(token.ptr, token.len);
	explicit_bzero(text, len);
	free(text);
	close(fd);
	return value;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The kubelet rotates tokens long before they end, so that an old one is better than none. */
static int token_refresh(struct token *t, struct err *err)
{
	struct stat st;
	if (!t->path || (t->value && !t->refused && stat(t->path, &st) == 0 && same_file(&st, &t->seen)))
		return 0;
	char *fresh = read_token(t->path, &st, err);
	if (!fresh)
		return -1;
	free_secret(t->value);
	t->value = fresh;
	t->seen = st;
	t->refused = false;
	return 0;
}

static void write_authorization(void *arg, struct buf *out)
{
	struct token *t = arg;
	struct err ignored = ERR_INIT;
	token_refresh(t, &ignored);
	if (!t->value)
		return;
	buf_add_str(out, "Bearer ");
	buf_add_str(out, t->value);
}

static void register_metrics(struct kube_client *c, struct metrics *m)
{
	static const char *const request_labels[] = {"verb", "resource", "code"};
	static const char *const duration_labels[] = {"verb"};
	static const char *const event_labels[] = {"resource", "type"};
	static const char *const resource_labels[] = {"resource"};
	static const double bounds[] = {0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
	c->requests =
		metrics_counter(m, "instancepool_api_requests_total",
	                    "Requests to the API server by the code of the answer, \"none\" if there was none.",
	                    ARRAY_LEN(request_labels), request_labels);
	c->durations =
		metrics_histogram(m, "instancepool_api_request_duration_seconds",
	                      "Time until the answer of the API server was complete, watches left out.",
	                      ARRAY_LEN(duration_labels), duration_labels, ARRAY_LEN(bounds), bounds);
	c->informers.watch_events =
		metrics_counter(m, "instancepool_watch_events_total", "Events seen by watches.",
	                    ARRAY_LEN(event_labels), event_labels);
	c->informers.undecodable =
		metrics_counter(m, "instancepool_undecodable_objects_total", "Objects that could not be read.",
	                    ARRAY_LEN(resource_labels), resource_labels);
	c->informers.relists =
		metrics_counter(m, "instancepool_relists_total", "Lists begun after the first complete one.",
	                    ARRAY_LEN(resource_labels), resource_labels);
}

struct kube_client *kube_client_new(struct loop *l, const struct kube_config *cfg,
                                    const struct kube_client_options *o, struct err *err)
{
	struct kube_client *c = xcalloc(1, sizeof(*c));
	c->loop = l;
	LIST_INIT(&c->calls);
	if (!str_empty(cfg->token))
		c->token.value = xstrdup(cfg->token);
	if (!str_empty(cfg->token_file)) {
		c->token.path = xstrdup(cfg->token_file);
		c->token.refused = true; /* the file, as far as it can be read, wins */
		if (token_refresh(&c->token, err) < 0 && !c->token.value)
			goto fail;
	}
	struct http_client_options options = {
		.base_url = cfg->server,
		.ca_file = cfg->ca_file,
		.ca_pem = cfg->ca_pem,
		.cert_file = cfg->cert_file,
		.key_file = cfg->key_file,
		.cert_pem = cfg->cert_pem,
		.key_pem = cfg->key_pem,
		.tls_server_name = cfg->tls_server_name,
		.insecure_skip_verify = cfg->insecure_skip_verify,
		.proxy_url = cfg->proxy_url,
		.user_agent = o->user_agent,
		.max_connections = READ_CONNECTIONS,
		.max_in_flight = MAX_IN_FLIGHT,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.authorization = write_authorization,
		.authorization_arg = &c->token,
	};
	c->reads = http_client_new(l, &options, err);
	if (!c->reads)
		goto fail;
	options.max_connections = WRITE_CONNECTIONS;
	c->writes = http_client_new(l, &options, err);
	if (!c->writes)
		goto fail;
	if (o->metrics)
		register_metrics(c, o->metrics);
	return c;
fail:
	kube_client_free(c);
	return NULL;
}

void kube_client_free(struct kube_client *c)
{
	if (!c)
		return;
	http_client_free(c->reads);
	http_client_free(c->writes);
	struct kube_call *call;
	while ((call = LIST_FIRST(&c->calls)) != NULL) {
		LIST_REMOVE(call, link);
		loop_timer_free(call->refusal);
		free(call);
	}
	free_secret(c->token.value);
	free(c->token.path);
	free(c);
}

struct http_client *kube_client_http(struct kube_client *c)
{
	return c->reads;
}

struct loop *kube_client_loop(struct kube_client *c)
{
	return c->loop;
}

const struct kube_informer_metrics *kube_client_informer_metrics(const struct kube_client *c)
{
	return c->requests ? &c->informers : NULL;
}

void kube_client_note_answer(struct kube_client *c, const char *verb, const struct kube_resource *r,
                             int http_status, int64_t duration_ms)
{
	if (http_status == 401)
		c->token.refused = true;
	if (!c->requests)
		return;
	char code[16] = "none";
	if (http_status > 0)
		str_format(code, sizeof(code), "%d", http_status);
	metric_add(c->requests, 1, (const char *const[]){verb, r ? r->plural : "none", code});
	if (duration_ms >= 0)
		metric_observe(c->durations, (double)duration_ms / MS_PER_S, (const char *const[]){verb});
}

static const struct jfield identity_fields[] = {{"metadata", J_OBJECT, 0, .sub = objmeta_fields}, {0}};

/* 4xx: the server refused before it did anything. 5xx can come from a proxy, from a server that went on after
 * its deadline, or from one that could not read back what it wrote. */
static enum kube_outcome outcome_of(bool mutates, bool answered, const struct http_response *r)
{
	bool ok = answered && r->status >= 200 && r->status < 300;
	bool refused = answered ? r->status >= 400 && r->status < 500 : !r->sent;
	if (ok)
		return KUBE_DONE;
	return mutates && !refused ? KUBE_UNKNOWN : KUBE_NOT_DONE;
}

static void on_http_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct kube_call *call = arg;
	bool answered = err->code == ERR_NONE;
	struct err failure = *err;
	enum kube_outcome outcome = outcome_of(verbs[call->verb].mutates, answered, r);
	struct objmeta meta = {0};
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	if (answered && outcome != KUBE_DONE) {
		kube_status_to_err(r->status, r->retry_after_ms, r->body, &failure);
	} else if (answered && call->verb != KUBE_LIST) {
		struct err ignored = ERR_INIT;
		if (jread(identity_fields, r->body, &scratch, &meta, &ignored) < 0)
			meta = (struct objmeta){0};
	}
	struct kube_reply reply = {
		.http_status = r->status,
		.body = r->body,
		.uid = meta.uid ? meta.uid : "",
		.resource_version = meta.resource_version ? meta.resource_version : "",
	};
	LIST_REMOVE(call, link);
	kube_client_note_answer(call->client, verbs[call->verb].name, call->resource, answered ? r->status : 0,
	                        mono_now().ms - call->started.ms);
	call->fn(call->arg, outcome, &reply, &failure);
	free(call);
}

static void on_refusal(void *arg)
{
	struct kube_call *call = arg;
	struct kube_reply reply = {.body = SLICE_LIT(""), .uid = "", .resource_version = ""};
	LIST_REMOVE(call, link);
	call->fn(call->arg, KUBE_NOT_DONE, &reply, &call->err);
	loop_timer_free(call->refusal);
	free(call);
}

/* kube_resource_path() takes a missing name for the whole collection, which is not what anybody wants to
 * delete. */
static int check_request(const struct kube_request *rq, struct err *err)
{
	const char *verb = verbs[rq->verb].name, *plural = rq->resource->plural;
	if (!rq->name && rq->verb != KUBE_LIST && rq->verb != KUBE_CREATE)
		return err_set(err, ERR_INVALID, "%s of %s without a name", verb, plural);
	if (str_empty(rq->ns) && rq->verb != KUBE_LIST && rq->resource->namespaced)
		return err_set(err, ERR_INVALID, "%s of %s without a namespace", verb, plural);
	return 0;
}

static void add_param(struct buf *path, const char *key, const char *value)
{
	if (str_empty(value))
		return;
	bool first = memchr(path->ptr, '?', path->len) == NULL;
	buf_addf(path, "%c%s=", first ? '?' : '&', key);
	buf_add_url_escaped(path, slice_from(value));
}

static void build_path(const struct kube_request *rq, struct buf *path)
{
	kube_resource_path(rq->resource, rq->ns, rq->name, rq->subresource, path);
	if (rq->verb == KUBE_LIST) {
		char limit[16] = "";
		if (rq->limit > 0)
			str_format(limit, sizeof(limit), "%u", rq->limit);
		add_param(path, "labelSelector", rq->label_selector);
		add_param(path, "fieldSelector", rq->field_selector);
		add_param(path, "limit", limit);
		add_param(path, "continue", rq->continue_token);
	} else if (verbs[rq->verb].mutates && rq->verb != KUBE_DELETE) {
		add_param(path, "fieldManager", rq->field_manager);
		add_param(path, "force", rq->verb == KUBE_APPLY && rq->force ? "true" : NULL);
		add_param(path, "dryRun", rq->dry_run ? "All" : NULL);
	}
}

/* With a body the server looks at no query parameters, so dryRun is in here too. New. */
static char *delete_options(const struct kube_request *rq)
{
	CLEANUP_JSON json_t *o = json_object();
	json_put_str(o, "apiVersion", "v1");
	json_put_str(o, "kind", "DeleteOptions");
	json_put_str(o, "propagationPolicy", "Background");
	if (rq->dry_run)
		json_set(o, "dryRun", json_pack("[s]", "All"));
	if (rq->precondition_uid || rq->precondition_resource_version) {
		json_t *p = json_child(o, "preconditions");
		json_put_str(p, "uid", rq->precondition_uid);
		json_put_str(p, "resourceVersion", rq->precondition_resource_version);
	}
	return json_compact(o);
}

static struct kube_call *new_call(struct kube_client *c, enum kube_verb verb, const struct kube_resource *r,
                                  kube_done_fn *fn, void *arg)
{
	struct kube_call *call = xcalloc(1, sizeof(*call));
	*call =
		(struct kube_call){.client = c, .verb = verb, .resource = r, .fn = fn, .arg = arg, .err = ERR_INIT};
	call->started = mono_now();
	LIST_INSERT_HEAD(&c->calls, call, link);
	return call;
}

static void send_call(struct kube_call *call, const char *path, struct slice body, int64_t timeout_ms)
{
	struct kube_client *c = call->client;
	struct http_request request = {
		.method = verbs[call->verb].method,
		.path = path,
		.content_type = verbs[call->verb].content_type,
		.body = body,
		.timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS,
		.max_body_bytes = MAX_REPLY_BYTES,
	};
	struct http_callbacks callbacks = {.on_done = on_http_done, .arg = call};
	call->http = http_client_call(verbs[call->verb].mutates ? c->writes : c->reads, &request, &callbacks);
}

struct kube_call *kube_client_call(struct kube_client *c, const struct kube_request *rq, kube_done_fn *fn,
                                   void *arg)
{
	struct kube_call *call = new_call(c, rq->verb, rq->resource, fn, arg);
	CLEANUP_BUF struct buf path;
	buf_init(&path, MAX_PATH_BYTES);
	int rc = check_request(rq, &call->err);
	if (rc == 0) {
		build_path(rq, &path);
		if (buf_failed(&path))
			rc = err_set(&call->err, ERR_INVALID, "%s of %s: no valid name, or more than %u bytes",
			             verbs[rq->verb].name, rq->resource->plural, MAX_PATH_BYTES);
	}
	if (rc < 0) {
		call->refusal = loop_timer_new(c->loop, on_refusal, call);
		loop_timer_arm(call->refusal, 0);
		return call;
	}
	CLEANUP_FREE char *options = rq->verb == KUBE_DELETE ? delete_options(rq) : NULL;
	struct slice body = {NULL, 0};
	if (verbs[rq->verb].mutates)
		body = options ? slice_from(options) : rq->body;
	send_call(call, path.ptr, body, rq->timeout_ms);
	return call;
}

struct kube_call *kube_client_get_path(struct kube_client *c, const char *path, kube_done_fn *fn, void *arg)
{
	struct kube_call *call = new_call(c, KUBE_GET, NULL, fn, arg);
	send_call(call, path, (struct slice){NULL, 0}, 0);
	return call;
}

void kube_call_cancel(struct kube_call *call)
{
	if (call->http)
		http_call_cancel(call->http);
	LIST_REMOVE(call, link);
	loop_timer_free(call->refusal);
	free(call);
}
