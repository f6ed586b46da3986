#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/workload.h"
#include "base/json.h"

#define ENDPOINT(pools)                                                                         \
	"{\"metadata\": {\"name\": \"llm\", \"namespace\": \"ns\", \"uid\": \"e-uid\"}, \"spec\": " \
	"{\"modelName\": "                                                                          \
	"\"m\", \"instancePools\": [" pools "]}}"
#define PLAIN_POOL "{\"instanceType\": \"ml.p5.48xlarge\", \"priority\": 1}"
#define MODEL(template) "{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"template\": " template "}}"
#define PLAIN_TEMPLATE "{\"spec\": {\"containers\": [{\"name\": \"server\", \"image\": \"example/llm:1\"}]}}"

struct fixture {
	struct endpoint *e;
	struct model *m;
};

static struct fixture setup(const char *endpoint, const char *model)
{
	struct err err = ERR_INIT;
	struct fixture f = {endpoint_decode(slice_from(endpoint), &err), NULL};
	if (f.e)
		f.m = model_decode(slice_from(model), &err);
	if (f.m == NULL)
		fail_msg("%s", err.message);
	return f;
}

static void done(struct fixture f)
{
	endpoint_free(f.e);
	model_free(f.m);
}

static void check_revision(const char *endpoint, const char *model, const char *want)
{
	char revision[REVISION_SIZE];
	struct fixture f = setup(endpoint, model);
	pool_revision(f.e, &f.e->spec.pools[0], f.m, revision);
	assert_string_equal(revision, want);
	done(f);
}

/* Never change these: a changed revision restarts every instance of every user. */
static void revisions_are_for_ever(void **state)
{
	(void)state;
	check_revision(ENDPOINT(PLAIN_POOL), MODEL(PLAIN_TEMPLATE), "26dvkmhfhm");
	check_revision(ENDPOINT("{\"instanceType\": \"g6.48xlarge\", \"priority\": 2}"), MODEL(PLAIN_TEMPLATE),
	               "mzkwptzf9g");
	check_revision(
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"nodeSelector\": {\"a\": \"b\", "
	             "\"c\": \"d\"}, \"tolerations\": [{\"key\": \"spot\"}], \"runtimeClassName\": \"nvidia\"}"),
		"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"port\": 8000, \"healthPath\": "
		"\"/health\"}, "
		"\"template\": " PLAIN_TEMPLATE "}}",
		"65hgkrbwc7");
}

/* All that does not enter the pods. */
static void what_is_not_in_the_revision(void **state)
{
	(void)state;
	check_revision(
		ENDPOINT("{\"priority\": 7, \"name\": \"x\", \"maxInstanceCount\": 3, \"modelNameOverride\": \"n\", "
	             "\"instanceType\": \"p5.48xlarge\", \"tolerations\": []}"),
		"{\"metadata\": {\"name\": \"other\"}, \"spec\": { \"server\": {\"metricsPath\": \"/m\", \"port\": "
		"8080},"
		"\"template\" : {\"spec\": {\"containers\": [{ \"image\" : \"example/llm:1\", "
		"\"name\":\"server\"}]}}}}",
		"26dvkmhfhm");
	check_revision(
		"{\"metadata\": {\"name\": \"llm2\"}, \"spec\": {\"modelName\": \"m\", \"instanceCount\": 4, "
		"\"instanceType\": \"p5.48xlarge\", \"capacity\": {\"retryAfterSeconds\": 20}}}",
		MODEL(PLAIN_TEMPLATE), "26dvkmhfhm");
	check_revision(
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"nodeSelector\": {\"c\": \"d\", "
	             "\"a\": \"b\"}, \"tolerations\": [ {\"key\":\"spot\"} ], \"runtimeClassName\": \"nvidia\"}"),
		"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"healthPath\": \"/health\", \"port\": "
		"8000}, "
		"\"template\": " PLAIN_TEMPLATE "}}",
		"65hgkrbwc7");
}

