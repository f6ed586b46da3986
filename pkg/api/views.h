#pragma once
/* Narrow views of built-in kinds: what the operator looks at and nothing else. Each is one allocation,
 * read by the field tables in views.c; `*_decode` returns a new view, free() with view_free(). */
#include <stdbool.h>
#include <stdint.h>
#include "base/objmeta.h"

enum tristate { TRI_UNKNOWN, TRI_FALSE, TRI_TRUE };

/* What keeps a container from running, as the kubelet says. */
enum pod_trouble { POD_FINE, POD_IMAGE_PULL, POD_CRASH, POD_CONTAINER_ERROR };

struct pod {
	struct objmeta meta;
	const char *endpoint, *pool, *revision; /* labels */
	const char *node_name;                  /* NULL: not bound */
	const char *nominated_node_name;        /* NULL: none */
	const char *phase;                      /* "Pending", "Running", "Succeeded", "Failed" */
	enum tristate scheduled;                /* condition PodScheduled */
	const char *scheduled_reason;           /* "Unschedulable", "SchedulingGated", ...; NULL */
	const char *scheduled_message;
	struct wall scheduled_since; /* lastTransitionTime: when bound, or when first refused */
	bool ready;
	struct wall ready_since; /* last transition of the Ready condition, to either side */
	enum tristate initialized;
	struct wall initialized_since;
	enum pod_trouble trouble; /* of its first container that has some; the rest is about that */
	const char *trouble_container;
	const char *trouble_detail; /* IMAGE_PULL: the image; else the kubelet's words, NULL if none */
	int32_t exit_code;          /* CRASH */
	bool protected;             /* against voluntary disruption, by us: ANNOTATION_PROTECTED */
	const char *deletion_cost;  /* annotation; NULL: none */
	int64_t grace_period_s;     /* spec.terminationGracePeriodSeconds */
};
/* On a node and not on its way out. */
static inline bool pod_is_bound(const struct pod *p)
{
	return p->node_name && !wall_is_set(p->meta.deleted) && p->phase && strcmp(p->phase, "Failed") != 0 &&
	       strcmp(p->phase, "Succeeded") != 0;
}
static inline bool pod_is_waiting(const struct pod *p)
{
	return !p->node_name && !wall_is_set(p->meta.deleted) && p->phase && strcmp(p->phase, "Pending") == 0;
}

struct deployment {
	struct objmeta meta;
	const char *endpoint, *pool, *revision; /* labels */
	int32_t replicas;                       /* spec.replicas */
	const char *failure_message;            /* condition ReplicaFailure=True, else NULL */
	/* Somebody else's field manager that owns something of spec.template ("kubectl-rollout"); NULL: none does. */
	const char *template_changed_by;
};
/* Is there a difference that could change a decision? (How far its rollout is, is none.) */
bool deployment_differs(const struct deployment *a, const struct deployment *b);

struct node_taint {
	const char *key, *value, *effect;
};
struct node {
	struct objmeta meta;
	const struct jkv *labels;
	size_t n_labels;
	const struct node_taint *taints;
	size_t n_taints;
	bool unschedulable;
	const struct jqty *allocatable;
	size_t n_allocatable;
	const struct jqty *capacity;
	size_t n_capacity;
	enum tristate ready;
	struct wall ready_since; /* last transition of the Ready condition */
};
bool node_matches(const struct node *n, const struct jkv *selector, size_t n_selector);
/* 0 when the node does not have it. */
int64_t node_allocatable(const struct node *n, const char *resource);
int64_t node_capacity(const struct node *n, const char *resource);
/* Is there a difference that could change a decision? (A node's heartbeat is none.) */
bool node_differs(const struct node *a, const struct node *b);

/* What an endpoint has once, under its own name: its Service and its PodDisruptionBudget. */
struct companion {
	struct objmeta meta;
	const char *endpoint; /* label */
};
/* Is there a difference that could change a decision? (A budget's status follows each pod.) */
bool companion_differs(const struct companion *a, const struct companion *b);

struct pod *pod_decode(struct slice json, struct err *err);
struct deployment *deployment_decode(struct slice json, struct err *err);
struct node *node_decode(struct slice json, struct err *err);
struct companion *companion_decode(struct slice json, struct err *err);
void view_free(void *view);
