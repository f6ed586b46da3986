/* What the operator does when a write is refused: by a rule, for want of a right, because a name is taken. */
#include "operator_scene.h"

/* It keeps its marks, and nothing else has to wait for them. */
static void test_a_mark_that_is_refused(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_grown(f, "a", "p5");
	put_grown(f, "b", "p5");
	put_grown(f, "c", "p5");
	f->api.faults[0] = mark_fault("403 Forbidden");
	start(f);
	int64_t refused_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "unprotect a!403, unprotect b, unprotect c, status");
	assert_condition(f, "Ready", "True AllInstancesReady");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 4);
	buf_clear(&f->api.trace);
	f->api.faults[0] = mark_fault("422 Invalid");
	run_for(f, PATIENCE_MS, "unprotect a!422");
	assert_in_range(loop_now(loop).ms - refused_ms, 2000, PATIENCE_MS - 1);
	expect(f, "unprotect a!422, unprotect a");
	assert_in_range(loop_now(loop).ms - refused_ms, 6000, PATIENCE_MS - 1);
	assert_null(work_find(f->op, "ns", "llm")->refusals);
	/* What was refused for one that is gone is forgotten. */
	f->api.faults[0] = mark_fault("403 Forbidden");
	put_grown(f, "a", "p5");
	expect(f, "unprotect a!403");
	assert_non_null(work_find(f->op, "ns", "llm")->refusals);
	api_remove(&f->api, KIND_POD, "a");
	expect(f, "status");
	assert_null(work_find(f->op, "ns", "llm")->refusals);
}

/* The watch does not show it any more, but it is there and ours: no reason to wait for the watch. */
static void test_a_label_that_was_taken_off(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	json_t *bare = json_deep_copy(deployment_of(f, "g6"));
	json_object_del(json_at(bare, "metadata"), "labels");
	api_event(&f->api, KIND_DEPLOYMENT, "DELETED", deployment_of(f, "g6"));
	api_put(&f->api, KIND_DEPLOYMENT, bare);
	expect(f, "create g6=0!409, look Deployment, status");
	assert_condition(f, "Stalled", "True LabelMissing");
}

static void test_a_name_that_is_taken(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	json_t *foreign = json_deep_copy(deployment_of(f, "p5"));
	json_object_del(json_at(foreign, "metadata"), "labels");
	json_object_del(json_at(foreign, "metadata"), "ownerReferences");
	api_put(&f->api, KIND_DEPLOYMENT, foreign);
	start(f);
	expect(f, "create p5=3!409, look Deployment, g6 0->3, status");
	assert_condition(f, "Stalled", "True NameTaken");
}

/* What is refused of one kind says nothing of another kind with the same name. */
static void test_a_budget_of_somebody_else(void **state)
{
	struct fixture *f = *state;
	api_put(&f->api, KIND_BUDGET, quoted_json("{'metadata':{'name':'llm'}}"));
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget!409, look PodDisruptionBudget, "
	          "create Service");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "create Service");
	/* One that has our label is seen at once. */
	stop(f);
	api_remove(&f->api, KIND_BUDGET, "llm");
	api_put(&f->api, KIND_BUDGET,
	        quoted_json("{'metadata':{'name':'llm','labels':{'" LABEL_ENDPOINT "':'llm'}}}"));
	start(f);
	expect(f, "");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "create PodDisruptionBudget");
}

/* A webhook that is away, and later somebody who says no: the address waits for neither. */
static void test_a_budget_that_cannot_be_made(void **state)
{
	struct fixture *f = *state;
	static const char *const answers[] = {"500 Internal Server Error", "422 Invalid"};
	start(f);
	expect(f, created);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		stop(f);
		f->api.faults[0] =
			(struct api_fault){.method = "POST", .kind = KIND_BUDGET, .status = answers[i], .reason = "x"};
		api_remove(&f->api, KIND_BUDGET, "llm");
		api_remove(&f->api, KIND_SERVICE, "llm");
		start(f);
		for (int n = 0; n < PATIENCE_MS / 10 && !api_get(&f->api, KIND_BUDGET, "llm"); n++)
			run_for(f, 10, NULL);
		run_for(f, QUIET_MS, NULL);
		const char *service = strstr(buf_slice(&f->api.trace).ptr, "create Service");
		assert_non_null(service);
		assert_non_null(strstr(service, "create PodDisruptionBudget"));
		assert_condition(f, "Stalled", "False NothingInTheWay");
		buf_clear(&f->api.trace);
	}
}

