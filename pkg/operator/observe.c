/* The stores -> what plan() looks at. No decisions. The same state gives the same input: everything is sorted. */
#include "operator/internal.h"
#include "plan/nodestate.h"

/* Views found in a store, in an array that grows in the arena. */
struct found {
	struct arena *arena;
	const void **items;
	size_t n, cap;
};

static int found_add(void *arg, const void *obj)
{
	struct found *f = arg;

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		const void **items = arena_calloc(f->arena, cap, sizeof(*items));

		if (f->n)
			memcpy(items, f->items, f->n * sizeof(*items));
		f->items = items;
		f->cap = cap;
	}
	f->items[f->n++] = obj;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct objmeta *x = *(const struct objmeta *const *)a, *y = *(const struct objmeta *const *)b;

	return strcmp(x->name, y->name);
}

static void found_sort(struct found *f)
{
	if (f->n > 1)
		qsort(f->items, f->n, sizeof(*f->items), compare_names);
}

/* One of the endpoint's Deployments, with its pods counted. */
struct group {
	const struct deployment *deployment;
	bool current; /* of a pool's wanted revision */
	int32_t bound, ready;
	bool pods_left;
	struct wall last_bind, oldest_wait, look_again;
	struct found waiting;
	struct found unready, lost; /* of those bound; what is lost is in none of the other counts */
};

struct look {
	struct controller *op;
	const struct endpoint *e;
	struct work *w;
	struct wall now;
	struct arena *a;
	struct found deployments, pods;
	struct group *groups;    /* one per deployment found, same order */
	struct group **group_of; /* one per pod found, same order; NULL: none of ours */
};

bool controller_provides_nodes(const struct controller *op)
{
	switch (op->options.node_autoscaler) {
	case NODE_AUTOSCALER_NONE:
		return false;
	case NODE_AUTOSCALER_EXTERNAL:
		return true;
	case NODE_AUTOSCALER_AUTO:
	default:
		return op->autoscaler_found;
	}
}

static bool is_ours(const struct look *l, const struct objmeta *m)
{
	return str_eq(m->owner_uid, l->e->meta.uid);
}

static int is_leftover(void *arg, const void *obj)
{
	const struct endpoint *const *e = arg;
	const struct objmeta *m = obj;

	return m->owner_uid && !str_eq(m->owner_uid, (*e)->meta.uid);
}

/* Of one that was there before the endpoint, and is not being ended yet. */
static int is_older_instance(void *arg, const void *obj)
{
	const struct endpoint *const *e = arg;
	const struct pod *p = obj;

	return !wall_is_set(p->meta.deleted) && p->meta.created.ms < (*e)->meta.created.ms;
}

bool observe_leftovers(const struct controller *op, const struct endpoint *e)
{
	const struct companion *s = store_get(controller_store(op, KIND_SERVICE), e->meta.ns, e->meta.name),
						   *b = store_get(controller_store(op, KIND_BUDGET), e->meta.ns, e->meta.name);
	char key[KEY_SIZE];

	key_format(key, e->meta.ns, e->meta.name);
	return (s && is_leftover(&e, s)) || (b && is_leftover(&e, b)) ||
	       store_each_indexed(controller_store(op, KIND_DEPLOYMENT), INDEX_ENDPOINT, key, is_leftover, &e) !=
	           0 ||
	       store_each_indexed(controller_store(op, KIND_POD), INDEX_ENDPOINT, key, is_older_instance, &e) !=
	           0;
}

static void count_bound(const struct look *l, struct group *g, const struct pod *p)
{
	const struct node *n = store_get(controller_store(l->op, KIND_NODE), NULL, p->node_name);
	bool may_be_well = n && n->ready == TRI_UNKNOWN && l->op->hears_no_node;
	struct wall lost_from = {0};

	if (l->op->options.watch_nodes && !may_be_well)
		lost_from = nodestate_lost_from(n, p->scheduled_since);
	if (p->scheduled == TRI_TRUE)
		g->last_bind = wall_max(g->last_bind, p->scheduled_since);
	if (wall_is_set(lost_from) && lost_from.ms <= l->now.ms) {
		found_add(&g->lost, p);
		return;
	}
	if (wall_is_set(lost_from) && (!wall_is_set(g->look_again) || lost_from.ms < g->look_again.ms))
		g->look_again = lost_from;
	g->bound++;
	if (p->ready)
		g->ready++;
	else
		found_add(&g->unready, p);
}

