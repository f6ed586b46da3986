/* What the operator tells Prometheus: instances per pool and type, stock-outs, and its own work. */
#include "operator/internal.h"

struct controller_metrics {
	struct controller *op;
	struct metric *desired, *instances, *waiting, *starting, *back_off, *out_of_capacity;
	struct metric *reconciles, *depth, *endpoints, *events_dropped;
};

static void collect(void *arg)
{
	struct controller_metrics *m = arg;

	metric_set(m->depth, (double)queue_depth(m->op->queue), NULL);
	metric_set(m->events_dropped, (double)event_recorder_dropped(m->op->events), NULL);
	if (m->op->informers[KIND_ENDPOINT])
		metric_set(m->endpoints, (double)store_count(controller_store(m->op, KIND_ENDPOINT)), NULL);
}

struct controller_metrics *controller_metrics_new(struct controller *op)
{
	static const char *const endpoint_labels[] = {"namespace", "endpoint"};
	static const char *const pool_labels[] = {"namespace", "endpoint", "pool", "instance_type"};
	static const char *const result_label[] = {"result"};
	struct controller_metrics *m = xcalloc(1, sizeof(*m));
	struct metrics *r = op->metrics;

	m->op = op;
	m->desired = metrics_gauge(r, "instancepool_desired_instances",
	                           "Instances that the endpoint should have.", 2, endpoint_labels);
	m->instances = metrics_gauge(r, "instancepool_instance_count", "Ready instances.", 4, pool_labels);
	m->starting = metrics_gauge(r, "instancepool_starting_instances",
	                            "Instances on a node that are not Ready.", 4, pool_labels);
	m->waiting =
		metrics_gauge(r, "instancepool_waiting_instances", "Instances that wait for a node.", 4, pool_labels);
	m->back_off =
		metrics_gauge(r, "instancepool_pool_back_off",
	                  "1 while the pool is out of capacity and not asked again yet.", 4, pool_labels);
	m->out_of_capacity =
		metrics_counter(r, "instancepool_pool_out_of_capacity_total",
	                    "How often the pool was given up for lack of capacity.", 4, pool_labels);
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

/* A pool that was taken out of the list, or has another type now. */
static void forget_pool(struct controller_metrics *m, const struct endpoint *e, const struct pool_status *p)
{
	const char *pool[] = {e->meta.ns, e->meta.name, p->name, p->instance_type};

	metric_remove(m->instances, pool);
	metric_remove(m->starting, pool);
	metric_remove(m->waiting, pool);
	metric_remove(m->back_off, pool);
	metric_remove(m->out_of_capacity, pool);
}

void controller_metrics_status(struct controller_metrics *m, const struct endpoint *e,
                               const struct endpoint_status *s)
{
	const char *endpoint[] = {e->meta.ns, e->meta.name};

	for (size_t i = 0; i < e->status.n_pools; i++) {
		const struct pool_status *then = &e->status.pools[i], *p = endpoint_status_pool(s, then->name);

		if (!p || !str_eq(p->instance_type, then->instance_type))
			forget_pool(m, e, then);
	}
	metric_set(m->desired, s->desired, endpoint);
	for (size_t i = 0; i < s->n_pools; i++) {
		const struct pool_status *p = &s->pools[i];
		const char *pool[] = {e->meta.ns, e->meta.name, p->name, p->instance_type};

		metric_set(m->instances, p->current, pool);
		metric_set(m->starting, p->starting, pool);
		metric_set(m->waiting, p->waiting, pool);
		metric_set(m->back_off, p->state == POOL_BACK_OFF, pool);
		metric_add(m->out_of_capacity, 0, pool); /* so that a rate has a beginning */
	}
}

void controller_metrics_changed(struct controller_metrics *m, const struct endpoint *before,
                                const struct endpoint *after)
{
	for (size_t i = 0; i < after->status.n_pools; i++) {
		const struct pool_status *p = &after->status.pools[i],
								 *then = endpoint_status_pool(&before->status, p->name);
		const char *pool[] = {after->meta.ns, after->meta.name, p->name, p->instance_type};

		if (then && p->last_strike.ms > then->last_strike.ms)
			metric_add(m->out_of_capacity, 1, pool);
	}
}

static void remove_matching(struct controller_metrics *m, size_t n, const char *const *values)
{
	metric_remove_matching(m->desired, n, values);
	metric_remove_matching(m->instances, n, values);
	metric_remove_matching(m->starting, n, values);
	metric_remove_matching(m->waiting, n, values);
	metric_remove_matching(m->back_off, n, values);
	metric_remove_matching(m->out_of_capacity, n, values);
}

void controller_metrics_forget(struct controller_metrics *m, const char *ns, const char *name)
{
	const char *endpoint[] = {ns, name};

	remove_matching(m, ARRAY_LEN(endpoint), endpoint);
}

void controller_metrics_forget_all(struct controller_metrics *m)
{
	remove_matching(m, 0, NULL);
}