static void test_a_refused_template_is_remembered_and_mended(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++)
		f->api.faults[i] = (struct api_fault){
			.method = "POST", .kind = KIND_DEPLOYMENT, .status = "422 Invalid", .reason = "Invalid"};
	start(f);
	expect(f, "create p5=3!422, create g6=3!422, status, " COMPANIONS);
	assert_condition(f, "Stalled", "True TemplateRefused");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:2")));
	expect(f, "create p5=3, create g6=0, status");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	/* The time to try the old names again comes, and nobody wants them. */
	struct work *w = map_get(&f->op->works, "ns/llm");
	assert_non_null(w->refusals);
	for (struct refusal *r = w->refusals; r; r = r->next)
		r->retry_at = loop_now(loop);
	int64_t before = metric_of(f, LOOKED_AT);
	controller_enqueue(f->op, "ns", "llm", QUEUE_FRESH);
	expect(f, "");
	assert_int_equal(metric_of(f, LOOKED_AT), before + 1);
}

static struct api_fault refused_pod(const char *status, const char *message)
{
	return (struct api_fault){
		.method = "POST", .kind = KIND_POD, .status = status, .reason = "x", .message = message};
}

/* The Pod of the fallback would be refused: that is said before it is needed, the other pool goes on, and when what was
 * missing is there, so is the Deployment. */
static void test_an_instance_that_would_be_refused(void **state)
{
	struct fixture *f = *state;
	api_put(&f->api, KIND_MODEL,
	        quoted_json("{'metadata':{'name':'other'},'spec':{'template':{'spec':{'containers':[{}]}}}}"));
	put_endpoint(f, "'instanceCount':3,",
	             "{'instanceType':'p5','priority':1,'modelNameOverride':'other'},"
	             "{'instanceType':'g6','priority':2}");
	f->api.faults[0] = refused_pod("403 Forbidden", "no PriorityClass with name x was found");
	start(f);
	int64_t refused_ms = loop_now(loop).ms;
	expect(f, "try p5!403, create g6=3, status, " COMPANIONS);
	assert_condition(f, "Stalled", "True InstanceRefused");
	const json_t *pool =
		json_array_get(json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools"), 0);
	assert_string_equal(json_string_value(json_object_get(pool, "message")),
	                    "an instance would be refused: no PriorityClass with name x was found");
	/* Refused a second time it waits longer. */
	f->api.faults[0] = refused_pod("422 Invalid", "still not");
	run_for(f, PATIENCE_MS, "try p5!422");
	assert_in_range(loop_now(loop).ms - refused_ms, 2000, 3900);
	expect(f, "try p5!422, status, create p5=0, status");
	assert_in_range(loop_now(loop).ms - refused_ms, 6000, PATIENCE_MS - 1);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* What says nothing about the instance is no reason to do without its Deployment. */
static void test_a_dry_run_that_says_nothing(void **state)
{
	static const char *const answers[][2] = {
		{"403 Forbidden", "pods x is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=8"},
		{"403 Forbidden", "pods x is forbidden: failed quota: q: must specify limits.memory"},
		{"400 Bad Request", "admission webhook w does not support dry run"},
		{"404 Not Found", "no"},
		{"405 Method Not Allowed", "no"},
		{"500 Internal Server Error", "failed calling webhook w"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		CLEANUP_FREE char *trace = xasprintf("try p5!%.3s, create p5=3, create g6=0", answers[i][0]);
		f->api.faults[0] = refused_pod(answers[i][0], answers[i][1]);
		start(f);
		for (int n = 0; n < PATIENCE_MS / 50 && json_object_size(f->api.objects[KIND_DEPLOYMENT]) < 2; n++)
			run_for(f, 50, NULL);
		assert_true(str_starts(buf_slice(&f->api.trace).ptr, trace));
		stop(f);
		run_for(f, QUIET_MS, NULL); /* what was on its way */
		buf_clear(&f->api.trace);
		remove_deployment(f, "p5");
		remove_deployment(f, "g6");
	}
}

/* A dry run changes nothing: without an answer it is simply made again. */
static void test_a_dry_run_without_an_answer(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD};
	f->api.faults[1] = refused_pod("503 Service Unavailable", "no");
	start(f);
	expect(f, "try p5!cut, try p5!503, create p5=3, create g6=0, status, " COMPANIONS);
	stop(f);
	/* And called back when another leads, it is not looked at. */
	remove_deployment(f, "g6");
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "try g6!hang");
	controller_lead(f->op, false);
	expect(f, "try g6!hang");
	controller_lead(f->op, true);
	expect(f, "create g6=0");
}

/* A Deployment's plan begins with the dry run: if that made it too old, it would never be created. */
static void test_a_slow_dry_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD, .hang = true};
	f->api.faults[1] = refused_pod("500 Internal Server Error", "no"); /* shows which is made next */
	start(f);
	expect(f, "try p5!hang");
	struct work *w = map_get(&f->op->works, "ns/llm");
	w->run->made.ms -= 60 * MS_PER_S;
	exchange_answer(f->api.hanging, "201 Created", "{'metadata':{}}");
	expect(f, "create p5=3, try g6!500, create g6=0, status, " COMPANIONS);
}

