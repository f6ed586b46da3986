/* Plays the cases in tests/golden/forecast; README.md there tells the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <cmocka.h>
#include "../golden_folder.h"
#include "api/names.h"
#include "api/workload.h"
#include "base/json.h"
#include "base/yaml.h"
#include "forecast/forecast.h"

#define GOLDEN_DIR "tests/golden/forecast"
#define NOW "2026-11-25T17:00:00Z"
#define LONG_AGO "2026-11-20T17:00:00Z"
#define MAX_OBJECTS 64

struct scene {
	const char *file;
	json_t *doc;
	struct endpoint *endpoint, *others[MAX_OBJECTS];
	const struct model *models[MAX_OBJECTS];
	const struct forecast_node *nodes[MAX_OBJECTS];
	const struct forecast_pod *pods[MAX_OBJECTS];
	const struct deployment *deployments[MAX_OBJECTS];
	const struct forecast_unreadable *unreadable[MAX_OBJECTS];
	const char *out[ENDPOINT_MAX_POOLS];
	struct forecast_input in;
	struct arena arena;
};

static void check(const struct scene *s, const void *object, const struct err *err)
{
	if (!object)
		fail_msg("%s: %s", s->file, err->message);
}

static struct slice text_of(struct scene *s, const json_t *o)
{
	CLEANUP_FREE char *text = json_compact(o);

	return slice_from(arena_strdup(&s->arena, text));
}

static json_t *meta_of(const char *name)
{
	return json_must(
		json_pack("{s:s,s:s,s:s,s:i}", "name", name, "namespace", "default", "uid", "u-1", "generation", 1));
}

static struct endpoint *endpoint_of(struct scene *s, const char *name, const json_t *from)
{
	CLEANUP_JSON json_t *o = json_must(json_object());
	struct err err = ERR_INIT;
	struct endpoint *e;

	json_set(o, "metadata", meta_of(name));
	if (json_is_true(json_object_get(from, "deleted")))
		json_put_str(json_at(o, "metadata"), "deletionTimestamp", NOW);
	json_set(o, "spec", json_incref(json_object_get(from, "spec")));
	if (json_object_get(from, "status"))
		json_set(o, "status", json_incref(json_object_get(from, "status")));
	e = endpoint_decode(text_of(s, o), &err);
	check(s, e, &err);
	return e;
}

/* llm: {gpus: 8, pod: {more of the PodSpec}, container: {more of the container}} */
static void add_model(struct scene *s, const char *name, const json_t *from)
{
	CLEANUP_JSON json_t *o = json_must(json_object());
	json_t *spec = json_child(json_child(json_child(o, "spec"), "template"), "spec"),
		   *containers = json_must(json_array()), *container = json_must(json_object());
	struct err err = ERR_INIT;
	struct model *m;

	json_set(o, "metadata", meta_of(name));
	json_put_str(container, "name", "server");
	json_put_str(container, "image", "example/llm:1");
	json_set(json_child(json_child(container, "resources"), "limits"), "nvidia.com/gpu",
	         json_must(json_integer(json_integer_value(json_object_get(from, "gpus")))));
	if (json_object_get(from, "container"))
		json_object_update_recursive(container, json_object_get(from, "container"));
	json_array_append_new(containers, container);
	json_set(spec, "containers", containers);
	if (json_object_get(from, "pod"))
		json_object_update(spec, json_object_get(from, "pod"));
	m = model_decode(text_of(s, o), &err);
	check(s, m, &err);
	s->models[s->in.n_models++] = m;
}

static void add_nodes(struct scene *s, const json_t *entry)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *list =
		json_at(entry, "metadata") ? json_pack("[O]", entry) : forecast_nodes_in_short(entry, &err);
	json_t *o;
	size_t i;

	check(s, list, &err);
	json_array_foreach(list, i, o) {
		struct forecast_node *n = forecast_node_decode(o, &err);

		check(s, n, &err);
		assert_true(s->in.n_nodes < MAX_OBJECTS);
		s->nodes[s->in.n_nodes++] = n;
	}
}

static void add_pod(struct scene *s, const json_t *o)
{
	struct err err = ERR_INIT;
	struct forecast_pod *p = forecast_pod_decode(o, &err);

	check(s, p, &err);
	assert_true(s->in.n_pods < MAX_OBJECTS);
	s->pods[s->in.n_pods++] = p;
}

