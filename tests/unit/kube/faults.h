#pragma once
/* What the tests against a server that misbehaves share: a client of a scripted server with TLS, over HTTP/2 and over
 * HTTP/1.1, informers that write down what they were told, and how often the loop went round. */
#include <fnmatch.h>
#include <valgrind/valgrind.h>
#include "base/clock.h"
#include "kube/informer.h"
#include "things.h"
#include "tls_files.h"

#define THINGS "/apis/g/v1/namespaces/ns/things"
/* Of the script: an object of the server's own, and how it begins with some. */
#define OWN(name, uid, n) "{'metadata':{'name':'" name "','uid':'" uid "'},'n':" n "}"
#define HAS(objects) "'objects':{'" THINGS "':[" objects "]}"

static struct folder files;

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	uv_prepare_t prepare;
	unsigned turns; /* of the loop */
};

static inline int make_files(void **state)
{
	(void)state;
	http_global_init();
	folder_init(&files);
	return 0;
}

static inline int remove_files(void **state)
{
	(void)state;
	folder_done(&files);
	http_global_done();
	return 0;
}

/* Tests to which *state is the protocol. */
/* clang-format off */
#define OVER_HTTP2(fn) {#fn " (h2)", fn, NULL, NULL, (char[]){"h2"}}
#define OVER_HTTP1(fn) {#fn " (http/1.1)", fn, NULL, NULL, (char[]){"http/1.1"}}
/* clang-format on */
#define OVER_BOTH(fn) OVER_HTTP2(fn), OVER_HTTP1(fn)

static inline void on_turn(uv_prepare_t *prepare)
{
	struct fixture *f = prepare->data;
	f->turns++;
}

static inline struct kube_client *connect_as(struct fixture *f, struct loop *l, const char *token)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *url = xasprintf("https://127.0.0.1:%d", f->server.port),
					  *ca = folder_file(&files, "ca.pem"), *who = token ? xstrdup(token) : NULL;
	struct kube_config cfg = {.server = url, .ca_file = ca, .token = who};
	struct kube_client *c = kube_client_new(l, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(c);
	return c;
}

/* members: of the script, but for what is about TLS. */
static inline void begin(struct fixture *f, void **state, const char *members)
{
	*f = (struct fixture){0};
	CLEANUP_FREE char *script = xasprintf("'alpn':['%s'],%s", (const char *)*state, members);
	server_start_secured(&f->server, &files, "server", script);
	patient_loop_init(&f->loop);
	uv_prepare_init(loop_uv(f->loop.loop), &f->prepare);
	f->prepare.data = f;
	uv_prepare_start(&f->prepare, on_turn);
	uv_unref((uv_handle_t *)&f->prepare);
	f->client = connect_as(f, f->loop.loop, NULL);
}

/* The server's requests can be looked at until server_done(). */
static inline void end(struct fixture *f)
{
	kube_client_free(f->client);
	uv_close((uv_handle_t *)&f->prepare, NULL);
	patient_loop_done(&f->loop);
	server_stop(&f->server);
}

/* Runs the loop until the condition holds. What the server has seen is read meanwhile: its pipe must not fill. */
#define RUN_UNTIL(f, condition)                                                   \
	do {                                                                          \
		struct loop_timer *look_ = loop_timer_new((f)->loop.loop, on_look, NULL); \
		int64_t end_ = mono_now().ms + PATIENCE_MS;                               \
		while (!(condition) && mono_now().ms < end_) {                            \
			loop_timer_arm(look_, 10);                                            \
			uv_run(loop_uv((f)->loop.loop), UV_RUN_ONCE);                         \
			server_poll(&(f)->server);                                            \
		}                                                                         \
		loop_timer_free(look_);                                                   \
		assert_true(condition);                                                   \
	} while (0)

static inline void on_look(void *arg)
{
	(void)arg;
}

static inline void on_time_over(void *arg)
{
	loop_stop(arg);
}

/* How often the loop goes round in that time. */
static inline unsigned turns_in(struct fixture *f, int64_t ms)
{
	struct loop_timer *timer = loop_timer_new(f->loop.loop, on_time_over, f->loop.loop);
	loop_timer_arm(timer, ms);
	unsigned before = f->turns;
	loop_run(f->loop.loop);
	loop_timer_free(timer);
	return f->turns - before;
}

/* What became of a request. */
struct outcome {
	unsigned calls;
	enum kube_outcome outcome;
	struct err err;
	int http_status;
	char resource_version[32];
};

static inline void on_outcome(void *arg, enum kube_outcome outcome, const struct kube_reply *r,
                              const struct err *err)
{
	struct outcome *o = arg;
	o->calls++;
	o->outcome = outcome;
	o->err = *err;
	o->http_status = r->http_status;
	str_copy(o->resource_version, sizeof(o->resource_version), r->resource_version);
}

