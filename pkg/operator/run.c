/* Sending the writes of a run one after the other, and what becomes of each. */
#include "operator/run.h"
#include "base/log.h"

/* A server that has just started knows nobody's rights for a second or two: so often that is no word about the object. */
#define DENIED_QUICKLY 8u
#define PLAN_LASTS_MS (5 * MS_PER_S)
#define STATUS_AGAIN_MS 300
#define STATUS_TRIES 3u

/* Ends the run. */
static void run_end(struct run *r, int64_t retry_after_ms)
{
	struct work *w = r->w;
	bool failed = r->failed;

	if (r->has_service_turn)
		w->op->service_runs--;
	if (r->status_unknown)
		expect_verify(w, KIND_ENDPOINT, w->name);
	w->run = NULL;
	r->call = NULL;
	run_free(r);
	reconcile_ended(w, failed, retry_after_ms);
}

void run_free(struct run *r)
{
	struct arena a;

	if (!r)
		return;
	if (r->call)
		kube_call_cancel(r->call);
	loop_timer_free(r->again);
	a = r->arena; /* the run itself lies in it */
	arena_done(&a);
}

static void go_on(struct run *r)
{
	r->next++;
	run_send(r);
}

static void tell_refused(const struct run *r, const struct write *w, const struct err *err)
{
	trouble_write(r->w->op->trouble, r->w->key, w->rq.resource, w->name, err, loop_now(r->w->op->loop));
	if (trouble_is_right(err) && !w->rq.dry_run)
		right_lacks(r->w, w->rq.resource, err);
}

/* Said once it is true: after all is written, the status that tells it last. */
static void emit_events(struct run *r)
{
	for (size_t i = 0; i < r->n_events; i++) {
		LOG_INFO("decision", LOG_STR("endpoint", r->w->key), LOG_STR("reason", r->events[i].reason),
		         LOG_STR("why", r->events[i].message));
		event_emit(r->w->op->events, &r->ref, r->events[i].warning ? EVENT_WARNING : EVENT_NORMAL,
		           r->events[i].reason, r->events[i].message);
	}
	r->n_events = 0;
}

static void written(struct run *r, const struct write *w, const struct kube_reply *reply)
{
	if (w->is_delete)
		expect_gone(r->w, w->kind, w->name);
	else if (str_empty(reply->resource_version)) /* the answer was cut off */
		expect_verify(r->w, w->kind, w->name);
	else
		expect_version(r->w, w->kind, w->name, reply->resource_version);
	if (w->count >= 0 || w->is_delete)
		asked_put(r->w, w->name, w->count);
	r->w->denied = 0;
	if (w->refused_as)
		refusal_clear(r->w, w->kind, w->name);
	if (w->is_restore)
		restored_put(r->w, w->name);
	if (w->is_status) {
		r->w->progress_at = (struct mono){0};
		r->status_unknown = false;
		schema_known(r->w);
	}
}

/* 409 on a create: our own object that the watch has not shown yet, or somebody else's. */
static void looked_at_name(void *arg, enum kube_outcome outcome, const struct kube_reply *reply,
                           const struct err *err)
{
	struct run *r = arg;
	const struct write *w = &r->writes[r->next];
	CLEANUP_ARENA struct arena scratch;
	struct err ignored = ERR_INIT;
	struct objmeta meta = {0};
	bool seen;

	(void)outcome;
	r->call = NULL;
	reconcile_heard(r->w->op, err);
	arena_init(&scratch);
	seen = err->code == ERR_NONE && objmeta_read(reply->body, &scratch, &meta, &ignored) == 0;
	if (seen && !str_eq(meta.owner_uid, r->ref.uid)) {
		refusal_put_taken(r->w, w->kind, w->name);
	} else if (seen && !is_watched(w->kind, r->w, reply->body)) {
		refusal_put_name(r->w, w->kind, w->name, "LabelMissing",
		                 "has lost its label " LABEL_ENDPOINT ": put it back, or delete the object");
	} else if (seen) {
		expect_version(r->w, w->kind, w->name, meta.resource_version);
	}
	/* The plan was made without knowing this: make it anew. */
	r->failed = true;
	run_end(r, 0);
}

