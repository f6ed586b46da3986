#include "kube/informer.h"
#include <string.h>
#include "base/host.h"
#include "base/mem.h"
#include "kube/reflector.h"
#include "kube/transport.h"
#include "kube/watch.h"

#define PAGE_OBJECTS 100
#define PAGE_TIMEOUT_MS (60 * MS_PER_S)
#define STREAM_GRACE_MS (30 * MS_PER_S) /* past the time at which the server is to end the stream */
#define MAX_PAGE_BYTES (256u << 20)     /* 100 objects at etcd's limit */

/* One call. It outlives its end while the decoder is at work in it, so that whatever an event leads to may
 * close it. */
struct exchange {
	struct informer *owner;
	struct transport_call *call;
	bool stream;
	struct watch_decoder decoder; /* streams only */
	bool decoding, closed;
	bool noted; /* its status is in the metrics */
	struct mono started;
};

struct informer {
	struct kube_client *client;
	struct loop *loop;
	const struct kube_type *type;
	char *ns, *label_selector, *field_selector;
	struct informer_handler handler;
	const struct kube_informer_metrics *metrics; /* may be NULL */
	struct store *store, *own_store;             /* own_store: NULL where the store was given */
	uint32_t list;                               /* mark of the list that is coming in */
	struct reflector reflector;
	struct loop_timer *timer;
	struct exchange *exchange; /* NULL: none open */
	bool synced;
	struct err trouble; /* ERR_NONE: none since the last success */
};

/* What is read of an object that cannot be decoded, or need not be. */
struct identity {
	const char *ns, *name, *uid, *resource_version;
};

static const struct jfield identity_meta_fields[] = {
	{"namespace", J_STR, .offset = offsetof(struct identity, ns)},
	{"name", J_STR, .offset = offsetof(struct identity, name)},
	{"uid", J_STR, .offset = offsetof(struct identity, uid)},
	{"resourceVersion", J_STR, .offset = offsetof(struct identity, resource_version)},
	{0},
};
static const struct jfield identity_fields[] = {{"metadata", J_OBJECT, 0, .sub = identity_meta_fields}, {0}};

struct list_meta {
	const char *resource_version, *continue_token;
};

static const struct jfield list_meta_fields[] = {
	{"resourceVersion", J_STR, .offset = offsetof(struct list_meta, resource_version)},
	{"continue", J_STR, .offset = offsetof(struct list_meta, continue_token)},
	{0},
};

static void count(const struct informer *i, struct metric *m, const char *type)
{
	metric_add(m, 1, (const char *const[]){i->type->resource.plural, type});
}

/* Objects */

static bool is_named(const struct informer *i, const char *ns, const char *name)
{
	return !str_empty(name) && (!i->type->resource.namespaced || !str_empty(ns));
}

static void forget(struct informer *i, const char *ns, const char *name)
{
	void *old = store_remove(i->store, ns, name);
	if (!old)
		return;
	i->handler.on_change(i->handler.arg, old, NULL);
	i->type->free(old);
}

static void take_undecodable(struct informer *i, struct slice json, const struct err *err)
{
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	struct identity id = {0};
	struct err ignored = ERR_INIT;
	/* What was read before a failure counts: metadata stands before the rest. */
	jread(identity_fields, json, &scratch, &id, &ignored);
	if (is_named(i, id.ns, id.name)) {
		const struct objmeta *known = store_get(i->store, id.ns, id.name);
		/* A view of another object of that name would be no good view of this one. */
		if (known && id.uid && !str_eq(known->uid, id.uid))
			forget(i, id.ns, id.name);
		store_touch(i->store, id.ns, id.name);
	}
	if (i->metrics)
		count(i, i->metrics->undecodable, NULL);
	i->handler.on_undecodable(i->handler.arg, id.ns ? id.ns : "", id.name ? id.name : "", err);
}

static void take_object(struct informer *i, struct slice json)
{
	struct err err = ERR_INIT;
	struct objmeta *obj = i->type->decode(json, &err);
	if (obj && !is_named(i, obj->ns, obj->name)) {
		err_set(&err, ERR_INVALID, "an object without a name");
		i->type->free(obj);
		obj = NULL;
	}
	if (!obj) {
		take_undecodable(i, json, &err);
		return;
	}
	const struct objmeta *known = store_get(i->store, obj->ns, obj->name);
	if (known && !str_eq(known->uid, obj->uid)) {
		forget(i, obj->ns, obj->name); /* deleted and made again while nobody watched */
		known = NULL;
	}
	if (known && str_eq(known->resource_version, obj->resource_version)) {
		store_touch(i->store, obj->ns, obj->name);
		i->type->free(obj);
		return;
	}
	void *before = store_put(i->store, obj);
	i->handler.on_change(i->handler.arg, before, obj);
	if (before)
		i->type->free(before);
}

