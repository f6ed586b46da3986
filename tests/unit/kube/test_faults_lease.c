/* Two electors and a Lease on a server: answers that are lost or late, writes of others, a process that is held, clocks
 * that jump. Never two may write, and the server is not asked more often for it. */
#include <sys/syscall.h>
#include <time.h>
#include "faults.h"
#include "kube/elector.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define NO_LEASE "'objects':{'" LEASES "':[]}"

#define PERIOD_MS 300
/* One that runs out while a test waits for it, and one that no busy machine lets run out. */
#define SHORT_MS 2000
#define LONG_MS 15000

/* Clocks that this program can move, for all that is linked into it. */
static int64_t wall_moved_s, asleep_s;

int get_moved_time(clockid_t clock, struct timespec *ret) __asm__("clock_gettime");
int get_moved_time(clockid_t clock, struct timespec *ret)
{
	long rc = syscall(SYS_clock_gettime, clock, ret);
	if (clock == CLOCK_REALTIME)
		ret->tv_sec += wall_moved_s;
	if (clock == CLOCK_BOOTTIME)
		ret->tv_sec += asleep_s;
	return (int)rc;
}

struct contender {
	struct loop *loop; /* its own, or the fixture's */
	struct kube_client *client;
	struct elector *elector;
	const struct contender *other;
	unsigned started, stopped, finished;
};

struct race {
	struct fixture f;
	struct contender one, two;
	int64_t duration_ms, began_ms;
};

static bool leads(const struct contender *c)
{
	return c->elector && elector_may_write(c->elector);
}

static void on_started(void *arg)
{
	struct contender *c = arg;
	c->started++;
	assert_true(leads(c));
	assert_false(leads(c->other));
}

static void on_stopped(void *arg)
{
	struct contender *c = arg;
	c->stopped++;
	assert_false(leads(c));
}

static void on_finished(void *arg)
{
	struct contender *c = arg;
	c->finished++;
}

static void enter(struct race *r, struct contender *c, struct loop *loop, const char *name)
{
	struct err err = ERR_INIT;
	struct elector_options o = {.ns = "ns",
	                            .name = "op",
	                            .identity = name,
	                            .lease_duration_ms = r->duration_ms,
	                            .renew_deadline_ms = r->duration_ms * 3 / 4,
	                            .retry_period_ms = PERIOD_MS};
	struct elector_handler h = {
		.on_started = on_started, .on_stopped = on_stopped, .on_finished = on_finished, .arg = c};
	c->loop = loop;
	c->client = connect_as(&r->f, loop, name);
	c->elector = elector_new(c->client, &o, &h, &err);
	assert_non_null(c->elector);
	elector_start(c->elector);
}

static void leave(struct contender *c)
{
	elector_free(c->elector);
	kube_client_free(c->client);
	*c = (struct contender){.other = c->other};
}

static void begin_race(struct race *r, void **state, int64_t duration_ms, const char *answers)
{
	*r = (struct race){.one.other = &r->two, .two.other = &r->one, .duration_ms = duration_ms};
	wall_moved_s = asleep_s = 0;
	CLEANUP_FREE char *members = xasprintf(NO_LEASE ",'answers':[%s]", answers);
	begin(&r->f, state, members);
	r->began_ms = mono_now().ms;
}

static void end_race(struct race *r)
{
	int64_t ms = mono_now().ms - r->began_ms;
	leave(&r->one);
	leave(&r->two);
	end(&r->f);
	/* Two electors at their usual pace, which is half a period, and what each does once more in between. */
	assert_in_range(json_array_size(r->f.server.requests), 1, 20 + ms * 4 / PERIOD_MS);
	/* Of the loop: a look every 10 ms, and some turns for each request. */
	assert_in_range(r->f.turns, 1, ms / 10 + 20 * json_array_size(r->f.server.requests) + 100);
	server_done(&r->f.server);
}

/* Nobody leads while another does, at any turn of the loop. */
static bool is_safe(const struct race *r)
{
	assert_false(leads(&r->one) && leads(&r->two));
	return true;
}

#define RACE_UNTIL(r, condition) RUN_UNTIL(&(r)->f, is_safe(r) && (condition))