static void count_pod(const struct look *l, struct group *g, const struct pod *p)
{
	g->pods_left = true;
	if (pod_is_bound(p)) {
		count_bound(l, g, p);
	} else if (pod_is_waiting(p)) {
		found_add(&g->waiting, p);
		if (!wall_is_set(g->oldest_wait) || p->meta.created.ms < g->oldest_wait.ms)
			g->oldest_wait = p->meta.created;
	}
}

static struct group *group_named(struct look *l, const char *name)
{
	for (size_t i = 0; i < l->deployments.n; i++)
		if (str_eq(l->groups[i].deployment->meta.name, name))
			return &l->groups[i];
	return NULL;
}

/* By the pod's labels, which come from the template, and not by the Deployment's own: those anybody may change. */
static struct group *group_of_pod(struct look *l, const struct pod *p)
{
	char name[NAME_MAX_BYTES + 1];
	struct group *g;

	if (str_empty(p->pool) || str_empty(p->revision))
		return NULL;
	deployment_name(l->e->meta.name, p->pool, p->revision, name);
	g = group_named(l, name);
	return g && is_ours(l, &g->deployment->meta) ? g : NULL;
}

static void group_pods(struct look *l)
{
	l->groups = arena_calloc(l->a, l->deployments.n ? l->deployments.n : 1, sizeof(*l->groups));
	l->group_of = arena_calloc(l->a, l->pods.n ? l->pods.n : 1, sizeof(*l->group_of));
	for (size_t i = 0; i < l->deployments.n; i++) {
		l->groups[i].deployment = l->deployments.items[i];
		l->groups[i].waiting.arena = l->groups[i].unready.arena = l->groups[i].lost.arena = l->a;
	}
	for (size_t i = 0; i < l->pods.n; i++) {
		l->group_of[i] = group_of_pod(l, l->pods.items[i]);
		if (l->group_of[i])
			count_pod(l, l->group_of[i], l->pods.items[i]);
	}
}

/* Without its Model a pool's revision is not known: what runs there stays, the newest Deployment stands for the pool. */
static struct group *group_newest(struct look *l, const char *pool)
{
	struct group *newest = NULL;
	char label[NAME_MAX_BYTES + 1];

	label_value(pool, label);
	for (size_t i = 0; i < l->deployments.n; i++) {
		struct group *g = &l->groups[i];

		if (str_eq(g->deployment->pool, label) && is_ours(l, &g->deployment->meta) &&
		    (!newest || g->deployment->meta.created.ms > newest->deployment->meta.created.ms))
			newest = g;
	}
	return newest;
}

struct node_search {
	const struct endpoint_pool *pool;
	struct found *found;
};

static int add_if_matches(void *arg, const void *obj)
{
	const struct node_search *s = arg;

	if (node_matches(obj, s->pool->node_selector, s->pool->n_node_selector))
		found_add(s->found, obj);
	return 0;
}

/* In no order. */
static void find_nodes(struct look *l, const struct endpoint_pool *p, struct found *ret)
{
	const struct store *nodes = controller_store(l->op, KIND_NODE);
	struct node_search search = {p, ret};
	const char *type = NULL;

	for (size_t i = 0; i < p->n_node_selector; i++)
		if (str_eq(p->node_selector[i].key, NODE_LABEL_INSTANCE_TYPE))
			type = p->node_selector[i].value;
	if (type)
		store_each_indexed(nodes, INDEX_INSTANCE_TYPE, type, add_if_matches, &search);
	else
		store_each(nodes, add_if_matches, &search);
}

/* Of the nodes nothing is known: those of this pool stand for all that end there. */
static void find_leaving_of_pool(struct look *l, const char *pool, struct found *ret)
{
	for (size_t i = 0; i < l->pods.n; i++) {
		const struct pod *p = l->pods.items[i];

		if (str_eq(p->pool, pool) && wall_is_set(p->meta.deleted) && !str_empty(p->node_name))
			found_add(ret, p);
	}
}

