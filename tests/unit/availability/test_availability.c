/* Outages, traces, and what each rule asks for in a short story. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include "availability/availability.h"
#include "base/mem.h"

#define DAY_S INT64_C(86400)

/* ---- what is made up ---- */

static void assert_near(double is, double expected, double within)
{
	if (!(fabs(is - expected) <= within))
		fail_msg("%f is not within %f of %f", is, within, expected);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void outages_are_as_the_type_says(void **state)
{
	static const struct {
		const char *name;
		double median_s, in_stock;
	} cases[] = {{"calm", 42 * 60, 0.95}, {"stormy", 23 * 60, 0.60}};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
		struct availability_signal s = {0};
		int64_t length_s = 20000 * DAY_S, *lengths_s, out_s = 0;
		size_t middle, late;
		double long_ones;

		availability_signal_generate(availability_type_find(cases[k].name), 1, length_s, &s);
		assert_true(s.n > 5000);
		lengths_s = xcalloc(s.n, sizeof(*lengths_s));
		for (size_t i = 0; i < s.n; i++) {
			lengths_s[i] = s.outages[i].to_s - s.outages[i].from_s;
			out_s += lengths_s[i];
			assert_true(lengths_s[i] > 0 && (i == 0 || s.outages[i].from_s > s.outages[i - 1].to_s));
		}
		middle = s.n / 2;
		late = s.n * 95 / 100;
		qsort(lengths_s, s.n, sizeof(*lengths_s), compare);
		assert_near((double)lengths_s[middle], cases[k].median_s, 0.05 * cases[k].median_s);
		assert_near(1 - (double)out_s / (double)length_s, cases[k].in_stock, 0.02);
		/* A heavy tail: one in twenty lasts longer than exp(1.645 sigma) medians. */
		long_ones = (double)lengths_s[late] / cases[k].median_s;
		assert_near(long_ones, exp(1.645 * 1.5), 1.5);
		free(lengths_s);
		availability_signal_done(&s);
	}
	assert_null(availability_type_find("quiet"));
}

static void the_same_seed_gives_the_same_outages(void **state)
{
	struct availability_signal a = {0}, b = {0}, c = {0};

	(void)state;
	availability_signal_generate(availability_type_find("stormy"), 7, 100 * DAY_S, &a);
	availability_signal_generate(availability_type_find("stormy"), 7, 100 * DAY_S, &b);
	availability_signal_generate(availability_type_find("stormy"), 8, 100 * DAY_S, &c);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.outages, b.outages, a.n * sizeof(*a.outages));
	assert_true(a.n != c.n || memcmp(a.outages, c.outages, a.n * sizeof(*a.outages)) != 0);
	availability_signal_done(&a);
	availability_signal_done(&b);
	availability_signal_done(&c);
}

static void joined_outages_are_those_of_both(void **state)
{
	struct availability_signal a = {0}, b = {0}, both = {0};

	(void)state;
	availability_signal_add(&a, 10, 20);
	availability_signal_add(&a, 50, 60);
	availability_signal_add(&b, 15, 30);
	availability_signal_add(&b, 52, 55);
	availability_signal_add(&b, 60, 61);
	availability_signal_join(&a, &b, &both);
	assert_int_equal(both.n, 2);
	assert_int_equal(both.outages[0].from_s, 10);
	assert_int_equal(both.outages[0].to_s, 30);
	assert_int_equal(both.outages[1].from_s, 50);
	assert_int_equal(both.outages[1].to_s, 61);
	assert_true(availability_in_stock(&both, 9));
	assert_false(availability_in_stock(&both, 10));
	assert_false(availability_in_stock(&both, 29));
	assert_true(availability_in_stock(&both, 30));
	assert_int_equal(availability_next_change(&both, 9), 10);
	assert_int_equal(availability_next_change(&both, 10), 30);
	assert_int_equal(availability_next_change(&both, 30), 50);
	assert_true(availability_next_change(&both, 61) == INT64_MAX);
	availability_signal_done(&a);
	availability_signal_done(&b);
	availability_signal_done(&both);
}

/* ---- traces ---- */

