#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/str.h"
#include "operator/trouble.h"

static const struct kube_resource pods = {"", "v1", "pods", "Pod", true};
static const struct kube_resource nodes = {"", "v1", "nodes", "Node", false};
static const struct kube_resource models = {"inference.instancepool.dev", "v1alpha1", "models", "Model",
                                            true};

#define FORBIDDEN(verb, name, ns)                             \
	"pods \"" name "\" is forbidden: User \"u\" cannot " verb \
	" resource \"pods\" in API group \"\" in the namespace \"" ns "\""

static struct err http(int status, const char *message)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_HTTP, "%s", message);
	err.http_status = status;
	return err;
}

static struct err away(enum err_code code, const char *message)
{
	struct err err = ERR_INIT;
	err_set(&err, code, "%s", message);
	return err;
}

/* Seconds since the start. */
static bool is_news(struct trouble *t, const char *source, struct err err, double at_s)
{
	int64_t lasted_ms;
	return trouble_note(t, source, &err, (struct mono){1000000 + (int64_t)(at_s * 1000)}, &lasted_ms);
}

static int64_t ended(struct trouble *t, const char *source, double at_s)
{
	int64_t lasted_ms;
	bool news = trouble_end(t, source, (struct mono){1000000 + (int64_t)(at_s * 1000)}, &lasted_ms);
	return news ? lasted_ms : -1;
}

static void a_cause_is_told_once_a_minute(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	struct err refused = away(ERR_CONNECT, "GET https://h:6443/api/v1/pods: connection refused");
	struct err same = away(ERR_CONNECT, "GET https://h:6443/apis/apps/v1/deployments: connection refused");
	struct err other = away(ERR_CONNECT, "GET https://h:6443/api/v1/pods: could not resolve host: h");
	assert_true(is_news(t, "", refused, 0));
	assert_false(is_news(t, "", same, 0));
	assert_false(is_news(t, "", same, 30));
	assert_true(is_news(t, "", other, 31));
	assert_false(is_news(t, "", refused, 59.9));
	assert_true(is_news(t, "", same, 60));
	assert_false(is_news(t, "", refused, 119));
	assert_true(is_news(t, "", refused, 121));
	/* Both end, told once with the time of the longer one. */
	assert_int_equal(ended(t, "pods", 122), -1);
	assert_int_equal(ended(t, "", 122), 122000);
	assert_int_equal(ended(t, "", 122), -1);
	/* One that comes and goes fills no log: it is told again after a minute, and then its end is. */
	assert_false(is_news(t, "", refused, 123));
	assert_int_equal(ended(t, "", 124), -1);
	assert_false(is_news(t, "", refused, 125));
	assert_true(is_news(t, "", refused, 182));
	assert_int_equal(ended(t, "", 183), 58000);
	/* One that comes after a time without is another. */
	assert_true(is_news(t, "", refused, 193));
	trouble_free(t);
}

/* A server that has just started refuses for a moment what it grants later. */
static void what_passes_is_not_told(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	struct err passing[] = {http(403, FORBIDDEN("watch", "p", "ns")),
	                        http(429, "storage is (re)initializing"), http(503, "no"),
	                        away(ERR_TRANSPORT, "GET https://h/: connection reset")};
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		double start_s = 100.0 * (double)i;
		assert_false(is_news(t, "pods", passing[i], start_s));
		assert_false(is_news(t, "pods", passing[i], start_s + 1.9));
		assert_int_equal(ended(t, "pods", start_s + 2), -1);
		assert_false(is_news(t, "pods", passing[i], start_s + 3));
		assert_true(is_news(t, "pods", passing[i], start_s + 5));
		assert_int_equal(ended(t, "pods", start_s + 10), 7000);
	}
	assert_true(is_news(t, "pods", http(404, "no"), 1000));
	assert_true(is_news(t, "our events", http(403, FORBIDDEN("create", "e", "ns")), 1000));
	trouble_free(t);
}

static void a_missing_right_is_one_cause(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	assert_false(is_news(t, "writes", http(403, FORBIDDEN("patch", "a", "ns")), 0));
	assert_true(is_news(t, "writes", http(403, FORBIDDEN("patch", "b", "ns2")), 2));
	assert_false(is_news(t, "writes", http(403, FORBIDDEN("patch", "c", "ns3")), 3));
	/* Another verb is another. */
	assert_false(is_news(t, "writes", http(403, FORBIDDEN("create", "c", "ns3")), 4));
	assert_true(is_news(t, "writes", http(403, FORBIDDEN("create", "c", "ns3")), 6));
	trouble_free(t);
}

