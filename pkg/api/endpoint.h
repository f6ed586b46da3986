#pragma once
/* InstancePoolEndpoint: the spec as the user wrote it with defaults filled in, and the status, which is
 * the planner's only memory. crds/inference.instancepool.dev_instancepoolendpoints.yaml describes each
 * field for users. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/objmeta.h"

#define ENDPOINT_MAX_POOLS 16

struct endpoint_pool {
	const char *name;
	const char *instance_type; /* without "ml." */
	const char *model_name;    /* modelNameOverride, else spec.modelName; never NULL */
	int32_t priority;          /* >= 1, 1 is best */
	int32_t min_instances;     /* kept here while capacity lasts; at most max_instances */
	int32_t max_instances;     /* INT32_MAX where the user set none */
	/* The whole node selector: the user's, else the instance type's label. Sorted by key. */
	const struct jkv *node_selector;
	size_t n_node_selector;
	const char *tolerations;        /* JSON array text, NULL if none */
	const char *runtime_class_name; /* NULL if none */
};

struct endpoint_spec {
	const char *model_name;
	int32_t instance_count; /* -1: not set */
	/* By priority; equal priorities keep the order of the list. A spec with instanceType is one pool of
	 * that type. */
	struct endpoint_pool *pools;
	size_t n_pools; /* 1 to ENDPOINT_MAX_POOLS */
	int64_t provision_timeout_ms;
	int64_t download_timeout_ms; /* from a node to the end of the init containers */
	int64_t startup_timeout_ms;  /* from there to Ready */
	bool lends_failed;           /* the slot of an instance that fails to start is lent to another pool */
	int64_t retry_after_ms, max_retry_after_ms;
	const char *restarted_at; /* NULL: never. Another value is another revision of all pools */
	bool rebalance_active;    /* the fleet is moved back to better pools */
};

enum endpoint_phase {             /* the order is that of endpoint_phase_name() */
	                  PHASE_NONE, /* no status yet */
	                  PHASE_CREATING,
	                  PHASE_IN_SERVICE,
	                  PHASE_UPDATING,
	                  PHASE_FAILED,
};
const char *endpoint_phase_name(enum endpoint_phase p);

/* Why instances of a pool wait (docs/design/capacity-signals.md), or do not get Ready. The names are the API's
 * `reason`. */
enum pool_reason {
	REASON_NONE,         /* nothing waits, and no strike is remembered */
	REASON_PENDING,      /* asked for; nobody has said anything yet */
	REASON_PROVISIONING, /* a node is on its way */
	REASON_RELEASING,    /* room is being made */
	REASON_SETTLING,     /* room was made or a node came: the scheduler has not looked again yet */
	REASON_OWN_FLEET,    /* full of this endpoint's older revision */
	REASON_STOCK_OUT,
	REASON_LIMIT,
	REASON_NO_NODES,
	REASON_CONFIG,
	REASON_QUOTA,
	REASON_GATED,
	REASON_UNKNOWN,
	REASON_PROVISION_TIMEOUT, /* the window passed with nothing more definite than "no room yet" */
	/* Of instances that have a node: never a matter of capacity. */
	REASON_IMAGE_PULL_FAILED,
	REASON_CRASH_LOOP,
	REASON_CONTAINER_ERROR,  /* the container cannot be made or started */
	REASON_DOWNLOAD_TIMEOUT, /* nothing is known to be wrong, but it took too long */
	REASON_STARTUP_TIMEOUT,
};
const char *pool_reason_name(enum pool_reason r); /* "StockOut", ... ; "" for NONE */
bool pool_reason_parse(const char *s, enum pool_reason *ret);

enum pool_state {
	POOL_IDLE,     /* nothing asked here */
	POOL_WAITING,  /* instances wait for capacity */
	POOL_STARTING, /* all have a node, some are not Ready */
	POOL_READY,    /* all asked here are Ready */
	POOL_PROBING,  /* one instance is asked on trial, while others serve or wait elsewhere */
	POOL_BACK_OFF, /* breaker open: not asked again before nextRetryTime */
};
const char *pool_state_name(enum pool_state s);
bool pool_state_parse(const char *s, enum pool_state *ret);

struct pool_status {
	const char *name, *instance_type, *model_name;
	int32_t priority;
	int32_t desired, current, starting, waiting; /* current: Ready; starting: on a node, not Ready */
	enum pool_state state;
	enum pool_reason reason; /* of the waiting or of the last strike */
	const char *message;     /* a sentence; NULL if none */
	struct wall since;       /* of the state */
	struct wall deadline;    /* WAITING: when this pool is given up if nothing changes; else not set */
	struct wall next_retry;  /* BACK_OFF only */
	int32_t strikes;
	struct wall last_strike;
};

enum condition_type {
	COND_READY,                 /* kstatus: all desired instances are Ready */
	COND_RECONCILING,           /* kstatus: on the way there */
	COND_STALLED,               /* kstatus: something only a person can mend */
	COND_INSUFFICIENT_CAPACITY, /* demand is unmet and no pool has capacity now */
	COND_ON_FALLBACK,           /* instances run in a pool that is not the first choice */
	COND_MODEL_MISSING,         /* a Model that a pool needs does not exist */
	COND_STARTUP_FAILED,        /* an instance has a node and was not Ready in time */
	CONDITION_COUNT,
};
const char *condition_type_name(enum condition_type t);

struct condition {
	bool present; /* false: not in the status */
	bool status;
	const char *reason, *message;
	struct wall since; /* lastTransitionTime */
	int64_t observed_generation;
};

struct endpoint_status {
	bool present; /* false: the object has no status yet */
	enum endpoint_phase phase;
	const char *failure_reason; /* NULL if none */
	int64_t observed_generation;
	int32_t desired, current;
	const char *selector;
	const char
		*pool_summary; /* "p5.48xlarge=2 g6.48xlarge=4": Ready per type in priority order, for kubectl get */
	struct pool_status *pools; /* by name, not by position: see endpoint_status_pool() */
	size_t n_pools;            /* at most ENDPOINT_MAX_POOLS */
	struct condition conditions[CONDITION_COUNT];
};

struct endpoint {
	struct objmeta meta; /* first */
	struct endpoint_spec spec;
	struct endpoint_status status;
	struct arena arena; /* holds all strings */
};

/* JSON text -> new endpoint with defaults; the error names the field, the value and what would be right.
 * What admission would have refused is refused here too (the object may be older than the rule). An
 * unreadable status is not an error: what cannot be read counts as absent and is rebuilt. */
struct endpoint *endpoint_decode(struct slice json, struct err *err);
void endpoint_free(struct endpoint *e); /* NULL is fine */
/* The status part of that: fills the zeroed *ret; strings and pools are put into a. */
void endpoint_status_decode(const json_t *status, struct arena *a, struct endpoint_status *ret);
/* Borrowed; NULL when the status knows no pool of that name. */
const struct pool_status *endpoint_status_pool(const struct endpoint_status *s, const char *name);
/* Equal in all that is written. */
bool endpoint_status_equal(const struct endpoint_status *a, const struct endpoint_status *b);
/* The body of a server-side apply of the status subresource: apiVersion, kind, metadata (name, namespace,
 * uid, resourceVersion), status. New reference. */
json_t *endpoint_status_apply(const struct endpoint *e, const struct endpoint_status *s);
