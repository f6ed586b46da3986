/* Runs the stories in tests/golden: what is given, when, and what the planner is expected to decide. A story is a list of
 * steps; from step to step the status goes through its JSON form, as it does through the API. tests/golden/README.md tells
 * the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <cmocka.h>
#include "../golden_folder.h"
#include "api/names.h"
#include "base/json.h"
#include "base/yaml.h"
#include "plan/plan.h"

#define GOLDEN_DIR "tests/golden"
#define MAX_OLD 8

struct seen {
	struct plan_pool_seen pools[ENDPOINT_MAX_POOLS];
	struct plan_old_seen old[MAX_OLD];
	size_t n_old;
	const struct pod *const *grown;
	size_t n_grown;
};

struct story {
	const char *file;
	json_t *doc;
	json_t *object; /* the endpoint as the API holds it */
	struct seen seen;
	struct arena arena; /* strings of `seen` */
	size_t step;
};

static void complain(const struct story *s, const char *what, const char *expected, const char *actual)
{
	fail_msg("%s, step %zu: %s\n  expected: %s\n  actual:   %s", s->file, s->step + 1, what, expected,
	         actual);
}

/* "17:00:05" -> a moment of the stories' day; absent: not set. */
static struct wall moment(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	char full[WALL_RFC3339_SIZE];
	struct wall t = {0};
	struct err err = ERR_INIT;

	if (!text)
		return t;
	str_format(full, sizeof(full), "2026-11-25T%sZ", text);
	if (wall_parse(slice_from(full), &t, &err) < 0)
		fail_msg("%s: %s", full, err.message);
	return t;
}

static void read_count(const json_t *o, const char *key, int32_t *ret)
{
	const json_t *v = json_object_get(o, key);

	if (v)
		*ret = (int32_t)json_integer_value(v);
}

static const char *text_of(struct story *s, const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? arena_strdup(&s->arena, text) : NULL;
}

/* [{name: p5-a, ready: true, marked: true}] */
static const struct pod *const *read_pods(struct story *s, const json_t *list, size_t *ret_n)
{
	const struct pod **pods = arena_calloc(&s->arena, json_array_size(list) + 1, sizeof(*pods));
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		struct pod *p = arena_calloc(&s->arena, 1, sizeof(*p));

		p->meta.name = text_of(s, o, "name");
		p->ready = json_is_true(json_object_get(o, "ready"));
		if (json_is_true(json_object_get(o, "marked")))
			p->deletion_cost = DELETION_COST_FIRST;
		pods[i] = p;
	}
	*ret_n = json_array_size(list);
	return pods;
}

static void read_why(struct story *s, const json_t *o, struct classify_output *why)
{
	const char *reason = json_string_value(json_object_get(o, "reason"));

	*why = (struct classify_output){0};
	if (!reason)
		return;
	if (!pool_reason_parse(reason, &why->reason))
		fail_msg("%s: no such reason: %s", s->file, reason);
	why->explicit_evidence = json_is_true(json_object_get(o, "definite"));
	why->deadline = moment(o, "deadline");
	read_count(o, "onTheWay", &why->on_the_way);
	why->message = text_of(s, o, "message");
	why->unpromised = read_pods(s, json_object_get(o, "unpromised"), &why->n_unpromised);
	if (!why->message)
		why->message = reason;
}

static void read_startup(struct story *s, const json_t *o, struct startup_output *ret)
{
	const char *reason = json_string_value(json_object_get(o, "reason"));

	*ret = (struct startup_output){0};
	if (!o)
		return;
	if (reason && !pool_reason_parse(reason, &ret->reason))
		fail_msg("%s: no such reason: %s", s->file, reason);
	read_count(o, "failed", &ret->failed);
	ret->deadline = moment(o, "deadline");
	ret->message = text_of(s, o, "message");
}

static void read_blocked(struct story *s, const json_t *o, struct plan_pool_seen *p)
{
	const json_t *blocked = json_object_get(o, "blocked");

	if (!blocked)
		return;
	p->blocked = text_of(s, blocked, "message");
	p->blocked_reason = text_of(s, blocked, "reason");
	p->blocked_as = str_eq(p->blocked_reason, "ModelMissing") ? COND_MODEL_MISSING : COND_STALLED;
}

static void read_shortage(struct story *s, const json_t *o, struct plan_shortage *ret)
{
	const char *reason = json_string_value(json_object_get(o, "reason"));

	*ret = (struct plan_shortage){0};
	if (!json_is_object(o))
		return;
	if (reason && !pool_reason_parse(reason, &ret->reason))
		fail_msg("%s: no such reason: %s", s->file, reason);
	ret->struck = moment(o, "struck");
	ret->until = moment(o, "until");
	ret->taken = moment(o, "taken");
	ret->message = text_of(s, o, "message");
}

