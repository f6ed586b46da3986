#include "kube/reflector.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#define BACKOFF_BASE_MS INT64_C(800)
#define BACKOFF_MAX_AWAY_MS INT64_C(3000) /* the server does not answer, or with a 5xx */
#define BACKOFF_MAX_OTHER_MS INT64_C(30000)
#define RETRY_AFTER_MAX_MS INT64_C(300000) /* a longer wait would be a server's mistake */
/* A server that has just started knows nobody's rights for a second or two: so often a 401 or 403 is retried soon. */
#define DENIED_QUICKLY 8u
#define STEADY_MS INT64_C(10000) /* a call that lasted so long paces itself */
#define SHORT_WATCH_MS INT64_C(1000)
#define ASK_STREAMING_AGAIN_MS INT64_C(3600000)

/* Effects are written through this, so that the bound is checked in one place. */
struct out {
	struct reflector_effect *fx;
	unsigned n;
};

static struct reflector_effect *emit(struct out *o, enum reflector_effect_type type)
{
	if (o->n == REFLECTOR_MAX_EFFECTS)
		abort();
	o->fx[o->n] = (struct reflector_effect){.type = type};
	return &o->fx[o->n++];
}

void reflector_init(struct reflector *r, uint64_t seed)
{
	*r = (struct reflector){.state = REFLECTOR_STOPPED, .random = seed};
}

static void set_continue(struct reflector *r, const char *token)
{
	free(r->continue_token);
	r->continue_token = token ? xstrdup(token) : NULL;
}

void reflector_done(struct reflector *r)
{
	set_continue(r, NULL);
}

static bool is_open(const struct reflector *r)
{
	return r->state == REFLECTOR_STREAM_LIST || r->state == REFLECTOR_PAGE_LIST ||
	       r->state == REFLECTOR_WATCH;
}

static bool set_resource_version(struct reflector *r, const char *rv)
{
	if (str_empty(rv) || strlen(rv) >= sizeof(r->resource_version))
		return false;
	return str_copy(r->resource_version, sizeof(r->resource_version), rv);
}

static void open_call(struct reflector *r, enum reflector_state state, struct mono now, struct out *o)
{
	r->state = state;
	r->opened = now;
	r->events = 0;
	if (state == REFLECTOR_PAGE_LIST) {
		emit(o, REFLECTOR_FX_OPEN_PAGE);
		return;
	}
	/* Random, so that the watches of many clients do not end together. */
	emit(o, state == REFLECTOR_WATCH ? REFLECTOR_FX_OPEN_WATCH : REFLECTOR_FX_OPEN_STREAM_LIST)->timeout_s =
		random_between(&r->random, 300, 600);
}

static void begin_list(struct reflector *r, struct mono now, struct out *o)
{
	r->resource_version[0] = '\0';
	set_continue(r, NULL);
	if (r->streaming_refused && now.ms - r->refused_at.ms >= ASK_STREAMING_AGAIN_MS)
		r->streaming_refused = false;
	emit(o, REFLECTOR_FX_LIST_BEGIN);
	open_call(r, r->streaming_refused ? REFLECTOR_PAGE_LIST : REFLECTOR_STREAM_LIST, now, o);
}

static void wait_for(struct reflector *r, enum reflector_state next, int64_t delay_ms, struct out *o)
{
	r->state = REFLECTOR_WAIT;
	r->next = next;
	emit(o, REFLECTOR_FX_TIMER)->delay_ms = delay_ms;
}

static int64_t backoff(struct reflector *r, int64_t max_ms)
{
	int64_t ms = BACKOFF_BASE_MS;
	for (unsigned i = 1; i < r->failures && ms < max_ms; i++)
		ms *= 2;
	if (ms > max_ms)
		ms = max_ms;
	return random_between(&r->random, ms / 2, ms);
}

/* After a failure: `next` when the back-off is over. */
static void retry(struct reflector *r, enum reflector_state next, int64_t max_ms, struct out *o)
{
	if (r->failures < 1000)
		r->failures++;
	wait_for(r, next, backoff(r, max_ms), o);
}

static void start_over(struct reflector *r, struct out *o)
{
	r->resource_version[0] = '\0';
	set_continue(r, NULL);
	retry(r, REFLECTOR_STREAM_LIST, BACKOFF_MAX_OTHER_MS, o);
}

static bool refuses_streaming(const struct err *e)
{
	switch (e->code) {
	case ERR_HTTP:
		return e->http_status == 400 || e->http_status == 404 || e->http_status == 405 ||
		       e->http_status == 422;
	case ERR_NONE:    /* ended before its end mark */
	case ERR_INVALID: /* no events: a plain list, perhaps */
	case ERR_LIMIT:
		return true;
	case ERR_NOT_FOUND:
	case ERR_IO:
	case ERR_CONNECT:
	case ERR_TRANSPORT:
	case ERR_TIMEOUT:
	case ERR_CANCELED:
		break;
	}
	return false;
}

/* Does the failure say nothing about what was asked, so that the same can be asked again? */
static bool is_passing(const struct err *e)
{
	switch (e->code) {
	case ERR_HTTP:
		return e->http_status >= 500 || e->http_status == 401 || e->http_status == 403 ||
		       e->http_status == 429;
	case ERR_NOT_FOUND: /* of a file that the client needs */
	case ERR_IO:
	case ERR_CONNECT:
	case ERR_TRANSPORT:
	case ERR_TIMEOUT:
	case ERR_CANCELED:
		return true;
	case ERR_NONE:
	case ERR_INVALID:
	case ERR_LIMIT:
		break;
	}
	return false;
}

