/* What the operator does when it does not know: answers that are lost, views that are old, a server or nodes that are away. */
#include "operator_scene.h"

/* Done, but nobody said so: it is looked at before anything else is written. */
static void test_a_mark_whose_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_grown(f, "a", "p5");
	f->api.faults[0] = (struct api_fault){.method = "PATCH", .kind = KIND_POD, .applied = true};
	start(f);
	expect(f, "unprotect a!cut, look p5, status");
	f->api.faults[0] = mark_fault("503 Unavailable");
	put_grown(f, "a", "p5");
	expect(f, "unprotect a!503, look p5, unprotect a");
}

/* It was done: one look, and no second one. */
static void test_a_create_whose_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT, .applied = true};
	api_hold(&f->api, KIND_DEPLOYMENT);
	start(f);
	expect(f, "create p5=3!cut, look p5");
	api_release(&f->api, KIND_DEPLOYMENT);
	expect(f, "create g6=0, status, " COMPANIONS);
}

static void test_a_create_that_never_came(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT};
	f->api.faults[1] = (struct api_fault){.method = "GET",
	                                      .kind = KIND_DEPLOYMENT,
	                                      .status = "503 Unavailable",
	                                      .reason = "ServiceUnavailable"};
	start(f);
	expect(f, "create p5=3!cut, look Deployment!503, look Deployment!404, "
	          "create p5=3, create g6=0, status, " COMPANIONS);
}

/* By whatever stands between: there is a 200, but no version in it. A look that ends so says nothing either. */
static void test_an_answer_that_is_cut_off(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){
		.method = "POST", .kind = KIND_DEPLOYMENT, .applied = true, .status = "200 OK", .reason = "x"};
	f->api.faults[1] =
		(struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .status = "200 OK", .reason = "x"};
	start(f);
	expect(f, "create p5=3!200, look p5!200, create g6=0, status, look p5, " COMPANIONS);
	put_serving(f, "a", "p5");
	expect(f, "status");
}

static void test_nothing_is_taken_away_on_an_old_view(void **state)
{
	struct fixture *f = *state;
	api_hold(&f->api, KIND_DEPLOYMENT);
	start(f);
	expect(f, "create p5=3, create g6=0, status");
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "");
	/* After a while it looks, and goes on waiting: the views are still old. */
	struct work *w = map_get(&f->op->works, "ns/llm");
	w->expecting_since.ms -= 15 * MS_PER_S;
	controller_enqueue(f->op, "ns", "llm", QUEUE_FRESH);
	expect(f, "look g6, look p5");
	api_release(&f->api, KIND_DEPLOYMENT);
	expect(f, "g6 0->3, p5 3->0, status, " COMPANIONS);
}

/* What came in meanwhile is read before any timer runs, and may be only the beginning. */
static void test_a_process_that_was_stopped(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	f->op->beat_due.ms -= 60 * MS_PER_S;
	loop_timer_arm(f->op->beat, 3 * MS_PER_S);
	put_serving(f, "a", "p5");
	run_for(f, 2 * MS_PER_S, NULL);
	expect(f, "");
	expect(f, "status");
}

/* By then the instances that waited are gone, and with them the evidence. */
static void check_strike(struct fixture *f, const char *status, const char *reason, const char *trace)
{
	CLEANUP_FREE char *again = xasprintf("%s, status", trace);
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	f->api.faults[0] = (struct api_fault){
		.method = "PATCH", .kind = KIND_ENDPOINT, .status = status, .reason = reason, .retry_after_s = 1};
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	run_for(f, PATIENCE_MS, trace);
	api_remove(&f->api, KIND_POD, "b");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, again);
	assert_int_equal(json_integer_value(json_at(json_array_get(json_at(api_get(&f->api, KIND_ENDPOINT, "llm"),
	                                                                   "status", "instancePools", NULL),
	                                                           0),
	                                            "strikes", NULL)),
	                 1);
}

static void test_a_strike_whose_status_is_refused(void **state)
{
	check_strike(*state, "429 Too Many Requests", "TooManyRequests", "g6 0->2, p5 3->1!429");
}

static void test_a_strike_whose_status_may_be_lost(void **state)
{
	check_strike(*state, "503 Service Unavailable", "ServiceUnavailable", "g6 0->2, p5 3->1!503");
}

