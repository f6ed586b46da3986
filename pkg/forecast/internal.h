#pragma once
/* Shared inside pkg/forecast: the small world that a forecast plays in. All of it lives in one arena. */
#include "api/names.h"
#include "api/workload.h"
#include "base/map.h"
#include "forecast/fit.h"
#include "forecast/forecast.h"
#include "plan/plan.h"
#include "plan/shortage.h"

/* How long things take here. Loading a model is not forecast: its time is the user's. */
#define VERDICT_MS (MS_PER_S / 5) /* from a pod to the scheduler's word, */
#define RETRY_MS MS_PER_S         /* and from room that was made to its next */
#define READY_MS MS_PER_S         /* from a node to Ready */
#define STOP_MS (2 * MS_PER_S)    /* from the end of an instance to its room */

#define MAX_KEYS 64 /* of resources that instances ask for */

struct world_node {
	const struct node *view;
	int64_t *total, *left; /* of each of the world's keys, in thousandths */
};

/* A pool of the endpoint, with what its instances need. */
struct world_pool {
	const struct endpoint_pool *spec;
	const struct model *model; /* NULL: missing */
	json_t *deployment;        /* rendered; NULL: cannot be */
	const char *unusable;      /* why it cannot */
	const char *name;          /* of the Deployment; NULL: not known */
	const char *revision;
	const char *label;        /* the pool's, on pods */
	const json_t *pod_spec;   /* of that; NULL: there is none */
	int64_t *asks;            /* of each key */
	enum fit *fit;            /* of each node */
	const struct node **with; /* nodes that carry the pool's selector */
	size_t n_with;
	bool out;                  /* by its instance type */
	bool taken;                /* somebody else has a Deployment of its name */
	struct world_group *group; /* the Deployment that stands for it; NULL: there is none yet */
};

struct world_group {
	const char *name, *pool_label, *revision;
	const char *failure_message;
	struct wall created;
	struct world_pool *pool; /* NULL: older */
	int32_t want;
	bool deleted;
};

struct world_pod {
	struct pod view;
	struct world_group *group; /* NULL: somebody else's */
	struct world_node *node;   /* NULL: none, or one that nobody knows */
	const int64_t *takes;      /* of each key */
	bool on_new_node;          /* that an autoscaler has brought */
	bool gone;
	struct wall verdict_at, node_at, ready_at, gone_at; /* what is due, when; not set: nothing */
};

struct world {
	const struct forecast_input *in;
	struct arena *arena;
	struct endpoint endpoint; /* with the status as it is now */
	struct wall now;
	const char *keys[MAX_KEYS], *lack[MAX_KEYS]; /* "cpu", "Insufficient cpu" */
	size_t n_keys;
	struct world_node *nodes;
	size_t n_nodes;
	struct map node_by_name;
	bool hears_no_node;
	struct world_pool pools[ENDPOINT_MAX_POOLS];
	struct world_group **groups; /* by name */
	size_t n_groups;
	/* The endpoint's, and others' that are ending. */
	struct world_pod **pods;
	size_t n_pods, cap_pods;
	uint32_t n_made; /* for the names of new pods */
	struct shortages *shortages;
};

/* begin.c */
void world_init(struct world *w, const struct forecast_input *in, struct arena *a);

/* world.c */
void world_done(struct world *w);
struct world_group *world_group(const struct world *w, const char *name); /* NULL: there is none */
struct world_group *world_add_group(struct world *w);
struct world_pod *world_add_pod(struct world *w);
struct wall world_in(const struct world *w, int64_t ms); /* so long from now */
/* Of each key. Never below INT64_MIN. */
void world_take(const struct world *w, struct world_node *n, const int64_t *takes);
/* As many pods as are wanted. */
void world_replicate(struct world *w);
/* Carries out what was planned of `in`; true: there was something. */
bool world_act(struct world *w, const struct plan_input *in, const struct plan_output *out);
/* The moment of the next thing that is due; not set: nothing is. */
struct wall world_next(const struct world *w);
/* Lets happen what is due at w->now. */
void world_run(struct world *w);
/* No pod waits for its first word from the scheduler. */
bool world_has_spoken(const struct world *w);

/* scheduler.c: puts the pod on a node, or says why not. */
void scheduler_try(struct world *w, struct world_pod *p);
/* It waits for whoever put gates on it: neither room nor a node changes that. */
bool scheduler_is_gated(const struct world_pod *p);
/* An autoscaler that gets all it asks for sees a pod that was refused. */
void scheduler_call_node(const struct world *w, struct world_pod *p);

/* look.c: what the operator would see. */
void look(struct world *w, struct arena *a, struct plan_input *ret);

/* tell.c: what happened, in lines. */
struct teller {
	const struct world *w;
	struct wall began;
	struct {
		int32_t bound, want, waiting;
		enum pool_reason reason;
		const char *message;
		struct wall last_strike;
		bool held, given_up; /* since something landed or went */
	} pools[ENDPOINT_MAX_POOLS];
	int32_t old_bound;
	enum endpoint_phase phase;
	struct forecast_line *lines;
	size_t n, cap;
};
void tell_init(struct teller *t, const struct world *w, const struct plan_input *seen);
/* What has changed since the last time. */
void tell(struct teller *t, const struct plan_input *seen);
