/* Instances that have a node and are not Ready, and nodes on which none lasts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "plan/nodestate.h"
#include "plan/startup.h"

#define T0_MS INT64_C(1795626000000)
#define DOWNLOAD_S 300
#define STARTUP_S 120

static struct wall at(int64_t s)
{
	return (struct wall){T0_MS + s * MS_PER_S};
}

/* Got its node at second 10; the kubelet's first status is of second 11. */
static struct pod starting(void)
{
	return (struct pod){
		.meta.name = "a",
		.meta.created = at(0),
		.scheduled = TRI_TRUE,
		.scheduled_since = at(10),
		.ready_since = at(11),
		.initialized = TRI_TRUE,
		.initialized_since = at(11),
	};
}

static struct pod downloading(void)
{
	struct pod p = starting();

	p.initialized = TRI_FALSE;
	return p;
}

static struct startup_output look_at(const struct pod *first, const struct pod *second, int64_t now_s,
                                     struct arena *a)
{
	const struct pod *pods[] = {first, second};
	const struct startup_input in = {
		.pods = pods,
		.n_pods = second ? 2 : 1,
		.download_timeout_ms = DOWNLOAD_S * MS_PER_S,
		.startup_timeout_ms = STARTUP_S * MS_PER_S,
	};
	struct startup_output out;

	startup_look(&in, at(now_s), a, &out);
	return out;
}

static void the_times_run_one_after_the_other(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct pod p = downloading();
	struct startup_output out;

	(void)state;
	arena_init(&a);
	out = look_at(&p, NULL, 11 + DOWNLOAD_S - 1, &a);
	assert_int_equal(out.failed, 0);
	assert_int_equal(out.reason, REASON_NONE);
	assert_null(out.message);
	assert_int_equal(out.deadline.ms, at(11 + DOWNLOAD_S).ms);
	out = look_at(&p, NULL, 11 + DOWNLOAD_S, &a);
	assert_int_equal(out.failed, 1);
	assert_int_equal(out.reason, REASON_DOWNLOAD_TIMEOUT);
	assert_string_equal(out.message, "the init containers have not ended within 300 s");
	assert_false(wall_is_set(out.deadline));

	p.initialized = TRI_TRUE; /* late, but that is over */
	p.initialized_since = at(400);
	out = look_at(&p, NULL, 401, &a);
	assert_int_equal(out.failed, 0);
	assert_int_equal(out.deadline.ms, at(400 + STARTUP_S).ms);
	out = look_at(&p, NULL, 400 + STARTUP_S, &a);
	assert_int_equal(out.failed, 1);
	assert_int_equal(out.reason, REASON_STARTUP_TIMEOUT);
	assert_string_equal(out.message, "not Ready within 120 s");
}

static void one_that_was_ready_once_has_started(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct pod p = starting();
	struct startup_output out;

	(void)state;
	arena_init(&a);
	p.ready_since = at(60); /* it was Ready until then */
	out = look_at(&p, NULL, 1000, &a);
	assert_int_equal(out.failed, 0);
	assert_false(wall_is_set(out.deadline));
	p.trouble = POD_CRASH; /* what is wrong is told all the same */
	p.trouble_container = "server";
	p.trouble_detail = "OOMKilled";
	p.exit_code = 137;
	out = look_at(&p, NULL, 1000, &a);
	assert_int_equal(out.failed, 0);
	assert_int_equal(out.reason, REASON_CRASH_LOOP);
	assert_string_equal(out.message,
	                    "container server has ended with exit code 137 (OOMKilled) and is started again");
}

/* Its node was booted: the kubelet runs the init containers again. */
static void one_that_begins_anew_has_its_time_again(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct pod p = downloading();
	struct startup_output out;

	(void)state;
	arena_init(&a);
	p.initialized_since = p.ready_since = at(90000);
	out = look_at(&p, NULL, 90001, &a);
	assert_int_equal(out.failed, 0);
	assert_int_equal(out.deadline.ms, at(90000 + DOWNLOAD_S).ms);
}

