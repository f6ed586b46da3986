#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/model.h"
#include "base/buf.h"

#define META "{\"metadata\": {\"name\": \"m\", \"uid\": \"u\"}, \"spec\": {"
#define END "}}"
#define POD(members) META "\"template\": {\"spec\": {" members "}}" END

static struct model *decode(const char *json)
{
	struct err err = ERR_INIT;
	struct model *m = model_decode(slice_from(json), &err);
	if (m == NULL)
		fail_msg("%s", err.message);
	return m;
}

static void defaults_and_canonical_text(void **state)
{
	(void)state;
	struct model *m =
		decode(POD(" \"nodeName\" : \"n\", \"containers\": [ {\"name\": \"c\", \"image\": \"i\"} ] "));
	assert_string_equal(m->meta.name, "m");
	assert_int_equal(m->port, 8080);
	assert_string_equal(m->health_path, "/ping");
	assert_string_equal(m->metrics_path, "/metrics");
	assert_string_equal(m->template_json,
	                    "{\"spec\":{\"containers\":[{\"image\":\"i\",\"name\":\"c\"}],\"nodeName\":\"n\"}}");
	assert_int_equal(m->n_resources, 0);
	model_free(m);
}

static void extended_resources(void **state)
{
	(void)state;
	struct model *m = decode(POD(
		"\"containers\": ["
		"{\"resources\": {\"limits\": {\"nvidia.com/gpu\": 4, \"cpu\": \"8\", \"kubernetes.io/batch-cpu\": 1,"
		" \"hugepages-2Mi\": \"1Gi\"}, \"requests\": {\"nvidia.com/gpu\": \"4\"}}},"
		"{\"resources\": {\"limits\": {\"nvidia.com/gpu\": \"3\", \"example.com/fpga\": 0}}},"
		"{\"resources\": {\"requests\": {\"aws.amazon.com/neuron\": \"2\"}}}, {}]"));
	assert_int_equal(m->n_resources, 2);
	assert_string_equal(m->resources[0].key, "aws.amazon.com/neuron");
	assert_int_equal(m->resources[0].value, 2);
	assert_string_equal(m->resources[1].key, "nvidia.com/gpu");
	assert_int_equal(m->resources[1].value, 7);
	model_free(m);
}

#define GPUS(n) "{\"resources\": {\"limits\": {\"nvidia.com/gpu\": " #n "}}"
static void init_containers_count_by_maximum(void **state)
{
	(void)state;
	static const struct {
		const char *pod;
		int64_t gpus;
	} cases[] = {
		{POD("\"containers\": [" GPUS(2) "}], \"initContainers\": [" GPUS(1) "}, " GPUS(1) "}]"), 2},
		{POD("\"containers\": [" GPUS(2) "}], \"initContainers\": [" GPUS(8) "}]"), 8},
		/* A sidecar runs beside the containers and beside the steps after it. */
		{POD("\"containers\": [" GPUS(2) "}], \"initContainers\": [" GPUS(
			 1) ", \"restartPolicy\": \"Always\"}]"),
	     3},
		{POD("\"containers\": [" GPUS(2) "}], \"initContainers\": [" GPUS(
			 1) ", \"restartPolicy\": \"Always\"}, " GPUS(4) "}]"),
	     5},
		{POD("\"containers\": [" GPUS(2) "}], \"initContainers\": [" GPUS(4) "}, " GPUS(
			 1) ", \"restartPolicy\": \"Always\"}]"),
	     4},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model *m = decode(cases[i].pod);
		assert_int_equal(m->n_resources, 1);
		assert_int_equal(m->resources[0].value, cases[i].gpus);
		model_free(m);
	}
}

static void what_is_refused(void **state)
{
	(void)state;
#define SERVER(members) META "\"server\": {" members "}, \"template\": {\"spec\": {\"containers\": [{}]}}" END
	static const char *const cases[][2] = {
		{"{", "line 1"},
		{"{\"spec\": {}}", "metadata.name: missing"},
		{META END, "spec.template.spec.containers: missing: there must be at least one container"},
		{META "\"template\": 1" END, "spec.template: must be an object"},
		{POD("\"containers\": []"), "spec.template.spec.containers: missing"},
		{POD("\"containers\": [1]"), "spec.template.spec.containers[0]: must be an object"},
		{POD("\"containers\": [{}, {\"resources\": {\"limits\": {\"nvidia.com/gpu\": \"x\"}}}]"),
	     "spec.template.spec.containers[1].resources.limits[nvidia.com/gpu]: not a quantity"},
		{POD("\"containers\": [" GPUS(-1) "}]"),
	     "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]: negative"},
		{POD("\"containers\": [" GPUS(true) "}]"),
	     "spec.template.spec.containers[0].resources.limits[nvidia.com/gpu]: not a quantity"},
		{SERVER("\"port\": 0"), "spec.server.port: 0 is not between 1 and 65535"},
		{SERVER("\"port\": \"http\""), "spec.server.port: must be a whole number"},
		{SERVER("\"healthPath\": \"ping\""),
	     "spec.server.healthPath: 'ping' is not a path that starts with '/'"},
		{SERVER("\"metricsPath\": \"\""), "spec.server.metricsPath: '' is not a path"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		if (model_decode(slice_from(cases[i][0]), &err))
			fail_msg("accepted: %s", cases[i][0]);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("%s: '%s' is not in '%s'", cases[i][0], cases[i][1], err.message);
	}
}

static void too_many_kinds_of_resources(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 8192);
	buf_add_str(&b, META "\"template\": {\"spec\": {\"containers\": [{\"resources\": {\"limits\": {");
	for (int i = 0; i < 33; i++)
		buf_addf(&b, "%s\"example.com/r%d\": 1", i > 0 ? "," : "", i);
	buf_add_str(&b, "}}}]}}" END);
	assert_null(model_decode(buf_slice(&b), &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_and_canonical_text),      cmocka_unit_test(extended_resources),
		cmocka_unit_test(init_containers_count_by_maximum), cmocka_unit_test(what_is_refused),
		cmocka_unit_test(too_many_kinds_of_resources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
