#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/str.h"
#include "kube/queue.h"

static const struct queue_options options = {.backoff_base_ms = 1000, .backoff_max_ms = 10000};

static struct mono at(int64_t ms)
{
	return (struct mono){ms};
}

static void assert_take(struct queue *q, int64_t now_ms, const char *expected)
{
	const char *key = queue_take(q, at(now_ms));
	if (expected)
		assert_string_equal(key, expected);
	else
		assert_null(key);
}

/* -1: nothing to wait for */
static int64_t next_ms(const struct queue *q, int64_t now_ms)
{
	struct mono t;
	return queue_next(q, at(now_ms), &t) ? t.ms : -1;
}

static void first_come_first_served(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	assert_take(q, 0, NULL);
	assert_int_equal(next_ms(q, 0), -1);
	queue_add(q, "a", QUEUE_BACKLOG);
	queue_add(q, "b", QUEUE_BACKLOG);
	queue_add(q, "a", QUEUE_BACKLOG);
	assert_int_equal(queue_depth(q), 2);
	assert_int_equal(next_ms(q, 5), 5);
	assert_take(q, 5, "a");
	assert_take(q, 5, "b");
	assert_take(q, 5, NULL);
	assert_int_equal(queue_depth(q), 0);
	assert_int_equal(queue_working(q), 2);
	queue_finish(q, "b", false, at(6));
	queue_finish(q, "a", false, at(6));
	queue_finish(q, "a", true, at(6)); /* not being worked on */
	assert_int_equal(queue_working(q), 0);
	assert_int_equal(next_ms(q, 6), -1);
	queue_free(q);
	queue_free(NULL);
}

static void fresh_overtakes(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "old1", QUEUE_BACKLOG);
	queue_add(q, "old2", QUEUE_BACKLOG);
	queue_add(q, "old3", QUEUE_BACKLOG);
	queue_add(q, "new", QUEUE_FRESH);
	queue_add(q, "old2", QUEUE_FRESH);  /* raised */
	queue_add(q, "new", QUEUE_BACKLOG); /* never lowered */
	assert_int_equal(queue_depth(q), 4);
	assert_take(q, 0, "new");
	assert_take(q, 0, "old2");
	assert_take(q, 0, "old1");
	assert_take(q, 0, "old3");
	assert_take(q, 0, NULL);
	queue_free(q);
}

static void backlog_does_not_starve(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "old", QUEUE_BACKLOG);
	queue_add_at(q, "due", at(0));
	int turns = 0, taken = 0;
	for (int i = 0; i < 100 && taken < 2; i++, turns++) {
		queue_add(q, "busy", QUEUE_FRESH);
		const char *key = queue_take(q, at(0));
		taken += !str_eq(key, "busy");
		queue_finish(q, key, false, at(0));
	}
	assert_int_equal(turns, 16);
	queue_free(q);
}

static void never_twice_at_the_same_time(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "a", QUEUE_FRESH);
	assert_take(q, 0, "a");
	queue_add(q, "a", QUEUE_BACKLOG);
	queue_add(q, "a", QUEUE_FRESH);
	queue_add(q, "a", QUEUE_BACKLOG);
	queue_add(q, "b", QUEUE_BACKLOG);
	assert_int_equal(queue_depth(q), 1);
	assert_take(q, 0, "b");
	assert_take(q, 0, NULL);
	assert_int_equal(next_ms(q, 0), -1);
	queue_add(q, "c", QUEUE_BACKLOG);
	queue_finish(q, "a", false, at(1));
	assert_int_equal(queue_depth(q), 2);
	assert_take(q, 1, "a"); /* fresh */
	assert_take(q, 1, "c");
	queue_finish(q, "a", false, at(1));
	assert_take(q, 1, NULL);
	queue_free(q);
}

static void timers(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add_at(q, "c", at(300));
	queue_add_at(q, "a", at(100));
	queue_add_at(q, "b", at(200));
	queue_add_at(q, "b", at(250)); /* it was to be earlier */
	queue_add_at(q, "c", at(150)); /* now it is earlier */
	assert_int_equal(queue_depth(q), 0);
	assert_int_equal(next_ms(q, 0), 100);
	assert_take(q, 99, NULL);
	assert_take(q, 100, "a");
	assert_int_equal(next_ms(q, 100), 150);
	assert_int_equal(next_ms(q, 170), 170);
	assert_take(q, 500, "c");
	assert_take(q, 500, "b");
	assert_take(q, 500, NULL);
	queue_free(q);
}

static void a_timer_does_not_disturb_what_is_ready(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "a", QUEUE_FRESH);
	queue_add_at(q, "a", at(100));
	assert_take(q, 0, "a");
	queue_finish(q, "a", false, at(0));
	assert_int_equal(next_ms(q, 0), -1);
	/* A key that gets ready early forgets its timer. */
	queue_add_at(q, "a", at(100));
	queue_add(q, "a", QUEUE_BACKLOG);
	assert_take(q, 50, "a");
	queue_finish(q, "a", false, at(50));
	assert_int_equal(next_ms(q, 50), -1);
	queue_free(q);
}

