/* What to do next. Each rule reads the status as docs/design/planner.md and capacity-signals.md define it. */
#include <inttypes.h>
#include "api/names.h"
#include "inspect/text.h"

/* An operator that runs has seen a change long before. */
#define UNSEEN_MS (10 * MS_PER_S)

struct advice {
	const struct inspect_facts *f;
	struct arena *arena;
	const char **steps;
	size_t n;
};

static void say(struct advice *a, const char *step)
{
	if (a->n < INSPECT_MAX_STEPS)
		a->steps[a->n++] = text_clean(a->arena, step);
}

/* By reason. {ns}, {endpoint}, {pool}, {type}, {selector}, {message}; {pod}: one of the pool's that the reason is about;
 * {container}: its container that has trouble. */
static const struct {
	enum pool_reason reason;
	const char *step;
} startup_steps[] = {
	{REASON_IMAGE_PULL_FAILED, "{pool}: {message}. Is its name right, and does the Model name an "
                               "imagePullSecret? kubectl describe pod -n {ns} "
                               "{pod}"},
	{REASON_CRASH_LOOP,
     "{pool}: see why the container ended: kubectl logs -n {ns} {pod} -c {container} --previous"},
	{REASON_CONTAINER_ERROR, "{pool}: {message}. Correct the Model; kubectl describe pod -n {ns} {pod}"},
	{REASON_DOWNLOAD_TIMEOUT, "{pool}: see what the init containers are doing: kubectl logs -n {ns} {pod} "
                              "--all-containers. If they only need "
                              "longer, raise modelDataDownloadTimeoutSeconds"},
	{REASON_STARTUP_TIMEOUT,
     "{pool}: see why it does not get Ready: kubectl logs -n {ns} {pod} and kubectl describe pod -n {ns} "
     "{pod} (its "
     "readiness probe). If it only needs longer, raise containerStartupHealthCheckTimeoutSeconds"},
};

static const struct {
	enum pool_reason reason;
	const char *step;
} capacity_steps[] = {
	{REASON_CONFIG, "{pool}: its pods cannot run there as they are ({message}): correct the Model or the "
                    "pool; kubectl describe pod "
                    "-n {ns} {pod}"},
	{REASON_QUOTA,
     "{pool}: raise the namespace's quota, or lower the counts: kubectl describe resourcequota -n {ns}"},
	{REASON_GATED, "{pool}: its pods have scheduling gates; who set them must lift them (Kueue: kubectl get "
                   "workloads -n {ns})"},
	{REASON_NO_NODES, "{pool}: no node has {selector}. Compare: kubectl get nodes -L "
                      "node.kubernetes.io/instance-type. Label the nodes, "
                      "or correct the pool's instanceType or nodeSelector"},
	{REASON_LIMIT, "{pool}: raise the limit that the autoscaler names ({message}): the node group's maximum, "
                   "the NodePool's limits, "
                   "or the account's quota"},
	{REASON_UNKNOWN, "{pool}: see what keeps {pod} waiting: kubectl describe pod -n {ns} {pod}"},
};

static const char *selector_text(struct advice *a, const struct endpoint_pool *p)
{
	const char *text = "";

	for (size_t i = 0; i < p->n_node_selector; i++)
		text = arena_printf(a->arena, "%s%s%s=%s", text, *text ? "," : "", p->node_selector[i].key,
		                    p->node_selector[i].value);
	return text;
}

/* One that the step is about: of those that start, one with trouble first. NULL: none is known. */
static const struct pod *pick_pod(const struct inspect_facts *f, const char *pool, bool bound)
{
	const struct pod *found = NULL;

	for (size_t i = 0; i < f->n_pods; i++) {
		const struct pod *p = f->pods[i];

		if (!str_eq(p->pool, pool) || p->ready || (bound ? !pod_is_bound(p) : !pod_is_waiting(p)))
			continue;
		if (!found || (found->trouble == POD_FINE && p->trouble != POD_FINE) ||
		    (found->trouble == p->trouble && strcmp(p->meta.name, found->meta.name) < 0))
			found = p;
	}
	return found;
}