static void what_is_in_the_revision(void **state)
{
	(void)state;
	static const char *const endpoints[] = {
		ENDPOINT(PLAIN_POOL),
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"nodeSelector\": {\"a\": \"b\"}}"),
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"nodeSelector\": {\"a\": \"c\"}}"),
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"tolerations\": [{\"key\": \"a\"}]}"),
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"runtimeClassName\": \"a\"}"),
		"{\"metadata\": {\"name\": \"llm\"}, \"spec\": {\"modelName\": \"m\", \"instanceType\": "
		"\"p5.48xlarge\", "
		"\"restartedAt\": \"2026-11-25T17:00:00Z\"}}",
	};
	static const char *const models[] = {
		MODEL(PLAIN_TEMPLATE),
		MODEL("{\"spec\": {\"containers\": [{\"name\": \"server\", \"image\": \"example/llm:2\"}]}}"),
		"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"port\": 8000}, "
		"\"template\": " PLAIN_TEMPLATE "}}",
		"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"healthPath\": \"/h\"}, "
		"\"template\": " PLAIN_TEMPLATE "}}",
	};
	enum { N = ARRAY_LEN(endpoints) * ARRAY_LEN(models) };
	char revisions[N][REVISION_SIZE];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		for (size_t j = 0; j < ARRAY_LEN(models); j++) {
			struct fixture f = setup(endpoints[i], models[j]);
			pool_revision(f.e, &f.e->spec.pools[0], f.m, revisions[n]);
			for (size_t k = 0; k < n; k++)
				assert_string_not_equal(revisions[k], revisions[n]);
			n++;
			done(f);
		}
	}
}

static json_t *render(const char *endpoint, const char *model, int32_t replicas)
{
	struct err err = ERR_INIT;
	struct fixture f = setup(endpoint, model);
	json_t *d = workload_deployment(f.e, &f.e->spec.pools[0], f.m, "bcdfghjklm", replicas, &err);
	if (d == NULL)
		fail_msg("%s", err.message);
	done(f);
	return d;
}

static void assert_json(const json_t *got, const char *want)
{
	CLEANUP_FREE char *text = json_compact(got);
	assert_string_equal(text, want);
}

#define PROTECTION                                                  \
	"\"karpenter.sh/do-not-disrupt\":\"true\","                     \
	"\"cluster-autoscaler.kubernetes.io/safe-to-evict\":\"false\"," \
	"\"inference.instancepool.dev/protected-until-ready\":\"true\""

static void the_whole_deployment(void **state)
{
	(void)state;
#define LABELS                                                                                             \
	"\"inference.instancepool.dev/endpoint\":\"llm\",\"inference.instancepool.dev/pool\":\"p5-48xlarge\"," \
	"\"inference.instancepool.dev/instance-type\":\"p5.48xlarge\",\"inference.instancepool.dev/"           \
	"revision\":\"bcdfghjklm\","                                                                           \
	"\"inference.instancepool.dev/track\":\"blue\""
	CLEANUP_JSON json_t *d = render(ENDPOINT(PLAIN_POOL), MODEL(PLAIN_TEMPLATE), 3);
	assert_json(
		d,
		"{\"apiVersion\":\"apps/"
		"v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"llm-p5-48xlarge-bcdfghjklm\","
		"\"namespace\":\"ns\",\"labels\":{" LABELS "},\"ownerReferences\":[{\"apiVersion\":"
		"\"inference.instancepool.dev/"
		"v1alpha1\",\"kind\":\"InstancePoolEndpoint\",\"name\":\"llm\",\"uid\":\"e-uid\","
		"\"controller\":true,\"blockOwnerDeletion\":false}]},\"spec\":{\"replicas\":3,"
		"\"revisionHistoryLimit\":1,"
		"\"selector\":{\"matchLabels\":{\"inference.instancepool.dev/endpoint\":\"llm\","
		"\"inference.instancepool.dev/pool\":\"p5-48xlarge\",\"inference.instancepool.dev/"
		"revision\":\"bcdfghjklm\"}},"
		"\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":0,\"maxUnavailable\":1}},"
		"\"template\":{\"spec\":{\"containers\":[{\"image\":\"example/"
		"llm:1\",\"name\":\"server\",\"readinessProbe\":"
		"{\"httpGet\":{\"path\":\"/ping\",\"port\":8080}},"
		"\"ports\":[{\"name\":\"instancepool\",\"containerPort\":8080,\"protocol\":\"TCP\"}]}],"
		"\"nodeSelector\":{\"node.kubernetes.io/"
		"instance-type\":"
		"\"p5.48xlarge\"},\"tolerations\":[{\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\",\"effect\":"
		"\"NoSchedule\"}]},\"metadata\":{\"labels\":{" LABELS "},\"annotations\":{" PROTECTION "}}}}}");
}

