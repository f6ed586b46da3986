#include "sim/cluster.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "sim/cluster_internal.h"

const char *cluster_nodes_name(enum cluster_nodes n)
{
	static const char *const names[] = {
		[CLUSTER_FIXED] = "fixed",
		[CLUSTER_AUTOSCALER] = "cluster-autoscaler",
		[CLUSTER_KARPENTER] = "karpenter",
	};
	return names[n];
}

int64_t cluster_chance(uint64_t subject, const char *purpose, uint64_t nth, int64_t low, int64_t high)
{
	uint64_t state = hash64_str(hash64(subject, (struct slice){(const char *)&nth, sizeof(nth)}), purpose);
	return random_between(&state, low, high);
}

/* ---- tasks ---- */

void task_init(struct task *t, struct cluster *c, void *arg)
{
	*t = (struct task){.cluster = c, .arg = arg};
}

static void task_due(void *arg)
{
	struct task *t = arg;
	struct cluster *c = t->cluster;

	t->moment = NULL;
	if (!t->outside && cluster_now(c) < c->paused_until_ms) {
		t->held = true;
		TAILQ_INSERT_TAIL(&c->held, t, link);
		return;
	}
	t->run(t->arg);
}

void task_cancel(struct task *t)
{
	if (t->moment)
		timeline_cancel(t->cluster->timeline, t->moment);
	if (t->held)
		TAILQ_REMOVE(&t->cluster->held, t, link);
	t->moment = NULL;
	t->held = false;
}

void task_after(struct task *t, int64_t delay_ms, timeline_fn *run)
{
	task_cancel(t);
	t->run = run;
	t->moment = timeline_at(t->cluster->timeline, cluster_now(t->cluster) + delay_ms, task_due, t);
}

/* ---- what objects say ---- */

void cluster_append(json_t *list, json_t *o)
{
	json_append(list, o);
}

static json_t *conditions_of(json_t *doc)
{
	json_t *status = json_child(doc, "status");
	if (!json_at(status, "conditions", NULL))
		json_set(status, "conditions", json_must(json_array()));
	return json_object_get(status, "conditions");
}

static json_t *find_condition(json_t *list, const char *type, size_t *ret_at)
{
	json_t *o;
	size_t i;
	json_array_foreach(list, i, o) {
		if (!str_eq(json_string_value(json_object_get(o, "type")), type))
			continue;
		*ret_at = i;
		return o;
	}
	return NULL;
}

static bool put_if_other(json_t *o, const char *key, const char *value)
{
	if (str_eq(json_string_value(json_object_get(o, key)), value))
		return false;
	if (value)
		json_put_str(o, key, value);
	else
		json_object_del(o, key);
	return true;
}

bool cluster_condition(struct cluster *c, json_t *doc, const char *type, const char *status,
                       const char *reason, const char *message)
{
	json_t *list = conditions_of(doc);
	size_t at;
	json_t *o = find_condition(list, type, &at);

	if (!o) {
		o = json_must(json_object());
		json_put_str(o, "type", type);
		cluster_append(list, o);
	}
	bool turned = put_if_other(o, "status", status);
	if (turned)
		json_put_time(o, "lastTransitionTime", timeline_wall(c->timeline));
	bool other_reason = put_if_other(o, "reason", reason);
	return put_if_other(o, "message", message) || other_reason || turned;
}

void cluster_drop_condition(json_t *doc, const char *type)
{
	json_t *list = conditions_of(doc);
	size_t at;
	if (find_condition(list, type, &at))
		json_array_remove(list, at);
}

/* ---- the whole ---- */

static void object_changed(void *arg, enum api_change change, struct api_object *o)
{
	struct cluster *c = arg;

	if (o->kind == API_DEPLOYMENT)
		workload_seen(c, o, change);
	else if (o->kind == API_POD && o->own)
		pod_seen(o->own, change);
	garbage_seen(c, o, change);
}

static void node_at_start(struct cluster *c, size_t type)
{
	char name[CLUSTER_NAME_SIZE];
	node_name(c, type, name);
	node_new(c, type, name, BOOT_DONE, 0);
}

struct cluster *cluster_new(struct api *a, enum cluster_nodes nodes, const struct cluster_type *types,
                            size_t n_types)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	c->api = a;
	c->timeline = api_timeline(a);
	c->seed = (uint64_t)timeline_random(c->timeline, 0, INT64_MAX - 1);
	c->nodes_from = nodes;
	c->n_types = n_types;
	c->quota = -1;
	TAILQ_INIT(&c->held);
	TAILQ_INIT(&c->workloads);
	TAILQ_INIT(&c->pods);
	TAILQ_INIT(&c->turns);
	TAILQ_INIT(&c->nodes);
	TAILQ_INIT(&c->orders);
	TAILQ_INIT(&c->garbage);
	task_init(&c->scheduler, c, c);
	task_init(&c->provider, c, c);
	task_init(&c->resume, c, c);
	c->provider.outside = c->resume.outside = true;
	for (size_t i = 0; i < n_types; i++) {
		struct type_state *t = &c->types[i];
		c->specs[i] = types[i];
		t->spec = &c->specs[i];
		t->chance = hash64_str(c->seed, types[i].name);
		t->stock = types[i].stock;
	}
	api_listen(a, object_changed, c);
	for (size_t i = 0; i < n_types; i++)
		for (int32_t n = 0; n < types[i].nodes; n++)
			node_at_start(c, i);
	provider_start(c);
	return c;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->pods))
		pod_free(TAILQ_FIRST(&c->pods));
	while (!TAILQ_EMPTY(&c->nodes))
		node_free(TAILQ_FIRST(&c->nodes));
	while (!TAILQ_EMPTY(&c->orders))
		order_free(TAILQ_FIRST(&c->orders));
	while (!TAILQ_EMPTY(&c->workloads))
		workload_free(TAILQ_FIRST(&c->workloads));
	garbage_free(c);
	task_cancel(&c->scheduler);
	task_cancel(&c->provider);
	task_cancel(&c->resume);
	free(c);
}

