/* From a change of any watched object to the endpoints that have to be looked at again. */
#include <assert.h>
#include "base/log.h"
#include "operator/internal.h"
#include "plan/nodestate.h"

const struct store *controller_store(const struct controller *op, enum kind kind)
{
	return op->stores[kind];
}

const struct model *controller_model(const struct controller *op, const struct endpoint *e,
                                     const struct endpoint_pool *p)
{
	return store_get(controller_store(op, KIND_MODEL), e->meta.ns, p->model_name);
}

void controller_enqueue(struct controller *op, const char *ns, const char *name, enum queue_priority p)
{
	char key[KEY_SIZE];

	/* All are looked at when it starts, and when it leads. */
	if (!op->started || !op->leads || str_empty(name))
		return;
	key_format(key, ns, name);
	queue_add(op->queue, key, p);
	loop_timer_arm(op->pump, 0);
}

static struct controller *controller_of(void *arg)
{
	return ((struct watched *)arg)->op;
}

static void enqueue_endpoint(struct controller *op, const struct endpoint *e)
{
	controller_enqueue(op, e->meta.ns, e->meta.name, QUEUE_FRESH);
}

static void endpoint_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct endpoint *e = after;
	struct work *w;

	if (!before) {
		enqueue_endpoint(op, e);
		return;
	}
	w = e && op->leads ? work_find(op, e->meta.ns, e->meta.name) : NULL; /* others count while they lead */
	if (w)
		controller_metrics_changed(w, before, e);
	enqueue_endpoint(op, before);
}

struct model_change {
	struct controller *op;
	const char *ns, *name;
};

static int enqueue_if_uses_model(void *arg, const void *obj)
{
	const struct model_change *c = arg;
	const struct endpoint *e = obj;

	if (!str_eq(e->meta.ns, c->ns))
		return 0;
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (str_eq(e->spec.pools[i].model_name, c->name)) {
			controller_enqueue(c->op, e->meta.ns, e->meta.name, QUEUE_FRESH);
			break;
		}
	return 0;
}

static void enqueue_users(struct controller *op, const char *ns, const char *model)
{
	struct model_change c = {op, ns, model};

	if (op->started)
		store_each(controller_store(op, KIND_ENDPOINT), enqueue_if_uses_model, &c);
}

static void model_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct model *m = after ? after : before;
	char key[KEY_SIZE];

	key_format(key, m->meta.ns, m->meta.name);
	free(map_remove(&op->unreadable_models, key));
	enqueue_users(op, m->meta.ns, m->meta.name);
}

/* An unreadable Model is not a missing one: the endpoints that use it say what is wrong with it. */
static void model_unreadable(struct controller *op, const char *ns, const char *name, const struct err *err)
{
	char key[KEY_SIZE];

	key_format(key, ns, name);
	free(map_put(&op->unreadable_models, key, xstrdup(err->message)));
	enqueue_users(op, ns, name);
}

static bool waits_for_view(const struct controller *op, const char *ns, const char *endpoint)
{
	const struct work *w = work_find(op, ns, endpoint);

	return w && w->expectations;
}

static void deployment_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct deployment *d = after ? after : before;

	assert(d);
	/* Its controller tells of every pod, as the pods do. But our own write may be waited for. */
	if (before && after && !deployment_differs(before, after) && !waits_for_view(op, d->meta.ns, d->endpoint))
		return;
	controller_enqueue(op, d->meta.ns, d->endpoint, QUEUE_FRESH);
}

static void companion_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct companion *c = after ? after : before;

	assert(c);
	if (before && after && !companion_differs(before, after) && !waits_for_view(op, c->meta.ns, c->meta.name))
		return;
	controller_enqueue(op, c->meta.ns, c->meta.name, QUEUE_FRESH); /* whatever its label says */
}

struct node_change {
	struct controller *op;
	const struct node *before, *after;
	bool waiting_only;
	bool instances_too; /* it matters to those that run there */
};

