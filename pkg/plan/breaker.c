/* When a pool is given up, for how long, and when it is asked again. */
#include "plan/internal.h"

#define STRIKE_MEMORY_MS (60 * 60 * MS_PER_S)
/* Before anybody has said anything: a verdict, and writes on the way there. */
#define QUICK_TRY_MS (15 * MS_PER_S)

/* Doubles with each strike. */
static int64_t back_off_ms(const struct planning *pl, int32_t strikes)
{
	const struct endpoint_spec *spec = &pl->e->spec;
	int64_t ms = spec->retry_after_ms;

	for (int32_t i = 1; i < strikes && ms < spec->max_retry_after_ms; i++)
		ms *= 2;
	return ms < spec->max_retry_after_ms ? ms : spec->max_retry_after_ms;
}

bool breaker_forgotten(const struct planning *pl, const struct pool_plan *p)
{
	const struct pool_status *s = &p->status;

	return wall_is_set(s->last_strike) &&
	       pl->now.ms - s->last_strike.ms > STRIKE_MEMORY_MS + back_off_ms(pl, s->strikes);
}

static void open_breaker(struct planning *pl, struct pool_plan *p, enum pool_reason reason)
{
	struct pool_status *s = &p->status;

	if (breaker_forgotten(pl, p))
		s->strikes = 0;
	s->strikes++;
	/* The Deployment was there, whatever the API server's clock says. */
	s->last_strike = wall_max(wall_floor_s(pl->now), p->seen->created);
	s->next_retry = wall_add(wall_floor_s(pl->now), back_off_ms(pl, s->strikes));
	s->reason = reason;
	s->message = p->seen->why.message;
	p->given_up = true;
}

static bool has_older_here(const struct planning *pl, const struct pool_plan *p)
{
	for (size_t i = 0; i < pl->in->n_old; i++)
		if (pl->in->old[i].bound > 0 && is_old_of(&pl->in->old[i], p))
			return true;
	return false;
}

/* The API's times are whole seconds: a node that turns Ready in the second of the strike, but after it, counts; one that
 * was seen at the strike does not. */
struct wall breaker_since(const struct planning *pl, const struct pool_plan *p)
{
	struct wall now = wall_floor_s(pl->now);

	return p->given_up && p->seen->node_ready.ms >= now.ms ? wall_add(p->seen->node_ready, MS_PER_S) : now;
}

/* An update takes its room from its own older instances, if the others serve: what was found before it began is no word about
 * that. Else it would go to the pools below. Nor is it one that none could be spared, once one can, or they are gone. */
static bool update_has_room(const struct planning *pl, const struct pool_plan *p)
{
	bool older = has_older_here(pl, p), was_full = p->was->reason == REASON_OWN_FLEET;

	if (p->seen->blocked)
		return false;
	if (was_full && (!older || older_makes_room(pl, p)))
		return true;
	return older && enough_serve(pl) &&
	       (was_full || !p->seen->exists || p->was->last_strike.ms < p->seen->created.ms);
}

static bool closes(const struct planning *pl, const struct pool_plan *p)
{
	struct wall since = p->was->since;

	return p->seen->last_bind.ms > since.ms || update_has_room(pl, p) ||
	       (!p->seen->provides_nodes && p->seen->node_ready.ms >= since.ms) ||
	       pl->now.ms >= p->was->next_retry.ms;
}

/* Reasons that are no matter of time: the window stands still, or the evidence has a deadline of its own. */
static bool clock_stands(const struct planning *pl, const struct pool_plan *p)
{
	const struct classify_output *why = &p->seen->why;

	if (why->reason == REASON_OWN_FLEET) /* the update makes room, unless none can be spared */
		return enough_serve(pl) || older_makes_room(pl, p);
	if (why->reason == REASON_RELEASING || why->reason == REASON_SETTLING)
		return wall_is_set(why->deadline);
	return why->reason == REASON_GATED;
}

bool breaker_same_wait(const struct pool_plan *p)
{
	const struct pool_status *was = p->was;

	if (!was || (was->state != POOL_WAITING && was->state != POOL_PROBING) || p->waiting == 0)
		return false;
	return was->reason == p->seen->why.reason ||
	       (was->reason != REASON_GATED && was->reason != REASON_OWN_FLEET);
}

static struct wall window_end(const struct planning *pl, const struct pool_plan *p)
{
	struct wall begin = breaker_same_wait(p) ? p->was->since : wall_floor_s(pl->now);
	int64_t timeout_ms = pl->e->spec.provision_timeout_ms;

	/* Nobody has said anything yet: that is no verdict, whatever the timeout. */
	if ((p->waiting == 0 || p->seen->why.reason == REASON_PENDING) && timeout_ms < QUICK_TRY_MS)
		timeout_ms = QUICK_TRY_MS;
	/* No wait is older than the oldest pod that waits: the status may not have told that one ended before. */
	return wall_add(wall_max(wall_max(begin, p->seen->last_bind), p->seen->oldest_wait), timeout_ms);
}

