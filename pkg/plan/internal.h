#pragma once
/* Shared inside pkg/plan: one plan being made. */
#include "plan/plan.h"
#include "plan/rollout.h"

/* A pool during one plan. Counts are effective: a count that was lowered holds, though the pods may still be there. What is
 * bound, Ready, waiting or targeted does not include the lost, which are part of the Deployment's count all the same. */
struct pool_plan {
	const struct endpoint_pool *spec;
	const struct plan_pool_seen *seen;
	const struct pool_status *was; /* NULL: not remembered */
	int32_t bound, ready, waiting;
	int32_t lost, lost_ready;
	int32_t failed;      /* of those bound: were not Ready in time */
	bool has_substitute; /* one of these stands in another pool as well */
	bool open;           /* breaker: not to be asked now */
	bool held;           /* ... only because of what other endpoints know */
	bool passed_by;      /* ... and demand went elsewhere for that */
	bool given_up;       /* its waiting instances go elsewhere, decided just now */
	bool
		lends; /* full of our own older instances: its demand goes to a pool below for now, no breaker opens */
	bool probes;     /* asked for one instance on trial */
	bool moves;      /* ... to take one from a pool below, decided just now */
	bool would_move; /* ... but it is held */
	struct wall
		moves_at; /* rebalancing: when this pool has dwelt long enough; not set if nothing is to move here */
	struct wall window_end; /* not set: the clock stands still */
	struct wall held_until;
	int32_t share; /* waiting instances it is given */
	int32_t
		surge; /* more that wait there, known to get a node or on trial: they stay, and count for nothing */
	int32_t target;    /* replicas ... */
	int32_t keep_lost; /* ... and as many of the lost */
	struct pool_status status;
};

struct planning {
	const struct plan_input *in;
	const struct endpoint *e;
	struct wall now;
	struct arena *arena;
	struct plan_output *out;
	struct pool_plan pools[ENDPOINT_MAX_POOLS];
	size_t n_pools;
	int32_t desired;
	int32_t allowed;              /* of these, as many as the pools may have */
	int32_t bound, ready;         /* of the wanted revisions */
	int32_t old_bound, old_ready; /* of everything else */
	int32_t lost, lost_ready;
	int32_t substitutes; /* asked for beyond what is wanted, for instances that do not start */
	struct rollout_output rollout;
	int32_t *old_target;
	int32_t unmet;    /* demand that no pool takes now */
	int32_t unplaced; /* substitutes likewise */
	bool probing;     /* some pool probes: one at a time */
};

static inline int32_t min_i32(int32_t a, int32_t b)
{
	return a < b ? a : b;
}
static inline int32_t max_i32(int32_t a, int32_t b)
{
	return a > b ? a : b;
}
/* Of new and older instances together: as many serve as the pools may have. */
static inline bool enough_serve(const struct planning *pl)
{
	return pl->ready + pl->old_ready >= pl->allowed;
}
static inline int32_t pool_cap(const struct pool_plan *p)
{
	return p->spec->max_instances;
}
static inline bool pool_usable(const struct pool_plan *p)
{
	return !p->open && !p->given_up && !p->seen->blocked;
}
static inline bool pool_waits(const struct pool_plan *p)
{
	return p->waiting > 0 && pool_usable(p);
}
static inline bool pool_waits_behind_own(const struct pool_plan *p)
{
	return pool_waits(p) && p->seen->why.reason == REASON_OWN_FLEET;
}
static inline int32_t pool_room(const struct pool_plan *p)
{
	return max_i32(0, pool_cap(p) - p->bound - p->share);
}

/* plan.c: is that an older Deployment of this pool? */
bool is_old_of(const struct plan_old_seen *o, const struct pool_plan *p);
/* ... and is an instance of one going already? */
bool older_makes_room(const struct planning *pl, const struct pool_plan *p);

/* breaker.c: rules 2 and 4. Is the breaker open, is the waiting over? Sets open, given_up, window_end and the breaker's
 * part of status. */
void breaker_decide(struct planning *pl, struct pool_plan *p);
/* After what is asked is known: which pools were passed by, and where is more wanted as soon as others' evidence is over? */
void breaker_hold_back(struct planning *pl);
/* ... and when nobody takes what is wanted: no pause is longer than the first. */
void breaker_hurry(struct planning *pl);
/* Was demand going past this pool for what another endpoint had found? Then no strike of ours is in its BackOff. */
bool breaker_was_held(const struct pool_plan *p);
/* Does the wait that the status remembers go on? A new one has its own window: nothing waited any more (another template,
 * say), or that for which the clock stood still is over. */
bool breaker_same_wait(const struct pool_plan *p);
/* What `since` is to say of a state that begins now. */
struct wall breaker_since(const struct planning *pl, const struct pool_plan *p);

/* Are its strikes too old to count? */
bool breaker_forgotten(const struct planning *pl, const struct pool_plan *p);

/* probe.c: rules 4 and 6. Which pools go on probing? */
void probe_resume(struct planning *pl);
/* Did a timeout open its breaker, and nothing has bound since? Then it is asked for one instance before it gets a demand. */
bool probe_needed(const struct planning *pl, const struct pool_plan *p);
/* After scale_in(): where all is well, a better pool is asked for one of a worse one's; and one that an update has lent to
 * a worse pool goes back. */
void rebalance(struct planning *pl);

/* fill.c: rules 1 and 3. Sets share, surge, target and unmet; but for what no pool may have. */
void fill(struct planning *pl);
/* Does the user want less than the status remembers? */
bool scaled_in(const struct planning *pl);
/* Rules 5 and 7: target becomes less where more is bound than wanted; sets old_target, keep_lost and the rest of unmet. */
void scale_in(struct planning *pl);

/* status.c: pool states, phase, conditions, wake-up. */
void status_report(struct planning *pl);

/* events.c: what changed since the remembered status, in words. */
void events_report(struct planning *pl);

/* progress.c: does the status differ from the remembered one in nothing that a plan or a user acts on? */
bool only_progress(const struct planning *pl);

/* "2026-11-25T17:03:00Z" -> "17:03:00Z", in the arena. */
const char *time_of_day(struct planning *pl, struct wall t);
