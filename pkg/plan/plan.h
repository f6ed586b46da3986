#pragma once
/* The planner: how many instances in which pool, and why. A pure function; the operator and the golden tests
 * run this one. Its memory is the endpoint's status, given in and given back.
 *
 * Rules (numbers as in docs/design/planner.md): 1 fill, 2 move on, 3 the walk, 4 trying again, 5 scale-in, 6 rebalance,
 * 7 late and lost, 8 victims. */
#include "api/endpoint.h"
#include "base/arena.h"
#include "plan/classify.h"
#include "plan/startup.h"

/* What endpoints know of each other about nodes for such instances (shortage.h). */
struct plan_shortage {
	struct wall struck; /* the last strike by explicit evidence, of any endpoint; not set: none is known */
	struct wall until;  /* the evidence holds until then */
	struct wall
		taken; /* another endpoint is trying now, and nobody else is to before this; not set: nobody is */
	enum pool_reason reason; /* of the strike */
	const char *message;     /* ... NULL if none */
};

/* What is seen of one pool's Deployment of the wanted revision. */
struct plan_pool_seen {
	const char *deployment; /* its name; NULL when that is not known (no Model) and none is there */
	bool exists;            /* the Deployment is there */
	struct wall created;    /* its creation; not set when it is not there */
	int32_t want;           /* its spec.replicas; 0 when it is not there */
	int32_t asked;          /* what we last asked of it, or saw there; -1: not known */
	int32_t bound, ready;   /* its pods on a node that lasts and not leaving / of those, Ready */
	const struct pod *const
		*lost; /* its pods on nodes that do not last (nodestate_loses()); sorted by name */
	size_t n_lost;
	struct wall look_again;        /* when some that are bound may be lost by time alone; not set: none */
	struct startup_output startup; /* of those bound and not Ready */
	struct wall last_bind;         /* the newest binding of its pods; not set if none */
	struct wall oldest_wait;       /* creation of the oldest pod without a node; not set if none */
	struct classify_output why;    /* of want - bound */
	struct wall node_ready;        /* the newest moment at which a node of this pool turned Ready */
	bool provides_nodes;
	struct plan_shortage shortage;
	const char *
		blocked; /* a sentence: the pool cannot be used (Model missing, template refused, name taken); NULL if it can */
	enum condition_type blocked_as; /* COND_MODEL_MISSING or COND_STALLED */
	const char *blocked_reason; /* CamelCase, static: "ModelMissing", "InstanceRefused", "NameTaken", ... */
	/* Who else has written into its template (a field manager), where we can put it back; NULL: nobody. */
	const char *template_changed_by;
};

/* A Deployment of this endpoint that is not of a wanted revision: an older template, or a pool that was taken out of
 * the list. It gets nothing more and goes as soon as what replaces it is Ready. */
struct plan_old_seen {
	const char *name; /* of the Deployment; order of the array: first to go first */
	const char *pool; /* as its label says (label_value()) */
	int32_t want, bound, ready;
	bool pods_left; /* any pod still there, leaving or not */
};

struct plan_input {
	const struct endpoint *endpoint;                 /* spec and remembered status */
	struct plan_pool_seen pools[ENDPOINT_MAX_POOLS]; /* one per spec.pools, same order */
	const struct plan_old_seen *old;
	size_t n_old;
	const struct pod *const *
		grown; /* instances of any revision that are Ready, or were not in time, and are still protected; by name */
	size_t n_grown;
	/* Trouble of the endpoint as a whole that only a person can mend (the name of its Service or budget is taken):
	 * Stalled with this reason (CamelCase, static) and sentence. NULL: none. */
	const char *trouble_reason, *trouble;
};

enum plan_step_type {
	PLAN_CREATE, /* the pool's Deployment, with `to` replicas */
	PLAN_SCALE,  /* spec.replicas from `from` to `to` */
	PLAN_SCALE_OLD,
	PLAN_DELETE_OLD,  /* at 0 and without pods */
	PLAN_FIRST_TO_GO, /* the pod gets the lowest deletion cost */
	PLAN_UNPROTECT,   /* the pod loses the marks that it was born with */
	PLAN_RESTORE,     /* the template of the pool's Deployment, which somebody has changed */
};
struct plan_step {
	enum plan_step_type type;
	size_t index; /* into pools or old */
	int32_t from, to;
	const struct pod *pod; /* FIRST_TO_GO, UNPROTECT */
};

struct plan_event {
	bool warning;
	const char *reason;  /* CamelCase, static */
	const char *message; /* in the arena */
};

#define PLAN_MAX_EVENTS 24

struct plan_output {
	/* In the order in which they are to be written: what is put back, creations, raises, then what is lowered; the
	 * status comes after all of them. In the arena. */
	struct plan_step *steps;
	size_t n_steps;
	struct endpoint_status status; /* strings borrowed from the arena and from the input */
	bool
		only_progress; /* nothing is to be done, and the status tells but other counts: it may wait for the next */
	/* A count is raised under which instances of ours are still ending: better once these are gone. */
	bool raises_condemned;
	struct wall wake; /* when time alone changes the answer; not set: never */
	/* Per pool: it would be asked for more, but for what other endpoints know. Plan again when that changes. */
	bool held_back[ENDPOINT_MAX_POOLS];
	struct plan_event events[PLAN_MAX_EVENTS];
	size_t n_events;
};

/* The same input gives the same output, byte for byte. Nothing outlives `a`. */
void plan(const struct plan_input *in, struct wall now, struct arena *a, struct plan_output *ret);

/* The count the user wants now: spec.instanceCount, else what the status remembers, else 1. */
int32_t plan_desired(const struct endpoint *e);
