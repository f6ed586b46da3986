#include "kube/transport.h"
#include <sys/queue.h>
#include "base/mem.h"
#include "kube/credentials.h"

#define CONNECT_TIMEOUT_MS (10 * MS_PER_S)
#define MAX_IN_FLIGHT 64
#define REAP_MS (5 * MS_PER_S)

/* With one, a connection that was told to go away but still carries a watch would block its replacement. With HTTP/2 calls
 * share; behind a proxy that speaks HTTP/1.1 only, each watch needs a connection of its own. */
static const unsigned max_connections[TRANSPORT_LANES] = {[TRANSPORT_READS] = 8, [TRANSPORT_WRITES] = 2};

struct transport_call {
	TAILQ_ENTRY(transport_call) link; /* of transport->running or ->waiting */
	struct transport *transport;
	enum transport_lane lane;
	struct http_callbacks cb;
	/* Running. */
	struct http_call *http; /* NULL: it waits */
	struct http_client *via;
	unsigned generation; /* of the credential */
	/* Waiting. */
	struct http_request request; /* a copy */
	struct mono deadline;
	struct loop_timer *timer; /* the deadline, or now to tell err; NULL: neither */
	struct err err;
};
TAILQ_HEAD(call_list, transport_call);

/* Connections that only end what they carry. */
struct retired {
	TAILQ_ENTRY(retired) link;
	struct http_client *http;
	bool idle; /* at the last look already */
};

struct transport {
	struct loop *loop;
	struct kube_config cfg;
	char *user_agent;
	struct credentials *credentials;
	unsigned identity; /* the one that the lanes show */
	struct http_client *lanes[TRANSPORT_LANES];
	TAILQ_HEAD(, retired) retired;
	struct loop_timer *reap_timer;
	struct call_list running, waiting; /* waiting: in order of arrival */
};

/* Connections */

static struct http_client *open_lane(struct transport *t, enum transport_lane lane, struct err *err)
{
	struct http_client_options o = {
		.base_url = t->cfg.server,
		.ca_file = t->cfg.ca_file,
		.ca_pem = t->cfg.ca_pem,
		.tls_server_name = t->cfg.tls_server_name,
		.insecure_skip_verify = t->cfg.insecure_skip_verify,
		.proxy_url = t->cfg.proxy_url,
		.user_agent = t->user_agent,
		.max_connections = max_connections[lane],
		.max_in_flight = MAX_IN_FLIGHT,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	credentials_apply(t->credentials, &o);
	return http_client_new(t->loop, &o, err);
}

static void on_reap_timer(void *arg)
{
	struct transport *t = arg;
	struct retired *next;
	for (struct retired *r = TAILQ_FIRST(&t->retired); r; r = next) {
		next = TAILQ_NEXT(r, link);
		struct http_client_stats s = http_client_stats(r->http);
		bool idle = s.in_flight + s.waiting + s.long_running == 0;
		/* Twice: the end of its last call may not have been told yet. */
		if (idle && r->idle) {
			TAILQ_REMOVE(&t->retired, r, link);
			http_client_free(r->http);
			free(r);
			continue;
		}
		r->idle = idle;
	}
	if (!TAILQ_EMPTY(&t->retired))
		loop_timer_arm(t->reap_timer, REAP_MS);
}

static void renew_lane(struct transport *t, enum transport_lane lane)
{
	struct err ignored = ERR_INIT; /* the same address was good before */
	struct http_client *fresh = open_lane(t, lane, &ignored);
	if (!fresh)
		return;
	struct retired *r = xcalloc(1, sizeof(*r));
	r->http = t->lanes[lane];
	if (TAILQ_EMPTY(&t->retired))
		loop_timer_arm(t->reap_timer, REAP_MS);
	TAILQ_INSERT_TAIL(&t->retired, r, link);
	t->lanes[lane] = fresh;
}

/* Calls */

static void free_request(struct http_request *r)
{
	char *owned[] = {(char *)(uintptr_t)r->method, (char *)(uintptr_t)r->path,
	                 (char *)(uintptr_t)r->content_type, (char *)(uintptr_t)r->accept,
	                 (char *)(uintptr_t)r->body.ptr};
	for (size_t i = 0; i < ARRAY_LEN(owned); i++)
		free(owned[i]);
	*r = (struct http_request){0};
}

static void copy_request(const struct http_request *r, struct http_request *ret)
{
	*ret = *r;
	ret->method = xstrdup(r->method);
	ret->path = xstrdup(r->path);
	ret->content_type = r->content_type ? xstrdup(r->content_type) : NULL;
	ret->accept = r->accept ? xstrdup(r->accept) : NULL;
	ret->body.ptr = r->body.len > 0 ? xstrndup(r->body.ptr, r->body.len) : NULL;
}

static void free_call(struct transport_call *call)
{
	struct transport *t = call->transport;
	TAILQ_REMOVE(call->http ? &t->running : &t->waiting, call, link);
	loop_timer_free(call->timer);
	free_request(&call->request);
	free(call);
}

static void on_status(void *arg, int status)
{
	struct transport_call *call = arg;
	call->cb.on_status(call->cb.arg, status);
}

/* The receiver may cancel the call in this and in the above. */
static int on_data(void *arg, struct slice data)
{
	struct transport_call *call = arg;
	return call->cb.on_data(call->cb.arg, data);
}

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct transport_call *call = arg;
	struct transport *t = call->transport;
	struct http_callbacks cb = call->cb;
	credentials_note_answer(t->credentials, call->generation, r->status);
	if (err->code == ERR_TIMEOUT && r->sent && call->via == t->lanes[call->lane])
		renew_lane(t, call->lane);
	free_call(call);
	cb.on_done(cb.arg, r, err);
}

