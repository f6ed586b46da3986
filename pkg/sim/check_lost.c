/* Is an instance on a node that does not last replaced ahead, while that node is still there? */
#include <inttypes.h>
#include "sim/check_internal.h"

#define REPLACED_MS \
	(90 * MS_PER_S) /* 45 s until a silent node is Unknown, 10 s more, a late view, a failed write */

static int is_unheard(void *arg, struct api_object *o)
{
	int32_t *n = arg;
	const json_t *condition;
	size_t i;

	json_array_foreach(json_at(o->doc, "status", "conditions"), i, condition)
		if (str_eq(check_text(json_at(condition, "type")), "Ready") &&
		    str_eq(check_text(json_at(condition, "status")), "Unknown"))
			(*n)++;
	return 0;
}

/* Where half of the nodes are silent it is the way to them that is broken. */
static bool many_unheard(const struct check *k)
{
	int32_t n = 0;

	api_each(k->api, API_NODE, is_unheard, &n);
	return 2 * (size_t)n >= api_count(k->api, API_NODE);
}

/* One that can be asked, for as much as is wanted. */
static bool any_takes_all(const struct api_object *o)
{
	const json_t *pool;
	size_t i;

	json_array_foreach(json_at(o->doc, "spec", "instancePools"), i, pool) {
		const json_t *told = check_pool_status(o, check_text(json_at(pool, "instanceType")));

		if (told && !str_eq(check_text(json_at(told, "state")), "BackOff") &&
		    !json_at(pool, "maxInstanceCount"))
			return true;
	}
	return false;
}

static bool lacks_replacement(const struct check *k, const struct check_endpoint *e,
                              const struct api_object *o)
{
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, NULL, NULL);
	struct check_asked asked = check_asked(k, o->uid, NULL, -1);

	return c.lost > 0 && c.failed == 0 && asked.replicas - c.lost < check_desired(o) &&
	       asked.deployments == json_array_size(json_at(o->doc, "spec", "instancePools")) &&
	       check_now(k) >= k->stopped_until_ms && check_now(k) >= k->blurred_until_ms && any_takes_all(o) &&
	       !many_unheard(k);
}

void check_lost(struct check *k, struct check_endpoint *e, const struct api_object *o)
{
	int32_t lost = cluster_instances(k->cluster, e->story->name, NULL, NULL).lost;

	if (e->lost_ms > 0 && check_now(k) - e->lost_ms > REPLACED_MS)
		check_break(k, "a lost instance was not replaced", "endpoint %s: for %" PRId64 " ms", e->story->name,
		            check_now(k) - e->lost_ms);
	if (!lacks_replacement(k, e, o))
		e->lost_ms = 0;
	else if (e->lost_ms == 0 || lost > e->lost) /* one more: it has not been noticed yet */
		e->lost_ms = check_now(k);
	e->lost = lost;
}
