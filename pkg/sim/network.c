#include "sim/network.h"
#include <assert.h>
#include "base/mem.h"
#include "base/random.h"
#include "sim/network_internal.h"

static struct network *in_use;

struct network *network_in_use(void)
{
	return in_use;
}

const char *network_fault_name(enum network_fault f)
{
	static const char *const names[NETWORK_FAULT_COUNT] = {
		[NETWORK_REFUSED] = "refused",         [NETWORK_RESET] = "reset",       [NETWORK_LOST] = "lost",
		[NETWORK_SILENT] = "silent",           [NETWORK_CONFLICT] = "conflict", [NETWORK_BUSY] = "busy",
		[NETWORK_UNAVAILABLE] = "unavailable", [NETWORK_ERROR] = "error",
	};

	return names[f];
}

const char *network_watch_fault_name(enum network_watch_fault f)
{
	static const char *const names[NETWORK_WATCH_FAULT_COUNT] = {
		[NETWORK_WATCH_LATE] = "late",   [NETWORK_WATCH_CUT] = "cut",   [NETWORK_WATCH_EXPIRED] = "expired",
		[NETWORK_WATCH_TWICE] = "twice", [NETWORK_WATCH_DROP] = "drop",
	};

	return names[f];
}

const char *network_point_name(enum network_point p)
{
	static const char *const names[NETWORK_POINT_COUNT] = {
		[NETWORK_BEFORE] = "before", [NETWORK_DURING] = "during", [NETWORK_AFTER] = "after"};

	return names[p];
}

struct network *network_new(struct api *a)
{
	struct network *n = xcalloc(1, sizeof(*n));

	assert(!in_use);
	n->api = a;
	n->timeline = api_timeline(a);
	n->chance = (uint64_t)timeline_random(n->timeline, 0, INT64_MAX - 1);
	LIST_INIT(&n->calls);
	in_use = n;
	return n;
}

void network_call_free(struct network_call *c)
{
	network_stream_done(c);
	if (c->moment)
		timeline_cancel(c->network->timeline, c->moment);
	LIST_REMOVE(c, link);
	free((char *)(uintptr_t)c->request.path);
	free((char *)(uintptr_t)c->request.body.ptr);
	free(c->answer.body);
	free(c);
}

void network_free(struct network *n)
{
	struct network_call *c;

	if (!n)
		return;
	while ((c = LIST_FIRST(&n->calls)) != NULL)
		network_call_free(c);
	for (size_t i = 0; i < NETWORK_MAX_PROCESSES; i++)
		free(n->names[i]);
	free(n);
	in_use = NULL;
}

const char *network_name(struct network *n, const char *who)
{
	size_t i = 0;

	while (i < NETWORK_MAX_PROCESSES && n->names[i] && !str_eq(n->names[i], who))
		i++;
	assert(i < NETWORK_MAX_PROCESSES);
	if (!n->names[i])
		n->names[i] = xstrdup(who);
	return n->names[i];
}

/* ---- what is in the way ---- */

/* A few milliseconds; now and then much more, so that what was sent later arrives earlier. */
int64_t network_latency_ms(struct network *n)
{
	return random_between(&n->chance, 1, 100) <= 3 ? random_between(&n->chance, 50, 1500)
	                                               : random_between(&n->chance, 1, 12);
}

bool network_is_down(const struct network *n)
{
	return timeline_ms(n->timeline) < n->down_until_ms;
}

bool network_is_severed(const struct network *n, const char *who)
{
	for (size_t i = 0; i < NETWORK_MAX_PROCESSES; i++)
		if (str_eq(n->severed[i], who))
			return true;
	return false;
}

static void sever(struct network *n, const char *who)
{
	size_t i = 0;

	while (n->severed[i])
		i++;
	assert(i < NETWORK_MAX_PROCESSES);
	n->severed[i] = who;
}

