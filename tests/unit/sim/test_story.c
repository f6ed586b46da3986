/* The text of a story, both ways, and what seeds give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <cmocka.h>
#include "base/mem.h"
#include "sim/acts.h"

#define SEEDS 3000

static char *text_of(const struct story *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	story_write(s, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_written_and_read(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct story s, again;
		struct err err = ERR_INIT;
		char *before, *after;

		story_generate(seed, &s);
		before = text_of(&s);
		if (story_read(slice_from(before), &again, &err) < 0)
			fail_msg("seed %" PRIu64 ": %s\n%s", seed, err.message, before);
		after = text_of(&again);
		assert_string_equal(before, after);
		assert_int_equal(again.seed, seed);
		free(before);
		free(after);
	}
}

/* All of it, in a form that people would write. */
static void test_everything(void **state)
{
	static const char text[] =
		"# a comment\n"
		"seed 18446744073709551615\n"
		"operators 2\t# another\n"
		"\n"
		"nodes karpenter\r\n"
		"type g6 gpus=8 nodes=2 stock=4 boot=1.5m load=350ms\n"
		"type p5 gpus=1 nodes=0 boot=0s load=1.25s\n"
		"endpoint b count=3 gpus=1 window=0s retry=60s max-retry=10m startup=60s rebalance=Active\n"
		"pool b p5 priority=1 min=1 max=2\n"
		"pool b g6 priority=2\n"
		"endpoint a on-failure=Lend count=0 gpus=8 window=2m retry=10s max-retry=10s startup=90s\n"
		"pool a g6 priority=1\n"
		"0 scale b 6\n"
		"1.001 quota -1\n"
		"1.001 silence-node g6 3 for 90s\n"
		"2 fail-starts p5 image for 0.5s\n"
		"3 fail-watch pods late for 2m\n"
		"3 fail-watch nodes cut\n"
		"4 fail-writes lost 2\n"
		"5 crash-at during 2\n"
		"6 freeze 1 for 5s\n"
		"300.5 stranger g6 4 for 10s\n"
		"heal 300.5\n";
	static const char expected[] =
		"seed 18446744073709551615\n"
		"operators 2\n"
		"nodes karpenter\n"
		"type g6 gpus=8 nodes=2 stock=4 boot=90s load=0.35s\n"
		"type p5 gpus=1 nodes=0 boot=0s load=1.25s\n"
		"endpoint b count=3 gpus=1 window=0s retry=60s max-retry=600s startup=60s rebalance=Active\n"
		"pool b p5 priority=1 min=1 max=2\n"
		"pool b g6 priority=2\n"
		"endpoint a count=0 gpus=8 window=120s retry=10s max-retry=10s startup=90s on-failure=Lend\n"
		"pool a g6 priority=1\n"
		"0 scale b 6\n"
		"1.001 quota -1\n"
		"1.001 silence-node g6 3 for 90s\n"
		"2 fail-starts p5 image for 0.5s\n"
		"3 fail-watch pods late for 120s\n"
		"3 fail-watch nodes cut\n"
		"4 fail-writes lost 2\n"
		"5 crash-at during 2\n"
		"6 freeze 1 for 5s\n"
		"300.5 stranger g6 4 for 10s\n"
		"heal 300.5\n";
	struct story s;
	struct err err = ERR_INIT;
	char *written;

	(void)state;
	if (story_read(slice_from(text), &s, &err) < 0)
		fail_msg("%s", err.message);
	written = text_of(&s);
	assert_string_equal(written, expected);
	free(written);
	assert_int_equal(s.endpoints[0].pools[0].type, 1);
	assert_int_equal(s.endpoints[0].max_retry_ms, 600000);
	assert_true(s.endpoints[0].rebalance_active && !s.endpoints[0].lends && s.endpoints[1].lends);
	assert_int_equal(s.types[0].load_ms, 350);
	assert_int_equal(s.acts[2].subject, 0);
	assert_int_equal(s.acts[2].for_ms, 90000);
	assert_int_equal(s.acts[4].kind, API_POD);
	assert_int_equal(s.acts[4].word, NETWORK_WATCH_LATE);
	assert_int_equal(s.heal_ms, 300500);
}

#define CLUSTER "type p5 gpus=8 nodes=2 boot=1s load=1s\n"
#define MODEST " gpus=1 window=5s retry=60s max-retry=60s startup=60s\n"
#define BEGIN CLUSTER "endpoint a count=1" MODEST "pool a p5 priority=1\n"