static void send_call(struct transport_call *call, const struct http_request *r)
{
	struct transport *t = call->transport;
	struct http_callbacks callbacks = {
		.on_status = call->cb.on_status ? on_status : NULL,
		.on_data = call->cb.on_data ? on_data : NULL,
		.on_done = on_done,
		.arg = call,
	};
	call->via = t->lanes[call->lane];
	call->http = http_client_call(call->via, r, &callbacks);
	call->generation = credentials_generation(t->credentials); /* a new token may just have been read */
	TAILQ_INSERT_TAIL(&t->running, call, link);
}

/* A waiting call ends here: its time is over, or there is no credential. */
static void on_call_timer(void *arg)
{
	struct transport_call *call = arg;
	struct http_callbacks cb = call->cb;
	struct err err = call->err;
	if (err.code == ERR_NONE)
		err_set(&err, ERR_TIMEOUT, "the exec plugin gave no credential within %g s",
		        (double)call->request.timeout_ms / (double)MS_PER_S);
	free_call(call);
	struct http_response r = {.retry_after_ms = -1, .body = SLICE_LIT(""), .content_type = ""};
	cb.on_done(cb.arg, &r, &err);
}

static void arm_timer(struct transport_call *call, int64_t ms)
{
	if (!call->timer)
		call->timer = loop_timer_new(call->transport->loop, on_call_timer, call);
	loop_timer_arm(call->timer, ms);
}

static void await_credential(struct transport_call *call, const struct http_request *r)
{
	struct transport *t = call->transport;
	TAILQ_INSERT_TAIL(&t->waiting, call, link);
	copy_request(r, &call->request);
	if (r->timeout_ms == 0)
		return;
	call->deadline.ms = loop_now(t->loop).ms + r->timeout_ms;
	arm_timer(call, r->timeout_ms);
}

