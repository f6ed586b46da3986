/* What endpoints tell each other: whose turn it is, and when nobody has anything to say any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "plan/shortage.h"

#define P5 UINT64_C(5)
#define G6 UINT64_C(6)

static char called[256]; /* who was, since the last look */

static void call(void *arg, const char *endpoint)
{
	size_t len = strlen(called);

	(void)arg;
	str_format(called + len, sizeof(called) - len, "%s ", endpoint);
}

static void expect_called(const char *who)
{
	assert_string_equal(called, who);
	called[0] = '\0';
}

/* Seconds since the story began. */
static struct wall at(int s)
{
	return (struct wall){INT64_C(1795626000000) + s * MS_PER_S};
}

static int setup(void **state)
{
	called[0] = '\0';
	*state = shortages_new(call, NULL);
	return 0;
}

static int teardown(void **state)
{
	shortages_free(*state);
	return 0;
}

static struct shortage_report struck(int when, int until)
{
	struct pool_status p = {.state = POOL_BACK_OFF,
	                        .reason = REASON_STOCK_OUT,
	                        .message = "no room",
	                        .since = at(when),
	                        .last_strike = at(when),
	                        .next_retry = at(until)};

	return shortage_report_of(P5, &p, false);
}

static struct shortage_report held(int since)
{
	struct pool_status p = {
		.state = POOL_BACK_OFF, .reason = REASON_STOCK_OUT, .message = "another found", .since = at(since)};

	return shortage_report_of(P5, &p, true);
}

static struct shortage_report tries(enum pool_reason reason)
{
	struct pool_status p = {.state = POOL_WAITING, .waiting = 1, .reason = reason};

	return shortage_report_of(P5, &p, false);
}

static void tell(struct shortages *s, const char *endpoint, struct shortage_report r, int now)
{
	shortages_tell(s, endpoint, &r, 1, at(now));
}

static void tell_nothing(struct shortages *s, const char *endpoint, int now)
{
	shortages_tell(s, endpoint, NULL, 0, at(now));
}

static struct plan_shortage look(const struct shortages *s, const char *endpoint)
{
	struct plan_shortage p;

	shortages_look(s, endpoint, P5, &p);
	return p;
}

static bool is_taken_for(const struct shortages *s, const char *endpoint)
{
	return wall_is_set(look(s, endpoint).taken);
}

static void test_a_strike_is_known_to_all(void **state)
{
	struct shortages *s = *state;
	struct plan_shortage p;

	tell(s, "a", struck(0, 180), 0);
	p = look(s, "b");
	assert_int_equal(p.struck.ms, at(0).ms);
	assert_int_equal(p.until.ms, at(180).ms);
	assert_int_equal(p.reason, REASON_STOCK_OUT);
	assert_string_equal(p.message, "no room");
	assert_false(wall_is_set(p.taken));
	shortages_look(s, "b", G6, &p);
	assert_false(wall_is_set(p.struck));
	/* The newest counts, whoever tells it; what was told before changes nothing. */
	tell(s, "b", struck(10, 70), 10);
	tell(s, "a", struck(0, 180), 11);
	assert_int_equal(look(s, "c").until.ms, at(70).ms);
	expect_called("");
}

static void test_nothing_is_left(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", tries(REASON_PENDING), 0); /* nothing is known: no matter who tries */
	assert_true(shortages_none(s));
	tell(s, "a", struck(0, 180), 3);
	tell(s, "b", held(4), 4);
	tell(s, "a", tries(REASON_PENDING), 180);
	tell_nothing(s, "a", 181);
	assert_false(shortages_none(s));
	tell_nothing(s, "b", 182);
	assert_true(shortages_none(s));
	assert_false(wall_is_set(look(s, "c").struck));
}

static void test_one_at_a_time(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 10), 0);
	tell(s, "b", held(1), 1);
	tell(s, "c", held(2), 2);
	expect_called("");
	tell(s, "b", tries(REASON_PENDING), 10);
	expect_called("");
	assert_true(is_taken_for(s, "a"));
	assert_true(is_taken_for(s, "c"));
	assert_false(is_taken_for(s, "b"));
	tell(s, "c", tries(REASON_PENDING), 11); /* it was about to: nobody's fault */
	assert_true(is_taken_for(s, "c"));
	tell(s, "c", held(2), 12);
	tell(s, "a", held(0), 12);
	/* In vain: the next one in the line learns when its turn is. */
	tell(s, "b", struck(13, 33), 13);
	expect_called("c ");
	assert_false(is_taken_for(s, "a"));
	assert_int_equal(look(s, "c").until.ms, at(33).ms);
}

