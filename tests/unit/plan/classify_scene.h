#pragma once
/* A scene for the classifier: one pool of one endpoint, its pods and nodes; and what each answer keeps to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "plan/classify.h"

/* Times are seconds of one afternoon; half a second is what the API cuts off. */
#define T0_MS INT64_C(1795626000000)
#define MINUTE 60
#define HOUR 3600

#define GPU "nvidia.com/gpu"
#define OTHERS "10 node(s) didn't match Pod's node affinity/selector"
#define HELPLESS " preemption: 0/11 nodes are available: 11 Preemption is not helpful for scheduling."
#define NO_ROOM "0/11 nodes are available: 1 Insufficient " GPU ", " OTHERS "." HELPLESS
#define NO_MATCH "0/10 nodes are available: " OTHERS "." HELPLESS
#define TAINTED_129 \
	"0/11 nodes are available: 1 node(s) had untolerated taint {team: a}, " OTHERS "." HELPLESS
#define TAINTED_136 "0/11 nodes are available: 1 node(s) had untolerated taint(s), " OTHERS "." HELPLESS
#define CORDONED "0/11 nodes are available: 1 node(s) were unschedulable, " OTHERS "." HELPLESS

#define SCENE_MAX 8

struct scene {
	struct classify_input in;
	struct pod pods[SCENE_MAX], leaving[SCENE_MAX];
	struct node nodes[SCENE_MAX];
	struct jqty devices[SCENE_MAX][2]; /* capacity and allocatable of each node */
	struct node_taint taints[SCENE_MAX];
	struct jqty asked;
	const struct pod *pod_refs[SCENE_MAX], *leaving_refs[SCENE_MAX];
	const struct node *node_refs[SCENE_MAX];
	struct classify_hint hints[SCENE_MAX], hint_refs[SCENE_MAX]; /* of the pods; in the order of their refs */
	struct arena arena;
};

static inline struct wall at(double s)
{
	return (struct wall){T0_MS + (int64_t)(s * 1000)};
}

/* One endpoint that asks for `waiting` instances of 8 GPUs where nobody brings nodes. */
static inline int open_scene(void **state)
{
	struct scene *sc = xcalloc(1, sizeof(*sc));
	arena_init(&sc->arena);
	sc->asked = (struct jqty){GPU, 8};
	for (size_t i = 0; i < SCENE_MAX; i++) {
		sc->pod_refs[i] = &sc->pods[i];
		sc->leaving_refs[i] = &sc->leaving[i];
		sc->node_refs[i] = &sc->nodes[i];
	}
	sc->in = (struct classify_input){.waiting = 1,
	                                 .pods = sc->pod_refs,
	                                 .hints = sc->hint_refs,
	                                 .nodes = sc->node_refs,
	                                 .leaving = sc->leaving_refs,
	                                 .resources = &sc->asked,
	                                 .n_resources = 1};
	*state = sc;
	return 0;
}

static inline int close_scene(void **state)
{
	struct scene *sc = *state;
	arena_done(&sc->arena);
	free(sc);
	return 0;
}

static inline void start_again(void **state)
{
	close_scene(state);
	open_scene(state);
}

/* A Ready node that has been there for hours; all its devices are allocatable. */
static inline struct node *node(struct scene *sc, const char *name, int64_t gpus)
{
	size_t i = sc->in.n_nodes++;
	sc->devices[i][0] = sc->devices[i][1] = (struct jqty){GPU, gpus};
	sc->nodes[i] = (struct node){.meta = {.name = name, .created = at(-5 * HOUR)},
	                             .capacity = &sc->devices[i][0],
	                             .n_capacity = 1,
	                             .allocatable = &sc->devices[i][1],
	                             .n_allocatable = 1,
	                             .ready = TRI_TRUE,
	                             .ready_since = at(-4 * HOUR)};
	return &sc->nodes[i];
}

static inline struct node *young_node(struct scene *sc, const char *name, double created)
{
	struct node *n = node(sc, name, 8);
	n->meta.created = n->ready_since = at(created);
	return n;
}

static inline void devices(struct scene *sc, const struct node *n, int64_t capacity, int64_t allocatable)
{
	sc->devices[n - sc->nodes][0].value = capacity;
	sc->devices[n - sc->nodes][1].value = allocatable;
}