static void the_users_template_is_kept(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *d = render(
		ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"nodeSelector\": {\"zone\": \"a\", "
	             "\"type\": \"p5\"}, "
	             "\"tolerations\": [{\"key\": \"spot\"}], \"runtimeClassName\": \"nvidia\"}"),
		MODEL("{\"metadata\": {\"labels\": {\"app\": \"x\", \"inference.instancepool.dev/pool\": \"mine\"}, "
	          "\"annotations\": {\"a\": \"b\"}}, \"spec\": {\"nodeSelector\": {\"zone\": \"b\", \"disk\": "
	          "\"ssd\"}, "
	          "\"runtimeClassName\": \"runc\", \"tolerations\": [{\"key\": \"team\"}], \"containers\": "
	          "[{\"name\": \"a\", "
	          "\"readinessProbe\": {\"exec\": {}}}, {\"name\": \"b\"}]}}"),
		0);
	const json_t *template = json_at(d, "spec", "template", NULL);
	const json_t *labels = json_at(template, "metadata", "labels", NULL);
	assert_string_equal(json_string_value(json_at(labels, "app", NULL)), "x");
	assert_string_equal(json_string_value(json_at(labels, LABEL_POOL, NULL)), "p5-48xlarge");
	assert_json(json_at(template, "metadata", "annotations", NULL), "{\"a\":\"b\"," PROTECTION "}");
	assert_json(json_at(template, "spec", "nodeSelector", NULL),
	            "{\"disk\":\"ssd\",\"zone\":\"a\",\"type\":\"p5\"}");
	assert_json(
		json_at(template, "spec", "tolerations", NULL),
		"[{\"key\":\"team\"},{\"key\":\"nvidia.com/gpu\",\"operator\":\"Exists\",\"effect\":\"NoSchedule\"},"
		"{\"key\":\"spot\"}]");
	assert_json(json_at(template, "spec", "runtimeClassName", NULL), "\"nvidia\"");
	assert_json(json_at(template, "spec", "containers", NULL),
	            "[{\"name\":\"a\",\"readinessProbe\":{\"exec\":{}},\"ports\":[{\"name\":\"instancepool\","
	            "\"containerPort\":8080,\"protocol\":\"TCP\"}]},{\"name\":\"b\"}]");
	assert_int_equal(json_integer_value(json_at(d, "spec", "replicas", NULL)), 0);
}

static void a_protection_of_the_users_own_stays(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *d =
		render(ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1}"),
	           MODEL("{\"metadata\": {\"annotations\": {\"karpenter.sh/do-not-disrupt\": "
	                 "\"true\"}}, \"spec\": {\"containers\": [{\"name\": \"a\"}]}}"),
	           0);
	assert_json(json_at(d, "spec", "template", "metadata", "annotations", NULL),
	            "{\"karpenter.sh/do-not-disrupt\":\"true\"}");
}