/* It had arrived: what is sent again fails by its own version, and nothing is planned before the view shows it. */
static void test_a_status_that_has_arrived_is_not_written_twice(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	f->api.faults[0] = (struct api_fault){.method = "PATCH",
	                                      .kind = KIND_ENDPOINT,
	                                      .applied = true,
	                                      .status = "503 Service Unavailable",
	                                      .reason = "ServiceUnavailable"};
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->2, p5 3->1!503, status!409, look InstancePoolEndpoint");
}

/* Deleted and made again: what is left of the old one is neither ours nor foreign, it is about to go. */
static void test_an_endpoint_that_is_made_again(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	f->made_now = true;
	put_endpoint(f, "'instanceCount':3,", TWO_TYPES);
	expect(f, "");
	remove_deployment(f, "p5");
	remove_deployment(f, "g6");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "");
	api_remove(&f->api, KIND_POD, "a");
	expect(f, created);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* The endpoint goes between two writes. */
static void test_an_endpoint_that_goes_in_mid_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] =
		(struct api_fault){.method = "POST", .kind = KIND_SERVICE, .applied = true, .hang = true};
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget, create Service!hang");
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	expect(f, "");
	exchange_end(f->api.hanging);
	expect(f, "look Service");
	assert_int_equal(map_count(&f->op->works), 0);
}

/* A write and a look are under way. */
static void test_the_end_in_mid_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "create p5=3!hang");
	stop(f);
	buf_clear(&f->api.trace);
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT};
	f->api.faults[1] = (struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "create p5=3!cut, look Deployment!hang");
	stop(f);
	run_for(f, QUIET_MS, NULL);
}

#define DESIRED "instancepool_desired_instances{namespace=\"ns\",endpoint=\"llm\"} "

/* Its write is called back, then another leads: it looks on, tells nothing, and keeps nothing of what comes and goes. */
static void test_standing_by(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] =
		(struct api_fault){.method = "POST", .kind = KIND_SERVICE, .applied = true, .hang = true};
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget, create Service!hang");
	assert_int_equal(metric_of(f, DESIRED), 3);
	controller_lead(f->op, false);
	expect(f, "look Service");
	assert_int_equal(metric_of(f, DESIRED), -1);
	size_t depth = queue_depth(f->op->queue);
	for (int i = 0; i < 20; i++) {
		CLEANUP_FREE char *name = xasprintf("other-%d", i);
		CLEANUP_FREE char *text =
			xasprintf("{'metadata':{'name':'%s','generation':1},'spec':{'modelName':'llm',"
		              "'instanceCount':1,'instancePools':[" TWO_TYPES "]}}",
		              name);
		api_put(&f->api, KIND_ENDPOINT, quoted_json(text));
		api_remove(&f->api, KIND_ENDPOINT, name);
	}
	put_serving(f, "a", "p5");
	expect(f, "");
	assert_int_equal(queue_depth(f->op->queue), depth);
	controller_lead(f->op, true);
	expect(f, "status");
	assert_int_equal(metric_of(f, DESIRED), 3);
	/* What went while another led is forgotten by who leads again. */
	controller_lead(f->op, false);
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	expect(f, "");
	assert_int_equal(map_count(&f->op->works), 1);
	controller_lead(f->op, true);
	expect(f, "");
	assert_int_equal(map_count(&f->op->works), 0);
}

