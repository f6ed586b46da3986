#pragma once
/* An API server for one namespace, as far as the operator needs one: objects with versions, watches, preconditions.
 * nginx before it speaks HTTP/2 (web.h). Writes and single reads leave a trace in words, such as
 * "create p5=3, create Service, status, g6 0->2": a Deployment goes by its pool, and "!409" behind it is how it failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../net/web.h"
#include "../quoted_json.h"
#include "operator/internal.h"

/* What happens to the next request of a method for a kind, instead of what should. */
struct api_fault {
	const char *method; /* NULL: none */
	enum kind kind;
	bool applied;                          /* it is done all the same */
	bool hang;                             /* no answer */
	const char *status, *reason, *message; /* NULL status: the connection is cut */
	int retry_after_s;
};

struct api {
	struct web *web;
	json_t *objects[KIND_COUNT];          /* by name */
	struct exchange *watches[KIND_COUNT]; /* NULL: none open */
	bool held[KIND_COUNT];                /* the watch is late: events are kept back */
	json_t *late[KIND_COUNT];
	int64_t version;
	json_t *tried;              /* name -> spec of the Pods of dry runs without a create yet */
	struct api_fault faults[2]; /* the first that fits is used up */
	struct exchange *hanging;
	bool karpenter; /* its API is there */
	bool away;      /* every request but for watches gets a 503 */
	unsigned asked; /* while it was away */
	struct buf trace;
};

static inline bool api_is_watched(enum kind kind, const json_t *obj)
{
	bool labelled =
		kind != KIND_ENDPOINT && kind != KIND_MODEL && kind != KIND_NODE && kind != KIND_POD_EVENT;
	return !labelled || json_at(obj, "metadata", "labels", LABEL_ENDPOINT);
}

static inline void api_send_line(struct exchange *x, json_t *line)
{
	CLEANUP_FREE char *text = json_compact(line), *with_end = xasprintf("%s\n", text);
	exchange_chunk(x, with_end);
	json_decref(line);
}

static inline void api_event(struct api *a, enum kind kind, const char *type, json_t *obj)
{
	if (!api_is_watched(kind, obj))
		return;
	json_t *event = json_must(json_pack("{s:s, s:o}", "type", type, "object", json_deep_copy(obj)));
	if (a->held[kind])
		json_array_append_new(a->late[kind], event);
	else if (a->watches[kind])
		api_send_line(a->watches[kind], event);
	else
		json_decref(event);
}

static inline void api_hold(struct api *a, enum kind kind)
{
	a->held[kind] = true;
}

/* In one piece: nothing is planned in between. */
static inline void api_release(struct api *a, enum kind kind)
{
	CLEANUP_BUF struct buf lines;
	json_t *event;
	size_t i;
	buf_init(&lines, SIZE_MAX - 1);
	json_array_foreach(a->late[kind], i, event) {
		CLEANUP_FREE char *text = json_compact(event);
		buf_addf(&lines, "%s\n", text);
	}
	if (lines.len > 0)
		exchange_chunk(a->watches[kind], lines.ptr);
	json_array_clear(a->late[kind]);
	a->held[kind] = false;
}

/* The oldest of what is kept back. */
static inline void api_release_one(struct api *a, enum kind kind)
{
	api_send_line(a->watches[kind], json_incref(json_array_get(a->late[kind], 0)));
	json_array_remove(a->late[kind], 0);
}

static inline json_t *api_get(const struct api *a, enum kind kind, const char *name)
{
	return json_object_get(a->objects[kind], name);
}

/* As a client writes it; takes the reference. What only a server sets is added or carried over. */
static inline void api_put(struct api *a, enum kind kind, json_t *obj)
{
	json_t *meta = json_child(obj, "metadata");
	const char *name = json_string_value(json_object_get(meta, "name"));
	bool is_new = !api_get(a, kind, name);
	char version[32];
	str_format(version, sizeof(version), "%lld", (long long)++a->version);
	json_put_str(meta, "resourceVersion", version);
	if (controller_types[kind].resource.namespaced)
		json_put_str(meta, "namespace", "ns");
	if (!json_object_get(meta, "uid")) {
		CLEANUP_FREE char *uid = xasprintf("uid-%s", version);
		json_put_str(meta, "uid", uid);
	}
	if (!json_object_get(meta, "creationTimestamp"))
		json_put_time(meta, "creationTimestamp", wall_now());
	json_set(a->objects[kind], name, obj);
	api_event(a, kind, is_new ? "ADDED" : "MODIFIED", obj);
}

