/* What changed since the remembered status, in plain words. */
#include <inttypes.h>
#include "plan/internal.h"

static void say(struct planning *pl, bool warning, const char *reason, const char *message)
{
	struct plan_output *o = pl->out;

	if (o->n_events < PLAN_MAX_EVENTS)
		o->events[o->n_events++] = (struct plan_event){warning, reason, message};
}

/* "g6.48xlarge for 4 instances", or what else becomes of the demand. */
static const char *asked_instead(struct planning *pl)
{
	const char *text = NULL;

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];
		int32_t more = p->share - p->waiting;

		if (more <= 0)
			continue;
		text = arena_printf(pl->arena, "%s%s%s for %" PRId32, text ? text : "asking ", text ? ", " : "",
		                    p->spec->name, more);
	}
	return text ? text : "no other pool can be asked now";
}

static bool asks_more(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].share > pl->pools[i].waiting)
			return true;
	return false;
}

static void say_given_up(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (!p->given_up)
			continue;
		say(pl, true, "PoolOutOfCapacity",
		    arena_printf(pl->arena, "%s (%s): %s; %s; tried again at %s", p->spec->name,
		                 pool_reason_name(p->status.reason),
		                 p->status.message ? p->status.message : "no capacity in time", asked_instead(pl),
		                 time_of_day(pl, p->status.next_retry)));
	}
}

static void say_recovered(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->was && p->was->state == POOL_BACK_OFF && p->status.state != POOL_BACK_OFF &&
		    (p->target > p->bound || !breaker_was_held(p)))
			say(pl, false, "PoolRecovered", arena_printf(pl->arena, "%s can be asked again", p->spec->name));
	}
}

static void say_moves(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].moves)
			say(pl, false, "Rebalancing",
			    arena_printf(pl->arena,
			                 "asking %s for one instance; a less preferred one goes when it is Ready",
			                 pl->pools[i].spec->name));
}

static void say_foreign(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct plan_pool_seen *s = pl->pools[i].seen;

		if (s->exists && s->asked >= 0 && s->asked != s->want)
			say(pl, true, "ScaledByOthers",
			    arena_printf(pl->arena,
			                 "somebody has scaled Deployment %s %" PRId32 " -> %" PRId32
			                 "; the endpoint decides that: scale the endpoint instead",
			                 s->deployment, s->asked, s->want));
		if (s->exists && s->template_changed_by)
			say(pl, true, "TemplateChangedByOthers",
			    arena_printf(
					pl->arena,
					"somebody (%s) has changed the template of Deployment %s; it is put back: change "
					"the Model, or restart with the endpoint's spec.restartedAt",
					s->template_changed_by, s->deployment));
	}
}

static void say_replaced(struct planning *pl)
{
	const char *text = NULL;

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->lost > 0)
			text = arena_printf(pl->arena, "%s%s%" PRId32 " of %s", text ? text : "", text ? ", " : "",
			                    p->lost, p->spec->name);
	}
	if (text && asks_more(pl))
		say(pl, true, "ReplacingInstances",
		    arena_printf(pl->arena, "%s are on nodes that are gone, unreachable or being removed; %s", text,
		                 asked_instead(pl)));
}

static void say_scaled(struct planning *pl)
{
	const struct endpoint_status *was = &pl->e->status, *is = &pl->out->status;

	if (!was->present || was->desired == is->desired)
		return;
	say(pl, false, is->desired > was->desired ? "ScaledOut" : "ScaledIn",
	    arena_printf(pl->arena, "%" PRId32 " -> %" PRId32 " instances", was->desired, is->desired));
}

static void say_condition(struct planning *pl, enum condition_type type, const char *reason)
{
	const struct condition *was = &pl->e->status.conditions[type], *is = &pl->out->status.conditions[type];

	if (is->status && !(was->present && was->status))
		say(pl, true, reason ? reason : is->reason, is->message);
}

static void say_phase(struct planning *pl)
{
	const struct endpoint_status *was = &pl->e->status, *is = &pl->out->status;

	if (was->phase == is->phase)
		return;
	if (is->phase == PHASE_IN_SERVICE)
		say(pl, false, "InService",
		    arena_printf(pl->arena, "%" PRId32 " of %" PRId32 " instances serve: %s", is->current,
		                 is->desired, is->pool_summary));
	else if (is->phase == PHASE_FAILED)
		say(pl, true, "Failed", is->failure_reason);
}

void events_report(struct planning *pl)
{
	say_foreign(pl);
	say_scaled(pl);
	say_given_up(pl);
	say_recovered(pl);
	say_moves(pl);
	say_replaced(pl);
	say_condition(pl, COND_MODEL_MISSING, NULL);
	if (!pl->out->status.conditions[COND_MODEL_MISSING].status)
		say_condition(pl, COND_STALLED, NULL);
	say_condition(pl, COND_INSUFFICIENT_CAPACITY, "InsufficientCapacity");
	say_condition(pl, COND_STARTUP_FAILED, "StartupFailed");
	say_phase(pl);
}
