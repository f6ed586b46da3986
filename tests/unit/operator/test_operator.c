/* What the operator writes, in which order, and what it does when others change its objects. */
#include "operator_scene.h"

static void scale(struct fixture *f, const char *pool, int replicas)
{
	json_t *scaled = json_deep_copy(deployment_of(f, pool));
	json_put_int(json_child(scaled, "spec"), "replicas", replicas);
	api_put(&f->api, KIND_DEPLOYMENT, scaled);
}

/* It got its node just now. */
static void put_starting(struct fixture *f, const char *name, const char *pool)
{
	char now[WALL_RFC3339_SIZE];
	wall_format(wall_now(), now);
	CLEANUP_FREE char *bound =
		xasprintf("{'type':'PodScheduled','status':'True','lastTransitionTime':'%s'}", now);
	put_pod(f, name, pool, "'nodeName':'n'", bound, "");
}

static void test_creates_then_falls_back(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->2, p5 3->1, status");
	put_serving(f, "d", "g6");
	put_serving(f, "e", "g6");
	api_remove(&f->api, KIND_POD, "b");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, "status");
	assert_condition(f, "Ready", "True AllInstancesReady");
	assert_condition(f, "OnFallback", "True FallbackServes");
	assert_int_equal(metric_of(f, "instancepool_pool_out_of_capacity_total{namespace=\"ns\",endpoint=\"llm\","
	                              "pool=\"p5\",instance_type=\"p5\"} "),
	                 1);
	/* A new process has nothing to do. */
	stop(f);
	start(f);
	expect(f, "");
}

static void test_what_others_change_is_put_back(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	scale(f, "p5", 7);
	expect(f, "p5 7->3");
	json_t *labelled = json_deep_copy(deployment_of(f, "p5"));
	json_put_str(json_at(labelled, "metadata", "labels"), LABEL_REVISION, "mine");
	api_put(&f->api, KIND_DEPLOYMENT, labelled);
	expect(f, "");
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "create Service");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "create PodDisruptionBudget");
	/* A Model that is gone takes nothing with it. */
	api_remove(&f->api, KIND_MODEL, "llm");
	expect(f, "status");
	assert_condition(f, "ModelMissing", "True ModelMissing");
	assert_condition(f, "Ready", "True AllInstancesReady");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:1")));
	expect(f, "status");
}

static void test_who_serves_is_no_longer_protected(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_grown(f, "a", "p5");
	expect(f, "unprotect a, status");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 1);
	assert_non_null(json_object_get(annotations_of(f, "a"), "other"));
	stop(f);
	start(f);
	expect(f, "");
}

/* Gone, or another one has its name, and the watch has not said so yet. */
static void test_a_mark_that_comes_too_late(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	api_hold(&f->api, KIND_POD);
	put_grown(f, "a", "p5");
	api_remove(&f->api, KIND_POD, "a");
	api_release_one(&f->api, KIND_POD);
	expect(f, "unprotect a!404, status, unprotect a!404");
	assert_null(work_find(f->op, "ns", "llm")->refusals);
	api_release(&f->api, KIND_POD);
	expect(f, "status");
	api_hold(&f->api, KIND_POD);
	put_grown(f, "a", "p5");
	put_grown(f, "a", "p5");
	api_release_one(&f->api, KIND_POD);
	expect(f, "unprotect a!409, status, unprotect a!409");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 4);
	api_release(&f->api, KIND_POD);
	expect(f, "unprotect a");
}

static void change_template(struct fixture *f, const char *pool)
{
	json_t *changed = json_deep_copy(deployment_of(f, pool));
	json_put_str(json_child(json_at(changed, "spec", "template"), "metadata"), "restartedAt", "now");
	json_set(json_child(changed, "metadata"), "managedFields",
	         quoted_json("[{'manager':'kubectl-rollout','fieldsV1':{'f:spec':{'f:template':{}}}}]"));
	api_put(&f->api, KIND_DEPLOYMENT, changed);
}

static void forget_restored(struct fixture *f)
{
	struct work *w = work_find(f->op, "ns", "llm");
	for (size_t i = 0; i < w->n_restored; i++)
		w->restored[i].until.ms = loop_now(loop).ms - 600 * MS_PER_S;
}