static void take_deleted(struct informer *i, struct slice json)
{
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	struct identity id = {0};
	struct err err = ERR_INIT;
	int rc = jread(identity_fields, json, &scratch, &id, &err);
	if (is_named(i, id.ns, id.name))
		forget(i, id.ns, id.name);
	else
		take_undecodable(i, json, rc < 0 ? &err : &(struct err){.code = ERR_INVALID, .message = "no name"});
}

static void on_gone(void *arg, void *obj)
{
	struct informer *i = arg;
	i->handler.on_change(i->handler.arg, obj, NULL);
	i->type->free(obj);
}

/* Calls */

static void exchange_free(struct exchange *x)
{
	watch_decoder_done(&x->decoder);
	free(x);
}

static void exchange_detach(struct exchange *x)
{
	x->owner->exchange = NULL;
	x->closed = true;
	if (!x->decoding)
		exchange_free(x);
}

static void exchange_cancel(struct informer *i)
{
	if (!i->exchange)
		return;
	transport_cancel(i->exchange->call);
	exchange_detach(i->exchange);
}

static void exchange_note(struct exchange *x, int status)
{
	if (x->noted)
		return;
	x->noted = true;
	int64_t duration_ms = x->stream ? -1 : mono_now().ms - x->started.ms;
	kube_client_note_answer(x->owner->client, x->stream ? "watch" : "list", &x->owner->type->resource, status,
	                        duration_ms);
}

static void trouble_over(struct informer *i)
{
	if (i->trouble.code == ERR_NONE)
		return;
	i->trouble = ERR_INIT;
	if (i->handler.on_trouble_over)
		i->handler.on_trouble_over(i->handler.arg);
}

static int on_event(void *arg, const struct watch_event *e, struct err *err);
static void advance(struct informer *i, const struct reflector_input *in);
static void call_ended(struct informer *i, const struct err *err);

static void on_stream_status(void *arg, int status)
{
	struct exchange *x = arg;
	exchange_note(x, status);
	if (status >= 200 && status <= 299)
		trouble_over(x->owner);
}

static int on_stream_data(void *arg, struct slice data)
{
	struct exchange *x = arg;
	struct informer *i = x->owner;
	struct err err = ERR_INIT;
	x->decoding = true;
	int rc = watch_decoder_feed(&x->decoder, data, on_event, x, &err);
	x->decoding = false;
	if (x->closed) {
		exchange_free(x);
		return -1;
	}
	if (rc < 0) {
		exchange_cancel(i);
		call_ended(i, &err);
		return -1;
	}
	return 0;
}

static int take_page(struct informer *i, struct slice body, struct arena *a, struct list_meta *meta,
                     struct err *err)
{
	struct jscan s;
	struct jscan_str key;
	jscan_init(&s, body);
	jscan_object_begin(&s);
	while (jscan_object_next(&s, &key) > 0) {
		struct slice raw;
		if (jscan_str_eq(key, "metadata")) {
			if (jscan_raw(&s, &raw) == 0 && jread(list_meta_fields, raw, a, meta, err) < 0)
				return err_prefix(err, "list of %s: metadata", i->type->resource.plural);
		} else if (jscan_str_eq(key, "items") && jscan_peek(&s) == JSCAN_ARRAY) {
			jscan_array_begin(&s);
			while (jscan_array_next(&s) > 0) {
				watch_raw_object(&s, &raw);
				if (!jscan_failed(&s))
					take_object(i, raw);
			}
		} else {
			jscan_skip(&s);
		}
	}
	jscan_end(&s);
	if (jscan_failed(&s)) {
		jscan_err(&s, err);
		return err_prefix(err, "list of %s", i->type->resource.plural);
	}
	if (str_empty(meta->resource_version))
		return err_set(err, ERR_INVALID, "list of %s without a resourceVersion", i->type->resource.plural);
	return 0;
}

