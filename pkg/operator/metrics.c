/* What the operator tells Prometheus: instances per pool and type, stock-outs, and its own work. What is told of
 * endpoints comes from their status, at the moment of asking, and only from the leader. */
#include "operator/internal.h"

enum told { TOLD_DESIRED, TOLD_READY, TOLD_STARTING, TOLD_WAITING, TOLD_BACK_OFF, TOLD_GIVEN_UP, TOLD_COUNT };

/* One metric that has a series for each endpoint or pool. */
struct telling {
	struct controller *op;
	enum told what;
	struct metric *metric; /* while it is being told */
};

struct controller_metrics {
	struct controller *op;
	struct telling tellings[TOLD_COUNT];
	struct metric *reconciles, *depth, *endpoints, *events_dropped;
};

static double times_given_up(const struct controller *op, const struct endpoint *e, const char *pool)
{
	const struct work *w = work_find(op, e->meta.ns, e->meta.name);
	const uint64_t *n = w ? map_get(&w->given_up, pool) : NULL;

	return n ? (double)*n : 0; /* so that a rate has a beginning */
}

static double value_of(const struct telling *t, const struct endpoint *e, const struct pool_status *p)
{
	switch (t->what) {
	case TOLD_READY:
		return p->current;
	case TOLD_STARTING:
		return p->starting;
	case TOLD_WAITING:
		return p->waiting;
	case TOLD_BACK_OFF:
		return p->state == POOL_BACK_OFF;
	case TOLD_GIVEN_UP:
		return times_given_up(t->op, e, p->name);
	case TOLD_DESIRED:
	case TOLD_COUNT:
	default:
		return plan_desired(e);
	}
}

static int tell_endpoint(void *arg, const void *obj)
{
	const struct telling *t = arg;
	const struct endpoint *e = obj;
	const char *labels[] = {e->meta.ns, e->meta.name, NULL, NULL};

	if (t->what == TOLD_DESIRED) {
		metric_add(t->metric, value_of(t, e, NULL), labels);
		return 0;
	}
	for (size_t i = 0; i < e->status.n_pools; i++) {
		const struct pool_status *p = &e->status.pools[i];

		labels[2] = p->name;
		labels[3] = p->instance_type ? p->instance_type : "";
		metric_add(t->metric, value_of(t, e, p), labels);
	}
	return 0;
}

static void tell(void *arg, struct metric *metric)
{
	struct telling *t = arg;

	t->metric = metric;
	if (t->op->leads)
		store_each(controller_store(t->op, KIND_ENDPOINT), tell_endpoint, t);
}

static void collect(void *arg)
{
	struct controller_metrics *m = arg;

	metric_set(m->depth, (double)queue_depth(m->op->queue), NULL);
	metric_set(m->events_dropped, (double)event_recorder_dropped(m->op->events), NULL);
	metric_set(m->endpoints, (double)store_count(controller_store(m->op, KIND_ENDPOINT)), NULL);
}

static void add_tellings(struct controller_metrics *m)
{
	static const char *const labels[] = {"namespace", "endpoint", "pool", "instance_type"};
	struct metrics *r = m->op->metrics;
	struct metric *metrics[TOLD_COUNT] = {
		[TOLD_DESIRED] = metrics_gauge(r, "instancepool_desired_instances",
	                                   "Instances that the endpoint should have.", 2, labels),
		[TOLD_READY] = metrics_gauge(r, "instancepool_instance_count", "Ready instances.", 4, labels),
		[TOLD_STARTING] = metrics_gauge(r, "instancepool_starting_instances",
	                                    "Instances on a node that are not Ready.", 4, labels),
		[TOLD_WAITING] =
			metrics_gauge(r, "instancepool_waiting_instances", "Instances that wait for a node.", 4, labels),
		[TOLD_BACK_OFF] =
			metrics_gauge(r, "instancepool_pool_back_off",
	                      "1 while the pool is out of capacity and not asked again yet.", 4, labels),
		[TOLD_GIVEN_UP] = metrics_counter(r, "instancepool_pool_out_of_capacity_total",
	                                      "How often the pool was given up for lack of capacity.", 4, labels),
	};

	for (size_t i = 0; i < TOLD_COUNT; i++) {
		m->tellings[i] = (struct telling){m->op, (enum told)i, NULL};
		metric_tell_by(metrics[i], tell, &m->tellings[i]);
	}
}

struct controller_metrics *controller_metrics_new(struct controller *op)
{
	static const char *const result_label[] = {"result"};
	struct controller_metrics *m = xcalloc(1, sizeof(*m));
	struct metrics *r = op->metrics;

	m->op = op;
	add_tellings(m);
	m->reconciles =
		metrics_counter(r, "instancepool_reconciles_total",
	                    "Endpoints looked at, by result: unchanged, written, retry.", 1, result_label);
	m->depth = metrics_gauge(r, "instancepool_queue_depth", "Endpoints that wait to be looked at.", 0, NULL);
	m->endpoints = metrics_gauge(r, "instancepool_endpoints", "Endpoints known.", 0, NULL);
	m->events_dropped =
		metrics_gauge(r, "instancepool_events_dropped", "Kubernetes Events not written.", 0, NULL);
	metrics_on_collect(r, collect, m);
	return m;
}

void controller_metrics_free(struct controller_metrics *m)
{
	free(m);
}

void controller_metrics_reconcile(struct controller_metrics *m, const char *result)
{
	metric_add(m->reconciles, 1, &result);
}

void controller_metrics_changed(struct work *w, const struct endpoint *before, const struct endpoint *after)
{
	for (size_t i = 0; i < after->status.n_pools; i++) {
		const struct pool_status *p = &after->status.pools[i],
								 *then = endpoint_status_pool(&before->status, p->name);
		uint64_t *n;

		if (!then || p->last_strike.ms <= then->last_strike.ms)
			continue;
		n = map_get(&w->given_up, p->name);
		if (!n) {
			n = xcalloc(1, sizeof(*n));
			map_put(&w->given_up, p->name, n);
		}
		++*n;
	}
}
