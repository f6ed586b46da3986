/* The planner's promises, on random walks of a small cluster (world.h). A walk that breaks one is told again, step by
 * step, with its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "world.h"

/* A promise: the first that is broken ends the walk. */
static void promise(struct world *w, bool kept, const char *what)
{
	if (!kept && !w->broken)
		w->broken = what;
}

/* ---- what holds for every single plan ---- */

static int32_t lesser(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

/* Another endpoint tries, or has found nothing. */
static bool may_be_held(const struct world *w, size_t pool)
{
	const struct plan_shortage *s = &w->pools[pool].shortage;

	return s->until.ms > w->now_ms || s->taken.ms > w->now_ms;
}

static int32_t room_below_cap(const struct world *w, const struct plan_input *in,
                              const struct plan_output *out, size_t pool)
{
	const struct pool_status *p = &out->status.pools[pool];

	if (p->state == POOL_BACK_OFF || w->pools[pool].blocked || may_be_held(w, pool))
		return 0;
	return w->e.spec.pools[pool].max_instances - p->desired + (int32_t)in->pools[pool].n_lost;
}

/* For more than its minimum, which is asked for whatever the pools above have; and not for more than its cap, which was
 * lowered since. */
static bool waits_still(const struct plan_input *in, const struct plan_output *out, size_t pool)
{
	const struct plan_pool_seen *s = &in->pools[pool];

	return s->want > in->endpoint->spec.pools[pool].min_instances &&
	       s->bound < in->endpoint->spec.pools[pool].max_instances &&
	       s->want > s->bound + (int32_t)s->n_lost && out->status.pools[pool].state == POOL_WAITING;
}

/* Given up, or it lends its demand: that goes to the next pool. */
static bool passes_on(const struct world *w, const struct plan_input *in, const struct plan_output *out,
                      size_t pool)
{
	const struct pool_status *p = &out->status.pools[pool];

	if (in->pools[pool].why.reason == REASON_OWN_FLEET && p->desired < in->pools[pool].want)
		return true;
	return p->state == POOL_BACK_OFF && p->last_strike.ms == world_seconds(w->now_ms).ms;
}

/* Within a walk demand goes down: to a pool above one that waits only from another one above, or when nothing from there on
 * can take it. */
static void check_walk(struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	size_t first = 0, n = w->e.spec.n_pools;
	int32_t substitutes = 0; /* may go to any pool */

	for (size_t i = 0; i < n; i++)
		substitutes += w->e.spec.lends_failed && in->pools[i].startup.failed > 0;
	while (first < n && !waits_still(in, out, first))
		first++;
	for (size_t i = 0; i < first && first < n && !passes_on(w, in, out, i); i++)
		for (size_t k = first; k < n && out->status.pools[i].desired > in->pools[i].want + substitutes; k++)
			promise(w, room_below_cap(w, in, out, k) <= 0, "a pool above one that waits was asked");
}

static void check_sums(struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	int32_t total = 0, bound = 0, surge = 0, desired = plan_desired(&w->e);

	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		const struct plan_pool_seen *s = &in->pools[i];
		const struct pool_status *p = &out->status.pools[i];

		total += p->desired;
		bound += lesser(s->bound, s->want);
		surge += s->why.on_the_way + (p->state == POOL_PROBING ? 1 : 0) + (int32_t)s->n_lost +
		         (s->startup.failed > 0 ? 1 : 0);
		promise(w, p->desired <= s->want || (p->state != POOL_BACK_OFF && !s->blocked),
		        "a pool that cannot be asked was");
		promise(w,
		        p->desired <= s->want || p->desired - (int32_t)s->n_lost <= w->e.spec.pools[i].max_instances,
		        "more than the cap");
		promise(w, p->current + p->starting + p->waiting == p->desired, "the pool's counts do not add up");
		promise(w, p->waiting > 0 || p->state != POOL_WAITING, "waits for nothing");
	}
	promise(w, total <= (desired > bound ? desired : bound) + surge, "more asked than wanted");
}

