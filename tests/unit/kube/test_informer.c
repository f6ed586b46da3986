#include "kube/informer.h"
#include "scripted_server.h"
#include "things.h"

/* What the server answers, see scripted_server.h. */
/* clang-format off */
#define REFUSED "{'on':'GET','status':422,'body':{'kind':'Status','reason':'Invalid','message':'no'}}"

static const char streaming_list[] = "["
	"{'on':'GET','lines':["
		EVENT("ADDED", "a", "1", "10", "1") ","
		EVENT("ADDED", "b", "2", "11", "2") ","
		LIST_END("12") ","
		EVENT("MODIFIED", "a", "1", "13", "3") ","
		EVENT("MODIFIED", "a", "1", "13", "3") ","
		EVENT("DELETED", "b", "2", "14", "2") ","
		EVENT("DELETED", "unknown", "2", "14", "2") ","
		EVENT("ADDED", "b", "5", "15", "4") ","
		BOOKMARK("20") ","
		GONE "]},"
	/* While nobody watched, a was replaced and b went. */
	"{'on':'GET','end':true,'lines':["
		EVENT("ADDED", "a", "6", "21", "5") ","
		EVENT("ADDED", "c", "7", "22", "6") ","
		LIST_END("30") "]},"
	"{'on':'GET','lines':["
		EVENT("MODIFIED", "c", "7", "31", "7") "]}]";

static const char pages[] = "["
	REFUSED ","
	"{'on':'GET','body':{'items':["
		OBJECT("a", "1", "10", "1") ","
		OBJECT("b", "2", "11", "2") "],"
		"'metadata':{'resourceVersion':'12','continue':'x+/='}}},"
	"{'on':'GET','body':{'metadata':{'resourceVersion':'12','continue':''},'items':["
		OBJECT("c", "3", "12", "3") "]}},"
	"{'on':'GET','end':true,'lines':["
		GONE "]},"
	"{'on':'GET','body':{'metadata':{'resourceVersion':'20'},'items':["
		OBJECT("b", "2", "11", "2") "]}},"
	"{'on':'GET','lines':["
		EVENT("ADDED", "d", "4", "21", "4") "]}]";

/* A list without a version, one cut short, a server that is not ready. */
static const char bad_pages[] = "["
	REFUSED ","
	"{'on':'GET','body':{'items':null}},"
	"{'on':'GET','body':'{\\'metadata\\':{\\'resourceVersion\\':\\'1\\'},\\'items\\':['},"
	"{'on':'GET','status':503},"
	"{'on':'GET','body':{'metadata':{'resourceVersion':'1'},'items':null}},"
	"{'on':'GET','lines':[]}]";

static const char undecodable[] = "["
	REFUSED ","
	"{'on':'GET','body':{'metadata':{'resourceVersion':'12'},'items':["
		OBJECT("a", "1", "10", "1") ","
		OBJECT("b", "2", "11", "'text'") ","
		"{" META("c", "3", "11") ",'s':['}]\\'',99999999999999999999]},"
		"{'n':7},"
		"[7],"
		OBJECT("d", "4", "12", "4") "]}},"
	"{'on':'GET','end':true,'lines':["
		EVENT("MODIFIED", "a", "1", "13", "'text'") ","
		EVENT("MODIFIED", "d", "9", "14", "'text'") ","
		"{'type':'ADDED','object':{" META("e", "5", "15") ",'s':99999999999999999999}},"
		EVENT("DELETED", "b", "2", "15", "'text'") ","
		GONE "]},"
	"{'on':'GET','body':{'metadata':{'resourceVersion':'20'},'items':["
		OBJECT("a", "1", "13", "'text'") "]}},"
	"{'on':'GET','lines':["
		EVENT("DELETED", "a", "1", "21", "'text'") "]}]";

static const char server_away[] = "["
	"{'on':'GET','cut':true},"
	"{'on':'GET','status':401},"
	"{'on':'GET','end':true,'lines':["
		LIST_END("1") ","
		EVENT("ADDED", "a", "1", "2", "1") "]},"
	"{'on':'GET','lines':['no event']},"
	"{'on':'GET','lines':["
		LIST_END("5") "]}]";

static const char one_object[] = "["
	"{'on':'GET /apis','lines':["
		EVENT("ADDED", "a", "1", "10", "1") "]},"
	"{'on':'GET /version'}]";
/* clang-format on */