void cluster_on_end(struct cluster *c, cluster_end_fn *fn, void *arg)
{
	c->on_end = fn;
	c->on_end_arg = arg;
}

/* ---- acts; those about nodes are in cluster_nodes.c ---- */

void cluster_stock(struct cluster *c, size_t type, int32_t stock)
{
	c->types[type].stock = stock;
}

static bool is_of(const struct cluster_pod *p, const char *endpoint)
{
	return p->workload && str_eq(p->workload->endpoint, endpoint);
}

bool cluster_end_instance(struct cluster *c, const char *endpoint, size_t nth)
{
	struct cluster_pod *p;
	size_t n = 0;

	TAILQ_FOREACH(p, &c->pods, link)
	n += is_of(p, endpoint) && p->bound && !p->leaving;
	if (n == 0)
		return false;
	nth %= n;
	TAILQ_FOREACH(p, &c->pods, link)
	if (is_of(p, endpoint) && p->bound && !p->leaving && nth-- == 0)
		break;
	pod_end(p);
	return true;
}

void cluster_fail_starts(struct cluster *c, size_t type, enum cluster_failure f, int64_t until_ms)
{
	c->types[type].failure = f;
	c->types[type].failing_until_ms = until_ms;
}

void cluster_quota(struct cluster *c, int32_t pods)
{
	c->quota = pods;
}

static void end_pause(void *arg)
{
	struct cluster *c = arg;
	struct tasks held;
	struct task *t;

	c->paused_until_ms = cluster_now(c);
	TAILQ_INIT(&held);
	TAILQ_CONCAT(&held, &c->held, link);
	/* They are tasks of the present moment again, so that each may still cancel another. */
	while ((t = TAILQ_FIRST(&held))) {
		TAILQ_REMOVE(&held, t, link);
		t->held = false;
		task_after(t, 0, t->run);
	}
}

void cluster_pause(struct cluster *c, int64_t until_ms)
{
	if (until_ms <= c->paused_until_ms)
		return;
	c->paused_until_ms = until_ms;
	task_after(&c->resume, until_ms - cluster_now(c), end_pause);
}

static void end_strangers(struct cluster *c)
{
	struct cluster_pod *p, *next;
	for (p = TAILQ_FIRST(&c->pods); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (!p->workload)
			api_remove(c->api, p->object);
	}
}

void cluster_heal(struct cluster *c)
{
	struct cluster_node *n, *next;
	struct cluster_pod *p;

	for (size_t i = 0; i < c->n_types; i++)
		c->types[i].failing_until_ms = 0;
	c->quota = -1;
	end_strangers(c);
	for (n = TAILQ_FIRST(&c->nodes); n; n = next) {
		next = TAILQ_NEXT(n, link);
		node_heal(n);
	}
	TAILQ_FOREACH(p, &c->pods, link)
	pod_cure(p);
	task_cancel(&c->resume);
	end_pause(c);
}

/* ---- truths ---- */

struct cluster_count cluster_instances(const struct cluster *c, const char *endpoint, const char *pool,
                                       const char *revision)
{
	struct cluster_count n = {0};
	const struct cluster_pod *p;

	TAILQ_FOREACH(p, &c->pods, link)
	{
		if (!is_of(p, endpoint) || (pool && !str_eq(pool, p->workload->pool)) ||
		    (revision && !str_eq(revision, p->workload->revision)))
			continue;
		if (p->leaving) {
			n.leaving++;
			continue;
		}
		n.pods++;
		n.bound += p->bound;
		n.ready += p->says_ready;
		n.lost += p->bound && (!p->node || pod_is_silent(p) || p->node->doomed || p->node->removing);
		n.failed += p->stage == STAGE_FAILING;
	}
	return n;
}

int32_t cluster_coming(const struct cluster *c, size_t type, int32_t gpus)
{
	const struct cluster_node *n;
	int32_t coming = 0;

	TAILQ_FOREACH(n, &c->nodes, link)
	coming += n->type == type && (n->boot != BOOT_DONE || n->emptied) && !n->doomed;
	return coming * (c->types[type].spec->gpus / gpus);
}

int32_t cluster_room(const struct cluster *c, size_t type, int32_t gpus)
{
	const struct type_state *t = &c->types[type];
	int32_t to_buy = c->nodes_from == CLUSTER_FIXED ? 0 : t->stock - provider_living(c, type);
	int32_t room = 0, empty = to_buy > 0 ? to_buy : 0;
	const struct cluster_node *n;
	const struct order *o;

	TAILQ_FOREACH(n, &c->nodes, link)
	{
		if (n->type != type)
			continue;
		room += node_free_gpus(n) / gpus;
		empty += n->boot != BOOT_DONE && !n->doomed;
	}
	TAILQ_FOREACH(o, &c->orders, link)
	empty += o->type == type && o->comes;
	return room + empty * (t->spec->gpus / gpus);
}
