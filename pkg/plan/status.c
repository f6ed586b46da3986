/* The new status: what serves, what waits, why, and when to look again. */
#include <inttypes.h>
#include "api/names.h"
#include "plan/internal.h"

const char *time_of_day(struct planning *pl, struct wall t)
{
	char text[WALL_RFC3339_SIZE];

	wall_format(t, text);
	return arena_strdup(pl->arena, text + strlen("2026-11-25T"));
}

static enum pool_state state_of(const struct pool_plan *p)
{
	if ((p->open && !p->held) || p->given_up || p->passed_by)
		return POOL_BACK_OFF;
	if (p->target > p->bound)
		return p->probes ? POOL_PROBING : POOL_WAITING;
	if (p->ready < p->target)
		return POOL_STARTING;
	return p->target + p->lost > 0 ? POOL_READY : POOL_IDLE;
}

static struct wall earlier(struct wall a, struct wall b)
{
	if (!wall_is_set(a) || (wall_is_set(b) && b.ms < a.ms))
		return b;
	return a;
}

static bool same_state(const struct pool_plan *p)
{
	if (p->status.state == POOL_WAITING || p->status.state == POOL_PROBING)
		return breaker_same_wait(p);
	return p->was && p->was->state == p->status.state && !p->given_up;
}

static void report_waiting(struct pool_plan *p)
{
	struct pool_status *s = &p->status;

	s->reason = p->waiting > 0 ? p->seen->why.reason : REASON_PENDING;
	s->message = p->waiting > 0 ? p->seen->why.message : CLASSIFY_NO_PODS;
	s->deadline = earlier(p->seen->why.deadline, p->window_end);
}

static void report_starting(struct pool_plan *p)
{
	const struct startup_output *seen = &p->seen->startup;

	if (seen->reason == REASON_NONE)
		return;
	p->status.reason = seen->reason;
	p->status.message = seen->message;
}

/* In the words of the first who found it as long as this lasts: each new try changes nothing for who waits his turn. */
static void report_passed_by(struct planning *pl, struct pool_plan *p)
{
	const struct plan_shortage *shortage = &p->seen->shortage;
	struct pool_status *s = &p->status;

	s->reason = breaker_was_held(p) ? p->was->reason : shortage->reason;
	if (breaker_was_held(p))
		s->message = p->was->message;
	else
		s->message = arena_printf(pl->arena, "another endpoint found at %s: %s; one at a time asks again",
		                          time_of_day(pl, shortage->struck),
		                          shortage->message ? shortage->message : "no capacity");
}

/* What it was given up for does not count once it can be asked again: the Model or template is another one by then. */
static void report_blocked_pool(struct pool_plan *p)
{
	struct pool_status *s = &p->status;

	s->reason = REASON_CONFIG;
	s->message = p->seen->blocked;
	s->strikes = 0;
	s->last_strike = (struct wall){0};
}

static void report_pool(struct planning *pl, struct pool_plan *p)
{
	struct pool_status *s = &p->status;

	s->name = p->spec->name;
	s->instance_type = p->spec->instance_type;
	s->model_name = p->spec->model_name;
	s->priority = p->spec->priority;
	s->desired = p->target + p->lost;
	s->current = p->ready + p->lost_ready;
	s->waiting = p->target - p->bound;
	s->starting = s->desired - s->waiting - s->current;
	s->state = state_of(p);
	if (s->state == POOL_WAITING || s->state == POOL_PROBING)
		report_waiting(p);
	else if (s->state == POOL_STARTING)
		report_starting(p);
	if (p->passed_by)
		report_passed_by(pl, p);
	if (p->seen->blocked && s->state != POOL_BACK_OFF)
		report_blocked_pool(p);
	s->since = same_state(p) ? p->was->since : breaker_since(pl, p);
}

static void look_again(struct planning *pl, struct wall t)
{
	if (wall_is_set(t) && t.ms > pl->now.ms)
		pl->out->wake = earlier(pl->out->wake, t);
}

static void report_wake(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		look_again(pl, p->status.next_retry);
		look_again(pl, p->moves_at);
		look_again(pl, p->seen->startup.deadline);
		look_again(pl, p->seen->look_again);
		if (pl->out->held_back[i])
			look_again(pl, p->held_until);
		if (p->status.state == POOL_WAITING || p->status.state == POOL_PROBING) {
			look_again(pl, p->seen->why.deadline);
			look_again(pl, p->window_end);
		}
	}
}

