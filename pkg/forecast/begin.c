/* How the world is at the beginning: from the objects that are given. */
#include "base/json.h"
#include "forecast/internal.h"
#include "plan/nodestate.h"

static bool is_out(const struct world *w, const char *type)
{
	for (size_t i = 0; i < w->in->n_out; i++)
		if (str_eq(w->in->out[i], type))
			return true;
	return false;
}

static bool is_out_node(const struct world *w, const struct node *n)
{
	return is_out(w, fit_label(n, NODE_LABEL_INSTANCE_TYPE));
}

static const struct model *find_model(const struct forecast_input *in, const struct endpoint *e,
                                      const struct endpoint_pool *p)
{
	for (size_t i = 0; i < in->n_models; i++)
		if (str_eq(in->models[i]->meta.ns, e->meta.ns) && str_eq(in->models[i]->meta.name, p->model_name))
			return in->models[i];
	return NULL;
}

static size_t key_index(struct world *w, const char *key)
{
	size_t k = 0;

	while (k < w->n_keys && !str_eq(w->keys[k], key))
		k++;
	if (k == w->n_keys && k < MAX_KEYS) {
		w->keys[k] = key;
		w->lack[k] = str_eq(key, "pods") ? "Too many pods" : arena_printf(w->arena, "Insufficient %s", key);
		w->n_keys++;
	}
	return k;
}

/* Rendered, and understood as far as it is here. */
static void init_template(struct world *w, struct world_pool *p, struct forecast_amounts *ret)
{
	struct err err = ERR_INIT;

	p->deployment = workload_deployment(&w->endpoint, p->spec, p->model, p->revision, 0, &err);
	p->pod_spec = json_at(p->deployment, "spec", "template", "spec");
	if (!p->pod_spec || forecast_requests(p->pod_spec, w->arena, ret, &err) < 0) {
		p->unusable = arena_strdup(w->arena, err.message);
		p->pod_spec = NULL;
	}
	for (size_t i = 0; i < ret->n; i++)
		if (key_index(w, ret->list[i].key) == MAX_KEYS)
			p->unusable = "the instances ask for too many kinds of resources";
}

static void init_pool(struct world *w, struct world_pool *p, const struct endpoint_pool *spec,
                      struct forecast_amounts *ret)
{
	char text[NAME_MAX_BYTES + 1], revision[REVISION_SIZE];

	p->spec = spec;
	p->model = find_model(w->in, &w->endpoint, spec);
	p->out = is_out(w, spec->instance_type);
	label_value(spec->name, text);
	p->label = arena_strdup(w->arena, text);
	if (!p->model)
		return;
	pool_revision(&w->endpoint, spec, p->model, revision);
	p->revision = arena_strdup(w->arena, revision);
	deployment_name(w->endpoint.meta.name, spec->name, revision, text);
	p->name = arena_strdup(w->arena, text);
	init_template(w, p, ret);
}

static int64_t *amounts_by_key(const struct world *w, const struct forecast_amounts *amounts)
{
	int64_t *list = arena_calloc(w->arena, w->n_keys, sizeof(*list));

	for (size_t k = 0; k < w->n_keys; k++)
		list[k] = forecast_amount_of(amounts, w->keys[k]);
	return list;
}

/* A pod counts as one. */
static int64_t *requests_by_key(const struct world *w, const struct forecast_amounts *amounts)
{
	int64_t *list = amounts_by_key(w, amounts);

	list[0] = 1000;
	return list;
}

static void init_nodes(struct world *w)
{
	size_t n_unheard = 0;

	map_init(&w->node_by_name);
	w->nodes = arena_calloc(w->arena, w->in->n_nodes + 1, sizeof(*w->nodes));
	for (size_t i = 0; i < w->in->n_nodes; i++) {
		const struct forecast_node *n = w->in->nodes[i];
		struct world_node *to = &w->nodes[w->n_nodes];

		if (is_out_node(w, n->view))
			continue;
		w->n_nodes++;
		to->view = n->view;
		to->total = amounts_by_key(w, &n->allocatable);
		to->left = amounts_by_key(w, &n->allocatable);
		map_put(&w->node_by_name, n->view->meta.name, to);
		n_unheard += n->view->ready == TRI_UNKNOWN;
	}
	w->hears_no_node = nodestate_none_is_heard(n_unheard, w->n_nodes);
}