static void explain_answer(struct informer *i, const struct http_response *r, struct err *err)
{
	const struct kube_resource *resource = &i->type->resource;
	kube_status_to_err(r->status, r->retry_after_ms, r->body, err);
	transport_explain(kube_client_transport(i->client), err);
	/* A whole collection is never missing, but where nobody serves it; the server's words do not say what. */
	if (r->status == 404)
		err_prefix(err, "the server has no resource \"%s\" in API group \"%s\", version %s", resource->plural,
		           resource->group, resource->version);
}

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct exchange *x = arg;
	struct informer *i = x->owner;
	struct err failure = *err;
	bool page = !x->stream;
	exchange_note(x, err->code == ERR_NONE ? r->status : 0);
	exchange_detach(x);
	if (err->code == ERR_NONE && (r->status < 200 || r->status > 299))
		explain_answer(i, r, &failure);
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	struct list_meta meta = {0};
	if (failure.code == ERR_NONE && page && take_page(i, r->body, &scratch, &meta, &failure) == 0) {
		trouble_over(i);
		advance(i, &(struct reflector_input){.type = REFLECTOR_IN_PAGE,
		                                     .resource_version = meta.resource_version,
		                                     .continue_token = meta.continue_token});
	} else {
		call_ended(i, &failure);
	}
}

static void open_call(struct informer *i, struct buf *path, bool stream, int64_t timeout_ms)
{
	if (i->label_selector) {
		buf_add_str(path, "&labelSelector=");
		buf_add_url_escaped(path, slice_from(i->label_selector));
	}
	if (i->field_selector) {
		buf_add_str(path, "&fieldSelector=");
		buf_add_url_escaped(path, slice_from(i->field_selector));
	}
	struct exchange *x = xcalloc(1, sizeof(*x));
	x->owner = i;
	x->stream = stream;
	x->started = mono_now();
	watch_decoder_init(&x->decoder);
	struct http_request request = {
		.method = "GET",
		.path = path->ptr,
		.timeout_ms = timeout_ms,
		.max_body_bytes = MAX_PAGE_BYTES,
		.long_running = stream,
	};
	struct http_callbacks callbacks = {
		.on_status = stream ? on_stream_status : NULL,
		.on_data = stream ? on_stream_data : NULL,
		.on_done = on_done,
		.arg = x,
	};
	i->exchange = x;
	x->call = transport_call(kube_client_transport(i->client), TRANSPORT_READS, &request, &callbacks);
}

