/* Carrying out a plan: one write after the other, in the plan's order, the status last. Everything that is sent is
 * rendered at the start, so that a run needs no view that may change under it. */
#include <inttypes.h>
#include "base/json.h"
#include "base/log.h"
#include "operator/internal.h"

/* A server that has just started knows nobody's rights for a second or two: so often that is no word about the object. */
#define DENIED_QUICKLY 8u

struct write {
	struct kube_request rq;
	enum kind kind;   /* of the object that it is about; of a dry run the Deployment */
	const char *name; /* of that object; a create has none in its request */
	bool is_status;
	bool is_create;
	bool is_delete;
	bool is_restore;
	const char
		*refused_as; /* static: why, if the server refuses it, it is not asked again at once; NULL: it is */
	int32_t count;   /* what is asked of a Deployment, else -1 */
};

struct run {
	struct work *w;
	struct arena arena; /* holds all below */
	struct write *writes;
	size_t n_writes, next;
	struct kube_call *call;
	struct event_ref ref;
	struct plan_event *events;
	size_t n_events;
	bool failed;
	bool has_service_turn; /* creates a Service */
};

static void send_next(struct run *r);

/* Ends the run. */
static void run_end(struct run *r, int64_t retry_after_ms)
{
	struct work *w = r->w;
	bool failed = r->failed;

	if (r->has_service_turn)
		w->op->service_runs--;
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
	a = r->arena; /* the run itself lies in it */
	arena_done(&a);
}

static const char *body_text(struct arena *a, json_t *j)
{
	char *text = json_compact(j);
	char *kept = arena_strdup(a, text);

	free(text);
	json_decref(j);
	return kept;
}

static struct write *add_write(struct run *r, enum kind kind, enum kube_verb verb, const char *name,
                               const char *body)
{
	struct write *w = &r->writes[r->n_writes++];

	w->kind = kind;
	w->count = -1;
	w->name = arena_strdup(&r->arena, name);
	w->rq = (struct kube_request){
		.verb = verb,
		.resource = &controller_types[kind].resource,
		.ns = arena_strdup(&r->arena, r->w->ns),
		.name = verb == KUBE_CREATE ? NULL : w->name,
		.field_manager = API_FIELD_MANAGER,
		.timeout_ms = r->w->op->options.write_timeout_ms,
		.body = slice_from(body),
	};
	w->is_create = verb == KUBE_CREATE;
	w->is_delete = verb == KUBE_DELETE;
	return w;
}

static void add_scale(struct run *r, const struct deployment *d, const struct plan_step *s)
{
	const char *patch =
		arena_printf(&r->arena,
	                 "[{\"op\":\"test\",\"path\":\"/metadata/uid\",\"value\":\"%s\"},"
	                 "{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":%" PRId32 "},"
	                 "{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":%" PRId32 "}]",
	                 d->meta.uid, s->from, s->to);

	add_write(r, KIND_DEPLOYMENT, KUBE_PATCH_JSON, d->meta.name, patch)->count = s->to;
}

static void add_delete(struct run *r, const struct deployment *d)
{
	struct write *w = add_write(r, KIND_DEPLOYMENT, KUBE_DELETE, d->meta.name, NULL);

	w->rq.precondition_uid = arena_strdup(&r->arena, d->meta.uid);
	w->rq.precondition_resource_version = arena_strdup(&r->arena, d->meta.resource_version);
}

/* The uid is a precondition: a pod of that name may be another one by now. */
static void add_marks(struct run *r, const struct pod *p, const char *annotations)
{
	if (refusal_pauses(r->w, KIND_POD, p->meta.name))
		return;
	add_write(r, KIND_POD, KUBE_PATCH_MERGE, p->meta.name,
	          arena_printf(&r->arena, "{\"metadata\":{\"uid\":\"%s\",\"annotations\":%s}}", p->meta.uid,
	                       annotations))
		->refused_as = "MarkRefused";
}

static const struct deployment *deployment_named(struct run *r, const char *name)
{
	return store_get(controller_store(r->w->op, KIND_DEPLOYMENT), r->w->ns, name);
}

static const struct model *first_model(struct controller *op, const struct endpoint *e)
{
	const struct model *m = NULL;

	for (size_t i = 0; i < e->spec.n_pools && !m; i++)
		m = store_get(controller_store(op, KIND_MODEL), e->meta.ns, e->spec.pools[i].model_name);
	return m;
}

static const struct model *model_of(struct run *r, const struct endpoint_pool *p)
{
	return store_get(controller_store(r->w->op, KIND_MODEL), r->w->ns, p->model_name);
}

/* Whether the API server would take an instance: it says so here, or later to the ReplicaSet controller alone, when the
 * pool is needed. So a Deployment that exists has had its Pod accepted once. */