#define LIST_PATH "GET /apis/g/v1/namespaces/ns/things"
#define STREAM_PARAMS \
	"watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	struct metrics *metrics;
	struct informer *informer;
	struct buf trace;  /* what the handler was told, in words */
	const char *until; /* the trace's end that ends the run */
	struct err trouble;
};

static void told(struct fixture *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void told(struct fixture *f, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_add_str(&f->trace, f->trace.len ? " " : "");
	buf_add_str(&f->trace, text);
	size_t len = strlen(f->until);
	if (f->trace.len >= len && str_eq(f->trace.ptr + f->trace.len - len, f->until))
		loop_stop(f->loop.loop);
}

static void on_change(void *arg, const void *before, const void *after)
{
	struct fixture *f = arg;
	const struct thing *was = before, *is = after;
	const struct objmeta *meta = is ? &is->meta : &was->meta;
	assert_ptr_equal(store_get(informer_store(f->informer), meta->ns, meta->name), is);
	if (is && was)
		told(f, "%s:%d>%d", meta->name, (int)was->n, (int)is->n);
	else
		told(f, "%c%s:%d", is ? '+' : '-', meta->name, is ? (int)is->n : (int)was->n);
}

static void on_synced(void *arg)
{
	struct fixture *f = arg;
	assert_true(informer_synced(f->informer));
	told(f, "synced");
}

static void on_undecodable(void *arg, const char *ns, const char *name, const struct err *err)
{
	struct fixture *f = arg;
	assert_int_equal(err->code, ERR_INVALID);
	told(f, "bad:%s/%s", ns, name);
}

static void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	struct fixture *f = arg;
	static const char *const kinds[] = {
		[ERR_HTTP] = "http", [ERR_TRANSPORT] = "transport", [ERR_INVALID] = "invalid"};
	f->trouble = *err;
	told(f, "trouble:%s%s", kinds[err->code], retry_ms > 0 ? "+wait" : "");
}

static void begin(struct fixture *f, const char *script)
{
	*f = (struct fixture){.until = ""};
	buf_init(&f->trace, 1u << 16);
	server_start(&f->server, script);
	patient_loop_init(&f->loop);
	f->metrics = metrics_new();
	struct err err = ERR_INIT;
	struct kube_config cfg = {.server = f->server.url};
	f->client =
		kube_client_new(f->loop.loop, &cfg, &(struct kube_client_options){.metrics = f->metrics}, &err);
	assert_non_null(f->client);
	struct informer_options o = {
		.type = &things,
		.ns = "ns",
		.label_selector = "a=b,c",
		.field_selector = "d!=e",
		.handler = {.on_change = on_change,
	                .on_synced = on_synced,
	                .on_undecodable = on_undecodable,
	                .on_trouble = on_trouble,
	                .arg = f},
	};
	f->informer = informer_new(f->client, &o);
	informer_start(f->informer);
	assert_false(informer_synced(f->informer));
}

static void run_until(struct fixture *f, const char *until)
{
	f->until = until;
	patient_loop_run(&f->loop);
}

static void end(struct fixture *f)
{
	informer_free(f->informer);
	kube_client_free(f->client);
	patient_loop_done(&f->loop);
	server_stop(&f->server);
	metrics_free(f->metrics);
	buf_done(&f->trace);
}

static void assert_request(const struct fixture *f, size_t n, const char *path, const char *params)
{
	/* The server-side timeout is random. */
	CLEANUP_FREE char *seen = xstrdup(server_saw(&f->server, n, "request"));
	char *timeout = strstr(seen, "&timeoutSeconds=");
	if (timeout) {
		char *after = timeout + strlen("&timeoutSeconds=");
		after += strspn(after, "0123456789");
		memmove(timeout, after, strlen(after) + 1);
	}
	CLEANUP_FREE char *want =
		xasprintf("%s?%s&labelSelector=a%%3Db%%2Cc&fieldSelector=d%%21%%3De", path, params);
	assert_string_equal(seen, want);
}