#define NO_RIGHT(verb, resource, group)                                                                  \
	resource " is forbidden: User \"x\" cannot " verb " resource \"" resource "\" in API group \"" group \
			 "\" in the namespace \"ns\""

static struct api_fault no_right_fault(const char *method, enum kind kind, const char *message)
{
	return (struct api_fault){
		.method = method, .kind = kind, .status = "403 Forbidden", .reason = "Forbidden", .message = message};
}

static void test_no_right_to_create_pods(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	start(f);
	expect(f, "try p5!403, create p5=3, create g6=0, status, " COMPANIONS);
	/* Not for a moment, but for good. */
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied_trial = 7;
	for (size_t i = 0; i < 2; i++)
		f->api.faults[i] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	remove_deployment(f, "g6");
	expect(f, "try g6!403, try g6!403, create g6=0");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	f->api.faults[0] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	remove_deployment(f, "g6");
	expect(f, "try g6!403, create g6=0");
	/* It has got the right. */
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	assert_int_equal(w->denied_trial, 0);
}

static bool is_ready(struct fixture *f, struct err *ret_err)
{
	*ret_err = ERR_INIT;
	return controller_ready(f->op, ret_err);
}

/* An instance whose mark we have no right to take off: asked again in 2 s. */
static void lack_right_to_mark(struct fixture *f)
{
	f->api.faults[0] = no_right_fault("PATCH", KIND_POD, NO_RIGHT("patch", "pods", ""));
	put_grown(f, "a", "p5");
	run_for(f, PATIENCE_MS, "unprotect a!403, status");
}

/* /readyz says so once it has lasted. */
static void assert_lacks(struct fixture *f, const char *message)
{
	struct work *w = work_find(f->op, "ns", "llm");
	struct err err;
	CLEANUP_FREE char *text =
		xasprintf("%s; grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm "
	              "release",
	              message);
	run_for(f, QUIET_MS, NULL);
	assert_true(is_ready(f, &err));
	assert_non_null(w->no_right);
	w->no_right_since.ms -= 2 * MS_PER_S;
	assert_false(is_ready(f, &err));
	assert_string_equal(err.message, text);
	buf_clear(&f->api.trace);
}

static void assert_lacks_nothing(struct fixture *f)
{
	struct err err;
	assert_true(is_ready(f, &err));
	assert_null(work_find(f->op, "ns", "llm")->no_right);
	assert_int_equal(f->op->n_no_right, 0);
}

static void test_no_right_to_mark(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	expect(f, "unprotect a");
	assert_lacks_nothing(f);
}