static const char *filled_in(struct advice *a, const char *step, const struct endpoint_pool *pool,
                             const char *message, const struct pod *pod)
{
	const struct endpoint *e = a->f->endpoint;
	const struct {
		const char *name, *value;
	} words[] = {
		{"ns", e->meta.ns},
		{"endpoint", e->meta.name},
		{"pool", pool->name},
		{"type", pool->instance_type},
		{"selector", selector_text(a, pool)},
		{"message", message},
		{"pod", pod ? pod->meta.name : "POD"},
		{"container", pod && pod->trouble_container ? pod->trouble_container : "CONTAINER"},
	};
	CLEANUP_BUF struct buf text;
	struct slice rest = slice_from(step);

	buf_init(&text, 1u << 16);
	while (rest.len > 0) {
		struct slice word;

		buf_add_slice(&text, slice_split(rest, '{', &rest));
		if (rest.len == 0)
			break;
		word = slice_split(rest, '}', &rest);
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (slice_eq_str(word, words[i].name))
				buf_add_str(&text, words[i].value);
	}
	return arena_slicedup(a->arena, buf_slice(&text));
}

/* The operator */

static void advise_operator(struct advice *a)
{
	const struct inspect_lease *l = &a->f->lease;
	const struct endpoint *e = a->f->endpoint;
	bool unseen = !e->status.present || e->status.observed_generation < e->meta.generation;
	bool silent = l->present && !str_empty(l->holder) && wall_is_set(l->renewed) &&
	              a->f->now.ms - l->renewed.ms > l->duration_ms + UNSEEN_MS;
	const char *look = arena_printf(a->arena, "kubectl -n %s get pods; kubectl -n %s logs deployment/%s",
	                                l->ns, l->ns, l->name);
	char age[AGE_TEXT_SIZE];

	if (!unseen && !silent)
		return;
	age_format(a->f->now.ms - l->renewed.ms, age);
	if (silent)
		say(a, arena_printf(
				   a->arena,
				   "the operator (%s) does not run or cannot reach the API server: it has not renewed its "
				   "Lease for %s. See: %s",
				   l->holder, age, look));
	else if (!e->status.present && a->f->now.ms - e->meta.created.ms < UNSEEN_MS)
		say(a, "it was made a moment ago: look again in a few seconds");
	else if (l->known && (!l->present || str_empty(l->holder)))
		say(a, arena_printf(
				   a->arena,
				   "no operator has taken this endpoint up, and none holds the Lease %s in namespace %s: "
				   "install it, or see why it does not run: %s",
				   l->name, l->ns, look));
	else
		say(a,
		    arena_printf(a->arena,
		                 "the operator has not taken up generation %" PRId64
		                 " of this endpoint yet. If that lasts: does it manage this namespace (--namespace)? "
		                 "See: %s",
		                 e->meta.generation, look));
}

/* What only a person can mend */

static bool is_true(const struct advice *a, enum condition_type type)
{
	const struct condition *c = &a->f->endpoint->status.conditions[type];

	return c->present && c->status;
}

static void advise_models(struct advice *a)
{
	const struct condition *c = &a->f->endpoint->status.conditions[COND_MODEL_MISSING];

	for (size_t i = 0; i < a->f->n_missing_models; i++)
		say(a, arena_printf(
				   a->arena,
				   "make the Model %s in namespace %s, or correct its name in the endpoint's modelName or "
				   "modelNameOverride; those that exist: kubectl get models.%s -n %s",
				   a->f->missing_models[i], a->f->endpoint->meta.ns, API_GROUP, a->f->endpoint->meta.ns));
	if (a->f->n_missing_models == 0 && is_true(a, COND_MODEL_MISSING))
		say(a, arena_printf(a->arena, "correct the Model: %s", c->message ? c->message : ""));
}

static void advise_stalled(struct advice *a)
{
	const struct condition *c = &a->f->endpoint->status.conditions[COND_STALLED];
	const char *message = c->message ? c->message : "";

	if (!is_true(a, COND_STALLED) || str_starts(c->reason ? c->reason : "", "Model"))
		return;
	if (str_eq(c->reason, "NameTaken"))
		say(a, arena_printf(a->arena, "%s: delete or rename that object, or give the endpoint another name",
		                    message));
	else
		say(a, arena_printf(a->arena, "mend what the API server refuses: %s", message));
}

static const char *message_of(const struct pool_status *s)
{
	return s->message ? s->message : pool_reason_name(s->reason);
}

/* Of an instance: the pool's reason may be that others of it wait for a node. */
static enum pool_reason reason_of_trouble(const struct pod *p)
{
	switch (p ? p->trouble : POD_FINE) {
	case POD_IMAGE_PULL:
		return REASON_IMAGE_PULL_FAILED;
	case POD_CRASH:
		return REASON_CRASH_LOOP;
	case POD_CONTAINER_ERROR:
		return REASON_CONTAINER_ERROR;
	case POD_FINE:
		break;
	}
	return REASON_NONE;
}

