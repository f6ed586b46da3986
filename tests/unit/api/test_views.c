#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/names.h"
#include "api/views.h"
#include "base/file.h"
#include "base/json.h"

#define L "\"inference.instancepool.dev/"

static void *must(void *view, const struct err *err)
{
	if (view == NULL)
		fail_msg("%s", err->message);
	return view;
}

static struct pod *pod_of(const char *json)
{
	struct err err = ERR_INIT;
	return must(pod_decode(slice_from(json), &err), &err);
}

static struct deployment *deployment_of(const char *json)
{
	struct err err = ERR_INIT;
	return must(deployment_decode(slice_from(json), &err), &err);
}

static struct node *node_of(const char *json)
{
	struct err err = ERR_INIT;
	return must(node_decode(slice_from(json), &err), &err);
}

static void a_ready_pod(void **state)
{
	(void)state;
	struct pod *p = pod_of(
		"{\"metadata\": {\"name\": \"p\", \"namespace\": \"ns\", \"uid\": \"u\", \"resourceVersion\": \"12\","
		" \"creationTimestamp\": \"2026-11-25T17:00:00Z\", \"labels\": {" L "endpoint\": \"llm\", " L
		"pool\": \"p5\", " L "revision\": \"r\", \"other\": \"x\"}, \"ownerReferences\": [{\"uid\": \"no\"}, "
		"{\"uid\": \"rs\", \"controller\": true}]},"
		" \"spec\": {\"nodeName\": \"n1\", \"terminationGracePeriodSeconds\": 0, \"containers\": [{\"name\": "
		"\"c\"}]},"
		" \"status\": {\"phase\": \"Running\", \"conditions\": ["
		"{\"type\": \"PodScheduled\", \"status\": \"True\", \"lastTransitionTime\": "
		"\"2026-11-25T17:00:05Z\"},"
		"{\"type\": \"Ready\", \"status\": \"True\", \"lastTransitionTime\": \"2026-11-25T17:01:00Z\"}]}}");
	assert_string_equal(p->meta.name, "p");
	assert_string_equal(p->meta.owner_uid, "rs");
	assert_string_equal(p->endpoint, "llm");
	assert_string_equal(p->pool, "p5");
	assert_string_equal(p->revision, "r");
	assert_string_equal(p->node_name, "n1");
	assert_null(p->nominated_node_name);
	assert_int_equal(p->grace_period_s, 0);
	assert_int_equal(p->scheduled, TRI_TRUE);
	assert_null(p->scheduled_reason);
	assert_int_equal(p->scheduled_since.ms, p->meta.created.ms + 5000);
	assert_true(p->ready);
	assert_int_equal(p->ready_since.ms, p->meta.created.ms + 60000);
	assert_true(pod_is_bound(p));
	assert_false(pod_is_waiting(p));
	view_free(p);
}

static void a_waiting_pod(void **state)
{
	(void)state;
	struct pod *p =
		pod_of("{\"metadata\": {\"name\": \"p\"}, \"spec\": {\"nodeName\": \"\"}, \"status\": {\"phase\": "
	           "\"Pending\","
	           " \"nominatedNodeName\": \"n2\", \"conditions\": [{\"type\": \"Ready\", \"status\": \"False\","
	           " \"lastTransitionTime\": \"2026-11-25T17:00:00Z\"},"
	           "{\"type\": \"PodScheduled\", \"status\": \"False\", \"reason\": \"Unschedulable\", "
	           "\"message\": \"0/3 nodes\","
	           " \"lastTransitionTime\": \"2026-11-25T17:00:00Z\"}]}}");
	assert_null(p->node_name);
	assert_string_equal(p->nominated_node_name, "n2");
	assert_int_equal(p->grace_period_s, 30);
	assert_int_equal(p->scheduled, TRI_FALSE);
	assert_string_equal(p->scheduled_reason, "Unschedulable");
	assert_string_equal(p->scheduled_message, "0/3 nodes");
	assert_false(p->ready);
	assert_int_equal(p->ready_since.ms, p->scheduled_since.ms); /* of either side */
	assert_int_equal(p->initialized, TRI_UNKNOWN);
	assert_null(p->endpoint);
	assert_false(pod_is_bound(p));
	assert_true(pod_is_waiting(p));
	view_free(p);
}