static void known_trouble_is_told_before_and_after_the_timeout(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct pod slow = starting(), p = starting();
	struct startup_output out;

	(void)state;
	arena_init(&a);
	p.trouble = POD_IMAGE_PULL;
	p.trouble_container = "server";
	p.trouble_detail = "llm:typo";
	out = look_at(&slow, &p, 20, &a);
	assert_int_equal(out.failed, 0);
	assert_int_equal(out.reason, REASON_IMAGE_PULL_FAILED);
	assert_string_equal(out.message, "image llm:typo cannot be pulled");
	out = look_at(&slow, &p, 200, &a); /* both failed, of one the reason is known */
	assert_int_equal(out.failed, 2);
	assert_int_equal(out.reason, REASON_IMAGE_PULL_FAILED);

	p.trouble = POD_CONTAINER_ERROR;
	p.trouble_detail = NULL;
	out = look_at(&p, NULL, 20, &a);
	assert_int_equal(out.reason, REASON_CONTAINER_ERROR);
	assert_string_equal(out.message, "container server cannot be started: no reason given");
}

static void one_that_failed_is_told_before_one_that_may_start(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct pod crashes = starting(), late = starting();
	struct startup_output out;

	(void)state;
	arena_init(&a);
	crashes.trouble = POD_CRASH;
	crashes.trouble_container = "server";
	crashes.scheduled_since = crashes.initialized_since = crashes.ready_since = at(190);
	out = look_at(&crashes, &late, 200, &a);
	assert_int_equal(out.failed, 1);
	assert_int_equal(out.reason, REASON_STARTUP_TIMEOUT);
	assert_int_equal(out.deadline.ms, at(190 + STARTUP_S).ms);
}

static void nodes_that_do_not_last(void **state)
{
	static const struct node_taint removal = {"ToBeDeletedByClusterAutoscaler", "1", "NoSchedule"},
								   pressure = {"node.kubernetes.io/disk-pressure", "", "NoSchedule"};
	struct node n = {.meta.name = "n", .ready = TRI_TRUE};

	(void)state;
	assert_false(nodestate_loses(&n, at(0), at(100)));
	n.taints = &pressure;
	n.n_taints = 1;
	assert_false(nodestate_loses(&n, at(0), at(100)));
	n.unschedulable = true; /* a cordon ends nothing that runs */
	assert_false(nodestate_loses(&n, at(0), at(100)));
	n.taints = &removal;
	assert_true(nodestate_loses(&n, at(0), at(100)));
	n.n_taints = 0;
	n.meta.deleted = at(90);
	assert_true(nodestate_loses(&n, at(0), at(100)));
	n.meta.deleted = (struct wall){0};
	n.ready_since = at(50);
	n.ready = TRI_UNKNOWN;
	assert_true(nodestate_loses(&n, at(0), at(100)));
	assert_false(nodestate_loses(&n, at(49), at(59)));
	assert_true(nodestate_loses(&n, at(49), at(60)));
	n.ready = TRI_FALSE; /* a kubelet that starts again is there in no time */
	assert_false(nodestate_loses(&n, at(49), at(79)));
	assert_true(nodestate_loses(&n, at(49), at(80)));
	assert_false(nodestate_loses(&n, at(51), at(100))); /* it must have been Ready meanwhile */
	/* The watch of nodes may be a little behind that of pods. */
	assert_false(nodestate_loses(NULL, at(80), at(100)));
	assert_true(nodestate_loses(NULL, at(60), at(100)));
	/* All at once: it is not the nodes. */
	assert_false(nodestate_none_is_heard(0, 0));
	assert_false(nodestate_none_is_heard(1, 2));
	assert_true(nodestate_none_is_heard(11, 20));
	assert_true(nodestate_none_is_heard(1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_times_run_one_after_the_other),
		cmocka_unit_test(one_that_was_ready_once_has_started),
		cmocka_unit_test(one_that_begins_anew_has_its_time_again),
		cmocka_unit_test(known_trouble_is_told_before_and_after_the_timeout),
		cmocka_unit_test(one_that_failed_is_told_before_one_that_may_start),
		cmocka_unit_test(nodes_that_do_not_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