/* While another endpoint tries, a pool where nothing waits is not asked, unless an update makes room there itself. */
static void check_turns(struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	for (size_t i = 0; i < w->e.spec.n_pools && in->n_old == 0; i++) {
		const struct plan_pool_seen *s = &in->pools[i];
		const struct pool_status *p = &out->status.pools[i];

		if (s->shortage.taken.ms > w->now_ms && s->want <= s->bound)
			promise(w, p->desired <= s->want, "a pool was asked out of turn");
		promise(w, p->state != POOL_BACK_OFF || wall_is_set(p->next_retry) || wall_is_set(s->shortage.struck),
		        "passed by without evidence");
		if (out->held_back[i])
			promise(w, wall_is_set(out->wake), "held back for ever");
	}
}

static void check_time(struct world *w, struct wall t)
{
	promise(w, t.ms % MS_PER_S == 0, "a time that the API would cut");
}

static void check_times(struct world *w, const struct plan_output *out)
{
	for (size_t i = 0; i < out->status.n_pools; i++) {
		const struct pool_status *p = &out->status.pools[i];

		check_time(w, p->since);
		check_time(w, p->deadline);
		check_time(w, p->next_retry);
		check_time(w, p->last_strike);
	}
	promise(w, !wall_is_set(out->wake) || out->wake.ms > w->now_ms, "wakes in the past");
}

static bool same_texts(const struct plan_output *a, const struct plan_output *b)
{
	if (a->n_events != b->n_events)
		return false;
	for (size_t i = 0; i < a->n_events; i++)
		if (!str_eq(a->events[i].reason, b->events[i].reason) ||
		    !str_eq(a->events[i].message, b->events[i].message))
			return false;
	return true;
}

static bool same_steps(const struct plan_output *a, const struct plan_output *b)
{
	if (a->n_steps != b->n_steps)
		return false;
	for (size_t i = 0; i < a->n_steps; i++)
		if (a->steps[i].type != b->steps[i].type || a->steps[i].index != b->steps[i].index ||
		    a->steps[i].from != b->steps[i].from || a->steps[i].to != b->steps[i].to ||
		    a->steps[i].pod != b->steps[i].pod)
			return false;
	return true;
}

static void check_again(struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	struct plan_output again;

	plan(in, (struct wall){w->now_ms}, &w->arena, &again);
	promise(w,
	        same_steps(out, &again) && same_texts(out, &again) && out->wake.ms == again.wake.ms &&
	            endpoint_status_equal(&out->status, &again.status),
	        "the same input gave another output");
}

/* ---- carried out ---- */

/* The plan's own writes change nothing in the evidence, unless the controller had not followed the ones before. */
static bool same_evidence(const struct world *w, const struct plan_input *before, struct plan_input *now)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		const struct plan_pool_seen *was = &before->pools[i];
		struct plan_pool_seen *is = &now->pools[i];

		if (is->want > was->want && was->bound > was->want)
			return false;
		if (was->why.reason == REASON_OWN_FLEET && is->want <= is->bound)
			return false; /* nobody waits there any more to show it */
		if (is->want > was->want && was->want == was->bound)
			is->why = (struct classify_output){.reason = REASON_PENDING, .message = CLASSIFY_NO_PODS};
		else if (is->want > is->bound && is->why.reason != was->why.reason)
			return false;
	}
	return true;
}

/* The first plan after all is well may begin to move the fleet back. */
static bool moves(const struct plan_output *out)
{
	for (size_t i = 0; i < out->n_events; i++)
		if (str_eq(out->events[i].reason, "Rebalancing"))
			return true;
	return false;
}

/* All is written and nothing else has happened: there is nothing left to do, nor to say that is new. */
static void check_plan_after_plan(struct world *w, const struct plan_input *before, const char *when,
                                  const struct endpoint_status *status)
{
	struct plan_input in;
	struct plan_output out;

	world_observe(w, &in);
	if (!same_evidence(w, before, &in))
		return;
	plan(&in, (struct wall){w->now_ms}, &w->arena, &out);
	if (moves(&out))
		return;
	for (size_t i = 0; i < out.n_steps; i++) /* it may be without pods by now */
		promise(w, out.steps[i].type == PLAN_DELETE_OLD, when);
	promise(w, out.n_events == 0, "the same event twice");
	promise(w, !status || endpoint_status_equal(status, &out.status), "the second plan has another status");
	if (w->broken && w->tell)
		world_tell(w, &in, &out);
}

