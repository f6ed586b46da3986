#pragma once
/* What the tests of the HTTP client share: a server, and calls that write down what becomes of them. */
#include "net/http.h"
#include "web.h"

#define PATIENCE_MS 20000

static struct web web;
static struct loop *loop;

/* What became of a call, and what its callbacks do. */
struct reply {
	struct http_call *call;
	unsigned done;
	int status, seen_status;
	enum err_code code;
	char message[768], content_type[64];
	int64_t retry_after_ms;
	struct wall date;
	bool sent;
	struct buf body; /* collected or streamed */
	unsigned chunks;
	int data_result;
	void (*on_status)(struct reply *r);
	void (*on_data)(struct reply *r);
	void (*on_done)(struct reply *r);
	struct http_client *client; /* for the three */
	struct reply *other;
};

static inline void on_status(void *arg, int status)
{
	struct reply *r = arg;
	assert_int_equal(r->seen_status, 0);
	assert_int_equal(r->done, 0);
	r->seen_status = status;
	if (r->on_status)
		r->on_status(r);
}

static inline int on_data(void *arg, struct slice data)
{
	struct reply *r = arg;
	assert_true(data.len > 0);
	assert_int_equal(r->done, 0);
	buf_add_slice(&r->body, data);
	r->chunks++;
	if (r->on_data)
		r->on_data(r);
	return r->data_result;
}

static inline void on_done(void *arg, const struct http_response *response, const struct err *err)
{
	struct reply *r = arg;
	r->done++;
	r->call = NULL;
	r->status = response->status;
	r->code = err->code;
	r->sent = response->sent;
	r->retry_after_ms = response->retry_after_ms;
	r->date = response->date;
	str_copy(r->message, sizeof(r->message), err->message);
	str_copy(r->content_type, sizeof(r->content_type), response->content_type);
	buf_add_slice(&r->body, response->body);
	if (r->on_done)
		r->on_done(r);
}

static inline void reply_done(struct reply *r)
{
	buf_done(&r->body);
}
#define CLEANUP_REPLY CLEANUP(reply_done)

static inline void call(struct http_client *c, struct reply *r, struct http_request request)
{
	struct http_callbacks callbacks = {.on_status = on_status, .on_done = on_done, .arg = r};
	if (request.long_running)
		callbacks.on_data = on_data;
	if (request.method == NULL)
		request.method = "GET";
	if (r->body.max == 0)
		buf_init(&r->body, WEB_MAX_BODY);
	r->client = c;
	unsigned done = r->done;
	r->call = http_client_call(c, &request, &callbacks);
	assert_int_equal(r->done, done);
	assert_int_equal(r->seen_status, 0);
}

static inline void tick(uv_timer_t *t)
{
	(void)t;
}

/* Runs the loop until the condition holds. */
#define WAIT(condition)                              \
	do {                                             \
		uv_timer_t ticker_;                          \
		uv_timer_init(loop_uv(loop), &ticker_);      \
		uv_timer_start(&ticker_, tick, 20, 20);      \
		int64_t end_ = mono_now().ms + PATIENCE_MS;  \
		while (!(condition) && mono_now().ms < end_) \
			uv_run(loop_uv(loop), UV_RUN_ONCE);      \
		uv_close((uv_handle_t *)&ticker_, NULL);     \
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);        \
		assert_true(condition);                      \
	} while (0)

static inline void answer_path(struct web *w, struct exchange *x)
{
	(void)w;
	exchange_answer(x, "200 OK", x->path);
}

static inline void hold(struct web *w, struct exchange *x)
{
	w->held = x;
}

static inline void stream(struct web *w, struct exchange *x)
{
	hold(w, x);
	exchange_begin(x);
	exchange_chunk(x, "{\"first\":1}\n");
}

/* Watches are streams, all else is left without an answer. */
static inline void stream_watches(struct web *w, struct exchange *x)
{
	if (str_eq(x->path, "/watch"))
		stream(w, x);
}

static inline int group_setup(void **state)
{
	(void)state;
	http_global_init();
	loop = loop_new();
	web_start(&web, loop_uv(loop));
	return 0;
}

static inline int group_teardown(void **state)
{
	(void)state;
	web_stop(&web);
	loop_free(loop);
	http_global_done();
	return 0;
}

static inline int setup(void **state)
{
	(void)state;
	web.on_request = answer_path;
	web.n_requests = web.n_dropped = 0;
	web.held = NULL;
	return 0;
}

/* A client of that port that trusts our CA, unless `o` says otherwise. */
static inline struct http_client *client_of(int port, struct http_client_options o)
{
	CLEANUP_FREE char *url =
		xasprintf("http%s://%s:%d", port >= WEB_PORT_PLAIN ? "" : "s", web.address, port);
	CLEANUP_FREE char *ca = web_path(&web, "ca.pem");
	if (o.base_url == NULL)
		o.base_url = url;
	if (o.ca_file == NULL && o.ca_pem == NULL)
		o.ca_file = ca;
	if (o.max_connections == 0)
		o.max_connections = 4;
	if (o.max_in_flight == 0)
		o.max_in_flight = 64;
	if (o.connect_timeout_ms == 0)
		o.connect_timeout_ms = 10000;
	struct err err = ERR_INIT;
	struct http_client *c = http_client_new(loop, &o, &err);
	assert_string_equal(err.message, "");
	assert_non_null(c);
	return c;
}

static inline void assert_answer(const struct reply *r, int status, const char *body)
{
	assert_int_equal(r->done, 1);
	assert_string_equal(r->message, "");
	assert_int_equal(r->code, ERR_NONE);
	assert_int_equal(r->status, status);
	assert_int_equal(r->seen_status, status);
	assert_true(r->sent);
	assert_string_equal(r->body.len ? r->body.ptr : "", body);
}

static inline void assert_failure(const struct reply *r, enum err_code code, bool sent, const char *message)
{
	assert_int_equal(r->done, 1);
	if (strstr(r->message, message) == NULL)
		fail_msg("no \"%s\" in \"%s\"", message, r->message);
	assert_int_equal(r->code, code);
	assert_int_equal(r->sent, sent);
}

#define HTTP_TEST(name) cmocka_unit_test_setup(name, setup)