static void read_pool(struct story *s, const json_t *o, struct plan_pool_seen *p)
{
	const json_t *exists = json_object_get(o, "exists"), *provides = json_object_get(o, "providesNodes");

	p->asked = -1;
	read_count(o, "asked", &p->asked);
	read_count(o, "want", &p->want);
	read_count(o, "bound", &p->bound);
	read_count(o, "ready", &p->ready);
	if (exists)
		p->exists = json_is_true(exists);
	else if (json_object_get(o, "want"))
		p->exists = true;
	if (provides)
		p->provides_nodes = json_is_true(provides);
	if (json_object_get(o, "created"))
		p->created = moment(o, "created");
	if (json_object_get(o, "lastBind"))
		p->last_bind = moment(o, "lastBind");
	if (json_object_get(o, "nodeReady"))
		p->node_ready = moment(o, "nodeReady");
	p->template_changed_by = text_of(s, o, "templateChangedBy");
	p->oldest_wait = moment(o, "oldestWait");
	if (json_object_get(o, "lost"))
		p->lost = read_pods(s, json_object_get(o, "lost"), &p->n_lost);
	read_startup(s, json_object_get(o, "startup"), &p->startup);
	read_why(s, o, &p->why);
	read_blocked(s, o, p);
	if (json_object_get(o, "shortage"))
		read_shortage(s, json_object_get(o, "shortage"), &p->shortage);
}

static size_t pool_index(const struct story *s, const struct endpoint *e, const char *name)
{
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (str_eq(e->spec.pools[i].name, name))
			return i;
	fail_msg("%s, step %zu: no such pool: %s", s->file, s->step + 1, name);
	return 0;
}

static void read_old(struct story *s, const json_t *list)
{
	size_t i;
	json_t *o;

	s->seen.n_old = 0;
	json_array_foreach(list, i, o) {
		struct plan_old_seen *old = &s->seen.old[s->seen.n_old++];

		assert_true(s->seen.n_old <= MAX_OLD);
		*old = (struct plan_old_seen){.name = text_of(s, o, "name"), .pool = text_of(s, o, "pool")};
		read_count(o, "want", &old->want);
		read_count(o, "bound", &old->bound);
		read_count(o, "ready", &old->ready);
		old->pods_left = old->bound > 0 || json_is_true(json_object_get(o, "podsLeft"));
	}
}

static void read_seen(struct story *s, const struct endpoint *e, const json_t *step)
{
	const char *name;
	json_t *o, *old = json_object_get(step, "old");

	for (size_t i = 0; i < ENDPOINT_MAX_POOLS; i++) { /* what is not said again does not hold any more */
		s->seen.pools[i].why = (struct classify_output){0};
		s->seen.pools[i].blocked = NULL;
		s->seen.pools[i].startup = (struct startup_output){0};
		s->seen.pools[i].template_changed_by = NULL;
	}
	s->seen.grown = read_pods(s, json_object_get(step, "grown"), &s->seen.n_grown);
	json_object_foreach(json_object_get(step, "seen"), name, o)
		read_pool(s, o, &s->seen.pools[pool_index(s, e, name)]);
	if (old)
		read_old(s, old);
}

static const char *step_text(const struct story *s, const struct endpoint *e, const struct plan_step *p,
                             struct buf *out)
{
	buf_clear(out);
	switch (p->type) {
	case PLAN_RESTORE:
		buf_addf(out, "restore %s", e->spec.pools[p->index].name);
		break;
	case PLAN_CREATE:
		buf_addf(out, "create %s %" PRId32, e->spec.pools[p->index].name, p->to);
		break;
	case PLAN_SCALE:
		buf_addf(out, "%s %" PRId32 " -> %" PRId32, e->spec.pools[p->index].name, p->from, p->to);
		break;
	case PLAN_SCALE_OLD:
		buf_addf(out, "old %s %" PRId32 " -> %" PRId32, s->seen.old[p->index].name, p->from, p->to);
		break;
	case PLAN_DELETE_OLD:
		buf_addf(out, "delete old %s", s->seen.old[p->index].name);
		break;
	case PLAN_FIRST_TO_GO:
		buf_addf(out, "first to go %s", p->pod->meta.name);
		break;
	case PLAN_UNPROTECT:
		buf_addf(out, "unprotect %s", p->pod->meta.name);
		break;
	}
	return buf_slice(out).ptr;
}

static void check_list(const struct story *s, const char *what, const json_t *expected, json_t *actual)
{
	char *want = expected ? json_compact(expected) : NULL, *got = json_compact(actual);

	if (expected && !json_equal(expected, actual))
		complain(s, what, want, got);
	free(want);
	free(got);
	json_decref(actual);
}

