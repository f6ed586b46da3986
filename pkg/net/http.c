#include "net/http.h"
#include <assert.h>
#include <signal.h>
#include "base/mem.h"
#include "net/http_call.h"

#define MAX_RETRY_AFTER_MS (24 * 3600 * MS_PER_S)
#define NEVER INT64_MAX

static void pump(struct http_client *c);
static void deliver(struct http_client *c);

/* Takes a call out of the list it is on, and from libcurl. */
static void detach(struct http_call *call)
{
	struct http_client *c = call->client;
	enum call_state state = call->state;
	call->state = CALL_DELIVERED; /* from here on libcurl's callbacks for it do nothing */
	switch (state) {
	case CALL_WAITING:
		TAILQ_REMOVE(call->long_running ? &c->waiting_long : &c->waiting, call, link);
		c->n_waiting--;
		break;
	case CALL_RUNNING:
		curl_multi_remove_handle(http_multi_handle(c->multi), call->easy);
		TAILQ_REMOVE(&c->running, call, link);
		if (call->long_running)
			c->n_long_running--;
		else
			c->n_in_flight--;
		if (call->canceled)
			c->n_canceled--;
		break;
	case CALL_FINISHED:
		TAILQ_REMOVE(&c->finished, call, link);
		break;
	case CALL_DELIVERED:
		abort(); /* canceled from its own on_done */
	}
}

/* Detached already. */
static void free_call(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	loop_timer_free(call->timer);
	buf_done(&call->body);
	free(call->method);
	free(call->path);
	free(call->content_type);
	free(call->accept);
	free(call->request_body);
	free(call);
}

/* Ends a call: its on_done comes with the next deliver(). */
static void finish(struct http_call *call)
{
	struct http_client *c = call->client;
	detach(call);
	if (call->timer)
		loop_timer_stop(call->timer);
	call->state = CALL_FINISHED;
	call->round = c->round;
	TAILQ_INSERT_TAIL(&c->finished, call, link);
}

static void set_timeout_err(struct http_call *call, const char *what, int64_t ms)
{
	char text[64];
	str_format(text, sizeof(text), "%s %g s", what, (double)ms / (double)MS_PER_S);
	http_call_set_err(call, ERR_TIMEOUT, text);
}

static void arm_timer(struct http_call *call)
{
	if (call->timer == NULL)
		return;
	int64_t due_ms = call->deadline.ms;
	if (call->state == CALL_RUNNING && call->idle_timeout_ms > 0 &&
	    call->last_byte.ms + call->idle_timeout_ms < due_ms)
		due_ms = call->last_byte.ms + call->idle_timeout_ms;
	if (due_ms != NEVER)
		loop_timer_arm(call->timer, due_ms - loop_now(call->client->loop).ms);
}

/* Armed once; that bytes have come in the meantime is seen only here. */
static void on_call_timer(void *arg)
{
	struct http_call *call = arg;
	struct http_client *c = call->client;
	int64_t now_ms = loop_now(c->loop).ms;
	if (now_ms >= call->deadline.ms) {
		set_timeout_err(call, "not answered within", call->timeout_ms);
	} else if (call->state == CALL_RUNNING && call->idle_timeout_ms > 0 &&
	           now_ms >= call->last_byte.ms + call->idle_timeout_ms) {
		set_timeout_err(call, "nothing received for", call->idle_timeout_ms);
	} else {
		arm_timer(call);
		return;
	}
	finish(call);
	pump(c);
	deliver(c);
}

static void start(struct http_call *call)
{
	struct http_client *c = call->client;
	if (http_call_begin(call) != 0) {
		finish(call);
		loop_timer_arm(c->deliver_timer, 0);
		return;
	}
	TAILQ_REMOVE(call->long_running ? &c->waiting_long : &c->waiting, call, link);
	c->n_waiting--;
	TAILQ_INSERT_TAIL(&c->running, call, link);
	if (call->long_running)
		c->n_long_running++;
	else
		c->n_in_flight++;
	call->state = CALL_RUNNING;
	call->last_byte = loop_now(c->loop);
	arm_timer(call);
}

/* Starts what may start. */
static void pump(struct http_client *c)
{
	if (http_multi_busy(c->multi))
		return; /* on_progress() comes here afterwards */
	struct http_call *call;
	while ((call = TAILQ_FIRST(&c->waiting_long)) != NULL)
		start(call);
	while (c->n_in_flight < c->max_in_flight && (call = TAILQ_FIRST(&c->waiting)) != NULL)
		start(call);
}