/* Does it matter to the pool what its nodes do? A status that lags behind brings the endpoint up again when it comes. */
static bool looks_at_nodes(const struct node_change *c, const struct pool_status *s)
{
	if (c->instances_too)
		return true;
	return s && (s->waiting > 0 || (!c->waiting_only && s->state == POOL_BACK_OFF));
}

static int enqueue_if_on_node(void *arg, const void *obj)
{
	const struct node_change *c = arg;
	const struct endpoint *e = obj;

	for (size_t i = 0; i < e->spec.n_pools; i++) {
		const struct endpoint_pool *p = &e->spec.pools[i];
		const struct pool_status *s = endpoint_status_pool(&e->status, p->name);

		if (!looks_at_nodes(c, s))
			continue;
		if ((c->before && node_matches(c->before, p->node_selector, p->n_node_selector)) ||
		    (c->after && node_matches(c->after, p->node_selector, p->n_node_selector))) {
			controller_enqueue(c->op, e->meta.ns, e->meta.name, QUEUE_FRESH);
			break;
		}
	}
	return 0;
}

/* Is another time than before the one from which on what runs there is lost? */
static bool lasts_otherwise(const struct node *before, const struct node *after)
{
	struct wall ever = {0};

	return !after || nodestate_lost_from(before, ever).ms != nodestate_lost_from(after, ever).ms;
}

static bool is_unheard(const struct node *n)
{
	return n && n->ready == TRI_UNKNOWN && wall_is_set(n->ready_since);
}

static int enqueue_any(void *arg, const void *obj)
{
	enqueue_endpoint(arg, obj);
	return 0;
}

/* When the nodes are heard of again, what still is not counts as lost, whoever runs there. */
static void count_unheard(struct controller *op, const struct node *before, const struct node *after)
{
	bool none_was_heard = op->hears_no_node;

	op->nodes_unheard += (size_t)is_unheard(after);
	op->nodes_unheard -= (size_t)is_unheard(before);
	op->hears_no_node =
		nodestate_none_is_heard(op->nodes_unheard, store_count(controller_store(op, KIND_NODE)));
	if (none_was_heard && !op->hears_no_node && op->started)
		store_each(controller_store(op, KIND_ENDPOINT), enqueue_any, op);
}

static void node_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	struct node_change c = {.op = op, .before = before, .after = after};

	count_unheard(op, before, after);
	c.instances_too = before && lasts_otherwise(before, after);
	if (!op->started || (before && after && !node_differs(before, after)))
		return;
	store_each(controller_store(op, KIND_ENDPOINT), enqueue_if_on_node, &c);
}

static void pod_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct pod *p = after ? after : before;

	controller_enqueue(op, p->meta.ns, p->endpoint, QUEUE_FRESH);
	if (op->started && after)
		shared_pod(op, before, after, wall_now());
	/* Its room is free now: who waits for that node's type looks again. */
	if (op->started && !after && !str_empty(p->node_name)) {
		const struct node *n = store_get(controller_store(op, KIND_NODE), NULL, p->node_name);
		struct node_change c = {.op = op, .after = n, .waiting_only = true};
		struct work *w = work_find(op, p->meta.ns, p->endpoint);

		if (w && (n ? n->ready == TRI_TRUE : !op->options.watch_nodes) && !str_empty(p->pool))
			freed_put(w, p->pool, wall_now());
		if (n)
			store_each(controller_store(op, KIND_ENDPOINT), enqueue_if_on_node, &c);
	}
}

/* An Event may come before its pod is seen: then the pod brings the endpoint up. */
static void pod_event_changed(void *arg, const void *before, const void *after)
{
	struct controller *op = controller_of(arg);
	const struct pod_event *e = after;
	const struct pod *p;

	(void)before;
	if (!e || e->newest.hint == HINT_NONE)
		return;
	p = store_get(controller_store(op, KIND_POD), e->meta.ns, e->pod);
	if (p)
		controller_enqueue(op, p->meta.ns, p->endpoint, QUEUE_FRESH);
}

static void on_synced(void *arg)
{
	struct controller *op = controller_of(arg);

	loop_timer_arm(op->pump, 0); /* what a new list shows is all there is */
	for (size_t i = 0; i < op->n_needed; i++)
		if (!informer_synced(op->watched[i].informer))
			return;
	controller_synced(op);
}

