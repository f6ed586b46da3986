/* The operator as it is, in virtual time, against the virtual API server; there is no cluster around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "../quoted_json.h"
#include "base/log.h"
#include "sim/process.h"

struct fixture {
	struct timeline *timeline;
	struct api *api;
	struct network *network;
	struct process *process;
	unsigned creates, crashes;
};

static void on_write(void *arg, const char *who, const struct api_request *r, int status)
{
	struct fixture *f = arg;

	(void)who;
	if (r->kind != API_DEPLOYMENT)
		return;
	f->creates += str_eq(r->method, "POST") && status == 201;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->timeline = timeline_new(1);
	f->api = api_new(f->timeline);
	f->network = network_new(f->api);
	network_on_write(f->network, on_write, f);
	api_create(
		f->api, API_MODEL,
		quoted_json(
			"{'metadata':{'name':'llm','namespace':'default'},'spec':{'template':{'spec':{'containers':["
			"{'name':'server','image':'server','resources':{'limits':{'nvidia.com/gpu':'1'}}}]}}}}"));
	api_create(
		f->api, API_ENDPOINT,
		quoted_json(
			"{'metadata':{'name':'a','namespace':'default'},'spec':{'modelName':'llm','instanceCount':2,"
			"'instancePools':[{'instanceType':'p5','priority':1},{'instanceType':'g6','priority':2}]}}"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	process_kill(f->process);
	network_free(f->network);
	api_free(f->api);
	timeline_free(f->timeline);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	f->process = process_new(f->network, &(struct process_options){.identity = "operator-0"});
}

static void ask(struct fixture *f, int instances)
{
	struct api_object *e = api_find(f->api, API_ENDPOINT, "default", "a");

	json_put_int(json_child(e->doc, "spec"), "instanceCount", instances);
	api_update_spec(f->api, e);
}

static void run_for(struct fixture *f, int64_t ms)
{
	int64_t until_ms = timeline_ms(f->timeline) + ms;

	while (timeline_step(f->timeline, until_ms)) {
	}
}

static int add_replicas(void *arg, struct api_object *o)
{
	*(int64_t *)arg += json_integer_value(json_at(o->doc, "spec", "replicas"));
	return 0;
}

static void assert_asked(const struct fixture *f, int64_t instances)
{
	int64_t sum = 0;

	api_each(f->api, API_DEPLOYMENT, add_replicas, &sum);
	assert_int_equal(sum, instances);
	assert_int_equal(api_count(f->api, API_DEPLOYMENT), 2);
}

static void test_creates(void **state)
{
	struct fixture *f = *state;

	start(f);
	run_for(f, 2 * MS_PER_S);
	assert_asked(f, 2);
	assert_int_equal(f->creates, 2);
	assert_non_null(api_find(f->api, API_SERVICE, "default", "a"));
	assert_non_null(json_at(api_find(f->api, API_ENDPOINT, "default", "a")->doc, "status", "instancePools"));
}

/* Whatever becomes of the first writes, each Deployment is made once. */
static void test_each_fault(void **state)
{
	struct fixture *f = *state;

	for (unsigned fault = 0; fault < NETWORK_FAULT_COUNT; fault++)
		network_fail_writes(f->network, (enum network_fault)fault, 1);
	start(f);
	run_for(f, 120 * MS_PER_S);
	assert_asked(f, 2);
	assert_int_equal(f->creates, 2);
}

static void on_crash(void *arg, const char *who)
{
	struct fixture *f = arg;

	assert_string_equal(who, "operator-0");
	f->crashes++;
	process_kill(f->process);
	start(f);
}

static void test_crashes(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (unsigned i = 0; i < 12; i++) {
		network_crash_at(f->network, i % 2, (enum network_point)(i % NETWORK_POINT_COUNT), on_crash, f);
		ask(f, 2 + (int)i);
		run_for(f, 5 * MS_PER_S);
		assert_int_equal(f->crashes, i + 1);
		assert_asked(f, 2 + (int)i);
	}
	assert_int_equal(f->creates, 2);
}

static void test_watch_faults(void **state)
{
	struct fixture *f = *state;

	start(f);
	run_for(f, 2 * MS_PER_S);
	for (unsigned i = 0; i < NETWORK_WATCH_FAULT_COUNT; i++) {
		for (unsigned kind = 0; kind < API_EVENT; kind++)
			network_fail_watch(f->network, (enum api_kind)kind, (enum network_watch_fault)i,
			                   timeline_ms(f->timeline) + 4 * MS_PER_S);
		ask(f, 3 + (int)i);
		run_for(f, 30 * MS_PER_S);
		assert_asked(f, 3 + (int64_t)i);
	}
	assert_int_equal(f->creates, 2);
}

/* What comes meanwhile waits until it goes on. */
static void test_stopped(void **state)
{
	struct fixture *f = *state;

	start(f);
	run_for(f, 2 * MS_PER_S);
	process_stop(f->process, true);
	ask(f, 5);
	run_for(f, 60 * MS_PER_S);
	assert_asked(f, 2);
	process_stop(f->process, false);
	run_for(f, MS_PER_S); /* it may not have seen all of it yet */
	assert_asked(f, 2);
	run_for(f, 3 * MS_PER_S);
	assert_asked(f, 5);
}

/* The second takes over when the lease of the first has run out. */
static void test_two_elect(void **state)
{
	struct fixture *f = *state;
	struct process *other;

	f->process = process_new(f->network, &(struct process_options){.identity = "operator-0", .elects = true});
	run_for(f, 5 * MS_PER_S);
	other = process_new(f->network, &(struct process_options){.identity = "operator-1", .elects = true});
	run_for(f, 60 * MS_PER_S);
	assert_true(process_leads(f->process));
	assert_false(process_leads(other));
	process_stop(f->process, true);
	run_for(f, 20 * MS_PER_S);
	assert_true(process_leads(other));
	assert_false(process_leads(f->process));
	process_kill(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_creates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crashes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_elect, setup, teardown),
	};

	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
