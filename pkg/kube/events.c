#include "kube/events.h"
#include <string.h>
#include <sys/queue.h>
#include "base/hash.h"
#include "base/jread.h"
#include "base/json.h"
#include "base/map.h"

#define MAX_RECENT 256
#define MAX_WAITING 64
#define MAX_MESSAGE_BYTES 1024
#define MAX_NAME_BYTES 253          /* of an object */
#define REPEAT_MS (3600 * MS_PER_S) /* as long as the API server keeps an Event */
#define TIMEOUT_MS (10 * MS_PER_S)
#define MAX_ATTEMPTS 3 /* create, then patch what was there, then create what was just gone */

/* One Event of the API, as we know it. */
struct entry {
	TAILQ_ENTRY(entry) age;  /* in recent: the longest unused first */
	TAILQ_ENTRY(entry) turn; /* in waiting */
	char *key;               /* "namespace/name" of the Event */
	char *ns, *name;
	char *api_version, *kind, *object_ns, *object_name, *uid;
	char *reason, *message;
	enum event_type type;
	struct wall first, last;
	int64_t count, told; /* repetitions; what the last request said */
	bool count_is_known; /* false: an Event of an earlier process is there and its count was not seen yet */
	bool exists;         /* in the API, as far as we know */
	bool waits;          /* in waiting, or being sent */
	unsigned attempts;
};

TAILQ_HEAD(entry_list, entry);

struct event_recorder {
	struct kube_client *client;
	char *component, *instance;
	struct map entries; /* by key */
	struct entry_list recent, waiting;
	size_t n_waiting;
	struct kube_call *call;                               /* for the first of waiting */
	void (*on_failure)(void *arg, const struct err *err); /* NULL: nobody asks */
	void *on_failure_arg;
	uint64_t dropped;
};

static const struct kube_resource events_resource = {
	.group = "", .version = "v1", .plural = "events", .kind = "Event", .namespaced = true};

struct event_recorder *event_recorder_new(struct kube_client *c, const char *component, const char *instance)
{
	struct event_recorder *r = xcalloc(1, sizeof(*r));
	r->client = c;
	r->component = xstrdup(component);
	r->instance = xstrdup(instance);
	map_init(&r->entries);
	TAILQ_INIT(&r->recent);
	TAILQ_INIT(&r->waiting);
	return r;
}

static void entry_free(void *p)
{
	struct entry *e = p;
	free(e->key);
	free(e->ns);
	free(e->name);
	free(e->api_version);
	free(e->kind);
	free(e->object_ns);
	free(e->object_name);
	free(e->uid);
	free(e->reason);
	free(e->message);
	free(e);
}

void event_recorder_free(struct event_recorder *r)
{
	if (!r)
		return;
	if (r->call)
		kube_call_cancel(r->call);
	map_done(&r->entries, entry_free);
	free(r->component);
	free(r->instance);
	free(r);
}

void event_recorder_on_failure(struct event_recorder *r, void (*fn)(void *arg, const struct err *err),
                               void *arg)
{
	r->on_failure = fn;
	r->on_failure_arg = arg;
}

uint64_t event_recorder_dropped(const struct event_recorder *r)
{
	return r->dropped;
}

static uint64_t hash_part(uint64_t h, const char *s)
{
	h = hash64(h, slice_from(s ? s : ""));
	return hash64(h, (struct slice){"", 1}); /* the NUL: no two lists of parts look alike */
}

/* "<object's name>.<hash>", cut so that it stays a name. New. */
static char *event_name(const struct event_ref *ref, enum event_type type, const char *reason,
                        const char *message)
{
	const char *const parts[] = {ref->api_version, ref->kind, ref->ns, ref->name, ref->uid, reason, message};
	uint64_t h = hash_part(HASH64_INIT, type == EVENT_WARNING ? "Warning" : "Normal");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		h = hash_part(h, parts[i]);
	char text[HASH_TEXT_SIZE];
	hash64_text(h, text);
	size_t len = strnlen(ref->name, MAX_NAME_BYTES - sizeof(text));
	while (len > 0 && (ref->name[len - 1] == '-' || ref->name[len - 1] == '.'))
		len--;
	return xasprintf("%.*s.%s", (int)len, ref->name, text);
}