static struct pod *pod_with(const char *meta, const char *status)
{
	CLEANUP_FREE char *text = xasprintf(
		"{\"metadata\": {\"name\": \"p\"%s}, \"status\": {\"phase\": \"Pending\", %s}}", meta, status);
	return pod_of(text);
}

static void what_keeps_a_container_from_running(void **state)
{
	(void)state;
	static const struct {
		const char *statuses;
		enum pod_trouble trouble;
		const char *container, *detail;
		int32_t exit_code;
	} cases[] = {
		{"\"containerStatuses\": [{\"name\": \"c\", \"ready\": false, \"lastState\": {}, \"state\": "
	     "{\"waiting\": "
	     "{\"reason\": \"ContainerCreating\"}}}]",
	     POD_FINE, NULL, NULL, 0},
		{"\"containerStatuses\": [{\"name\": \"c\", \"image\": \"llm:typo\", \"ready\": false, \"state\": "
	     "{\"waiting\": {\"reason\": \"ErrImagePull\", \"message\": \"rpc error\"}}}]",
	     POD_IMAGE_PULL, "c", "llm:typo", 0},
		{"\"containerStatuses\": [{\"name\": \"fine\", \"ready\": true, \"state\": {\"running\": {}}}, "
	     "{\"name\": "
	     "\"c\", \"image\": \"llm:1\", \"ready\": false, \"state\": {\"waiting\": {\"reason\": "
	     "\"ImagePullBackOff\"}}}]",
	     POD_IMAGE_PULL, "c", "llm:1", 0},
		/* It runs just now, until it ends again. */
		{"\"containerStatuses\": [{\"name\": \"c\", \"ready\": false, \"state\": {\"running\": {}}, "
	     "\"lastState\": "
	     "{\"terminated\": {\"exitCode\": 137, \"reason\": \"OOMKilled\", \"finishedAt\": "
	     "\"2026-11-25T17:00:00Z\"}}}]",
	     POD_CRASH, "c", "OOMKilled", 137},
		/* It has ended before, and serves. */
		{"\"containerStatuses\": [{\"name\": \"c\", \"ready\": true, \"state\": {\"running\": {}}, "
	     "\"lastState\": "
	     "{\"terminated\": {\"exitCode\": 1, \"reason\": \"Error\", \"finishedAt\": "
	     "\"2026-11-25T17:00:00Z\"}}}]",
	     POD_FINE, NULL, NULL, 0},
		{"\"initContainerStatuses\": [{\"name\": \"fetch\", \"ready\": false, \"state\": {\"waiting\": "
	     "{\"reason\": "
	     "\"CreateContainerConfigError\", \"message\": \"secret \\\"token\\\" not found\"}}}], "
	     "\"containerStatuses\": [{\"name\": \"c\", \"state\": {\"waiting\": {\"reason\": "
	     "\"PodInitializing\"}}}]",
	     POD_CONTAINER_ERROR, "fetch", "secret \"token\" not found", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pod *p = pod_with("", cases[i].statuses);

		assert_int_equal(p->trouble, cases[i].trouble);
		assert_true(str_eq(p->trouble_container, cases[i].container));
		assert_true(str_eq(p->trouble_detail, cases[i].detail));
		assert_int_equal(p->exit_code, cases[i].exit_code);
		view_free(p);
	}
}

static void the_marks_of_a_pod(void **state)
{
	(void)state;
	struct pod *p = pod_with("", "\"conditions\": []");
	assert_false(p->protected);
	assert_null(p->deletion_cost);
	view_free(p);

	p = pod_with(
		", \"annotations\": {" L "protected-until-ready\": \"true\", "
		"\"controller.kubernetes.io/pod-deletion-cost\": \"-7\"}",
		"\"conditions\": [{\"type\": \"Initialized\", \"status\": \"False\", \"lastTransitionTime\": "
		"\"2026-11-25T17:00:00Z\"}]");
	assert_true(p->protected);
	assert_string_equal(p->deletion_cost, "-7");
	assert_int_equal(p->initialized, TRI_FALSE);
	assert_true(wall_is_set(p->initialized_since));
	view_free(p);
}

static void a_terminating_pod_is_neither(void **state)
{
	(void)state;
	struct pod *p =
		pod_of("{\"metadata\": {\"name\": \"p\", \"deletionTimestamp\": \"2026-11-25T17:00:30Z\"},"
	           " \"spec\": {\"nodeName\": \"n\"}, \"status\": {\"phase\": \"Running\"}}");
	assert_false(pod_is_bound(p));
	assert_false(pod_is_waiting(p));
	assert_int_equal(p->scheduled, TRI_UNKNOWN);
	view_free(p);
}

static void a_deployment(void **state)
{
	(void)state;
	struct deployment *d =
		deployment_of("{\"metadata\": {\"name\": \"d\", \"generation\": 4, \"labels\": {" L
	                  "endpoint\": \"llm\", " L "pool\": \"p5\", " L "revision\": \"r\", " L
	                  "instance-type\": \"p5.48xlarge\"}}, \"spec\": {\"replicas\": 0},"
	                  " \"status\": {\"replicas\": 2, \"observedGeneration\": 3, \"conditions\": ["
	                  "{\"type\": \"Available\", \"status\": \"True\", \"reason\": \"no\"},"
	                  "{\"type\": \"ReplicaFailure\", \"status\": \"True\", \"reason\": \"FailedCreate\", "
	                  "\"message\": \"exceeded quota\"}]}}");
	assert_string_equal(d->endpoint, "llm");
	assert_int_equal(d->meta.generation, 4);
	assert_int_equal(d->replicas, 0);
	assert_string_equal(d->failure_message, "exceeded quota");
	view_free(d);

	d = deployment_of("{\"metadata\": {\"name\": \"d\"}, \"spec\": {}, \"status\": {\"conditions\": ["
	                  "{\"type\": \"ReplicaFailure\", \"status\": \"False\", \"reason\": \"x\"}]}}");
	assert_int_equal(d->replicas, 1);
	assert_null(d->failure_message);
	view_free(d);
}

#define MANAGED_BY(manager, fields)                                                                  \
	"{\"metadata\": {\"name\": \"d\", \"managedFields\": [{\"manager\": \"instancepool-operator\", " \
	"\"fieldsV1\": {\"f:spec\": {\"f:template\": {}}}}, {\"manager\": \"" manager                    \
	"\", \"operation\": \"Update\", \"fieldsV1\": {" fields "}}, {\"manager\": \"x\"}]}}"

/* Who has written into the template, if not we. */
static void a_changed_template(void **state)
{
	(void)state;
	static const struct {
		const char *json, *changed_by;
	} cases[] = {
		{MANAGED_BY("kubectl-rollout",
	                "\"f:metadata\": {}, \"f:spec\": {\"f:template\": {\"f:metadata\": {}}}"),
	     "kubectl-rollout"},
		{MANAGED_BY("", "\"f:spec\": {\"f:template\": {}}"), "unknown"},
		{MANAGED_BY("kubectl", "\"f:spec\": {\"f:replicas\": {}}"), NULL},
		{MANAGED_BY("kube-controller-manager", "\"f:status\": {\"f:template\": {}}"), NULL},
		{MANAGED_BY("instancepool-operator", "\"f:spec\": {\"f:template\": {}}"), NULL},
		{"{\"metadata\": {\"name\": \"d\"}}", NULL},
	};
	struct deployment *untouched = deployment_of("{\"metadata\": {\"name\": \"d\"}}");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct deployment *d = deployment_of(cases[i].json);
		if (!str_eq(d->template_changed_by, cases[i].changed_by))
			fail_msg("%s: %s", cases[i].json, d->template_changed_by);
		assert_int_equal(deployment_differs(untouched, d), cases[i].changed_by != NULL);
		view_free(d);
	}
	view_free(untouched);
}