static void end_wait(struct transport_call *call)
{
	struct transport *t = call->transport;
	TAILQ_REMOVE(&t->waiting, call, link);
	if (call->request.timeout_ms > 0) {
		int64_t left_ms = call->deadline.ms - loop_now(t->loop).ms;
		call->request.timeout_ms = left_ms > 1 ? left_ms : 1;
		loop_timer_stop(call->timer);
	}
	send_call(call, &call->request);
	free_request(&call->request);
}

static void on_credentials_changed(void *arg)
{
	struct transport *t = arg;
	unsigned identity = credentials_identity(t->credentials);
	if (identity != t->identity) {
		t->identity = identity;
		renew_lane(t, TRANSPORT_READS);
		renew_lane(t, TRANSPORT_WRITES);
	}
	struct err err = ERR_INIT;
	enum credentials_state state =
		TAILQ_EMPTY(&t->waiting) ? CREDENTIALS_PENDING : credentials_ask(t->credentials, &err);
	struct transport_call *next;
	for (struct transport_call *call = TAILQ_FIRST(&t->waiting); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call->err.code != ERR_NONE || state == CREDENTIALS_PENDING)
			continue;
		if (state == CREDENTIALS_READY) {
			end_wait(call);
			continue;
		}
		call->err = err;
		arm_timer(call, 0);
	}
}

struct transport_call *transport_call(struct transport *t, enum transport_lane lane,
                                      const struct http_request *r, const struct http_callbacks *cb)
{
	struct transport_call *call = xcalloc(1, sizeof(*call));
	call->transport = t;
	call->lane = lane;
	call->cb = *cb;
	call->err = ERR_INIT;
	switch (credentials_ask(t->credentials, &call->err)) {
	case CREDENTIALS_READY:
		send_call(call, r);
		break;
	case CREDENTIALS_PENDING:
		await_credential(call, r);
		break;
	case CREDENTIALS_FAILED:
		TAILQ_INSERT_TAIL(&t->waiting, call, link);
		arm_timer(call, 0);
		break;
	}
	return call;
}

void transport_cancel(struct transport_call *call)
{
	if (call->http)
		http_call_cancel(call->http);
	free_call(call);
}

void transport_explain(const struct transport *t, struct err *err)
{
	if (err->http_status == 401)
		credentials_explain(t->credentials, err);
}

struct transport *transport_new(struct loop *l, const struct kube_config *cfg, const char *user_agent,
                                struct err *err)
{
	struct transport *t = xcalloc(1, sizeof(*t));
	t->loop = l;
	t->user_agent = user_agent ? xstrdup(user_agent) : NULL;
	kube_config_copy(cfg, &t->cfg);
	TAILQ_INIT(&t->retired);
	TAILQ_INIT(&t->running);
	TAILQ_INIT(&t->waiting);
	t->reap_timer = loop_timer_new(l, on_reap_timer, t);
	t->credentials = credentials_new(l, &t->cfg, on_credentials_changed, t, err);
	for (unsigned lane = 0; t->credentials && lane < TRANSPORT_LANES; lane++) {
		t->lanes[lane] = open_lane(t, lane, err);
		if (!t->lanes[lane])
			break;
	}
	if (t->credentials && t->lanes[TRANSPORT_LANES - 1])
		return t;
	transport_free(t);
	return NULL;
}

void transport_free(struct transport *t)
{
	if (!t)
		return;
	struct retired *r;
	while ((r = TAILQ_FIRST(&t->retired)) != NULL) {
		TAILQ_REMOVE(&t->retired, r, link);
		http_client_free(r->http);
		free(r);
	}
	for (unsigned lane = 0; lane < TRANSPORT_LANES; lane++)
		http_client_free(t->lanes[lane]);
	struct transport_call *call;
	while ((call = TAILQ_FIRST(&t->running)) != NULL || (call = TAILQ_FIRST(&t->waiting)) != NULL)
		free_call(call);
	loop_timer_free(t->reap_timer);
	credentials_free(t->credentials);
	kube_config_done(&t->cfg);
	free(t->user_agent);
	free(t);
}
