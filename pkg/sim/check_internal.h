#pragma once
/* Shared by check.c (while it runs), check_ready.c (is an instance lost through us?) and check_end.c (at rest). */
#include "base/json.h"
#include "sim/check.h"
#include "sim/documents.h"

#define CHECK_SAMPLES 256
#define CHECK_WRITES 256
#define CHECK_EVENTS 128

/* How many were Ready, and how many were wanted, at a time. */
struct check_sample {
	int64_t at_ms;
	int32_t ready, desired, lost;
	int32_t needed; /* what has to serve */
	int32_t ended;  /* of the Ready ones, by a lowered count, in all */
};

struct check_endpoint {
	const struct story_endpoint *story;
	struct check_sample samples[CHECK_SAMPLES]; /* a ring */
	size_t n_samples;
	int64_t created_ms;
	int32_t ended;
	int64_t foreign_until_ms; /* what somebody else asked may still be there */
	int64_t status_ms;        /* when its status was written last, */
	int64_t pools_ms;         /* ... when a person changed more of it than its count */
	struct {
		bool edited; /* since these were Ready, down to each pool, and nothing else has happened */
		int32_t ready[STORY_MAX_POOLS];
	} fleet;
	int64_t lost_ms;      /* since when one that is lost is not replaced; 0: there is none */
	int32_t lost;         /* as last seen */
	int64_t instances_ms; /* when any of its instances changed last */
	struct {
		int64_t at_ms, strikes;
	} struck[CLUSTER_MAX_TYPES]; /* the last strike of each pool that was told */
	int64_t written_ms[CHECK_WRITES];
	size_t n_written;
};

struct check {
	const struct story *story;
	struct api *api;
	struct cluster *cluster;
	struct timeline *timeline;
	check_broken_fn *fn;
	void *arg;
	bool broken;
	struct check_endpoint endpoints[STORY_MAX_ENDPOINTS];
	int64_t blurred_from_ms, blurred_until_ms; /* what an operator sees may be so old */
	int64_t room_ms[CLUSTER_MAX_TYPES];        /* when room was made last */
	int64_t stopped_until_ms;                  /* operators, or their way to the server */
	int64_t trouble_until_ms;                  /* what was done so far lasts so long */
	bool has_quota;
	int64_t healed_ms; /* 0: not yet */
	int64_t last_write_ms;
	struct { /* the Deployment that was deleted last */
		char name[256];
		int32_t replicas, ready;
	} deleted;
	struct {
		char uid[24];
		int64_t count, at_ms; /* when it went up */
	} events[CHECK_EVENTS];   /* a ring */
	size_t n_events;
};

void check_break(struct check *k, const char *rule, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Never NULL. */
const char *check_text(const json_t *o);
/* 0: not there. */
int32_t check_number(const json_t *o, const char *key);
/* On the timeline; 0: there is none. */
int64_t check_time(const json_t *o, const char *key);
/* What the endpoint's status says of it; NULL: nothing. */
const json_t *check_pool_status(const struct api_object *endpoint, const char *pool);
size_t check_type_named(const struct check *k, const char *name); /* n_types: none */
int64_t check_now(const struct check *k);
/* How far back what an operator acts on may lie. */
int64_t check_view_ms(const struct check *k);
struct check_endpoint *check_endpoint_named(struct check *k, const char *name);
/* The document; NULL while it does not exist. */
struct api_object *check_document(const struct check *k, const struct check_endpoint *e);
int32_t check_desired(const struct api_object *endpoint);

/* check_ready.c */
void check_sample_now(struct check *k, struct check_endpoint *e);
/* An instance that is Ready since then ends. */
void check_ending(struct check *k, struct check_endpoint *e, const char *pool, int64_t ready_ms);
/* When anything changed last. */
int64_t check_changed_ms(const struct check_endpoint *e);
/* The most and the least that was wanted, and the most that was lost, within the view. */
int32_t check_least_desired(const struct check *k, const struct check_endpoint *e);
int32_t check_most_desired(const struct check *k, const struct check_endpoint *e);
int32_t check_most_lost(const struct check *k, const struct check_endpoint *e);
/* Of those wanted, as many as the pools may have. */
int32_t check_allowed(const struct api_object *o);

/* What there is of an endpoint's Deployments: of this uid, of one pool (NULL: all). */
struct check_asked {
	int32_t replicas;
	size_t deployments;
	bool has_count; /* one of them asks for `count` */
};
struct check_asked check_asked(const struct check *k, const char *uid, const char *pool, int32_t count);

/* check_count.c: of a Deployment of the endpoint, by a write that was applied. */
void check_count(struct check *k, struct check_endpoint *e, const struct api_object *o,
                 const struct api_object *deployment, const struct api_request *r);

/* ... of all of them, when the first status is written. */
void check_first_fill(struct check *k, const struct check_endpoint *e, const struct api_object *o);

/* check_lost.c: on each change of an instance, a node or the endpoint. */
void check_lost(struct check *k, struct check_endpoint *e, const struct api_object *o);

/* check_update.c: before an act, and at the end. */
void check_fleets_act(struct check *k, const struct story_act *act);
void check_fleets(struct check *k);

/* check_told.c */
void check_event(struct check *k, const struct api_object *o);
void check_pauses(struct check *k, struct check_endpoint *e, const struct api_object *o);
/* Somebody changed the endpoint. */
void check_person(struct check *k, struct check_endpoint *e, enum act_type act);
