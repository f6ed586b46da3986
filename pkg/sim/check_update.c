/* An update leaves the fleet where it was: what it borrows in worse pools is given back. Judged where nothing else happens from
 * the edit until it is over, so that no other reason is left. */
#include <inttypes.h>
#include "sim/check_internal.h"

#define SETTLED_MS (60 * MS_PER_S)

static bool is_settled(const struct check *k, const struct check_endpoint *e)
{
	const struct api_object *o = check_document(k, e);
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, NULL, NULL);
	struct check_asked asked = {0};

	if (!o)
		return c.pods == 0;
	asked = check_asked(k, o->uid, NULL, -1);
	return c.ready == check_desired(o) && c.pods == c.ready && c.leaving == 0 && asked.replicas == c.ready &&
	       asked.deployments == json_array_size(json_at(o->doc, "spec", "instancePools"));
}

/* Of the pools that are as good as that priority. */
static int32_t ready_in(const struct check *k, const struct check_endpoint *e, const json_t *pools,
                        int64_t priority)
{
	int32_t n = 0;
	const json_t *pool;
	size_t i;

	json_array_foreach(pools, i, pool)
		if (json_integer_value(json_at(pool, "priority")) <= priority)
			n +=
				cluster_instances(k->cluster, e->story->name, check_text(json_at(pool, "instanceType")), NULL)
					.ready;
	return n;
}

static void note_fleet(const struct check *k, struct check_endpoint *e)
{
	const struct api_object *o = check_document(k, e);
	const json_t *pools = o ? json_at(o->doc, "spec", "instancePools") : NULL, *pool;
	size_t i;

	for (i = 0; i < k->story->n_endpoints; i++)
		if (!is_settled(k, &k->endpoints[i]) || k->endpoints[i].story->rebalance_active)
			return;
	/* A minimum comes before all else in the new fleet, whatever the old one had. */
	json_array_foreach(pools, i, pool)
		if (json_at(pool, "minInstanceCount") || json_at(pool, "maxInstanceCount"))
			return;
	json_array_foreach(pools, i, pool)
		e->fleet.ready[i] = ready_in(k, e, pools, json_integer_value(json_at(pool, "priority")));
	e->fleet.edited = true;
}

static void check_fleet(struct check *k, struct check_endpoint *e)
{
	const struct api_object *o = check_document(k, e);
	const json_t *pools = o ? json_at(o->doc, "spec", "instancePools") : NULL, *pool;
	size_t i;

	if (!e->fleet.edited || !is_settled(k, e) || check_now(k) - e->instances_ms < SETTLED_MS)
		return;
	json_array_foreach(pools, i, pool) {
		int32_t ready = ready_in(k, e, pools, json_integer_value(json_at(pool, "priority")));

		if (ready < e->fleet.ready[i])
			check_break(k, "an update demoted the fleet",
			            "endpoint %s: %" PRId32 " Ready down to pool %s before, %" PRId32 " now",
			            e->story->name, e->fleet.ready[i], check_text(json_at(pool, "instanceType")), ready);
	}
}

void check_fleets(struct check *k)
{
	for (size_t i = 0; i < k->story->n_endpoints; i++)
		check_fleet(k, &k->endpoints[i]);
}

void check_fleets_act(struct check *k, const struct story_act *act)
{
	int64_t until_ms = check_now(k) + act->for_ms;

	check_fleets(k);
	for (size_t i = 0; i < k->story->n_endpoints; i++)
		k->endpoints[i].fleet.edited = false;
	if (act->type == ACT_EDIT_MODEL && check_now(k) > k->trouble_until_ms && !k->has_quota &&
	    k->story->nodes == CLUSTER_FIXED)
		note_fleet(k, &k->endpoints[act->subject]);
	if (act->type == ACT_QUOTA)
		k->has_quota = act->n >= 0;
	if (until_ms > k->trouble_until_ms)
		k->trouble_until_ms = until_ms;
}