/* Somebody else's: {node: p5.48xlarge-1, gpus: 8, cpu: 4, ending: true} */
static void add_stranger(struct scene *s, const json_t *from)
{
	CLEANUP_FREE char *name = xasprintf("stranger-%zu", s->in.n_pods);
	CLEANUP_JSON json_t *o = json_must(
		json_pack("{s:o,s:{s:O,s:[{s:{s:{s:i}}}]},s:{s:s}}", "metadata", meta_of(name), "spec", "nodeName",
	              json_object_get(from, "node"), "containers", "resources", "requests", "nvidia.com/gpu",
	              (int)json_integer_value(json_object_get(from, "gpus")), "status", "phase", "Running"));

	if (json_object_get(from, "cpu"))
		json_set(json_at(json_array_get(json_at(o, "spec", "containers"), 0), "resources", "requests"), "cpu",
		         json_incref(json_object_get(from, "cpu")));
	if (json_is_true(json_object_get(from, "ending")))
		json_put_str(json_at(o, "metadata"), "deletionTimestamp", NOW);
	add_pod(s, o);
}

static void add_deployment(struct scene *s, const char *pool, const char *revision, const char *owner,
                           int32_t replicas)
{
	char name[NAME_MAX_BYTES + 1];
	CLEANUP_JSON json_t *o = NULL, *meta = NULL;
	struct err err = ERR_INIT;
	struct deployment *d;

	deployment_name("llm", pool, revision, name);
	meta = meta_of(name);
	json_object_update_new(meta,
	                       json_pack("{s:{s:s,s:s,s:s},s:[{s:s,s:b}],s:s}", "labels", LABEL_ENDPOINT, "llm",
	                                 LABEL_POOL, pool, LABEL_REVISION, revision, "ownerReferences", "uid",
	                                 owner, "controller", 1, "creationTimestamp", LONG_AGO));
	o = json_must(json_pack("{s:O,s:{s:i}}", "metadata", meta, "spec", "replicas", (int)replicas));
	d = deployment_decode(text_of(s, o), &err);
	check(s, d, &err);
	s->deployments[s->in.n_deployments++] = d;
}

/* The pod was made a moment ago, and something put a gate on it. */
static void put_gate(json_t *pod)
{
	json_object_del(json_at(pod, "spec"), "nodeName");
	json_put_str(json_at(pod, "metadata"), "creationTimestamp", NOW);
	json_set(pod, "status",
	         json_must(json_pack("{s:s,s:[{s:s,s:s,s:s,s:s}]}", "phase", "Pending", "conditions", "type",
	                             "PodScheduled", "status", "False", "reason", "SchedulingGated",
	                             "lastTransitionTime", NOW)));
}

/* A Ready instance of ours; `how` may say {node, failing: true, gated: true, gpus, grace}. */
static void add_instance(struct scene *s, const char *pool, const char *revision, const json_t *how)
{
	char name[NAME_MAX_BYTES + 1];
	CLEANUP_JSON json_t *o = NULL, *conditions = json_must(json_array());
	CLEANUP_FREE char *pod_name = NULL;
	bool failing = json_is_true(json_object_get(how, "failing"));
	json_t *status;

	deployment_name("llm", pool, revision, name);
	pod_name = xasprintf("%s-%zu", name, s->in.n_pods);
	json_array_append_new(conditions, json_pack("{s:s,s:s,s:s}", "type", "PodScheduled", "status", "True",
	                                            "lastTransitionTime", LONG_AGO));
	json_array_append_new(conditions, json_pack("{s:s,s:s,s:s}", "type", "Ready", "status",
	                                            failing ? "False" : "True", "lastTransitionTime", LONG_AGO));
	o = json_must(json_pack("{s:{s:s,s:s,s:s,s:{s:s,s:s,s:s}},s:{s:O*,s:[{s:{s:{s:i}}}]},s:{s:s,s:O}}",
	                        "metadata", "name", pod_name, "namespace", "default", "creationTimestamp",
	                        LONG_AGO, "labels", LABEL_ENDPOINT, "llm", LABEL_POOL, pool, LABEL_REVISION,
	                        revision, "spec", "nodeName", json_object_get(how, "node"), "containers",
	                        "resources", "requests", "nvidia.com/gpu",
	                        (int)json_integer_value(json_object_get(how, "gpus")), "status", "phase",
	                        "Running", "conditions", conditions));
	status = json_at(o, "status");
	if (failing)
		json_set(status, "containerStatuses",
		         json_pack("[{s:s,s:s,s:b,s:{s:{s:s}}}]", "name", "server", "image", "example/llm:1", "ready",
		                   0, "state", "waiting", "reason", "ImagePullBackOff"));
	if (json_object_get(how, "grace"))
		json_set(json_at(o, "spec"), "terminationGracePeriodSeconds",
		         json_incref(json_object_get(how, "grace")));
	if (json_is_true(json_object_get(how, "gated")))
		put_gate(o);
	add_pod(s, o);
}