static void check_steps(const struct story *s, const struct endpoint *e, const json_t *expected,
                        const struct plan_output *out)
{
	json_t *actual = json_array();
	struct buf text CLEANUP_BUF;

	buf_init(&text, 512);
	for (size_t i = 0; i < out->n_steps; i++)
		json_array_append_new(actual, json_string(step_text(s, e, &out->steps[i], &text)));
	check_list(s, "steps", expected, actual);
}

static void check_held_back(const struct story *s, const struct endpoint *e, const json_t *expected,
                            const struct plan_output *out)
{
	json_t *actual = json_array();

	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (out->held_back[i])
			json_array_append_new(actual, json_string(e->spec.pools[i].name));
	check_list(s, "heldBack", expected, actual);
}

static void check_events(const struct story *s, const json_t *expected, const struct plan_output *out)
{
	json_t *actual = json_array();

	for (size_t i = 0; i < out->n_events; i++)
		json_array_append_new(actual, json_string(out->events[i].reason));
	check_list(s, "events", expected, actual);
}

/* Times are written short in stories. */
static bool same_scalar(const json_t *expected, const json_t *actual)
{
	const char *want = json_string_value(expected), *got = json_string_value(actual);

	if (json_equal(expected, actual))
		return true;
	return want && got && strlen(want) == 8 && str_starts(got, "2026-11-25T") &&
	       strncmp(got + 11, want, 8) == 0;
}

/* Everything that is expected is there; null means that a member is absent. */
static void check_subset(const struct story *s, const char *path, json_t *expected, json_t *actual)
{
	const char *key;
	json_t *v;

	if (json_is_object(expected) && json_is_object(actual)) {
		json_object_foreach(expected, key, v) {
			char *below = xasprintf("%s.%s", path, key);
			json_t *there = json_object_get(actual, key);

			if (!(json_is_null(v) && !there))
				check_subset(s, below, v, there);
			free(below);
		}
	} else if (!actual || !same_scalar(expected, actual)) {
		char *want = json_dumps(expected, JSON_ENCODE_ANY),
			 *got = actual ? json_dumps(actual, JSON_ENCODE_ANY) : xstrdup("absent");

		complain(s, path, want, got);
	}
}

/* instancePools and conditions as objects by name, which is how stories write them. */
static json_t *by_key(json_t *list, const char *key)
{
	json_t *o = json_object(), *v;
	size_t i;

	json_array_foreach(list, i, v)
		json_object_set(o, json_string_value(json_object_get(v, key)), v);
	return o;
}

static void check_status(const struct story *s, const json_t *expect, json_t *status)
{
	CLEANUP_JSON json_t *pools = by_key(json_object_get(status, "instancePools"), "name");
	CLEANUP_JSON json_t *conditions = by_key(json_object_get(status, "conditions"), "type");

	if (json_object_get(expect, "status"))
		check_subset(s, "status", json_object_get(expect, "status"), status);
	if (json_object_get(expect, "pools"))
		check_subset(s, "pools", json_object_get(expect, "pools"), pools);
	if (json_object_get(expect, "conditions"))
		check_subset(s, "conditions", json_object_get(expect, "conditions"), conditions);
}

static void check_wake(const struct story *s, const json_t *expect, const struct plan_output *out)
{
	const char *want = json_string_value(json_object_get(expect, "wake"));
	char got[WALL_RFC3339_SIZE] = "never";

	if (!want)
		return;
	if (wall_is_set(out->wake))
		wall_format(out->wake, got);
	if (!str_eq(want, got) && (strlen(got) < 20 || strncmp(got + 11, want, strlen(want)) != 0))
		complain(s, "wake", want, got);
}

static void check_progress(const struct story *s, const json_t *expect, const struct plan_output *out)
{
	const json_t *want = json_object_get(expect, "onlyProgress");

	if (want && json_is_true(want) != out->only_progress)
		complain(s, "onlyProgress", out->only_progress ? "false" : "true",
		         out->only_progress ? "true" : "false");
}

/* The Deployments follow the plan: what is lowered is gone, what is raised waits. */
static void carry_out(struct story *s, const struct plan_output *out)
{
	for (size_t i = 0; i < out->n_steps; i++) {
		const struct plan_step *p = &out->steps[i];

		if (p->type == PLAN_CREATE || p->type == PLAN_SCALE) {
			struct plan_pool_seen *pool = &s->seen.pools[p->index];

			pool->exists = true;
			pool->want = p->to;
			pool->bound = pool->bound < p->to ? pool->bound : p->to;
			pool->ready = pool->ready < p->to ? pool->ready : p->to;
			if (pool->n_lost > (size_t)(p->to - pool->bound))
				pool->n_lost = (size_t)(p->to - pool->bound);
		}
	}
}