static bool is_away(const struct reflector *r, const struct err *e)
{
	if (r->denied > 0 && r->denied <= DENIED_QUICKLY)
		return true;
	return e->code == ERR_CONNECT || e->code == ERR_TRANSPORT || e->code == ERR_TIMEOUT ||
	       (e->code == ERR_HTTP && e->http_status >= 500);
}

/* A watch ended without an error, as all do after their timeout. */
static void on_clean_end(struct reflector *r, struct mono now, struct out *o)
{
	int64_t age_ms = now.ms - r->opened.ms;
	if (age_ms >= SHORT_WATCH_MS)
		open_call(r, REFLECTOR_WATCH, now, o);
	else if (r->events > 0)
		wait_for(r, REFLECTOR_WATCH, SHORT_WATCH_MS - age_ms, o);
	else
		retry(r, REFLECTOR_WATCH, BACKOFF_MAX_AWAY_MS, o);
}

static void on_end(struct reflector *r, const struct err *e, struct mono now, struct out *o)
{
	if (now.ms - r->opened.ms >= STEADY_MS) {
		r->failures = 0;
		r->expired = false;
	}
	r->denied = e->http_status == 401 || e->http_status == 403 ? r->denied + 1 : 0;
	bool expired_before = r->expired;
	r->expired = e->code == ERR_HTTP && e->http_status == 410;

	if (r->state == REFLECTOR_STREAM_LIST && refuses_streaming(e)) {
		r->streaming_refused = true;
		r->refused_at = now;
		begin_list(r, now, o);
	} else if (e->code == ERR_NONE && r->state == REFLECTOR_WATCH) {
		on_clean_end(r, now, o);
	} else if (r->expired && !expired_before) {
		/* At once, whatever went before: a server that is back after an outage says this first. */
		if (r->failures == 0)
			r->failures = 1;
		begin_list(r, now, o);
	} else if (!is_passing(e)) {
		start_over(r, o);
	} else if (e->http_status >= 429 && e->retry_after_ms >= MS_PER_S) {
		int64_t ms = e->retry_after_ms < RETRY_AFTER_MAX_MS ? e->retry_after_ms : RETRY_AFTER_MAX_MS;
		/* Not earlier than told, and not all at the same moment. */
		wait_for(r, r->state, ms + random_between(&r->random, 0, ms / 10), o);
	} else {
		retry(r, r->state, is_away(r, e) ? BACKOFF_MAX_AWAY_MS : BACKOFF_MAX_OTHER_MS, o);
	}
}

static void on_event(struct reflector *r, const struct reflector_input *in, struct mono now, struct out *o)
{
	if (r->events < UINT32_MAX)
		r->events++;
	if (r->state == REFLECTOR_WATCH) {
		set_resource_version(r, in->resource_version);
		if (now.ms - r->opened.ms >= STEADY_MS)
			r->failures = 0;
		return;
	}
	/* Initial events come in no order of versions: only their end mark tells where a watch can go on. */
	if (!in->initial_events_end)
		return;
	if (!set_resource_version(r, in->resource_version)) {
		emit(o, REFLECTOR_FX_CLOSE);
		start_over(r, o);
		return;
	}
	r->state = REFLECTOR_WATCH;
	r->synced = true;
	emit(o, REFLECTOR_FX_LIST_END);
}

static void on_page(struct reflector *r, const struct reflector_input *in, struct mono now, struct out *o)
{
	const char *token = str_empty(in->continue_token) ? NULL : in->continue_token;
	/* A list that would never end, or after which no watch is possible, is as good as none. */
	if (!set_resource_version(r, in->resource_version) ||
	    (token && (strlen(token) >= REFLECTOR_CONTINUE_SIZE || str_eq(token, r->continue_token)))) {
		start_over(r, o);
		return;
	}
	set_continue(r, token);
	if (token) {
		open_call(r, REFLECTOR_PAGE_LIST, now, o);
		return;
	}
	r->synced = true;
	emit(o, REFLECTOR_FX_LIST_END);
	open_call(r, REFLECTOR_WATCH, now, o);
}

static void on_timer(struct reflector *r, struct mono now, struct out *o)
{
	if (r->next == REFLECTOR_WATCH || (r->next == REFLECTOR_PAGE_LIST && r->continue_token))
		open_call(r, r->next, now, o);
	else
		begin_list(r, now, o);
}

static void on_stop(struct reflector *r, struct out *o)
{
	if (is_open(r))
		emit(o, REFLECTOR_FX_CLOSE);
	set_continue(r, NULL);
	*r = (struct reflector){
		.state = REFLECTOR_STOPPED,
		.random = r->random,
		.streaming_refused = r->streaming_refused,
		.refused_at = r->refused_at,
	};
}

unsigned reflector_step(struct reflector *r, const struct reflector_input *in, struct mono now,
                        struct reflector_effect fx[static REFLECTOR_MAX_EFFECTS])
{
	struct out o = {.fx = fx};
	switch (in->type) {
	case REFLECTOR_IN_START:
		if (r->state == REFLECTOR_STOPPED)
			begin_list(r, now, &o);
		break;
	case REFLECTOR_IN_EVENT:
		if (r->state == REFLECTOR_STREAM_LIST || r->state == REFLECTOR_WATCH)
			on_event(r, in, now, &o);
		break;
	case REFLECTOR_IN_PAGE:
		if (r->state == REFLECTOR_PAGE_LIST)
			on_page(r, in, now, &o);
		break;
	case REFLECTOR_IN_END:
		if (is_open(r))
			on_end(r, in->err, now, &o);
		break;
	case REFLECTOR_IN_TIMER:
		if (r->state == REFLECTOR_WAIT)
			on_timer(r, now, &o);
		break;
	case REFLECTOR_IN_STOP:
		on_stop(r, &o);
		break;
	}
	return o.n;
}