static void find_leaving(struct look *l, const char *pool, const struct found *nodes, struct found *ret)
{
	*ret = (struct found){.arena = l->a};
	if (!l->op->options.watch_nodes)
		find_leaving_of_pool(l, pool, ret);
	for (size_t i = 0; i < nodes->n; i++) {
		const struct node *n = nodes->items[i];

		store_each_indexed(controller_store(l->op, KIND_POD), INDEX_LEAVING, n->meta.name, found_add, ret);
	}
	found_sort(ret);
}

/* Is it on one of the pool's nodes? Where these are not known: is it one of the pool's? */
static bool is_on_node_of(const struct look *l, const struct pod *p, const struct endpoint_pool *pool,
                          const char *label)
{
	const struct node *on;

	if (!pod_is_bound(p))
		return false;
	if (!l->op->options.watch_nodes)
		return str_eq(p->pool, label);
	on = store_get(controller_store(l->op, KIND_NODE), NULL, p->node_name);
	return on && node_matches(on, pool->node_selector, pool->n_node_selector);
}

static int32_t count_older(const struct look *l, const struct endpoint_pool *pool, const char *label)
{
	int32_t n = 0;

	for (size_t i = 0; i < l->pods.n; i++) {
		bool current = l->group_of[i] && l->group_of[i]->current;

		n += !current && is_on_node_of(l, l->pods.items[i], pool, label);
	}
	return n;
}

/* Why the pool's instances wait: the evidence is gathered only where there is something to explain. */
static void look_at_waiting(struct look *l, const struct endpoint_pool *p, const struct model *m,
                            struct group *g, struct found *nodes, struct plan_pool_seen *seen)
{
	const struct pool_status *last = endpoint_status_pool(&l->e->status, p->name);
	char label[NAME_MAX_BYTES + 1];
	struct found leaving;
	struct classify_input in;

	label_value(p->name, label);
	found_sort(nodes);
	find_leaving(l, label, nodes, &leaving);
	found_sort(&g->waiting);
	in = (struct classify_input){
		.waiting = seen->want - seen->bound - (int32_t)seen->n_lost,
		.pods = (const struct pod *const *)g->waiting.items,
		.n_pods = g->waiting.n,
		.hints = hints_about(l->op, (const struct pod *const *)g->waiting.items, g->waiting.n, l->a),
		.last_bind = g->last_bind,
		.nodes = (const struct node *const *)nodes->items,
		.n_nodes = nodes->n,
		.nodes_unknown = !l->op->options.watch_nodes,
		.leaving = (const struct pod *const *)leaving.items,
		.n_leaving = leaving.n,
		.freed = freed_at(l->w, label),
		.older_bound = count_older(l, p, label),
		.resources = m ? m->resources : NULL,
		.n_resources = m ? m->n_resources : 0,
		.failure_message = g->deployment->failure_message,
		.provides_nodes = seen->provides_nodes,
		.last_reason = last ? last->reason : REASON_NONE,
		.last_deadline = last ? last->deadline : (struct wall){0},
	};
	classify(&in, l->now, l->a, &seen->why);
}

static void block(struct plan_pool_seen *seen, enum condition_type as, const char *reason,
                  const char *sentence)
{
	seen->blocked = sentence;
	seen->blocked_as = as;
	seen->blocked_reason = reason;
}

static void block_without_model(struct look *l, const struct endpoint_pool *p, struct plan_pool_seen *seen)
{
	char key[KEY_SIZE];
	const char *why;

	key_format(key, l->e->meta.ns, p->model_name);
	why = map_get(&l->op->unreadable_models, key);
	if (why)
		block(seen, COND_MODEL_MISSING, "ModelUnreadable",
		      arena_printf(l->a, "Model %s cannot be read: %s", p->model_name, why));
	else
		block(seen, COND_MODEL_MISSING, "ModelMissing",
		      arena_printf(l->a, "Model %s does not exist in namespace %s", p->model_name, l->e->meta.ns));
}

/* The Deployment that stands for the pool, NULL if there is none; says what blocks the pool. */
static struct group *find_group(struct look *l, const struct endpoint_pool *p, const struct model *m,
                                struct plan_pool_seen *seen)
{
	struct group *g;