static void a_timer_set_while_working(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "a", QUEUE_FRESH);
	assert_take(q, 0, "a");
	queue_add_at(q, "a", at(200));
	queue_add_at(q, "a", at(100));
	queue_add_at(q, "a", at(300));
	assert_int_equal(next_ms(q, 0), -1);
	queue_finish(q, "a", false, at(10));
	assert_int_equal(next_ms(q, 10), 100);
	assert_take(q, 100, "a");
	/* Added as well: once, now. */
	queue_add_at(q, "a", at(200));
	queue_add(q, "a", QUEUE_FRESH);
	queue_finish(q, "a", false, at(110));
	assert_take(q, 110, "a");
	queue_finish(q, "a", false, at(120));
	assert_int_equal(next_ms(q, 120), -1);
	queue_free(q);
}

/* The same time: in order of arrival. */
static void many_timers(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	char key[16];
	uint32_t seed = 7;
	for (int i = 0; i < 2000; i++) {
		seed = seed * 1664525u + 1013904223u;
		str_format(key, sizeof(key), "k%d", i % 700);
		queue_add_at(q, key, at(1000 + (seed >> 8) % 50));
	}
	int64_t last = 0, now, taken = 0;
	while ((now = next_ms(q, last)) >= 0) {
		assert_true(now >= last && now >= 1000 && now < 1050);
		last = now;
		const char *taken_key = queue_take(q, at(now));
		assert_non_null(taken_key);
		queue_finish(q, taken_key, false, at(now));
		taken++;
	}
	assert_true(taken > 300 && taken <= 700);
	for (int i = 0; i < 50; i++) {
		str_format(key, sizeof(key), "s%d", i);
		queue_add_at(q, key, at(5000));
	}
	for (int i = 0; i < 50; i++) {
		str_format(key, sizeof(key), "s%d", i);
		assert_take(q, 5000, key);
	}
	queue_free(q);
}

static int64_t work_fails(struct queue *q, const char *key, int64_t now_ms)
{
	assert_take(q, now_ms, key);
	queue_finish(q, key, true, at(now_ms));
	return next_ms(q, now_ms) - now_ms;
}

static void backoff(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	static const int64_t expected_ms[] = {1000, 2000, 4000, 8000, 10000, 10000, 10000};
	int64_t now = 0;
	queue_add(q, "a", QUEUE_FRESH);
	for (size_t i = 0; i < ARRAY_LEN(expected_ms); i++) {
		int64_t delay = work_fails(q, "a", now);
		assert_true(delay <= expected_ms[i] && delay >= expected_ms[i] * 9 / 10);
		now += delay;
	}
	/* Forever. */
	for (int i = 0; i < 2000; i++) {
		int64_t delay = work_fails(q, "a", now);
		assert_true(delay >= 9000 && delay <= 10000);
		now += delay;
	}
	/* Success forgets it. */
	assert_take(q, now, "a");
	queue_finish(q, "a", false, at(now));
	assert_int_equal(next_ms(q, now), -1);
	queue_add(q, "a", QUEUE_FRESH);
	assert_true(work_fails(q, "a", now) <= 1000);
	queue_free(q);
}

static void backoff_is_spread(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	int64_t first = INT64_MAX, last = 0, sum = 0;
	char key[16];
	for (int i = 0; i < 1000; i++) {
		str_format(key, sizeof(key), "ns/k%d", i);
		queue_add(q, key, QUEUE_BACKLOG);
		assert_take(q, 0, key);
		queue_finish(q, key, true, at(0));
	}
	for (int64_t now; (now = next_ms(q, last)) >= 0;) {
		first = now < first ? now : first;
		last = now;
		sum += now;
		queue_take(q, at(now));
	}
	assert_true(first >= 900 && first < 910);
	assert_true(last <= 1000 && last > 990);
	assert_true(sum > 940 * 1000 && sum < 960 * 1000);
	queue_free(q);
}

static void failure_and_news(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "a", QUEUE_FRESH);
	assert_true(work_fails(q, "a", 0) >= 900);
	/* A change does not wait for the back-off, and does not forget it. */
	queue_add(q, "a", QUEUE_FRESH);
	assert_take(q, 10, "a");
	queue_add(q, "a", QUEUE_FRESH);
	queue_finish(q, "a", true, at(20));
	assert_true(work_fails(q, "a", 20) >= 3600);
	/* Neither does a timer that is earlier. */
	assert_int_equal(queue_depth(q), 0);
	queue_add_at(q, "a", at(100));
	assert_take(q, 100, "a");
	queue_add_at(q, "a", at(150));
	queue_finish(q, "a", true, at(110));
	assert_int_equal(next_ms(q, 110), 150);
	/* A later one does not put it off. */
	assert_take(q, 150, "a");
	queue_add_at(q, "a", at(1000000));
	queue_finish(q, "a", true, at(150));
	assert_true(next_ms(q, 150) <= 150 + 10000);
	queue_free(q);
}

static void freed_with_work_in_it(void **state)
{
	(void)state;
	struct queue *q = queue_new(&options);
	queue_add(q, "ready", QUEUE_FRESH);
	queue_add(q, "working", QUEUE_FRESH);
	queue_add_at(q, "delayed", at(100));
	queue_take(q, at(0));
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_come_first_served),
		cmocka_unit_test(fresh_overtakes),
		cmocka_unit_test(backlog_does_not_starve),
		cmocka_unit_test(never_twice_at_the_same_time),
		cmocka_unit_test(timers),
		cmocka_unit_test(a_timer_does_not_disturb_what_is_ready),
		cmocka_unit_test(a_timer_set_while_working),
		cmocka_unit_test(many_timers),
		cmocka_unit_test(backoff),
		cmocka_unit_test(backoff_is_spread),
		cmocka_unit_test(failure_and_news),
		cmocka_unit_test(freed_with_work_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