static void pass(struct race *r, int64_t ms)
{
	int64_t until_ms = mono_now().ms + ms;
	RACE_UNTIL(r, mono_now().ms >= until_ms);
}

/* One leads, two stands by. */
static void one_before_two(struct race *r)
{
	enter(r, &r->one, r->f.loop.loop, "one");
	RACE_UNTIL(r, leads(&r->one));
	enter(r, &r->two, r->f.loop.loop, "two");
	RACE_UNTIL(r, str_eq(elector_holder(r->two.elector), "one"));
}

static void assert_one_led_throughout(const struct race *r)
{
	assert_true(leads(&r->one));
	assert_int_equal(r->one.started, 1);
	assert_int_equal(r->one.stopped, 0);
	assert_int_equal(r->two.started, 0);
}

/* Both find nothing and create it. */
static void both_at_once(void **state)
{
	struct race r;
	begin_race(&r, state, LONG_MS, "{'on':'GET','hang':true,'times':2}");
	enter(&r, &r.one, r.f.loop.loop, "one");
	enter(&r, &r.two, r.f.loop.loop, "two");
	RACE_UNTIL(&r, count_requests(&r.f, "GET *") == 2);
	server_go_on(&r.f.server);
	RACE_UNTIL(&r, leads(&r.one) || leads(&r.two));
	struct contender *first = leads(&r.one) ? &r.one : &r.two, *second = leads(&r.one) ? &r.two : &r.one;
	pass(&r, 500);
	assert_int_equal(count_requests(&r.f, "POST *"), 2);
	assert_true(leads(first));
	/* A release is seen within a period, long before the lease would have run out. */
	elector_stop(first->elector);
	RACE_UNTIL(&r, first->finished);
	int64_t released_ms = mono_now().ms;
	RACE_UNTIL(&r, leads(second));
	assert_in_range(mono_now().ms - released_ms, 0, 5000);
	assert_int_equal(first->started + second->started, 2);
	end_race(&r);
}

static void others_write_too(void **state)
{
	static const struct kube_resource leases = {.group = "coordination.k8s.io",
	                                            .version = "v1",
	                                            .plural = "leases",
	                                            .kind = "Lease",
	                                            .namespaced = true};
	struct race r;
	begin_race(&r, state, LONG_MS, "");
	one_before_two(&r);
	for (unsigned i = 0; i < 3; i++) {
		CLEANUP_FREE char *body = xasprintf("{\"metadata\":{\"annotations\":{\"n\":\"%u\"}}}", i);
		struct outcome o = {.err = ERR_INIT};
		struct kube_request rq = {.verb = KUBE_PATCH_MERGE,
		                          .resource = &leases,
		                          .ns = "ns",
		                          .name = "op",
		                          .body = slice_from(body)};
		kube_client_call(r.f.client, &rq, on_outcome, &o);
		RACE_UNTIL(&r, o.calls);
		assert_int_equal(o.outcome, KUBE_DONE);
		pass(&r, 400);
	}
	assert_one_led_throughout(&r);
	end_race(&r);
}

/* Renewals that have their effect, but one does not hear of it; a good one after each. */
static void lost_answers(void **state)
{
#define LOSE(how) "{'on':'PATCH','who':'one'," how "},{'on':'PATCH','who':'one'}"
	struct race r;
	begin_race(&r, state, LONG_MS,
	           LOSE("'cut':true") "," LOSE("'cut':true,'by':'reset'") "," LOSE(
				   "'cut':true,'by':'stream'") "," LOSE("'cut':9"));
	one_before_two(&r);
	RACE_UNTIL(&r, count_requests(&r.f, "PATCH *") >= 9);
	assert_one_led_throughout(&r);
	end_race(&r);
}

/* A server that answers one's renewals no more. */
static void a_hang_beyond_the_deadline(void **state)
{
	struct race r;
	begin_race(&r, state, SHORT_MS, "{'on':'PATCH','who':'one','status':500,'hang':true,'times':1000}");
	one_before_two(&r);
	RACE_UNTIL(&r, r.one.stopped);
	assert_int_equal(r.two.started, 0);
	RACE_UNTIL(&r, leads(&r.two));
	server_go_on(&r.f.server);
	pass(&r, 500);
	assert_true(leads(&r.two));
	assert_string_equal(elector_holder(r.one.elector), "two");
	assert_int_equal(r.one.started, 1);
	end_race(&r);
}

