#include "kube/elector.h"
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "base/host.h"
#include "base/mem.h"
#include "kube/lease.h"

#define DEFAULT_LEASE_DURATION_MS (15 * MS_PER_S)
#define DEFAULT_RENEW_DEADLINE_MS (10 * MS_PER_S)
#define DEFAULT_RETRY_PERIOD_MS (2 * MS_PER_S)
#define MAX_BODY_BYTES 4096u

struct elector {
	struct kube_client *client;
	char *ns, *name, *identity;
	struct elector_handler handler;
	struct lease lease;
	struct loop_timer *timer;
	struct kube_call *call;
	bool stopping, finished;
	char told_holder[LEASE_NAME_SIZE];
	struct err trouble; /* the last that was told; ERR_NONE: none since all was well */
};

static const struct kube_resource leases = {
	.group = "coordination.k8s.io", .version = "v1", .plural = "leases", .kind = "Lease", .namespaced = true};

static char *default_identity(void)
{
	char host[HOST_NAME_MAX + 1] = "";
	gethostname(host, sizeof(host) - 1);
	return xasprintf("%s_%016llx", host, (unsigned long long)host_random());
}

static void on_timer(void *arg);

struct elector *elector_new(struct kube_client *c, const struct elector_options *o,
                            const struct elector_handler *h, struct err *err)
{
	struct elector *e = xcalloc(1, sizeof(*e));
	e->client = c;
	e->ns = xstrdup(o->ns);
	e->name = xstrdup(o->name);
	e->identity = o->identity ? xstrdup(o->identity) : default_identity();
	e->handler = *h;
	e->trouble = ERR_INIT;
	e->timer = loop_timer_new(kube_client_loop(c), on_timer, e);
	struct lease_options options = {
		.identity = e->identity,
		.duration_ms = o->lease_duration_ms ? o->lease_duration_ms : DEFAULT_LEASE_DURATION_MS,
		.renew_deadline_ms = o->renew_deadline_ms ? o->renew_deadline_ms : DEFAULT_RENEW_DEADLINE_MS,
		.retry_period_ms = o->retry_period_ms ? o->retry_period_ms : DEFAULT_RETRY_PERIOD_MS,
	};
	if (lease_options_check(&options, err) < 0) {
		err_prefix(err, "leader election");
		elector_free(e);
		return NULL;
	}
	lease_init(&e->lease, &options, host_random());
	return e;
}

void elector_free(struct elector *e)
{
	if (!e)
		return;
	if (e->call)
		kube_call_cancel(e->call);
	loop_timer_free(e->timer);
	free(e->ns);
	free(e->name);
	free(e->identity);
	free(e);
}

bool elector_may_write(const struct elector *e)
{
	return lease_is_held(&e->lease, boot_now());
}

const char *elector_identity(const struct elector *e)
{
	return e->identity;
}

const char *elector_holder(const struct elector *e)
{
	return e->lease.record.holder;
}

const struct err *elector_trouble(const struct elector *e)
{
	return e->trouble.code == ERR_NONE ? NULL : &e->trouble;
}

static void tell(const struct elector *e, void (*fn)(void *arg))
{
	if (fn)
		fn(e->handler.arg);
}

static void on_done(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err);

static void call_server(struct elector *e, const struct lease_effect *fx)
{
	bool read = fx->call == LEASE_READ, create = fx->call == LEASE_CREATE;
	CLEANUP_BUF struct buf body;
	buf_init(&body, MAX_BODY_BYTES);
	if (!read)
		lease_body(&e->lease, e->name, wall_now(), &body);
	struct kube_request rq = {
		.verb = read     ? KUBE_GET
	            : create ? KUBE_CREATE
	                     : KUBE_PATCH_MERGE,
		.resource = &leases,
		.ns = e->ns,
		.name = create ? NULL : e->name,
		.body = buf_slice(&body),
		.timeout_ms = fx->timeout_ms,
	};
	e->call = kube_client_call(e->client, &rq, on_done, e);
}

