/* Is a new status only progress, counts and the words about them, that the next one may tell as well? */
#include "plan/internal.h"

/* A pool on its way from a node to Ready. Its state follows from its counts, and should an instance be lost before this
 * was told, then its pod shows how long it has waited (window_end()). */
static bool is_under_way(enum pool_state s)
{
	return s == POOL_STARTING || s == POOL_READY || s == POOL_IDLE;
}

static bool same_memory(const struct pool_plan *p)
{
	const struct pool_status *was = p->was, *is = &p->status;

	if (!was || was->desired != is->desired || was->priority != is->priority ||
	    !str_eq(was->instance_type, is->instance_type) || !str_eq(was->model_name, is->model_name) ||
	    was->strikes != is->strikes || was->last_strike.ms != is->last_strike.ms)
		return false;
	if (is_under_way(is->state) && was->state != POOL_BACK_OFF)
		return true;
	/* The window's end moves with each bind and is read off the pods; what the evidence gives may have no time of its own. */
	return was->state == is->state && was->reason == is->reason && was->since.ms == is->since.ms &&
	       was->next_retry.ms == is->next_retry.ms &&
	       (!wall_is_set(p->seen->why.deadline) || was->deadline.ms == is->deadline.ms);
}

static bool same_conditions(const struct endpoint_status *was, const struct endpoint_status *is)
{
	for (size_t i = 0; i < CONDITION_COUNT; i++) {
		const struct condition *a = &was->conditions[i], *b = &is->conditions[i];

		if (a->present != b->present || a->status != b->status)
			return false;
	}
	return true;
}

/* An instance may be protected for a moment longer. */
static bool steps_may_wait(const struct plan_output *out)
{
	for (size_t i = 0; i < out->n_steps; i++)
		if (out->steps[i].type != PLAN_UNPROTECT)
			return false;
	return true;
}

bool only_progress(const struct planning *pl)
{
	const struct endpoint_status *was = &pl->e->status, *is = &pl->out->status;

	if (!was->present || was->phase != is->phase || was->observed_generation != is->observed_generation ||
	    was->desired != is->desired || was->n_pools != is->n_pools || !same_conditions(was, is))
		return false;
	for (size_t i = 0; i < is->n_pools; i++)
		if (!same_memory(&pl->pools[i]))
			return false;
	return steps_may_wait(pl->out) && pl->out->n_events == 0;
}
