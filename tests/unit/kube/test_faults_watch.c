/* Lists and watches that a server ends in its own ways: nothing is lost, nothing is told twice, and the store ends right. */
#include "faults.h"

/* What the first stream says before it breaks; the server has a as 3, and c, by then. */
#define FIRST EVENT("ADDED", "a", "1", "10", "1") "," EVENT("ADDED", "b", "2", "11", "2") "," LIST_END("11")
#define LATER HAS(OWN("a", "1", "3") "," OWN("c", "3", "4"))

static void expired_in_the_stream(void **state)
{
	struct fixture f;
	struct watcher w;
	begin(&f, state, LATER ",'answers':[{'on':'GET','lines':[" FIRST ",null," GONE "]}]");
	watch(&w, f.client, 0);
	RUN_UNTIL(&f, w.synced);
	server_go_on(&f.server);
	RUN_UNTIL(&f, str_eq(w.trace, " +a:1 +b:2 a:1>3 +c:4 -b:2"));
	assert_int_equal(w.troubles, 1);
	assert_int_equal(w.trouble.http_status, 410);
	assert_string_equal(w.trouble.reason, "Expired");
	assert_int_equal(w.retry_ms[0], 0);
	assert_in_range(turns_in(&f, 500), 0, 20);
	informer_free(w.informer);
	end(&f);
	assert_int_equal(count_requests(&f, "GET *sendInitialEvents*"), 2);
	assert_int_equal(json_array_size(f.server.requests), 2);
	server_done(&f.server);
}

#define EXPIRED                                                                                             \
	"'{\\n  \\'kind\\': \\'Status\\',\\n  \\'message\\': \\'The provided continue parameter is too old\\'," \
	"\\n  \\'reason\\': \\'Expired\\',\\n  \\'code\\': 410\\n}'"
#define PAGE(objects, token) \
	"{'metadata':{'resourceVersion':'20','continue':'" token "'},'items':[" objects "]}"

static void expired_in_the_third_page(void **state)
{
	struct fixture f;
	struct watcher w;
	begin(&f, state,
	      HAS() ",'answers':["
	            "{'on':'GET *sendInitialEvents','status':422},"
	            "{'on':'GET','body':" PAGE(
					OBJECT("a", "1", "10", "1") "," OBJECT("b", "2", "11", "2"),
					"x+/=") "},"
	                        "{'on':'GET *continue=x%2B%2F%3D','body':" PAGE(
								OBJECT("c", "3", "12", "3"),
								"y&?") "},"
	                                   "{'on':'GET *continue=y%26%3F','status':410,'body':" EXPIRED "},"
	                                   "{'on':'GET','body':" PAGE(
										   OBJECT("a", "1", "15", "4") "," OBJECT("c", "9", "16", "5"),
										   "") "}]");
	watch(&w, f.client, 0);
	RUN_UNTIL(&f, w.synced);
	/* Of c there is another now. What went is told, though no DELETED event ever came. */
	assert_string_equal(w.trace, " +a:1 +b:2 +c:3 a:1>4 -c:3 +c:5 -b:2");
	assert_int_equal(w.troubles, 1);
	assert_int_equal(w.trouble.http_status, 410);
	assert_string_equal(w.trouble.message, "The provided continue parameter is too old");
	assert_int_equal(w.retry_ms[0], 0);
	RUN_UNTIL(&f, count_requests(&f, "GET *watch=1*resourceVersion=20*") == 1);
	assert_in_range(turns_in(&f, 500), 0, 20);
	informer_free(w.informer);
	end(&f);
	assert_int_equal(json_array_size(f.server.requests), 6);
	server_done(&f.server);
}

/* A connection that goes away ends what it carries; what it did not look at is asked on another. */
static void a_watch_goes_on_through_a_goaway(void **state)
{
	static const char *const how[] = {"seen", "unseen", "refused"};
	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		struct fixture f;
		struct watcher w;
		CLEANUP_FREE char *members =
			xasprintf(HAS(OWN("a", "1", "1")) ",'answers':[{'on':'GET " THINGS "/a','goaway':'%s'}]", how[i]);
		begin(&f, state, members);
		watch(&w, f.client, 0);
		RUN_UNTIL(&f, w.synced);
		call_succeeds(&f, GET("a"));
		call_succeeds(&f, GET("a"));
		call_succeeds(&f, CHANGE("a", "2"));
		RUN_UNTIL(&f, str_eq(w.trace, " +a:1 a:1>2"));
		assert_in_range(turns_in(&f, 500), 0, 20);
		assert_int_equal(w.troubles, 0);
		informer_free(w.informer);
		end(&f);
		assert_int_equal(count_requests(&f, "GET *watch=1*"), 1);
		assert_int_equal(count_requests(&f, "GET *things/a"), i == 0 ? 2 : 3);
		assert_string_not_equal(saw(&f, "GET *things/a", 0, "connection"),
		                        saw(&f, "GET *things/a", 1, "connection"));
		server_done(&f.server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(expired_in_the_stream),
		OVER_BOTH(expired_in_the_third_page),
		OVER_HTTP2(a_watch_goes_on_through_a_goaway),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