static void test_streaming_list(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, streaming_list);
	run_until(&f, "c:6>7");
	assert_string_equal(f.trace.ptr, "+a:1 +b:2 synced a:1>3 -b:2 +b:4 trouble:http -a:3 +a:5 +c:6 -b:4 "
	                                 "synced trouble:transport+wait c:6>7");
	assert_int_equal(store_count(informer_store(f.informer)), 2);
	const struct kube_informer_metrics *m = kube_client_informer_metrics(f.client);
	assert_true(metric_get(m->relists, (const char *[]){"things"}) == 1);
	assert_true(metric_get(m->watch_events, (const char *[]){"things", "added"}) == 5);
	assert_true(metric_get(m->watch_events, (const char *[]){"things", "modified"}) == 3);
	assert_true(metric_get(m->watch_events, (const char *[]){"things", "deleted"}) == 2);
	assert_true(metric_get(m->watch_events, (const char *[]){"things", "bookmark"}) == 3);
	assert_true(metric_get(m->watch_events, (const char *[]){"things", "error"}) == 1);
	end(&f);
	assert_request(&f, 0, LIST_PATH, STREAM_PARAMS);
	assert_request(&f, 1, LIST_PATH, STREAM_PARAMS);
	assert_request(&f, 2, LIST_PATH, "watch=1&allowWatchBookmarks=true&resourceVersion=30");
	server_done(&f.server);
}

static void test_pages(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, pages);
	run_until(&f, "+d:4");
	assert_string_equal(f.trace.ptr, "+a:1 +b:2 +c:3 synced trouble:http -a:1 -c:3 synced +d:4");
	end(&f);
	assert_request(&f, 0, LIST_PATH, STREAM_PARAMS);
	assert_request(&f, 1, LIST_PATH, "limit=100");
	assert_request(&f, 2, LIST_PATH, "limit=100&continue=x%2B%2F%3D");
	assert_request(&f, 3, LIST_PATH, "watch=1&allowWatchBookmarks=true&resourceVersion=12");
	assert_request(&f, 4, LIST_PATH, "limit=100");
	server_done(&f.server);
}

static void test_bad_pages(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, bad_pages);
	run_until(&f, "synced");
	assert_string_equal(f.trace.ptr, "trouble:invalid+wait trouble:invalid+wait trouble:http+wait synced");
	end(&f);
	server_done(&f.server);
}

/* One object that cannot be read stops nothing, keeps its last good view and is still deleted. */
static void test_undecodable(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, undecodable);
	run_until(&f, "-a:1");
	assert_string_equal(
		f.trace.ptr,
		"+a:1 bad:ns/b bad:ns/c bad:/ bad:/ +d:4 synced bad:ns/a -d:4 bad:ns/d bad:ns/e trouble:http "
		"bad:ns/a synced -a:1");
	assert_int_equal(store_count(informer_store(f.informer)), 0);
	const struct kube_informer_metrics *m = kube_client_informer_metrics(f.client);
	assert_true(metric_get(m->undecodable, (const char *[]){"things"}) == 8);
	end(&f);
	server_done(&f.server);
}

static void test_server_away(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, server_away);
	run_until(&f, "-a:1");
	assert_string_equal(f.trace.ptr,
	                    "trouble:transport+wait trouble:http+wait synced +a:1 trouble:transport+wait "
	                    "trouble:invalid+wait -a:1 synced");
	end(&f);
	assert_request(&f, 3, LIST_PATH, "watch=1&allowWatchBookmarks=true&resourceVersion=2");
	server_done(&f.server);
}

/* A handler may use the client, and what runs ends quietly. */
static void on_version(void *arg, enum kube_outcome outcome, const struct kube_reply *r,
                       const struct err *err)
{
	(void)r, (void)err;
	assert_int_equal(outcome, KUBE_DONE);
	told(arg, "version");
}

static void on_change_that_calls(void *arg, const void *before, const void *after)
{
	struct fixture *f = arg;
	on_change(arg, before, after);
	kube_client_get_path(f->client, "/version", on_version, f);
}

static void test_free_while_open(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, one_object);
	informer_free(f.informer);
	struct informer_options o = {.type = &things, .handler = {.on_change = on_change_that_calls, .arg = &f}};
	f.informer = informer_new(f.client, &o);
	informer_start(f.informer);
	run_until(&f, "version");
	assert_string_equal(f.trace.ptr, "+a:1 version");
	informer_free(NULL);
	end(&f);
	server_done(&f.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streaming_list), cmocka_unit_test(test_pages),
		cmocka_unit_test(test_bad_pages),      cmocka_unit_test(test_undecodable),
		cmocka_unit_test(test_server_away),    cmocka_unit_test(test_free_while_open),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failed;
}