static void causes_of_one_kind_are_told_apart(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	assert_true(is_news(
		t, "", http(401, "the client certificate k expired at 2025-11-01T00:00:00Z: Unauthorized"), 0));
	assert_false(is_news(
		t, "", http(401, "the client certificate k expired at 2025-11-02T00:00:00Z: Unauthorized"), 1));
	assert_true(is_news(t, "", http(401, "the server does not accept the token in k: Unauthorized"), 2));
	trouble_free(t);
}

/* However many there are, the oldest are forgotten and no more than that. */
static void memory_is_bounded(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	for (int i = 0; i < 1000; i++) {
		char source[16];
		str_format(source, sizeof(source), "s%d", i);
		assert_true(is_news(t, source, http(404, "no"), 0.001 * i));
	}
	assert_false(is_news(t, "s999", http(404, "no"), 2));
	assert_true(is_news(t, "s0", http(404, "no"), 2));
	trouble_free(t);
	trouble_free(NULL);
}

/* Each in a namespace of its own: what lasts is told of all. */
static void many_watches_are_refused(void **state)
{
	(void)state;
	struct trouble *t = trouble_new();
	int told = 0;
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < 300; i++) {
			char source[16];
			str_format(source, sizeof(source), "pods/n%d", i);
			told += is_news(t, source, http(403, "no"), round + 0.001 * i);
		}
	assert_int_equal(told, 300);
	trouble_free(t);
}

static void sources(void **state)
{
	(void)state;
	const struct {
		struct err err;
		const char *source;
	} cases[] = {
		{away(ERR_CONNECT, "x"), ""},   {away(ERR_TRANSPORT, "x"), ""}, {away(ERR_TIMEOUT, "x"), ""},
		{away(ERR_IO, "x"), ""},        {http(401, "x"), ""},           {http(429, "x"), ""},
		{http(500, "x"), ""},           {http(503, "x"), ""},           {http(403, "x"), "pods"},
		{http(404, "x"), "pods"},       {http(400, "x"), "pods"},       {away(ERR_INVALID, "x"), "pods"},
		{away(ERR_LIMIT, "x"), "pods"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(trouble_source(&pods, &cases[i].err), cases[i].source);
}

static void hints(void **state)
{
	(void)state;
	char hint[TROUBLE_HINT_SIZE];
	struct err forbidden = http(403, FORBIDDEN("watch", "p", "ns")), missing = http(404, "x");
	struct err quota = http(403, "pods \"p\" is forbidden: exceeded quota");
	trouble_hint(&pods, &forbidden, hint);
	assert_string_equal(hint, "grant this right to the operator's account: "
	                          "see deploy/rbac.yaml, or upgrade the Helm release");
	trouble_hint(&nodes, &forbidden, hint);
	assert_string_equal(
		hint, "grant this right to the operator's account: "
			  "see deploy/rbac.yaml, or upgrade the Helm release, or do without: --watch-nodes=false");
	trouble_hint(&models, &missing, hint);
	assert_string_equal(hint, "CustomResourceDefinition models.inference.instancepool.dev is not installed: "
	                          "kubectl apply -f crds/");
	trouble_hint(&pods, &missing, hint);
	assert_string_equal(hint, "");
	trouble_hint(&pods, &quota, hint);
	assert_string_equal(hint, "");
	assert_true(trouble_is_right(&forbidden));
	assert_false(trouble_is_right(&quota));
	forbidden.http_status = 422; /* the words of a webhook */
	assert_false(trouble_is_right(&forbidden));
}

static void an_older_schema(void **state)
{
	(void)state;
	struct err err = {.code = ERR_HTTP, .http_status = 500};
	assert_false(trouble_is_schema(&err));
	str_copy(err.message, sizeof(err.message),
	         "failed to create typed patch object (ns/llm; inference.instancepool.dev/v1alpha1, "
	         "Kind=InstancePoolEndpoint): .status.since: field not declared in schema");
	assert_true(trouble_is_schema(&err));
	err.http_status = 422;
	assert_false(trouble_is_schema(&err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cause_is_told_once_a_minute),
		cmocka_unit_test(what_passes_is_not_told),
		cmocka_unit_test(a_missing_right_is_one_cause),
		cmocka_unit_test(causes_of_one_kind_are_told_apart),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(many_watches_are_refused),
		cmocka_unit_test(sources),
		cmocka_unit_test(hints),
		cmocka_unit_test(an_older_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