#define DEPLOYMENT(labels, spec, status)                                                \
	"{\"metadata\": {\"name\": \"d\", \"resourceVersion\": \"9\", \"labels\": {" labels \
	"}}, \"spec\": {" spec "}, \"status\": {" status "}}"
#define POOL_LABELS L "endpoint\": \"llm\", " L "pool\": \"p5\""

static void a_rollouts_progress_is_no_difference(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		bool differs;
	} cases[] = {
		{DEPLOYMENT(POOL_LABELS, "\"replicas\": 3", "\"readyReplicas\": 2, \"observedGeneration\": 7"),
	     false},
		{DEPLOYMENT(POOL_LABELS, "\"replicas\": 4", ""), true},
		{DEPLOYMENT(L "endpoint\": \"llm\"", "\"replicas\": 3", ""), true},
		{DEPLOYMENT(POOL_LABELS, "\"replicas\": 3",
	                "\"conditions\": [{\"type\": \"ReplicaFailure\", \"status\": \"True\"}]"),
	     true},
	};
	struct deployment *before = deployment_of(DEPLOYMENT(POOL_LABELS, "\"replicas\": 3", ""));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct deployment *after = deployment_of(cases[i].json);
		if (deployment_differs(before, after) != cases[i].differs)
			fail_msg("%s", cases[i].json);
		view_free(after);
	}
	view_free(before);
}