static void a_trace_is_read(void **state)
{
	struct availability_signal s = {0};
	struct err err = ERR_INIT;
	int64_t length_s = 0;

	(void)state;
	/* The gap may come after the data, and there may be other members. */
	assert_int_equal(
		availability_trace_parse("t.json",
	                             SLICE_LIT("{\"data\": [1, 0, 0, 16, 0], \"x\": [1],\n"
	                                       " \"metadata\": {\"zone\": \"a\", \"gap_seconds\": 300}}"),
	                             &s, &length_s, &err),
		0);
	assert_int_equal(length_s, 1500);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.outages[0].from_s, 300);
	assert_int_equal(s.outages[0].to_s, 900);
	assert_int_equal(s.outages[1].from_s, 1200);
	assert_int_equal(s.outages[1].to_s, 1500);
	availability_signal_done(&s);
}

static void a_bad_trace_is_named_by_its_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "t.json:1: not a JSON object"},
		{"[1, 0]", "t.json:1: not a JSON object"},
		{"{\"metadata\": {\"gap_seconds\": 300}}", "t.json:1: no data"},
		{"{\"metadata\": {\"gap_seconds\": 300},\n\"data\": []}", "t.json:2: no data"},
		{"{\"data\":\n[1]}", "t.json:2: no metadata.gap_seconds"},
		{"{\n\"metadata\": {\n\"gap_seconds\": 0}}",
	     "t.json:3: gap_seconds is not a whole number from 1 to 86400"},
		{"{\"metadata\": {\"gap_seconds\": \"300\"}}",
	     "t.json:1: gap_seconds is not a whole number from 1 to 86400"},
		{"{\n\"metadata\": 300}", "t.json:2: metadata is not an object"},
		{"{\"data\": {}}", "t.json:1: data is not an array"},
		{"{\"data\": [1,\n0,\n-1]}", "t.json:3: data holds something that is not a number of instances"},
		{"{\"data\": [1,\n0.5]}", "t.json:2: data holds something that is not a number of instances"},
		{"{\"data\": [1,\ntrue]}", "t.json:2: data holds something that is not a number of instances"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct availability_signal s = {0};
		struct err err = ERR_INIT;
		int64_t length_s;

		assert_true(availability_trace_parse("t.json", slice_from(cases[i].text), &s, &length_s, &err) < 0);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(s.n, 0);
	}
}

static void what_is_no_json_is_named_by_its_line(void **state)
{
	static const char *const cases[] = {"{\"data\": [1, 0]\n",
	                                    "{\"metadata\": {\"gap_seconds\": 300},\n\"data\": [1, 0]} x",
	                                    "{\"metadata\": {\"gap_seconds\": 300},\n\"data\" [1]}",
	                                    "{\"data\": [1,\n", "{\"metadata\": {\"gap_seconds\": 300}, \n x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct availability_signal s = {0};
		struct err err = ERR_INIT;
		int64_t length_s;

		assert_true(availability_trace_parse("t.json", slice_from(cases[i]), &s, &length_s, &err) < 0);
		assert_true(str_starts(err.message, "t.json:2: "));
		assert_int_equal(s.n, 0);
	}
}

/* ---- the rules ---- */

#define MAX_ASKED 64

struct story {
	struct availability_signal signals[AVAILABILITY_POOLS];
	struct availability_config config;
	struct availability_result result;
	struct {
		int64_t at_s;
		int32_t pool;
	} asked[MAX_ASKED];
	size_t n_asked;
};

static void note(void *arg, int64_t at_s, int32_t pool)
{
	struct story *s = arg;

	if (s->n_asked < MAX_ASKED) {
		s->asked[s->n_asked].at_s = at_s;
		s->asked[s->n_asked].pool = pool;
	}
	s->n_asked++;
}

static void story_init(struct story *s, enum availability_rule rule, size_t n_pools)
{
	*s = (struct story){0};
	s->config = (struct availability_config){.rule = rule,
	                                         .n_pools = n_pools,
	                                         .signals = s->signals,
	                                         .desired = 2,
	                                         .boot_s = 60,
	                                         .spot = true,
	                                         .warm_up_s = 3600,
	                                         .length_s = 30000,
	                                         .tell = note,
	                                         .tell_arg = s};
}