/* "p5.48xlarge" where that names one pool, else the pool's name. */
static const char *pool_label(const struct planning *pl, size_t index)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (i != index && str_eq(pl->pools[i].spec->instance_type, pl->pools[index].spec->instance_type))
			return pl->pools[index].spec->name;
	return pl->pools[index].spec->instance_type;
}

static const char *join(struct planning *pl, const char *before, const char *separator, const char *more)
{
	return str_empty(before) ? more : arena_printf(pl->arena, "%s%s%s", before, separator, more);
}

static const char *summary(struct planning *pl)
{
	const char *text = "";

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->status.current > 0 || p->target > 0)
			text = join(pl, text, " ",
			            arena_printf(pl->arena, "%s=%" PRId32, pool_label(pl, i), p->status.current));
	}
	if (pl->old_ready > 0)
		text = join(pl, text, " ", arena_printf(pl->arena, "older=%" PRId32, pl->old_ready));
	return *text ? text : "none";
}

/* Has it given all that it has? One that took its instances and only starts them may well give more. */
static bool was_tried(const struct pool_plan *p)
{
	return p->status.state == POOL_BACK_OFF || p->status.strikes > 0 || p->bound >= pool_cap(p) ||
	       p->seen->blocked;
}

static bool all_tried(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (!was_tried(&pl->pools[i]))
			return false;
	return true;
}

/* Is anything still to come, other than what does not start? */
static bool more_comes(const struct planning *pl)
{
	int32_t n = pl->unmet;

	for (size_t i = 0; i < pl->n_pools; i++)
		n += pl->pools[i].target - pl->pools[i].ready - pl->pools[i].failed;
	return n > 0;
}

static bool updating(const struct planning *pl)
{
	return pl->old_bound > 0 && pl->desired > 0;
}

static bool on_the_way(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].target > pl->pools[i].failed)
			return true;
	return false;
}

static int32_t ready_now(const struct planning *pl)
{
	return pl->ready + pl->lost_ready + pl->old_ready;
}

static enum endpoint_phase phase(const struct planning *pl)
{
	enum endpoint_phase was = pl->e->status.phase;
	int32_t ready = ready_now(pl);

	if (was == PHASE_NONE)
		was = PHASE_CREATING;
	if (pl->desired == 0)
		return PHASE_IN_SERVICE;
	if (was == PHASE_CREATING && ready < pl->desired && !(ready > 0 && (all_tried(pl) || !more_comes(pl))))
		return ready == 0 && !on_the_way(pl) ? PHASE_FAILED : PHASE_CREATING;
	if (ready > 0)
		return updating(pl) ? PHASE_UPDATING : PHASE_IN_SERVICE;
	if (!on_the_way(pl) || was == PHASE_FAILED)
		return PHASE_FAILED;
	return PHASE_UPDATING;
}

static const char *next_retry_text(struct planning *pl)
{
	size_t first = pl->n_pools, held = pl->n_pools;

	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->passed_by && held == pl->n_pools)
			held = i;
		else if (p->status.state == POOL_BACK_OFF && !p->passed_by && !p->seen->blocked &&
		         (first == pl->n_pools || p->status.next_retry.ms < pl->pools[first].status.next_retry.ms))
			first = i;
	}
	if (first == pl->n_pools && held < pl->n_pools)
		return arena_printf(pl->arena, "%s is tried again by one endpoint after the other",
		                    pool_label(pl, held));
	if (first == pl->n_pools)
		return "no pool may have more (maxInstanceCount)";
	return arena_printf(pl->arena, "%s is tried again at %s", pool_label(pl, first),
	                    time_of_day(pl, pl->pools[first].status.next_retry));
}