static struct endpoint *decode(const struct story *s)
{
	char *text = json_compact(s->object);
	struct err err = ERR_INIT;
	struct endpoint *e = endpoint_decode(slice_from(text), &err);

	free(text);
	if (!e)
		fail_msg("%s: %s", s->file, err.message);
	return e;
}

/* Pools keep what was seen of them when the list changes its order. */
static void reorder_seen(struct story *s, const struct endpoint *before, const struct endpoint *after)
{
	struct seen was = s->seen;

	for (size_t i = 0; i < after->spec.n_pools; i++) {
		s->seen.pools[i] = (struct plan_pool_seen){0};
		for (size_t k = 0; k < before->spec.n_pools; k++)
			if (str_eq(before->spec.pools[k].name, after->spec.pools[i].name))
				s->seen.pools[i] = was.pools[k];
	}
}

static void change_spec(struct story *s, json_t *change)
{
	json_t *meta = json_object_get(s->object, "metadata");
	struct endpoint *before, *after;

	if (!change)
		return;
	before = decode(s);
	json_object_update(json_object_get(s->object, "spec"), change);
	json_object_set_new(meta, "generation",
	                    json_integer(json_integer_value(json_object_get(meta, "generation")) + 1));
	after = decode(s);
	reorder_seen(s, before, after);
	endpoint_free(before);
	endpoint_free(after);
}

static void run_step(struct story *s, json_t *step)
{
	CLEANUP_ARENA struct arena a;
	const json_t *expect = json_object_get(step, "expect");
	struct plan_input in = {0};
	struct plan_output out, again;
	struct endpoint *e;
	json_t *applied;

	arena_init(&a);
	change_spec(s, json_object_get(step, "spec"));
	if (str_eq(json_string_value(json_object_get(step, "status")), "lost"))
		json_object_del(s->object, "status");
	e = decode(s);
	read_seen(s, e, step);
	in.endpoint = e;
	memcpy(in.pools, s->seen.pools, sizeof(in.pools));
	in.old = s->seen.old;
	in.n_old = s->seen.n_old;
	in.grown = s->seen.grown;
	in.n_grown = s->seen.n_grown;
	plan(&in, moment(step, "now"), &a, &out);
	check_steps(s, e, json_object_get(expect, "steps"), &out);
	check_events(s, json_object_get(expect, "events"), &out);
	check_held_back(s, e, json_object_get(expect, "heldBack"), &out);
	check_wake(s, expect, &out);
	check_progress(s, expect, &out);
	check_progress(s, expect, &out);
	applied = endpoint_status_apply(e, &out.status);
	check_status(s, expect, json_object_get(applied, "status"));

	/* The same input gives the same output. */
	plan(&in, moment(step, "now"), &a, &again);
	assert_true(endpoint_status_equal(&out.status, &again.status));
	assert_int_equal(out.n_steps, again.n_steps);

	if (!json_is_true(json_object_get(step, "statusNotWritten")))
		json_object_set(s->object, "status", json_object_get(applied, "status"));
	if (!json_is_true(json_object_get(step, "stepsNotWritten")))
		carry_out(s, &out);
	json_decref(applied);
	endpoint_free(e);
}

static json_t *endpoint_object(json_t *spec)
{
	json_t *o =
		json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:i}}", "apiVersion",
	              "inference.instancepool.dev/v1alpha1", "kind", "InstancePoolEndpoint", "metadata", "name",
	              "llm", "namespace", "default", "uid", "u-1", "resourceVersion", "1", "generation", 1);

	json_object_set(o, "spec", spec);
	return o;
}

static void run_story(void **state)
{
	struct story s = {.file = *state};
	struct buf text CLEANUP_BUF;
	struct err err = ERR_INIT;
	json_t *step;

	golden_read(GOLDEN_DIR, s.file, &text);
	s.doc = yaml_parse(buf_slice(&text), &err);
	if (!s.doc)
		fail_msg("%s: %s", s.file, err.message);
	arena_init(&s.arena);
	s.object = endpoint_object(json_object_get(s.doc, "spec"));
	assert_true(json_array_size(json_object_get(s.doc, "steps")) > 0);
	json_array_foreach(json_object_get(s.doc, "steps"), s.step, step)
		run_step(&s, step);
	arena_done(&s.arena);
	json_decref(s.object);
	json_decref(s.doc);
}

int main(void)
{
	return golden_run("golden", GOLDEN_DIR, ".yaml", run_story);
}