static void story_run(struct story *s)
{
	availability_run(&s->config, &s->result);
}

static void story_done(struct story *s)
{
	for (size_t i = 0; i < AVAILABILITY_POOLS; i++)
		availability_signal_done(&s->signals[i]);
	availability_result_done(&s->result);
}

/* "10001:0 10012:1": when a pool was first asked in each second, at most `n` of them, from 3600 s on. */
static const char *asked_text(const struct story *s, size_t n)
{
	static char text[512];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->n_asked && i < MAX_ASKED && n > 0; i++) {
		if (s->asked[i].at_s < 3600)
			continue;
		if (i > 0 && s->asked[i].at_s == s->asked[i - 1].at_s && s->asked[i].pool == s->asked[i - 1].pool)
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld:%d", len > 0 ? " " : "",
		                        (long long)s->asked[i].at_s, (int)s->asked[i].pool);
		n--;
	}
	return text;
}

static void without_an_outage_all_serve_always(void **state)
{
	(void)state;
	for (enum availability_rule rule = 0; rule < RULE_COUNT; rule++)
		for (int silent = 0; silent < 2; silent++)
			for (size_t pools = 1; pools <= AVAILABILITY_POOLS; pools++) {
				struct story s;

				story_init(&s, rule, pools);
				s.config.silent = silent;
				story_run(&s);
				assert_int_equal(s.result.measured_s, 30000 - 3600);
				assert_int_equal(s.result.all_s, s.result.measured_s);
				assert_int_equal(s.result.best_s, 2 * s.result.measured_s);
				assert_int_equal(s.result.instance_s, s.result.best_s);
				assert_int_equal(s.n_asked, 2);
				assert_int_equal(s.result.n_recoveries, 0);
				story_done(&s);
			}
}

/* The best pool is out of stock from 10000 to 20000, the other never. */
static void what_is_asked_when_the_best_pool_goes(void **state)
{
	static const struct {
		enum availability_rule rule;
		bool silent;
		const char *asked; /* the first ones */
		int64_t recovery_s;
	} cases[] = {
		/* The group asks for the lost ones again and is not blamed; 30 s for pods with GPUs; asked, refused at :34. */
		{RULE_AUTOSCALER, false, "10000:0 10030:0 10040:1", 104},
		/* Three minutes by the pods' age, seen every 15 s; the old pods keep asking, after 5, 10, 20 minutes. */
		{RULE_AUTOSCALER_BALANCER, false, "10000:0 10030:0 10190:1 10340:0 10950:0 12160:0", 254},
		/* The autoscaler says "in backoff" at 10040, and the new pods are new again. */
		{RULE_AUTOSCALER_POOLS, false, "10000:0 10030:0 10070:1", 134},
		{RULE_KARPENTER, false, "10001:0 10011:1", 75},
		/* Three minutes by the pods' age are those of the memory too: the new pods' round is one for the old ones. */
		{RULE_KARPENTER_BALANCER, false, "10001:0 10186:0 10186:1 10371:0", 250},
		{RULE_KARPENTER_POOLS, false, "10001:0 10012:1", 76},
		/* It tries the better pool again, 3 minutes after all serve, then after 6 more. */
		{RULE_KARPENTER_POOLS_ACTIVE, false, "10001:0 10012:1 10257:0 10628:0", 76},
		/* The window of 1200 s. */
		{RULE_KARPENTER_POOLS_DEAF, false, "10001:0 10191:0 10381:0 10571:0 10761:0 10951:0 11141:0 11201:1",
	     1265},
		/* 15 minutes for the group's own, 15 for the scale-up. */
		{RULE_AUTOSCALER, true, "10000:0 10920:0 11840:1", 1904},
		/* The first 15 minutes are nobody's failure, so nothing is said; the window comes first. */
		{RULE_AUTOSCALER_POOLS, true, "10000:0 10920:0 11230:1", 1294},
		/* Nothing is remembered of a claim that does not register. */
		{RULE_KARPENTER, true, "10001:0 10901:0 11801:0", 10060},
		{RULE_KARPENTER_POOLS, true, "10001:0 10901:0 11201:1", 1265},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct story s;
		size_t n = 1;

		for (const char *c = cases[i].asked; *c; c++)
			n += *c == ' ';
		story_init(&s, cases[i].rule, 2);
		s.config.silent = cases[i].silent;
		availability_signal_add(&s.signals[0], 10000, 20000);
		story_run(&s);
		if (!str_eq(asked_text(&s, n), cases[i].asked))
			fail_msg("%s%s asked %s, expected %s", availability_rule_name(cases[i].rule),
			         cases[i].silent ? " (silent)" : "", asked_text(&s, n), cases[i].asked);
		assert_true(s.result.n_recoveries >= 1);
		assert_int_equal(s.result.recoveries_s[0], cases[i].recovery_s);
		assert_int_equal(s.result.all_s, s.result.measured_s - cases[i].recovery_s);
		story_done(&s);
	}
}

