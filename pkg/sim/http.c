/* net/http.h over the network of network.h. What comes is given to the process by its loop, so that nothing reaches one that
 * is stopped. */
#include "net/http.h"
#include <sys/queue.h>
#include "base/mem.h"
#include "sim/network.h"

struct http_call {
	LIST_ENTRY(http_call) link;
	struct http_client *client;
	struct http_callbacks cb;
	struct network_call *on_its_way; /* NULL: it has ended */
	struct loop_timer *deliver;      /* gives out what follows */
	struct loop_timer *timeout;      /* NULL: none */
	int64_t timeout_ms;
	bool opened, status_told, ended;
	struct buf data; /* of a stream; else the body */
	int status;
	int64_t retry_after_ms;
	enum err_code code;
	bool delivering, canceled;
};

struct http_client {
	struct loop *loop;
	struct network *network;
	const char *who;
	unsigned n_calls;
	LIST_HEAD(, http_call) calls;
};

void http_global_init(void)
{
}

void http_global_done(void)
{
}

const char *http_library_version(void)
{
	return "in virtual time";
}

struct http_client *http_client_new(struct loop *l, const struct http_client_options *o, struct err *err)
{
	struct http_client *c = xcalloc(1, sizeof(*c));

	(void)err;
	c->loop = l;
	c->network = network_in_use();
	c->who = network_name(c->network, o->user_agent);
	LIST_INIT(&c->calls);
	return c;
}

static void free_call(struct http_call *call)
{
	if (call->on_its_way)
		network_forget(call->on_its_way);
	loop_timer_free(call->deliver);
	loop_timer_free(call->timeout);
	buf_done(&call->data);
	call->client->n_calls--;
	LIST_REMOVE(call, link);
	free(call);
}

void http_client_free(struct http_client *c)
{
	struct http_call *call;

	if (!c)
		return;
	while ((call = LIST_FIRST(&c->calls)) != NULL)
		free_call(call);
	free(c);
}

struct http_client_stats http_client_stats(const struct http_client *c)
{
	return (struct http_client_stats){.in_flight = c->n_calls};
}

static void finish(struct http_call *call)
{
	struct http_response r = {
		.status = call->code == ERR_NONE || call->status_told ? call->status : 0,
		.retry_after_ms = call->retry_after_ms,
		.body = buf_slice(&call->data),
		.content_type = "application/json",
		.sent = call->code != ERR_CONNECT,
	};
	struct err err = ERR_INIT;
	struct http_callbacks cb = call->cb;

	if (call->code != ERR_NONE)
		err_set(&err, call->code, "%s",
		        call->code == ERR_TIMEOUT    ? "not answered in time"
		        : call->code == ERR_CONNECT  ? "connection refused"
		        : call->code == ERR_CANCELED ? "given up"
		                                     : "connection reset");
	cb.on_done(cb.arg, &r, &err);
	free_call(call);
}

/* The receiver may cancel the call, or say that it wants no more. */
static bool give_data(struct http_call *call)
{
	bool wanted = true;

	call->delivering = true;
	if (call->opened && !call->status_told) {
		call->status_told = true;
		call->cb.on_status(call->cb.arg, 200);
	}
	if (!call->canceled && call->status_told && call->data.len > 0) {
		struct buf data = call->data; /* more may come meanwhile */

		buf_init(&call->data, SIZE_MAX - 1);
		wanted = call->cb.on_data(call->cb.arg, buf_slice(&data)) == 0;
		buf_done(&data);
	}
	call->delivering = false;
	if (call->canceled) {
		free_call(call);
		return false;
	}
	if (!wanted)
		call->code = ERR_CANCELED;
	call->ended = call->ended || !wanted;
	return true;
}

static void on_deliver(void *arg)
{
	struct http_call *call = arg;

	if (give_data(call) && call->ended)
		finish(call);
}

static void on_timeout(void *arg)
{
	struct http_call *call = arg;

	call->code = ERR_TIMEOUT;
	finish(call);
}

static void on_open(void *arg)
{
	struct http_call *call = arg;

	call->opened = true;
	call->status = 200;
	loop_timer_arm(call->deliver, 0);
}

static void on_data(void *arg, struct slice data)
{
	struct http_call *call = arg;

	buf_add_slice(&call->data, data);
	loop_timer_arm(call->deliver, 0);
}

static void on_end(void *arg, const struct network_end *end)
{
	struct http_call *call = arg;

	call->on_its_way = NULL;
	call->ended = true;
	call->code = end->code;
	call->status = end->status;
	call->retry_after_ms = end->retry_after_ms;
	if (!call->opened)
		buf_add_slice(&call->data, end->body);
	loop_timer_arm(call->deliver, 0);
}

struct http_call *http_client_call(struct http_client *c, const struct http_request *r,
                                   const struct http_callbacks *cb)
{
	struct http_call *call = xcalloc(1, sizeof(*call));
	struct api_request request = {.method = r->method, .path = r->path, .body = r->body};

	*call = (struct http_call){.client = c, .cb = *cb, .retry_after_ms = -1, .timeout_ms = r->timeout_ms};
	buf_init(&call->data, SIZE_MAX - 1);
	LIST_INSERT_HEAD(&c->calls, call, link);
	c->n_calls++;
	call->deliver = loop_timer_new(c->loop, on_deliver, call);
	if (r->timeout_ms > 0) {
		call->timeout = loop_timer_new(c->loop, on_timeout, call);
		loop_timer_arm(call->timeout, r->timeout_ms);
	}
	call->on_its_way = network_send(c->network, c->who, &request,
	                                &(struct network_callbacks){on_open, on_data, on_end, call});
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (call->delivering)
		call->canceled = true;
	else
		free_call(call);
}