static void entry_forget(struct event_recorder *r, struct entry *e)
{
	TAILQ_REMOVE(&r->recent, e, age);
	map_remove(&r->entries, e->key);
	entry_free(e);
}

static void make_room(struct event_recorder *r)
{
	struct entry *e = TAILQ_FIRST(&r->recent);
	/* At most MAX_WAITING are passed by. */
	while (e && e->waits)
		e = TAILQ_NEXT(e, age);
	if (e)
		entry_forget(r, e);
}

static struct entry *entry_new(struct event_recorder *r, const char *ns, const char *name,
                               const struct event_ref *ref, enum event_type type, const char *reason,
                               const char *message)
{
	if (map_count(&r->entries) >= MAX_RECENT)
		make_room(r);
	struct entry *e = xcalloc(1, sizeof(*e));
	e->key = xasprintf("%s/%s", ns, name);
	e->ns = xstrdup(ns);
	e->name = xstrdup(name);
	e->api_version = xstrdup(ref->api_version);
	e->kind = xstrdup(ref->kind);
	e->object_ns = str_empty(ref->ns) ? NULL : xstrdup(ref->ns);
	e->object_name = xstrdup(ref->name);
	e->uid = str_empty(ref->uid) ? NULL : xstrdup(ref->uid);
	e->type = type;
	e->reason = xstrdup(reason);
	e->message = xstrdup(message);
	map_put(&r->entries, e->key, e);
	TAILQ_INSERT_TAIL(&r->recent, e, age);
	return e;
}

static char *create_body(const struct event_recorder *r, const struct entry *e)
{
	CLEANUP_JSON json_t *o = json_object();
	json_put_str(o, "apiVersion", "v1");
	json_put_str(o, "kind", "Event");
	json_t *meta = json_child(o, "metadata");
	json_put_str(meta, "namespace", e->ns);
	json_put_str(meta, "name", e->name);
	json_t *object = json_child(o, "involvedObject");
	json_put_str(object, "apiVersion", e->api_version);
	json_put_str(object, "kind", e->kind);
	json_put_str(object, "namespace", e->object_ns);
	json_put_str(object, "name", e->object_name);
	json_put_str(object, "uid", e->uid);
	json_put_str(o, "type", e->type == EVENT_WARNING ? "Warning" : "Normal");
	json_put_str(o, "reason", e->reason);
	json_put_str(o, "message", e->message);
	json_put_time(o, "firstTimestamp", e->first);
	json_put_time(o, "lastTimestamp", e->last);
	json_put_int(o, "count", e->count);
	json_put_str(json_child(o, "source"), "component", r->component);
	json_put_str(o, "reportingComponent", r->component);
	json_put_str(o, "reportingInstance", r->instance);
	return json_compact(o);
}

static char *patch_body(const struct entry *e)
{
	CLEANUP_JSON json_t *o = json_object();
	if (e->count_is_known)
		json_put_int(o, "count", e->count);
	json_put_time(o, "lastTimestamp", e->last);
	return json_compact(o);
}

static void on_sent(void *arg, enum kube_outcome outcome, const struct kube_reply *reply,
                    const struct err *err);

static void send_next(struct event_recorder *r)
{
	struct entry *e = TAILQ_FIRST(&r->waiting);
	if (r->call || !e)
		return;
	e->attempts++;
	e->told = e->count;
	CLEANUP_FREE char *body = e->exists ? patch_body(e) : create_body(r, e);
	struct kube_request rq = {
		.verb = e->exists ? KUBE_PATCH_MERGE : KUBE_CREATE,
		.resource = &events_resource,
		.ns = e->ns,
		.name = e->exists ? e->name : NULL,
		.body = slice_from(body),
		.field_manager = r->component,
		.timeout_ms = TIMEOUT_MS,
	};
	r->call = kube_client_call(r->client, &rq, on_sent, r);
}

