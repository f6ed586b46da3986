#include "forecast/objects.h"
#include <inttypes.h>
#include "api/names.h"
#include "base/json.h"
#include "base/quantity.h"

#define OBJECT_ARENA_BLOCK 512
#define MAX_KINDS 64
#define MAX_COUNT 10000
#define LONG_AGO "2000-01-01T00:00:00Z"

/* Amounts by resource, being added up. */
struct sum {
	struct forecast_amount list[MAX_KINDS];
	size_t n;
};

int64_t forecast_amount_of(const struct forecast_amounts *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++)
		if (str_eq(a->list[i].key, key))
			return a->list[i].milli;
	return 0;
}

/* NULL when there is no more room. */
static int64_t *sum_at(struct sum *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->list[i].key, key))
			return &s->list[i].milli;
	if (s->n == MAX_KINDS)
		return NULL;
	s->list[s->n] = (struct forecast_amount){.key = key};
	return &s->list[s->n++].milli;
}

static int64_t plus(int64_t a, int64_t b)
{
	return b > FORECAST_MAX_MILLI - a ? FORECAST_MAX_MILLI : a + b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t second(int64_t a, int64_t b)
{
	(void)a;
	return b;
}

static int combine(struct sum *to, const struct sum *from, int64_t (*op)(int64_t, int64_t), struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		int64_t *v = sum_at(to, from->list[i].key);

		if (!v)
			return err_set(err, ERR_LIMIT, "more than %d kinds of resources", MAX_KINDS);
		*v = op(*v, from->list[i].milli);
	}
	return 0;
}

/* A map of quantities; keys are borrowed. */
static int read_amounts(json_t *map, const char *path, struct sum *ret, struct err *err)
{
	const char *key;
	json_t *v;

	*ret = (struct sum){0};
	json_object_foreach(map, key, v) {
		int64_t *to = sum_at(ret, key);
		CLEANUP_FREE char *number =
			json_is_number(v) ? json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
		const char *text = number ? number : json_string_value(v);

		if (!to)
			return err_set(err, ERR_LIMIT, "%s: more than %d kinds of resources", path, MAX_KINDS);
		if (!text)
			return err_set(err, ERR_INVALID, "%s.%.80s: must be a quantity, such as 8 or \"64Gi\"", path,
			               key);
		if (quantity_parse_milli(slice_from(text), to, err) < 0)
			return err_prefix(err, "%s.%.80s", path, key);
		if (*to < 0)
			return err_set(err, ERR_INVALID, "%s.%.80s: '%.80s' is negative", path, key, text);
		if (*to > FORECAST_MAX_MILLI)
			*to = FORECAST_MAX_MILLI;
	}
	return 0;
}

/* Requests, and limits where there is no request. */
static int read_resources(const json_t *owner, const char *path, struct sum *ret, struct err *err)
{
	CLEANUP_FREE char *limits_path = xasprintf("%s.resources.limits", path),
					  *requests_path = xasprintf("%s.resources.requests", path);
	struct sum requests;

	if (read_amounts(json_at(owner, "resources", "limits"), limits_path, ret, err) < 0 ||
	    read_amounts(json_at(owner, "resources", "requests"), requests_path, &requests, err) < 0)
		return -1;
	return combine(ret, &requests, second, err);
}

/* An init container that never ends runs beside all that follow. */
static bool is_sidecar(const json_t *container)
{
	return str_eq(json_string_value(json_at(container, "restartPolicy")), "Always");
}

static int add_init_containers(const json_t *spec, struct sum *sidecars, struct sum *step, struct err *err)
{
	json_t *container;
	size_t i;
	char path[64];

	json_array_foreach(json_at(spec, "initContainers"), i, container) {
		struct sum one;

		str_format(path, sizeof(path), "spec.initContainers[%zu]", i);
		if (read_resources(container, path, &one, err) < 0)
			return -1;
		if (is_sidecar(container)) {
			if (combine(sidecars, &one, plus, err) < 0)
				return -1;
			one = *sidecars;
		} else if (combine(&one, sidecars, plus, err) < 0) {
			return -1;
		}
		if (combine(step, &one, larger, err) < 0)
			return -1;
	}
	return 0;
}

