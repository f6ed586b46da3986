/* One instance asked on trial, beyond the demand: after a timeout (rule 4), or to move the fleet back (rule 6). */
#include "plan/internal.h"

/* A scale-in ends it, as it ends all that waits. An update makes a usual wait of it: there every instance is asked for. */
void probe_resume(struct planning *pl)
{
	if (pl->old_bound > 0 || scaled_in(pl))
		return;
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->probes = p->was && p->was->state == POOL_PROBING && pool_waits(p);
		pl->probing = pl->probing || p->probes;
	}
}

/* A verdict of the cluster comes again in seconds; what only took too long would take as long once more. */
static bool was_timeout(const struct pool_plan *p)
{
	switch (p->status.reason) {
	case REASON_STOCK_OUT:
	case REASON_LIMIT:
	case REASON_NO_NODES:
		return false;
	case REASON_NONE: /* not remembered: it waited since */
		return p->seen->provides_nodes;
	case REASON_PENDING:
	case REASON_PROVISIONING:
	case REASON_RELEASING:
	case REASON_SETTLING:
	case REASON_OWN_FLEET:
	case REASON_CONFIG:
	case REASON_QUOTA:
	case REASON_GATED:
	case REASON_UNKNOWN:
	case REASON_PROVISION_TIMEOUT:
	default:
		return true;
	}
}

bool probe_first(const struct planning *pl, const struct pool_plan *p)
{
	const struct pool_status *s = &p->status;

	return pl->old_bound == 0 && s->strikes > 0 && !breaker_forgotten(pl, p) &&
	       p->seen->last_bind.ms <= s->last_strike.ms && p->waiting == 0 && was_timeout(p);
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
