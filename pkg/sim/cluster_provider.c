/* What node autoscalers have in common: orders, idle nodes, Events about pods, and how pods fit. */
#include "base/hash.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

#define SAY_AGAIN_MS INT64_C(300000)
#define WANTED_MS 10000

void provider_start(struct cluster *c)
{
	for (size_t i = 0; i < c->n_types; i++) {
		struct type_state *t = &c->types[i];
		int32_t size = t->stock > t->spec->nodes ? t->stock : t->spec->nodes;
		/* Often a group may be larger than what can be had. */
		t->max_size = size + (cluster_chance(t->chance, "group", 0, 0, 3) == 0 ? 0 : 3);
	}
	if (c->nodes_from == CLUSTER_AUTOSCALER)
		autoscaler_start(c);
}

void provider_pod_refused(struct cluster *c)
{
	if (c->nodes_from == CLUSTER_KARPENTER && !task_is_planned(&c->provider))
		task_after(&c->provider, cluster_chance(c->seed, "batch", c->n_batches++, 1000, 10000),
		           karpenter_run);
}

/* ---- orders ---- */

int32_t provider_living(const struct cluster *c, size_t type)
{
	const struct cluster_node *n;
	const struct order *o;
	int32_t living = 0;

	TAILQ_FOREACH(n, &c->nodes, link)
	living += n->type == type;
	TAILQ_FOREACH(o, &c->orders, link)
	living += o->type == type && o->comes;
	return living;
}

struct order *provider_order(struct cluster *c, size_t type)
{
	struct order *o = xcalloc(1, sizeof(*o));

	o->cluster = c;
	o->type = type;
	node_name(c, type, o->name);
	o->chance = hash64_str(c->seed, o->name);
	task_init(&o->due, c, o);
	o->due.outside = true;
	TAILQ_INSERT_TAIL(&c->orders, o, link);
	return o;
}

void order_free(struct order *o)
{
	task_cancel(&o->due);
	TAILQ_REMOVE(&o->cluster->orders, o, link);
	free(o);
}

void order_deliver(struct order *o)
{
	int64_t boot = o->cluster->types[o->type].spec->boot_ms;
	node_new(o->cluster, o->type, o->name, BOOT_STARTING,
	         cluster_chance(o->chance, "boot", 0, boot / 5, boot / 2));
	order_free(o);
}

/* ---- idle nodes ---- */

static void remove_node(void *arg)
{
	node_remove(arg);
}

/* Somebody who was refused could be here before long: such a node is not idle. */
static bool is_wanted(const struct cluster_node *n)
{
	const struct cluster_pod *p;
	TAILQ_FOREACH(p, &n->cluster->pods, link)
	if (p->refused && !p->leaving && p->type == (int)n->type && p->gpus <= node_free_gpus(n))
		return true;
	return false;
}

static void idle(void *arg)
{
	struct cluster_node *n = arg;
	struct cluster *c = n->cluster;
	bool karpenter = c->nodes_from == CLUSTER_KARPENTER;

	if (n->n_pods > 0 || n->boot != BOOT_DONE || n->doomed || n->silence != SILENCE_NONE || n->removing)
		return;
	if (is_wanted(n)) {
		task_after(&n->idle, WANTED_MS, idle);
		return;
	}
	n->removing = true;
	if (karpenter)
		json_put_time(json_child(n->object->doc, "metadata"), "deletionTimestamp",
		              timeline_wall(c->timeline));
	node_show(n);
	task_after(&n->gone, cluster_chance(n->chance, "removal", n->n_acts, 2000, 15000), remove_node);
}

void provider_node_empty(struct cluster_node *n)
{
	bool karpenter = n->cluster->nodes_from == CLUSTER_KARPENTER;

	if (n->cluster->nodes_from == CLUSTER_FIXED || n->removing || n->boot != BOOT_DONE)
		return;
	task_after(
		&n->idle,
		cluster_chance(n->chance, "idle", n->n_acts, karpenter ? 30000 : 120000, karpenter ? 60000 : 130000),
		idle);
}

/* ---- how pods fit ---- */

