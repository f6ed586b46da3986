/* What a scheduler says of one pod and one node, and what a pod asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "base/json.h"
#include "base/yaml.h"
#include "forecast/fit.h"
#include "forecast/objects.h"

static json_t *yaml(const char *text)
{
	struct err err = ERR_INIT;
	json_t *j = yaml_parse(slice_from(text), &err);

	if (!j)
		fail_msg("%s: %s", text, err.message);
	return j;
}

static void check(const char *what, const char *pod_spec, const char *node, enum fit expected)
{
	CLEANUP_JSON json_t *spec = yaml(pod_spec), *n = yaml(node);
	struct err err = ERR_INIT;
	struct forecast_node *view = forecast_node_decode(n, &err);
	enum fit got;

	if (!view)
		fail_msg("%s: %s", what, err.message);
	got = fit_node(spec, view->view);
	forecast_node_free(view);
	if (got != expected)
		fail_msg("%s: %d instead of %d", what, got, expected);
}

#define READY "status: {conditions: [{type: Ready, status: \"True\"}]}"
#define NODE(spec) \
	"{metadata: {name: a, labels: {type: p5, zone: a, cores: \"96\"}}, spec: {" spec "}, " READY "}"
#define TAINTED(effect) NODE("taints: [{key: team, value: x, effect: " effect "}]")
#define TOLERATES(t) "{tolerations: [" t "]}"
#define AFFINITY(terms)                                                           \
	"{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: " \
	"{nodeSelectorTerms: [" terms "]}}}}"
#define TERM(x) "{matchExpressions: [" x "]}"

static void taints(void **state)
{
	(void)state;
	check("no taint", "{}", NODE(""), FIT_YES);
	check("NoSchedule", "{}", TAINTED("NoSchedule"), FIT_TAINT);
	check("NoExecute", "{}", TAINTED("NoExecute"), FIT_TAINT);
	check("PreferNoSchedule", "{}", TAINTED("PreferNoSchedule"), FIT_YES);
	check("equal", TOLERATES("{key: team, value: x}"), TAINTED("NoSchedule"), FIT_YES);
	check("equal, said", TOLERATES("{key: team, operator: Equal, value: x, effect: NoSchedule}"),
	      TAINTED("NoSchedule"), FIT_YES);
	check("another value", TOLERATES("{key: team, value: y}"), TAINTED("NoSchedule"), FIT_TAINT);
	check("another effect", TOLERATES("{key: team, value: x, effect: NoExecute}"), TAINTED("NoSchedule"),
	      FIT_TAINT);
	check("another key", TOLERATES("{key: other, operator: Exists}"), TAINTED("NoSchedule"), FIT_TAINT);
	check("exists", TOLERATES("{key: team, operator: Exists}"), TAINTED("NoSchedule"), FIT_YES);
	check("everything", TOLERATES("{operator: Exists}"), TAINTED("NoExecute"), FIT_YES);
	check("the second", TOLERATES("{key: a}, {key: team, value: x}"), TAINTED("NoSchedule"), FIT_YES);
	check("cordoned", "{}", NODE("unschedulable: true"), FIT_CORDONED);
	check("cordoned, tolerated",
	      TOLERATES("{key: node.kubernetes.io/unschedulable, operator: Exists, effect: NoSchedule}"),
	      NODE("unschedulable: true"), FIT_YES);
	check("a cordon comes before a taint", "{}",
	      NODE("unschedulable: true, taints: [{key: team, effect: NoSchedule}]"), FIT_CORDONED);
	check("not Ready", "{}",
	      "{metadata: {name: a}, status: {conditions: [{type: Ready, status: \"False\"}]}}", FIT_TAINT);
	check("not heard of", "{}", "{metadata: {name: a}}", FIT_TAINT);
	check("not Ready, tolerated", TOLERATES("{operator: Exists}"), "{metadata: {name: a}}", FIT_YES);
	check("a taint comes before the selector", "{nodeSelector: {type: g6}}", TAINTED("NoSchedule"),
	      FIT_TAINT);
}

static void selectors(void **state)
{
	(void)state;
	check("match", "{nodeSelector: {type: p5, zone: a}}", NODE(""), FIT_YES);
	check("another value", "{nodeSelector: {type: p5, zone: b}}", NODE(""), FIT_NO_MATCH);
	check("no such label", "{nodeSelector: {arch: x}}", NODE(""), FIT_NO_MATCH);
	check("In", AFFINITY(TERM("{key: zone, operator: In, values: [b, a]}")), NODE(""), FIT_YES);
	check("not In", AFFINITY(TERM("{key: zone, operator: In, values: [b]}")), NODE(""), FIT_NO_MATCH);
	check("In, no label", AFFINITY(TERM("{key: no, operator: In, values: [b]}")), NODE(""), FIT_NO_MATCH);
	check("NotIn", AFFINITY(TERM("{key: zone, operator: NotIn, values: [b]}")), NODE(""), FIT_YES);
	check("not NotIn", AFFINITY(TERM("{key: zone, operator: NotIn, values: [a]}")), NODE(""), FIT_NO_MATCH);
	check("NotIn, no label", AFFINITY(TERM("{key: x, operator: NotIn, values: [a]}")), NODE(""), FIT_YES);
	check("Exists", AFFINITY(TERM("{key: zone, operator: Exists}")), NODE(""), FIT_YES);
	check("not Exists", AFFINITY(TERM("{key: x, operator: Exists}")), NODE(""), FIT_NO_MATCH);
	check("DoesNotExist", AFFINITY(TERM("{key: x, operator: DoesNotExist}")), NODE(""), FIT_YES);
	check("not DoesNotExist", AFFINITY(TERM("{key: zone, operator: DoesNotExist}")), NODE(""), FIT_NO_MATCH);
	check("Gt", AFFINITY(TERM("{key: cores, operator: Gt, values: [\"95\"]}")), NODE(""), FIT_YES);
	check("not Gt", AFFINITY(TERM("{key: cores, operator: Gt, values: [\"96\"]}")), NODE(""), FIT_NO_MATCH);
	check("Lt", AFFINITY(TERM("{key: cores, operator: Lt, values: [\"97\"]}")), NODE(""), FIT_YES);
	check("not Lt", AFFINITY(TERM("{key: cores, operator: Lt, values: [\"96\"]}")), NODE(""), FIT_NO_MATCH);
	check("no number", AFFINITY(TERM("{key: zone, operator: Gt, values: [\"1\"]}")), NODE(""), FIT_NO_MATCH);
	check("all of a term", AFFINITY(TERM("{key: zone, operator: Exists}, {key: x, operator: Exists}")),
	      NODE(""), FIT_NO_MATCH);
	check("one of the terms",
	      AFFINITY(TERM("{key: x, operator: Exists}") ", " TERM("{key: zone, operator: Exists}")), NODE(""),
	      FIT_YES);
	check("an empty term matches none", AFFINITY("{}"), NODE(""), FIT_NO_MATCH);
	check("by name", AFFINITY("{matchFields: [{key: metadata.name, operator: In, values: [a]}]}"), NODE(""),
	      FIT_YES);
	check("by another name", AFFINITY("{matchFields: [{key: metadata.name, operator: In, values: [b]}]}"),
	      NODE(""), FIT_NO_MATCH);
	check("preferred is not required",
	      "{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}}}", NODE(""),
	      FIT_YES);
}

static void check_requests(const char *what, const char *pod_spec, int64_t cpu, int64_t memory, int64_t gpus)
{
	CLEANUP_JSON json_t *spec = yaml(pod_spec);
	CLEANUP_ARENA struct arena a;
	struct forecast_amounts r;
	struct err err = ERR_INIT;

	arena_init(&a);
	if (forecast_requests(spec, &a, &r, &err) < 0)
		fail_msg("%s: %s", what, err.message);
	if (forecast_amount_of(&r, "cpu") != cpu || forecast_amount_of(&r, "memory") != memory * 1000 ||
	    forecast_amount_of(&r, "nvidia.com/gpu") != gpus * 1000)
		fail_msg("%s: %lld, %lld, %lld", what, (long long)forecast_amount_of(&r, "cpu"),
		         (long long)forecast_amount_of(&r, "memory"),
		         (long long)forecast_amount_of(&r, "nvidia.com/gpu"));
}

static void requests(void **state)
{
	(void)state;
	check_requests("nothing", "{containers: [{name: a}]}", 0, 0, 0);
	check_requests("containers together",
	               "{containers: [{resources: {requests: {cpu: 500m, memory: 1Ki}}}, "
	               "{resources: {requests: {cpu: 1.5, nvidia.com/gpu: \"2\"}}}]}",
	               2000, 1024, 2);
	check_requests("a limit is a request",
	               "{containers: [{resources: {limits: {cpu: 2, memory: 10}, requests: {cpu: 1}}}]}", 1000,
	               10, 0);
	check_requests(
		"the greediest init container",
		"{initContainers: [{resources: {requests: {cpu: 3}}}, {resources: {requests: {memory: 7}}}], "
		"containers: [{resources: {requests: {cpu: 2, memory: 5}}}]}",
		3000, 7, 0);
	check_requests("a sidecar stays",
	               "{initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 1}}}, "
	               "{resources: {requests: {cpu: 3}}}], containers: [{resources: {requests: {cpu: 2}}}]}",
	               4000, 0, 0);
	check_requests("the overhead", "{overhead: {cpu: 250m}, containers: [{resources: {requests: {cpu: 2}}}]}",
	               2250, 0, 0);
	check_requests("the pod as a whole",
	               "{resources: {requests: {cpu: 5}}, containers: [{resources: {requests: {cpu: 2, memory: "
	               "3}}}]}",
	               5000, 3, 0);
}

static void refused(void **state)
{
	static const struct {
		const char *yaml, *message;
	} cases[] = {
		{"[]", "must be a map, such as {type: p5.48xlarge, count: 4, gpus: 8}"},
		{"{count: 1}", "type: missing: it must be an instance type, such as p5.48xlarge"},
		{"{type: [p5]}", "type: must be an instance type, such as p5.48xlarge"},
		{"{type: p5, count: -1}", "count: -1 is not a number between 0 and 10000"},
		{"{type: p5, gpus: \"8\"}", "gpus: \"8\" is not a number between 0 and 10000"},
		{"{type: p5, taints: x}", "taints: must be a list"},
		{"{type: p5, unschedulable: 1}", "unschedulable: must be true or false"},
		{"{type: p5, allocatable: []}", "allocatable: must be a map"},
	};
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *pod = yaml("{metadata: {name: a}, spec: {containers: [{resources: {requests: {cpu: "
	                                "[]}}}]}}");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_JSON json_t *entry = yaml(cases[i].yaml);

		assert_null(forecast_nodes_in_short(entry, &err));
		assert_string_equal(err.message, cases[i].message);
	}
	assert_null(forecast_pod_decode(pod, &err));
	assert_string_equal(err.message,
	                    "spec.containers[0].resources.requests.cpu: must be a quantity, such as 8 "
	                    "or \"64Gi\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taints),
		cmocka_unit_test(selectors),
		cmocka_unit_test(requests),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
