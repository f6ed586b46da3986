#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/endpoint.h"
#include "api/names.h"

#define META                                                                                         \
	"{\"metadata\": {\"name\": \"llm\", \"namespace\": \"ns\", \"uid\": \"u\", \"generation\": 3}, " \
	"\"spec\": {"
#define END "}}"

static struct endpoint *decode(const char *json)
{
	struct err err = ERR_INIT;
	struct endpoint *e = endpoint_decode(slice_from(json), &err);
	if (e == NULL)
		fail_msg("%s", err.message);
	return e;
}

static void defaults(void **state)
{
	(void)state;
	struct endpoint *e = decode(META "\"modelName\": \"m\", \"instanceType\": \"ml.p5.48xlarge\"" END);
	assert_string_equal(e->meta.name, "llm");
	assert_string_equal(e->meta.ns, "ns");
	assert_int_equal(e->meta.generation, 3);
	const struct endpoint_spec *s = &e->spec;
	assert_int_equal(s->instance_count, -1);
	assert_int_equal(s->provision_timeout_ms, 1200000);
	assert_int_equal(s->download_timeout_ms, 1200000);
	assert_int_equal(s->startup_timeout_ms, 600000);
	assert_true(s->lends_failed);
	assert_int_equal(s->retry_after_ms, 180000);
	assert_int_equal(s->max_retry_after_ms, 1800000);
	assert_int_equal(s->n_pools, 1);
	assert_string_equal(s->pools[0].name, "p5-48xlarge");
	assert_string_equal(s->pools[0].instance_type, "p5.48xlarge");
	assert_string_equal(s->pools[0].model_name, "m");
	assert_int_equal(s->pools[0].priority, 1);
	assert_int_equal(s->pools[0].max_instances, INT32_MAX);
	assert_int_equal(s->pools[0].n_node_selector, 1);
	assert_string_equal(s->pools[0].node_selector[0].key, NODE_LABEL_INSTANCE_TYPE);
	assert_string_equal(s->pools[0].node_selector[0].value, "p5.48xlarge");
	assert_null(s->pools[0].tolerations);
	assert_null(s->pools[0].runtime_class_name);
	assert_false(e->status.present);
	endpoint_free(e);
}

static void null_is_absent(void **state)
{
	(void)state;
	struct endpoint *e =
		decode(META "\"modelName\": \"m\", \"instanceType\": null, \"instanceCount\": null, "
	                "\"capacity\": null, \"instancePools\": [{\"instanceType\": \"a\", \"priority\": 1, "
	                "\"name\": null, \"nodeSelector\": null, \"tolerations\": null}]" END);
	assert_int_equal(e->spec.instance_count, -1);
	assert_string_equal(e->spec.pools[0].name, "a");
	endpoint_free(e);
}

