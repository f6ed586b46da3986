/* What the operator would see of this world: as pkg/operator/observe.c does of its stores. */
#include "forecast/internal.h"
#include "plan/nodestate.h"

struct pods {
	const struct pod **list;
	size_t n;
};

/* One Deployment, with its pods counted. */
struct count {
	int32_t bound, ready, lost_ready;
	bool pods_left;
	struct wall last_bind, oldest_wait, look_again;
	struct pods waiting, unready, lost;
};

static void add(struct pods *to, const struct pod *p)
{
	to->list[to->n++] = p;
}

static void count_bound(const struct world *w, const struct world_pod *p, struct count *c)
{
	const struct node *n = p->node ? p->node->view : NULL;
	struct wall lost_from = {0};

	if (!p->on_new_node && !(n && n->ready == TRI_UNKNOWN && w->hears_no_node))
		lost_from = nodestate_lost_from(n, p->view.scheduled_since);
	if (p->view.scheduled == TRI_TRUE)
		c->last_bind = wall_max(c->last_bind, p->view.scheduled_since);
	if (wall_is_set(lost_from) && lost_from.ms <= w->now.ms) {
		add(&c->lost, &p->view);
		c->lost_ready += p->view.ready;
		return;
	}
	if (wall_is_set(lost_from) && (!wall_is_set(c->look_again) || lost_from.ms < c->look_again.ms))
		c->look_again = lost_from;
	c->bound++;
	if (p->view.ready)
		c->ready++;
	else
		add(&c->unready, &p->view);
}

static void count_pods(const struct world *w, const struct world_group *g, struct arena *a, struct count *ret)
{
	*ret = (struct count){.bound = 0};
	ret->waiting.list = arena_calloc(a, w->n_pods + 1, sizeof(*ret->waiting.list));
	ret->unready.list = arena_calloc(a, w->n_pods + 1, sizeof(*ret->unready.list));
	ret->lost.list = arena_calloc(a, w->n_pods + 1, sizeof(*ret->lost.list));
	for (size_t i = 0; i < w->n_pods; i++) {
		const struct world_pod *p = w->pods[i];

		if (p->gone || p->group != g)
			continue;
		ret->pods_left = true;
		if (pod_is_bound(&p->view)) {
			count_bound(w, p, ret);
		} else if (pod_is_waiting(&p->view)) {
			add(&ret->waiting, &p->view);
			if (!wall_is_set(ret->oldest_wait) || p->view.meta.created.ms < ret->oldest_wait.ms)
				ret->oldest_wait = p->view.meta.created;
		}
	}
}

static void block(struct plan_pool_seen *seen, enum condition_type as, const char *reason,
                  const char *sentence)
{
	seen->blocked = sentence;
	seen->blocked_as = as;
	seen->blocked_reason = reason;
}

static bool carries(const struct world_pool *p, const char *node_name)
{
	for (size_t i = 0; i < p->n_with; i++)
		if (str_eq(p->with[i]->meta.name, node_name))
			return true;
	return false;
}

/* Of any endpoint, ending on the pool's nodes. */
static struct pods leaving(const struct world *w, const struct world_pool *p, struct arena *a)
{
	struct pods found = {arena_calloc(a, w->n_pods + 1, sizeof(*found.list)), 0};

	for (size_t i = 0; i < w->n_pods; i++) {
		const struct pod *v = &w->pods[i]->view;

		if (!w->pods[i]->gone && wall_is_set(v->meta.deleted) && !str_empty(v->endpoint) && v->node_name &&
		    carries(p, v->node_name))
			add(&found, v);
	}
	return found;
}

static int32_t older_bound(const struct world *w, const struct world_pool *p)
{
	int32_t n = 0;

	for (size_t i = 0; i < w->n_pods; i++) {
		const struct world_pod *pod = w->pods[i];

		n += !pod->gone && pod->group && !pod->group->pool && pod_is_bound(&pod->view) && pod->node &&
		     carries(p, pod->view.node_name);
	}
	return n;
}

static void look_at_waiting(const struct world *w, const struct world_pool *p, const struct count *c,
                            struct arena *a, struct plan_pool_seen *seen)
{
	const struct pool_status *last = endpoint_status_pool(&w->endpoint.status, p->spec->name);
	struct pods ending = leaving(w, p, a);
	struct classify_input in = {
		.waiting = seen->want - seen->bound - (int32_t)seen->n_lost,
		.pods = c->waiting.list,
		.n_pods = c->waiting.n,
		.last_bind = c->last_bind,
		.nodes = p->with,
		.n_nodes = p->n_with,
		.leaving = ending.list,
		.n_leaving = ending.n,
		.older_bound = older_bound(w, p),
		.resources = p->model ? p->model->resources : NULL,
		.n_resources = p->model ? p->model->n_resources : 0,
		.failure_message = p->group->failure_message,
		.provides_nodes = seen->provides_nodes,
		.last_reason = last ? last->reason : REASON_NONE,
		.last_deadline = last ? last->deadline : (struct wall){0},
	};