static const struct model *model_named(const struct scene *s, const char *name)
{
	for (size_t i = 0; i < s->in.n_models; i++)
		if (str_eq(s->models[i]->meta.name, name))
			return s->models[i];
	fail_msg("%s: no model %s", s->file, name);
	return NULL;
}

/* instances: {POOL: [{node, gpus}, ...]}: the endpoint is there already, with one Deployment for each pool. */
static void add_instances(struct scene *s, const json_t *by_pool)
{
	const json_t *how;
	size_t i;

	for (size_t k = 0; by_pool && k < s->endpoint->spec.n_pools; k++) {
		const struct endpoint_pool *p = &s->endpoint->spec.pools[k];
		const json_t *list = json_object_get(by_pool, p->name);
		char revision[REVISION_SIZE];

		pool_revision(s->endpoint, p, model_named(s, p->model_name), revision);
		add_deployment(s, p->name, revision, "u-1", (int32_t)json_array_size(list));
		json_array_foreach(list, i, how)
			add_instance(s, p->name, revision, how);
	}
}

static void add_older(struct scene *s, json_t *by_pool)
{
	const json_t *how;
	const char *pool;
	json_t *list;
	size_t i;

	json_object_foreach(by_pool, pool, list) {
		add_deployment(s, pool, "older", "u-1", (int32_t)json_array_size(list));
		json_array_foreach(list, i, how)
			add_instance(s, pool, "older", how);
	}
}

/* taken: [POOL, ...]: its Deployment's name is another's. */
static void add_taken(struct scene *s, const json_t *pools)
{
	for (size_t i = 0; i < s->endpoint->spec.n_pools; i++) {
		const struct endpoint_pool *p = &s->endpoint->spec.pools[i];
		char revision[REVISION_SIZE];
		const json_t *name;
		size_t k;

		json_array_foreach(pools, k, name) {
			if (!str_eq(json_string_value(name), p->name))
				continue;
			pool_revision(s->endpoint, p, model_named(s, p->model_name), revision);
			add_deployment(s, p->name, revision, "u-2", 1);
		}
	}
}

static void add_unreadable(struct scene *s, const char *name, const char *why)
{
	struct forecast_unreadable *u = arena_alloc(&s->arena, sizeof(*u));

	*u = (struct forecast_unreadable){"default", name, why};
	s->unreadable[s->in.n_unreadable++] = u;
}

static void read_scene(struct scene *s)
{
	const json_t *o;
	const char *name;
	json_t *v;
	size_t i;
	struct err err = ERR_INIT;

	s->endpoint = endpoint_of(s, "llm", s->doc);
	json_object_foreach(json_object_get(s->doc, "models"), name, v)
		add_model(s, name, v);
	json_array_foreach(json_object_get(s->doc, "nodes"), i, o)
		add_nodes(s, o);
	json_array_foreach(json_object_get(s->doc, "strangers"), i, o)
		add_stranger(s, o);
	add_instances(s, json_object_get(s->doc, "instances"));
	add_older(s, json_object_get(s->doc, "older"));
	add_taken(s, json_object_get(s->doc, "taken"));
	json_object_foreach(json_object_get(s->doc, "unreadable"), name, v)
		add_unreadable(s, name, json_string_value(v));
	json_object_foreach(json_object_get(s->doc, "others"), name, v)
		s->others[s->in.n_others++] = endpoint_of(s, name, v);
	json_array_foreach(json_object_get(s->doc, "out"), i, o)
		s->out[s->in.n_out++] = json_string_value(o);
	s->in.instance_count = -1;
	if (json_object_get(s->doc, "count"))
		s->in.instance_count = (int32_t)json_integer_value(json_object_get(s->doc, "count"));
	name = json_string_value(json_object_get(s->doc, "newNodes"));
	s->in.adds_nodes = str_eq(name, "come")        ? FORECAST_NODES_COME
	                   : str_eq(name, "stay away") ? FORECAST_NODES_STAY_AWAY
	                                               : FORECAST_NODES_FIXED;
	s->in.endpoint = s->endpoint;
	s->in.models = s->models;
	s->in.unreadable = s->unreadable;
	s->in.nodes = s->nodes;
	s->in.pods = s->pods;
	s->in.deployments = s->deployments;
	s->in.others = (const struct endpoint *const *)s->others;
	s->in.out = s->out;
	assert_int_equal(wall_parse(SLICE_LIT(NOW), &s->in.now, &err), 0);
}

