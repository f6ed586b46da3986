/* Streams: in order, each event with a delay of its own. */
#include "base/mem.h"
#include "base/random.h"
#include "sim/network_internal.h"

#define EXPIRED_LINE                                                                                    \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"," \
	"\"message\":\"too old resource version\",\"reason\":\"Expired\",\"code\":410}}\n"

static void plan_delivery(struct network_call *c);

static void end(struct network_call *c, enum err_code code)
{
	struct network_end e = {.code = code, .status = 200, .retry_after_ms = -1};

	c->phase = NETWORK_GONE;
	c->cb.on_end(c->cb.arg, &e);
	network_call_free(c);
}

static void drop_first(struct network_call *c)
{
	struct network_item *i = STAILQ_FIRST(&c->items);

	STAILQ_REMOVE_HEAD(&c->items, link);
	free(i->line);
	free(i);
}

static void deliver(void *arg)
{
	struct network_call *c = arg;
	int64_t now_ms = timeline_ms(c->network->timeline);
	struct network_item *i;

	c->moment = NULL;
	if (network_is_severed(c->network, c->who))
		return;
	while ((i = STAILQ_FIRST(&c->items)) != NULL && i->at_ms <= now_ms) {
		if (!i->line) {
			end(c, i->code);
			return;
		}
		c->cb.on_data(c->cb.arg, slice_from(i->line));
		drop_first(c);
	}
	plan_delivery(c);
}

static void plan_delivery(struct network_call *c)
{
	const struct network_item *first = STAILQ_FIRST(&c->items);

	if (first && !c->moment)
		c->moment = timeline_at(c->network->timeline, first->at_ms, deliver, c);
}

/* line NULL: the end. */
static void put(struct network_call *c, const char *line, enum err_code code, int64_t delay_ms)
{
	struct network_item *i = xcalloc(1, sizeof(*i));
	int64_t late_ms = c->network->late_until_ms[c->request.kind];

	i->at_ms = timeline_ms(c->network->timeline) + delay_ms;
	if (line && late_ms > i->at_ms)
		i->at_ms = late_ms;
	if (c->last_ms > i->at_ms)
		i->at_ms = c->last_ms;
	c->last_ms = i->at_ms;
	i->line = line ? xstrdup(line) : NULL;
	i->code = code;
	STAILQ_INSERT_TAIL(&c->items, i, link);
	plan_delivery(c);
}

static void expire(struct network_call *c, int64_t delay_ms)
{
	put(c, EXPIRED_LINE, ERR_NONE, delay_ms);
	put(c, NULL, ERR_NONE, delay_ms);
}

/* What has happened until now is no longer told one by one. */
static void forget(struct network_call *c)
{
	c->network->forgotten[c->request.kind] = api_version(c->network->api);
}

static void on_line(void *arg, struct slice line)
{
	struct network_call *c = arg;

	for (unsigned i = 0; i < c->times; i++)
		put(c, line.ptr, ERR_NONE, network_latency_ms(c->network));
	if (c->times == 0) {
		forget(c);
		expire(c, random_between(&c->network->chance, 100, 3000));
	}
	c->times = 1;
}

static void on_timeout(void *arg)
{
	struct network_call *c = arg;

	c->timeout = NULL;
	put(c, NULL, ERR_NONE, 0);
}

void network_stream_open(struct network_call *c)
{
	struct network *n = c->network;
	const char *s = strstr(c->request.path, "timeoutSeconds="),
			   *since = strstr(c->request.path, "&resourceVersion=");
	int64_t lasts_ms = (s ? strtoll(s + strlen("timeoutSeconds="), NULL, 10) : 300) * MS_PER_S;

	c->phase = NETWORK_OPEN;
	c->cb.on_open(c->cb.arg);
	if (since && strtoull(since + strlen("&resourceVersion="), NULL, 10) < n->forgotten[c->request.kind]) {
		expire(c, 1);
		return;
	}
	c->watch = api_watch_open(n->api, &c->request, on_line, c);
	c->timeout = timeline_at(n->timeline, timeline_ms(n->timeline) + lasts_ms, on_timeout, c);
}

static void drop_items(struct network_call *c)
{
	while (!STAILQ_EMPTY(&c->items))
		drop_first(c);
	c->last_ms = 0;
	if (c->moment)
		timeline_cancel(c->network->timeline, c->moment);
	c->moment = NULL;
}

/* Nothing that is on its way comes any more. */
void network_stream_end(struct network_call *c, enum err_code code)
{
	drop_items(c);
	put(c, NULL, code, 1);
}

void network_stream_hurry(struct network_call *c)
{
	int64_t now_ms = timeline_ms(c->network->timeline);
	struct network_item *i;

	STAILQ_FOREACH(i, &c->items, link)
	i->at_ms = i->at_ms > now_ms ? now_ms : i->at_ms;
	c->last_ms = now_ms;
	if (c->moment)
		timeline_cancel(c->network->timeline, c->moment);
	c->moment = NULL;
	plan_delivery(c);
}

void network_stream_done(struct network_call *c)
{
	drop_items(c);
	api_watch_close(c->watch); /* NULL: it was refused */
	if (c->timeout)
		timeline_cancel(c->network->timeline, c->timeout);
}

static void fail(struct network_call *c, enum network_watch_fault f)
{
	switch (f) {
	case NETWORK_WATCH_LATE:
	case NETWORK_WATCH_FAULT_COUNT:
		break;
	case NETWORK_WATCH_CUT:
		network_stream_end(c, ERR_TRANSPORT);
		break;
	case NETWORK_WATCH_EXPIRED:
		drop_items(c);
		forget(c);
		expire(c, 1);
		break;
	case NETWORK_WATCH_TWICE:
		c->times = 2;
		break;
	case NETWORK_WATCH_DROP:
		c->times = 0;
		break;
	}
}

void network_fail_watch(struct network *n, enum api_kind kind, enum network_watch_fault f, int64_t until_ms)
{
	struct network_call *c;

	if (f == NETWORK_WATCH_LATE)
		n->late_until_ms[kind] = until_ms;
	LIST_FOREACH(c, &n->calls, link)
	if (c->phase == NETWORK_OPEN && c->request.kind == kind)
		fail(c, f);
}