/* Ready, without those that were lowered away before. */
static int32_t ready_to_stay(const struct world *w, const struct plan_input *in)
{
	int32_t n = 0;

	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		const struct plan_pool_seen *s = &in->pools[i];
		int32_t ready = s->ready;

		for (size_t k = 0; k < s->n_lost; k++)
			ready += s->lost[k]->ready;
		n += lesser(ready, s->want);
	}
	for (size_t i = 0; i < in->n_old; i++)
		n += lesser(in->old[i].ready, in->old[i].want);
	return n;
}

static bool update_has_no_room(const struct world *w, const struct plan_input *in)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		if (in->pools[i].why.reason == REASON_OWN_FLEET)
			return true;
	return false;
}

/* Whether one goes that does not start, or one that still may, the controller decides. */
static bool failed_may_go(struct world *w, const struct plan_input *before)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		if (before->pools[i].startup.failed > 0 &&
		    w->pools[i].deployments[w->generation].want < before->pools[i].want)
			return true;
	return false;
}

/* What no pool may have serves on in older instances only until all that may be is new. */
static int32_t wanted_ready(const struct world *w, const struct plan_input *in, int32_t *ret_allowed)
{
	int32_t desired = plan_desired(&w->e), ready = 0;
	int64_t allowed = 0;

	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		const struct plan_pool_seen *p = &in->pools[i];
		int32_t bound = lesser(p->bound, p->want), most = w->e.spec.pools[i].max_instances;

		allowed += bound > most ? bound : most;
		ready += lesser(p->ready, p->want);
	}
	*ret_allowed = allowed < desired ? (int32_t)allowed : desired;
	return in->n_old > 0 && ready >= *ret_allowed ? *ret_allowed : desired;
}

static void check_carried_out(struct world *w, const struct plan_input *before, const struct plan_output *out,
                              bool told)
{
	int32_t allowed, wanted = wanted_ready(w, before, &allowed), ready = ready_to_stay(w, before);
	int32_t may_be_missing = ready >= allowed && update_has_no_room(w, before) ? 1 : 0;

	check_plan_after_plan(w, before, "the plan after the plan is not empty", told ? &out->status : NULL);
	replicate(w);
	if (!failed_may_go(w, before))
		check_plan_after_plan(w, before, "the plan after the controller is not empty", NULL);
	promise(w, world_ready(w) >= lesser(wanted, ready) - may_be_missing, "Ready instances were taken");
}

/* Looks, plans, checks, and writes all of it; a status of mere progress only now and then, as the operator does. Returns
 * the number of steps. */
static size_t settle(struct world *w, bool woken)
{
	struct plan_input in;
	struct plan_output out;
	bool told;

	world_observe(w, &in);
	plan(&in, (struct wall){w->now_ms}, &w->arena, &out);
	if (w->tell)
		world_tell(w, &in, &out);
	check_walk(w, &in, &out);
	check_sums(w, &in, &out);
	check_turns(w, &in, &out);
	check_times(w, &out);
	check_again(w, &in, &out);
	promise(w, !woken || out.n_steps > 0 || !endpoint_status_equal(&w->e.status, &out.status),
	        "woken for nothing");
	for (size_t i = 0; i < out.n_steps; i++)
		world_write(w, &out.steps[i]);
	told = !out.only_progress || world_random(w, 2) == 0;
	if (told)
		w->e.status = out.status;
	check_carried_out(w, &in, &out, told);
	return out.n_steps;
}

/* The operator dies after some of the writes. */
static void crash(struct world *w)
{
	struct plan_input in;
	struct plan_output out;
	size_t written;

	world_observe(w, &in);
	plan(&in, (struct wall){w->now_ms}, &w->arena, &out);
	written = world_random(w, (uint32_t)out.n_steps + 1);
	if (w->tell) {
		world_tell(w, &in, &out);
		fprintf(stderr, "    crash after %zu writes\n", written);
	}
	for (size_t i = 0; i < written; i++)
		world_write(w, &out.steps[i]);
}

/* Nodes come and instances bind between our look and our writes: at worst one that has just bound is lost. */
static void race(struct world *w)
{
	struct plan_input in;
	struct plan_output out;
	int32_t ready, allowed;

	world_observe(w, &in);
	plan(&in, (struct wall){w->now_ms}, &w->arena, &out);
	if (w->tell) {
		world_tell(w, &in, &out);
		fprintf(stderr, "    meanwhile all that waits gets a node\n");
	}
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		w->pools[i].room += 3;
	schedule(w);
	ready = lesser(ready_to_stay(w, &in), wanted_ready(w, &in, &allowed));
	for (size_t i = 0; i < out.n_steps; i++)
		world_write(w, &out.steps[i]);
	w->e.status = out.status;
	replicate(w);
	promise(w, world_ready(w) >= ready - (update_has_no_room(w, &in) ? 1 : 0),
	        "a race with a binding took Ready instances");
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		for (int n = 0; n < 3; n++)
			lose_node(w, i);
}