static void the_gpu_taint_is_tolerated_once(void **state)
{
	(void)state;
	static const struct {
		const char *toleration;
		bool covers;
	} cases[] = {
		{"{\"operator\": \"Exists\"}", true},
		{"{\"key\": \"nvidia.com/gpu\", \"operator\": \"Exists\"}", true},
		{"{\"key\": \"nvidia.com/gpu\", \"operator\": \"Exists\", \"effect\": \"NoSchedule\"}", true},
		{"{\"key\": \"nvidia.com/gpu\", \"operator\": \"Exists\", \"effect\": \"NoExecute\"}", false},
		{"{\"key\": \"nvidia.com/gpu\", \"operator\": \"Equal\", \"value\": \"true\"}", false},
		{"{\"key\": \"other\", \"operator\": \"Exists\"}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_FREE char *in_pool =
			xasprintf(ENDPOINT("{\"instanceType\": \"p5.48xlarge\", \"priority\": 1, \"tolerations\": [%s]}"),
		              cases[i].toleration);
		CLEANUP_FREE char *in_model = xasprintf(
			MODEL("{\"spec\": {\"containers\": [{}], \"tolerations\": [%s]}}"), cases[i].toleration);
		CLEANUP_JSON json_t *a = render(in_pool, MODEL(PLAIN_TEMPLATE), 1);
		CLEANUP_JSON json_t *b = render(ENDPOINT(PLAIN_POOL), in_model, 1);
		size_t want = cases[i].covers ? 1 : 2;
		assert_int_equal(json_array_size(json_at(a, "spec", "template", "spec", "tolerations", NULL)), want);
		assert_int_equal(json_array_size(json_at(b, "spec", "template", "spec", "tolerations", NULL)), want);
	}
}

static void templates_that_cannot_be_used(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{MODEL("{\"metadata\": 1, \"spec\": {\"containers\": [{}]}}"), "Model m: spec.template: metadata"},
		{MODEL("{\"metadata\": {\"labels\": []}, \"spec\": {\"containers\": [{}]}}"),
	     "Model m: spec.template: metadata"},
		{MODEL("{\"spec\": {\"containers\": [{}], \"nodeSelector\": \"x\"}}"),
	     "spec.nodeSelector: must be an object"},
		{MODEL("{\"spec\": {\"containers\": [{}], \"tolerations\": {}}}"),
	     "spec.tolerations: must be an array"},
		{MODEL("{\"spec\": {\"containers\": [{\"ports\": {}}]}}"), "ports: must be an array"},
		{MODEL("{\"spec\": {\"containers\": [{\"ports\": [{\"name\": \"instancepool\", \"containerPort\": "
	           "1}]}]}}"),
	     "ports[0].name: \"instancepool\" is for the port of spec.server.port (8080)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct fixture f = setup(ENDPOINT(PLAIN_POOL), cases[i][0]);
		assert_null(workload_deployment(f.e, &f.e->spec.pools[0], f.m, "r", 1, &err));
		if (!strstr(err.message, cases[i][1]))
			fail_msg("'%s' is not in '%s'", cases[i][1], err.message);
		done(f);
	}
}

/* Ours beside the user's, or on it. */
static void the_servers_port(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"[{\"containerPort\": 9000}]",
	     "[{\"containerPort\":9000},{\"name\":\"instancepool\",\"containerPort\":"
	     "8080,\"protocol\":\"TCP\"}]"},
		{"[{\"containerPort\": 8080}]", "[{\"containerPort\":8080,\"name\":\"instancepool\"}]"},
		{"[{\"name\": \"instancepool\", \"containerPort\": 8080, \"protocol\": \"TCP\"}]",
	     "[{\"containerPort\":8080,\"name\":\"instancepool\",\"protocol\":\"TCP\"}]"},
		{"[{\"name\": \"web\", \"containerPort\": 8080}]",
	     "[{\"containerPort\":8080,\"name\":\"web\"},{\"name\":\"instancepool\",\"containerPort\":8080,"
	     "\"protocol\":\"TCP\"}]"},
		{"[{\"containerPort\": 8080, \"protocol\": \"UDP\"}]",
	     "[{\"containerPort\":8080,\"protocol\":\"UDP\"},{\"name\":\"instancepool\",\"containerPort\":8080,"
	     "\"protocol\":\"TCP\"}]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_FREE char *model = xasprintf(
			"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"template\": {\"spec\": {\"containers\": "
			"[{\"name\": \"server\", \"image\": \"i\", \"ports\": %s}]}}}}",
			cases[i][0]);
		CLEANUP_JSON json_t *d = render(ENDPOINT(PLAIN_POOL), model, 1);
		assert_json(json_at(json_array_get(json_at(d, "spec", "template", "spec", "containers", NULL), 0),
		                    "ports", NULL),
		            cases[i][1]);
	}
}