	classify(&in, w->now, a, &seen->why);
}

static void look_at_nodes(const struct world_pool *p, struct plan_pool_seen *seen)
{
	for (size_t i = 0; i < p->n_with; i++)
		if (p->with[i]->ready == TRI_TRUE && !p->with[i]->unschedulable)
			seen->node_ready = wall_max(seen->node_ready, p->with[i]->ready_since);
}

static const char *why_unreadable(const struct world *w, const char *model)
{
	for (size_t i = 0; i < w->in->n_unreadable; i++) {
		const struct forecast_unreadable *u = w->in->unreadable[i];

		if (str_eq(u->ns, w->endpoint.meta.ns) && str_eq(u->name, model))
			return u->why;
	}
	return NULL;
}

static void block_without_model(const struct world *w, const char *model, struct arena *a,
                                struct plan_pool_seen *seen)
{
	const char *why = why_unreadable(w, model);

	if (why)
		block(seen, COND_MODEL_MISSING, "ModelUnreadable",
		      arena_printf(a, "Model %s cannot be read: %s", model, why));
	else
		block(seen, COND_MODEL_MISSING, "ModelMissing",
		      arena_printf(a, "Model %s does not exist in namespace %s", model, w->endpoint.meta.ns));
}

static void look_at_blocked(const struct world *w, const struct world_pool *p, struct arena *a,
                            struct plan_pool_seen *seen)
{
	if (!p->model)
		block_without_model(w, p->spec->model_name, a, seen);
	else if (p->taken)
		block(
			seen, COND_STALLED, "NameTaken",
			arena_printf(a, "Deployment %s exists and belongs to somebody else; it is left alone", p->name));
	else if (p->unusable && !p->group)
		block(seen, COND_STALLED, "TemplateRefused", p->unusable);
}

static void take_count(const struct world *w, const struct world_group *g, const struct count *c,
                       struct arena *a, struct plan_pool_seen *seen)
{
	struct startup_input startup = {
		.pods = c->unready.list,
		.n_pods = c->unready.n,
		.download_timeout_ms = w->endpoint.spec.download_timeout_ms,
		.startup_timeout_ms = w->endpoint.spec.startup_timeout_ms,
	};

	seen->deployment = g->name;
	seen->exists = true;
	seen->created = g->created;
	seen->want = seen->asked = g->want;
	seen->bound = c->bound;
	seen->ready = c->ready;
	seen->last_bind = c->last_bind;
	seen->oldest_wait = c->oldest_wait;
	seen->lost = c->lost.list;
	seen->n_lost = c->lost.n;
	seen->look_again = c->look_again;
	startup_look(&startup, w->now, a, &seen->startup);
}

static void look_at_pool(struct world *w, const struct world_pool *p, struct arena *a,
                         struct plan_pool_seen *seen)
{
	struct count c;

	*seen = (struct plan_pool_seen){
		.deployment = p->name,
		.asked = -1,
		.provides_nodes = w->in->adds_nodes != FORECAST_NODES_FIXED,
	};
	look_at_blocked(w, p, a, seen);
	look_at_nodes(p, seen);
	if (p->model)
		shortages_look(w->shortages, arena_printf(a, "%s/%s", w->endpoint.meta.ns, w->endpoint.meta.name),
		               shortage_key(p->spec, p->model), &seen->shortage);
	if (!p->group)
		return;
	count_pods(w, p->group, a, &c);
	take_count(w, p->group, &c, a, seen);
	if (seen->want > seen->bound + (int32_t)seen->n_lost)
		look_at_waiting(w, p, &c, a, seen);
}

static void look_at_old(const struct world *w, struct arena *a, struct plan_input *ret)
{
	struct plan_old_seen *old = arena_calloc(a, w->n_groups + 1, sizeof(*old));
	size_t n = 0;

	for (size_t i = 0; i < w->n_groups; i++) {
		const struct world_group *g = w->groups[i];
		struct count c;

		if (g->pool || g->deleted)
			continue;
		count_pods(w, g, a, &c);
		old[n++] = (struct plan_old_seen){
			.name = g->name,
			.pool = g->pool_label,
			.want = g->want,
			.bound = c.bound + (int32_t)c.lost.n,
			.ready = c.ready + c.lost_ready,
			.pods_left = c.pods_left,
		};
	}
	ret->old = old;
	ret->n_old = n;
}

void look(struct world *w, struct arena *a, struct plan_input *ret)
{
	*ret = (struct plan_input){.endpoint = &w->endpoint};
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++)
		look_at_pool(w, &w->pools[i], a, &ret->pools[i]);
	look_at_old(w, a, ret);
}