#define NODE(labels, heartbeat, gpus, more)                                                               \
	"{\"metadata\": {\"name\": \"n\", \"uid\": \"u\", \"resourceVersion\": \"" heartbeat                  \
	"\", \"labels\": {" labels "}},"                                                                      \
	" \"spec\": {\"taints\": [{\"key\": \"nvidia.com/gpu\", \"value\": \"true\", \"effect\": "            \
	"\"NoSchedule\"}]" more "},"                                                                          \
	" \"status\": {\"allocatable\": {\"cpu\": \"191500m\", \"nvidia.com/gpu\": \"" gpus                   \
	"\"}, \"capacity\": "                                                                                 \
	"{\"nvidia.com/gpu\": \"8\"}, \"conditions\": [{\"type\": \"MemoryPressure\", \"status\": \"True\"}," \
	"{\"type\": \"Ready\", \"status\": \"True\", \"lastHeartbeatTime\": \"2026-11-25T17:0" heartbeat      \
	":00Z\","                                                                                             \
	" \"lastTransitionTime\": \"2026-11-25T17:00:00Z\"}]}}"
#define LABELS "\"node.kubernetes.io/instance-type\": \"p5.48xlarge\", \"zone\": \"a\""

static void a_node(void **state)
{
	(void)state;
	struct node *n = node_of(NODE(LABELS, "1", "7", ""));
	assert_int_equal(n->n_labels, 2);
	assert_int_equal(n->n_taints, 1);
	assert_string_equal(n->taints[0].key, "nvidia.com/gpu");
	assert_string_equal(n->taints[0].value, "true");
	assert_string_equal(n->taints[0].effect, "NoSchedule");
	assert_false(n->unschedulable);
	assert_int_equal(node_allocatable(n, "cpu"), 192);
	assert_int_equal(node_allocatable(n, "nvidia.com/gpu"), 7);
	assert_int_equal(node_capacity(n, "nvidia.com/gpu"), 8);
	assert_int_equal(node_capacity(n, "cpu"), 0);
	assert_int_equal(n->ready, TRI_TRUE);
	assert_true(wall_is_set(n->ready_since));

	struct jkv both[] = {{"node.kubernetes.io/instance-type", "p5.48xlarge"}, {"zone", "a"}};
	assert_true(node_matches(n, both, 2));
	assert_true(node_matches(n, both, 0));
	both[1].value = "b";
	assert_false(node_matches(n, both, 2));
	assert_true(node_matches(n, both, 1));
	both[0].key = "absent";
	assert_false(node_matches(n, both, 1));
	view_free(n);
}

static void a_heartbeat_is_no_difference(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		bool differs;
	} cases[] = {
		{NODE(LABELS, "2", "7", ""), false},
		{NODE(LABELS, "2", "8", ""), true},
		{NODE(LABELS, "2", "7", ", \"unschedulable\": true"), true},
		{NODE("\"node.kubernetes.io/instance-type\": \"p5.48xlarge\", \"zone\": \"b\"", "2", "7", ""), true},
		{NODE("\"zone\": \"a\"", "2", "7", ""), true},
		{"{\"metadata\": {\"name\": \"n\", \"uid\": \"u\"}}", true},
	};
	struct node *before = node_of(NODE(LABELS, "1", "7", ""));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct node *after = node_of(cases[i].json);
		if (node_differs(before, after) != cases[i].differs)
			fail_msg("%s", cases[i].json);
		view_free(after);
	}
	view_free(before);
}