static void test_a_bind_calls_the_next(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 180), 0);
	tell(s, "b", held(1), 1);
	tell(s, "c", held(2), 2);
	tell(s, "b", tries(REASON_SETTLING), 20);
	expect_called("");
	shortages_bound(s, P5, at(22));
	expect_called(""); /* it may want more */
	assert_int_equal(look(s, "c").until.ms, at(22).ms);
	tell_nothing(s, "b", 22);
	expect_called("c ");
	tell(s, "a", struck(0, 180), 23); /* old news */
	assert_int_equal(look(s, "c").until.ms, at(22).ms);
	shortages_bound(s, G6, at(24)); /* nobody waits there */
	shortages_bound(s, P5, at(24));
	expect_called("");
}

static void test_who_wants_nothing_passes_the_turn_on(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 180), 0);
	tell(s, "b", held(1), 1);
	tell(s, "c", held(2), 2);
	tell(s, "d", held(2), 2);
	shortages_bound(s, P5, at(20)); /* by one that had waited before */
	expect_called("b ");
	tell_nothing(s, "b", 20);
	expect_called("c ");
	tell_nothing(s, "d", 20); /* from the middle of the line */
	expect_called("");
	tell(s, "c", tries(REASON_PENDING), 20);
	expect_called("");
}

/* Deleted, or served by another pool: its time to ask again is nobody's any more. */
static void test_who_struck_and_goes_calls_the_next(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 180), 0);
	tell(s, "b", held(1), 1);
	tell(s, "c", held(2), 2);
	tell_nothing(s, "c", 10);
	expect_called("");
	assert_int_equal(look(s, "b").until.ms, at(180).ms);
	tell_nothing(s, "a", 20);
	expect_called("b ");
	assert_int_equal(look(s, "b").until.ms, at(20).ms);
	assert_int_equal(look(s, "b").struck.ms, at(0).ms);
	/* While another one tries it is that one's turn. */
	tell(s, "a", struck(30, 200), 30);
	expect_called("b "); /* its turn is later */
	tell(s, "c", tries(REASON_PENDING), 31);
	expect_called("");
	tell_nothing(s, "a", 32);
	expect_called("");
	assert_true(is_taken_for(s, "b"));
}

static void test_nobody_is_held_by_its_own_strike(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 180), 0);
	tell(s, "b", held(1), 1);
	assert_int_equal(look(s, "a").until.ms, at(0).ms);
	assert_int_equal(look(s, "b").until.ms, at(180).ms);
	tell(s, "b", struck(20, 200), 20);
	assert_int_equal(look(s, "a").until.ms, at(200).ms);
	assert_int_equal(look(s, "b").until.ms, at(20).ms);
	tell(s, "c", tries(REASON_PENDING), 200);
	assert_true(is_taken_for(s, "b"));
}

static void test_only_capacity_is_a_try(void **state)
{
	struct shortages *s = *state;

	tell(s, "a", struck(0, 10), 0);
	tell(s, "b", held(1), 1);
	tell(s, "c", tries(REASON_PENDING), 10);
	assert_true(is_taken_for(s, "b"));
	tell(s, "c", tries(REASON_GATED), 11);
	assert_false(is_taken_for(s, "b"));
	expect_called("b ");
}

static void test_nobody_tries_for_ever(void **state)
{
	struct shortages *s = *state;
	int max_s = SHORTAGE_TRY_MAX_MS / MS_PER_S;

	tell(s, "a", struck(0, 10), 0);
	tell(s, "b", tries(REASON_PROVISIONING), 10);
	tell(s, "b", tries(REASON_PROVISIONING), 100);
	assert_int_equal(look(s, "a").taken.ms, at(10 + max_s).ms);
	tell(s, "a", tries(REASON_PENDING), 10 + max_s);
	assert_true(is_taken_for(s, "c"));
	assert_false(is_taken_for(s, "a"));
	tell(s, "a", held(10), 12 + max_s);
	tell(s, "b", tries(REASON_PROVISIONING), 13 + max_s);
	assert_false(is_taken_for(s, "a"));
}