/* ---- what happens to it ---- */

static void new_template(struct world *w)
{
	if (w->generation + 1 < WORLD_GENERATIONS)
		w->generation++;
}

static void others_strike(struct world *w, struct plan_shortage *s)
{
	s->struck = world_seconds(w->now_ms);
	s->until = wall_add(s->struck, MS_PER_S * (1 + world_random(w, 600)));
	s->taken = (struct wall){world_chance(w, 50) ? w->now_ms + world_random(w, 300000) : 0};
	s->reason = world_chance(w, 80) ? REASON_STOCK_OUT : REASON_NO_NODES;
	s->message = "no room";
}

static void something_happens(struct world *w)
{
	size_t pool = world_random(w, (uint32_t)w->e.spec.n_pools);
	struct world_pool *p = &w->pools[pool];

	switch (world_random(w, 17)) {
	case 0:
	case 1:
	case 2:
		w->e.spec.instance_count = (int32_t)world_random(w, 11);
		break;
	case 3:
	case 4:
		p->room++;
		p->node_ready_ms = w->now_ms;
		break;
	case 5:
	case 6:
		lose_node(w, pool);
		break;
	case 7:
		p->node_due_ms = w->now_ms + 1 + world_random(w, 300000);
		break;
	case 8:
		p->blocked = !p->blocked;
		break;
	case 9:
		w->e.status = (struct endpoint_status){0};
		break;
	case 10:
		new_template(w);
		break;
	case 11:
	case 12:
		lose_instance(w, pool);
		break;
	case 13:
	case 14:
		others_strike(w, &p->shortage);
		break;
	case 15:
		p->shortage = (struct plan_shortage){0};
		break;
	default:
		w->e.spec.pools[pool].max_instances =
			world_chance(w, 50) ? INT32_MAX : 1 + (int32_t)world_random(w, 5);
	}
}

static void next_moment(struct world *w)
{
	pass_time(w, world_chance(w, 70) ? world_random(w, 5000) : world_random(w, 400000));
	if (world_chance(w, 80))
		replicate(w);
	schedule(w);
}

static void random_walk(struct world *w)
{
	for (int step = 0; step < 40 && !w->broken; step++) {
		next_moment(w);
		if (world_chance(w, 40))
			something_happens(w);
		if (world_chance(w, 10))
			crash(w);
		else if (world_chance(w, 5))
			race(w);
		else
			settle(w, false);
	}
}

/* ---- and what must come of it ---- */

/* To the next moment at which something happens without us, or at which the plan wants to look again. Returns whether it
 * was the plan alone that asked for it. */
static bool until_next(struct world *w)
{
	struct plan_input in;
	struct plan_output out;
	int64_t next = NEVER, wake;

	world_observe(w, &in);
	plan(&in, (struct wall){w->now_ms}, &w->arena, &out);
	for (size_t k = 0; k < WORLD_PODS; k++) {
		const struct world_pod *p = &w->pods[k];

		if (p->alive && p->ready_ms > w->now_ms && p->ready_ms < next)
			next = p->ready_ms;
		if (p->alive && p->leaves_ms && p->leaves_ms < next)
			next = p->leaves_ms;
		if (p->alive && p->lost_until_ms && p->lost_until_ms < next)
			next = p->lost_until_ms;
	}
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		if (w->pools[i].node_due_ms && w->pools[i].node_due_ms < next)
			next = w->pools[i].node_due_ms;
	wake = wall_is_set(out.wake) ? out.wake.ms : NEVER;
	if (next == NEVER && wake == NEVER)
		pass_time(w, 60000);
	else
		pass_time(w, (wake < next ? wake : next) - w->now_ms);
	replicate(w);
	schedule(w);
	return wake < next;
}

static void mend(struct world *w)
{
	for (size_t k = 0; k < WORLD_PODS; k++)
		if (w->pods[k].ready_ms == NEVER)
			w->pods[k].ready_ms = w->now_ms + 1000;
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		w->pools[i].blocked = false;
}