static void open_stream(struct informer *i, bool list, int64_t timeout_s)
{
	CLEANUP_BUF struct buf path;
	buf_init(&path, SIZE_MAX - 1); /* what goes in has its own bounds */
	kube_resource_path(&i->type->resource, i->ns, NULL, NULL, &path);
	buf_addf(&path, "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%lld", (long long)timeout_s);
	if (list) {
		buf_add_str(&path, "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
	} else {
		buf_add_str(&path, "&resourceVersion=");
		buf_add_url_escaped(&path, slice_from(i->reflector.resource_version));
	}
	open_call(i, &path, true, timeout_s * MS_PER_S + STREAM_GRACE_MS);
}

static void open_page(struct informer *i)
{
	CLEANUP_BUF struct buf path;
	buf_init(&path, SIZE_MAX - 1);
	kube_resource_path(&i->type->resource, i->ns, NULL, NULL, &path);
	buf_addf(&path, "?limit=%d", PAGE_OBJECTS);
	if (i->reflector.continue_token) {
		buf_add_str(&path, "&continue=");
		buf_add_url_escaped(&path, slice_from(i->reflector.continue_token));
	}
	open_call(i, &path, false, PAGE_TIMEOUT_MS);
}

/* The reflector */

static void act(struct informer *i, const struct reflector_effect *fx)
{
	switch (fx->type) {
	case REFLECTOR_FX_OPEN_STREAM_LIST:
		open_stream(i, true, fx->timeout_s);
		break;
	case REFLECTOR_FX_OPEN_WATCH:
		open_stream(i, false, fx->timeout_s);
		break;
	case REFLECTOR_FX_OPEN_PAGE:
		open_page(i);
		break;
	case REFLECTOR_FX_CLOSE:
		exchange_cancel(i);
		break;
	case REFLECTOR_FX_LIST_BEGIN:
		if (i->metrics && i->synced)
			count(i, i->metrics->relists, NULL);
		i->list = store_list_begin(i->store);
		break;
	case REFLECTOR_FX_LIST_END:
		store_list_sweep(i->store, i->ns, i->list, on_gone, i);
		i->synced = true;
		if (i->handler.on_synced)
			i->handler.on_synced(i->handler.arg);
		break;
	case REFLECTOR_FX_TIMER:
		loop_timer_arm(i->timer, fx->delay_ms);
		break;
	}
}

static void report_trouble(struct informer *i, const struct reflector_input *in, bool waits, int64_t delay_ms)
{
	struct err err = ERR_INIT;
	if (in->type == REFLECTOR_IN_END && in->err->code != ERR_NONE)
		err = *in->err;
	else if (!waits)
		return;
	else if (in->type == REFLECTOR_IN_END)
		err_set(&err, ERR_TRANSPORT, "watch of %s: the server ended it at once", i->type->resource.plural);
	else
		err_set(&err, ERR_INVALID, "list of %s: the server does not say how to go on",
		        i->type->resource.plural);
	i->trouble = err;
	if (i->handler.on_trouble)
		i->handler.on_trouble(i->handler.arg, &err, delay_ms);
}

static void advance(struct informer *i, const struct reflector_input *in)
{
	struct reflector_effect fx[REFLECTOR_MAX_EFFECTS];
	bool was_refused = i->reflector.streaming_refused, waits = false;
	unsigned n = reflector_step(&i->reflector, in, loop_now(i->loop), fx);
	int64_t delay_ms = 0;
	for (unsigned k = 0; k < n; k++) {
		if (fx[k].type == REFLECTOR_FX_TIMER) {
			waits = true;
			delay_ms = fx[k].delay_ms;
		}
		act(i, &fx[k]);
	}
	/* That an older server does not stream lists is no trouble. */
	if (waits || i->reflector.streaming_refused == was_refused)
		report_trouble(i, in, waits, delay_ms);
}

/* The open call is over: err says why, with ERR_NONE if the server ended it in order. */
static void call_ended(struct informer *i, const struct err *err)
{
	advance(i, &(struct reflector_input){.type = REFLECTOR_IN_END, .err = err});
}

static const char *event_type_name(enum watch_event_type t)
{
	switch (t) {
	case WATCH_ADDED:
		return "added";
	case WATCH_MODIFIED:
		return "modified";
	case WATCH_DELETED:
		return "deleted";
	case WATCH_BOOKMARK:
		return "bookmark";
	case WATCH_ERROR:
		break;
	}
	return "error";
}

static int on_event(void *arg, const struct watch_event *e, struct err *err)
{
	struct exchange *x = arg;
	struct informer *i = x->owner;
	if (i->metrics)
		count(i, i->metrics->watch_events, event_type_name(e->type));
	switch (e->type) {
	case WATCH_ADDED:
	case WATCH_MODIFIED:
		take_object(i, e->object);
		break;
	case WATCH_DELETED:
		take_deleted(i, e->object);
		break;
	case WATCH_BOOKMARK:
		break;
	case WATCH_ERROR:
		*err = e->status;
		return -1;
	}
	/* The version counts only now that the object is in the store. */
	advance(i, &(struct reflector_input){.type = REFLECTOR_IN_EVENT,
	                                     .resource_version = e->resource_version,
	                                     .initial_events_end = e->initial_events_end});
	return x->closed ? -1 : 0;
}

static void on_timer(void *arg)
{
	advance(arg, &(struct reflector_input){.type = REFLECTOR_IN_TIMER});
}

struct informer *informer_new(struct kube_client *c, const struct informer_options *o)
{
	struct informer *i = xcalloc(1, sizeof(*i));
	i->client = c;
	i->loop = kube_client_loop(c);
	i->type = o->type;
	i->ns = o->ns ? xstrdup(o->ns) : NULL;
	i->label_selector = str_empty(o->label_selector) ? NULL : xstrdup(o->label_selector);
	i->field_selector = str_empty(o->field_selector) ? NULL : xstrdup(o->field_selector);
	i->handler = o->handler;
	i->metrics = kube_client_informer_metrics(c);
	i->own_store = o->store ? NULL : store_new(o->type);
	i->store = o->store ? o->store : i->own_store;
	i->timer = loop_timer_new(i->loop, on_timer, i);
	reflector_init(&i->reflector, host_random());
	i->trouble = ERR_INIT;
	return i;
}

void informer_start(struct informer *i)
{
	advance(i, &(struct reflector_input){.type = REFLECTOR_IN_START});
}

void informer_free(struct informer *i)
{
	if (!i)
		return;
	exchange_cancel(i);
	loop_timer_free(i->timer);
	reflector_done(&i->reflector);
	store_free(i->own_store);
	free(i->ns);
	free(i->label_selector);
	free(i->field_selector);
	free(i);
}

const struct store *informer_store(const struct informer *i)
{
	return i->store;
}

bool informer_synced(const struct informer *i)
{
	return i->synced;
}

bool informer_current(const struct informer *i)
{
	return i->reflector.state == REFLECTOR_WATCH && i->trouble.code == ERR_NONE;
}

const struct err *informer_trouble(const struct informer *i)
{
	return i->trouble.code == ERR_NONE ? NULL : &i->trouble;
}