/* An Event that was there before us brings its own number. The next repetition tells the sum. */
static void learn_count(struct entry *e, struct slice body)
{
	static const struct jfield fields[] = {{"count", J_I64, .offset = 0}, {0}};
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	int64_t count = 0;
	struct err ignored = ERR_INIT;
	if (jread(fields, body, &scratch, &count, &ignored) == 0 && count > 0 && count < INT32_MAX / 2) {
		e->count += count;
		e->told += count;
	}
	e->count_is_known = true;
}

static void leave_queue(struct event_recorder *r, struct entry *e)
{
	TAILQ_REMOVE(&r->waiting, e, turn);
	r->n_waiting--;
	e->waits = false;
}

static void join_queue(struct event_recorder *r, struct entry *e)
{
	TAILQ_INSERT_TAIL(&r->waiting, e, turn);
	r->n_waiting++;
	e->waits = true;
	e->attempts = 0;
}

/* Was the request about an Event that is (not) there after all, so that the other kind of request will do? */
static bool was_wrong_about(struct entry *e, const struct err *err)
{
	if (err->code != ERR_HTTP || e->attempts >= MAX_ATTEMPTS)
		return false;
	if (e->exists && err->http_status == 404) {
		e->exists = false;
		return true;
	}
	if (!e->exists && err->http_status == 409 && str_eq(err->reason, "AlreadyExists")) {
		e->exists = true;
		e->count_is_known = false;
		return true;
	}
	return false;
}

static void on_sent(void *arg, enum kube_outcome outcome, const struct kube_reply *reply,
                    const struct err *err)
{
	struct event_recorder *r = arg;
	struct entry *e = TAILQ_FIRST(&r->waiting);
	r->call = NULL;
	if (outcome == KUBE_DONE) {
		e->exists = true;
		if (!e->count_is_known)
			learn_count(e, reply->body);
		leave_queue(r, e);
		if (e->count > e->told)
			join_queue(r, e);
	} else if (!was_wrong_about(e, err)) {
		r->dropped++;
		leave_queue(r, e);
		if (r->on_failure)
			r->on_failure(r->on_failure_arg, err);
	}
	send_next(r);
}

void event_emit(struct event_recorder *r, const struct event_ref *ref, enum event_type type,
                const char *reason, const char *message)
{
	struct wall now = wall_floor_s(wall_now());
	CLEANUP_FREE char *text =
		xstrndup(message, utf8_cut((struct slice){message, strnlen(message, MAX_MESSAGE_BYTES)}));
	CLEANUP_FREE char *name = event_name(ref, type, reason, text);
	const char *ns = str_empty(ref->ns) ? "default" : ref->ns;
	CLEANUP_FREE char *key = xasprintf("%s/%s", ns, name);
	struct entry *e = map_get(&r->entries, key);
	bool full = r->n_waiting >= MAX_WAITING;
	if (full && (!e || !e->waits))
		r->dropped++;
	if (!e) {
		if (full)
			return;
		e = entry_new(r, ns, name, ref, type, reason, text);
	} else {
		TAILQ_REMOVE(&r->recent, e, age);
		TAILQ_INSERT_TAIL(&r->recent, e, age);
	}
	if (!e->waits && (e->count == 0 || now.ms - e->last.ms >= REPEAT_MS)) {
		/* The API server has none any more, or one that brings its count. */
		e->exists = false;
		e->count_is_known = true;
		e->count = 0;
		e->first = now;
	}
	e->last = now;
	e->count++;
	if (!full && !e->waits)
		join_queue(r, e);
	send_next(r);
}