static void a_companion(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct companion *s = companion_decode(
		SLICE_LIT("{\"metadata\": {\"name\": \"llm\", \"labels\": {" L "endpoint\": \"llm\"}}}"), &err);
	assert_string_equal(s->endpoint, "llm");
	view_free(s);
}

static void errors_name_the_place(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{\"metadata\": {}}", "metadata.name: missing"},
		{"{\"metadata\": {\"name\": \"p\"}, \"spec\": {\"nodeName\": 1}}", "spec.nodeName"},
		{"{\"metadata\": {\"name\": \"p\"}, \"status\": {\"conditions\": [{\"lastTransitionTime\": 3}]}}",
	     "status.conditions[0].lastTransitionTime"},
		{"{\"metadata\": {\"name\": \"p\"}", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		assert_null(pod_decode(slice_from(cases[i][0]), &err));
		assert_int_equal(err.code, ERR_INVALID);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("'%s' is not in '%s'", cases[i][1], err.message);
	}
}

/* What jansson sees in an object must be what the view says. */
static void compare_with_jansson(const json_t *o, const char *text)
{
	const char *kind = json_string_value(json_at(o, "kind", NULL));
	const char *name = json_string_value(json_at(o, "metadata", "name", NULL));
	if (str_eq(kind, "Pod")) {
		struct pod *p = pod_of(text);
		assert_true(str_eq(p->meta.name, name));
		assert_true(str_eq(p->node_name, json_string_value(json_at(o, "spec", "nodeName", NULL))));
		assert_true(str_eq(p->phase, json_string_value(json_at(o, "status", "phase", NULL))));
		const json_t *labels = json_at(o, "metadata", "labels", NULL);
		assert_true(str_eq(p->endpoint, json_string_value(json_object_get(labels, LABEL_ENDPOINT))));
		view_free(p);
	} else if (str_eq(kind, "Node")) {
		struct node *n = node_of(text);
		assert_true(str_eq(n->meta.name, name));
		assert_int_equal(n->n_labels, json_object_size(json_at(o, "metadata", "labels", NULL)));
		assert_int_equal(n->n_taints, json_array_size(json_at(o, "spec", "taints", NULL)));
		assert_int_equal(n->n_allocatable, json_object_size(json_at(o, "status", "allocatable", NULL)));
		view_free(n);
	} else if (str_eq(kind, "Deployment")) {
		struct deployment *d = deployment_of(text);
		assert_true(str_eq(d->meta.name, name));
		assert_int_equal(d->replicas, json_integer_value(json_at(o, "spec", "replicas", NULL)));
		/* Made by hand; kube-controller-manager has its part of it, too. */
		assert_string_equal(d->template_changed_by, "kubectl");
		view_free(d);
	}
}

static void objects_of_real_servers(void **state)
{
	(void)state;
	glob_t files;
	if (glob("tests/corpus/*.json", 0, NULL, &files) != 0)
		skip();
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct err err = ERR_INIT;
		CLEANUP_BUF struct buf text;
		buf_init(&text, 64 << 20);
		if (file_read(files.gl_pathv[i], &text, &err) < 0)
			fail_msg("%s", err.message);
		CLEANUP_JSON json_t *o = must(json_parse(buf_slice(&text), &err), &err);
		if (json_is_object(o))
			compare_with_jansson(o, text.ptr);
	}
	globfree(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ready_pod),
		cmocka_unit_test(a_waiting_pod),
		cmocka_unit_test(what_keeps_a_container_from_running),
		cmocka_unit_test(the_marks_of_a_pod),
		cmocka_unit_test(a_terminating_pod_is_neither),
		cmocka_unit_test(a_deployment),
		cmocka_unit_test(a_changed_template),
		cmocka_unit_test(a_rollouts_progress_is_no_difference),
		cmocka_unit_test(a_node),
		cmocka_unit_test(a_heartbeat_is_no_difference),
		cmocka_unit_test(a_companion),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(objects_of_real_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
