/* That every field is read and written is test_crd.c's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/endpoint.h"
#include "base/json.h"

#define SPEC                                                                                          \
	"{\"metadata\": {\"name\": \"llm\", \"namespace\": \"ns\", \"uid\": \"u\", \"resourceVersion\": " \
	"\"7\"}, "                                                                                        \
	"\"spec\": {\"modelName\": \"m\", \"instanceType\": \"p5.48xlarge\"}"

static struct endpoint *decode(const char *status)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *text = xasprintf(SPEC ", \"status\": %s}", status);
	struct endpoint *e = endpoint_decode(slice_from(text), &err);
	if (e == NULL)
		fail_msg("%s", err.message);
	return e;
}

static void written_in_a_fixed_order(void **state)
{
	(void)state;
	struct endpoint *e = decode("null");
	struct pool_status pool;
	struct endpoint_status s = {
		.phase = PHASE_CREATING, .observed_generation = 1, .desired = 2, .pools = &pool, .n_pools = 1};
	pool = (struct pool_status){.name = "p5-48xlarge",
	                            .instance_type = "p5.48xlarge",
	                            .priority = 1,
	                            .model_name = "m",
	                            .desired = 2,
	                            .waiting = 2,
	                            .state = POOL_WAITING,
	                            .reason = REASON_PENDING,
	                            .message = "",
	                            .since = {1795626000999}};
	s.conditions[COND_READY] = (struct condition){.present = true,
	                                              .reason = "Waiting",
	                                              .message = "0 of 2 \"Ready\"",
	                                              .since = {1795626000000},
	                                              .observed_generation = 1};
	CLEANUP_JSON json_t *j = endpoint_status_apply(e, &s);
	CLEANUP_FREE char *text = json_compact(j);
	assert_string_equal(
		text,
		"{\"apiVersion\":\"inference.instancepool.dev/v1alpha1\",\"kind\":\"InstancePoolEndpoint\","
		"\"metadata\":{\"name\":\"llm\",\"namespace\":\"ns\",\"uid\":\"u\",\"resourceVersion\":\"7\"},"
		"\"status\":{\"phase\":\"Creating\",\"observedGeneration\":1,\"desiredInstanceCount\":2,"
		"\"currentInstanceCount\":0,\"instancePools\":[{\"name\":\"p5-48xlarge\",\"instanceType\":\"p5."
		"48xlarge\","
		"\"priority\":1,\"modelName\":\"m\",\"desiredInstanceCount\":2,\"currentInstanceCount\":0,"
		"\"startingInstanceCount\":0,\"waitingInstanceCount\":2,\"state\":\"Waiting\",\"reason\":\"Pending\","
		"\"since\":\"2026-11-25T17:00:00Z\",\"strikes\":0}],\"conditions\":[{\"type\":\"Ready\",\"status\":"
		"\"False\","
		"\"reason\":\"Waiting\",\"message\":\"0 of 2 \\\"Ready\\\"\","
		"\"lastTransitionTime\":\"2026-11-25T17:00:00Z\",\"observedGeneration\":1}]}}");
	endpoint_free(e);
}

static void equal_is_what_is_written(void **state)
{
	(void)state;
	struct pool_status pool_a, pool_b;
	struct endpoint_status a = {.pools = &pool_a, .n_pools = 1},
						   b = {.present = true, .failure_reason = "", .pools = &pool_b, .n_pools = 1};
	a.pools[0] = (struct pool_status){.name = "p", .since = {5000}};
	b.pools[0] = (struct pool_status){.name = "p", .message = "", .since = {5999}};
	a.conditions[COND_READY].reason = "not written: not present";
	assert_true(endpoint_status_equal(&a, &b));
	b.pools[0].since.ms = 6000;
	assert_false(endpoint_status_equal(&a, &b));
	b.pools[0].since.ms = 5000;
	b.n_pools = 0;
	assert_false(endpoint_status_equal(&a, &b));
}

static void pools_are_found_by_name(void **state)
{
	(void)state;
	struct endpoint *e =
		decode("{\"instancePools\": [{\"name\": \"a\", \"strikes\": 1}, {\"name\": \"b\", \"strikes\": 2}]}");
	assert_int_equal(endpoint_status_pool(&e->status, "b")->strikes, 2);
	assert_null(endpoint_status_pool(&e->status, "c"));
	endpoint_free(e);
}

static void what_cannot_be_read_is_absent(void **state)
{
	(void)state;
	struct endpoint *e = decode("{\"phase\": \"Sleeping\", \"failureReason\": 3, \"observedGeneration\": "
	                            "\"x\", \"desiredInstanceCount\": -1,"
	                            "\"currentInstanceCount\": 4294967296, \"selector\": {}, \"instancePools\": ["
	                            "1, {}, {\"name\": \"a\", \"state\": \"Dozing\", \"reason\": 7, \"since\": "
	                            "\"yesterday\", \"strikes\": 2.5, "
	                            "\"priority\": 3}, {\"name\": \"a\", \"priority\": 4}],"
	                            "\"conditions\": {\"type\": \"Ready\"}}");
	const struct endpoint_status *s = &e->status;
	assert_true(s->present);
	assert_int_equal(s->phase, PHASE_NONE);
	assert_null(s->failure_reason);
	assert_int_equal(s->observed_generation, 0);
	assert_int_equal(s->desired, 0);
	assert_int_equal(s->current, 0);
	assert_null(s->selector);
	assert_int_equal(s->n_pools, 1);
	assert_int_equal(s->pools[0].state, POOL_IDLE);
	assert_int_equal(s->pools[0].reason, REASON_NONE);
	assert_false(wall_is_set(s->pools[0].since));
	assert_int_equal(s->pools[0].strikes, 0);
	assert_int_equal(s->pools[0].priority, 3);
	for (size_t i = 0; i < CONDITION_COUNT; i++)
		assert_false(s->conditions[i].present);
	endpoint_free(e);

	e = decode("[]");
	assert_false(e->status.present);
	endpoint_free(e);
	e = decode("{\"conditions\": [{\"type\": \"Ready\", \"status\": \"Unknown\"}, {\"type\": \"New\", "
	           "\"status\": \"True\"}, "
	           "{\"type\": \"Stalled\", \"status\": \"True\"}]}");
	assert_false(e->status.conditions[COND_READY].present);
	assert_true(e->status.conditions[COND_STALLED].status);
	endpoint_free(e);
}

static void more_pools_than_there_can_be(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 4096);
	buf_add_str(&b, "{\"instancePools\": [");
	for (int i = 0; i < ENDPOINT_MAX_POOLS + 4; i++)
		buf_addf(&b, "%s{\"name\": \"p%d\"}", i > 0 ? "," : "", i);
	buf_add_str(&b, "]}");
	struct endpoint *e = decode(b.ptr);
	assert_int_equal(e->status.n_pools, ENDPOINT_MAX_POOLS);
	endpoint_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_in_a_fixed_order),     cmocka_unit_test(equal_is_what_is_written),
		cmocka_unit_test(pools_are_found_by_name),      cmocka_unit_test(what_cannot_be_read_is_absent),
		cmocka_unit_test(more_pools_than_there_can_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