static inline void api_remove(struct api *a, enum kind kind, const char *name)
{
	json_t *obj = json_incref(api_get(a, kind, name));
	char version[32];
	str_format(version, sizeof(version), "%lld", (long long)++a->version);
	json_put_str(json_child(obj, "metadata"), "resourceVersion", version);
	json_object_del(a->objects[kind], name);
	api_event(a, kind, "DELETED", obj);
	json_decref(obj);
}

static inline const char *api_label(enum kind kind, const json_t *obj)
{
	const char *pool = json_string_value(json_at(obj, "metadata", "labels", LABEL_POOL));
	return pool ? pool : controller_types[kind].resource.kind;
}

static inline void api_trace(struct api *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void api_trace(struct api *a, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* How often the status is written on the way somewhere is a matter of speed. */
	size_t len = strlen("status");
	if (str_eq(text, "status") && a->trace.len >= len && str_eq(a->trace.ptr + a->trace.len - len, text))
		return;
	buf_add_str(&a->trace, a->trace.len && text[0] != '!' ? ", " : "");
	buf_add_str(&a->trace, text);
}

static inline void api_refuse(struct api *a, struct exchange *x, const struct api_fault *f)
{
	CLEANUP_JSON json_t *body = json_must(json_pack("{s:s, s:s, s:s}", "kind", "Status", "reason", f->reason,
	                                                "message", f->message ? f->message : "no"));
	if (f->retry_after_s)
		json_put_int(json_child(body, "details"), "retryAfterSeconds", f->retry_after_s);
	CLEANUP_FREE char *text = json_compact(body);
	api_trace(a, "!%.3s", f->status);
	exchange_answer(x, f->status, text);
}

static inline void api_answer(struct exchange *x, const char *status, const json_t *obj)
{
	CLEANUP_FREE char *text = json_compact(obj);
	exchange_answer(x, status, text);
}

static inline void api_watch(struct api *a, struct exchange *x, enum kind kind)
{
	const char *name;
	json_t *obj, *end;
	exchange_begin(x);
	a->watches[kind] = x;
	json_object_foreach(a->objects[kind], name, obj)
		if (api_is_watched(kind, obj))
			api_send_line(x, json_must(json_pack("{s:s, s:O}", "type", "ADDED", "object", obj)));
	end = quoted_json(
		"{'type':'BOOKMARK','object':{'metadata':{'annotations':{'k8s.io/initial-events-end':'true'}}}}");
	char version[32];
	str_format(version, sizeof(version), "%lld", (long long)a->version);
	json_put_str(json_child(json_child(end, "object"), "metadata"), "resourceVersion", version);
	api_send_line(x, end);
}

/* [test uid, replace template, replace managedFields]: nobody else owns anything afterwards. */
static inline bool api_restore_deployment(struct api *a, const char *name, const json_t *patch, bool apply)
{
	json_t *obj = api_get(a, KIND_DEPLOYMENT, name);
	json_t *managers = json_object_get(json_array_get(patch, 2), "value");
	if (!json_equal(json_object_get(json_array_get(patch, 0), "value"), json_at(obj, "metadata", "uid")))
		return false;
	assert_string_equal(json_string_value(json_object_get(json_array_get(patch, 2), "path")),
	                    "/metadata/managedFields");
	assert_int_equal(json_array_size(managers), 1);
	if (apply) {
		json_t *changed = json_deep_copy(obj);
		json_set(json_child(changed, "spec"), "template",
		         json_incref(json_object_get(json_array_get(patch, 1), "value")));
		json_set(json_child(changed, "metadata"), "managedFields", json_incref(managers));
		api_put(a, KIND_DEPLOYMENT, changed);
	}
	return true;
}

/* The operator's other patches: [test uid, test replicas, replace replicas]. False when a test fails. */
static inline bool api_scale_deployment(struct api *a, const char *name, const json_t *patch, bool apply)
{
	json_t *obj = api_get(a, KIND_DEPLOYMENT, name);
	const json_t *uid = json_object_get(json_array_get(patch, 0), "value");
	json_t *from = json_object_get(json_array_get(patch, 1), "value"),
		   *to = json_object_get(json_array_get(patch, 2), "value");
	api_trace(a, "%s %lld->%lld", api_label(KIND_DEPLOYMENT, obj), (long long)json_integer_value(from),
	          (long long)json_integer_value(to));
	if (!obj || !json_equal(uid, json_at(obj, "metadata", "uid")) ||
	    !json_equal(from, json_at(obj, "spec", "replicas")))
		return false;
	if (apply) {
		json_t *changed = json_deep_copy(obj);
		json_set(json_child(changed, "spec"), "replicas", json_incref(to));
		api_put(a, KIND_DEPLOYMENT, changed);
	}
	return true;
}

static inline bool api_write_endpoint(struct api *a, const char *name, const char *path, const json_t *body)
{
	bool scale = strstr(path, "/scale?") != NULL;
	json_t *obj = api_get(a, KIND_ENDPOINT, name), *version = json_at(body, "metadata", "resourceVersion");
	if (scale)
		api_trace(a, "scale=%lld", (long long)json_integer_value(json_at(body, "spec", "replicas")));
	else
		api_trace(a, "status");
	assert_non_null(version);
	if (!obj || !json_equal(version, json_at(obj, "metadata", "resourceVersion")))
		return false;
	json_t *changed = json_deep_copy(obj);
	if (scale)
		json_set(json_child(changed, "spec"), "instanceCount",
		         json_incref(json_at(body, "spec", "replicas")));
	else
		json_set(changed, "status", json_incref(json_at(body, "status")));
	api_put(a, KIND_ENDPOINT, changed);
	return true;
}

/* True when a fault has taken the place of the request's answer; *ret_apply: it is to be done all the same. */
static inline bool api_fail(struct api *a, struct exchange *x, enum kind kind, bool *ret_apply)
{
	*ret_apply = true;
	for (size_t i = 0; i < ARRAY_LEN(a->faults); i++) {
		struct api_fault f = a->faults[i];
		if (!f.method || f.kind != kind || !str_eq(f.method, x->method))
			continue;
		a->faults[i] = (struct api_fault){0};
		*ret_apply = f.applied;
		if (f.status) {
			api_refuse(a, x, &f);
			return true;
		}
		api_trace(a, "!%s", f.hang ? "hang" : "cut");
		if (f.hang)
			a->hanging = x;
		else
			exchange_end(x);
		return true;
	}
	return false;
}

static inline bool api_has_fault(const struct api *a, const struct exchange *x, enum kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(a->faults); i++)
		if (a->faults[i].method && a->faults[i].kind == kind && str_eq(a->faults[i].method, x->method))
			return true;
	return false;
}

