#include "lease_bench.h"

static void first_of_all(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	give(&b, LEASE_IN_TIMER);
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "");
	give(&b, LEASE_IN_START);
	assert_did(&b, "read");
	assert_int_equal(b.timeout_ms, 5000);
	give(&b, LEASE_IN_START);
	assert_did(&b, "");
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "create");
	assert_false(is_held(&b));
	b.now_ms += 30;
	record(&b, "1", "me");
	assert_did(&b, "started");
	/* Counted from the beginning of the request. */
	assert_int_equal(b.l.valid_until.ms, b.now_ms - 30 + 10000);
	assert_int_equal(b.delay_ms, 2000);
	for (int i = 2; i < 20; i++) {
		char rv[16];
		str_format(rv, sizeof(rv), "%d", i);
		timer(&b);
		assert_did(&b, "renew");
		b.now_ms += 40;
		record(&b, rv, "me");
		assert_did(&b, "");
		assert_int_equal(b.l.valid_until.ms, b.now_ms - 40 + 10000);
		assert_int_equal(b.delay_ms, 2000);
	}
	/* An end of no call. */
	record(&b, "99", "other");
	assert_did(&b, "");
	assert_true(is_held(&b));
}

static void leader_crashes(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct bench b;
		bench_init(&b, seed);
		give(&b, LEASE_IN_START);
		int64_t renewed_ms = b.now_ms + 1;
		record(&b, "10", "other");
		/* The last renewal comes just after we have looked, and then nothing more. */
		timer(&b);
		assert_did(&b, "read");
		b.now_ms += 20;
		record(&b, "11", "other");
		int64_t seen_ms = b.now_ms;
		unsigned polls = 0;
		for (timer(&b); !str_eq(b.did, "take"); timer(&b), polls++) {
			assert_did(&b, "read");
			assert_true(b.now_ms < seen_ms + 15000);
			record(&b, "11", "other");
			assert_did(&b, "");
		}
		assert_in_range(polls, 7, 15);
		assert_int_equal(b.now_ms, seen_ms + 15000);
		b.now_ms += 20;
		record(&b, "12", "me");
		assert_did(&b, "started");
		assert_true(b.now_ms - renewed_ms <= 17000);
	}
}

static void leader_releases(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct bench b;
		bench_init(&b, seed);
		give(&b, LEASE_IN_START);
		record(&b, "10", "other");
		int64_t released_ms = b.now_ms + 1;
		timer(&b);
		assert_did(&b, "read");
		b.now_ms += 50;
		record(&b, "11", "");
		assert_did(&b, "take");
		b.now_ms += 50;
		record(&b, "12", "me");
		assert_did(&b, "started");
		assert_true(b.now_ms - released_ms <= 2000);
	}
}

static void lost_race(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	give(&b, LEASE_IN_START);
	record(&b, "10", "");
	assert_did(&b, "take");
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "11", "other");
	assert_did(&b, "");
	assert_paced(&b);

	bench_init(&b, 1);
	give(&b, LEASE_IN_START);
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "create");
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "11", "other");
	assert_did(&b, "");
	assert_paced(&b);
}

/* The other's own duration counts, and ours where it has said none. */
static void others_duration(void **state)
{
	(void)state;
	static const struct {
		int64_t said_ms, counts_ms;
	} cases[] = {{60000, 60000}, {3000, 3000}, {0, 15000}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		give(&b, LEASE_IN_START);
		struct lease_record r = {
			.resource_version = "10", .holder = "other", .duration_ms = cases[i].said_ms};
		struct lease_input in = {.type = LEASE_IN_RECORD, .record = &r};
		step(&b, in);
		int64_t seen_ms = b.now_ms;
		for (timer(&b); str_eq(b.did, "read"); timer(&b))
			step(&b, in);
		assert_did(&b, "take");
		assert_int_equal(b.now_ms - seen_ms, cases[i].counts_ms);
	}
}

static void renewals_fail(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	int64_t held_ms = b.now_ms;
	for (timer(&b); !strstr(b.did, "stopped"); timer(&b)) {
		assert_did(&b, "renew");
		assert_true(is_held(&b));
		b.now_ms += 10;
		give(&b, LEASE_IN_FAILED);
		assert_did(&b, "");
		assert_in_range(b.delay_ms, 1, 1800);
	}
	assert_int_equal(b.now_ms - held_ms, 10000);
	assert_false(is_held(&b));
	/* It goes on; the record is still its own. */
	if (str_eq(b.did, "stopped"))
		timer(&b);
	assert_non_null(strstr(b.did, "renew"));
	record(&b, "3", "me");
	assert_did(&b, "started");
}