static int add_up(const json_t *spec, struct sum *ret, struct err *err)
{
	struct sum one, step = {0};
	json_t *container;
	size_t i;
	char path[64];

	*ret = (struct sum){0};
	if (add_init_containers(spec, ret, &step, err) < 0)
		return -1;
	json_array_foreach(json_at(spec, "containers"), i, container) {
		str_format(path, sizeof(path), "spec.containers[%zu]", i);
		if (read_resources(container, path, &one, err) < 0 || combine(ret, &one, plus, err) < 0)
			return -1;
	}
	if (combine(ret, &step, larger, err) < 0 ||
	    read_resources(spec, "spec", &one, err) < 0 || /* of the pod as a whole: instead of its containers' */
	    combine(ret, &one, second, err) < 0 ||
	    read_amounts(json_at(spec, "overhead"), "spec.overhead", &one, err) < 0)
		return -1;
	return combine(ret, &one, plus, err);
}

static struct forecast_amounts keep(const struct sum *s, struct arena *a)
{
	struct forecast_amount *list = arena_calloc(a, s->n + 1, sizeof(*list));

	for (size_t i = 0; i < s->n; i++)
		list[i] = (struct forecast_amount){arena_strdup(a, s->list[i].key), s->list[i].milli};
	return (struct forecast_amounts){list, s->n};
}

int forecast_requests(const json_t *pod_spec, struct arena *a, struct forecast_amounts *ret, struct err *err)
{
	struct sum all;

	if (add_up(pod_spec, &all, err) < 0)
		return -1;
	*ret = keep(&all, a);
	return 0;
}

struct forecast_node *forecast_node_decode(const json_t *node, struct err *err)
{
	CLEANUP_FREE char *text = json_compact(node);
	struct forecast_node *n;
	struct node *view = node_decode(slice_from(text), err);
	struct sum all;

	if (!view)
		return NULL;
	if (read_amounts(json_at(node, "status", "allocatable"), "status.allocatable", &all, err) < 0) {
		view_free(view);
		return NULL;
	}
	n = xcalloc(1, sizeof(*n));
	arena_init_small(&n->arena, OBJECT_ARENA_BLOCK);
	n->view = view;
	n->allocatable = keep(&all, &n->arena);
	return n;
}

void forecast_node_free(struct forecast_node *n)
{
	if (!n)
		return;
	view_free(n->view);
	arena_done(&n->arena);
	free(n);
}

struct forecast_pod *forecast_pod_decode(const json_t *pod, struct err *err)
{
	CLEANUP_FREE char *text = json_compact(pod);
	struct pod *view = pod_decode(slice_from(text), err);
	struct forecast_pod *p;

	if (!view)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	arena_init_small(&p->arena, OBJECT_ARENA_BLOCK);
	p->view = view;
	if (forecast_requests(json_at(pod, "spec"), &p->arena, &p->requests, err) < 0) {
		forecast_pod_free(p);
		return NULL;
	}
	return p;
}

void forecast_pod_free(struct forecast_pod *p)
{
	if (!p)
		return;
	view_free(p->view);
	arena_done(&p->arena);
	free(p);
}

/* ---- nodes in short ---- */

static int read_count(const json_t *entry, const char *key, int32_t min, int32_t max, int32_t *ret,
                      struct err *err)
{
	const json_t *v = json_at(entry, key);
	int64_t n = json_is_integer(v) ? json_integer_value(v) : -1;
	CLEANUP_FREE char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

	if (!v)
		return 0;
	if (n < min || n > max)
		return err_set(err, ERR_INVALID, "%s: %.80s is not a number between %" PRId32 " and %" PRId32, key,
		               text, min, max);
	*ret = (int32_t)n;
	return 0;
}