/* The one that asks gets no answer at all: the others do not wait for it. */
static void test_a_server_that_is_silent(void **state)
{
	struct fixture *f = *state;
	put_named_endpoint(f, "other", "'instanceCount':3,", TWO_TYPES);
	f->api.faults[0] = (struct api_fault){
		.method = "POST", .kind = KIND_DEPLOYMENT, .status = "503 Unavailable", .reason = ""};
	f->api.faults[1] = (struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	for (int i = 0; i < 50 && json_object_size(f->api.objects[KIND_SERVICE]) == 0; i++)
		run_for(f, 100, NULL);
	assert_int_equal(json_object_size(f->api.objects[KIND_SERVICE]), 1);
	exchange_end(f->api.hanging);
}

/* What many want of a server that is away, one asks; when it is back all go on at once. */
static void test_a_server_that_is_away(void **state)
{
	struct fixture *f = *state;
	const unsigned endpoints = 40, at_once = 16;
	for (unsigned i = 1; i < endpoints; i++) {
		char name[16];
		str_format(name, sizeof(name), "llm-%u", i);
		put_named_endpoint(f, name, "'instanceCount':3,", TWO_TYPES);
	}
	f->api.away = true;
	start(f);
	run_for(f, 4000, NULL);
	/* Those that had begun; then one request each second. */
	assert_in_range(f->api.asked, at_once, at_once + 6);
	assert_int_equal(json_object_size(f->api.objects[KIND_DEPLOYMENT]), 0);
	f->api.away = false;
	for (int i = 0; i < PATIENCE_MS / 100 && json_object_size(f->api.objects[KIND_SERVICE]) < endpoints; i++)
		run_for(f, 100, NULL);
	assert_int_equal(json_object_size(f->api.objects[KIND_SERVICE]), endpoints);
	assert_int_equal(json_object_size(f->api.objects[KIND_DEPLOYMENT]), 2 * endpoints);
}

static void put_node(struct fixture *f, const char *name, const char *ready, const char *since)
{
	CLEANUP_FREE char *text =
		xasprintf("{'metadata':{'name':'%s'},'status':{'conditions':[{'type':'Ready','status':'%s',"
	              "'lastTransitionTime':'%s'}]}}",
	              name, ready, since);
	api_put(&f->api, KIND_NODE, quoted_json(text));
}

/* What runs on a node that is not heard of is replaced, unless no node is. */
static void test_a_node_that_is_not_heard_of(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	put_node(f, "n", "Unknown", "2026-11-25T10:00:05Z");
	expect(f, "");
	put_node(f, "m", "True", "2026-11-25T10:00:05Z");
	expect(f, "p5 3->6, status");
}

/* Without a view of the nodes an instance counts as long as its pod is there, and the scheduler's words do. */
static void test_nodes_are_not_watched(void **state)
{
	struct fixture *f = *state;
	api_remove(&f->api, KIND_NODE, "n");
	f->without_nodes = true;
	start(f);
	expect(f, created);
	assert_null(f->api.watches[KIND_NODE]);
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	expect(f, "status");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->1, p5 3->2, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "StockOut");
}

/* A view that was late shows in one moment that an instance is gone and that others were refused before: its room is there, and
 * the scheduler has not looked again yet. */
static void test_room_that_is_seen_late(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	json_t *node =
		quoted_json("{'metadata':{'name':'n','labels':{'" NODE_LABEL_INSTANCE_TYPE "':'p5'}},"
	                "'status':{'capacity':{'nvidia.com/gpu':'8'},'allocatable':{'nvidia.com/gpu':'8'},"
	                "'conditions':[{'type':'Ready','status':'True',"
	                "'lastTransitionTime':'2026-11-25T09:00:00Z'}]}}");
	api_put(&f->api, KIND_NODE, node);
	put_serving(f, "a", "p5");
	expect(f, "status");
	api_hold(&f->api, KIND_POD);
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	put_refused(f, "d", "p5");
	api_remove(&f->api, KIND_POD, "a");
	api_release(&f->api, KIND_POD);
	expect(f, "status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "Settling");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_mark_whose_answer_is_lost),
		TEST(test_a_create_whose_answer_is_lost),
		TEST(test_a_create_that_never_came),
		TEST(test_an_answer_that_is_cut_off),
		TEST(test_nothing_is_taken_away_on_an_old_view),
		TEST(test_a_process_that_was_stopped),
		TEST(test_a_strike_whose_status_is_refused),
		TEST(test_a_strike_whose_status_may_be_lost),
		TEST(test_a_status_that_has_arrived_is_not_written_twice),
		TEST(test_an_endpoint_that_is_made_again),
		TEST(test_an_endpoint_that_goes_in_mid_run),
		TEST(test_the_end_in_mid_run),
		TEST(test_standing_by),
		TEST(test_a_node_that_is_not_heard_of),
		TEST(test_room_that_is_seen_late),
		TEST(test_nodes_are_not_watched),
		TEST(test_a_server_that_is_away),
		TEST(test_a_server_that_is_silent),
	};
	return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