/* Its answer never comes: a timer stops it, and the late success is none. */
static void renewal_hangs(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	int64_t held_ms = b.now_ms;
	timer(&b);
	assert_did(&b, "renew");
	assert_int_equal(b.delay_ms, 8000);
	b.now_ms = held_ms + 9999;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "");
	assert_int_equal(b.delay_ms, 1);
	assert_true(is_held(&b));
	b.now_ms++;
	assert_false(is_held(&b));
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "stopped");
	/* Begun 2 s after the one before, it still counts for 2 s ... */
	struct bench late = b;
	b.now_ms += 1999;
	record(&b, "3", "me");
	assert_did(&b, "started");
	assert_int_equal(b.delay_ms, 1);
	/* ... and no longer. */
	late.now_ms += 2000;
	record(&late, "3", "me");
	assert_did(&late, "");
	assert_false(is_held(&late));
	timer(&late);
	assert_did(&late, "renew");
	record(&late, "4", "me");
	assert_did(&late, "started");
}

static void suspended(void **state)
{
	(void)state;
	struct bench b;
	/* At rest. */
	to_leader(&b);
	b.now_ms += 20000;
	assert_false(is_held(&b));
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "stopped renew");
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "5", "other");
	assert_did(&b, "");
	assert_paced(&b);
	/* With an answer on its way, of success or not. */
	to_leader(&b);
	timer(&b);
	b.now_ms += 20000;
	record(&b, "3", "me");
	assert_did(&b, "stopped");
	assert_paced(&b);
	to_leader(&b);
	timer(&b);
	b.now_ms += 20000;
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "stopped read");
	/* With an answer that is of use: the break is told all the same. */
	to_leader(&b);
	b.now_ms += 9500;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "renew");
	b.now_ms += 1000;
	record(&b, "3", "me");
	assert_did(&b, "stopped started");
	assert_true(is_held(&b));
	/* A stand-by that slept through the holder's renewals. */
	to_follower(&b);
	b.now_ms += 20000;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "take");
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "20", "other");
	assert_did(&b, "");
	assert_paced(&b);
}

static void unknown_outcome(void **state)
{
	(void)state;
	struct bench b;
	/* It was done. */
	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "3", "me");
	assert_did(&b, "renew");
	int64_t until_ms = b.l.valid_until.ms;
	record(&b, "4", "me");
	assert_did(&b, "");
	assert_true(b.l.valid_until.ms > until_ms);
	/* The read fails too: a read again, not a write. */
	timer(&b);
	give(&b, LEASE_IN_DOUBT);
	give(&b, LEASE_IN_FAILED);
	assert_did(&b, "");
	assert_paced(&b);
	timer(&b);
	assert_did(&b, "read");
	record(&b, "4", "me");
	assert_did(&b, "renew");
	/* A server that never says what became of it is not hammered. */
	b.calls = 0;
	int64_t begin_ms = b.now_ms;
	while (b.now_ms < begin_ms + 60000) {
		assert_true(b.calls <= 4 * 60);
		if (b.l.call == LEASE_NO_CALL)
			timer(&b);
		else if (b.l.call == LEASE_READ)
			record(&b, "4", "me");
		else
			give(&b, LEASE_IN_DOUBT);
	}
	assert_false(is_held(&b));
	assert_true(b.calls >= 60);
}

static void retry_after(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	timer(&b);
	step(&b, (struct lease_input){.type = LEASE_IN_FAILED, .retry_after_ms = 5000});
	assert_did(&b, "");
	assert_int_equal(b.delay_ms, 5000);
	timer(&b);
	assert_did(&b, "renew");
	/* The deadline does not wait for it, and it has bounds. */
	step(&b, (struct lease_input){.type = LEASE_IN_DOUBT, .retry_after_ms = 3600000});
	assert_did(&b, "");
	assert_int_equal(b.delay_ms, 3000);
	timer(&b);
	assert_did(&b, "stopped");
	assert_int_equal(b.delay_ms, 27000);
	timer(&b);
	assert_did(&b, "read");
	step(&b, (struct lease_input){.type = LEASE_IN_FAILED, .retry_after_ms = 10});
	assert_paced(&b);
}

/* Somebody has put another name there, or none, or has deleted it. */
static void taken_away(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "3", "other");
	assert_did(&b, "stopped");
	assert_false(is_held(&b));
	assert_paced(&b);

	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_DOUBT);
	record(&b, "3", "");
	assert_did(&b, "stopped take");

	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_DOUBT);
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "stopped create");
	record(&b, "30", "me");
	assert_did(&b, "started");

	/* By something in the server's admission. */
	to_leader(&b);
	timer(&b);
	record(&b, "3", "other");
	assert_did(&b, "stopped");
}

