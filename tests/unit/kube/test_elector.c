#include <stdio.h>
#include <time.h>
#include "client_set_up.h"
#include "kube/elector.h"
#include "kube/lease.h"

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	struct elector *elector;
	char said[256]; /* what the handler was told, as words */
	char until[32]; /* the word that ends the loop */
	unsigned troubles;
	bool held_when_told; /* elector_may_write() as on_started or on_stopped saw it */
	struct loop_timer *timer;
};

/* What the server answers, see scripted_server.h. */
/* clang-format off */
#define LEASE(rv, holder) \
	"{'metadata':{'name':'op','namespace':'ns','resourceVersion':'" rv "'}," \
	"'spec':{'holderIdentity':'" holder "','leaseDurationSeconds':15,'leaseTransitions':4}}"
#define PATH "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define READ(rv, holder) "{'on':'GET " PATH "/op','body':" LEASE(rv, holder) "}"
#define ABSENT "{'on':'GET " PATH "/op','status':404,'body':{'kind':'Status','reason':'NotFound'}}"
#define CREATE(rv, holder) "{'on':'POST " PATH "','status':201,'body':" LEASE(rv, holder) "}"
#define PATCH(rv, holder) "{'on':'PATCH " PATH "/op','body':" LEASE(rv, holder) "}"
#define PATCH_FAILS(how) "{'on':'PATCH " PATH "/op'," how "}"
#define CONFLICT PATCH_FAILS("'status':409,'body':{'kind':'Status','reason':'Conflict'}")
/* clang-format on */

static void say(struct fixture *f, const char *word)
{
	size_t len = strlen(f->said);
	str_format(f->said + len, sizeof(f->said) - len, "%s%s", len ? " " : "", word);
	if (str_eq(word, f->until))
		loop_stop(f->loop.loop);
}

static void on_started(void *arg)
{
	struct fixture *f = arg;
	f->held_when_told = elector_may_write(f->elector);
	say(f, "started");
}

static void on_stopped(void *arg)
{
	struct fixture *f = arg;
	f->held_when_told = elector_may_write(f->elector);
	say(f, "stopped");
}

static void on_holder(void *arg, const char *identity)
{
	CLEANUP_FREE char *word = xasprintf("[%s]", identity);
	say(arg, word);
}

static void on_trouble(void *arg, const struct err *err)
{
	struct fixture *f = arg;
	f->troubles++;
	assert_int_equal(elector_trouble(f->elector)->http_status, err->http_status);
	CLEANUP_FREE char *word = xasprintf("trouble:%d", err->http_status);
	say(f, word);
}

static void on_finished(void *arg)
{
	struct fixture *f = arg;
	say(f, "finished");
	elector_free(f->elector);
	f->elector = NULL;
	kube_client_free(f->client);
	f->client = NULL;
}

static void begin(struct fixture *f, const char *script, struct elector_options o)
{
	*f = (struct fixture){0};
	f->client = client_begin(&f->server, &f->loop, script);
	struct err err = ERR_INIT;
	o.ns = "ns";
	o.name = "op";
	o.identity = "me";
	struct elector_handler h = {.on_started = on_started,
	                            .on_stopped = on_stopped,
	                            .on_holder = on_holder,
	                            .on_trouble = on_trouble,
	                            .on_finished = on_finished,
	                            .arg = f};
	f->elector = elector_new(f->client, &o, &h, &err);
	assert_non_null(f->elector);
	assert_string_equal(elector_identity(f->elector), "me");
	assert_false(elector_may_write(f->elector));
	elector_start(f->elector);
	assert_string_equal(f->said, "");
}

/* A retry period that is short enough for a test, and a deadline that a busy machine keeps. */
static const struct elector_options quick = {.retry_period_ms = 200};

static void run_until(struct fixture *f, const char *word)
{
	str_copy(f->until, sizeof(f->until), word);
	patient_loop_run(&f->loop);
}

static void on_look(void *arg)
{
	struct fixture *f = arg;
	server_poll(&f->server);
	if (json_array_size(f->server.requests) >= strtoul(f->until, NULL, 10))
		loop_stop(f->loop.loop);
	else
		loop_timer_arm(f->timer, 5);
}

/* Until the server has seen so many in all. */
static void run_until_requests(struct fixture *f, const char *n)
{
	str_copy(f->until, sizeof(f->until), n);
	f->timer = loop_timer_new(f->loop.loop, on_look, f);
	loop_timer_arm(f->timer, 5);
	patient_loop_run(&f->loop);
	loop_timer_free(f->timer);
}

static void end(struct fixture *f)
{
	elector_free(f->elector);
	client_end(f->client, &f->server, &f->loop);
}

static void stop_and_end(struct fixture *f)
{
	elector_stop(f->elector);
	assert_false(elector_may_write(f->elector));
	elector_stop(f->elector);
	run_until(f, "finished");
	end(f);
}