static bool is_met(struct world *w)
{
	int32_t total = 0;

	for (size_t k = 0; k < WORLD_PODS; k++)
		if (is_bound(&w->pods[k]) && w->pods[k].lost_until_ms)
			return false;
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		for (int g = 0; g <= w->generation; g++)
			total += w->pools[i].deployments[g].want;
	return total == plan_desired(&w->e) && world_ready(w) == total;
}

/* However the world got into its state: with room in one pool the demand is met, and then it is still. */
static void check_it_ends_well(struct world *w)
{
	size_t pool = world_random(w, (uint32_t)w->e.spec.n_pools);
	int64_t end_ms = w->now_ms + 4 * 3600 * MS_PER_S;

	w->e.spec.rebalance_active = false; /* it may try for ever */
	mend(w);
	w->pools[pool].room += 24;
	w->e.spec.pools[pool].max_instances = INT32_MAX;
	while (w->now_ms < end_ms && !w->broken && !is_met(w)) {
		until_next(w);
		mend(w);
		settle(w, false);
	}
	promise(w, is_met(w), "the demand is never met");
	settle(w, false); /* what is not urgent */
	for (int i = 0; i < 20 && !w->broken; i++) {
		until_next(w);
		promise(w, settle(w, false) == 0 || w->generation > 0, "no rest when all is met");
	}
}

static void mend_pool(struct world *w, size_t pool)
{
	for (size_t k = 0; k < WORLD_PODS; k++)
		if (w->pods[k].pool == pool && w->pods[k].ready_ms == NEVER)
			w->pods[k].ready_ms = w->now_ms + 1000;
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		w->pools[i].blocked = false;
}

/* All that is wanted, but for those that do not start; of these one in each pool has a stand-in. */
static bool serves_beside_failures(struct world *w)
{
	int32_t missing = 0;
	struct plan_input in;

	world_observe(w, &in);
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		int32_t failed = in.pools[i].startup.failed;

		missing += failed > 0 && w->e.spec.lends_failed ? failed - 1 : failed;
	}
	return world_ready(w) >= plan_desired(&w->e) - missing;
}

/* In all pools but one some never start. */
static void check_it_serves(struct world *w)
{
	size_t pool = world_random(w, (uint32_t)w->e.spec.n_pools);
	int64_t end_ms = w->now_ms + 4 * 3600 * MS_PER_S;

	w->pools[pool].room += 24;
	w->e.spec.pools[pool].max_instances = INT32_MAX;
	do {
		until_next(w);
		mend_pool(w, pool);
		settle(w, false);
	} while (w->now_ms < end_ms && !w->broken && !serves_beside_failures(w));
	promise(w, serves_beside_failures(w), "too few serve beside those that do not start");
}

static bool best_has_all(const struct world *w)
{
	const struct pool_status *best = endpoint_status_pool(&w->e.status, w->e.spec.pools[0].name);

	return best && best->current == plan_desired(&w->e);
}

/* Active: with room in the best pool all ends there, and then it is still. */
static void check_it_moves_back(struct world *w)
{
	int64_t end_ms = w->now_ms + 12 * 3600 * MS_PER_S;

	mend(w);
	w->pools[0].room += 24;
	w->e.spec.rebalance_active = true;
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		w->e.spec.pools[i].priority = 1 + (int32_t)i;
		w->e.spec.pools[i].min_instances = 0;
		w->e.spec.pools[i].max_instances = INT32_MAX;
	}
	while (w->now_ms < end_ms && !w->broken && !(is_met(w) && best_has_all(w))) {
		until_next(w);
		mend(w);
		settle(w, false);
	}
	promise(w, is_met(w) && best_has_all(w), "the fleet did not move back");
	settle(w, false);
	for (int i = 0; i < 20 && !w->broken; i++) {
		until_next(w);
		promise(w, settle(w, false) == 0 || w->generation > 0, "no rest when all is at its best");
	}
}

/* Everything is out of stock: the pools are tried now and then, never to and fro. */
static void check_drought(struct world *w)
{
	int64_t end_ms = w->now_ms + 2 * 3600 * MS_PER_S;
	size_t steps = 0, looks = 0;

	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		w->pools[i].node_due_ms = 0;
		while (w->pools[i].room > 0)
			lose_node(w, i);
	}
	replicate(w);
	schedule(w);
	settle(w, false);
	while (w->now_ms < end_ms && !w->broken) {
		bool woken = until_next(w);

		steps += settle(w, woken);
		looks += woken;
	}
	/* Every 3 minutes, for nobody else takes the demand: 40 tries in two hours, each asked and cancelled. */
	promise(w, steps <= 2 * 42 * w->e.spec.n_pools, "to and fro");
	promise(w, looks <= 5 * 42 * w->e.spec.n_pools, "wakes too often");
}