/* "120" or an HTTP date. */
static int64_t retry_after_ms(struct http_call *call)
{
	struct curl_header *h;
	if (curl_easy_header(call->easy, "Retry-After", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return -1;
	int64_t s, ms;
	struct err ignored = ERR_INIT;
	if (slice_to_i64(slice_from(h->value), &s, &ignored) == 0) {
		if (s < 0)
			return -1;
		ms = s > MAX_RETRY_AFTER_MS / MS_PER_S ? MAX_RETRY_AFTER_MS : s * MS_PER_S;
	} else {
		time_t t = curl_getdate(h->value, NULL);
		if (t == -1)
			return -1;
		ms = (int64_t)t * MS_PER_S - wall_now().ms;
	}
	return ms < 0 ? 0 : ms > MAX_RETRY_AFTER_MS ? MAX_RETRY_AFTER_MS : ms;
}

static struct wall date_of(struct http_call *call)
{
	struct curl_header *h;
	if (curl_easy_header(call->easy, "Date", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return (struct wall){0};
	time_t t = curl_getdate(h->value, NULL);
	return (struct wall){t == -1 ? 0 : (int64_t)t * MS_PER_S};
}

/* Tells the callers, outside of libcurl, of what has ended until now; what ends by their doing has its turn later. */
static void deliver(struct http_client *c)
{
	uint64_t round = c->round++;
	struct http_call *call;
	while ((call = TAILQ_FIRST(&c->finished)) != NULL && call->round <= round) {
		detach(call);
		struct http_response r = {
			.status = call->status,
			.retry_after_ms = -1,
			.body = buf_slice(&call->body),
			.content_type = "",
			.sent = call->sent,
			.sent_again = call->sent_again,
		};
		if (r.status != 0) {
			char *type = NULL;
			curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
			r.content_type = type ? type : "";
			r.retry_after_ms = retry_after_ms(call);
			r.date = date_of(call);
		}
		if (call->cb.on_done)
			call->cb.on_done(call->cb.arg, &r, &call->err);
		free_call(call);
	}
}

static void on_deliver_timer(void *arg)
{
	deliver(arg);
}

static void remove_canceled(struct http_client *c)
{
	struct http_call *call = TAILQ_FIRST(&c->running);
	while (call && c->n_canceled > 0) {
		struct http_call *next = TAILQ_NEXT(call, link);
		if (call->canceled) {
			detach(call);
			free_call(call);
		}
		call = next;
	}
}

static void on_progress(void *arg)
{
	struct http_client *c = arg;
	remove_canceled(c);
	int left;
	const struct CURLMsg *msg;
	while ((msg = curl_multi_info_read(http_multi_handle(c->multi), &left)) != NULL) {
		CURLcode result = msg->data.result;
		struct http_call *call = NULL;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		if (result != CURLE_OK)
			http_call_set_curl_err(call, result);
		finish(call);
	}
	deliver(c);
	pump(c);
}

struct http_client *http_client_new(struct loop *l, const struct http_client_options *o, struct err *err)
{
	assert(o->max_connections > 0 && o->max_in_flight > 0);
	struct http_conf conf;
	if (http_conf_init(&conf, o, err) != 0)
		return NULL;
	struct http_client *c = xcalloc(1, sizeof(*c));
	c->loop = l;
	c->conf = conf;
	c->max_in_flight = o->max_in_flight;
	c->authorization = o->authorization;
	c->authorization_arg = o->authorization_arg;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->waiting_long);
	TAILQ_INIT(&c->running);
	TAILQ_INIT(&c->finished);
	c->deliver_timer = loop_timer_new(l, on_deliver_timer, c);
	c->multi = http_multi_new(l, on_progress, c);
	CURLM *multi = http_multi_handle(c->multi);
	curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)o->max_connections);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)o->max_connections);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	assert(!http_multi_busy(c->multi));
	struct call_list *lists[] = {&c->waiting, &c->waiting_long, &c->running, &c->finished};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct http_call *call;
		while ((call = TAILQ_FIRST(lists[i])) != NULL) {
			detach(call);
			free_call(call);
		}
	}
	http_multi_free(c->multi);
	loop_timer_free(c->deliver_timer);
	http_conf_done(&c->conf);
	free(c);
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

struct http_call *http_client_call(struct http_client *c, const struct http_request *r,
                                   const struct http_callbacks *cb)
{
	struct http_call *call = xcalloc(1, sizeof(*call));
	call->client = c;
	call->method = xstrdup(r->method);
	call->path = xstrdup(r->path);
	call->content_type = dup_or_null(r->content_type);
	call->accept = dup_or_null(r->accept);
	if (r->body.len > 0) {
		call->request_body = xmalloc(r->body.len);
		memcpy(call->request_body, r->body.ptr, r->body.len);
		call->request_body_len = r->body.len;
	}
	call->cb = *cb;
	call->timeout_ms = r->timeout_ms;
	call->idle_timeout_ms = r->idle_timeout_ms;
	call->long_running = r->long_running;
	call->err = ERR_INIT;
	buf_init(&call->body, r->max_body_bytes ? r->max_body_bytes : HTTP_DEFAULT_MAX_BODY_BYTES);
	call->deadline.ms = r->timeout_ms > 0 ? loop_now(c->loop).ms + r->timeout_ms : NEVER;
	if (r->timeout_ms > 0 || r->idle_timeout_ms > 0)
		call->timer = loop_timer_new(c->loop, on_call_timer, call);
	call->state = CALL_WAITING;
	TAILQ_INSERT_TAIL(call->long_running ? &c->waiting_long : &c->waiting, call, link);
	c->n_waiting++;
	arm_timer(call);
	pump(c);
	return call;
}

void http_call_cancel(struct http_call *call)
{
	struct http_client *c = call->client;
	if (call->state == CALL_RUNNING && http_multi_busy(c->multi)) {
		call->canceled = true;
		c->n_canceled++;
		return;
	}
	detach(call);
	free_call(call);
	pump(c);
}

struct http_client_stats http_client_stats(const struct http_client *c)
{
	return (struct http_client_stats){
		.in_flight = c->n_in_flight,
		.waiting = c->n_waiting,
		.long_running = c->n_long_running,
		.connections_opened = c->connections_opened,
	};
}

void http_global_init(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		abort();
}

void http_global_done(void)
{
	curl_global_cleanup();
}

const char *http_library_version(void)
{
	static char text[160];
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	str_format(text, sizeof(text), "libcurl/%s %s nghttp2/%s", v->version,
	           v->ssl_version ? v->ssl_version : "no-TLS", v->nghttp2_version ? v->nghttp2_version : "none");
	return text;
}