void network_reconnect(struct network *n, const char *who)
{
	for (size_t i = 0; i < NETWORK_MAX_PROCESSES; i++)
		if (str_eq(n->severed[i], who))
			n->severed[i] = NULL;
}

static void on_crash(void *arg)
{
	struct network *n = arg;
	const char *who = n->crash.victim;

	n->crash.victim = NULL;
	n->crash.fn(n->crash.arg, who);
}

static void crash(struct network *n, const char *who)
{
	if (n->crash.victim || network_is_severed(n, who))
		return;
	sever(n, who);
	n->crash.victim = who;
	timeline_at(n->timeline, 0, on_crash, n);
}

void network_fail_writes(struct network *n, enum network_fault f, unsigned count)
{
	if (n->n_faults == NETWORK_MAX_FAULTS)
		return;
	n->faults[n->n_faults].fault = f;
	n->faults[n->n_faults++].count = count;
}

static void take_fault(struct network *n, struct network_call *c)
{
	if (n->n_faults == 0)
		return;
	c->has_fault = true;
	c->fault = n->faults[0].fault;
	if (--n->faults[0].count > 0)
		return;
	n->n_faults--;
	memmove(&n->faults[0], &n->faults[1], n->n_faults * sizeof(n->faults[0]));
}

void network_crash_at(struct network *n, unsigned skip, enum network_point p, network_crash_fn *fn, void *arg)
{
	if (n->crash.victim)
		return;
	n->crash.armed = true;
	n->crash.skip = skip;
	n->crash.point = p;
	n->crash.fn = fn;
	n->crash.arg = arg;
}

/* True: the sender dies before it is sent. */
static bool take_crash(struct network *n, struct network_call *c)
{
	if (!n->crash.armed || n->crash.victim || n->crash.skip-- > 0)
		return false;
	n->crash.armed = false;
	c->crashes = true;
	c->point = n->crash.point;
	if (c->point == NETWORK_BEFORE)
		crash(n, c->who);
	return c->point == NETWORK_BEFORE;
}

void network_down(struct network *n, int64_t until_ms)
{
	struct network_call *c;

	n->down_until_ms = until_ms;
	LIST_FOREACH(c, &n->calls, link)
	if (c->phase == NETWORK_OPEN)
		network_stream_end(c, ERR_TRANSPORT);
}

void network_heal(struct network *n)
{
	struct network_call *c;

	n->down_until_ms = 0;
	n->n_faults = 0;
	n->crash.armed = false;
	for (size_t i = 0; i < API_KIND_COUNT; i++)
		n->late_until_ms[i] = 0;
	LIST_FOREACH(c, &n->calls, link)
	if (c->phase == NETWORK_OPEN)
		network_stream_hurry(c);
}

void network_on_write(struct network *n, network_write_fn *fn, void *arg)
{
	assert(n->n_on_write < NETWORK_MAX_LISTENERS);
	n->on_write[n->n_on_write].fn = fn;
	n->on_write[n->n_on_write++].arg = arg;
}

/* ---- calls ---- */

/* What the client sees of a fault, and whether the request is applied. */
static bool is_applied(const struct network_call *c)
{
	return !c->has_fault || c->fault == NETWORK_LOST || c->fault == NETWORK_SILENT ||
	       c->fault == NETWORK_ERROR;
}

static void deliver(void *arg)
{
	struct network_call *c = arg;
	struct network *n = c->network;
	struct network_end end = {.code = c->code, .retry_after_ms = -1};

	c->moment = NULL;
	c->phase = NETWORK_GONE;
	if (c->forgotten) {
		network_call_free(c);
		return;
	}
	if (network_is_severed(n, c->who))
		return;
	if (c->crashes && c->point == NETWORK_AFTER)
		crash(n, c->who);
	if (network_is_down(n) && end.code == ERR_NONE)
		end.code = ERR_TRANSPORT;
	if (end.code == ERR_NONE) {
		end.status = c->answer.status;
		end.body = slice_from(c->answer.body);
		if (end.status == 429)
			end.retry_after_ms = MS_PER_S;
	}
	c->cb.on_end(c->cb.arg, &end);
	network_call_free(c);
}