static struct refusal *remember_refusal(struct run *r, const struct write *w, const struct err *err)
{
	char text[sizeof(err->message) + 64];
	struct refusal *refusal;

	str_format(text, sizeof(text), "%s%s", w->rq.dry_run ? "an instance would be refused: " : "",
	           err->message);
	refusal = refusal_put(r->w, w->kind, w->name, w->refused_as, text);
	refusal->no_right = trouble_is_right(err);
	return refusal;
}

/* The address does not wait for the budget. */
static void end_failed(struct run *r, const struct write *w, const struct err *err)
{
	r->failed = true;
	if (w->kind == KIND_BUDGET && err->http_status && err->retry_after_ms <= 0) {
		go_on(r);
	} else {
		run_end(r, err->retry_after_ms);
	}
}

static void on_again(void *arg)
{
	run_send(arg);
}

/* A status that follows other writes remembers what these were for, and with them the evidence may be gone: a strike would be
 * forgotten. Its version is a precondition, so it does no harm to send it again, whatever became of it. */
static bool send_again(struct run *r, const struct write *w, const struct err *err)
{
	bool passing = err->http_status == 429 || err->http_status >= 500 || err->http_status == 0;
	int64_t delay_ms = err->retry_after_ms > 0 ? err->retry_after_ms : STATUS_AGAIN_MS;

	if (!w->is_status || r->next == 0 || !passing || delay_ms > PLAN_LASTS_MS || r->tries >= STATUS_TRIES)
		return false;
	r->tries++;
	if (!r->again)
		r->again = loop_timer_new(r->w->op->loop, on_again, r);
	loop_timer_arm(r->again, delay_ms);
	return true;
}

static void not_written(struct run *r, const struct write *w, const struct err *err)
{
	unsigned *times = w->rq.dry_run ? &r->w->denied_trial : &r->w->denied;
	bool denied = w->is_create && trouble_is_right(err) && (*times)++ < DENIED_QUICKLY;
	bool refused = w->refused_as && !denied &&
	               (err->http_status == 400 || err->http_status == 403 || err->http_status == 422);

	if (w->is_create && err->http_status == 409 && str_eq(err->reason, "AlreadyExists")) {
		struct kube_request rq = {
			.verb = KUBE_GET, .resource = w->rq.resource, .ns = w->rq.ns, .name = w->name};

		r->call = kube_client_call(r->w->op->client, &rq, looked_at_name, r);
		return;
	}
	if (send_again(r, w, err))
		return;
	if (refused)
		remember_refusal(r, w, err);
	if (r->status_unknown && err->http_status == 409) /* by itself: it had arrived */
		LOG_DEBUG("the status had arrived", LOG_STR("endpoint", r->w->key));
	else if (err->http_status)
		tell_refused(r, w, err);
	else /* the server is away: the watches say so, once for all endpoints */
		LOG_DEBUG("write failed", LOG_STR("endpoint", r->w->key), LOG_STR("kind", w->rq.resource->kind),
		          LOG_STR("name", w->name), LOG_ERR(err));
	end_failed(r, w, err);
}

/* The mark of an instance is worth less than all that comes after it: if it is refused (not by a server that turns everything
 * away), the run goes on. */
static bool passes_over(struct run *r, const struct write *w, const struct err *err)
{
	int status = err->http_status;

	if (w->kind != KIND_POD || status < 400 || status >= 500 || status == 401 || status == 429)
		return false;
	/* The instance is gone, or another one has its name: there is nothing to mark. But a 409 also comes when others wrote at the
	 * same time, and then nothing would bring the endpoint up. */
	if (status == 409)
		queue_add_at(r->w->op->queue, r->w->key, (struct mono){loop_now(r->w->op->loop).ms + MS_PER_S});
	if (status == 404 || status == 409)
		return true;
	/* Nothing may change until then that would bring the endpoint up. */
	queue_add_at(r->w->op->queue, r->w->key, remember_refusal(r, w, err)->retry_at);
	tell_refused(r, w, err);
	return true;
}