static void free_scene(struct scene *s)
{
	endpoint_free(s->endpoint);
	for (size_t i = 0; i < s->in.n_others; i++)
		endpoint_free(s->others[i]);
	for (size_t i = 0; i < s->in.n_models; i++)
		model_free((struct model *)(uintptr_t)s->models[i]);
	for (size_t i = 0; i < s->in.n_nodes; i++)
		forecast_node_free((struct forecast_node *)(uintptr_t)s->nodes[i]);
	for (size_t i = 0; i < s->in.n_pods; i++)
		forecast_pod_free((struct forecast_pod *)(uintptr_t)s->pods[i]);
	for (size_t i = 0; i < s->in.n_deployments; i++)
		view_free((struct deployment *)(uintptr_t)s->deployments[i]);
	json_decref(s->doc);
	arena_done(&s->arena);
}

/* "p5-48xlarge: 2 land, 0 wait, BackOff, StockOut: no room ..." */
static json_t *pools_text(const struct endpoint_status *st)
{
	json_t *list = json_must(json_array());

	for (size_t i = 0; i < st->n_pools; i++) {
		const struct pool_status *p = &st->pools[i];
		CLEANUP_FREE char *text =
			xasprintf("%s: %" PRId32 " land, %" PRId32 " wait, %s%s%s%s%s", p->name, p->current + p->starting,
		              p->waiting, pool_state_name(p->state), p->reason ? ", " : "",
		              pool_reason_name(p->reason), p->message ? ": " : "", p->message ? p->message : "");

		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *conditions_text(const struct endpoint_status *st)
{
	json_t *list = json_must(json_array());

	for (enum condition_type t = 0; t < CONDITION_COUNT; t++)
		if (st->conditions[t].present && st->conditions[t].status)
			json_array_append_new(list, json_string(condition_type_name(t)));
	return list;
}

static json_t *lines_text(const struct forecast *f)
{
	json_t *list = json_must(json_array());

	for (size_t i = 0; i < f->n_lines; i++) {
		CLEANUP_FREE char *text =
			xasprintf("%.1f %s", (double)f->lines[i].after_ms / 1000.0, f->lines[i].text);

		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *notes_text(const struct forecast *f)
{
	json_t *list = json_must(json_array());

	for (size_t i = 0; i < f->n_notes; i++)
		json_array_append_new(list, json_string(f->notes[i]));
	return list;
}

static json_t *to_json(const struct forecast *f)
{
	json_t *o = json_must(json_object());

	json_set(o, "first", pools_text(&f->first));
	json_set(o, "rest", pools_text(&f->rest));
	json_put_int(o, "missing", forecast_missing(&f->rest));
	json_put_str(o, "phase", endpoint_phase_name(f->rest.phase));
	json_set(o, "conditions", conditions_text(&f->rest));
	json_set(o, "lines", lines_text(f));
	json_put_int(o, "afterSeconds", f->rest_after_ms / MS_PER_S);
	json_put_bool(o, "rests", f->rests);
	json_put_bool(o, "repeats", f->repeats);
	json_set(o, "notes", notes_text(f));
	return o;
}

/* What is expected is so; what is not mentioned may be anything. */
static void compare(const struct scene *s, json_t *expected, const json_t *actual)
{
	const char *key;
	json_t *v;

	assert_true(json_object_size(expected) > 0);
	json_object_foreach(expected, key, v) {
		const json_t *is = json_object_get(actual, key);
		CLEANUP_FREE char *want = json_dumps(v, JSON_ENCODE_ANY | JSON_INDENT(2)),
						  *got = is ? json_dumps(is, JSON_ENCODE_ANY | JSON_INDENT(2)) : xstrdup("absent");

		if (!is || !json_equal(v, is))
			fail_msg("%s: %s\nexpected: %s\nactual: %s", s->file, key, want, got);
	}
}

static void play(void **state)
{
	struct scene s = {.file = *state};
	struct buf text CLEANUP_BUF;
	struct err err = ERR_INIT;
	struct forecast f, again;
	CLEANUP_JSON json_t *actual = NULL, *same = NULL;

	golden_read(GOLDEN_DIR, s.file, &text);
	arena_init(&s.arena);
	s.doc = yaml_parse(buf_slice(&text), &err);
	if (!s.doc)
		fail_msg("%s: %s", s.file, err.message);
	read_scene(&s);
	forecast(&s.in, &s.arena, &f);
	actual = to_json(&f);
	compare(&s, json_object_get(s.doc, "expect"), actual);
	forecast(&s.in, &s.arena, &again);
	same = to_json(&again);
	assert_true(json_equal(actual, same));
	free_scene(&s);
}

int main(void)
{
	return golden_run("forecast", GOLDEN_DIR, ".yaml", play);
}