static void answer(struct network_call *c, enum err_code code)
{
	c->code = code;
	c->phase = NETWORK_BACK;
	c->moment = timeline_at(c->network->timeline,
	                        timeline_ms(c->network->timeline) + network_latency_ms(c->network), deliver, c);
}

static void refuse(struct network_call *c)
{
	switch (c->fault) {
	case NETWORK_CONFLICT:
		api_answer_refuse(&c->answer, 409, "Conflict", "the object has been modified");
		break;
	case NETWORK_BUSY:
		api_answer_refuse(&c->answer, 429, "TooManyRequests", "too many requests, please try again later");
		break;
	case NETWORK_UNAVAILABLE:
		api_answer_refuse(&c->answer, 503, "ServiceUnavailable",
		                  "the server is currently unable to handle it");
		break;
	case NETWORK_REFUSED:
	case NETWORK_RESET:
	case NETWORK_LOST:
	case NETWORK_SILENT:
	case NETWORK_ERROR:
	case NETWORK_FAULT_COUNT:
		break;
	}
	answer(c, c->fault == NETWORK_REFUSED ? ERR_CONNECT
	          : c->fault == NETWORK_RESET ? ERR_TRANSPORT
	                                      : ERR_NONE);
}

static void serve(struct network_call *c)
{
	struct network *n = c->network;

	api_request_serve(n->api, &c->request, &c->answer);
	for (size_t i = 0; i < n->n_on_write && api_request_is_write(&c->request); i++)
		n->on_write[i].fn(n->on_write[i].arg, c->who, &c->request, c->answer.status);
	if (c->crashes && c->point == NETWORK_DURING)
		crash(n, c->who);
	if (c->has_fault && c->fault == NETWORK_SILENT) {
		c->phase = NETWORK_GONE;
		if (c->forgotten)
			network_call_free(c);
		return;
	}
	if (c->has_fault && c->fault == NETWORK_ERROR) {
		free(c->answer.body);
		api_answer_refuse(&c->answer, 500, "InternalError", "etcdserver: request timed out");
	}
	answer(c, c->has_fault && c->fault == NETWORK_LOST ? ERR_TRANSPORT : ERR_NONE);
}

static void arrive(void *arg)
{
	struct network_call *c = arg;

	c->moment = NULL;
	if (network_is_down(c->network))
		answer(c, ERR_CONNECT);
	else if (!is_applied(c))
		refuse(c);
	else if (c->request.watch)
		network_stream_open(c);
	else
		serve(c);
}

struct network_call *network_send(struct network *n, const char *who, const struct api_request *r,
                                  const struct network_callbacks *cb)
{
	struct network_call *c = xcalloc(1, sizeof(*c));

	*c = (struct network_call){.network = n, .who = who, .request = *r, .cb = *cb, .times = 1};
	STAILQ_INIT(&c->items);
	c->request.path = xstrdup(r->path);
	c->request.body =
		(struct slice){r->body.len > 0 ? xstrndup(r->body.ptr, r->body.len) : NULL, r->body.len};
	api_request_parse(&c->request);
	LIST_INSERT_HEAD(&n->calls, c, link);
	if (network_is_severed(n, who))
		return c;
	if (api_request_is_write(&c->request)) {
		if (take_crash(n, c))
			return c;
		take_fault(n, c);
	}
	c->phase = NETWORK_UP;
	c->moment = timeline_at(n->timeline, timeline_ms(n->timeline) + network_latency_ms(n), arrive, c);
	return c;
}

void network_forget(struct network_call *c)
{
	/* It has left, and arrives whatever becomes of its sender. */
	if (c->phase == NETWORK_UP && !c->request.watch)
		c->forgotten = true;
	else
		network_call_free(c);
}