/* The dry run of a Pod, which only leaves a trace if it fails. A Deployment must be preceded by that of its Pod. */
static inline void api_try(struct api *a, struct exchange *x, json_t *pod)
{
	const char *name = json_string_value(json_at(pod, "metadata", "name"));
	bool ignored;
	assert_non_null(strstr(x->path, "dryRun=All"));
	json_object_set(a->tried, name, json_object_get(pod, "spec"));
	if (api_has_fault(a, x, KIND_POD)) {
		api_trace(a, "try %s", api_label(KIND_POD, pod));
		api_fail(a, x, KIND_POD, &ignored);
	} else {
		api_answer(x, "201 Created", pod);
	}
}

/* A merge patch of annotations. */
static inline void api_mark(struct api *a, struct exchange *x, const char *name, const json_t *patch)
{
	json_t *obj = api_get(a, KIND_POD, name), *annotations = json_at(patch, "metadata", "annotations"),
		   *value;
	bool apply, failed,
		same = obj && json_equal(json_at(patch, "metadata", "uid"), json_at(obj, "metadata", "uid"));
	const char *key;
	assert_null(strstr(x->path, "dryRun"));
	assert_non_null(json_at(patch, "metadata", "uid"));
	api_trace(a, "%s %s",
	          json_object_get(annotations, ANNOTATION_DELETION_COST) ? "first-to-go" : "unprotect", name);
	failed = api_fail(a, x, KIND_POD, &apply);
	if (same && apply) {
		json_t *changed = json_deep_copy(obj),
			   *kept = json_child(json_child(changed, "metadata"), "annotations");
		json_object_foreach(annotations, key, value)
			if (json_is_null(value))
				json_object_del(kept, key);
			else
				json_object_set(kept, key, value);
		api_put(a, KIND_POD, changed);
	}
	if (failed)
		return;
	if (same)
		api_answer(x, "200 OK", api_get(a, KIND_POD, name));
	else if (obj)
		api_refuse(a, x, &(struct api_fault){.status = "409 Conflict", .reason = "Conflict"});
	else
		api_refuse(a, x, &(struct api_fault){.status = "404 Not Found", .reason = "NotFound"});
}

static inline void api_check_tried(struct api *a, const char *name, const json_t *deployment)
{
	assert_true(json_equal(json_object_get(a->tried, name), json_at(deployment, "spec", "template", "spec")));
	json_object_del(a->tried, name);
}

