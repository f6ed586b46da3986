/* A story goes the same way each time, and shrinking keeps what it is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "base/log.h"
#include "base/mem.h"
#include "sim/world.h"

#define SEEDS 3 /* valgrind is slow; `make sim` plays many */

static char *telling_of(const struct story *s, struct world_result *r)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	world_play(s, out, r);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_same_again(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct story s;
		struct world_result first, second;
		char *before, *after;

		story_generate(seed, &s);
		before = telling_of(&s, &first);
		after = telling_of(&s, &second);
		assert_string_equal(before, after);
		assert_int_equal(first.writes, second.writes);
		assert_int_equal(first.calm_ms, second.calm_ms);
		assert_true(first.rule == second.rule);
		free(before);
		free(after);
	}
}

static void read_story(const char *text, struct story *ret)
{
	struct err err = ERR_INIT;

	if (story_read(slice_from(text), ret, &err) < 0)
		fail_msg("%s", err.message);
}

#define QUIET                                                                   \
	"type p5 gpus=2 nodes=2 boot=10s load=2s\n"                                 \
	"type g6 gpus=2 nodes=1 boot=10s load=2s\n"                                 \
	"endpoint a count=2 gpus=1 window=5s retry=20s max-retry=20s startup=60s\n" \
	"pool a p5 priority=1\n"                                                    \
	"pool a g6 priority=2\n"

/* What is told can be followed: acts, writes with their numbers, processes. */
static void test_told(void **state)
{
	static const char *const lines[] = {
		"operator-0 starts\n",
		"  30.000 * scale a 3\n",
		": replicas 2 -> 3\n",
		"  40.000 * end-instance b 0\n",
		"  40.000   there is nothing that it could happen to\n",
		"  50.000 * crash 0\n",
		"  50.000 operator-0 dies\n",
		"  60.000 * freeze 0 for 2s\n",
		"  62.000 operator-0 goes on\n",
		"  90.000 * heal\n",
		"operator-0 PATCH instancepoolendpoints a/status: InService 3/3, p5 3/3 Ready, g6 0/0 Idle\n",
	};
	struct story s;
	struct world_result r;
	char *text;

	(void)state;
	read_story("seed 3\n" QUIET "endpoint b count=0 gpus=1 window=5s retry=20s max-retry=20s startup=60s\n"
	           "pool b p5 priority=1\n"
	           "30 scale a 3\n40 end-instance b 0\n50 crash 0\n60 freeze 0 for 2s\nheal 90\n",
	           &s);
	text = telling_of(&s, &r);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("not told: %s\n%s", lines[i], text);
	assert_null(r.rule);
	assert_true(r.writes > 0);
	free(text);
}

/* "No rule is broken" is kept by shrinking as any rule is: then nearly nothing is needed. */
static void test_shrunk(void **state)
{
	struct story s, shorter;
	struct world_result r;

	(void)state;
	read_story("seed 3\noperators 2\nnodes karpenter\n" QUIET
	           "20.25 scale a 3\n30 crash 1\n40 add-node g6\nheal 90\n",
	           &s);
	world_play(&s, NULL, &r);
	assert_null(r.rule);
	story_shrink(&s, NULL, &shorter);
	assert_int_equal(shorter.n_acts, 0);
	assert_int_equal(shorter.n_types, 1);
	assert_int_equal(shorter.endpoints[0].n_pools, 1);
	assert_int_equal(shorter.endpoints[0].count, 0);
	assert_int_equal(shorter.operators, 1);
	assert_int_equal(shorter.nodes, CLUSTER_FIXED);
	world_play(&shorter, NULL, &r);
	assert_null(r.rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_again),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_shrunk),
	};

	log_setup((enum log_level)(LOG_LEVEL_ERROR + 1), LOG_FORMAT_TEXT);
	return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