/* What has just come up is written first, and what was refused is tried after that. */
static void test_no_right_beside_news(void **state)
{
	struct fixture *f = *state;
	struct api_fault refused = no_right_fault("POST", KIND_SERVICE, NO_RIGHT("create", "services", ""));
	start(f);
	expect(f, created);
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied = 8; /* for good */
	f->api.faults[0] = refused;
	api_remove(&f->api, KIND_SERVICE, "llm");
	run_for(f, PATIENCE_MS, "create Service!403, status");
	assert_lacks(f, NO_RIGHT("create", "services", ""));
	w->denied = 8;
	f->api.faults[0] = refused;
	w->refusals->retry_at = loop_now(loop);
	int64_t since_ms = w->no_right_since.ms;
	put_serving(f, "a", "p5");
	run_for(f, PATIENCE_MS, "status, create Service!403");
	run_for(f, QUIET_MS, NULL);
	assert_int_equal(w->no_right_since.ms, since_ms);
}

/* Nothing is written for what goes; and a standby writes nothing at all. */
static void test_no_right_and_it_is_deleted(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	json_t *changed = json_deep_copy(api_get(&f->api, KIND_ENDPOINT, "llm"));
	json_put_time(json_child(changed, "metadata"), "deletionTimestamp", wall_now());
	api_put(&f->api, KIND_ENDPOINT, changed);
	run_for(f, QUIET_MS, NULL);
	assert_lacks_nothing(f);
}

static void test_no_right_and_another_leads(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	controller_lead(f->op, false);
	assert_lacks_nothing(f);
}

/* What is no longer wanted is not asked for again. */
static void test_no_right_to_create_what_goes(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied = 8; /* for good */
	f->api.faults[0] = no_right_fault("POST", KIND_DEPLOYMENT, NO_RIGHT("create", "deployments", "apps"));
	remove_deployment(f, "g6");
	run_for(f, PATIENCE_MS, "create g6=0!403, status");
	assert_lacks(f, NO_RIGHT("create", "deployments", "apps"));
	json_t *changed = json_deep_copy(api_get(&f->api, KIND_ENDPOINT, "llm"));
	json_set(json_child(changed, "spec"), "instancePools",
	         quoted_json("[{'instanceType':'p5','priority':1}]"));
	api_put(&f->api, KIND_ENDPOINT, changed);
	expect(f, "status");
	run_for(f, 2 * MS_PER_S, NULL);
	assert_lacks_nothing(f);
}

/* A server that has just started may not know our rights yet, and one that is busy says when to come again. */
static void test_a_server_that_is_not_ready(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = no_right_fault("POST", KIND_DEPLOYMENT, NO_RIGHT("create", "deployments", "apps"));
	start(f);
	expect(f, "create p5=3!403, create p5=3, create g6=0, status, " COMPANIONS);
	f->api.faults[0] = (struct api_fault){.method = "POST",
	                                      .kind = KIND_SERVICE,
	                                      .status = "429 Too Many Requests",
	                                      .reason = "TooManyRequests",
	                                      .retry_after_s = 1};
	int64_t refused_ms = loop_now(loop).ms;
	api_remove(&f->api, KIND_SERVICE, "llm");
	run_for(f, PATIENCE_MS, "create Service!429, create Service");
	assert_in_range(loop_now(loop).ms - refused_ms, 1000, PATIENCE_MS - 1);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_mark_that_is_refused),
		TEST(test_a_label_that_was_taken_off),
		TEST(test_a_name_that_is_taken),
		TEST(test_a_budget_of_somebody_else),
		TEST(test_a_budget_that_cannot_be_made),
		TEST(test_a_refused_template_is_remembered_and_mended),
		TEST(test_an_instance_that_would_be_refused),
		TEST(test_a_dry_run_that_says_nothing),
		TEST(test_a_dry_run_without_an_answer),
		TEST(test_a_slow_dry_run),
		TEST(test_no_right_to_create_pods),
		TEST(test_no_right_to_mark),
		TEST(test_no_right_beside_news),
		TEST(test_no_right_and_it_is_deleted),
		TEST(test_no_right_and_another_leads),
		TEST(test_no_right_to_create_what_goes),
		TEST(test_a_server_that_is_not_ready),
	};
	return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