	if (m) {
		char revision[REVISION_SIZE], name[NAME_MAX_BYTES + 1];
		bool refused;

		pool_revision(l->e, p, m, revision);
		deployment_name(l->e->meta.name, p->name, revision, name);
		seen->deployment = arena_strdup(l->a, name);
		g = group_named(l, name);
		refused = refusal_pauses(l->w, KIND_DEPLOYMENT, name);
		if (g && !is_ours(l, &g->deployment->meta)) {
			block(seen, COND_STALLED, "NameTaken",
			      arena_printf(l->a, "Deployment %s exists and belongs to somebody else; it is left alone",
			                   name));
			g = NULL;
		} else if (!g && refused) {
			const struct refusal *refusal = refusal_find(l->w, KIND_DEPLOYMENT, name);

			block(seen, COND_STALLED, refusal->reason, arena_strdup(l->a, refusal->message));
		} else if (g && !refused && !restored_pauses(l->w, name)) {
			seen->template_changed_by = g->deployment->template_changed_by;
		}
	} else {
		g = group_newest(l, p->name);
		block_without_model(l, p, seen);
	}
	if (g)
		g->current = true;
	return g;
}

static void look_at_nodes(const struct found *nodes, struct plan_pool_seen *seen)
{
	for (size_t i = 0; i < nodes->n; i++) {
		const struct node *n = nodes->items[i];

		if (n->ready == TRI_TRUE && !n->unschedulable)
			seen->node_ready = wall_max(seen->node_ready, n->ready_since);
	}
}

static struct startup_input startup_of(const struct look *l, const struct found *unready)
{
	return (struct startup_input){
		.pods = (const struct pod *const *)unready->items,
		.n_pods = unready->n,
		.download_timeout_ms = l->e->spec.download_timeout_ms,
		.startup_timeout_ms = l->e->spec.startup_timeout_ms,
	};
}

static void count_group(const struct look *l, const struct group *g, struct plan_pool_seen *seen)
{
	struct startup_input startup;

	seen->exists = true;
	seen->created = g->deployment->meta.created;
	seen->asked = asked_count(l->w, g->deployment->meta.name);
	seen->deployment = g->deployment->meta.name;
	seen->want = g->deployment->replicas;
	seen->bound = g->bound;
	seen->ready = g->ready;
	seen->last_bind = g->last_bind;
	seen->oldest_wait = g->oldest_wait;
	seen->lost = (const struct pod *const *)g->lost.items;
	seen->n_lost = g->lost.n;
	seen->look_again = g->look_again;
	startup = startup_of(l, &g->unready);
	startup_look(&startup, l->now, l->a, &seen->startup);
}

static void look_at_pools(struct look *l, struct plan_pool_seen *pools)
{
	const struct endpoint_spec *spec = &l->e->spec;
	const struct model *models[ENDPOINT_MAX_POOLS] = {0};
	struct group *groups[ENDPOINT_MAX_POOLS] = {0};

	for (size_t i = 0; i < spec->n_pools; i++) {
		models[i] = controller_model(l->op, l->e, &spec->pools[i]);
		pools[i].asked = -1;
		pools[i].provides_nodes = controller_provides_nodes(l->op);
		groups[i] = find_group(l, &spec->pools[i], models[i], &pools[i]);
		if (groups[i])
			count_group(l, groups[i], &pools[i]);
		shared_look(l->op, l->w, &spec->pools[i], models[i], &pools[i].shortage);
	}
	for (size_t i = 0; i < spec->n_pools; i++) {
		const struct pool_status *was = endpoint_status_pool(&l->e->status, spec->pools[i].name);
		bool waits = groups[i] && pools[i].want > pools[i].bound + (int32_t)pools[i].n_lost;
		struct found nodes = {.arena = l->a};

		/* Of the nodes of a pool that serves, nobody wants to know: they may be many. */
		if (!waits && !(was && was->state == POOL_BACK_OFF) && l->now.ms >= pools[i].shortage.until.ms)
			continue;
		find_nodes(l, &spec->pools[i], &nodes);
		look_at_nodes(&nodes, &pools[i]);
		if (waits)
			look_at_waiting(l, &spec->pools[i], models[i], groups[i], &nodes, &pools[i]);
	}
}

static int32_t count_ready(const struct found *pods)
{
	int32_t n = 0;

	for (size_t i = 0; i < pods->n; i++)
		n += ((const struct pod *)pods->items[i])->ready;
	return n;
}

