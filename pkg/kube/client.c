#include "kube/client.h"
#include <string.h>
#include <sys/queue.h>
#include "base/json.h"
#include "base/objmeta.h"
#include "kube/transport.h"

#define DEFAULT_TIMEOUT_MS (30 * MS_PER_S)
#define MAX_PATH_BYTES (60u << 10)
#define MAX_REPLY_BYTES (64u << 20)

struct kube_call {
	LIST_ENTRY(kube_call) link;
	struct kube_client *client;
	struct transport_call *sent;
	struct loop_timer *refusal; /* instead, for a request that makes no sense; then err says why */
	struct err err;
	enum kube_verb verb;
	const struct kube_resource *resource; /* NULL: a plain path */
	struct mono started;
	kube_done_fn *fn;
	void *arg;
};

struct kube_client {
	struct loop *loop;
	struct transport *transport;
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
	struct transport *transport = transport_new(l, cfg, o->user_agent, err);
	if (!transport)
		return NULL;
	struct kube_client *c = xcalloc(1, sizeof(*c));
	c->loop = l;
	c->transport = transport;
	LIST_INIT(&c->calls);
	if (o->metrics)
		register_metrics(c, o->metrics);
	return c;
}

void kube_client_free(struct kube_client *c)
{
	if (!c)
		return;
	transport_free(c->transport);
	struct kube_call *call;
	while ((call = LIST_FIRST(&c->calls)) != NULL) {
		LIST_REMOVE(call, link);
		loop_timer_free(call->refusal);
		free(call);
	}
	free(c);
}

struct transport *kube_client_transport(struct kube_client *c)
{
	return c->transport;
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

/* 4xx: the server refused before it did anything; what was sent twice it may have refused because the first had its
 * effect. 5xx can come from a proxy, from a server that went on after its deadline, or from one that could not read
 * back what it wrote. */
static enum kube_outcome outcome_of(bool mutates, bool answered, const struct http_response *r)
{
	bool ok = answered && r->status >= 200 && r->status < 300;
	bool refused = answered ? r->status >= 400 && r->status < 500 && !r->sent_again : !r->sent;
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
		transport_explain(call->client->transport, &failure);
	} else if (answered && call->verb != KUBE_LIST) {
		struct err ignored = ERR_INIT;
		if (jread(identity_fields, r->body, &scratch, &meta, &ignored) < 0)
			meta = (struct objmeta){0};
	}
	struct kube_reply reply = {
		.http_status = r->status,
		.date = r->date,
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
	struct http_request request = {
		.method = verbs[call->verb].method,
		.path = path,
		.content_type = verbs[call->verb].content_type,
		.body = body,
		.timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS,
		.max_body_bytes = MAX_REPLY_BYTES,
	};
	struct http_callbacks callbacks = {.on_done = on_http_done, .arg = call};
	enum transport_lane lane = verbs[call->verb].mutates ? TRANSPORT_WRITES : TRANSPORT_READS;
	call->sent = transport_call(call->client->transport, lane, &request, &callbacks);
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
	if (call->sent)
		transport_cancel(call->sent);
	LIST_REMOVE(call, link);
	loop_timer_free(call->refusal);
	free(call);
}
