#include "client_set_up.h"
#include "kube/events.h"

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	struct event_recorder *recorder;
	struct loop_timer *look;
	size_t want_requests;
	uint64_t want_dropped;
	unsigned failures;
	struct err failure; /* the last */
};

static const struct event_ref thing = {
	.api_version = "g/v1", .kind = "Thing", .ns = "ns", .name = "thing", .uid = "u1"};

#define POST "{'on':'POST /api/v1/namespaces/ns/events?fieldManager=tester','status':201}"
#define PATCH "{'on':'PATCH /'}"
#define EXISTS "{'on':'POST /','status':409,'body':{'kind':'Status','reason':'AlreadyExists'}}"

static bool has_seen(const struct fixture *f)
{
	return json_array_size(f->server.requests) >= f->want_requests &&
	       event_recorder_dropped(f->recorder) >= f->want_dropped;
}

static void on_look(void *arg)
{
	struct fixture *f = arg;
	server_poll(&f->server);
	if (has_seen(f))
		loop_stop(f->loop.loop);
	else
		loop_timer_arm(f->look, 5);
}

static void on_failure(void *arg, const struct err *err)
{
	struct fixture *f = arg;
	f->failures++;
	f->failure = *err;
}

static void begin(struct fixture *f, const char *script)
{
	*f = (struct fixture){0};
	f->client = client_begin(&f->server, &f->loop, script);
	f->recorder = event_recorder_new(f->client, "tester", "tester-0");
	event_recorder_on_failure(f->recorder, on_failure, f);
	f->look = loop_timer_new(f->loop.loop, on_look, f);
}

/* Runs until the server has seen so many requests in all, and the recorder has dropped so many Events. */
static void run_until(struct fixture *f, size_t requests, uint64_t dropped)
{
	f->want_requests = requests;
	f->want_dropped = dropped;
	loop_timer_arm(f->look, 0);
	patient_loop_run(&f->loop);
	assert_int_equal(json_array_size(f->server.requests), requests);
	assert_int_equal(event_recorder_dropped(f->recorder), dropped);
}

static void end(struct fixture *f)
{
	event_recorder_free(f->recorder);
	client_end(f->client, &f->server, &f->loop);
}

/* What request n sent, as JSON; new. */
static json_t *sent(const struct fixture *f, size_t n)
{
	struct err err = ERR_INIT;
	json_t *body = json_parse(slice_from(server_saw(&f->server, n, "body")), &err);
	assert_non_null(body);
	return body;
}

static void assert_sent(const struct fixture *f, size_t n, const char *method, int64_t count)
{
	assert_true(str_starts(server_saw(&f->server, n, "request"), method));
	CLEANUP_JSON json_t *body = sent(f, n);
	assert_int_equal(json_integer_value(json_at(body, "count", NULL)), count);
	assert_non_null(json_at(body, "lastTimestamp", NULL));
}

static void assert_str_at(const json_t *o, const char *parent, const char *key, const char *want)
{
	const json_t *in = parent ? json_object_get(o, parent) : o;
	const char *got = json_string_value(json_object_get(in, key));
	assert_string_equal(got ? got : "", want);
}

static void test_create_and_fold(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" POST "," PATCH "," PATCH "," POST "," POST "]");
	/* The first goes out as it is, the two others become one patch. */
	for (int i = 0; i < 3; i++)
		event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 2, 0);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 3, 0);
	event_emit(f.recorder, &thing, EVENT_WARNING, "Moved", "It moved.");
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved again.");
	run_until(&f, 5, 0);
	assert_sent(&f, 0, "POST ", 1);
	assert_sent(&f, 1, "PATCH ", 3);
	assert_sent(&f, 2, "PATCH ", 4);
	assert_sent(&f, 3, "POST ", 1);
	assert_sent(&f, 4, "POST ", 1);
	assert_string_equal(server_saw(&f.server, 1, "type"), "application/merge-patch+json");

	CLEANUP_JSON json_t *o = sent(&f, 0);
	assert_str_at(o, NULL, "apiVersion", "v1");
	assert_str_at(o, NULL, "kind", "Event");
	assert_str_at(o, "metadata", "namespace", "ns");
	assert_str_at(o, "involvedObject", "apiVersion", "g/v1");
	assert_str_at(o, "involvedObject", "kind", "Thing");
	assert_str_at(o, "involvedObject", "namespace", "ns");
	assert_str_at(o, "involvedObject", "name", "thing");
	assert_str_at(o, "involvedObject", "uid", "u1");
	assert_str_at(o, NULL, "type", "Normal");
	assert_str_at(o, NULL, "reason", "Moved");
	assert_str_at(o, NULL, "message", "It moved.");
	assert_str_at(o, "source", "component", "tester");
	assert_str_at(o, NULL, "reportingComponent", "tester");
	assert_str_at(o, NULL, "reportingInstance", "tester-0");
	assert_non_null(json_at(o, "firstTimestamp", NULL));

	const char *name = json_string_value(json_at(o, "metadata", "name", NULL));
	assert_true(str_starts(name, "thing."));
	assert_int_equal(strlen(name), strlen("thing.") + 10);
	CLEANUP_FREE char *patch = xasprintf("PATCH /api/v1/namespaces/ns/events/%s?fieldManager=tester", name);
	assert_string_equal(server_saw(&f.server, 1, "request"), patch);
	CLEANUP_JSON json_t *warning = sent(&f, 3);
	assert_str_at(warning, NULL, "type", "Warning");
	assert_string_not_equal(json_string_value(json_at(warning, "metadata", "name", NULL)), name);
	end(&f);
}