/* A dry run that failed for reasons which are not the instance's: used up quota comes and goes, and of all else the
 * ReplicaSet controller may know better. */
static bool says_nothing(const struct err *err)
{
	static const char *const texts[] = {"exceeded quota", "failed quota", "does not support dry run"};
	int status = err->http_status;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if ((status == 400 || status == 403) && strstr(err->message, texts[i]))
			return true;
	return status == 404 || status == 405 || status == 409 || status == 500;
}

/* Whoever may not create pods does without the trial. */
static bool does_without(struct run *r, const struct write *w, const struct err *err)
{
	if (!trouble_is_right(err) || r->w->denied_trial < DENIED_QUICKLY)
		return false;
	tell_refused(r, w, err);
	return true;
}

static void tried(struct run *r, const struct write *w, enum kube_outcome outcome, const struct err *err)
{
	if (outcome == KUBE_DONE)
		r->w->denied_trial = 0;
	if (outcome == KUBE_DONE || says_nothing(err) || does_without(r, w, err)) {
		go_on(r);
	} else if (outcome == KUBE_NOT_DONE) {
		not_written(r, w, err);
	} else { /* there is nothing to look at */
		r->failed = true;
		run_end(r, err->retry_after_ms);
	}
}

static void on_written(void *arg, enum kube_outcome outcome, const struct kube_reply *reply,
                       const struct err *err)
{
	struct run *r = arg;
	const struct write *w = &r->writes[r->next];

	r->call = NULL;
	reconcile_heard(r->w->op, err);
	if (w->rq.dry_run) {
		tried(r, w, outcome, err);
		return;
	}
	switch (outcome) {
	case KUBE_DONE:
		written(r, w, reply);
		go_on(r);
		break;
	case KUBE_NOT_DONE:
		if (passes_over(r, w, err)) {
			go_on(r);
		} else {
			not_written(r, w, err);
		}
		break;
	case KUBE_UNKNOWN:
		if (w->is_status && trouble_is_schema(err)) {
			schema_lacks(r->w, err);
			end_failed(r, w, err);
			return;
		}
		if (send_again(r, w, err)) {
			r->status_unknown = true;
			return;
		}
		LOG_WARN("outcome of a write is unknown, looking", LOG_STR("endpoint", r->w->key),
		         LOG_STR("kind", w->rq.resource->kind), LOG_STR("name", w->name), LOG_ERR(err));
		expect_verify(r->w, w->kind, w->name);
		end_failed(r, w, err);
		break;
	}
}

/* What takes long is planned anew: what was true then may cost an instance now. A create costs none, nor does the status: on a
 * slow server these have to come to an end. */
static bool is_fresh(const struct run *r)
{
	const struct write *w = &r->writes[r->next];

	return w->is_create || w->is_status || loop_now(r->w->op->loop).ms - r->made.ms < PLAN_LASTS_MS;
}

static bool may_write(const struct controller *op)
{
	return op->leads && (!op->options.may_write || op->options.may_write(op->options.may_write_arg));
}

void run_cancel(struct work *w)
{
	struct run *r = w->run;

	if (!r)
		return;
	if (r->call && !r->writes[r->next].rq.dry_run)
		expect_verify(w, r->writes[r->next].kind, r->writes[r->next].name);
	if (r->call)
		kube_call_cancel(r->call);
	r->failed = true;
	run_end(r, -1);
}

void run_send(struct run *r)
{
	if (r->next < r->n_writes && !(may_write(r->w->op) && is_fresh(r))) {
		r->failed = true;
	} else if (r->next < r->n_writes) {
		r->call = kube_client_call(r->w->op->client, &r->writes[r->next].rq, on_written, r);
		return;
	}
	if (!r->failed)
		emit_events(r);
	run_end(r, -1);
}
