/* Writes whose answer is lost: what is said of them, and how often the server was asked. All of it is libcurl's doing:
 * nothing in pkg/ asks twice. */
#include "faults.h"

enum end {
	DONE,
	DONE_AGAIN, /* by the second: the server said that it had not looked at the first, or so it seemed */
	LOST,
};

static const struct {
	const char *fault;
	/* On a new connection, and on one that was used before. */
	enum end http2[2], http1[2];
} cases[] = {
	{"'goaway':'seen'", {DONE, DONE}, {DONE, DONE}},
	{"'goaway':'refused'", {DONE_AGAIN, DONE_AGAIN}, {LOST, DONE_AGAIN}},
	{"'goaway':'seen','cut':true", {LOST, LOST}, {LOST, LOST}},
	{"'goaway':'seen','cut':true,'by':'reset'", {LOST, LOST}, {LOST, LOST}},
	{"'cut':true", {LOST, LOST}, {LOST, LOST}},
	{"'cut':true,'by':'reset'", {LOST, LOST}, {LOST, LOST}},
	{"'cut':true,'by':'stream'", {LOST, LOST}, {LOST, LOST}},
	{"'cut':5", {LOST, LOST}, {LOST, LOST}},
	{"'cut':5,'by':'reset'", {LOST, LOST}, {LOST, LOST}},
	{"'cut':5,'by':'stream'", {LOST, LOST}, {LOST, LOST}},
};

static void assert_end(const struct outcome *post, unsigned n_posts, enum end end, bool used)
{
	switch (end) {
	case DONE:
	case DONE_AGAIN:
		assert_int_equal(post->outcome, KUBE_DONE);
		assert_int_equal(n_posts, end == DONE ? 1 : 2);
		return;
	case LOST:
		break;
	}
	assert_int_equal(post->outcome, KUBE_UNKNOWN);
	if (n_posts == 1) {
		assert_int_equal(post->err.code, ERR_TRANSPORT);
		return;
	}
	/* libcurl takes the end of a connection that was used before for one that came before its request: always in
	 * HTTP/1.1, now and then in HTTP/2. */
	assert_true(used);
	assert_int_equal(n_posts, 2);
	assert_string_equal(post->err.reason, "AlreadyExists");
}

/* Over connections of its own. */
static void a_post_breaks(struct fixture *f, unsigned n, bool used, enum end want)
{
	struct outcome post, look;
	char name[16], body[64];
	const char *fault = cases[n].fault;
	str_format(name, sizeof(name), "c%u%s", n, used ? "-used" : "");
	str_format(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"}}", name);
	print_message("%s: %s\n", name, fault);
	kube_client_free(f->client);
	f->client = connect_as(f, f->loop.loop, name);
	if (used)
		call_succeeds(f, CHANGE("a", "2"));
	unsigned before = f->turns;
	call(f, KUBE_CREATE, name, body, &post);
	assert_in_range(f->turns - before, 0, 200);
	call(f, GET(name), &look);
	assert_end(&post, count_by(f, "POST *", name), want, used);
	/* What the server has not looked at was not done, unless it was asked again. */
	bool looked_at = !strstr(fault, "refused") || want == DONE_AGAIN;
	assert_int_equal(look.http_status, looked_at ? 200 : 404);
}

static void posts_that_break(void **state)
{
	struct fixture f;
	CLEANUP_BUF struct buf script;
	buf_init(&script, 1u << 16);
	buf_addf(&script, HAS(OWN("a", "1", "1")) ",'answers':[");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		buf_addf(&script, "%s{'on':'POST','who':'c%zu',%s},{'on':'POST','who':'c%zu-used',%s}", i ? "," : "",
		         i, cases[i].fault, i, cases[i].fault);
	buf_add_str(&script, "]");
	begin(&f, state, script.ptr);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		const enum end *ends = str_eq(*state, "h2") ? cases[i].http2 : cases[i].http1;
		for (unsigned used = 0; used < 2; used++)
			a_post_breaks(&f, i, used, ends[used]);
	}
	end(&f);
	server_done(&f.server);
}

/* A GOAWAY that does not count the POST, on a connection that still carries something: on another one it is done. */
static void goaway_below_one_of_two(void **state)
{
	struct fixture f;
	struct outcome patch, post;
	begin(&f, state,
	      HAS(OWN("a", "1", "1")) ",'answers':[{'on':'PATCH','hang':true},{'on':'POST','goaway':'unseen'}]");
	start(&f, CHANGE("a", "2"), 0, &patch);
	RUN_UNTIL(&f, count_requests(&f, "PATCH *") == 1);
	call(&f, CREATE("c", "4"), &post);
	assert_int_equal(post.outcome, KUBE_DONE);
	assert_in_range(turns_in(&f, 500), 0, 20);
	assert_int_equal(patch.calls, 0);
	server_go_on(&f.server);
	RUN_UNTIL(&f, patch.calls);
	assert_int_equal(patch.outcome, KUBE_DONE);
	end(&f);
	assert_int_equal(count_requests(&f, "PATCH *"), 1);
	assert_int_equal(count_requests(&f, "POST *"), 2);
	assert_string_equal(saw(&f, "POST *", 0, "goaway"), "unseen");
	assert_string_equal(saw(&f, "POST *", 0, "connection"), saw(&f, "PATCH *", 0, "connection"));
	assert_string_equal(saw(&f, "POST *", 1, "goaway"), "");
	assert_string_not_equal(saw(&f, "POST *", 1, "connection"), saw(&f, "PATCH *", 0, "connection"));
	server_done(&f.server);
}

/* The same with nothing else on the connection: libcurl 7.88 calls that an error of framing and does not ask again. A
 * newer one may. */
static void goaway_below_the_only_one(void **state)
{
	struct fixture f;
	struct outcome post, look;
	begin(&f, state, HAS() ",'answers':[{'on':'POST','goaway':'unseen'}]");
	call(&f, CREATE("c", "4"), &post);
	call(&f, GET("c"), &look);
	end(&f);
	unsigned n = count_requests(&f, "POST *");
	assert_true((post.outcome == KUBE_DONE && n == 2) || (post.outcome == KUBE_UNKNOWN && n == 1));
	assert_int_equal(look.http_status, post.outcome == KUBE_DONE ? 200 : 404);
	server_done(&f.server);
}

/* What libcurl repeats is refused by what it was on condition of, if the first had its effect. What became of the write
 * is not known by that. */
static void conditions_tell_repetitions(void **state)
{
	static const struct {
		enum kube_verb verb;
		const char *name, *body;
		int http_status; /* of the second */
	} requests[] = {
		{CREATE("c", "4"), 409},
		{KUBE_PATCH_MERGE, "a", "{\"metadata\":{\"resourceVersion\":\"2\"},\"n\":5}", 409},
		{DELETE("a"), 404},
	};
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct fixture f;
		struct outcome o;
		begin(&f, state, HAS(OWN("a", "1", "1")) ",'answers':[{'on':'PATCH'},{'on':'*','cut':true}]");
		call_succeeds(&f, CHANGE("a", "2"));
		call(&f, requests[i].verb, requests[i].name, requests[i].body, &o);
		assert_int_equal(o.outcome, KUBE_UNKNOWN);
		assert_int_equal(o.http_status, requests[i].http_status);
		end(&f);
		assert_int_equal(json_array_size(f.server.requests), 3);
		server_done(&f.server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(posts_that_break),
		OVER_HTTP2(goaway_below_one_of_two),
		OVER_HTTP2(goaway_below_the_only_one),
		OVER_HTTP1(conditions_tell_repetitions),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