static inline void start(struct fixture *f, enum kube_verb verb, const char *name, const char *body,
                         int64_t timeout_ms, struct outcome *o)
{
	*o = (struct outcome){.err = ERR_INIT};
	struct kube_request rq = {.verb = verb,
	                          .resource = &things.resource,
	                          .ns = "ns",
	                          .name = verb == KUBE_CREATE ? NULL : name,
	                          .body = slice_from(body),
	                          .timeout_ms = timeout_ms};
	kube_client_call(f->client, &rq, on_outcome, o);
	assert_int_equal(o->calls, 0);
}

static inline void call(struct fixture *f, enum kube_verb verb, const char *name, const char *body,
                        struct outcome *o)
{
	start(f, verb, name, body, 0, o);
	RUN_UNTIL(f, o->calls > 0);
	assert_int_equal(o->calls, 1);
}

static inline void call_succeeds(struct fixture *f, enum kube_verb verb, const char *name, const char *body)
{
	struct outcome o;
	call(f, verb, name, body, &o);
	assert_string_equal(o.err.message, "");
	assert_int_equal(o.outcome, KUBE_DONE);
}

#define CREATE(name, n) KUBE_CREATE, name, "{\"metadata\":{\"name\":\"" name "\"},\"n\":" n "}"
#define CHANGE(name, n) KUBE_PATCH_MERGE, name, "{\"n\":" n "}"
#define DELETE(name) KUBE_DELETE, name, NULL
#define GET(name) KUBE_GET, name, NULL

/* An informer, and what it was told as words. */
struct watcher {
	struct informer *informer;
	char trace[128];
	unsigned synced, troubles;
	struct err trouble;              /* the last */
	int64_t told_ms[8], retry_ms[8]; /* of the first ones: when by the loop, and the wait */
	struct loop *loop;
};

static inline void on_change(void *arg, const void *before, const void *after)
{
	struct watcher *w = arg;
	const struct thing *was = before, *is = after;
	const struct objmeta *meta = is ? &is->meta : &was->meta;
	size_t len = strlen(w->trace);
	char *to = w->trace + len;
	if (is && was)
		str_format(to, sizeof(w->trace) - len, " %s:%d>%d", meta->name, (int)was->n, (int)is->n);
	else
		str_format(to, sizeof(w->trace) - len, " %c%s:%d", is ? '+' : '-', meta->name,
		           is ? (int)is->n : (int)was->n);
}

static inline void on_synced(void *arg)
{
	struct watcher *w = arg;
	w->synced++;
}

static inline void on_undecodable(void *arg, const char *ns, const char *name, const struct err *err)
{
	(void)arg, (void)ns;
	fail_msg("%s: %s", name, err->message);
}

static inline void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	struct watcher *w = arg;
	if (w->troubles < ARRAY_LEN(w->told_ms)) {
		w->told_ms[w->troubles] = loop_now(w->loop).ms;
		w->retry_ms[w->troubles] = retry_ms;
	}
	w->troubles++;
	w->trouble = *err;
}

/* How the requests of one watcher end, in a script: "GET *" MARK. */
#define MARK "=i%%3D%03u"

/* An informer of all things. */
static inline void watch(struct watcher *w, struct kube_client *c, unsigned mark)
{
	CLEANUP_FREE char *selector = xasprintf("i=%03u", mark);
	*w = (struct watcher){.trouble = ERR_INIT, .loop = kube_client_loop(c)};
	struct informer_options o = {
		.type = &things,
		.ns = "ns",
		.label_selector = selector,
		.handler = {.on_change = on_change,
	                .on_synced = on_synced,
	                .on_undecodable = on_undecodable,
	                .on_trouble = on_trouble,
	                .arg = w},
	};
	w->informer = informer_new(c, &o);
	informer_start(w->informer);
}

/* Request number n of those that match, as the server's script does, and how many there are. */
static inline const char *saw(const struct fixture *f, const char *pattern, unsigned n, const char *member)
{
	for (size_t i = 0; i < json_array_size(f->server.requests); i++)
		if (fnmatch(pattern, server_saw(&f->server, i, "request"), 0) == 0 && n-- == 0)
			return server_saw(&f->server, i, member);
	return "";
}

/* who: with this token; NULL: anybody's. */
static inline unsigned count_by(const struct fixture *f, const char *pattern, const char *who)
{
	unsigned n = 0;
	CLEANUP_FREE char *authorization = who ? xasprintf("Bearer %s", who) : NULL;
	for (size_t i = 0; i < json_array_size(f->server.requests); i++)
		n += fnmatch(pattern, server_saw(&f->server, i, "request"), 0) == 0 &&
		     (!who || str_eq(server_saw(&f->server, i, "authorization"), authorization));
	return n;
}

static inline unsigned count_requests(const struct fixture *f, const char *pattern)
{
	return count_by(f, pattern, NULL);
}

/* That request number n, which came after trouble number i, came no earlier than was told. */
static inline void assert_waited(const struct fixture *f, const char *pattern, unsigned n,
                                 const struct watcher *w, unsigned i)
{
	int64_t came_ms = strtoll(saw(f, pattern, n, "ms"), NULL, 10);
	assert_true(came_ms >= w->told_ms[i] + w->retry_ms[i]);
}