static void add_trial(struct run *r, const char *deployment, const char *pod)
{
	struct write *w = add_write(r, KIND_DEPLOYMENT, KUBE_CREATE, deployment, pod);

	w->rq.resource = &controller_types[KIND_POD].resource;
	w->rq.dry_run = true;
	w->refused_as = "InstanceRefused";
}

/* The pool's Deployment as we would create it. New reference, NULL when the Model cannot be used. */
static json_t *render(struct run *r, const struct endpoint *e, const struct endpoint_pool *p,
                      int32_t replicas, struct err *err)
{
	const struct model *m = model_of(r, p);
	char revision[REVISION_SIZE];

	if (!m)
		return NULL;
	pool_revision(e, p, m, revision);
	return workload_deployment(e, p, m, revision, replicas, err);
}

/* The other managers are struck from the books as well: one that owns fields with the very values that we want would be
 * seen there for ever. An empty list would not do: of an object without any manager the server notes none any more. */
static void add_restore(struct run *r, const struct endpoint *e, const struct plan_step *s,
                        const struct deployment *d)
{
	struct err ignored = ERR_INIT;
	CLEANUP_JSON json_t *ours = render(r, e, &e->spec.pools[s->index], 0, &ignored);
	struct write *w;
	json_t *patch;

	if (!ours)
		return;
	patch = json_must(json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:O},{s:s,s:s,s:[{s:s,s:s,s:s,s:s,s:{s:{s:{}}}}]}]",
	                            "op", "test", "path", "/metadata/uid", "value", d->meta.uid, "op", "replace",
	                            "path", "/spec/template", "value", json_at(ours, "spec", "template"), "op",
	                            "replace", "path", "/metadata/managedFields", "value", "manager",
	                            API_FIELD_MANAGER, "operation", "Update", "apiVersion", "apps/v1",
	                            "fieldsType", "FieldsV1", "fieldsV1", "f:spec", "f:replicas"));
	w = add_write(r, KIND_DEPLOYMENT, KUBE_PATCH_JSON, d->meta.name, body_text(&r->arena, patch));
	w->is_restore = true;
	w->refused_as = "TemplateRefused";
}

static void add_create(struct run *r, const struct endpoint *e, const struct plan_input *in,
                       const struct plan_step *s)
{
	struct err err = ERR_INIT;
	json_t *body = render(r, e, &e->spec.pools[s->index], s->to, &err);

	if (body) {
		struct write *w;

		add_trial(r, in->pools[s->index].deployment, body_text(&r->arena, workload_trial_pod(body)));
		w = add_write(r, KIND_DEPLOYMENT, KUBE_CREATE, in->pools[s->index].deployment,
		              body_text(&r->arena, body));

		w->count = s->to;
		w->refused_as = "TemplateRefused";
	} else {
		refusal_put(r->w, KIND_DEPLOYMENT, in->pools[s->index].deployment, "TemplateRefused", err.message);
		r->failed = true;
	}
}

static void add_step(struct run *r, const struct endpoint *e, const struct plan_input *in,
                     const struct plan_step *s)
{
	switch (s->type) {
	case PLAN_CREATE:
		add_create(r, e, in, s);
		break;
	case PLAN_SCALE:
		add_scale(r, deployment_named(r, in->pools[s->index].deployment), s);
		break;
	case PLAN_SCALE_OLD:
		add_scale(r, deployment_named(r, in->old[s->index].name), s);
		break;
	case PLAN_DELETE_OLD:
		add_delete(r, deployment_named(r, in->old[s->index].name));
		break;
	case PLAN_FIRST_TO_GO:
		add_marks(r, s->pod, "{\"" ANNOTATION_DELETION_COST "\":\"" DELETION_COST_FIRST "\"}");
		break;
	case PLAN_UNPROTECT:
		add_marks(r, s->pod,
		          "{\"" ANNOTATION_DO_NOT_DISRUPT "\":null,\"" ANNOTATION_SAFE_TO_EVICT
		          "\":null,\"" ANNOTATION_PROTECTED "\":null}");
		break;
	case PLAN_RESTORE:
		add_restore(r, e, s, deployment_named(r, in->pools[s->index].deployment));
		break;
	}
}

/* An object of that name is in the way. The log says so once, however often it is asked. */
static void refuse_name(struct work *w, enum kind kind, const char *name, const char *reason,
                        const char *what)
{
	const struct refusal *known = refusal_find(w, kind, name);
	char text[512];

	str_format(text, sizeof(text), "%s %s %s", controller_types[kind].resource.kind, name, what);
	if (!known || !str_eq(known->reason, reason))
		LOG_WARN("name cannot be used", LOG_STR("endpoint", w->key), LOG_STR("reason", reason),
		         LOG_STR("why", text));
	refusal_put(w, kind, name, reason, text);
}