static void fit_pool(const struct world *w, struct world_pool *p)
{
	p->fit = arena_calloc(w->arena, w->n_nodes + 1, sizeof(*p->fit));
	p->with = arena_calloc(w->arena, w->n_nodes + 1, sizeof(*p->with));
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct node *n = w->nodes[i].view;

		if (p->pod_spec)
			p->fit[i] = fit_node(p->pod_spec, n);
		if (node_matches(n, p->spec->node_selector, p->spec->n_node_selector))
			p->with[p->n_with++] = n;
	}
}

static void init_pools(struct world *w)
{
	struct forecast_amounts asks[ENDPOINT_MAX_POOLS] = {{NULL, 0}};

	key_index(w, "pods");
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++)
		init_pool(w, &w->pools[i], &w->endpoint.spec.pools[i], &asks[i]);
	init_nodes(w);
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++) {
		w->pools[i].asks = requests_by_key(w, &asks[i]);
		fit_pool(w, &w->pools[i]);
	}
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp((*(struct world_group *const *)a)->name, (*(struct world_group *const *)b)->name);
}

static bool is_of_endpoint(const struct world *w, const char *ns, const char *endpoint)
{
	return str_eq(ns, w->endpoint.meta.ns) && str_eq(endpoint, w->endpoint.meta.name);
}

/* Without its Model a pool's revision is not known: the newest Deployment stands for the pool. */
static struct world_group *group_of_pool(const struct world *w, const struct world_pool *p)
{
	struct world_group *newest = NULL;

	if (p->name)
		return world_group(w, p->name);
	for (size_t i = 0; i < w->n_groups; i++)
		if (str_eq(w->groups[i]->pool_label, p->label) &&
		    (!newest || w->groups[i]->created.ms > newest->created.ms))
			newest = w->groups[i];
	return newest;
}

/* One that carries our label and is not ours, as the operator sees it. */
static void find_taken(struct world *w, const struct deployment *d)
{
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++)
		if (w->pools[i].name && str_eq(w->pools[i].name, d->meta.name))
			w->pools[i].taken = true;
}

static void init_groups(struct world *w)
{
	/* One for each pool may come. */
	w->groups =
		arena_calloc(w->arena, w->in->n_deployments + ENDPOINT_MAX_POOLS, sizeof(struct world_group *));
	for (size_t i = 0; i < w->in->n_deployments; i++) {
		const struct deployment *d = w->in->deployments[i];
		struct world_group *g;

		if (!is_of_endpoint(w, d->meta.ns, d->endpoint) || wall_is_set(d->meta.deleted))
			continue;
		if (str_empty(d->meta.owner_uid) || !str_eq(d->meta.owner_uid, w->endpoint.meta.uid)) {
			find_taken(w, d);
			continue;
		}
		g = world_add_group(w);
		g->name = d->meta.name;
		g->pool_label = d->pool;
		g->revision = d->revision;
		g->failure_message = d->failure_message;
		g->created = d->meta.created;
		g->want = d->replicas;
	}
	qsort(w->groups, w->n_groups, sizeof(w->groups[0]), compare_groups);
	for (size_t i = 0; i < w->endpoint.spec.n_pools; i++) {
		w->pools[i].group = group_of_pool(w, &w->pools[i]);
		if (w->pools[i].group)
			w->pools[i].group->pool = &w->pools[i];
	}
}

static struct world_group *group_of_pod(const struct world *w, const struct pod *p)
{
	char name[NAME_MAX_BYTES + 1];

	if (!is_of_endpoint(w, p->meta.ns, p->endpoint) || str_empty(p->pool) || str_empty(p->revision))
		return NULL;
	deployment_name(w->endpoint.meta.name, p->pool, p->revision, name);
	return world_group(w, name);
}

/* One that is there already goes on from where it is. One that was refused is looked at again when room is made, not before:
 * the scheduler knows more than this model. */