static const struct {
	const char *text, *message;
} wrong[] = {
	{"", "line 0: the story ends without \"heal\""},
	{"heal 5\n", "line 1: the story ends without an \"endpoint\""},
	{CLUSTER "endpoint a count=1" MODEST "heal 5\n", "line 3: the story ends without a \"pool a\""},
	{"chapter 1\n", "line 1: \"chapter\": a line begins with a time or one of: seed, operators, nodes, type, "
                    "endpoint, pool, heal"},
	{"seed\n", "line 1: \"seed\": a number must follow"},
	{"seed 18446744073709551616\n", "line 1: \"18446744073709551616\": must be a number from 0 to "
                                    "18446744073709551615"},
	{"seed 1\nseed 2\n", "line 2: \"seed\": is said twice"},
	{"operators 3\n", "line 1: \"3\": must be a number from 1 to 2"},
	{"nodes nodepool\n", "line 1: \"nodepool\": must be one of: fixed, cluster-autoscaler, karpenter"},
	{"type h100\n", "line 1: \"h100\": must be one of: p5, g6, g5, g4"},
	{CLUSTER CLUSTER, "line 2: \"p5\": there is such a type above"},
	{"type p5 gpus=8 nodes=2 boot=1s\n", "line 1: \"type\": needs load="},
	{"type p5 gpus=8 gpus=8\n", "line 1: \"gpus=8\": is said twice"},
	{"type p5 gpu=8\n",
     "line 1: \"gpu=8\": must be one of these, with = and a value: gpus, nodes, stock, boot, "
     "load"},
	{"type p5 gpus=\n", "line 1: \"\": must be a number from 1 to 16"},
	{"type p5 gpus=0x8\n", "line 1: \"0x8\": must be a number from 1 to 16"},
	{"type p5 boot=20\n", "line 1: \"20\": must be a time from 0s to 3600s, like 90s, 1.5s, 350ms or 2m"},
	{"type p5 boot=0.5ms\n",
     "line 1: \"0.5ms\": must be a time from 0s to 3600s, like 90s, 1.5s, 350ms or 2m"},
	{"endpoint a retry=10.5s\n", "line 1: \"10.5s\": must be whole seconds"},
	{"endpoint a rebalance=active\n", "line 1: \"active\": must be Passive or Active"},
	{"endpoint a count=1 gpus=1 window=5s retry=60s max-retry=59s startup=60s\n",
     "line 1: \"endpoint\": max-retry must not be less than retry"},
	{CLUSTER "pool a p5 priority=1\n", "line 2: \"a\": no such endpoint: those above are: none"},
	{BEGIN "pool a p5 priority=2\n", "line 4: \"p5\": the endpoint has such a pool above"},
	{BEGIN "pool a g6 priority=2\n", "line 4: \"g6\": no such type: those above are: p5"},
	{BEGIN "5 explode\n", "line 4: \"explode\": there is no such act"},
	{BEGIN "5\n", "line 4: \"5\": an act must follow"},
	{BEGIN "5 scale\n", "line 4: \"scale\": an endpoint must follow"},
	{BEGIN "5 scale b 1\n", "line 4: \"b\": no such endpoint: those above are: a"},
	{BEGIN "5 scale a\n", "line 4: \"a\": a number must follow"},
	{BEGIN "5 scale a -1\n", "line 4: \"-1\": must be a number from 0 to 1000"},
	{BEGIN "5 scale a 1 2\n", "line 4: \"2\": must not be there: the line is complete without it"},
	{BEGIN "5 pause 5s\n", "line 4: \"5s\": must be \"for\" and a time"},
	{BEGIN "5 fail-watch pods late\n", "line 4: \"late\": \"for\" and a time must follow"},
	{BEGIN "5 fail-watch pods cut for 5s\n",
     "line 4: \"for\": must not be there: the line is complete without it"},
	{BEGIN "5.0001 pause for 5s\n",
     "line 4: \"5.0001\": must be seconds since the start, like 12.5, and no more than "
     "a day"},
	{BEGIN "5 pause for 5s\n4 pause for 5s\n", "line 5: \"4\": acts are in the order of their times"},
	{BEGIN "5 pause for 5s\nheal 4\n", "line 5: \"4\": must not be before the last act"},
	{BEGIN "heal 5\n6 pause for 5s\n", "line 5: \"6\": nothing happens after heal"},
	{"1 2 3 4 5 6 7 8 9 10 11 12 13\n", "line 1: \"13\": too many words in a line"},
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct story s;
		struct err err = ERR_INIT;

		assert_int_equal(story_read(slice_from(wrong[i].text), &s, &err), -1);
		assert_string_equal(err.message, wrong[i].message);
	}
}

static void test_too_many_acts(void **state)
{
	char *text = xstrdup(BEGIN);
	struct story s;
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i <= STORY_MAX_ACTS; i++) {
		char *longer = xasprintf("%s%d pause for 1s\n", text, i);

		free(text);
		text = longer;
	}
	assert_int_equal(story_read(slice_from(text), &s, &err), -1);
	assert_string_equal(err.message, "line 68: \"64\": no more than 64 acts");
	free(text);
}

/* Whatever is cut off or changed in a text: an error or a story, and nothing that the sanitizers find. */
static void test_damaged(void **state)
{
	static const char bits[] = " \n=#0-.a\t:9\xff";
	struct story s;
	char *text;
	size_t len;

	(void)state;
	story_generate(7, &s);
	text = text_of(&s);
	len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		struct err err = ERR_INIT;
		char kept = text[i];

		/* A copy of its own, so that a read past its end is found. */
		char *cut = xmalloc(i + 1);

		memcpy(cut, text, i);
		(void)story_read((struct slice){cut, i}, &s, &err);
		free(cut);
		for (const char *bit = bits; *bit; bit++) {
			text[i] = *bit;
			if (story_read((struct slice){text, len}, &s, &err) == 0)
				free(text_of(&s));
			text[i] = kept;
		}
	}
	free(text);
}

/* What the generator promises to those who play its stories; and that all that can happen does, in some. */
static void test_generated(void **state)
{
	size_t acts[ACT_TYPE_COUNT] = {0}, two = 0, nodes[CLUSTER_KARPENTER + 1] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct story s;

		story_generate(seed, &s);
		assert_in_range(s.n_endpoints, 1, 3);
		assert_in_range(s.n_acts, 3, 27); /* the last may be followed by one, and both by none */
		assert_in_range(s.heal_ms - s.acts[s.n_acts - 1].at_ms, 20000, 60000);
		assert_in_range(s.heal_ms, 20000, 1100000);
		two += s.operators == 2;
		nodes[s.nodes]++;
		for (size_t i = 0; i < s.n_acts; i++)
			acts[s.acts[i].type]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(acts); i++)
		assert_true(acts[i] > 0);
	assert_in_range(two, SEEDS / 4, SEEDS / 2);
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
		assert_true(nodes[i] > SEEDS / 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_too_many_acts),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_generated),
	};

	return cmocka_run_group_tests_name("story", tests, NULL, NULL);
}
