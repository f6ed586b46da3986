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

/* The status may not tell of it yet. An update makes a usual wait of it: there every instance is asked for. */
static bool goes_on(const struct planning *pl, const struct pool_plan *p)
{
	if (!p->was || !pool_waits(p) || pl->old_bound > 0)
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

static bool is_calm(const struct planning *pl)
{
	const struct condition *was = &pl->e->status.conditions[COND_RECONCILING];

	if (!was->present || was->status || pl->unmet > 0 || pl->old_bound > 0 || pl->bound != pl->desired ||
	    pl->ready != pl->desired)
		return false;
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].waiting > 0 || pl->pools[i].target != pl->pools[i].bound)
			return false;
	return true;
}

static bool serves_below(const struct planning *pl, const struct pool_plan *p)
{
	for (const struct pool_plan *b = p + 1; b < pl->pools + pl->n_pools; b++)
		if (b->spec->priority > p->spec->priority && b->bound > b->spec->min_instances)
			return true;
	return false;
}

/* The best pool that can be asked and has worse ones that serve, once all has been well for a while: a fleet is never all
 * new at once. */
void rebalance(struct planning *pl)
{
	struct wall due;

	if (!pl->e->spec.rebalance_active || !is_calm(pl))
		return;
	due = wall_add(pl->e->status.conditions[COND_RECONCILING].since, pl->e->spec.retry_after_ms);
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		if (!pool_usable(p) || pool_room(p) <= 0 || !serves_below(pl, p))
			continue;
		if (pl->now.ms < due.ms) {
			p->moves_at = due;
			return;
		}
		p->probes = p->moves = true;
		p->surge = 1;
		p->target++;
		return;
	}
}