static void look_at_old(struct look *l, struct plan_input *ret)
{
	struct plan_old_seen *old = arena_calloc(l->a, l->deployments.n ? l->deployments.n : 1, sizeof(*old));
	size_t n = 0;

	for (size_t i = 0; i < l->deployments.n; i++) {
		const struct group *g = &l->groups[i];

		if (g->current || !is_ours(l, &g->deployment->meta) || wall_is_set(g->deployment->meta.deleted))
			continue;
		/* These get nothing new: what is lost of them serves as long as it does. */
		old[n++] = (struct plan_old_seen){
			.name = g->deployment->meta.name,
			.pool = g->deployment->pool,
			.want = g->deployment->replicas,
			.bound = g->bound + (int32_t)g->lost.n,
			.ready = g->ready + count_ready(&g->lost),
			.pods_left = g->pods_left,
		};
	}
	ret->old = old;
	ret->n_old = n;
}

static void look_at_grown(struct look *l, struct plan_input *ret)
{
	struct found grown = {.arena = l->a};
	struct startup_input startup = startup_of(l, &grown);

	for (size_t i = 0; i < l->pods.n; i++) {
		const struct pod *p = l->pods.items[i];

		/* While a refused mark pauses, there would always be something to write. */
		if (l->group_of[i] && pod_is_bound(p) && p->protected &&
		    (p->ready || startup_failed(&startup, p, l->now)) &&
		    !refusal_pauses(l->w, KIND_POD, p->meta.name))
			found_add(&grown, p);
	}
	ret->grown = (const struct pod *const *)grown.items;
	ret->n_grown = grown.n;
}

/* A template that somebody has changed and that may not be put back. */
static void look_at_templates(struct look *l, struct plan_input *ret)
{
	for (size_t i = 0; i < l->e->spec.n_pools && l->w->refusals; i++) {
		const struct plan_pool_seen *seen = &ret->pools[i];
		const struct deployment *d = seen->exists ? store_get(controller_store(l->op, KIND_DEPLOYMENT),
		                                                      l->e->meta.ns, seen->deployment)
		                                          : NULL;
		const struct refusal *refusal;

		if (!d || !d->template_changed_by || !refusal_pauses(l->w, KIND_DEPLOYMENT, d->meta.name))
			continue;
		refusal = refusal_find(l->w, KIND_DEPLOYMENT, d->meta.name);
		ret->trouble_reason = refusal->reason;
		ret->trouble =
			arena_printf(l->a, "the template of Deployment %s, changed by %s, cannot be put back: %s",
		                 d->meta.name, d->template_changed_by, refusal->message);
	}
}

static void look_at_service(struct look *l, struct plan_input *ret)
{
	const struct companion *c =
		store_get(controller_store(l->op, KIND_SERVICE), l->e->meta.ns, l->e->meta.name);
	const struct refusal *refusal = c ? NULL : refusal_find(l->w, KIND_SERVICE, l->e->meta.name);

	if (c && !is_ours(l, &c->meta)) {
		ret->trouble_reason = "NameTaken";
		ret->trouble = arena_printf(l->a, "Service %s exists and belongs to somebody else; it is left alone",
		                            l->e->meta.name);
	} else if (refusal) {
		ret->trouble_reason = refusal->reason;
		ret->trouble = arena_strdup(l->a, refusal->message);
	}
}

void observe(struct controller *op, const struct endpoint *e, struct work *w, struct wall now,
             struct arena *a, struct plan_input *ret)
{
	struct look l = {.op = op, .e = e, .w = w, .now = now, .a = a, .deployments.arena = a, .pods.arena = a};
	char key[KEY_SIZE];

	*ret = (struct plan_input){.endpoint = e};
	key_format(key, e->meta.ns, e->meta.name);
	store_each_indexed(controller_store(op, KIND_DEPLOYMENT), INDEX_ENDPOINT, key, found_add, &l.deployments);
	store_each_indexed(controller_store(op, KIND_POD), INDEX_ENDPOINT, key, found_add, &l.pods);
	found_sort(&l.deployments);
	found_sort(&l.pods);
	group_pods(&l);
	look_at_pools(&l, ret->pools);
	look_at_old(&l, ret);
	look_at_grown(&l, ret);
	look_at_templates(&l, ret);
	look_at_service(&l, ret); /* the address matters more: said instead */
}