static void deleted_under_a_follower(void **state)
{
	(void)state;
	struct bench b;
	to_follower(&b);
	int64_t seen_ms = b.now_ms;
	for (timer(&b); str_eq(b.did, "read"); timer(&b)) {
		give(&b, LEASE_IN_ABSENT);
		assert_did(&b, "");
	}
	assert_did(&b, "create");
	assert_int_equal(b.now_ms - seen_ms, 15000);
	give(&b, LEASE_IN_FAILED);
	timer(&b);
	assert_did(&b, "create");
	/* Made again by its holder, it begins anew. */
	to_follower(&b);
	timer(&b);
	give(&b, LEASE_IN_ABSENT);
	timer(&b);
	record(&b, "30", "other");
	seen_ms = b.now_ms;
	for (timer(&b); str_eq(b.did, "read"); timer(&b))
		record(&b, "30", "other");
	assert_did(&b, "take");
	assert_int_equal(b.now_ms - seen_ms, 15000);
}

/* The API server answers 200 to a patch that changes nothing, and others see no change. */
static void renewed_nothing(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	int64_t until_ms = b.l.valid_until.ms;
	timer(&b);
	record(&b, "2", "me");
	assert_did(&b, "");
	assert_int_equal(b.l.valid_until.ms, until_ms);
	assert_paced(&b);
	timer(&b);
	assert_did(&b, "renew");
	record(&b, "3", "me");
	assert_true(b.l.valid_until.ms > until_ms);
}

static void early_timers(void **state)
{
	(void)state;
	struct bench b;
	to_follower(&b);
	int64_t delay_ms = b.delay_ms;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "");
	assert_int_equal(b.delay_ms, delay_ms);
	b.now_ms += delay_ms - 1;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "");
	assert_int_equal(b.delay_ms, 1);
	b.now_ms++;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "read");
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "");
}

static void stop_without_holding(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "finished");

	bench_init(&b, 1);
	give(&b, LEASE_IN_START);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "cancel finished");
	give(&b, LEASE_IN_TIMER);
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "");

	to_follower(&b);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "finished");

	to_follower(&b);
	timer(&b);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "cancel finished");
}

static void stop_releases(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "stopped release");
	assert_false(is_held(&b));
	assert_int_equal(b.timeout_ms, 1000);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "");
	record(&b, "3", "");
	assert_did(&b, "finished");
	assert_int_equal(b.l.state, LEASE_IDLE);

	/* In the middle of a renewal: its end is waited for. */
	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "stopped");
	assert_int_equal(b.delay_ms, 1000);
	b.now_ms += 300;
	record(&b, "3", "me");
	assert_did(&b, "release");
	assert_int_equal(b.timeout_ms, 700);
	/* Was it applied? Yes. */
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "4", "");
	assert_did(&b, "finished");

	/* Of an attempt that succeeds after all. */
	bench_init(&b, 1);
	give(&b, LEASE_IN_START);
	give(&b, LEASE_IN_ABSENT);
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "");
	record(&b, "1", "me");
	assert_did(&b, "release");
	assert_int_equal(b.l.state, LEASE_RELEASING);

	/* Demoted, but the record is still ours. */
	to_leader(&b);
	b.now_ms += 11000;
	give(&b, LEASE_IN_STOP);
	assert_did(&b, "stopped release");

	/* A renewal with an unknown end, which another has overtaken. */
	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "5", "other");
	assert_did(&b, "finished");

	/* One that was refused: the record is as it was. */
	to_leader(&b);
	timer(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_FAILED);
	assert_did(&b, "release");
}

static void stop_is_bounded(void **state)
{
	(void)state;
	struct bench b;
	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	assert_int_equal(b.delay_ms, 1000);
	b.now_ms += 999;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "");
	b.now_ms += 1;
	give(&b, LEASE_IN_TIMER);
	assert_did(&b, "cancel finished");

	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_FAILED);
	assert_did(&b, "finished");

	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "read");
	record(&b, "3", "me");
	assert_did(&b, "release");
	give(&b, LEASE_IN_DOUBT);
	assert_did(&b, "finished");

	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_DOUBT);
	give(&b, LEASE_IN_FAILED);
	assert_did(&b, "finished");

	to_leader(&b);
	give(&b, LEASE_IN_STOP);
	give(&b, LEASE_IN_DOUBT);
	give(&b, LEASE_IN_ABSENT);
	assert_did(&b, "finished");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_of_all),         cmocka_unit_test(leader_crashes),
		cmocka_unit_test(leader_releases),      cmocka_unit_test(lost_race),
		cmocka_unit_test(others_duration),      cmocka_unit_test(renewals_fail),
		cmocka_unit_test(renewal_hangs),        cmocka_unit_test(suspended),
		cmocka_unit_test(unknown_outcome),      cmocka_unit_test(retry_after),
		cmocka_unit_test(taken_away),           cmocka_unit_test(deleted_under_a_follower),
		cmocka_unit_test(renewed_nothing),      cmocka_unit_test(early_timers),
		cmocka_unit_test(stop_without_holding), cmocka_unit_test(stop_releases),
		cmocka_unit_test(stop_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
