/* One instance asked on trial, beyond the demand: after a timeout (rule 4), or to move the fleet back (rule 6). */
#include "plan/internal.h"

/* A verdict of the cluster comes again in seconds; what only took too long would take as long once more. */
static bool was_timeout(enum pool_reason r)
{
	return r != REASON_NONE && r != REASON_STOCK_OUT && r != REASON_LIMIT && r != REASON_NO_NODES;
}

bool probe_needed(const struct planning *pl, const struct pool_plan *p)
{
	const struct pool_status *s = &p->status;

	return pl->old_bound == 0 && s->strikes > 0 && !breaker_forgotten(pl, p) &&
	       p->seen->last_bind.ms <= s->last_strike.ms && was_timeout(s->reason);
}

static bool has_older(const struct planning *pl, const struct pool_plan *p)
{
	for (size_t i = 0; i < pl->in->n_old; i++)
		if (is_old_of(&pl->in->old[i], p))
			return true;
	return false;
}

static bool serves_below(const struct planning *pl, const struct pool_plan *p)
{
	for (const struct pool_plan *b = p + 1; b < pl->pools + pl->n_pools; b++)
		if (b->spec->priority > p->spec->priority && b->bound > b->spec->min_instances)
			return true;
	return false;
}

/* The end of an update that was begun, see return_loan(): its writes may have come only so far, and the status not at all. */
static bool is_returning(const struct planning *pl, const struct pool_plan *p)
{
	return pl->ready >= pl->desired && p->waiting == 1 && has_older(pl, p) && serves_below(pl, p);
}

/* The status may not tell of it yet. An update makes a usual wait of it: there every instance is asked for. */
static bool goes_on(const struct planning *pl, const struct pool_plan *p)
{
	if (!p->was || !pool_waits(p))
		return false;
	if (is_returning(pl, p))
		return true;
	if (pl->old_bound > 0)
		return false;
	return p->was->state == POOL_PROBING ||
	       (p->was->state != POOL_WAITING && p->was->state != POOL_BACK_OFF && probe_needed(pl, p));
}

void probe_resume(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->probes = goes_on(pl, p);
		pl->probing = pl->probing || p->probes;
	}
}

/* Every instance that is wanted serves, and nothing is asked, replaced or removed. */
static bool all_serve(const struct planning *pl)
{
	if (pl->unmet > 0 || pl->substitutes > 0 || pl->lost > 0 || pl->bound != pl->desired ||
	    pl->ready != pl->desired)
		return false;
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].waiting > 0 || pl->pools[i].target != pl->pools[i].bound)
			return false;
	return true;
}

static bool is_calm(const struct planning *pl)
{
	const struct condition *was = &pl->e->status.conditions[COND_RECONCILING];

	return was->present && !was->status && pl->old_bound == 0 && all_serve(pl);
}

/* Does the last of its older instances go now? After that the trial is remembered by its state. */
static bool last_older_goes(const struct planning *pl, const struct pool_plan *p)
{
	bool ends = false;

	for (size_t i = 0; i < pl->in->n_old; i++) {
		const struct plan_old_seen *o = &pl->in->old[i];

		if (!is_old_of(o, p))
			continue;
		if (pl->old_target[i] > 0)
			return false;
		ends = ends || min_i32(o->ready, o->want) > 0;
	}
	return ends;
}

static bool can_move_to(const struct planning *pl, const struct pool_plan *p)
{
	return pool_usable(p) && pool_room(p) > 0 && serves_below(pl, p);
}

static void move_to(struct pool_plan *p)
{
	p->probes = p->moves = true;
	p->surge = 1;
	p->target++;
}

/* The end of an update: the room of the last older instance of a pool is for the one that it has lent. */
static bool return_loan(struct planning *pl)
{
	if (pl->rollout.old_keep > 0 || !all_serve(pl))
		return false;
	for (size_t i = 0; i < pl->n_pools; i++)
		if (can_move_to(pl, &pl->pools[i]) && last_older_goes(pl, &pl->pools[i])) {
			move_to(&pl->pools[i]);
			return true;
		}
	return false;
}

/* The best pool that can be asked and has worse ones that serve. One that was tried in vain comes after those that were not
 * since: else it would be tried for ever, and a second best with room never. */
static struct pool_plan *pool_to_move_to(struct planning *pl, struct wall due)
{
	struct pool_plan *best = NULL;

	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		if ((!pool_usable(p) && !p->held) || pool_room(p) <= 0 || !serves_below(pl, p))
			continue;
		p->would_move = p->held && pl->now.ms >= due.ms;
		if (!p->would_move && (!best || p->status.last_strike.ms < best->status.last_strike.ms))
			best = p;
	}
	return best;
}

/* Once all has been well for a while: a fleet is never all new at once. */
void rebalance(struct planning *pl)
{
	struct pool_plan *p;
	struct wall due;

	if (return_loan(pl) || !pl->e->spec.rebalance_active || !is_calm(pl))
		return;
	due = wall_add(pl->e->status.conditions[COND_RECONCILING].since, pl->e->spec.retry_after_ms);
	p = pool_to_move_to(pl, due);
	if (p && pl->now.ms < due.ms)
		p->moves_at = due;
	else if (p)
		move_to(p);
}
