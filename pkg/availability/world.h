#pragma once
/* A small cluster with a clock of its own, for the figures of docs/availability.md: instance types that run out of stock, the
 * nodes and pods of one endpoint, and who decides about them. One instance to a node. Seconds.
 *
 * Two decide: who provides nodes (an autoscaler: availability_autoscaler.h, availability_karpenter.h) looks at pods that wait
 * and asks the cloud; who spreads instances over pools (availability_balancer.h, availability_pools.h, or nobody: one
 * Deployment whose pods may run anywhere) sets how many there are of each. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "plan/hint.h"

#define AVAILABILITY_POOLS 4
#define AVAILABILITY_NODES 48
#define AVAILABILITY_PODS 32
#define AVAILABILITY_ANY (-1) /* of a pod: each pool will do */
#define AVAILABILITY_NEVER INT64_MAX
/* How long the cloud takes to answer. */
#define AVAILABILITY_ANSWER_S 4

enum availability_node_state {
	NODE_NONE,
	NODE_ASKED,    /* the cloud has not answered */
	NODE_REFUSED,  /* it has none, and says so; stays until whoever asked removes it */
	NODE_STANDING, /* it has none, and says nothing: comes when there is stock again */
	NODE_BOOTING,
	NODE_READY,
};

struct availability_node {
	enum availability_node_state state;
	int32_t pool;
	int64_t asked_s;
	int64_t due_s;  /* ASKED: the answer; BOOTING: Ready */
	int64_t idle_s; /* READY and without a pod: since when */
	bool used;      /* has a pod */
};

struct availability_pod {
	bool alive;
	int32_t pool; /* or AVAILABILITY_ANY */
	int64_t created_s, bound_s;
	int32_t node;   /* -1: waits */
	enum hint said; /* by who provides nodes, newest */
	int64_t said_s;
};

/* What deciders see. */
struct availability_view {
	int64_t now_s;
	size_t n_pools; /* best first */
	struct availability_node nodes[AVAILABILITY_NODES];
	size_t n_nodes; /* none is in use from there on */
	struct availability_pod pods[AVAILABILITY_PODS];
	size_t n_pods; /* the same */
};

/* What who provides nodes wants. Zeroed before. */
struct availability_asks {
	int32_t ask[AVAILABILITY_POOLS];   /* so many nodes */
	bool remove[AVAILABILITY_NODES];   /* none that has a pod */
	enum hint said[AVAILABILITY_PODS]; /* an Event about the pod; NONE: none */
	int64_t wake_s;                    /* look again then, if nothing happens before */
};

/* The pods that wait and for which no node stands idle, boots or is asked for: ret[i] is about pods[i]. The oldest are helped
 * first. Returns how many. */
size_t availability_unhelped(const struct availability_view *v, bool ret[static AVAILABILITY_PODS]);
/* The best of the pools that are `open` and in which one of these pods may run; -1: none. */
int32_t availability_best_pool(const struct availability_view *v,
                               const bool unhelped[static AVAILABILITY_PODS],
                               const bool open[static AVAILABILITY_POOLS]);
static inline bool availability_may_run(const struct availability_pod *p, int32_t pool)
{
	return p->pool == pool || p->pool == AVAILABILITY_ANY;
}