static const char *message_of_trouble(struct advice *a, const struct pod *p)
{
	const char *what = p->trouble == POD_IMAGE_PULL ? "cannot pull " : "";

	return arena_printf(a->arena, "container %s: %s%s", p->trouble_container, what,
	                    p->trouble_detail ? p->trouble_detail : "no reason given");
}

/* False: the reason is none of a start that fails. */
static bool advise_start(struct advice *a, const struct endpoint_pool *p, enum pool_reason reason,
                         const char *message, const struct pod *pod)
{
	for (size_t k = 0; k < ARRAY_LEN(startup_steps); k++)
		if (reason == startup_steps[k].reason) {
			say(a, filled_in(a, startup_steps[k].step, p, message, pod));
			return true;
		}
	return false;
}

static void advise_startup(struct advice *a)
{
	const struct endpoint *e = a->f->endpoint;

	for (size_t i = 0; i < e->spec.n_pools; i++) {
		const struct endpoint_pool *p = &e->spec.pools[i];
		const struct pool_status *s = endpoint_status_pool(&e->status, p->name);

		const struct pod *pod = pick_pod(a->f, p->name, true);

		if (!(s && advise_start(a, p, s->reason, message_of(s), pod)) && pod && pod->trouble != POD_FINE)
			advise_start(a, p, reason_of_trouble(pod), message_of_trouble(a, pod), pod);
	}
}

/* Capacity */

static bool asks_in_vain(const struct pool_status *s)
{
	return s && (s->state == POOL_WAITING || s->state == POOL_PROBING || s->state == POOL_BACK_OFF);
}

/* Of a pool that others stand in for nothing has to be done. */
static void advise_capacity(struct advice *a)
{
	const struct endpoint *e = a->f->endpoint;
	bool all_ready = is_true(a, COND_READY);

	for (size_t i = 0; i < e->spec.n_pools && !all_ready; i++) {
		const struct endpoint_pool *p = &e->spec.pools[i];
		const struct pool_status *s = endpoint_status_pool(&e->status, p->name);

		for (size_t k = 0; asks_in_vain(s) && k < ARRAY_LEN(capacity_steps); k++)
			if (s->reason == capacity_steps[k].reason)
				say(a,
				    filled_in(a, capacity_steps[k].step, p, message_of(s), pick_pod(a->f, p->name, false)));
	}
	if (is_true(a, COND_INSUFFICIENT_CAPACITY))
		say(a, "no pool has capacity for all: add nodes, or a pool of another instance type to "
		       "spec.instancePools, or raise the maxInstanceCount of one that has some; the operator goes on "
		       "trying");
}

static void advise_fallback(struct advice *a)
{
	const struct endpoint *e = a->f->endpoint;
	const struct pool_status *best =
		e->spec.n_pools > 0 ? endpoint_status_pool(&e->status, e->spec.pools[0].name) : NULL;

	if (!is_true(a, COND_ON_FALLBACK) || !is_true(a, COND_READY) || !best)
		return;
	if (e->spec.rebalance_active)
		say(a, "nothing has to be done: instances move back to better pools when these have capacity "
		       "(rebalance: Active)");
	else
		say(a, arena_printf(
				   a->arena,
				   "all that is wanted serves, some of it on a fallback, where it stays (rebalance: "
				   "Passive). To let it move back when better pools have capacity: kubectl patch ipe -n "
				   "%s %s --type merge -p '{\"spec\":{\"capacity\":{\"rebalance\":\"Active\"}}}'",
				   e->meta.ns, e->meta.name));
}

static void advise_nothing_wanted(struct advice *a)
{
	const struct endpoint *e = a->f->endpoint;

	if (e->status.present && e->status.desired == 0)
		say(a, arena_printf(a->arena, "no instance is wanted: kubectl scale ipe -n %s %s --replicas=1",
		                    e->meta.ns, e->meta.name));
}

size_t inspect_advise(const struct inspect_facts *f, struct arena *arena,
                      const char *ret[static INSPECT_MAX_STEPS])
{
	static void (*const rules[])(struct advice *) = {
		advise_operator, advise_models,   advise_stalled,        advise_startup,
		advise_capacity, advise_fallback, advise_nothing_wanted,
	};
	struct advice a = {.f = f, .arena = arena, .steps = ret};

	if (wall_is_set(f->endpoint->meta.deleted)) /* the operator leaves it alone */
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		rules[i](&a);
	return a.n;
}
