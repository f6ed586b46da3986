/* From a plan to writes, in the plan's order, the status last. Everything that is sent is rendered here, so that a run needs
 * no view that may change under it. */
#include <inttypes.h>
#include "base/json.h"
#include "operator/run.h"

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

static bool has_model(const struct controller *op, const struct endpoint *e)
{
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (controller_model(op, e, &e->spec.pools[i]))
			return true;
	return false;
}

/* Whether the API server would take an instance: it says so here, or later to the ReplicaSet controller alone, when the
 * pool is needed. So a Deployment that exists has had its Pod accepted once. */
static void add_trial(struct run *r, const char *deployment, const char *pod)
{
	struct write *w = add_write(r, KIND_DEPLOYMENT, KUBE_CREATE, deployment, pod);

	w->rq.resource = &controller_types[KIND_POD].resource;
	w->rq.dry_run = true;
	w->rq.timeout_ms = 0; /* nothing is written, so no lease bounds it; a webhook may take its time */
	w->refused_as = "InstanceRefused";
}

/* The pool's Deployment as we would create it. New reference, NULL when the Model cannot be used. */
static json_t *render(struct run *r, const struct endpoint *e, const struct endpoint_pool *p,
                      int32_t replicas, struct err *err)
{
	const struct model *m = controller_model(r->w->op, e, p);
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

static bool companion_missing(struct controller *op, const struct endpoint *e, struct work *w, enum kind kind)
{
	return !store_get(controller_store(op, kind), e->meta.ns, e->meta.name) &&
	       !refusal_pauses(w, kind, e->meta.name);
}

struct companions companions_missing(struct controller *op, const struct endpoint *e, struct work *w)
{
	const struct companion *budget = store_get(controller_store(op, KIND_BUDGET), e->meta.ns, e->meta.name);

	if (budget && !str_eq(budget->meta.owner_uid, e->meta.uid) && !refusal_find(w, KIND_BUDGET, e->meta.name))
		refusal_put_taken(w, KIND_BUDGET, e->meta.name);
	return (struct companions){
		.service = companion_missing(op, e, w, KIND_SERVICE) && has_model(op, e),
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
	r->made = loop_now(w->op->loop);
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
	run_send(r);
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
	run_send(r);
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
		add_write(r, KIND_SERVICE, KUBE_CREATE, e->meta.name, body_text(&r->arena, workload_service(e)))
			->refused_as = "ServiceRefused";
	}
	run_send(r);
}
