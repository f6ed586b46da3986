/* Karpenter: one NodePool for each instance type. An offering that was not there is left alone for a while: 60 s here, three
 * minutes in truth. */
#include "base/hash.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

#define AGAIN_MS 10000
#define UNAVAILABLE_MS INT64_C(60000)

static void arrived(void *arg)
{
	order_deliver(arg);
}

/* The NodeClaim is launched, or found impossible and deleted. */
static void launched(void *arg)
{
	struct order *o = arg;
	struct cluster *c = o->cluster;
	struct type_state *t = &c->types[o->type];

	if (provider_living(c, o->type) < t->stock) {
		o->comes = true;
		task_after(
			&o->due,
			cluster_chance(o->chance, "order", 0, t->spec->boot_ms * 4 / 10, t->spec->boot_ms * 7 / 10),
			arrived);
		return;
	}
	t->out_until_ms = cluster_now(c) + UNAVAILABLE_MS;
	order_free(o);
}

static void nominate(struct cluster_pod *p, const struct order *o, const char *node)
{
	CLEANUP_FREE char *message = o ? xasprintf("Pod should schedule on: nodeclaim/%s", o->name)
	                               : xasprintf("Pod should schedule on: node/%s", node);
	provider_says(p, "Normal", "Nominated", message);
}

static void add_pool_error(struct buf *out, const struct cluster_pod *p, const struct type_state *t)
{
	const char *name = t->spec->name;
	bool own = p->type >= 0 && t == &p->cluster->types[p->type];

	buf_addf(out,
	         "%sincompatible with nodepool \"%s\", daemonset overhead={\"cpu\":\"150m\",\"pods\":\"2\"}, ",
	         out->len > 0 ? "; " : "", name);
	if (own)
		buf_addf(out,
		         "no instance type satisfied resources {\"nvidia.com/gpu\":\"%d\",\"pods\":\"3\"} and "
		         "requirements karpenter.sh/nodepool In [%s] (no instance type has %s)",
		         p->gpus, name, p->gpus > t->spec->gpus ? "enough resources" : "the required offering");
	else
		buf_addf(out,
		         "incompatible requirements, key node.kubernetes.io/instance-type, "
		         "node.kubernetes.io/instance-type In [%s] not in node.kubernetes.io/instance-type In [%s]",
		         p->type >= 0 ? p->cluster->types[p->type].spec->name : "?", name);
}

/* Of a NodePool whose only instance type is known to be out of stock nothing may be said at all. */
static void say_failed(const struct cluster *c, struct cluster_pod *p)
{
	CLEANUP_BUF struct buf errors;

	buf_init(&errors, 8192);
	for (size_t i = 0; i < c->n_types; i++) {
		const struct type_state *t = &c->types[i];
		bool silent = (int)i == p->type && cluster_chance(t->chance, "silent", 0, 0, 3) == 0;
		if (!silent)
			add_pool_error(&errors, p, t);
	}
	if (errors.len == 0)
		buf_add_str(&errors, "nodepool requirements filtered out all available instance types");
	CLEANUP_FREE char *message = xasprintf("Failed to schedule pod, %s", errors.ptr);
	provider_says(p, "Warning", "FailedScheduling", message);
}

static void look_at_pod(struct cluster *c, struct fit *fits, struct cluster_pod *p)
{
	size_t type = (size_t)p->type;
	const struct type_state *t = p->type < 0 ? NULL : &c->types[type];

	if (!t || t->spec->gpus < p->gpus) {
		say_failed(c, p);
		return;
	}
	struct fit *f = &fits[type];
	int at = fit_place(f, p->gpus);
	if (at < 0 && cluster_now(c) >= t->out_until_ms && f->n < FIT_MAX) {
		struct order *o = provider_order(c, type);
		fit_add(f, o, t->spec->gpus);
		task_after(&o->due, cluster_chance(o->chance, "launch", 0, 1000, 5000), launched);
		at = fit_place(f, p->gpus);
	}
	if (at >= 0)
		nominate(p, f->order[at], f->name[at]);
	else
		say_failed(c, p);
}

void karpenter_run(void *arg)
{
	struct cluster *c = arg;
	struct cluster_pod *p;
	struct fit fits[CLUSTER_MAX_TYPES];
	bool any = false;

	for (size_t i = 0; i < c->n_types; i++)
		fit_init(&fits[i], c, i);
	TAILQ_FOREACH(p, &c->pods, link)
	{
		if (!p->refused || p->leaving)
			continue;
		any = true;
		look_at_pod(c, fits, p);
	}
	if (any)
		task_after(&c->provider, AGAIN_MS, karpenter_run);
}