static void pools_are_ranked(void **state)
{
	(void)state;
	struct endpoint *e =
		decode(META "\"modelName\": \"m\", \"instanceCount\": 0, \"instancePools\": ["
	                "{\"instanceType\": \"c\", \"priority\": 2},"
	                "{\"instanceType\": \"d\", \"priority\": 3},"
	                "{\"instanceType\": \"a\", \"priority\": 1, \"modelNameOverride\": \"m-a\"},"
	                "{\"instanceType\": \"b\", \"priority\": 2}]" END);
	static const char *const order[] = {"a", "c", "b", "d"};
	assert_int_equal(e->spec.instance_count, 0);
	assert_int_equal(e->spec.n_pools, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(e->spec.pools[i].name, order[i]);
	assert_string_equal(e->spec.pools[0].model_name, "m-a");
	assert_string_equal(e->spec.pools[1].model_name, "m");
	endpoint_free(e);
}

static void selector_and_tolerations_do_not_depend_on_the_order_of_keys(void **state)
{
	(void)state;
	struct endpoint *e = decode(
		META "\"modelName\": \"m\", \"instancePools\": ["
			 "{\"instanceType\": \"a\", \"priority\": 1, \"nodeSelector\": {\"z\": \"1\", \"b\": \"2\"},"
			 "\"tolerations\": [{\"operator\": \"Exists\",   \"key\": \"spot\"}]}]" END);
	const struct endpoint_pool *p = &e->spec.pools[0];
	assert_int_equal(p->n_node_selector, 2);
	assert_string_equal(p->node_selector[0].key, "b");
	assert_string_equal(p->node_selector[1].value, "1");
	assert_string_equal(p->tolerations, "[{\"key\":\"spot\",\"operator\":\"Exists\"}]");
	endpoint_free(e);
}

/* Each message names the field and says what would be right. */
static void what_is_refused(void **state)
{
	(void)state;
#define POOL(members)                                                                                  \
	META "\"modelName\": \"m\", \"instancePools\": [{\"instanceType\": \"a\", \"priority\": 1" members \
		 "}]" END
#define ONE(members) META "\"modelName\": \"m\", \"instanceType\": \"a\"" members END
	static const char *const cases[][2] = {
		{"[", "line 1"},
		{"{}", "metadata.name: '' is not"},
		{"{\"metadata\": {\"name\": \"3-llm\"}, \"spec\": {}}",
	     "metadata.name: '3-llm' is not the name of a Service"},
		{"{\"metadata\": {\"name\": \"a.b\"}, \"spec\": {}}", "metadata.name: 'a.b' is not"},
		{"{\"metadata\": {\"name\": \"a\"}}", "spec.modelName: missing: it must be the name of a Model"},
		{"{\"metadata\": {\"name\": \"a\"}, \"spec\": []}", "spec: must be an object"},
		{META "\"modelName\": \"My_LLM\"" END, "spec.modelName: 'My_LLM' is not the name of a Model"},
		{META "\"modelName\": \"a..b\"" END, "spec.modelName: 'a..b' is not the name of a Model"},
		{META "\"modelName\": \"a.\"" END, "spec.modelName: 'a.' is not the name of a Model"},
		{META "\"modelName\": \"m\"" END, "spec: set exactly one of instanceType and instancePools"},
		{ONE(", \"instancePools\": [{}]"), "spec: set exactly one of instanceType and instancePools"},
		{ONE(", \"instanceCount\": 10001"), "spec.instanceCount: 10001 is not between 0 and 10000"},
		{ONE(", \"instanceCount\": 1.5"), "spec.instanceCount: must be a whole number"},
		{ONE(", \"instanceProvisionTimeoutSeconds\": 3601"),
	     "spec.instanceProvisionTimeoutSeconds: 3601 is not between 0 and 3600"},
		{ONE(", \"capacity\": 1"), "spec.capacity: must be an object"},
		{ONE(", \"capacity\": {\"retryAfterSeconds\": 9}"),
	     "spec.capacity.retryAfterSeconds: 9 is not between 10 and 3600"},
		{ONE(", \"capacity\": {\"retryAfterSeconds\": 1801}"),
	     "spec.capacity.maxRetryAfterSeconds: 1800 is less than retryAfterSeconds, which is 1801"},
		{META "\"modelName\": \"m\", \"instanceType\": \"ml.\"" END,
	     "spec.instanceType: 'ml.' is not an instance type"},
		{META "\"modelName\": \"m\", \"instanceType\": \"a b\"" END,
	     "spec.instanceType: 'a b' is not an instance type"},
		{META "\"modelName\": \"m\", \"instancePools\": []" END,
	     "spec.instancePools: 0 pools: it must have 1 to 16"},
		{META "\"modelName\": \"m\", \"instancePools\": [1]" END, "spec.instancePools[0]: must be an object"},
		{META "\"modelName\": \"m\", \"instancePools\": [{\"priority\": 1}]" END,
	     "spec.instancePools[0].instanceType: missing"},
		{META "\"modelName\": \"m\", \"instancePools\": [{\"instanceType\": \"a\"}]" END,
	     "spec.instancePools[0].priority: missing: it must be a number from 1 (the best)"},
		{META "\"modelName\": \"m\", \"instancePools\": [{\"instanceType\": \"a\", \"priority\": 0}]" END,
	     "spec.instancePools[0].priority: 0 is not between 1 and 1000"},
		{META
	     "\"modelName\": \"m\", \"instancePools\": [{\"instanceType\": \"ml.p5.48xlarge\", \"priority\": 1}, "
	     "{\"instanceType\": \"P5.48xlarge\", \"priority\": 2}]" END,
	     "spec.instancePools: two pools have the name p5-48xlarge"},
		{POOL(", \"name\": \"A\""), "spec.instancePools[0].name: 'A' is not a DNS label"},
		{POOL(", \"modelNameOverride\": \"-\""),
	     "spec.instancePools[0].modelNameOverride: '-' is not the name of a Model"},
		{POOL(", \"maxInstanceCount\": 0"),
	     "spec.instancePools[0].maxInstanceCount: 0 is not between 1 and 10000"},
		{POOL(", \"minInstanceCount\": 3, \"maxInstanceCount\": 2"),
	     "spec.instancePools[0].minInstanceCount: 3 is more than maxInstanceCount, which is 2"},
		{ONE(", \"restartedAt\": \"now\""), "spec.restartedAt: "},
		{ONE(", \"onStartupFailure\": \"Retry\""), "spec.onStartupFailure: 'Retry' is neither Lend nor Hold"},
		{ONE(", \"modelDataDownloadTimeoutSeconds\": 59"),
	     "spec.modelDataDownloadTimeoutSeconds: 59 is not between 60 and 3600"},
		{ONE(", \"containerStartupHealthCheckTimeoutSeconds\": 3601"),
	     "spec.containerStartupHealthCheckTimeoutSeconds: 3601 is not between 60 and 3600"},
		{ONE(", \"capacity\": {\"rebalance\": \"On\"}"),
	     "spec.capacity.rebalance: 'On' is neither Passive nor Active"},
		{POOL(", \"nodeSelector\": {}"), "spec.instancePools[0].nodeSelector: {} would select every node"},
		{POOL(", \"nodeSelector\": {\"gpu\": true}"),
	     "spec.instancePools[0].nodeSelector[gpu]: must be a string"},
		{POOL(", \"tolerations\": [1]"), "spec.instancePools[0].tolerations[0]: must be an object"},
		{POOL(", \"runtimeClassName\": \"N\""),
	     "spec.instancePools[0].runtimeClassName: 'N' is not the name of a RuntimeClass"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct endpoint *e = endpoint_decode(slice_from(cases[i][0]), &err);
		if (e)
			fail_msg("accepted: %s", cases[i][0]);
		assert_int_equal(err.code, ERR_INVALID);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("%s: '%s' is not in '%s'", cases[i][0], cases[i][1], err.message);
	}
}

static void names_of_enums_are_read_back(void **state)
{
	(void)state;
	for (int i = REASON_NONE; i <= REASON_PROVISION_TIMEOUT; i++) {
		enum pool_reason r = REASON_UNKNOWN;
		assert_true(pool_reason_parse(pool_reason_name((enum pool_reason)i), &r));
		assert_int_equal(r, i);
	}
	for (int i = POOL_IDLE; i <= POOL_BACK_OFF; i++) {
		enum pool_state s = POOL_READY;
		assert_true(pool_state_parse(pool_state_name((enum pool_state)i), &s));
		assert_int_equal(s, i);
	}
	enum pool_reason r = REASON_LIMIT;
	enum pool_state s = POOL_WAITING;
	assert_false(pool_reason_parse("stockout", &r));
	assert_false(pool_state_parse(NULL, &s));
	assert_int_equal(r, REASON_LIMIT);
	assert_int_equal(s, POOL_WAITING);
	assert_string_equal(endpoint_phase_name(PHASE_IN_SERVICE), "InService");
	assert_string_equal(endpoint_phase_name(PHASE_FAILED), "Failed");
	assert_string_equal(condition_type_name(COND_MODEL_MISSING), "ModelMissing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(null_is_absent),
		cmocka_unit_test(pools_are_ranked),
		cmocka_unit_test(selector_and_tolerations_do_not_depend_on_the_order_of_keys),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(names_of_enums_are_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