/* One clause per pool that is not as it should be. */
static const char *pool_clause(struct planning *pl, size_t i)
{
	const struct pool_plan *p = &pl->pools[i];
	const char *label = pool_label(pl, i);

	if (p->seen->blocked)
		return arena_printf(pl->arena, "%s: %s", label, p->seen->blocked);
	if (p->passed_by)
		return arena_printf(pl->arena, "%s has no capacity, as another endpoint found", label);
	if (p->status.state == POOL_BACK_OFF)
		return arena_printf(pl->arena, "%s has no capacity, tried again at %s", label,
		                    time_of_day(pl, p->status.next_retry));
	if (p->status.state == POOL_PROBING)
		return arena_printf(pl->arena, "%s is tried with one instance: %s", label, p->status.message);
	if (p->status.waiting > 0)
		return arena_printf(pl->arena, "%" PRId32 " wait for %s: %s", p->status.waiting, label,
		                    p->status.message);
	if (p->lost > 0)
		return arena_printf(pl->arena, "%" PRId32 " on %s are being replaced: their nodes do not last",
		                    p->lost, label);
	if (p->status.starting > 0)
		return arena_printf(pl->arena, "%" PRId32 " starting on %s%s%s", p->status.starting, label,
		                    p->seen->startup.message ? ": " : "",
		                    p->seen->startup.message ? p->seen->startup.message : "");
	return NULL;
}

/* The answer to "what serves me now, and why not better". */
static const char *ready_message(struct planning *pl)
{
	const char *text =
		arena_printf(pl->arena, "%" PRId32 " of %" PRId32 " instances are Ready", ready_now(pl), pl->desired);

	if (updating(pl))
		text =
			join(pl, text, "; ", arena_printf(pl->arena, "%" PRId32 " of an older revision", pl->old_bound));
	for (size_t i = 0; i < pl->n_pools; i++) {
		const char *clause = pool_clause(pl, i);

		if (clause)
			text = join(pl, text, "; ", clause);
	}
	return text;
}

static void set_condition(struct planning *pl, enum condition_type type, bool status, const char *reason,
                          const char *message)
{
	const struct condition *was = &pl->e->status.conditions[type];
	bool flipped = !was->present || was->status != status;

	pl->out->status.conditions[type] = (struct condition){
		.present = true,
		.status = status,
		.reason = reason,
		.message = message,
		.since = flipped ? wall_floor_s(pl->now) : was->since,
		.observed_generation = pl->e->meta.generation,
	};
}

static const struct pool_plan *first_blocked(const struct planning *pl, enum condition_type as)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].seen->blocked && pl->pools[i].seen->blocked_as == as)
			return &pl->pools[i];
	return NULL;
}

static int32_t total(const struct planning *pl, int32_t (*of)(const struct pool_plan *))
{
	int32_t n = 0;

	for (size_t i = 0; i < pl->n_pools; i++)
		n += of(&pl->pools[i]);
	return n;
}

static int32_t waiting_of(const struct pool_plan *p)
{
	return p->status.waiting;
}

static int32_t starting_of(const struct pool_plan *p)
{
	return p->status.starting;
}

static const struct pool_plan *first_failed(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].failed > 0)
			return &pl->pools[i];
	return NULL;
}

static const char *unready_reason(const struct planning *pl)
{
	if (pl->unmet > 0 && first_blocked(pl, COND_MODEL_MISSING))
		return "ModelMissing";
	if (pl->unmet > 0 && first_blocked(pl, COND_STALLED))
		return first_blocked(pl, COND_STALLED)->seen->blocked_reason;
	if (pl->unmet > 0)
		return "InsufficientCapacity";
	if (total(pl, waiting_of) > 0)
		return "WaitingForCapacity";
	return first_failed(pl) ? "StartupFailed" : "InstancesStarting";
}

static void report_ready(struct planning *pl)
{
	int32_t ready = ready_now(pl);
	bool all = ready >= pl->desired;
	bool busy = !all || total(pl, waiting_of) > 0 || total(pl, starting_of) > 0 || updating(pl) ||
	            pl->bound > pl->desired || ready > pl->desired || pl->lost > 0;

	set_condition(pl, COND_READY, all, all ? "AllInstancesReady" : unready_reason(pl), ready_message(pl));
	if (busy)
		set_condition(pl, COND_RECONCILING, true, all ? "Settling" : unready_reason(pl),
		              "instances are being added, replaced or removed");
	else
		set_condition(pl, COND_RECONCILING, false, "Settled", "everything is as asked");
}