static void carry_out(struct elector *e, const struct lease_effect *fx)
{
	switch (fx->type) {
	case LEASE_FX_CALL:
		call_server(e, fx);
		break;
	case LEASE_FX_CANCEL:
		kube_call_cancel(e->call);
		e->call = NULL;
		break;
	case LEASE_FX_TIMER:
		loop_timer_arm(e->timer, fx->delay_ms);
		break;
	case LEASE_FX_STARTED:
		tell(e, e->handler.on_started);
		break;
	case LEASE_FX_STOPPED:
		tell(e, e->handler.on_stopped);
		break;
	case LEASE_FX_FINISHED:
		/* Told by the timer, from where everything may be freed. */
		e->finished = true;
		loop_timer_arm(e->timer, 0);
		break;
	}
}

static void advance(struct elector *e, const struct lease_input *in)
{
	struct lease_effect fx[LEASE_MAX_EFFECTS];
	unsigned n = lease_step(&e->lease, in, boot_now(), fx);
	for (unsigned i = 0; i < n; i++)
		carry_out(e, &fx[i]);
	if (!str_eq(e->told_holder, e->lease.record.holder)) {
		str_copy(e->told_holder, sizeof(e->told_holder), e->lease.record.holder);
		if (e->handler.on_holder)
			e->handler.on_holder(e->handler.arg, e->told_holder);
	}
}

static void on_timer(void *arg)
{
	struct elector *e = arg;
	if (e->finished)
		tell(e, e->handler.on_finished);
	else
		advance(e, &(struct lease_input){.type = LEASE_IN_TIMER});
}

static void note_trouble(struct elector *e, const struct err *err)
{
	if (e->trouble.code == err->code && e->trouble.http_status == err->http_status)
		return;
	e->trouble = *err;
	if (e->handler.on_trouble)
		e->handler.on_trouble(e->handler.arg, err);
}

static enum lease_input_type end_of_read(enum kube_outcome outcome, const struct err *err)
{
	if (outcome == KUBE_DONE)
		return LEASE_IN_RECORD;
	return err->http_status == 404 ? LEASE_IN_ABSENT : LEASE_IN_FAILED;
}

static enum lease_input_type end_of_write(enum kube_outcome outcome, const struct err *err)
{
	if (outcome == KUBE_DONE)
		return LEASE_IN_RECORD;
	bool lost = err->http_status == 409 || err->http_status == 404;
	return outcome == KUBE_UNKNOWN || lost ? LEASE_IN_DOUBT : LEASE_IN_FAILED;
}

static void on_done(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	struct elector *e = arg;
	enum lease_call call = e->lease.call;
	struct lease_record record;
	struct err failure = *err;
	e->call = NULL;
	if (outcome == KUBE_DONE && lease_record_read(r->body, &record, &failure) < 0)
		outcome = call == LEASE_READ ? KUBE_NOT_DONE : KUBE_UNKNOWN;
	struct lease_input in = {
		.type = call == LEASE_READ ? end_of_read(outcome, &failure) : end_of_write(outcome, &failure),
		.record = &record,
		.retry_after_ms = failure.retry_after_ms,
	};
	/* Somebody else was quicker, or the Lease is gone: all in a day's work, but for a namespace that is not there. */
	bool usual = in.type == LEASE_IN_ABSENT || failure.http_status == 409 ||
	             (failure.http_status == 404 && call != LEASE_CREATE);
	if (failure.code != ERR_NONE && !usual)
		note_trouble(e, &failure);
	advance(e, &in);
	/* Over when a success leads to rest: reads may succeed where writes do not. */
	if (failure.code == ERR_NONE && e->lease.call == LEASE_NO_CALL)
		e->trouble = ERR_INIT;
}

void elector_start(struct elector *e)
{
	advance(e, &(struct lease_input){.type = LEASE_IN_START});
}

void elector_stop(struct elector *e)
{
	if (e->stopping)
		return;
	e->stopping = true;
	advance(e, &(struct lease_input){.type = LEASE_IN_STOP});
}