static void take_up(struct world *w, struct world_pod *p)
{
	struct pod *v = &p->view;

	if (wall_is_set(v->meta.deleted))
		p->gone_at = wall_max(v->meta.deleted, world_in(w, MS_PER_S));
	else if (!p->group)
		return;
	else if (!v->node_name && v->scheduled == TRI_FALSE)
		scheduler_call_node(w, p);
	else if (!v->node_name)
		p->verdict_at = world_in(w, VERDICT_MS);
	else if (!v->ready && v->trouble == POD_FINE && p->node && p->node->view->ready == TRI_TRUE)
		p->ready_at = world_in(w, READY_MS);
}

static bool is_finished(const struct pod *p)
{
	return str_eq(p->phase, "Succeeded") || str_eq(p->phase, "Failed");
}

static int compare_pods(const void *a, const void *b)
{
	const struct objmeta *x = &(*(struct world_pod *const *)a)->view.meta,
						 *y = &(*(struct world_pod *const *)b)->view.meta;
	int order = strcmp(x->ns ? x->ns : "", y->ns ? y->ns : "");

	return order ? order : strcmp(x->name, y->name);
}

static bool has_node_that_is_out(const struct world *w, const struct pod *p)
{
	for (size_t i = 0; i < w->in->n_nodes; i++)
		if (str_eq(w->in->nodes[i]->view->meta.name, p->node_name))
			return is_out_node(w, w->in->nodes[i]->view);
	return false;
}

/* Somebody else's that stays only takes its part of the node. */
static void init_pod(struct world *w, const struct forecast_pod *from)
{
	const struct pod *v = from->view;
	struct world_node *n = v->node_name ? map_get(&w->node_by_name, v->node_name) : NULL;
	struct world_group *g = group_of_pod(w, v);
	const int64_t *takes = requests_by_key(w, &from->requests);
	struct world_pod *p;

	if (is_finished(v) || (!g && !n) || (g && !n && v->node_name && has_node_that_is_out(w, v)))
		return;
	if (n)
		world_take(w, n, takes);
	if (!g && !wall_is_set(v->meta.deleted))
		return;
	p = world_add_pod(w);
	p->view = *v;
	p->group = g;
	p->node = n;
	p->takes = takes;
}

static void init_pods(struct world *w)
{
	for (size_t i = 0; i < w->in->n_pods; i++)
		init_pod(w, w->in->pods[i]);
	if (w->n_pods > 1)
		qsort(w->pods, w->n_pods, sizeof(struct world_pod *), compare_pods);
	for (size_t i = 0; i < w->n_pods; i++)
		take_up(w, w->pods[i]);
}

/* ---- what endpoints know of each other ---- */

static void nobody_is_called(void *arg, const char *endpoint)
{
	(void)arg;
	(void)endpoint;
}

static void init_shared(struct world *w)
{
	w->shortages = shortages_new(nobody_is_called, NULL);
	for (size_t i = 0; i < w->in->n_others; i++) {
		const struct endpoint *e = w->in->others[i];
		struct shortage_report reports[ENDPOINT_MAX_POOLS];
		size_t n = 0;

		for (size_t k = 0; k < e->spec.n_pools; k++) {
			const struct model *m = find_model(w->in, e, &e->spec.pools[k]);
			const struct pool_status *s = endpoint_status_pool(&e->status, e->spec.pools[k].name);

			if (s && m)
				reports[n++] = shortage_report_of(shortage_key(&e->spec.pools[k], m), s, false);
		}
		shortages_tell(w->shortages, arena_printf(w->arena, "%s/%s", e->meta.ns, e->meta.name), reports, n,
		               w->now);
	}
}

void world_init(struct world *w, const struct forecast_input *in, struct arena *a)
{
	*w = (struct world){.in = in, .arena = a, .endpoint = *in->endpoint, .now = wall_floor_s(in->now)};
	if (in->instance_count >= 0)
		w->endpoint.spec.instance_count = in->instance_count;
	init_pools(w);
	init_groups(w);
	init_pods(w);
	init_shared(w);
	world_replicate(w);
}