static const char *plural_of(void *arg)
{
	return controller_types[((struct watched *)arg)->kind].resource.plural;
}

static void on_undecodable(void *arg, const char *ns, const char *name, const struct err *err)
{
	LOG_ERROR("object cannot be read and is left as it was", LOG_STR("resource", plural_of(arg)),
	          LOG_STR("namespace", ns), LOG_STR("name", name), LOG_ERR(err));
	if (((struct watched *)arg)->kind == KIND_MODEL && *name)
		model_unreadable(controller_of(arg), ns, name, err);
}

static void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	struct watched *w = arg;

	(void)retry_ms;
	view_away(w);
	trouble_watch(w->op->trouble, &controller_types[w->kind].resource, w->ns, err, loop_now(w->op->loop));
}

static void on_trouble_over(void *arg)
{
	struct watched *w = arg;

	trouble_watch_over(w->op->trouble, &controller_types[w->kind].resource, w->ns, loop_now(w->op->loop));
	view_returned(w);
}

typedef void change_fn(void *arg, const void *before, const void *after);

static void watch_kind(struct controller *op, enum kind kind, const char *ns, change_fn *changed)
{
	struct watched *w = &op->watched[op->n_watched++];
	bool ours = kind == KIND_DEPLOYMENT || kind == KIND_POD || kind == KIND_SERVICE || kind == KIND_BUDGET;
	const struct informer_options o = {
		.type = &controller_types[kind],
		.ns = ns,
		.store = op->stores[kind],
		.label_selector = ours ? LABEL_ENDPOINT : NULL,
		.field_selector = kind == KIND_POD_EVENT ? POD_EVENT_SELECTOR : NULL,
		.handler = {changed, kind < KIND_NEEDED_COUNT ? on_synced : NULL, on_undecodable, on_trouble,
	                on_trouble_over, w},
	};

	*w = (struct watched){.op = op, .kind = kind, .ns = ns};
	w->informer = informer_new(op->client, &o);
}

/* In each of the namespaces. */
static void watch_everywhere(struct controller *op, enum kind kind, change_fn *changed)
{
	if (!controller_types[kind].resource.namespaced || op->options.n_namespaces == 0)
		watch_kind(op, kind, NULL, changed);
	else
		for (size_t i = 0; i < op->options.n_namespaces; i++)
			watch_kind(op, kind, op->options.namespaces[i], changed);
}

static void start_from(struct controller *op, size_t first)
{
	for (size_t i = first; i < op->n_watched; i++)
		informer_start(op->watched[i].informer);
}

void watches_start(struct controller *op)
{
	static change_fn *const changed[KIND_NEEDED_COUNT] = {
		[KIND_ENDPOINT] = endpoint_changed,
		[KIND_MODEL] = model_changed,
		[KIND_DEPLOYMENT] = deployment_changed,
		[KIND_POD] = pod_changed,
		[KIND_NODE] = node_changed,
		[KIND_SERVICE] = companion_changed,
		[KIND_BUDGET] = companion_changed,
	};
	size_t places = op->options.n_namespaces ? op->options.n_namespaces : 1;

	op->watched = xcalloc(KIND_COUNT * places, sizeof(*op->watched));
	for (enum kind k = 0; k < KIND_NEEDED_COUNT; k++)
		if (k != KIND_NODE || op->options.watch_nodes)
			watch_everywhere(op, k, changed[k]);
	op->n_needed = op->n_watched;
	start_from(op, 0);
}

bool watches_have_events(const struct controller *op)
{
	return op->n_watched > op->n_needed;
}

void watches_start_events(struct controller *op)
{
	if (watches_have_events(op) || !controller_provides_nodes(op))
		return;
	watch_everywhere(op, KIND_POD_EVENT, pod_event_changed);
	start_from(op, op->n_needed);
}

void watches_free(struct controller *op)
{
	for (size_t i = 0; i < op->n_watched; i++)
		informer_free(op->watched[i].informer);
	free(op->watched);
}
