/* Cluster Autoscaler: one node group for each instance type, looked at every 10 s. Its times of failing are shorter than the
 * real ones (15 minutes, back-off 5 to 30 minutes), so that a story sees several. */
#include "base/json.h"
#include "sim/cluster_internal.h"

#define SCAN_MS 10000
#define SETTLE_MS 2000 /* a pod is left alone for so long after it was refused */
#define BACKOFF_MIN_MS INT64_C(60000)
#define BACKOFF_MAX_MS INT64_C(360000)

struct scan {
	struct fit fit[CLUSTER_MAX_TYPES];
	size_t n_places[CLUSTER_MAX_TYPES]; /* when the scan began */
	int32_t size[CLUSTER_MAX_TYPES];    /* target, the same */
	int32_t ordered[CLUSTER_MAX_TYPES];
	struct cluster_pod *helped[FIT_MAX], *left[FIT_MAX];
	size_t n_helped, n_left;
};

static int32_t size_of(const struct cluster *c, size_t type)
{
	const struct order *o;
	int32_t size = provider_living(c, type);
	TAILQ_FOREACH(o, &c->orders, link)
	size += o->type == type && !o->comes;
	return size;
}

static int32_t max_size(const struct type_state *t)
{
	return t->max_size > t->stock ? t->max_size : t->stock;
}

static void failed(void *arg)
{
	struct order *o = arg, *next;
	struct cluster *c = o->cluster;
	size_t type = o->type;
	struct type_state *t = &c->types[type];
	int64_t backoff = BACKOFF_MIN_MS << (t->n_failures < 3 ? t->n_failures : 3);

	t->n_failures++;
	t->out_until_ms = cluster_now(c) + (backoff < BACKOFF_MAX_MS ? backoff : BACKOFF_MAX_MS);
	for (o = TAILQ_FIRST(&c->orders); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (o->type == type && !o->comes)
			order_free(o);
	}
}

static void arrived(void *arg)
{
	struct order *o = arg;
	o->cluster->types[o->type].n_failures = 0;
	order_deliver(o);
}

static struct order *order(struct cluster *c, size_t type)
{
	struct type_state *t = &c->types[type];
	bool comes = provider_living(c, type) < t->stock;
	struct order *o = provider_order(c, type);

	o->comes = comes;
	if (comes)
		task_after(&o->due,
		           cluster_chance(o->chance, "order", 0, t->spec->boot_ms / 2, t->spec->boot_ms * 7 / 10),
		           arrived);
	else if (cluster_chance(o->chance, "fails fast", 0, 0, 1) == 0)
		task_after(&o->due, cluster_chance(o->chance, "failure", 0, 10000, 30000), failed);
	else
		task_after(&o->due, cluster_chance(o->chance, "failure", 0, 60000, 120000), failed);
	return o;
}

static void look_at_pod(struct scan *s, struct cluster_pod *p)
{
	struct cluster *c = p->cluster;
	size_t type = (size_t)p->type;
	const struct type_state *t = p->type < 0 ? NULL : &c->types[type];

	int at = t ? fit_place(&s->fit[type], p->gpus) : -1;
	if (at >= 0) {
		/* On a node that was ordered in this scan it is one of those that triggered it. */
		if ((size_t)at >= s->n_places[type] && s->n_helped < FIT_MAX)
			s->helped[s->n_helped++] = p;
	} else if (t && t->spec->gpus >= p->gpus && cluster_now(c) >= t->out_until_ms &&
	           s->size[type] + s->ordered[type] < max_size(t) && s->fit[type].n < FIT_MAX) {
		fit_add(&s->fit[type], order(c, type), t->spec->gpus);
		s->ordered[type]++;
		fit_place(&s->fit[type], p->gpus);
		if (s->n_helped < FIT_MAX)
			s->helped[s->n_helped++] = p;
	} else if (s->n_left < FIT_MAX) {
		s->left[s->n_left++] = p;
	}
}

static void say_triggered(const struct scan *s, struct cluster_pod *p)
{
	const struct type_state *t = &p->cluster->types[p->type];
	CLEANUP_FREE char *message =
		xasprintf("pod triggered scale-up: [{%s-group %d->%d (max: %d)}]", t->spec->name, s->size[p->type],
	              s->size[p->type] + s->ordered[p->type], max_size(t));
	provider_says(p, "Normal", "TriggeredScaleUp", message);
}

static void say_not_triggered(const struct scan *s, struct cluster_pod *p)
{
	struct cluster *c = p->cluster;
	const char *own = NULL;
	size_t others = c->n_types;

	if (p->type >= 0) {
		const struct type_state *t = &c->types[p->type];
		own = t->spec->gpus < p->gpus            ? "Insufficient " CLUSTER_GPU
		      : cluster_now(c) < t->out_until_ms ? "in backoff after failed scale-up"
		      : s->size[p->type] >= max_size(t)  ? "max node group size reached"
		                                         : "not ready for scale-up";
		others--;
	}
	CLEANUP_BUF struct buf message;
	buf_init(&message, 1024);
	buf_add_str(&message, "pod didn't trigger scale-up: ");
	if (own)
		buf_addf(&message, "1 %s%s", own, others > 0 ? ", " : "");
	if (others > 0)
		buf_addf(&message, "%zu node(s) didn't match Pod's node affinity/selector", others);
	provider_says(p, "Normal", "NotTriggerScaleUp", message.ptr);
}

void autoscaler_run(void *arg)
{
	struct cluster *c = arg;
	struct cluster_pod *p;
	struct scan s = {0};

	task_after(&c->provider, SCAN_MS, autoscaler_run);
	for (size_t i = 0; i < c->n_types; i++) {
		fit_init(&s.fit[i], c, i);
		s.n_places[i] = s.fit[i].n;
		s.size[i] = size_of(c, i);
	}
	TAILQ_FOREACH(p, &c->pods, link)
	if (p->refused && !p->leaving && cluster_now(c) - p->refused_ms >= SETTLE_MS)
		look_at_pod(&s, p);
	for (size_t i = 0; i < s.n_helped; i++)
		say_triggered(&s, s.helped[i]);
	/* Where a scale-up was tried nothing is said about the others. */
	for (size_t i = 0; i < s.n_left && s.n_helped == 0; i++)
		say_not_triggered(&s, s.left[i]);
}

void autoscaler_start(struct cluster *c)
{
	task_after(&c->provider, cluster_chance(c->seed, "scan", 0, 0, SCAN_MS), autoscaler_run);
}
