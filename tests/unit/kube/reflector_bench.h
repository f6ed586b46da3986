#pragma once
/* A reflector on a bench: inputs go in, and what it did is a few words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/str.h"
#include "kube/reflector.h"

/* A reflector with its clock; what it did last as words. */
struct bench {
	struct reflector r;
	int64_t now_ms;
	char did[160];
	int64_t delay_ms, timeout_s; /* of the last effect that has one */
	unsigned opens;
};

static inline void bench_init(struct bench *b, uint64_t seed)
{
	*b = (struct bench){.now_ms = 1000000};
	reflector_init(&b->r, seed);
}

static const char *const effect_names[] = {[REFLECTOR_FX_OPEN_STREAM_LIST] = "stream-list",
                                           [REFLECTOR_FX_OPEN_PAGE] = "page",
                                           [REFLECTOR_FX_OPEN_WATCH] = "watch",
                                           [REFLECTOR_FX_CLOSE] = "close",
                                           [REFLECTOR_FX_LIST_BEGIN] = "begin",
                                           [REFLECTOR_FX_LIST_END] = "end",
                                           [REFLECTOR_FX_TIMER] = "timer"};

static inline bool is_call(enum reflector_state s)
{
	return s == REFLECTOR_STREAM_LIST || s == REFLECTOR_PAGE_LIST || s == REFLECTOR_WATCH;
}

static inline void step(struct bench *b, struct reflector_input in)
{
	struct reflector_effect fx[REFLECTOR_MAX_EFFECTS];
	unsigned n = reflector_step(&b->r, &in, (struct mono){b->now_ms}, fx), timers = 0, opens = 0;
	assert_true(n <= REFLECTOR_MAX_EFFECTS);
	b->did[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(b->did);
		str_format(b->did + len, sizeof(b->did) - len, "%s%s", i ? " " : "", effect_names[fx[i].type]);
		timers += fx[i].type == REFLECTOR_FX_TIMER;
		opens += fx[i].type == REFLECTOR_FX_OPEN_STREAM_LIST || fx[i].type == REFLECTOR_FX_OPEN_PAGE ||
		         fx[i].type == REFLECTOR_FX_OPEN_WATCH;
		if (fx[i].type == REFLECTOR_FX_TIMER)
			b->delay_ms = fx[i].delay_ms;
		if (fx[i].type == REFLECTOR_FX_OPEN_STREAM_LIST || fx[i].type == REFLECTOR_FX_OPEN_WATCH) {
			b->timeout_s = fx[i].timeout_s;
			assert_in_range(b->timeout_s, 300, 600);
		}
	}
	/* The state is what the effects say. */
	assert_true(timers + opens <= 1);
	if (timers)
		assert_int_equal(b->r.state, REFLECTOR_WAIT);
	if (opens)
		assert_true(is_call(b->r.state));
	b->opens += opens;
}

static inline void start(struct bench *b)
{
	step(b, (struct reflector_input){.type = REFLECTOR_IN_START});
}

static inline void stop(struct bench *b)
{
	step(b, (struct reflector_input){.type = REFLECTOR_IN_STOP});
}

static inline void event(struct bench *b, const char *rv)
{
	step(b, (struct reflector_input){.type = REFLECTOR_IN_EVENT, .resource_version = rv});
}

static inline void initial_end(struct bench *b, const char *rv)
{
	step(b, (struct reflector_input){
				.type = REFLECTOR_IN_EVENT, .resource_version = rv, .initial_events_end = true});
}

static inline void page(struct bench *b, const char *rv, const char *token)
{
	step(b, (struct reflector_input){
				.type = REFLECTOR_IN_PAGE, .resource_version = rv, .continue_token = token});
}

static inline void end_with(struct bench *b, enum err_code code, int http_status, int64_t retry_after_ms)
{
	struct err e = {.code = code, .http_status = http_status, .retry_after_ms = retry_after_ms};
	step(b, (struct reflector_input){.type = REFLECTOR_IN_END, .err = &e});
}

static inline void end_http(struct bench *b, int http_status)
{
	end_with(b, ERR_HTTP, http_status, -1);
}

static inline void end_clean(struct bench *b)
{
	end_with(b, ERR_NONE, 0, -1);
}

static inline void timer(struct bench *b)
{
	assert_int_equal(b->r.state, REFLECTOR_WAIT);
	b->now_ms += b->delay_ms;
	step(b, (struct reflector_input){.type = REFLECTOR_IN_TIMER});
}

static inline void assert_did(const struct bench *b, const char *expected)
{
	assert_string_equal(b->did, expected);
}

/* Up to a watch that goes on. */
static inline void to_watch(struct bench *b)
{
	start(b);
	assert_did(b, "begin stream-list");
	event(b, "70");
	event(b, "20");
	assert_did(b, "");
	assert_false(b->r.synced);
	initial_end(b, "100");
	assert_did(b, "end");
	assert_true(b->r.synced);
	assert_int_equal(b->r.state, REFLECTOR_WATCH);
	assert_string_equal(b->r.resource_version, "100");
}