/* Request n: its verb, and what its body says of the holder ("-": nothing) on which condition ("-": none). */
static void assert_saw(const struct fixture *f, size_t n, const char *verb, const char *condition,
                       const char *holder)
{
	assert_true(str_starts(server_saw(&f->server, n, "request"), verb));
	const char *body = server_saw(&f->server, n, "body");
	if (str_eq(verb, "GET")) {
		assert_string_equal(body, "");
		return;
	}
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *o = json_parse(slice_from(body), &err);
	assert_non_null(o);
	const char *rv = json_string_value(json_at(o, "metadata", "resourceVersion", NULL));
	assert_string_equal(rv ? rv : "-", condition);
	assert_string_equal(json_string_value(json_at(o, "spec", "holderIdentity", NULL)), holder);
	struct wall renewed;
	assert_int_equal(json_opt_time(json_at(o, "spec", NULL), "spec", "renewTime", &renewed, &err), 0);
	assert_in_range(renewed.ms, wall_now().ms - 60000, wall_now().ms);
	assert_string_equal(server_saw(&f->server, n, "type"),
	                    str_eq(verb, "POST") ? "application/json" : "application/merge-patch+json");
}

static void create_renew_release(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f,
	      "[" ABSENT "," CREATE("1", "me") "," PATCH("2", "me") "," PATCH("3", "me") "," PATCH("4", "") "]",
	      quick);
	run_until(&f, "started");
	assert_true(f.held_when_told);
	assert_true(elector_may_write(f.elector));
	run_until_requests(&f, "4");
	assert_true(elector_may_write(f.elector));
	assert_string_equal(elector_holder(f.elector), "me");
	elector_stop(f.elector);
	assert_false(f.held_when_told);
	run_until(&f, "finished");
	assert_null(f.elector);
	server_poll(&f.server);
	assert_string_equal(f.said, "started [me] stopped [] finished");
	assert_saw(&f, 0, "GET", "", "");
	assert_saw(&f, 1, "POST", "-", "me");
	assert_saw(&f, 2, "PATCH", "1", "me");
	assert_saw(&f, 3, "PATCH", "2", "me");
	assert_saw(&f, 4, "PATCH", "3", "");
	assert_int_equal(json_array_size(f.server.requests), 5);
	end(&f);
}

static void stand_by_takes_over(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f,
	      "[" READ("7", "other") "," READ("8", "other") "," READ("9", "") "," CONFLICT "," READ(
			  "10", "third") "," READ("11", "") "," PATCH("12", "me") "," PATCH("13", "") "]",
	      quick);
	run_until(&f, "started");
	assert_string_equal(f.said, "[other] [] [third] [] started [me]");
	server_poll(&f.server);
	assert_saw(&f, 3, "PATCH", "9", "me");
	assert_saw(&f, 6, "PATCH", "11", "me");
	stop_and_end(&f);
}

static void crashed_holder(void **state)
{
	(void)state;
	struct fixture f;
	/* Its own duration counts, which is a second. */
	CLEANUP_BUF struct buf script;
	buf_init(&script, 1u << 16);
	buf_add_str(&script, "[" PATCH("8", "me") "," PATCH("9", ""));
	for (int i = 0; i < 20; i++)
		buf_add_str(&script, ",{'on':'GET','body':{'metadata':{'resourceVersion':'7'},"
		                     "'spec':{'holderIdentity':'other','leaseDurationSeconds':1}}}");
	buf_add_str(&script, "]");
	begin(&f, script.ptr, quick);
	run_until(&f, "[other]");
	int64_t seen_ms = mono_now().ms;
	run_until(&f, "started");
	assert_true(mono_now().ms - seen_ms >= 990);
	stop_and_end(&f);
}

static void deadline(void **state)
{
	(void)state;
	struct fixture f;
	begin(
		&f,
		"[" READ("1", "") "," PATCH("2", "me") "," PATCH_FAILS("'hang':true") "," READ(
			"3",
			"me") "," PATCH_FAILS("'hang':true") "," READ("3",
	                                                      "me") "," READ("3",
	                                                                     "me") "," PATCH("4",
	                                                                                     "me") "," PATCH("5",
	                                                                                                     "") "]",
		(struct elector_options){.retry_period_ms = 500, .renew_deadline_ms = 2400});
	run_until(&f, "started");
	int64_t started_ms = mono_now().ms;
	run_until(&f, "stopped");
	assert_false(f.held_when_told);
	assert_in_range(mono_now().ms - started_ms, 1500, 10000);
	/* It goes on. */
	run_until(&f, "started");
	assert_true(elector_may_write(f.elector));
	assert_true(str_starts(f.said, "started [me] trouble:0 stopped"));
	stop_and_end(&f);
}

/* The loop saw nothing of it yet, and yet it is over. */
static void a_busy_process_asks_the_clock(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" READ("1", "") "," PATCH("2", "me") "," CONFLICT "," READ("5", "other") "]",
	      (struct elector_options){
			  .lease_duration_ms = 3000, .renew_deadline_ms = 2000, .retry_period_ms = 500});
	run_until(&f, "started");
	assert_true(elector_may_write(f.elector));
	nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 100000000}, NULL);
	assert_false(elector_may_write(f.elector));
	assert_string_equal(f.said, "started [me]");
	run_until(&f, "[other]");
	assert_string_equal(f.said, "started [me] stopped [other]");
	stop_and_end(&f);
}