/* The window passed: what was seen stays the reason, unless that was only "no room yet". */
static enum pool_reason timeout_reason(enum pool_reason seen)
{
	bool keeps =
		seen == REASON_CONFIG || seen == REASON_QUOTA || seen == REASON_UNKNOWN || seen == REASON_OWN_FLEET;

	return keeps ? seen : REASON_PROVISION_TIMEOUT;
}

static bool is_of_start(enum pool_reason r)
{
	return r >= REASON_IMAGE_PULL_FAILED;
}

bool breaker_was_held(const struct pool_plan *p)
{
	return p->was && p->was->state == POOL_BACK_OFF && !wall_is_set(p->was->next_retry);
}

static void remember(struct pool_plan *p)
{
	struct pool_status *s = &p->status;

	if (!p->was)
		return;
	s->strikes = p->was->strikes;
	s->last_strike = p->was->last_strike;
	if (s->strikes == 0 || p->seen->last_bind.ms > s->last_strike.ms)
		return; /* a bind clears the reason */
	if (p->was->state == POOL_WAITING || p->was->state == POOL_PROBING || is_of_start(p->was->reason)) {
		/* That was why it waited or did not start, not why it was given up: it is taken for a timeout, which costs one
		 * trial. */
		if (p->seen->provides_nodes)
			s->reason = REASON_PROVISION_TIMEOUT;
		return;
	}
	s->reason = p->was->reason;
	if (!breaker_was_held(p))
		s->message = p->was->message;
}

/* Others' evidence is as good as ours, but for an update, which takes its room from its own older instances: it holds as long as ours would, less if the one who found it is to ask again before,
 * and until a node comes. Whoever asks does so alone. */
static struct wall held_until(const struct planning *pl, const struct pool_plan *p)
{
	const struct plan_shortage *s = &p->seen->shortage;
	struct wall until;

	if (!wall_is_set(s->struck) || p->seen->blocked || has_older_here(pl, p))
		return (struct wall){0};
	until = wall_add(s->struck, back_off_ms(pl, breaker_forgotten(pl, p) ? 1 : p->status.strikes));
	if (s->until.ms < until.ms)
		until = s->until;
	if (!p->seen->provides_nodes && p->seen->node_ready.ms > s->struck.ms)
		until = (struct wall){0};
	return wall_max(until, s->taken);
}

static bool is_known_short(const struct planning *pl, const struct pool_plan *p)
{
	return pl->now.ms < p->held_until.ms;
}

static bool waits_below(const struct planning *pl, const struct pool_plan *p)
{
	for (const struct pool_plan *b = p + 1; b < pl->pools + pl->n_pools; b++)
		if (b->share > 0)
			return true;
	return false;
}

/* What is said once stays so while its demand waits elsewhere, whoever tries meanwhile. */
void breaker_hold_back(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];
		bool could_take = pool_room(p) > 0 && p->target == p->bound && !p->seen->blocked;

		pl->out->held_back[i] = p->held && could_take && (pl->unmet + pl->unplaced > 0 || p->would_move);
		p->passed_by = could_take && !p->given_up && (p->held || !p->open) &&
		               wall_is_set(p->seen->shortage.struck) &&
		               (is_known_short(pl, p) || breaker_was_held(p)) &&
		               (pl->unmet + pl->unplaced > 0 || waits_below(pl, p));
	}
}

/* Long pauses are for the time in which another pool serves. When nobody takes what is wanted, each is asked again as soon as
 * after a first strike. */
void breaker_hurry(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools && pl->unmet > 0; i++) {
		struct pool_status *s = &pl->pools[i].status;
		struct wall soon = wall_max(wall_add(s->last_strike, pl->e->spec.retry_after_ms),
		                            wall_add(wall_floor_s(pl->now), MS_PER_S));

		if (wall_is_set(s->next_retry) && soon.ms < s->next_retry.ms)
			s->next_retry = soon;
	}
}

void breaker_decide(struct planning *pl, struct pool_plan *p)
{
	const struct classify_output *why = &p->seen->why;

	remember(p);
	if (p->was && p->was->state == POOL_BACK_OFF && !closes(pl, p)) {
		p->open = true;
		p->status.next_retry = p->was->next_retry;
		p->status.reason = p->was->reason;
		p->status.message = p->was->message;
		return;
	}
	p->held_until = held_until(pl, p);
	if (is_known_short(pl, p) && p->waiting == 0) { /* what waits already goes on by the pool's own rules */
		p->open = p->held = true;
		return;
	}
	if (!clock_stands(pl, p))
		p->window_end = window_end(pl, p);
	if (p->waiting == 0 || p->seen->blocked)
		return;
	if (why->explicit_evidence)
		open_breaker(pl, p, why->reason);
	else if (wall_is_set(p->window_end) && pl->now.ms >= p->window_end.ms)
		open_breaker(pl, p, timeout_reason(why->reason));
}