/* One's loop stands still, between two renewals or with one under way. It must know at once when it goes on. */
static void held(void **state, const char *answers, bool under_way)
{
	struct race r;
	begin_race(&r, state, SHORT_MS, answers);
	struct loop *own = loop_new();
	enter(&r, &r.one, own, "one");
	while (!leads(&r.one) || (under_way && count_by(&r.f, "PATCH *", "one") == 0)) {
		uv_run(loop_uv(own), UV_RUN_ONCE);
		server_poll(&r.f.server);
	}
	enter(&r, &r.two, r.f.loop.loop, "two");
	RACE_UNTIL(&r, leads(&r.two));
	server_go_on(&r.f.server);
	assert_false(leads(&r.one));
	assert_int_equal(r.one.stopped, 0); /* nobody has told it yet */
	unsigned n_writes = count_by(&r.f, "P*", "one");
	while (!str_eq(elector_holder(r.one.elector), "two")) {
		is_safe(&r);
		uv_run(loop_uv(own), UV_RUN_ONCE);
	}
	assert_int_equal(r.one.started, 1);
	assert_int_equal(r.one.stopped, 1);
	pass(&r, 500);
	assert_true(leads(&r.two));
	/* At most one, on condition of a version that is no more. */
	assert_in_range(count_by(&r.f, "P*", "one") - n_writes, 0, 1);
	leave(&r.one);
	loop_free(own);
	end_race(&r);
}

static void held_between_renewals(void **state)
{
	held(state, "", false);
}

static void held_with_a_renewal_under_way(void **state)
{
	held(state, "{'on':'PATCH','who':'one','hang':true}", true);
}

/* The date in the last renewal. */
static void renewed_on(const struct fixture *f, char ret[static 11])
{
	const char *body = saw(f, "PATCH *", count_requests(f, "PATCH *") - 1, "body");
	const char *time = strstr(body, "\"renewTime\":\"");
	assert_non_null(time);
	str_format(ret, 11, "%.10s", time + strlen("\"renewTime\":\""));
}

static void the_wall_clock_does_not_matter(void **state)
{
	static const int64_t steps_s[] = {40 * 86400, -40 * 86400, -7200, 0};
	struct race r;
	char before[11], after[11];
	begin_race(&r, state, LONG_MS, "");
	one_before_two(&r);
	RACE_UNTIL(&r, count_requests(&r.f, "PATCH *") > 0);
	renewed_on(&r.f, before);
	for (size_t i = 0; i < ARRAY_LEN(steps_s); i++) {
		wall_moved_s = steps_s[i];
		unsigned n = count_requests(&r.f, "PATCH *");
		RACE_UNTIL(&r, count_requests(&r.f, "PATCH *") >= n + 2);
		renewed_on(&r.f, after);
		if (llabs(steps_s[i]) >= 86400) /* so it has moved; two hours may be another day, too */
			assert_string_not_equal(before, after);
	}
	assert_one_led_throughout(&r);
	end_race(&r);
}

/* The machine sleeps: the timers of the loop do not know of it. */
static void asleep(void **state)
{
	struct race r;
	begin_race(&r, state, LONG_MS, "");
	one_before_two(&r);
	asleep_s += 3600;
	assert_false(leads(&r.one));
	assert_int_equal(r.one.stopped, 0);
	RACE_UNTIL(&r, r.one.stopped && (leads(&r.one) || leads(&r.two)));
	pass(&r, 500);
	assert_int_equal(r.one.started + r.two.started, 2);
	end_race(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(both_at_once),
		OVER_HTTP2(others_write_too),
		OVER_BOTH(lost_answers),
		OVER_HTTP2(a_hang_beyond_the_deadline),
		OVER_HTTP2(held_between_renewals),
		OVER_BOTH(held_with_a_renewal_under_way),
		OVER_HTTP2(the_wall_clock_does_not_matter),
		OVER_HTTP2(asleep),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