static int check_members(const json_t *entry, struct err *err)
{
	static const struct {
		const char *name;
		json_type type;
	} members[] = {
		{"type", JSON_STRING},        {"count", JSON_INTEGER}, {"gpus", JSON_INTEGER},
		{"labels", JSON_OBJECT},      {"taints", JSON_ARRAY},  {"unschedulable", JSON_TRUE},
		{"allocatable", JSON_OBJECT},
	};
	void *it = json_object_iter((json_t *)(uintptr_t)entry);

	for (; it; it = json_object_iter_next((json_t *)(uintptr_t)entry, it)) {
		const char *key = json_object_iter_key(it);
		const json_t *v = json_object_iter_value(it);
		size_t i = 0;

		while (i < ARRAY_LEN(members) && !str_eq(members[i].name, key))
			i++;
		if (i == ARRAY_LEN(members))
			return err_set(err, ERR_INVALID,
			               "%.80s: unknown; a node in short has type, count, gpus, labels, taints, "
			               "unschedulable and allocatable",
			               key);
		if (json_typeof(v) != members[i].type && members[i].type != JSON_INTEGER &&
		    !(json_is_false(v) && members[i].type == JSON_TRUE))
			return err_set(err, ERR_INVALID, "%s: must be %s", key,
			               members[i].type == JSON_OBJECT  ? "a map"
			               : members[i].type == JSON_ARRAY ? "a list"
			               : members[i].type == JSON_TRUE  ? "true or false"
			                                               : "an instance type, such as p5.48xlarge");
	}
	return 0;
}

static json_t *allocatable_of(const json_t *entry, int32_t gpus)
{
	json_t *all = json_must(json_object());

	json_put_str(all, "cpu", "1M");
	json_put_str(all, "memory", "1P");
	json_put_str(all, "ephemeral-storage", "1P");
	json_put_int(all, "pods", 110);
	if (gpus > 0)
		json_put_int(all, GPU_TAINT_KEY, gpus); /* the resource has the taint's name */
	if (json_at(entry, "allocatable") && json_object_update(all, json_at(entry, "allocatable")) < 0)
		json_must(NULL);
	return all;
}

static json_t *ready_condition(void)
{
	json_t *c = json_must(json_object()), *list = json_must(json_array());

	json_put_str(c, "type", "Ready");
	json_put_str(c, "status", "True");
	json_put_str(c, "lastTransitionTime", LONG_AGO);
	if (json_array_append_new(list, c) < 0)
		json_must(NULL);
	return list;
}

static json_t *node_in_short(const json_t *entry, const char *type, int32_t index, int32_t gpus)
{
	json_t *node = json_must(json_object()), *meta = json_child(node, "metadata"),
		   *labels = json_child(meta, "labels"), *spec = json_child(node, "spec"),
		   *status = json_child(node, "status"), *all = allocatable_of(entry, gpus);
	CLEANUP_FREE char *name = xasprintf("%s-%" PRId32, type, index);

	json_put_str(node, "kind", "Node");
	json_put_str(meta, "name", name);
	json_put_str(meta, "creationTimestamp", LONG_AGO);
	json_put_str(labels, NODE_LABEL_INSTANCE_TYPE, type);
	if (json_at(entry, "labels") && json_object_update(labels, json_at(entry, "labels")) < 0)
		json_must(NULL);
	if (json_at(entry, "taints"))
		json_set(spec, "taints", json_must(json_deep_copy(json_at(entry, "taints"))));
	json_put_bool(spec, "unschedulable", json_is_true(json_at(entry, "unschedulable")));
	json_set(status, "allocatable", all);
	json_set(status, "capacity", json_must(json_deep_copy(all)));
	json_set(status, "conditions", ready_condition());
	return node;
}

json_t *forecast_nodes_in_short(const json_t *entry, struct err *err)
{
	const char *type = json_string_value(json_at(entry, "type"));
	int32_t count = 1, gpus = 0;
	json_t *list;

	if (!json_is_object(entry)) {
		err_set(err, ERR_INVALID, "must be a map, such as {type: p5.48xlarge, count: 4, gpus: 8}");
		return NULL;
	}
	if (check_members(entry, err) < 0 || read_count(entry, "count", 0, MAX_COUNT, &count, err) < 0 ||
	    read_count(entry, "gpus", 0, MAX_COUNT, &gpus, err) < 0)
		return NULL;
	if (str_empty(type)) {
		err_set(err, ERR_INVALID, "type: missing: it must be an instance type, such as p5.48xlarge");
		return NULL;
	}
	list = json_must(json_array());
	for (int32_t i = 0; i < count; i++)
		if (json_array_append_new(list, node_in_short(entry, instance_type_strip(type), i + 1, gpus)) < 0)
			json_must(NULL);
	return list;
}
