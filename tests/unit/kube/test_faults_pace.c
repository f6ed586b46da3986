/* Failures of lists and watches that are answers: what is told of them, what is asked next, and when. */
#include "faults.h"

/* As the API server writes it, over several lines. */
#define STATUS                                                                                   \
	"'{\\n  \\'kind\\': \\'Status\\',\\n  \\'reason\\': \\'Why\\',\\n  \\'message\\': \\'so it " \
	"is\\'\\n}\\n'"
/* Pages are asked for, so that the watch is a request of its own. */
#define PAGES(mark) "{'on':'GET *sendInitialEvents*" mark "','status':422}"

enum next { WATCH_AGAIN, LIST_AGAIN };

struct refusal {
	bool of_watch;
	int status;
	enum next next;
};

static const struct refusal refusals[] = {
	{true, 400, LIST_AGAIN},  {true, 401, WATCH_AGAIN}, {true, 403, WATCH_AGAIN}, {true, 404, LIST_AGAIN},
	{true, 410, LIST_AGAIN},  {true, 422, LIST_AGAIN},  {true, 429, WATCH_AGAIN}, {true, 500, WATCH_AGAIN},
	{true, 502, WATCH_AGAIN}, {true, 503, WATCH_AGAIN}, {true, 504, WATCH_AGAIN}, {false, 401, LIST_AGAIN},
	{false, 403, LIST_AGAIN}, {false, 410, LIST_AGAIN}, {false, 429, LIST_AGAIN}, {false, 500, LIST_AGAIN},
	{false, 503, LIST_AGAIN}, {false, 504, LIST_AGAIN},
};

#define PER_CLIENT 6 /* in HTTP/1.1 each takes one of its eight connections */

static void assert_refusal(const struct fixture *f, unsigned i, const struct watcher *w)
{
	const struct refusal *r = &refusals[i];
	CLEANUP_FREE char *lists = xasprintf("GET *%s*" MARK, r->of_watch ? "limit=" : "sendInitialEvents", i);
	CLEANUP_FREE char *watches = xasprintf("GET *resourceVersion=1*" MARK, i);
	assert_string_equal(w->trace, " +a:1 a:1>2");
	assert_int_equal(w->synced, r->of_watch && r->next == LIST_AGAIN ? 2 : 1); /* of each complete list */
	assert_int_equal(w->troubles, 1);
	assert_int_equal(w->trouble.http_status, r->status);
	assert_string_equal(w->trouble.reason, "Why");
	/* The server's words; to some the client adds its own. */
	assert_string_equal(w->trouble.message + strlen(w->trouble.message) - strlen("so it is"), "so it is");
	assert_int_equal(count_requests(f, lists), r->next == LIST_AGAIN ? 2 : 1);
	assert_int_equal(count_requests(f, watches), r->of_watch ? 2 : 0);
	if (r->status == 410) {
		assert_int_equal(w->retry_ms[0], 0);
		return;
	}
	assert_in_range(w->retry_ms[0], 400, 800);
	assert_waited(f, r->next == LIST_AGAIN ? lists : watches, 1, w, 0);
}

/* What they ask in all: the first list in one or two requests, what is refused, and what follows it. */
static unsigned requests_expected(void)
{
	unsigned n = 0;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		n += !refusals[i].of_watch ? 2 : refusals[i].next == WATCH_AGAIN ? 4 : 5;
	return n;
}

static bool all_say(const struct watcher *w, const char *trace)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (!str_eq(w[i].trace, trace))
			return false;
	return true;
}