static void add_place(struct fit *f, struct order *o, const char *name, int32_t gpus)
{
	if (f->n == FIT_MAX)
		return;
	f->free[f->n] = gpus;
	f->order[f->n] = o;
	f->name[f->n++] = name;
}

void fit_add(struct fit *f, struct order *o, int32_t gpus)
{
	add_place(f, o, o->name, gpus);
}

void fit_init(struct fit *f, const struct cluster *c, size_t type)
{
	struct cluster_node *n;
	struct order *o;
	int32_t gpus = c->types[type].spec->gpus;

	*f = (struct fit){0};
	TAILQ_FOREACH(n, &c->nodes, link)
	if (n->type == type)
		add_place(f, NULL, n->object->name, node_free_gpus(n));
	TAILQ_FOREACH(n, &c->nodes, link)
	if (n->type == type && n->boot != BOOT_DONE && !n->doomed)
		add_place(f, NULL, n->object->name, gpus);
	TAILQ_FOREACH(o, &c->orders, link)
	if (o->type == type)
		add_place(f, o, o->name, gpus);
}

int fit_place(struct fit *f, int32_t gpus)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->free[i] < gpus)
			continue;
		f->free[i] -= gpus;
		return (int)i;
	}
	return -1;
}

/* ---- Events ---- */

static bool said_lately(struct cluster_pod *p, uint64_t what)
{
	int64_t now = cluster_now(p->cluster);
	size_t n = p->n_said < POD_MAX_SAID ? p->n_said : POD_MAX_SAID;

	for (size_t i = 0; i < n; i++) {
		if (p->said[i].what != what)
			continue;
		if (now - p->said[i].at_ms < SAY_AGAIN_MS)
			return true;
		p->said[i].at_ms = now;
		return false;
	}
	size_t at = p->n_said++ % POD_MAX_SAID;
	p->said[at].what = what;
	p->said[at].at_ms = now;
	return false;
}

static void fill_event(struct cluster_pod *p, json_t *doc, const char *type, const char *reason,
                       const char *message)
{
	const char *source = p->cluster->nodes_from == CLUSTER_KARPENTER ? "karpenter" : "cluster-autoscaler";
	struct wall now = timeline_wall(p->cluster->timeline);
	json_t *about = json_child(doc, "involvedObject");

	json_put_str(about, "kind", "Pod");
	json_put_str(about, "apiVersion", "v1");
	json_put_str(about, "namespace", CLUSTER_NS);
	json_put_str(about, "name", p->object->name);
	json_put_str(about, "uid", p->object->uid);
	json_put_str(doc, "reason", reason);
	json_put_str(doc, "message", message);
	json_put_str(doc, "type", type);
	json_put_str(json_child(doc, "source"), "component", source);
	json_put_str(doc, "reportingComponent", source);
	if (!json_at(doc, "firstTimestamp", NULL))
		json_put_time(doc, "firstTimestamp", now);
	json_put_time(doc, "lastTimestamp", now);
	json_put_int(doc, "count", json_integer_value(json_object_get(doc, "count")) + 1);
}

void provider_says(struct cluster_pod *p, const char *type, const char *reason, const char *message)
{
	struct api *a = p->cluster->api;
	uint64_t what = hash64_str(hash64_str(HASH64_INIT, reason), message);
	char name[CLUSTER_NAME_SIZE], text[HASH_TEXT_SIZE];

	if (said_lately(p, what))
		return;
	hash64_text(what, text);
	str_format(name, sizeof(name), "%s.%s", p->object->name, text);
	struct api_object *o = api_find(a, API_EVENT, CLUSTER_NS, name);
	if (o) {
		fill_event(p, o->doc, type, reason, message);
		api_update(a, o);
		return;
	}
	json_t *doc = json_must(json_object()), *meta = json_child(doc, "metadata");
	json_put_str(doc, "apiVersion", "v1");
	json_put_str(doc, "kind", "Event");
	json_put_str(meta, "name", name);
	json_put_str(meta, "namespace", CLUSTER_NS);
	fill_event(p, doc, type, reason, message);
	api_create(a, API_EVENT, doc);
}
