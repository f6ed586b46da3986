/* What happens, in lines for people. */
#include <inttypes.h>
#include "forecast/internal.h"

static void __attribute__((format(printf, 2, 3))) line(struct teller *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct forecast_line *lines = arena_calloc(t->w->arena, cap, sizeof(*lines));

		if (t->n)
			memcpy(lines, t->lines, t->n * sizeof(*lines));
		t->lines = lines;
		t->cap = cap;
	}
	t->lines[t->n++] = (struct forecast_line){t->w->now.ms - t->began.ms, arena_strdup(t->w->arena, text)};
}

const char *forecast_instances(int32_t n)
{
	return n == 1 ? "instance" : "instances";
}

static int32_t bound_of(const struct plan_pool_seen *seen)
{
	return seen->bound + (int32_t)seen->n_lost;
}

static int32_t old_bound(const struct plan_input *seen)
{
	int32_t n = 0;

	for (size_t i = 0; i < seen->n_old; i++)
		n += seen->old[i].bound;
	return n;
}

static const struct pool_status *status_of(const struct teller *t, size_t i)
{
	return endpoint_status_pool(&t->w->endpoint.status, t->w->endpoint.spec.pools[i].name);
}

static bool is_held(const struct pool_status *s)
{
	return s && s->state == POOL_BACK_OFF && !wall_is_set(s->next_retry);
}

static void tell_bound(struct teller *t, const char *name, int32_t was, int32_t is)
{
	/* Room has changed: what was given up may do now. */
	for (size_t i = 0; i < t->w->endpoint.spec.n_pools && is != was; i++)
		t->pools[i].given_up = false;
	if (is > was)
		line(t, "%s: %" PRId32 " %s land%s", name, is - was, forecast_instances(is - was),
		     is - was == 1 ? "s" : "");
	else if (is < was)
		line(t, "%s: %" PRId32 " %s go%s", name, was - is, forecast_instances(was - is),
		     was - is == 1 ? "es" : "");
}

static void tell_waiting(struct teller *t, size_t i, const struct pool_status *s)
{
	bool speaks = (s->state == POOL_WAITING || s->state == POOL_PROBING) && s->waiting > 0 &&
	              s->reason != REASON_PENDING;

	if (!speaks)
		t->pools[i].waiting = 0;
	else if (t->pools[i].waiting != s->waiting || t->pools[i].reason != s->reason ||
	         !str_eq(t->pools[i].message, s->message)) {
		line(t, "%s: %" PRId32 " wait%s, %s%s%s", s->name, s->waiting, s->waiting == 1 ? "s" : "",
		     pool_reason_name(s->reason), s->message ? ": " : "", s->message ? s->message : "");
		t->pools[i].waiting = s->waiting;
		t->pools[i].reason = s->reason;
		t->pools[i].message = arena_strdup(t->w->arena, s->message ? s->message : "");
	}
}

static void tell_given_up(struct teller *t, size_t i, const struct pool_status *s)
{
	if (s->last_strike.ms != t->pools[i].last_strike.ms && wall_is_set(s->next_retry)) {
		line(t, "%s is given up: %s", s->name, pool_reason_name(s->reason));
		t->pools[i].given_up = true;
	} else if (is_held(s) && !t->pools[i].held) {
		line(t, "%s is passed by: %s", s->name, s->message ? s->message : pool_reason_name(s->reason));
	}
	t->pools[i].last_strike = s->last_strike;
	t->pools[i].held = is_held(s);
}

static void tell_pool(struct teller *t, size_t i, const struct plan_pool_seen *seen)
{
	const struct pool_status *s = status_of(t, i);
	int32_t bound = bound_of(seen);

	tell_bound(t, t->w->endpoint.spec.pools[i].name, t->pools[i].bound, bound);
	t->pools[i].bound = bound;
	if (!s)
		return;
	tell_waiting(t, i, s);
	tell_given_up(t, i, s);
}

void tell_init(struct teller *t, const struct world *w, const struct plan_input *seen)
{
	*t = (struct teller){.w = w, .began = w->now, .phase = w->endpoint.status.phase};
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++) {
		const struct pool_status *s = status_of(t, i);

		t->pools[i].bound = bound_of(&seen->pools[i]);
		t->pools[i].want = seen->pools[i].want;
		t->pools[i].last_strike = s ? s->last_strike : (struct wall){0};
		t->pools[i].held = is_held(s);
	}
	t->old_bound = old_bound(seen);
}

void tell(struct teller *t, const struct plan_input *seen)
{
	int32_t old = old_bound(seen);

	for (size_t i = 0; i < t->w->endpoint.spec.n_pools; i++)
		tell_pool(t, i, &seen->pools[i]);
	tell_bound(t, "an older revision", t->old_bound, old);
	t->old_bound = old;
	for (size_t i = 0; i < t->w->endpoint.spec.n_pools; i++) {
		int32_t more = seen->pools[i].want - t->pools[i].want;

		if (more > 0)
			line(t, "%s is asked for %" PRId32 "%s", t->w->endpoint.spec.pools[i].name, more,
			     t->pools[i].bound > 0 ? " more" : "");
		t->pools[i].want = seen->pools[i].want;
	}
	if (t->w->endpoint.status.phase != t->phase)
		line(t, "the endpoint is %s", endpoint_phase_name(t->w->endpoint.status.phase));
	t->phase = t->w->endpoint.status.phase;
}
