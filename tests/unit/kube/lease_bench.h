#pragma once
/* A lease on a bench: inputs go in, and what it did is a few words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "kube/lease.h"

/* A lease with its clock; what it did last as words. */
struct bench {
	struct lease l;
	int64_t now_ms;
	char did[96];
	int64_t delay_ms, timeout_ms; /* of the last effect that has one */
	enum lease_call call;         /* the last one begun */
	unsigned calls;
};

static const struct lease_options usual = {
	.identity = "me", .duration_ms = 15000, .renew_deadline_ms = 10000, .retry_period_ms = 2000};

static const char *const call_names[] = {[LEASE_READ] = "read",
                                         [LEASE_CREATE] = "create",
                                         [LEASE_TAKE] = "take",
                                         [LEASE_RENEW] = "renew",
                                         [LEASE_RELEASE] = "release"};
static const char *const effect_names[] = {[LEASE_FX_CANCEL] = "cancel",
                                           [LEASE_FX_STARTED] = "started",
                                           [LEASE_FX_STOPPED] = "stopped",
                                           [LEASE_FX_FINISHED] = "finished"};

static inline void bench_init(struct bench *b, uint64_t seed)
{
	*b = (struct bench){.now_ms = 1000000};
	lease_init(&b->l, &usual, seed);
}

static inline bool is_held(const struct bench *b)
{
	return lease_is_held(&b->l, (struct mono){b->now_ms});
}

static inline void step(struct bench *b, struct lease_input in)
{
	struct lease_effect fx[LEASE_MAX_EFFECTS];
	enum lease_state before = b->l.state;
	unsigned n = lease_step(&b->l, &in, (struct mono){b->now_ms}, fx);
	bool timer = false;
	b->did[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		const char *word = effect_names[fx[i].type];
		if (fx[i].type == LEASE_FX_TIMER) {
			b->delay_ms = fx[i].delay_ms;
			timer = true;
			continue;
		}
		if (fx[i].type == LEASE_FX_CALL) {
			b->call = fx[i].call;
			b->timeout_ms = fx[i].timeout_ms;
			b->calls++;
			word = call_names[fx[i].call];
		}
		size_t len = strlen(b->did);
		str_format(b->did + len, sizeof(b->did) - len, "%s%s", len ? " " : "", word);
	}
	/* Something always goes on, and nobody is called leader who is none. */
	if (b->l.state != LEASE_IDLE)
		assert_true(timer || b->l.call != LEASE_NO_CALL);
	assert_true(b->l.state != LEASE_LEADER || is_held(b));
	assert_int_equal(before != LEASE_LEADER && b->l.state == LEASE_LEADER,
	                 strstr(b->did, "started") != NULL && !strstr(b->did, "stopped"));
}

static inline void assert_did(const struct bench *b, const char *expected)
{
	assert_string_equal(b->did, expected);
}

static inline void give(struct bench *b, enum lease_input_type type)
{
	step(b, (struct lease_input){.type = type, .retry_after_ms = -1});
}

/* The call came back with this record. */
static inline void record(struct bench *b, const char *rv, const char *holder)
{
	struct lease_record r = {.duration_ms = str_empty(holder) ? 1000 : 15000, .transitions = 7};
	str_copy(r.resource_version, sizeof(r.resource_version), rv);
	str_copy(r.holder, sizeof(r.holder), holder);
	step(b, (struct lease_input){.type = LEASE_IN_RECORD, .record = &r});
}

/* The time of the timer comes. */
static inline void timer(struct bench *b)
{
	assert_int_equal(b->l.call, LEASE_NO_CALL);
	b->now_ms += b->delay_ms;
	give(b, LEASE_IN_TIMER);
}

static inline void assert_paced(const struct bench *b)
{
	assert_in_range(b->delay_ms, 1000, 1800);
}

static inline void to_follower(struct bench *b)
{
	bench_init(b, 1);
	give(b, LEASE_IN_START);
	assert_did(b, "read");
	record(b, "10", "other");
	assert_did(b, "");
	assert_int_equal(b->l.state, LEASE_FOLLOWER);
	assert_paced(b);
}

static inline void to_leader(struct bench *b)
{
	bench_init(b, 1);
	give(b, LEASE_IN_START);
	record(b, "1", "");
	assert_did(b, "take");
	record(b, "2", "me");
	assert_did(b, "started");
	assert_int_equal(b->delay_ms, 2000);
	assert_true(is_held(b));
}