static inline void taint(struct scene *sc, struct node *n, const char *key)
{
	struct node_taint *t = &sc->taints[n - sc->nodes];
	*t = (struct node_taint){.key = key, .value = "", .effect = "NoSchedule"};
	n->taints = t;
	n->n_taints = 1;
}

/* A pod that the scheduler has refused; NULL: has not looked at yet. */
static inline struct pod *pod(struct scene *sc, double since, const char *text)
{
	size_t i = sc->in.n_pods++;
	static const char *const names[SCENE_MAX] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};
	sc->pods[i] = (struct pod){
		.meta = {.name = names[i], .created = at(since)}, .phase = "Pending", .grace_period_s = 30};
	if (text) {
		sc->pods[i].scheduled = TRI_FALSE;
		sc->pods[i].scheduled_reason = "Unschedulable";
		sc->pods[i].scheduled_message = text;
		sc->pods[i].scheduled_since = at(since);
	}
	return &sc->pods[i];
}

/* The newest that the autoscaler has said about a pod. */
static inline void hint(struct scene *sc, const struct pod *p, enum hint what, double said, const char *words)
{
	sc->hints[p - sc->pods] = (struct classify_hint){what, at(said), words};
}

static inline void leaving(struct scene *sc, double due)
{
	size_t i = sc->in.n_leaving++;
	sc->leaving[i] = (struct pod){.meta = {.name = "old", .deleted = at(due)}, .phase = "Running"};
}

static inline void reverse(struct scene *sc)
{
	for (size_t i = 0; i < sc->in.n_pods; i++)
		sc->hint_refs[i] = sc->hints[sc->in.n_pods - 1 - i];
	for (size_t i = 0; i < sc->in.n_pods; i++)
		sc->pod_refs[i] = &sc->pods[sc->in.n_pods - 1 - i];
	for (size_t i = 0; i < sc->in.n_nodes; i++)
		sc->node_refs[i] = &sc->nodes[sc->in.n_nodes - 1 - i];
}

/* What is true of every answer. */
static inline struct classify_output look(struct scene *sc, double now)
{
	struct classify_output ret, again;
	memcpy(sc->hint_refs, sc->hints, sizeof(sc->hints));
	classify(&sc->in, at(now), &sc->arena, &ret);
	reverse(sc);
	classify(&sc->in, at(now), &sc->arena, &again);
	for (size_t i = 0; i < SCENE_MAX; i++) {
		sc->pod_refs[i] = &sc->pods[i];
		sc->node_refs[i] = &sc->nodes[i];
	}
	assert_int_equal(ret.reason, again.reason);
	assert_int_equal(ret.explicit_evidence, again.explicit_evidence);
	assert_int_equal(ret.deadline.ms, again.deadline.ms);
	assert_int_equal(ret.on_the_way, again.on_the_way);
	assert_true(str_eq(ret.message, again.message));

	assert_true((ret.reason == REASON_NONE) == str_empty(ret.message));
	if (ret.explicit_evidence) {
		assert_true(ret.reason == REASON_STOCK_OUT ||
		            ret.reason == (sc->in.provides_nodes ? REASON_LIMIT : REASON_NO_NODES));
		assert_false(wall_is_set(ret.deadline));
	}
	if (wall_is_set(ret.deadline)) {
		assert_true(ret.deadline.ms > at(now).ms);
		assert_int_equal(ret.deadline.ms, wall_floor_s(ret.deadline).ms);
	}
	assert_true(ret.on_the_way >= 0 && ret.on_the_way <= sc->in.waiting);
	return ret;
}

/* Look, and let the status remember it. */
static inline struct classify_output live(struct scene *sc, double now)
{
	struct classify_output ret = look(sc, now);
	sc->in.last_reason = ret.reason;
	sc->in.last_deadline = ret.deadline;
	return ret;
}

#define NEVER (-1.0)

static inline void is(struct classify_output o, enum pool_reason reason, bool definite, double deadline)
{
	if (o.reason != reason || o.explicit_evidence != definite)
		fail_msg("%s%s instead of %s%s: %s", pool_reason_name(o.reason),
		         o.explicit_evidence ? " (definite)" : "", pool_reason_name(reason),
		         definite ? " (definite)" : "", o.message ? o.message : "");
	if (deadline == NEVER)
		assert_int_equal(o.deadline.ms, 0);
	else
		assert_int_equal(o.deadline.ms, at(deadline).ms);
}

static inline void says(struct classify_output o, const char *message)
{
	assert_string_equal(o.message, message);
}

#define STORY(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
