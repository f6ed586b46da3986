#include "forecast/forecast.h"
#include "base/json.h"
#include "forecast/internal.h"

#define HORIZON_MS (48 * 60 * 60 * MS_PER_S)
/* A plan made right after a plan was carried out is empty, and so is soon one made after each thing that happens. */
#define MAX_PLANS_AT_ONCE 100
#define MAX_RESTS 100

struct run {
	struct world world;
	struct arena scratch;
	struct arena status[2]; /* of the endpoint, and of the one before */
	bool turn;
	struct plan_input seen; /* as it is now, in `scratch` */
	struct wall wake;
	struct teller teller;
	struct forecast *ret;
	json_t *best;       /* the status at the rest that counts; NULL: none yet */
	struct wall judged; /* whatever is tried again has been tried by then */
	bool said_first;
};

/* As it comes back from the API server. */
static bool keep_status(struct run *r, const struct endpoint_status *s)
{
	struct arena *other = &r->status[!r->turn];
	struct endpoint *e = &r->world.endpoint;
	CLEANUP_JSON json_t *body = NULL;

	if (endpoint_status_equal(&e->status, s))
		return false;
	body = endpoint_status_apply(e, s);
	arena_reset(other);
	e->status = (struct endpoint_status){0};
	endpoint_status_decode(json_at(body, "status"), other, &e->status);
	r->turn = !r->turn;
	return true;
}

/* Plans until there is nothing to do at this moment. */
static void settle(struct run *r)
{
	bool acted = true;

	for (int i = 0; i < MAX_PLANS_AT_ONCE && acted; i++) {
		struct plan_output out;

		arena_reset(&r->scratch);
		look(&r->world, &r->scratch, &r->seen);
		plan(&r->seen, r->world.now, &r->scratch, &out);
		acted = world_act(&r->world, &r->seen, &out);
		acted = keep_status(r, &out.status) || acted;
		r->wake = out.wake;
	}
}

static json_t *status_to_json(const struct run *r)
{
	CLEANUP_JSON json_t *body = endpoint_status_apply(&r->world.endpoint, &r->world.endpoint.status);

	return json_incref(json_at(body, "status"));
}

static void say_first(struct run *r)
{
	CLEANUP_JSON json_t *status = NULL;

	if (r->said_first || !world_has_spoken(&r->world))
		return;
	status = status_to_json(r);
	endpoint_status_decode(status, r->world.arena, &r->ret->first);
	r->ret->first_after_ms = r->world.now.ms - r->teller.began.ms;
	r->said_first = true;
}

/* Does time alone still change something, other than that a pool is asked again? */
static bool clock_runs(const struct run *r)
{
	for (size_t i = 0; i < r->world.endpoint.spec.n_pools; i++) {
		const struct plan_pool_seen *seen = &r->seen.pools[i];

		if (seen->want > seen->bound + (int32_t)seen->n_lost || wall_is_set(seen->startup.deadline) ||
		    wall_is_set(seen->look_again))
			return true;
	}
	return false;
}

/* Waits something only where it has waited in vain before, for as long as it may? */
static bool only_repeats(const struct run *r)
{
	bool waits = false;

	for (size_t i = 0; i < r->world.endpoint.spec.n_pools; i++) {
		const struct plan_pool_seen *seen = &r->seen.pools[i];

		if (wall_is_set(seen->startup.deadline) || wall_is_set(seen->look_again))
			return false;
		if (seen->want <= seen->bound + (int32_t)seen->n_lost)
			continue;
		if (!r->teller.pools[i].given_up)
			return false;
		waits = true;
	}
	return waits;
}

static bool is_at_rest(const struct run *r)
{
	return !wall_is_set(world_next(&r->world)) &&
	       (!wall_is_set(r->wake) || !clock_runs(r) || only_repeats(r));
}

int32_t forecast_missing(const struct endpoint_status *s)
{
	int32_t n = s->desired;

	for (size_t i = 0; i < s->n_pools; i++)
		n -= s->pools[i].current + s->pools[i].starting;
	return n > 0 ? n : 0;
}

/* How many there are in each pool: that is what is asked. */
static bool same_places(const json_t *a, const json_t *b)
{
	const json_t *x, *pools = json_at(b, "instancePools");
	size_t i;

	json_array_foreach(json_at(a, "instancePools"), i, x) {
		const json_t *y = json_array_get(pools, i);

		if (json_integer_value(json_at(x, "currentInstanceCount")) +
		        json_integer_value(json_at(x, "startingInstanceCount")) !=
		    json_integer_value(json_at(y, "currentInstanceCount")) +
		        json_integer_value(json_at(y, "startingInstanceCount")))
			return false;
	}
	return true;
}

/* Until then every pool that may be asked again, or be moved to, has been. */
static struct wall judged_by(const struct run *r)
{
	const struct endpoint *e = &r->world.endpoint;
	struct wall t = r->world.now;

