/* One plan: count, decide about each pool, fill, write down the steps, report. */
#include "plan/plan.h"
#include <assert.h>
#include "api/names.h"
#include "plan/internal.h"

int32_t plan_desired(const struct endpoint *e)
{
	if (e->spec.instance_count >= 0)
		return e->spec.instance_count;
	return e->status.present ? e->status.desired : 1;
}

static void count_pool(struct planning *pl, struct pool_plan *p)
{
	const struct plan_pool_seen *seen = p->seen;

	p->bound = min_i32(seen->bound, seen->want);
	p->ready = min_i32(seen->ready, seen->want);
	p->lost = min_i32((int32_t)seen->n_lost, seen->want - p->bound);
	for (size_t i = 0; i < seen->n_lost; i++)
		p->lost_ready += seen->lost[i]->ready;
	p->lost_ready = min_i32(p->lost_ready, p->lost);
	p->waiting = seen->want - p->bound - p->lost;
	/* Where less is asked than is bound, those that do not start are taken for gone. */
	p->failed = max_i32(0, seen->startup.failed - (seen->bound - p->bound));
	p->failed = min_i32(p->failed, p->bound - p->ready);
	pl->bound += p->bound;
	pl->ready += p->ready;
	pl->lost += p->lost;
}

static void count(struct planning *pl)
{
	pl->n_pools = pl->e->spec.n_pools;
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->spec = &pl->e->spec.pools[i];
		p->seen = &pl->in->pools[i];
		p->was = endpoint_status_pool(&pl->e->status, p->spec->name);
		count_pool(pl, p);
	}
	for (size_t i = 0; i < pl->in->n_old; i++) {
		const struct plan_old_seen *o = &pl->in->old[i];

		pl->old_bound += min_i32(o->bound, o->want);
		pl->old_ready += min_i32(o->ready, o->want);
	}
}

/* A maximum that was lowered takes nothing away. */
static int32_t allowed(const struct planning *pl)
{
	int64_t most = 0;

	for (size_t i = 0; i < pl->n_pools; i++)
		most += max_i32(pool_cap(&pl->pools[i]), pl->pools[i].bound);
	return most < pl->desired ? (int32_t)most : pl->desired;
}

bool is_old_of(const struct plan_old_seen *o, const struct pool_plan *p)
{
	char label[NAME_MAX_BYTES + 1];

	label_value(p->spec->name, label);
	return str_eq(o->pool, label);
}

bool older_makes_room(const struct planning *pl, const struct pool_plan *p)
{
	for (size_t i = 0; i < pl->in->n_old; i++) {
		const struct plan_old_seen *o = &pl->in->old[i];

		/* One that is not Ready is not kept: it goes with this plan. */
		if (is_old_of(o, p) && min_i32(o->want, o->ready) < o->bound)
			return true;
	}
	return false;
}

/* An update borrows room from a pool below rather than do without an instance. Only from below: two pools full of our
 * own would lend to each other without end. */
static void find_lenders(struct planning *pl)
{
	bool room_below = false;

	for (size_t i = pl->n_pools; i-- > 0;) {
		struct pool_plan *p = &pl->pools[i];
		bool behind = pool_waits_behind_own(p);

		p->lends = behind && room_below && !older_makes_room(pl, p);
		/* What does not start has nothing to offer. */
		room_below = room_below || (pool_usable(p) && !behind && p->failed == 0 && pool_room(p) > 0);
	}
}

/* One for each pool whose template does not start, as the others of its instances may fare no better; while too few
 * serve: an update that does not get on waits. */
static void find_substituted(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->has_substitute = pl->e->spec.lends_failed && p->failed > 0 && !enough_serve(pl);
		pl->substitutes += p->has_substitute;
	}
}

/* Does all that is asked of the new generation wait behind our own older instances, with nowhere else to go and none of them
 * going? */
static bool no_room(const struct planning *pl)
{
	bool behind = false;

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->share == 0)
			continue;
		if (!pool_waits_behind_own(p) || older_makes_room(pl, p))
			return false;
		behind = true;
	}
	return behind;
}

static void roll_out(struct planning *pl, bool no_room)
{
	rollout(&(struct rollout_input){pl->desired, pl->allowed, pl->ready, pl->old_ready, no_room},
	        &pl->rollout);
}

/* Where instances are taken away there will be room: the pool can be asked again. */
static void close_where_room_is_made(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		if (p->open && p->target < p->bound) {
			p->open = false;
			p->status.next_retry = (struct wall){0};
		}
	}
}

static void add_step(struct planning *pl, enum plan_step_type type, size_t index, int32_t from, int32_t to)
{
	pl->out->steps[pl->out->n_steps++] = (struct plan_step){type, index, from, to, NULL};
}

static void add_pod_step(struct planning *pl, enum plan_step_type type, const struct pod *pod)
{
	pl->out->steps[pl->out->n_steps++] = (struct plan_step){.type = type, .pod = pod};
}

static int32_t replicas(const struct pool_plan *p)
{
	return p->target + p->keep_lost;
}

static void add_first_to_go(struct planning *pl, const struct pod *const *pods, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!str_eq(pods[i]->deletion_cost, DELETION_COST_FIRST))
			add_pod_step(pl, PLAN_FIRST_TO_GO, pods[i]);
}

/* Rule 8: those on a lost node go before the others that are as Ready; of those that wait, the ones to whom no node was
 * promised. */
static void add_victims(struct planning *pl, const struct pool_plan *p)
{
	const struct classify_output *why = &p->seen->why;

	if (p->keep_lost == 0)
		add_first_to_go(pl, p->seen->lost, p->seen->n_lost);
	if (p->target > p->bound)
		add_first_to_go(pl, why->unpromised,
		                (size_t)min_i32((int32_t)why->n_unpromised, p->seen->want - replicas(p)));
}