static void refuse_taken(struct work *w, enum kind kind, const char *name)
{
	refuse_name(w, kind, name, "NameTaken", "exists and belongs to somebody else; it is left alone");
}

static bool companion_missing(struct controller *op, const struct endpoint *e, struct work *w, enum kind kind)
{
	return !store_get(controller_store(op, kind), e->meta.ns, e->meta.name) &&
	       !refusal_pauses(w, kind, e->meta.name);
}

struct companions companions_missing(struct controller *op, const struct endpoint *e, struct work *w)
{
	const struct companion *budget = store_get(controller_store(op, KIND_BUDGET), e->meta.ns, e->meta.name);

	if (budget && !str_eq(budget->meta.owner_uid, e->meta.uid) && !refusal_find(w, KIND_BUDGET, e->meta.name))
		refuse_taken(w, KIND_BUDGET, e->meta.name);
	return (struct companions){
		.service = companion_missing(op, e, w, KIND_SERVICE) && first_model(op, e),
		.budget = companion_missing(op, e, w, KIND_BUDGET),
	};
}

static void add_status(struct run *r, const struct endpoint *e, const struct endpoint_status *s)
{
	struct write *w;

	if (endpoint_status_equal(&e->status, s))
		return;
	w = add_write(r, KIND_ENDPOINT, KUBE_APPLY, e->meta.name,
	              body_text(&r->arena, endpoint_status_apply(e, s)));
	w->rq.subresource = "status";
	w->rq.force = true;
	w->is_status = true;
}

static struct run *run_new(struct work *w, const struct endpoint *e, struct arena a, size_t max_writes)
{
	struct run *r = arena_alloc(&a, sizeof(*r));

	r->w = w;
	r->arena = a;
	r->writes = arena_calloc(&r->arena, max_writes, sizeof(*r->writes));
	r->ref = (struct event_ref){
		.api_version = API_GROUP "/" API_VERSION,
		.kind = controller_types[KIND_ENDPOINT].resource.kind,
		.ns = arena_strdup(&r->arena, e->meta.ns),
		.name = arena_strdup(&r->arena, e->meta.name),
		.uid = arena_strdup(&r->arena, e->meta.uid),
	};
	w->run = r;
	w->op->runs++;
	return r;
}

void run_start(struct work *w, const struct endpoint *e, const struct plan_input *in,
               struct arena *plan_arena, const struct plan_output *out)
{
	struct run *r = run_new(w, e, *plan_arena, 2 * out->n_steps + 1);

	arena_init(plan_arena); /* the run has it now */
	for (size_t i = 0; i < out->n_steps; i++)
		add_step(r, e, in, &out->steps[i]);
	add_status(r, e, &out->status);
	if (r->failed) /* a refusal came up that the plan did not know of */
		r->n_writes = 0;
	r->events = arena_calloc(&r->arena, out->n_events ? out->n_events : 1, sizeof(*r->events));
	if (out->n_events)
		memcpy(r->events, out->events, out->n_events * sizeof(*r->events));
	r->n_events = out->n_events;
	send_next(r);
}

/* spec.instanceCount is what /scale reads; where it is not set, HPA gets an error. */
void run_instance_count(struct work *w, const struct endpoint *e)
{
	struct arena a;
	struct run *r;
	struct write *scale;

	arena_init(&a);
	r = run_new(w, e, a, 1);
	/* The version is a precondition: what somebody sets meanwhile stays. */
	scale = add_write(
		r, KIND_ENDPOINT, KUBE_PATCH_MERGE, e->meta.name,
		arena_printf(&r->arena,
	                 "{\"metadata\":{\"resourceVersion\":\"%s\"},\"spec\":{\"replicas\":%" PRId32 "}}",
	                 e->meta.resource_version, plan_desired(e)));
	scale->rq.subresource = "scale";
	send_next(r);
}

