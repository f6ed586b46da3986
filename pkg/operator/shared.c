/* Between the stores and what endpoints know of each other (plan/shortage.h). */
#include "operator/internal.h"

static void call(void *arg, const char *endpoint)
{
	struct controller *op = arg;

	queue_add(op->queue, endpoint, QUEUE_FRESH);
	loop_timer_arm(op->pump, 0);
}

void shared_init(struct controller *op)
{
	op->shortages = shortages_new(call, op);
}

void shared_look(const struct controller *op, const struct work *w, const struct endpoint_pool *p,
                 const struct model *m, struct plan_shortage *ret)
{
	if (m && !shortages_none(op->shortages))
		shortages_look(op->shortages, w->key, shortage_key(p, m), ret);
}

void shared_tell(struct controller *op, const struct endpoint *e, const struct endpoint_status *status,
                 const bool *held_back, struct wall now)
{
	struct shortage_report reports[ENDPOINT_MAX_POOLS];
	char key[KEY_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < e->spec.n_pools; i++) {
		const struct pool_status *s = endpoint_status_pool(status, e->spec.pools[i].name);
		const struct model *m = controller_model(op, e, &e->spec.pools[i]);

		if (s && m)
			reports[n++] =
				shortage_report_of(shortage_key(&e->spec.pools[i], m), s, held_back && held_back[i]);
	}
	key_format(key, e->meta.ns, e->meta.name);
	shortages_tell(op->shortages, key, reports, n, now);
}

void shared_pod(struct controller *op, const struct pod *before, const struct pod *after, struct wall now)
{
	const struct endpoint *e;
	char label[NAME_MAX_BYTES + 1];

	if (shortages_none(op->shortages) || !pod_is_bound(after) || (before && before->node_name))
		return;
	e = store_get(controller_store(op, KIND_ENDPOINT), after->meta.ns, after->endpoint);
	if (!e)
		return;
	for (size_t i = 0; i < e->spec.n_pools; i++) {
		const struct model *m = controller_model(op, e, &e->spec.pools[i]);

		label_value(e->spec.pools[i].name, label);
		if (m && str_eq(after->pool, label))
			shortages_bound(op->shortages, shortage_key(&e->spec.pools[i], m), now);
	}
}