static size_t count_victims(const struct planning *pl)
{
	size_t n = 0;

	for (size_t i = 0; i < pl->n_pools; i++)
		n += pl->pools[i].seen->n_lost + pl->pools[i].seen->why.n_unpromised;
	return n;
}

/* What serves or will serve first, what goes after it: a crash in between leaves too many, never too few. */
static void add_steps(struct planning *pl)
{
	const struct plan_input *in = pl->in;

	pl->out->steps =
		arena_calloc(pl->arena, 3 * pl->n_pools + 2 * in->n_old + count_victims(pl) + in->n_grown + 1,
	                 sizeof(*pl->out->steps));
	/* At once: the others' rollout has begun. */
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].seen->exists && pl->pools[i].seen->template_changed_by)
			add_step(pl, PLAN_RESTORE, i, 0, 0);
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (!p->seen->exists && !p->seen->blocked && p->target > 0)
			add_step(pl, PLAN_CREATE, i, 0, p->target);
		else if (p->seen->exists && replicas(p) > p->seen->want)
			add_step(pl, PLAN_SCALE, i, p->seen->want, replicas(p));
	}
	for (size_t i = 0; i < in->n_old; i++)
		if (pl->old_target[i] < in->old[i].want)
			add_step(pl, PLAN_SCALE_OLD, i, in->old[i].want, pl->old_target[i]);
	for (size_t i = pl->n_pools; i-- > 0;) {
		const struct pool_plan *p = &pl->pools[i];

		if (!p->seen->exists || replicas(p) >= p->seen->want)
			continue;
		add_victims(pl, p);
		add_step(pl, PLAN_SCALE, i, p->seen->want, replicas(p));
	}
	/* Every pool's Deployment is there from the start, so that a fallback is one small write. */
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (!p->seen->exists && !p->seen->blocked && p->target == 0)
			add_step(pl, PLAN_CREATE, i, 0, 0);
	}
	for (size_t i = 0; i < in->n_old; i++)
		if (in->old[i].want == 0 && !in->old[i].pods_left)
			add_step(pl, PLAN_DELETE_OLD, i, 0, 0);
	for (size_t i = 0; i < in->n_grown; i++)
		add_pod_step(pl, PLAN_UNPROTECT, in->grown[i]);
}

/* Instances beyond a count that we have lowered are condemned, though they serve: which of them would stay if it were raised
 * at once, nobody can tell, and another pool's would go for one that goes, too. Somebody else's lower count is put back at
 * once. */
static bool raises_condemned(const struct plan_input *in, const struct plan_output *out)
{
	for (size_t i = 0; i < out->n_steps; i++) {
		const struct plan_step *s = &out->steps[i];
		const struct plan_pool_seen *p;

		if (s->type != PLAN_SCALE || s->to <= s->from)
			continue;
		p = &in->pools[s->index];
		if (p->bound > s->from && (p->asked < 0 || p->asked == s->from))
			return true;
	}
	return false;
}

/* The counts as they are once the steps are done; a status made of these stays the same in the next plan. */
static void settle_counts(struct planning *pl)
{
	pl->bound = pl->ready = pl->old_bound = pl->old_ready = pl->lost = pl->lost_ready = 0;
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->failed = max_i32(0, p->failed - max_i32(0, p->bound - p->target));
		p->bound = min_i32(p->bound, p->target);
		p->ready = min_i32(p->ready, p->target);
		p->failed = min_i32(p->failed, p->bound - p->ready);
		p->lost = p->keep_lost;
		p->lost_ready = min_i32(p->lost_ready, p->lost);
		pl->bound += p->bound;
		pl->ready += p->ready;
		pl->lost += p->lost;
		pl->lost_ready += p->lost_ready;
	}
	for (size_t i = 0; i < pl->in->n_old; i++) {
		pl->old_bound += min_i32(pl->in->old[i].bound, pl->old_target[i]);
		pl->old_ready += min_i32(pl->in->old[i].ready, pl->old_target[i]);
	}
}

/* Cheap enough to be always on. */
static void check(const struct planning *pl)
{
	int32_t total = 0, surge = 0;

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		assert(p->target >= 0 && p->share >= 0);
		assert(p->target <= max_i32(pool_cap(p), p->seen->want));
		total += p->target;
		surge += p->surge;
	}
	/* More than asked only where it serves until something better does, in place of one that does not start, where a node is
	 * on its way, or on trial. */
	assert(total <= max_i32(pl->rollout.new_target + pl->substitutes, pl->bound) + surge);
}

void plan(const struct plan_input *in, struct wall now, struct arena *a, struct plan_output *ret)
{
	struct planning *pl = arena_alloc(a, sizeof(*pl));

	*ret = (struct plan_output){0};
	pl->in = in;
	pl->e = in->endpoint;
	pl->now = now;
	pl->arena = a;
	pl->out = ret;
	pl->desired = plan_desired(pl->e);
	count(pl);
	pl->allowed = allowed(pl);
	for (size_t i = 0; i < pl->n_pools; i++)
		breaker_decide(pl, &pl->pools[i]);
	find_lenders(pl);
	find_substituted(pl);
	probe_resume(pl);
	roll_out(pl, false);
	fill(pl);
	roll_out(pl, no_room(pl));
	scale_in(pl);
	rebalance(pl);
	breaker_hold_back(pl);
	breaker_hurry(pl);
	close_where_room_is_made(pl);
	check(pl);
	add_steps(pl);
	ret->raises_condemned = raises_condemned(in, ret);
	settle_counts(pl);
	status_report(pl);
	events_report(pl);
	ret->only_progress = only_progress(pl);
}