/* Instances for which the first two of three pools have nothing, for an hour. */
static void an_hour_without_two_pools(bool provides_nodes, bool active)
{
	static struct world w;
	struct plan_input in;
	struct plan_output out;
	size_t tries[3] = {0}, lowered = 0;
	int64_t end_ms;

	world_init(&w, 7);
	w.provides_nodes = provides_nodes;
	w.e.spec.n_pools = 3;
	w.e.spec.pools = arena_calloc(&w.arena, 3, sizeof(*w.e.spec.pools));
	w.e.spec.instance_count = 6;
	w.e.spec.provision_timeout_ms = 300 * MS_PER_S;
	w.e.spec.rebalance_active = active;
	for (size_t i = 0; i < 3; i++) {
		w.e.spec.pools[i] = (struct endpoint_pool){.name = world_pool_names[i],
		                                           .instance_type = world_pool_names[i],
		                                           .model_name = "llm",
		                                           .priority = (int32_t)i + 1,
		                                           .max_instances = INT32_MAX};
		w.pools[i].room = i < 2 ? 0 : 8;
	}
	end_ms = w.now_ms + 3600 * MS_PER_S;
	while (w.now_ms < end_ms) {
		world_observe(&w, &in);
		plan(&in, (struct wall){w.now_ms}, &w.arena, &out);
		for (size_t i = 0; i < out.n_steps; i++) {
			const struct plan_step *s = &out.steps[i];

			tries[s->index] += s->to > s->from;
			lowered += s->index == 2 && s->to < s->from;
			world_write(&w, s);
		}
		w.e.status = out.status;
		replicate(&w);
		mend(&w);
		until_next(&w);
	}
	assert_int_equal(world_ready(&w), 6);
	assert_int_equal(w.e.status.pools[2].current, 6);
	/* Passive: once each, at the creation. Active: 3, 6, 12, 24, then 30 minutes apart, and a try takes its time. */
	print_message("tries in an hour, %s, %s: %zu %zu %zu\n",
	              provides_nodes ? "nodes provided" : "fixed nodes", active ? "Active" : "Passive", tries[0],
	              tries[1], tries[2]);
	assert_in_range(tries[0], 1, active ? 6 : 1);
	assert_in_range(tries[1], 1, active ? 6 : 1);
	assert_int_equal(tries[2], 1);
	assert_int_equal(lowered, 0);
	world_done(&w);
}

static void two_of_three_pools_are_out(void **state)
{
	(void)state;
	an_hour_without_two_pools(false, false);
	an_hour_without_two_pools(true, false);
	an_hour_without_two_pools(false, true);
	an_hour_without_two_pools(true, true);
}

static void run_walk(uint64_t seed, void (*last)(struct world *), bool tell)
{
	static struct world w;
	const char *broken;

	world_init(&w, seed);
	w.tell = tell;
	random_walk(&w);
	if (!w.broken)
		last(&w);
	broken = w.broken;
	world_done(&w);
	if (broken && tell)
		fail_msg("walk %" PRIu64 ": %s", seed, broken);
	if (broken)
		run_walk(seed, last, true);
}

static void walks_end_well(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 500; seed++)
		run_walk(seed, check_it_ends_well, false);
}

static void walks_beside_failures(void **state)
{
	(void)state;
	for (uint64_t seed = 3000; seed < 3300; seed++)
		run_walk(seed, check_it_serves, false);
}

static void walks_through_drought(void **state)
{
	(void)state;
	for (uint64_t seed = 1000; seed < 1250; seed++)
		run_walk(seed, check_drought, false);
}

static void walks_move_back(void **state)
{
	(void)state;
	for (uint64_t seed = 2000; seed < 2250; seed++)
		run_walk(seed, check_it_moves_back, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_end_well),
		cmocka_unit_test(walks_beside_failures),
		cmocka_unit_test(walks_through_drought),
		cmocka_unit_test(walks_move_back),
		cmocka_unit_test(two_of_three_pools_are_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