void run_companions(struct work *w, const struct endpoint *e, struct companions missing)
{
	struct arena a;
	struct run *r;

	arena_init(&a);
	r = run_new(w, e, a, 2);
	if (missing.budget)
		add_write(r, KIND_BUDGET, KUBE_CREATE, e->meta.name, body_text(&r->arena, workload_budget(e)))
			->refused_as = "BudgetRefused";
	if (missing.service) {
		r->has_service_turn = true;
		w->op->service_runs++;
		add_write(r, KIND_SERVICE, KUBE_CREATE, e->meta.name,
		          body_text(&r->arena, workload_service(e, first_model(w->op, e))))
			->refused_as = "ServiceRefused";
	}
	send_next(r);
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
	else
		expect_version(r->w, w->kind, w->name, reply->resource_version);
	if (w->count >= 0 || w->is_delete)
		asked_put(r->w, w->name, w->count);
	r->w->denied = 0;
	if (w->refused_as)
		refusal_clear(r->w, w->kind, w->name);
	if (w->is_restore)
		restored_put(r->w, w->name);
	if (w->is_status)
		r->w->progress_at = (struct mono){0};
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
		refuse_taken(r->w, w->kind, w->name);
	} else if (seen && !is_watched(w->kind, r->w, reply->body)) {
		refuse_name(r->w, w->kind, w->name, "LabelMissing",
		            "has lost its label " LABEL_ENDPOINT ": put it back, or delete the object");
	} else if (seen) {
		expect_version(r->w, w->kind, w->name, meta.resource_version);
	}
	/* The plan was made without knowing this: make it anew. */
	r->failed = true;
	run_end(r, 0);
}

/* The words of the API server's authorizer, not of admission. */
static bool lacks_rights(const struct err *err)
{
	return err->http_status == 403 && strstr(err->message, "\" cannot create resource \"") != NULL;
}

static void remember_refusal(struct run *r, const struct write *w, const struct err *err)
{
	char text[sizeof(err->message) + 64];

	str_format(text, sizeof(text), "%s%s", w->rq.dry_run ? "an instance would be refused: " : "",
	           err->message);
	refusal_put(r->w, w->kind, w->name, w->refused_as, text);
}

/* The address does not wait for the budget. */
static void end_failed(struct run *r, const struct write *w, const struct err *err)
{
	r->failed = true;
	if (w->kind == KIND_BUDGET && err->http_status && err->retry_after_ms <= 0) {
		r->next++;
		send_next(r);
	} else {
		run_end(r, err->retry_after_ms);
	}
}

static void not_written(struct run *r, const struct write *w, const struct err *err)
{
	unsigned *times = w->rq.dry_run ? &r->w->denied_trial : &r->w->denied;
	bool denied = lacks_rights(err) && (*times)++ < DENIED_QUICKLY;
	bool refused = w->refused_as && !denied &&
	               (err->http_status == 400 || err->http_status == 403 || err->http_status == 422);

	if (w->is_create && err->http_status == 409 && str_eq(err->reason, "AlreadyExists")) {
		struct kube_request rq = {
			.verb = KUBE_GET, .resource = w->rq.resource, .ns = w->rq.ns, .name = w->name};

		r->call = kube_client_call(r->w->op->client, &rq, looked_at_name, r);
		return;
	}
	if (refused)
		remember_refusal(r, w, err);
	if (err->http_status)
		trouble_write(r->w->op->trouble, r->w->key, w->rq.resource, w->name, err, loop_now(r->w->op->loop));
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
	/* The instance is gone, or another one has its name: there is nothing to mark. */
	if (status == 404 || status == 409)
		return true;
	refusal_put(r->w, w->kind, w->name, w->refused_as, err->message);
	/* Nothing may change until then that would bring the endpoint up. */
	queue_add_at(r->w->op->queue, r->w->key, refusal_find(r->w, w->kind, w->name)->retry_at);
	trouble_write(r->w->op->trouble, r->w->key, w->rq.resource, w->name, err, loop_now(r->w->op->loop));
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
	if (!lacks_rights(err) || r->w->denied_trial < DENIED_QUICKLY)
		return false;
	trouble_write(r->w->op->trouble, r->w->key, w->rq.resource, w->name, err, loop_now(r->w->op->loop));
	return true;
}

static void tried(struct run *r, const struct write *w, enum kube_outcome outcome, const struct err *err)
{
	if (outcome == KUBE_DONE)
		r->w->denied_trial = 0;
	if (outcome == KUBE_DONE || says_nothing(err) || does_without(r, w, err)) {
		r->next++;
		send_next(r);
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
		r->next++;
		send_next(r);
		break;
	case KUBE_NOT_DONE:
		if (passes_over(r, w, err)) {
			r->next++;
			send_next(r);
		} else {
			not_written(r, w, err);
		}
		break;
	case KUBE_UNKNOWN:
		LOG_WARN("outcome of a write is unknown, looking", LOG_STR("endpoint", r->w->key),
		         LOG_STR("kind", w->rq.resource->kind), LOG_STR("name", w->name), LOG_ERR(err));
		expect_verify(r->w, w->kind, w->name);
		end_failed(r, w, err);
		break;
	}
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

static void send_next(struct run *r)
{
	if (r->next < r->n_writes && !may_write(r->w->op)) {
		r->failed = true;
	} else if (r->next < r->n_writes) {
		r->call = kube_client_call(r->w->op->client, &r->writes[r->next].rq, on_written, r);
		return;
	}
	if (!r->failed)
		emit_events(r);
	run_end(r, -1);
}