static void the_service(void **state)
{
	(void)state;
	struct fixture f = setup(ENDPOINT(PLAIN_POOL),
	                         "{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"port\": 8000}, "
	                         "\"template\": " PLAIN_TEMPLATE "}}");
	CLEANUP_JSON json_t *s = workload_service(f.e);
	assert_json(
		s,
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"llm\",\"namespace\":\"ns\","
		"\"labels\":{\"inference.instancepool.dev/endpoint\":\"llm\"},\"ownerReferences\":[{\"apiVersion\":"
		"\"inference.instancepool.dev/v1alpha1\",\"kind\":\"InstancePoolEndpoint\",\"name\":\"llm\",\"uid\":"
		"\"e-uid\",\"controller\":true,\"blockOwnerDeletion\":false}]},\"spec\":{\"selector\":"
		"{\"inference.instancepool.dev/endpoint\":\"llm\",\"inference.instancepool.dev/track\":\"blue\"},"
		"\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":\"instancepool\"}]}}");
	done(f);
}

static void a_pod_for_a_dry_run(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *d = render(ENDPOINT(PLAIN_POOL),
	                                MODEL("{\"metadata\": {\"annotations\": {\"a\": \"b\"}}, \"spec\": "
	                                      "{\"containers\": [{\"name\": \"server\"}]}}"),
	                                3);
	CLEANUP_JSON json_t *p = workload_trial_pod(d);
	const json_t *template = json_at(d, "spec", "template", NULL);
	assert_string_equal(json_string_value(json_at(p, "apiVersion", NULL)), "v1");
	assert_string_equal(json_string_value(json_at(p, "kind", NULL)), "Pod");
	assert_true(json_equal(json_at(p, "spec", NULL), json_at(template, "spec", NULL)));
	assert_true(
		json_equal(json_at(p, "metadata", "labels", NULL), json_at(template, "metadata", "labels", NULL)));
	assert_json(json_at(p, "metadata", "annotations", NULL), "{\"a\":\"b\"," PROTECTION "}");
	assert_string_equal(json_string_value(json_at(p, "metadata", "name", NULL)),
	                    "llm-p5-48xlarge-bcdfghjklm");
	assert_string_equal(json_string_value(json_at(p, "metadata", "namespace", NULL)), "ns");
	assert_true(json_equal(json_at(p, "metadata", "ownerReferences", NULL),
	                       json_at(d, "metadata", "ownerReferences", NULL)));
	/* The template is not touched. */
	assert_null(json_at(template, "metadata", "name", NULL));
}

static void the_budget(void **state)
{
	(void)state;
	struct fixture f = setup(ENDPOINT(PLAIN_POOL), MODEL(PLAIN_TEMPLATE));
	CLEANUP_JSON json_t *b = workload_budget(f.e);
	assert_json(
		b, "{\"apiVersion\":\"policy/v1\",\"kind\":\"PodDisruptionBudget\",\"metadata\":{\"name\":\"llm\","
		   "\"namespace\":\"ns\",\"labels\":{\"inference.instancepool.dev/endpoint\":\"llm\"},"
		   "\"ownerReferences\":[{\"apiVersion\":\"inference.instancepool.dev/v1alpha1\",\"kind\":"
		   "\"InstancePoolEndpoint\",\"name\":\"llm\",\"uid\":\"e-uid\",\"controller\":true,"
		   "\"blockOwnerDeletion\":false}]},\"spec\":{\"maxUnavailable\":1,\"selector\":{\"matchLabels\":"
		   "{\"inference.instancepool.dev/"
		   "endpoint\":\"llm\"}},\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}}");
	done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revisions_are_for_ever),
		cmocka_unit_test(what_is_not_in_the_revision),
		cmocka_unit_test(what_is_in_the_revision),
		cmocka_unit_test(the_whole_deployment),
		cmocka_unit_test(the_users_template_is_kept),
		cmocka_unit_test(a_protection_of_the_users_own_stays),
		cmocka_unit_test(the_gpu_taint_is_tolerated_once),
		cmocka_unit_test(templates_that_cannot_be_used),
		cmocka_unit_test(the_servers_port),
		cmocka_unit_test(the_service),
		cmocka_unit_test(the_budget),
		cmocka_unit_test(a_pod_for_a_dry_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