static void bare_statuses(void **state)
{
	struct fixture f;
	struct watcher w[ARRAY_LEN(refusals)];
	struct kube_client *clients[ARRAY_LEN(refusals) / PER_CLIENT];
	CLEANUP_BUF struct buf script;
	buf_init(&script, 1u << 20);
	buf_addf(&script, HAS(OWN("a", "1", "1")) ",'answers':[");
	for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *r = &refusals[i];
		buf_addf(&script, "%s{'on':'GET *%s*" MARK "','status':%d,'body':" STATUS "}", i ? "," : "",
		         r->of_watch ? "resourceVersion=1" : "sendInitialEvents", i, r->status);
		if (r->of_watch)
			buf_addf(&script, "," PAGES(MARK), i);
	}
	buf_add_str(&script, "]");
	begin(&f, state, script.ptr);
	for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
		if (i % PER_CLIENT == 0)
			clients[i / PER_CLIENT] = connect_as(&f, f.loop.loop, NULL);
		watch(&w[i], clients[i / PER_CLIENT], i);
	}
	RUN_UNTIL(&f, count_requests(&f, "GET *") == requests_expected());
	call_succeeds(&f, CHANGE("a", "2"));
	RUN_UNTIL(&f, all_say(w, " +a:1 a:1>2"));
	assert_in_range(turns_in(&f, 500), 0, 50);
	for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
		assert_refusal(&f, i, &w[i]);
		informer_free(w[i].informer);
	}
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		kube_client_free(clients[i]);
	end(&f);
	server_done(&f.server);
}

#define REFUSE(mark, status, headers) \
	PAGES("=i%3D" mark)               \
	",{'on':'GET *resourceVersion=1*=i%3D" mark "','status':" status ",'headers':{" headers "}}"

static void waits_as_told(void **state)
{
	static const struct {
		int64_t min_ms, max_ms;
	} waits[] = {{2000, 2200}, {400, 800}, {1000, 1100}, {400, 800}};
	struct fixture f;
	struct watcher w[ARRAY_LEN(waits)];
	begin(
		&f, state,
		HAS(OWN("a", "1", "1")) ",'answers':[" REFUSE("000", "429", "'Retry-After':'2'") "," REFUSE(
			"001", "429", "") "," REFUSE("002", "503", "'Retry-After':'1'") "," REFUSE("003", "503", "") "]");
	for (unsigned i = 0; i < ARRAY_LEN(waits); i++)
		watch(&w[i], f.client, i);
	RUN_UNTIL(&f, w[0].troubles && w[1].troubles && w[2].troubles && w[3].troubles);
	assert_in_range(turns_in(&f, 1000), 0, 60);
	RUN_UNTIL(&f, count_requests(&f, "GET *watch=1*") == 3 * ARRAY_LEN(waits));
	for (unsigned i = 0; i < ARRAY_LEN(waits); i++) {
		CLEANUP_FREE char *watches = xasprintf("GET *resourceVersion=1*" MARK, i);
		assert_int_equal(w[i].troubles, 1);
		assert_in_range(w[i].retry_ms[0], waits[i].min_ms, waits[i].max_ms);
		assert_waited(&f, watches, 1, &w[i], 0);
		informer_free(w[i].informer);
	}
	end(&f);
	server_done(&f.server);
}

static void a_watch_that_ends_at_once(void **state)
{
	struct fixture f;
	struct watcher w;
	begin(&f, state,
	      HAS(OWN("a", "1", "1")) ",'answers':[" PAGES(
			  "=i%3D000") ","
	                      "{'on':'GET *resourceVersion=1*','lines':[],'end':true,'times':1000}]");
	watch(&w, f.client, 0);
	RUN_UNTIL(&f, w.troubles);
	assert_string_equal(w.trouble.message, "watch of things: the server ended it at once");
	assert_in_range(turns_in(&f, 4000), 0, 100);
	server_poll(&f.server);
	assert_int_equal(count_requests(&f, "GET *resourceVersion=1*"), w.troubles);
	assert_in_range(w.troubles, 3, 5);
	/* Doubling to 3 s, half of each at random. */
	static const int64_t full_ms[] = {800, 1600, 3000, 3000, 3000};
	for (unsigned i = 0; i + 1 < w.troubles; i++) {
		assert_in_range(w.retry_ms[i], full_ms[i] / 2, full_ms[i]);
		assert_waited(&f, "GET *resourceVersion=1*", i + 1, &w, i);
	}
	assert_string_equal(w.trace, " +a:1");
	informer_free(w.informer);
	end(&f);
	server_done(&f.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(bare_statuses),
		OVER_BOTH(waits_as_told),
		OVER_BOTH(a_watch_that_ends_at_once),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