static void test_a_template_that_others_change(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	CLEANUP_JSON json_t *ours = json_deep_copy(json_at(deployment_of(f, "p5"), "spec", "template"));
	change_template(f, "p5");
	expect(f, "restore p5");
	assert_true(json_equal(json_at(deployment_of(f, "p5"), "spec", "template"), ours));
	/* Who may not put it back tries again later, and does all else meanwhile. */
	f->api.faults[0] = (struct api_fault){
		.method = "PATCH", .kind = KIND_DEPLOYMENT, .status = "422 Invalid", .reason = "Invalid"};
	change_template(f, "p5");
	expect(f, "restore p5!422, status");
	assert_condition(f, "Stalled", "True TemplateRefused");
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	expect(f, "restore p5, status");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	forget_restored(f);
	/* Without its Model nothing can be put back. */
	api_remove(&f->api, KIND_MODEL, "llm");
	expect(f, "status");
	change_template(f, "p5");
	expect(f, "");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:1")));
	expect(f, "restore p5, status");
}

/* A controller that insists: it is put back less and less often. */
static void test_a_template_that_is_changed_again_and_again(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	change_template(f, "p5");
	expect(f, "restore p5");
	int64_t restored_ms = loop_now(loop).ms - QUIET_MS;
	change_template(f, "p5");
	remove_deployment(f, "g6");
	run_for(f, PATIENCE_MS, "create g6=0, restore p5");
	assert_in_range(loop_now(loop).ms - restored_ms, 1900, PATIENCE_MS - 1);
	change_template(f, "p5");
	int64_t again_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "create g6=0, restore p5, restore p5");
	assert_in_range(loop_now(loop).ms - again_ms, 3900, PATIENCE_MS - 1);
	run_for(f, QUIET_MS, NULL);
	buf_clear(&f->api.trace);
	/* After some quiet it is as the first time. */
	forget_restored(f);
	change_template(f, "p5");
	run_for(f, PATIENCE_MS, "restore p5");
	struct work *w = work_find(f->op, "ns", "llm");
	run_for(f, QUIET_MS, NULL);
	assert_int_equal(w->n_restored, 1);
	assert_int_equal(w->restored[0].times, 1);
}

