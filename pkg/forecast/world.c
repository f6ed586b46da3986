/* Deployments, their pods and what becomes of them. */
#include <assert.h>
#include <inttypes.h>
#include "base/json.h"
#include "forecast/internal.h"

#define MAX_GRACE_S (365 * 24 * 60 * 60)

/* There, and not on its way out. */
static bool is_live(const struct world_pod *p)
{
	return !p->gone && !wall_is_set(p->view.meta.deleted);
}

static bool waits(const struct world_pod *p)
{
	return is_live(p) && p->group && !p->view.node_name;
}

struct world_group *world_group(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_groups; i++)
		if (str_eq(w->groups[i]->name, name))
			return w->groups[i];
	return NULL;
}

struct world_group *world_add_group(struct world *w)
{
	return w->groups[w->n_groups++] = arena_calloc(w->arena, 1, sizeof(struct world_group));
}

struct world_pod *world_add_pod(struct world *w)
{
	if (w->n_pods == w->cap_pods) {
		size_t cap = w->cap_pods ? w->cap_pods * 2 : 64;
		struct world_pod **pods = arena_calloc(w->arena, cap, sizeof(*pods));

		if (w->n_pods)
			memcpy(pods, w->pods, w->n_pods * sizeof(*pods));
		w->pods = pods;
		w->cap_pods = cap;
	}
	return w->pods[w->n_pods++] = arena_calloc(w->arena, 1, sizeof(struct world_pod));
}

struct wall world_in(const struct world *w, int64_t ms)
{
	return wall_add(w->now, ms);
}

void world_take(const struct world *w, struct world_node *n, const int64_t *takes)
{
	for (size_t k = 0; k < w->n_keys; k++)
		if (__builtin_sub_overflow(n->left[k], takes[k], &n->left[k]))
			n->left[k] = INT64_MIN;
}

static void give_back(const struct world *w, struct world_node *n, const int64_t *takes)
{
	for (size_t k = 0; k < w->n_keys; k++)
		if (__builtin_add_overflow(n->left[k], takes[k], &n->left[k]))
			n->left[k] = INT64_MAX;
}

/* ---- the ReplicaSet controller ---- */

static void make_pod(struct world *w, struct world_group *g)
{
	const json_t *grace = json_at(g->pool ? g->pool->pod_spec : NULL, "terminationGracePeriodSeconds");
	struct world_pod *p = world_add_pod(w);

	p->view = (struct pod){
		.meta = {.ns = w->endpoint.meta.ns,
	             .name = arena_printf(w->arena, "%s-new-%06" PRIu32, g->name, ++w->n_made),
	             .created = wall_floor_s(w->now)},
		.endpoint = w->endpoint.meta.name,
		.pool = g->pool_label,
		.revision = g->revision,
		.phase = "Pending",
		.grace_period_s = json_is_integer(grace) ? json_integer_value(grace) : 30,
	};
	p->group = g;
	/* One of an older Deployment is never placed. */
	p->takes = g->pool ? g->pool->asks : arena_calloc(w->arena, w->n_keys, sizeof(*p->takes));
	p->verdict_at = world_in(w, VERDICT_MS);
}

static int compare_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* Who goes first is less: as the ReplicaSet controller has it. */
static int compare_worth(const struct world_pod *a, const struct world_pod *b)
{
	int order = compare_i64(a->view.node_name != NULL, b->view.node_name != NULL);

	order = order ? order : compare_i64(a->view.ready, b->view.ready);
	order = order ? order
	              : compare_i64(!str_eq(a->view.deletion_cost, DELETION_COST_FIRST),
	                            !str_eq(b->view.deletion_cost, DELETION_COST_FIRST));
	order = order ? order : compare_i64(b->view.ready_since.ms, a->view.ready_since.ms);
	order = order ? order : compare_i64(b->view.meta.created.ms, a->view.meta.created.ms);
	return order ? order : strcmp(b->view.meta.name, a->view.meta.name);
}

static void end_pod(struct world *w, struct world_pod *p)
{
	int64_t grace_s = p->view.grace_period_s;

	p->verdict_at = p->node_at = p->ready_at = (struct wall){0};
	if (!p->view.node_name) {
		p->gone = true;
		return;
	}
	grace_s = grace_s < 0 ? 0 : grace_s > MAX_GRACE_S ? MAX_GRACE_S : grace_s;
	p->view.meta.deleted = wall_floor_s(world_in(w, grace_s * MS_PER_S));
	p->gone_at = world_in(w, STOP_MS);
}