/* An Event of an earlier process goes on counting where that one stopped. */
static void test_exists_already(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" EXISTS ",{'on':'PATCH /','body':{'count':6}}," PATCH "]");
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 2, 0);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 3, 0);
	assert_sent(&f, 0, "POST ", 1);
	CLEANUP_JSON json_t *o = sent(&f, 1);
	assert_null(json_at(o, "count", NULL));
	assert_non_null(json_at(o, "lastTimestamp", NULL));
	assert_sent(&f, 2, "PATCH ", 8);
	end(&f);
}

static void test_gone_meanwhile(void **state)
{
	(void)state;
	struct fixture f;
	/* The requests without an answer in the script get a 404. */
	begin(&f, "[" POST "," EXISTS "]");
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 4, 1);
	assert_sent(&f, 0, "POST ", 1);
	assert_sent(&f, 1, "PATCH ", 2);
	assert_sent(&f, 2, "POST ", 2);
	assert_true(str_starts(server_saw(&f.server, 3, "request"), "PATCH "));
	end(&f);
}

static void test_dropped(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[{'on':'POST /','status':403}," POST ",{'on':'POST /','hang':true}]");
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 1, 1);
	assert_int_equal(f.failures, 1);
	assert_int_equal(f.failure.http_status, 403);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 2, 1);
	assert_sent(&f, 1, "POST ", 2);
	assert_int_equal(f.failures, 1);
	for (int i = 0; i < 70; i++) {
		char text[32];
		str_format(text, sizeof(text), "It moved %d steps.", i);
		event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", text);
	}
	/* 64 wait, or 63 and the one before whose answer was not here yet. */
	run_until(&f, 3, event_recorder_dropped(f.recorder));
	assert_in_range(event_recorder_dropped(f.recorder), 7, 8);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved 1 steps.");
	assert_in_range(event_recorder_dropped(f.recorder), 7, 8);
	end(&f);
}

static void test_memory_is_bounded(void **state)
{
	(void)state;
	struct fixture f;
	CLEANUP_BUF struct buf script;
	buf_init(&script, 1u << 20);
	buf_add_str(&script, "[" PATCH);
	for (int i = 0; i < 258; i++)
		buf_add_str(&script, "," POST);
	buf_add_str(&script, "]");
	begin(&f, script.ptr);
	for (unsigned i = 0; i < 257; i++) {
		char text[32];
		str_format(text, sizeof(text), "It moved %u steps.", i);
		event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", text);
		if (i % 32 == 0)
			run_until(&f, i + 1, 0);
	}
	run_until(&f, 257, 0);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved 256 steps.");
	run_until(&f, 258, 0);
	event_emit(f.recorder, &thing, EVENT_NORMAL, "Moved", "It moved 0 steps.");
	run_until(&f, 259, 0);
	assert_sent(&f, 257, "PATCH ", 2);
	assert_sent(&f, 258, "POST ", 1);
	end(&f);
}

static void test_names_and_limits(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" POST ",{'on':'POST /api/v1/namespaces/default/events?'}]");
	char name[254], message[2048];
	memset(name, 'n', sizeof(name) - 1);
	name[241] = '.';
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < sizeof(message) - 1; i += 3)
		memcpy(message + i, "\xe2\x82\xac", sizeof(message) - 1 - i < 3 ? sizeof(message) - 1 - i : 3);
	message[sizeof(message) - 1] = '\0';
	struct event_ref ref = thing;
	ref.name = name;
	event_emit(f.recorder, &ref, EVENT_NORMAL, "Moved", message);
	run_until(&f, 1, 0);
	event_emit(f.recorder,
	           &(struct event_ref){.api_version = "v1", .kind = "Node", .name = "node", .uid = "u"},
	           EVENT_NORMAL, "Moved", "It moved.");
	run_until(&f, 2, 0);

	CLEANUP_JSON json_t *o = sent(&f, 0);
	assert_int_equal(json_string_length(json_at(o, "message", NULL)), 1023);
	const char *event_name = json_string_value(json_at(o, "metadata", "name", NULL));
	assert_int_equal(strlen(event_name), 241 + 1 + 10);
	assert_null(strstr(event_name, ".."));
	CLEANUP_JSON json_t *cluster = sent(&f, 1);
	assert_str_at(cluster, "metadata", "namespace", "default");
	assert_null(json_at(cluster, "involvedObject", "namespace", NULL));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_and_fold),   cmocka_unit_test(test_exists_already),
		cmocka_unit_test(test_gone_meanwhile),    cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_memory_is_bounded), cmocka_unit_test(test_names_and_limits),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failed;
}