/* The pauses of the autoscaler: 5, 10, 20, 30, 30 minutes, each from the refusal that the next scan sees. */
static void the_autoscaler_backs_off(void **state)
{
	struct story s;

	(void)state;
	story_init(&s, RULE_AUTOSCALER, 1);
	availability_signal_add(&s.signals[0], 10000, 20000);
	story_run(&s);
	assert_string_equal(asked_text(&s, 8), "10000:0 10030:0 10340:0 10950:0 12160:0 13970:0 15780:0 17590:0");
	story_done(&s);
}

/* An on-demand instance stays through an outage; each one that ends waits for stock. */
static void on_demand_instances_stay(void **state)
{
	(void)state;
	for (enum availability_rule rule = 0; rule < RULE_COUNT; rule++) {
		struct story s;

		story_init(&s, rule, 1);
		s.config.spot = false;
		availability_signal_add(&s.signals[0], 10000, 20000);
		story_run(&s);
		assert_int_equal(s.result.all_s, s.result.measured_s);
		assert_int_equal(s.result.stock_s, s.result.measured_s - 10000);
		story_done(&s);

		story_init(&s, rule, 1);
		s.config.spot = false;
		s.config.lifetime_s = 3600;
		s.config.seed = 3;
		story_run(&s);
		assert_true(s.result.n_recoveries > 5);
		assert_true(s.result.recoveries_s[0] >= 64 && s.result.recoveries_s[0] < 300);
		story_done(&s);
	}
}

/* The Balancer goes back to the best pool as soon as it can, the others stay where they are. */
static void who_goes_back(void **state)
{
	static const struct {
		enum availability_rule rule;
		bool goes_back;
	} cases[] = {{RULE_AUTOSCALER, false},      {RULE_AUTOSCALER_BALANCER, true},
	             {RULE_KARPENTER, false},       {RULE_KARPENTER_BALANCER, true},
	             {RULE_KARPENTER_POOLS, false}, {RULE_KARPENTER_POOLS_ACTIVE, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct story s;

		story_init(&s, cases[i].rule, 2);
		availability_signal_add(&s.signals[0], 10000, 20000);
		s.config.warm_up_s = 29000;
		story_run(&s);
		assert_int_equal(s.result.all_s, 1000);
		assert_int_equal(s.result.best_s, cases[i].goes_back ? 2000 : 0);
		story_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outages_are_as_the_type_says),
		cmocka_unit_test(the_same_seed_gives_the_same_outages),
		cmocka_unit_test(joined_outages_are_those_of_both),
		cmocka_unit_test(a_trace_is_read),
		cmocka_unit_test(a_bad_trace_is_named_by_its_line),
		cmocka_unit_test(what_is_no_json_is_named_by_its_line),
		cmocka_unit_test(without_an_outage_all_serve_always),
		cmocka_unit_test(what_is_asked_when_the_best_pool_goes),
		cmocka_unit_test(the_autoscaler_backs_off),
		cmocka_unit_test(on_demand_instances_stay),
		cmocka_unit_test(who_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