static inline void api_write(struct api *a, struct exchange *x, enum kind kind, const char *name)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *body = json_parse(x->body, &err);
	bool post = str_eq(x->method, "POST"), apply, done = true;
	name = post ? json_string_value(json_at(body, "metadata", "name")) : name;
	bool exists = api_get(a, kind, name) != NULL;
	bool restore =
		str_eq(x->method, "PATCH") && kind == KIND_DEPLOYMENT && json_array_size(body) > 1 &&
		str_eq(json_string_value(json_object_get(json_array_get(body, 1), "path")), "/spec/template");
	assert_non_null(body);
	if (kind == KIND_POD) {
		if (post)
			api_try(a, x, body);
		else
			api_mark(a, x, name, body);
		return;
	}
	assert_null(strstr(x->path, "dryRun"));
	if (post && kind == KIND_DEPLOYMENT)
		api_check_tried(a, name, body);
	if (post && kind == KIND_DEPLOYMENT)
		api_trace(a, "create %s=%lld", api_label(kind, body),
		          (long long)json_integer_value(json_at(body, "spec", "replicas")));
	else if (post)
		api_trace(a, "create %s", api_label(kind, body));
	else if (str_eq(x->method, "DELETE"))
		api_trace(a, "delete %s", api_label(kind, api_get(a, kind, name)));
	else if (restore)
		api_trace(a, "restore %s", api_label(kind, api_get(a, kind, name)));
	bool failed = api_fail(a, x, kind, &apply);
	if (post && apply && !exists)
		api_put(a, kind, json_deep_copy(body));
	else if (restore)
		done = api_restore_deployment(a, name, body, apply);
	else if (str_eq(x->method, "PATCH") && kind == KIND_DEPLOYMENT)
		done = api_scale_deployment(a, name, body, apply);
	else if (str_eq(x->method, "PATCH") && apply)
		done = api_write_endpoint(a, name, x->path, body);
	if (failed)
		return;
	if (post && exists)
		api_refuse(a, x, &(struct api_fault){.status = "409 Conflict", .reason = "AlreadyExists"});
	else if (!done)
		api_refuse(a, x, &(struct api_fault){.status = "409 Conflict", .reason = "Conflict"});
	else
		api_answer(x, post ? "201 Created" : "200 OK", api_get(a, kind, name));
	if (str_eq(x->method, "DELETE"))
		api_remove(a, kind, name);
}

static inline void api_on_request(struct web *w, struct exchange *x)
{
	struct api *a = w->arg;
	char path[256], name[128] = "";
	enum kind kind = KIND_ENDPOINT;
	str_copy(path, sizeof(path), x->path);
	path[strcspn(path, "?")] = '\0';
	bool told = strstr(path, "/events") && !str_eq(x->method, "GET");
	if (told || strstr(path, "/karpenter.sh") || strstr(path, "/configmaps/")) {
		bool there = told || (a->karpenter && strstr(path, "/karpenter.sh"));
		exchange_answer(x, there ? "200 OK" : "404 Not Found", "{}");
		return;
	}
	for (; kind < KIND_COUNT; kind++) {
		CLEANUP_FREE char *segment = xasprintf("/%s", controller_types[kind].resource.plural);
		const char *found = strstr(path, segment), *rest = found ? found + strlen(segment) : "";
		if (!found)
			continue;
		struct slice ignored, first = slice_split(slice_from(*rest == '/' ? rest + 1 : ""), '/', &ignored);
		str_format(name, sizeof(name), SLICE_FMT, SLICE_ARG(first));
		break;
	}
	assert_true(kind < KIND_COUNT);
	if (a->away && (*name || !str_eq(x->method, "GET"))) {
		a->asked++;
		api_refuse(a, x, &(struct api_fault){.status = "503 Service Unavailable", .reason = ""});
		return;
	}
	if (!str_eq(x->method, "GET")) {
		api_write(a, x, kind, name);
	} else if (!*name) {
		api_watch(a, x, kind);
	} else {
		json_t *obj = api_get(a, kind, name);
		bool apply;
		api_trace(a, "look %s", api_label(kind, obj));
		if (api_fail(a, x, kind, &apply))
			return;
		if (obj)
			api_answer(x, "200 OK", obj);
		else
			api_refuse(a, x, &(struct api_fault){.status = "404 Not Found", .reason = "NotFound"});
	}
}

static inline void api_init(struct api *a, struct web *w)
{
	*a = (struct api){.web = w, .version = 100};
	for (size_t i = 0; i < KIND_COUNT; i++) {
		a->objects[i] = json_object();
		a->late[i] = json_array();
	}
	a->tried = json_object();
	buf_init(&a->trace, 1u << 16);
	w->arg = a;
	w->on_request = api_on_request;
}

static inline void api_done(struct api *a)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		json_decref(a->objects[i]);
		json_decref(a->late[i]);
	}
	json_decref(a->tried);
	buf_done(&a->trace);
}