static void end_one(struct world *w, const struct world_group *g)
{
	struct world_pod *worst = NULL;

	for (size_t i = 0; i < w->n_pods; i++) {
		struct world_pod *p = w->pods[i];

		if (p->group == g && is_live(p) && (!worst || compare_worth(p, worst) < 0))
			worst = p;
	}
	assert(worst);
	end_pod(w, worst);
}

static void replicate(struct world *w, struct world_group *g)
{
	int32_t n = 0;

	for (size_t i = 0; i < w->n_pods; i++)
		n += w->pods[i]->group == g && is_live(w->pods[i]);
	/* What the API server has refused to create, it refuses still. */
	for (; n < g->want && !g->failure_message; n++)
		make_pod(w, g);
	for (; n > g->want; n--)
		end_one(w, g);
}

void world_replicate(struct world *w)
{
	for (size_t i = 0; i < w->n_groups; i++)
		replicate(w, w->groups[i]);
}

void world_done(struct world *w)
{
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++)
		json_decref(w->pools[i].deployment);
	map_done(&w->node_by_name, NULL);
	shortages_free(w->shortages);
}

/* ---- what the planner has others do ---- */

static void create_group(struct world *w, struct world_pool *p, int32_t count)
{
	struct world_group *g = world_add_group(w);

	g->name = p->name;
	g->pool_label = p->label;
	g->revision = p->revision;
	g->created = wall_floor_s(w->now);
	g->pool = p;
	g->want = count;
	p->group = g;
}

static void mark_first(const struct world *w, const struct pod *pod)
{
	for (size_t i = 0; i < w->n_pods; i++)
		if (&w->pods[i]->view == pod)
			w->pods[i]->view.deletion_cost = DELETION_COST_FIRST;
}

bool world_act(struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	for (size_t i = 0; i < out->n_steps; i++) {
		const struct plan_step *s = &out->steps[i];

		switch (s->type) {
		case PLAN_CREATE:
			create_group(w, &w->pools[s->index], s->to);
			break;
		case PLAN_SCALE:
			w->pools[s->index].group->want = s->to;
			break;
		case PLAN_SCALE_OLD:
			world_group(w, in->old[s->index].name)->want = s->to;
			break;
		case PLAN_DELETE_OLD:
			world_group(w, in->old[s->index].name)->deleted = true;
			break;
		case PLAN_FIRST_TO_GO:
			mark_first(w, s->pod);
			break;
		case PLAN_UNPROTECT: /* look() shows no such */
		case PLAN_RESTORE:
			break;
		}
	}
	world_replicate(w);
	return out->n_steps > 0;
}

/* ---- time ---- */

static void be_earlier(struct wall *next, struct wall t)
{
	if (wall_is_set(t) && (!wall_is_set(*next) || t.ms < next->ms))
		*next = t;
}

struct wall world_next(const struct world *w)
{
	struct wall next = {0};

	for (size_t i = 0; i < w->n_pods; i++) {
		const struct world_pod *p = w->pods[i];

		if (p->gone)
			continue;
		be_earlier(&next, p->verdict_at);
		be_earlier(&next, p->node_at);
		be_earlier(&next, p->ready_at);
		be_earlier(&next, p->gone_at);
	}
	return next;
}

static bool is_due(const struct world *w, struct wall t)
{
	return wall_is_set(t) && t.ms <= w->now.ms;
}

static void leave(struct world *w, struct world_pod *p)
{
	p->gone = true;
	if (p->node)
		give_back(w, p->node, p->takes);
}

static void get_ready(struct world *w, struct world_pod *p)
{
	p->ready_at = (struct wall){0};
	p->view.phase = "Running";
	p->view.ready = true;
	p->view.ready_since = wall_floor_s(w->now);
}

void world_run(struct world *w)
{
	bool room = false;

	for (size_t i = 0; i < w->n_pods; i++) {
		struct world_pod *p = w->pods[i];

		if (p->gone)
			continue;
		if (is_due(w, p->gone_at)) {
			leave(w, p);
			room = true;
		} else if (is_due(w, p->ready_at)) {
			get_ready(w, p);
		}
	}
	for (size_t i = 0; i < w->n_pods; i++) {
		struct world_pod *p = w->pods[i];

		if (waits(p) && (is_due(w, p->verdict_at) || is_due(w, p->node_at))) {
			p->verdict_at = (struct wall){0};
			scheduler_try(w, p);
		} else if (waits(p) && room && p->view.scheduled == TRI_FALSE && !scheduler_is_gated(p) &&
		           !wall_is_set(p->verdict_at)) {
			p->verdict_at = world_in(w, RETRY_MS);
		}
	}
}

bool world_has_spoken(const struct world *w)
{
	for (size_t i = 0; i < w->n_pods; i++)
		if (waits(w->pods[i]) && wall_is_set(w->pods[i]->verdict_at))
			return false;
	return true;
}
