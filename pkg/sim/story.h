#pragma once
/* A story: a cluster, endpoints, and what happens, each at its time. All chance in it (delays) comes from its seed, so it goes
 * the same way each time. As text, for people and as a golden case:
 *
 *	# why this story is kept
 *	seed 4711
 *	operators 2
 *	nodes karpenter
 *	type p5 gpus=8 nodes=2 stock=4 boot=90s load=30s
 *	type g6 gpus=8 nodes=1 boot=60s load=20s
 *	endpoint a count=3 gpus=1 window=120s retry=60s max-retry=600s startup=60s rebalance=Active on-failure=Lend
 *	pool a p5 priority=1 max=2
 *	pool a g6 priority=2
 *	12.5 scale a 6
 *	20 silence-node p5 0 for 90s
 *	31 crash-at during 2
 *	heal 300
 *
 * Times are seconds since the start. At `heal` all trouble is over; then the cluster must come to rest. Types are p5, g6, g5
 * and g4, endpoints a, b, c and d; rebalance is Passive and on-failure Hold where they are not given. What else an act takes
 * stands in the table of acts (acts.c). */
#include <stdio.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "sim/cluster.h"
#include "sim/network.h"

#define STORY_MAX_ENDPOINTS 4
#define STORY_MAX_POOLS 4
#define STORY_MAX_ACTS 64

enum act_type {
	/* a person */
	ACT_SCALE,         /* endpoint, n: spec.instanceCount */
	ACT_EDIT_MODEL,    /* endpoint: its Model's template changes */
	ACT_EDIT_BACK,     /* endpoint: ... and is as at first */
	ACT_POOLS,         /* endpoint, n: the list is turned by n places (priorities change) */
	ACT_DROP_POOL,     /* endpoint, n: the pool at n is taken out */
	ACT_CAP,           /* endpoint, n: maxInstanceCount of the first pool; 0: none */
	ACT_DELETE,        /* endpoint */
	ACT_CREATE,        /* endpoint: (again) as the story says */
	ACT_FOREIGN_SCALE, /* endpoint, n: somebody scales the Deployment of its first pool */
	ACT_LOSE_STATUS,   /* endpoint: the status is empty (a restored backup) */
	/* the cluster; see cluster.h */
	ACT_ADD_NODE,
	ACT_DELETE_NODE,
	ACT_DOOM_NODE,
	ACT_SILENCE_NODE,
	ACT_CORDON_NODE,
	ACT_LOSE_DEVICES,
	ACT_STOCK,
	ACT_STRANGER,
	ACT_END_INSTANCE,
	ACT_FAIL_STARTS,
	ACT_QUOTA, /* n: -1: none */
	ACT_PAUSE,
	/* the way to the API server; see network.h */
	ACT_FAIL_WRITES, /* word: the fault, n: how many */
	ACT_FAIL_WATCH,  /* kind, word: the fault, for: if that is "late" */
	ACT_DOWN,
	/* the operators */
	ACT_CRASH,    /* n: which operator; starts again a moment later */
	ACT_CRASH_AT, /* word: before, during, after; n: so many writes later: who sent it */
	ACT_FREEZE,   /* n: which operator, for */
	ACT_TYPE_COUNT,
};

struct story_act {
	int64_t at_ms;
	enum act_type type;
	size_t subject; /* index of the endpoint or type, where it has one */
	int32_t n;
	int word; /* enum network_fault, network_watch_fault, network_point or cluster_failure */
	enum api_kind kind;
	int64_t for_ms;
};

struct story_pool {
	size_t type;
	int32_t priority, min, max; /* max 0: none */
};

struct story_endpoint {
	const char *name; /* "a", "b", ... : static */
	int32_t count, gpus;
	int64_t window_ms, retry_ms, max_retry_ms, startup_ms; /* whole seconds */
	bool rebalance_active, lends;
	struct story_pool pools[STORY_MAX_POOLS];
	size_t n_pools;
};

struct story {
	uint64_t seed;
	int operators; /* 1: always leads; 2: elect */
	enum cluster_nodes nodes;
	struct cluster_type types[CLUSTER_MAX_TYPES]; /* names static: "p5", "g6", "g5", "g4" */
	size_t n_types;
	struct story_endpoint endpoints[STORY_MAX_ENDPOINTS];
	size_t n_endpoints;
	struct story_act acts[STORY_MAX_ACTS]; /* sorted by time */
	size_t n_acts;
	int64_t heal_ms;
};

/* Any seed gives a story. */
void story_generate(uint64_t seed, struct story *ret);
/* The text above; story_read() of it gives the same story. */
void story_write(const struct story *s, FILE *out);
/* err names the line. */
int story_read(struct slice text, struct story *ret, struct err *err);

/* A shorter story that still breaks the same rule (the verdict's `rule`), by leaving things out while it does. */
void story_shrink(const struct story *s, const char *rule, struct story *ret);