/* A restart: first come all statuses, then each endpoint is planned. */
static void test_made_again_from_statuses(void **state)
{
	struct shortages *s = *state;
	struct shortage_report known = held(5);

	known.held_back = false;
	tell(s, "a", known, 50);
	tell(s, "b", known, 50);
	assert_int_equal(look(s, "c").struck.ms, at(5).ms); /* so one at a time, and the first may */
	assert_int_equal(look(s, "c").until.ms, at(5).ms);
	assert_null(look(s, "c").message);
	tell(s, "a", tries(REASON_PENDING), 51);
	assert_true(is_taken_for(s, "b"));
	shortages_reset(s);
	assert_true(shortages_none(s));
	tell(s, "a", known, 60);
	tell(s, "c", struck(2, 182), 60); /* what really was found is worth more */
	assert_int_equal(look(s, "b").until.ms, at(182).ms);
	expect_called("");
}

static void test_two_pools_of_one_endpoint(void **state)
{
	struct shortages *s = *state;
	struct shortage_report both[] = {tries(REASON_PENDING), held(1)};

	tell(s, "a", struck(0, 10), 0);
	tell(s, "b", held(1), 1);
	shortages_tell(s, "c", both, 2, at(11));
	assert_true(is_taken_for(s, "b"));
	assert_false(is_taken_for(s, "c"));
	shortages_tell(s, "c", both + 1, 1, at(12));
	assert_false(is_taken_for(s, "b"));
	expect_called("b ");
}

static void test_timeouts_are_not_shared(void **state)
{
	struct pool_status p = {.state = POOL_BACK_OFF,
	                        .reason = REASON_PROVISION_TIMEOUT,
	                        .last_strike = at(0),
	                        .next_retry = at(180)};

	tell(*state, "a", shortage_report_of(P5, &p, false), 0);
	assert_true(shortages_none(*state));
}

static void test_one_probes_at_a_time(void **state)
{
	struct pool_status p = {.state = POOL_PROBING,
	                        .waiting = 1,
	                        .reason = REASON_PROVISIONING,
	                        .strikes = 1,
	                        .last_strike = at(0)};

	tell(*state, "a", shortage_report_of(P5, &p, false), 200);
	assert_true(is_taken_for(*state, "b"));
	assert_false(is_taken_for(*state, "a"));
	assert_false(wall_is_set(look(*state, "b").struck)); /* demand is not held for that */
	p.state = POOL_STARTING;
	p.waiting = 0;
	tell(*state, "a", shortage_report_of(P5, &p, false), 210);
	assert_true(shortages_none(*state));
	p = (struct pool_status){.state = POOL_PROBING, .waiting = 1, .reason = REASON_PENDING}; /* a move */
	tell(*state, "a", shortage_report_of(P5, &p, false), 220);
	assert_true(shortages_none(*state));
}

static void test_keys(void **state)
{
	struct jkv p5[] = {{"node.kubernetes.io/instance-type", "p5"}}, g6[] = {{p5[0].key, "g6"}};
	struct jqty eight[] = {{"nvidia.com/gpu", 8}}, four[] = {{"nvidia.com/gpu", 4}};
	struct endpoint_pool a = {.name = "a", .node_selector = p5, .n_node_selector = 1}, b = a;
	struct model m = {.resources = eight, .n_resources = 1}, n = m;

	(void)state;
	b.name = "b";
	b.priority = 2;
	assert_true(shortage_key(&a, &m) == shortage_key(&b, &m));
	b.node_selector = g6;
	assert_true(shortage_key(&a, &m) != shortage_key(&b, &m));
	b = a;
	b.tolerations = "[{\"operator\":\"Exists\"}]";
	assert_true(shortage_key(&a, &m) != shortage_key(&b, &m));
	n.resources = four;
	assert_true(shortage_key(&a, &m) != shortage_key(&a, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_strike_is_known_to_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_bind_calls_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_wants_nothing_passes_the_turn_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_struck_and_goes_calls_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_is_held_by_its_own_strike, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_capacity_is_a_try, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_tries_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_again_from_statuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_pools_of_one_endpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeouts_are_not_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_probes_at_a_time, setup, teardown),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