	if (forecast_missing(&e->status) == 0 && !e->spec.rebalance_active)
		return t;
	for (size_t i = 0; i < e->status.n_pools; i++)
		t = wall_max(t, wall_max(e->status.pools[i].next_retry, e->status.pools[i].deadline));
	return e->spec.rebalance_active ? wall_add(t, e->spec.retry_after_ms + MS_PER_S) : t;
}

static void keep_rest(struct run *r, json_t *status)
{
	json_decref(r->best);
	r->best = json_incref(status);
	r->judged = judged_by(r);
	r->ret->rest_after_ms = r->world.now.ms - r->teller.began.ms;
	r->ret->n_lines = r->teller.n;
	r->ret->rests = !only_repeats(r);
	r->ret->repeats = only_repeats(r);
}

/* A rest with demand left over may be a pause only. The one that counts is the first after which nothing lands elsewhere,
 * though all that can has been asked again. */
static bool is_over(struct run *r)
{
	CLEANUP_JSON json_t *status = status_to_json(r);

	if (!r->best || !same_places(r->best, status))
		keep_rest(r, status);
	return !wall_is_set(r->wake) || r->wake.ms > r->judged.ms;
}

static struct wall next_moment(const struct run *r)
{
	struct wall next = world_next(&r->world);

	if (!wall_is_set(next) || (wall_is_set(r->wake) && r->wake.ms < next.ms))
		return r->wake;
	return next;
}

static void play(struct run *r)
{
	struct wall end = wall_add(r->world.now, HORIZON_MS), next;
	int rests = 0;

	look(&r->world, &r->scratch, &r->seen);
	tell_init(&r->teller, &r->world, &r->seen);
	for (;;) {
		settle(r);
		tell(&r->teller, &r->seen);
		say_first(r);
		if (is_at_rest(r) && (is_over(r) || ++rests == MAX_RESTS))
			return;
		next = next_moment(r);
		if (next.ms <= r->world.now.ms || next.ms > end.ms)
			break;
		r->world.now = next;
		world_run(&r->world);
	}
	if (!r->best) {
		CLEANUP_JSON json_t *status = status_to_json(r);

		keep_rest(r, status);
		r->ret->rests = r->ret->repeats = false;
	}
}

static void add_note(struct world *w, struct forecast *ret, const char **notes, const struct world_pool *p)
{
	const char *what = p->pod_spec ? fit_not_looked_at(p->pod_spec, w->arena) : "", *note;

	if (str_empty(what))
		return;
	note = arena_printf(w->arena, "Model %s: not looked at: %s", p->spec->model_name, what);
	for (size_t i = 0; i < ret->n_notes; i++)
		if (str_eq(notes[i], note))
			return;
	notes[ret->n_notes++] = note;
}

static void take_lines(struct run *r)
{
	struct forecast_line *lines = arena_calloc(r->world.arena, r->ret->n_lines + 1, sizeof(*lines));

	if (r->ret->n_lines > 0)
		memcpy(lines, r->teller.lines, r->ret->n_lines * sizeof(*lines));
	if (r->ret->repeats)
		lines[r->ret->n_lines++] = (struct forecast_line){
			r->ret->rest_after_ms, "and so on: the pools are tried again, one after the other"};
	r->ret->lines = lines;
}

/* What is being deleted stays as it is: the operator does nothing for it. */
static void leave_alone(const struct forecast_input *in, const char **notes, struct forecast *ret)
{
	ret->rest = in->endpoint->status;
	ret->rest.desired = in->instance_count >= 0 ? in->instance_count : plan_desired(in->endpoint);
	ret->first = ret->rest;
	ret->rests = true;
	notes[ret->n_notes++] =
		"the endpoint is being deleted: the operator leaves it as it is, and gives it no instances";
}

void forecast(const struct forecast_input *in, struct arena *a, struct forecast *ret)
{
	struct run *r = arena_alloc(a, sizeof(*r));
	const char **notes = arena_calloc(a, ENDPOINT_MAX_POOLS, sizeof(*notes));

	*ret = (struct forecast){.notes = notes};
	if (wall_is_set(in->endpoint->meta.deleted)) {
		leave_alone(in, notes, ret);
		return;
	}
	r->ret = ret;
	arena_init(&r->scratch);
	arena_init(&r->status[0]);
	arena_init(&r->status[1]);
	world_init(&r->world, in, a);
	for (size_t i = 0; i < in->endpoint->spec.n_pools; i++)
		add_note(&r->world, ret, notes, &r->world.pools[i]);
	play(r);
	endpoint_status_decode(r->best, a, &ret->rest);
	take_lines(r);
	if (!r->said_first)
		ret->first = ret->rest;
	json_decref(r->best);
	world_done(&r->world);
	arena_done(&r->scratch);
	arena_done(&r->status[0]);
	arena_done(&r->status[1]);
}