static void unknown_outcome(void **state)
{
	(void)state;
	struct fixture f;
	begin(
		&f,
		"[" ABSENT
		",{'on':'POST','cut':true}," READ("1", "me") "," PATCH("2", "me") "," PATCH_FAILS("'status':500") "," READ(
			"2", "me") "," PATCH_FAILS("'body':'nonsense'") "," READ("3",
	                                                                 "me") "," PATCH("4",
	                                                                                 "me") "," PATCH("5",
	                                                                                                 "") "]",
		quick);
	run_until(&f, "started");
	server_poll(&f.server);
	assert_saw(&f, 1, "POST", "-", "me");
	assert_saw(&f, 2, "GET", "", "");
	assert_saw(&f, 3, "PATCH", "1", "me");
	run_until_requests(&f, "9");
	assert_saw(&f, 4, "PATCH", "2", "me");
	assert_saw(&f, 5, "GET", "", "");
	assert_saw(&f, 6, "PATCH", "2", "me");
	assert_saw(&f, 7, "GET", "", "");
	assert_saw(&f, 8, "PATCH", "3", "me");
	assert_true(elector_may_write(f.elector));
	stop_and_end(&f);
}

static void trouble_is_told_once(void **state)
{
	(void)state;
	struct fixture f;
	begin(
		&f,
		"[{'on':'GET','status':403},{'on':'GET','status':403},{'on':'GET','status':500},{'on':'GET','status':"
		"500}," READ(
			"1",
			"other") ",{'on':'GET','status':500}," ABSENT
					 ",{'on':'GET','body':7}," READ("2", "") "," PATCH_FAILS("'status':403") "," PATCH_FAILS(
						 "'status':403") "," PATCH("3", "me") "," PATCH("4", "") "]",
		quick);
	run_until(&f, "started");
	assert_string_equal(f.said,
	                    "trouble:403 trouble:500 [other] trouble:500 trouble:0 [] trouble:403 started [me]");
	assert_null(elector_trouble(f.elector));
	stop_and_end(&f);
}

static void release_is_bounded(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" READ("1", "") "," PATCH("2", "me") "," PATCH_FAILS("'hang':true") "]", quick);
	run_until(&f, "started");
	int64_t stopped_ms = mono_now().ms;
	elector_stop(f.elector);
	run_until(&f, "finished");
	assert_in_range(mono_now().ms - stopped_ms, 990, 5000);
	end(&f);
}

static void nothing_to_release(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[" READ("1", "other") "]", quick);
	run_until(&f, "[other]");
	elector_stop(f.elector);
	assert_string_equal(f.said, "[other]");
	run_until(&f, "finished");
	server_poll(&f.server);
	for (size_t i = 0; i < json_array_size(f.server.requests); i++)
		assert_saw(&f, i, "GET", "", "");
	end(&f);

	/* With the first read under way, and before the start. */
	begin(&f, "[{'on':'GET','hang':true}]", quick);
	elector_stop(f.elector);
	run_until(&f, "finished");
	end(&f);
}

static void free_at_any_time(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "[]", quick);
	end(&f);
	begin(&f, "[" READ("1", "") "," PATCH("2", "me") "]", quick);
	run_until(&f, "started");
	end(&f);
	begin(&f, "[" READ("1", "") "," PATCH("2", "me") "," PATCH_FAILS("'hang':true") "]", quick);
	run_until_requests(&f, "3");
	elector_stop(f.elector);
	end(&f);
}

static void options(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct loop *l = loop_new();
	struct kube_config cfg = {.server = (char[]){"http://127.0.0.1:1"}};
	struct kube_client *c = kube_client_new(l, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(c);
	struct elector_options o = {.ns = "ns", .name = "op"};
	struct elector *a = elector_new(c, &o, &(struct elector_handler){0}, &err);
	struct elector *b = elector_new(c, &o, &(struct elector_handler){0}, &err);
	char host[256] = "";
	gethostname(host, sizeof(host) - 1);
	assert_true(str_starts(elector_identity(a), host));
	assert_true(strlen(elector_identity(a)) > strlen(host) + 8);
	assert_string_not_equal(elector_identity(a), elector_identity(b));
	assert_string_equal(elector_holder(a), "");
	elector_free(a);
	elector_free(b);
	elector_free(NULL);
	o.renew_deadline_ms = 15000;
	assert_null(elector_new(c, &o, &(struct elector_handler){0}, &err));
	assert_string_equal(err.message,
	                    "leader election: the lease duration must be longer than the renew deadline");
	kube_client_free(c);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_renew_release),
		cmocka_unit_test(stand_by_takes_over),
		cmocka_unit_test(crashed_holder),
		cmocka_unit_test(deadline),
		cmocka_unit_test(a_busy_process_asks_the_clock),
		cmocka_unit_test(unknown_outcome),
		cmocka_unit_test(trouble_is_told_once),
		cmocka_unit_test(release_is_bounded),
		cmocka_unit_test(nothing_to_release),
		cmocka_unit_test(free_at_any_time),
		cmocka_unit_test(options),
	};
	http_global_init();
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return rc;
}