/* Its controller writes down each pod that comes and goes: nobody has to look at the endpoint for that. */
static void test_a_budgets_status(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	int64_t before = metric_of(f, LOOKED_AT);
	json_t *counted = json_deep_copy(api_get(&f->api, KIND_BUDGET, "llm"));
	json_put_int(json_child(counted, "status"), "currentHealthy", 2);
	api_put(&f->api, KIND_BUDGET, counted);
	expect(f, "");
	assert_int_equal(metric_of(f, LOOKED_AT), before);
	json_t *foreign = json_deep_copy(counted);
	json_object_del(json_at(foreign, "metadata"), "ownerReferences");
	api_put(&f->api, KIND_BUDGET, foreign);
	expect(f, "");
	assert_true(refusal_pauses(work_find(f->op, "ns", "llm"), KIND_BUDGET, "llm")); /* said in the log */
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* Two pools may share nodes. What this revision has there is no older fleet that an update will take away. */
static void test_room_that_another_pool_of_ours_has(void **state)
{
	struct fixture *f = *state;
	api_put(
		&f->api, KIND_NODE,
		quoted_json("{'metadata':{'name':'n','labels':{'type':'p5','reserved':'yes'},"
	                "'creationTimestamp':'2026-11-25T09:00:00Z'},'status':{'capacity':{'nvidia.com/gpu':'8'},"
	                "'allocatable':{'nvidia.com/gpu':'8'},'conditions':[{'type':'Ready','status':'True',"
	                "'lastTransitionTime':'2026-11-25T09:01:00Z'}]}}"));
	put_endpoint(
		f, "'instanceCount':2,",
		"{'name':'best','instanceType':'p5','priority':1,'nodeSelector':{'type':'p5','reserved':'yes'}},"
		"{'name':'any','instanceType':'p5','priority':2,'nodeSelector':{'type':'p5'}}");
	start(f);
	expect(f, "create best=2, create any=0, status, " COMPANIONS);
	stop(f);
	scale(f, "best", 1);
	scale(f, "any", 1);
	put_serving(f, "a", "any");
	put_refused(f, "b", "best");
	start(f);
	expect(f, "any 1->2, best 1->0, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "StockOut");
}

static void test_an_instance_count_that_is_not_set(void **state)
{
	struct fixture *f = *state;
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	put_endpoint(f, "", TWO_TYPES);
	start(f);
	expect(f, "scale=1, create p5=1, create g6=0, status, " COMPANIONS);
}

/* Who provides nodes is known before the first plan: the scheduler's old refusals are no stock-out. */
static void test_a_node_autoscaler_is_found_first(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	f->autoscaler = NODE_AUTOSCALER_AUTO;
	f->api.karpenter = true;
	start(f);
	expect(f, "status");
	stop(f);
	f->api.karpenter = false;
	start(f);
	expect(f, "g6 0->3, p5 3->0, status");
}

static void put_pod_event(struct fixture *f, const char *name, const char *pod_uid, const char *reason,
                          const char *message)
{
	CLEANUP_FREE char *text = xasprintf(
		"{'metadata':{'name':'%s'},'involvedObject':{'kind':'Pod','name':'b','uid':'%s'},'reason':'%s',"
		"'message':'%s','source':{'component':'karpenter'},'eventTime':null}",
		name, pod_uid, reason, message);
	api_put(&f->api, KIND_POD_EVENT, quoted_json(text));
}

#define NO_OFFERING "Failed to schedule pod, no instance type has the required offering"

static void test_of_what_is_no_hint_the_name_stays(void **state)
{
	static const char *const reasons[] = {"FailedScheduling", "Evicted"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		CLEANUP_FREE char *text = xasprintf(
			"{\"metadata\":{\"name\":\"b.1\",\"namespace\":\"ns\",\"uid\":\"u\",\"resourceVersion\":\"7\"},"
			"\"involvedObject\":{\"name\":\"b\",\"uid\":\"v\"},\"reason\":\"%s\",\"message\":\"" NO_OFFERING
			"\","
			"\"source\":{\"component\":\"karpenter\"}}",
			reasons[i]);
		struct err err = ERR_INIT;
		struct pod_event *e = pod_event_decode(slice_from(text), &err);
		assert_non_null(e);
		assert_string_equal(e->meta.name, "b.1");
		assert_string_equal(e->meta.resource_version, "7");
		assert_int_equal(e->newest.hint == HINT_NONE, i == 1);
		assert_int_equal(e->meta.uid == NULL, i == 1);
		assert_int_equal(e->pod == NULL, i == 1);
		view_free(e);
	}
}

/* An autoscaler's word about one pod, and only about this one. */
static void test_an_autoscaler_says_no(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	const char *uid = json_string_value(json_at(api_get(&f->api, KIND_POD, "b"), "metadata", "uid"));
	put_pod_event(f, "b.1", "an-earlier-pod", "FailedScheduling", NO_OFFERING);
	put_pod_event(f, "b.2", uid, "Evicted", NO_OFFERING);
	f->autoscaler = NODE_AUTOSCALER_AUTO;
	f->api.karpenter = true;
	start(f);
	expect(f, "status");
	put_pod_event(f, "b.3", uid, "FailedScheduling", NO_OFFERING);
	expect(f, "g6 0->3, p5 3->0, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "message")),
	                    "the autoscaler says: no instance type has the required offering");
}

/* Where nothing provides nodes they are not even asked for. */
static void test_events_are_not_watched_without_an_autoscaler(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	assert_null(f->api.watches[KIND_POD_EVENT]);
	assert_non_null(f->api.watches[KIND_POD]);
}

/* Counts are told a second later; what they lead to, at once. */
static void test_progress_is_told_once_a_second(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	int64_t bound_ms = loop_now(loop).ms;
	put_starting(f, "a", "p5");
	expect(f, "");
	put_starting(f, "b", "p5");
	run_for(f, PATIENCE_MS, "status");
	assert_in_range(loop_now(loop).ms - bound_ms, 1000, PATIENCE_MS - 1);
	expect(f, "status");
	int64_t ready_ms = loop_now(loop).ms;
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	put_serving(f, "c", "p5");
	run_for(f, PATIENCE_MS, "status");
	assert_in_range(loop_now(loop).ms - ready_ms, 0, 900);
}

/* A count that was lowered before a crash: what it leaves over is not taken for an instance of the higher one. */
static void test_a_condemned_instance_does_not_count(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	stop(f);
	scale(f, "p5", 2);
	start(f);
	expect(f, "");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, "p5 2->3, status");
	/* Should nobody end them, it goes on. */
	put_serving(f, "c", "p5");
	expect(f, "status");
	stop(f);
	scale(f, "p5", 2);
	start(f);
	int64_t started_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "p5 2->3, status");
	assert_in_range(loop_now(loop).ms - started_ms, 5000, PATIENCE_MS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_creates_then_falls_back),
		TEST(test_what_others_change_is_put_back),
		TEST(test_who_serves_is_no_longer_protected),
		TEST(test_a_mark_that_comes_too_late),
		TEST(test_a_template_that_others_change),
		TEST(test_a_template_that_is_changed_again_and_again),
		TEST(test_a_budgets_status),
		TEST(test_room_that_another_pool_of_ours_has),
		TEST(test_an_instance_count_that_is_not_set),
		TEST(test_a_node_autoscaler_is_found_first),
		cmocka_unit_test(test_of_what_is_no_hint_the_name_stays),
		TEST(test_an_autoscaler_says_no),
		TEST(test_events_are_not_watched_without_an_autoscaler),
		TEST(test_progress_is_told_once_a_second),
		TEST(test_a_condemned_instance_does_not_count),
	};
	return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