static void report_blocked(struct planning *pl)
{
	const struct pool_plan *missing = first_blocked(pl, COND_MODEL_MISSING);
	const struct pool_plan *stalled = first_blocked(pl, COND_STALLED);

	if (missing)
		set_condition(pl, COND_MODEL_MISSING, true, missing->seen->blocked_reason, missing->seen->blocked);
	else
		set_condition(pl, COND_MODEL_MISSING, false, "ModelsFound", "every pool's Model exists");
	if (stalled)
		set_condition(pl, COND_STALLED, true, stalled->seen->blocked_reason, stalled->seen->blocked);
	else if (pl->in->trouble)
		set_condition(pl, COND_STALLED, true, pl->in->trouble_reason, pl->in->trouble);
	else if (missing)
		set_condition(pl, COND_STALLED, true, missing->seen->blocked_reason, missing->seen->blocked);
	else
		set_condition(pl, COND_STALLED, false, "NothingInTheWay", "nothing needs a person");
}

static bool is_capped(const struct pool_plan *p)
{
	return p->target >= pool_cap(p);
}

/* A pool of equal priority is as good a choice. */
static bool has_better(const struct planning *pl, const struct pool_plan *p)
{
	for (const struct pool_plan *b = pl->pools; b < p && b->spec->priority < p->spec->priority; b++)
		if (!is_capped(b))
			return true;
	return false;
}

static bool on_fallback(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pl->pools[i].bound > 0 && has_better(pl, &pl->pools[i]))
			return true;
	return false;
}

static void report_capacity(struct planning *pl)
{
	bool blocked_only = pl->unmet > 0 && total(pl, waiting_of) == 0;

	for (size_t i = 0; i < pl->n_pools && blocked_only; i++)
		blocked_only = pl->pools[i].seen->blocked;
	if (pl->unmet > 0 && !blocked_only)
		set_condition(pl, COND_INSUFFICIENT_CAPACITY, true, "AllPoolsShort",
		              arena_printf(pl->arena, "%" PRId32 " instances find no capacity in any pool; %s",
		                           pl->unmet, next_retry_text(pl)));
	else
		set_condition(pl, COND_INSUFFICIENT_CAPACITY, false, "CapacityFound", "no demand is left over");
	if (on_fallback(pl))
		set_condition(
			pl, COND_ON_FALLBACK, true, "FallbackServes",
			arena_printf(pl->arena, "instances run on a fallback: %s", pl->out->status.pool_summary));
	else
		set_condition(pl, COND_ON_FALLBACK, false, "FirstChoiceServes", "no instance runs on a fallback");
}

static void report_startup(struct planning *pl)
{
	const struct pool_plan *first = first_failed(pl);
	const char *text = "";

	if (!first) {
		set_condition(pl, COND_STARTUP_FAILED, false, "InstancesStart", "no instance took too long to start");
		return;
	}
	for (size_t i = 0; i < pl->n_pools; i++) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->failed > 0)
			text = join(pl, text, "; ",
			            arena_printf(pl->arena, "%s: %" PRId32 " not Ready in time: %s", pool_label(pl, i),
			                         p->failed, p->seen->startup.message));
	}
	set_condition(pl, COND_STARTUP_FAILED, true, pool_reason_name(first->seen->startup.reason), text);
}

void status_report(struct planning *pl)
{
	struct endpoint_status *s = &pl->out->status;
	struct buf selector CLEANUP_BUF;

	s->present = true;
	s->n_pools = pl->n_pools;
	for (size_t i = 0; i < pl->n_pools; i++)
		report_pool(pl, &pl->pools[i]);
	s->pools = arena_calloc(pl->arena, pl->n_pools, sizeof(*s->pools));
	for (size_t i = 0; i < pl->n_pools; i++)
		s->pools[i] = pl->pools[i].status;
	s->observed_generation = pl->e->meta.generation;
	s->desired = pl->desired;
	s->current = ready_now(pl);
	buf_init(&selector, 512);
	endpoint_selector(pl->e->meta.name, &selector);
	s->selector = arena_slicedup(pl->arena, buf_slice(&selector));
	s->pool_summary = summary(pl);
	s->phase = phase(pl);
	report_ready(pl);
	report_blocked(pl);
	report_capacity(pl);
	report_startup(pl);
	if (s->phase == PHASE_FAILED)
		s->failure_reason = s->conditions[first_failed(pl) ? COND_STARTUP_FAILED : COND_READY].message;
	report_wake(pl);
}
