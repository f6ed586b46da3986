/* The count of a Deployment is set: on what condition, and does the list of pools allow it? */
#include <inttypes.h>
#include "api/names.h"
#include "sim/check_internal.h"

struct count {
	bool sets, on_condition; /* ... of the uid, and of the count before */
	int32_t from, to;
};

static void read_count(const struct api_request *r, const struct api_object *deployment, struct count *ret)
{
	struct err ignored = ERR_INIT;
	CLEANUP_JSON json_t *patch = json_parse(r->body, &ignored);
	bool uid = false, count = false;
	const json_t *op;
	size_t i;

	*ret = (struct count){0};
	json_array_foreach(patch, i, op) {
		const char *path = check_text(json_at(op, "path"));
		bool test = str_eq(check_text(json_at(op, "op")), "test");

		if (str_eq(path, "/metadata/uid") && test)
			uid = str_eq(check_text(json_at(op, "value")), deployment->uid);
		if (!str_eq(path, "/spec/replicas"))
			continue;
		count = count || test;
		ret->sets = ret->sets || !test;
		*(test ? &ret->from : &ret->to) = (int32_t)json_integer_value(json_at(op, "value"));
	}
	ret->on_condition = uid && count;
}

static int32_t most_of(const json_t *pool)
{
	const json_t *most = json_at(pool, "maxInstanceCount");

	return most ? (int32_t)json_integer_value(most) : INT32_MAX;
}

/* A Ready instance goes. From which pool was clear only where the picture stood still for as long as a view may be old; then not
 * from one above another that has Ready ones to spare, nor below its own minimum while another has. */
static void check_order(struct check *k, const struct check_endpoint *e, const struct api_object *o,
                        const json_t *pools, const json_t *from)
{
	const char *name = check_text(json_at(from, "instanceType"));
	int32_t here = check_asked(k, o->uid, name, -1).replicas, minimums = 0;
	const json_t *pool;
	size_t i;

	json_array_foreach(pools, i, pool)
		minimums += check_number(pool, "minInstanceCount");
	json_array_foreach(pools, i, pool) {
		const char *other = check_text(json_at(pool, "instanceType"));
		int32_t ready = cluster_instances(k->cluster, e->story->name, other, NULL).ready;
		int32_t asked = check_asked(k, o->uid, other, -1).replicas;
		bool spare = (ready < asked ? ready : asked) > check_number(pool, "minInstanceCount");

		if (pool == from || !spare)
			continue;
		if (check_number(pool, "priority") > check_number(from, "priority") &&
		    here >= check_number(from, "minInstanceCount"))
			check_break(k, "a better pool gave way first",
			            "endpoint %s: %s has %" PRId32 " now, and %s has %" PRId32 " Ready", e->story->name,
			            name, here, other, ready);
		if (here < check_number(from, "minInstanceCount") && check_least_desired(k, e) >= minimums)
			check_break(k, "a pool's minimum was not kept",
			            "endpoint %s: %s has %" PRId32 " now, and %s has %" PRId32 " Ready", e->story->name,
			            name, here, other, ready);
	}
}

void check_count(struct check *k, struct check_endpoint *e, const struct api_object *o,
                 const struct api_object *deployment, const struct api_request *r)
{
	const json_t *pools = json_at(o->doc, "spec", "instancePools"), *pool;
	const char *name = check_text(json_at(deployment->doc, "metadata", "labels", LABEL_POOL));
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, name, NULL);
	bool updated = check_asked(k, o->uid, NULL, -1).deployments != json_array_size(pools);
	struct count n;
	size_t i;

	read_count(r, deployment, &n);
	if (!n.sets)
		return;
	if (!n.on_condition)
		check_break(k, "a count was set without a condition", "%s", deployment->name);
	if (e->pools_ms >= check_view_ms(k) || check_now(k) < e->foreign_until_ms)
		return;
	json_array_foreach(pools, i, pool) {
		if (!str_eq(check_text(json_at(pool, "instanceType")), name))
			continue;
		if (n.to > n.from && n.to > most_of(pool) && n.to - most_of(pool) > check_most_lost(k, e))
			check_break(k, "more asked of a pool than it may have",
			            "endpoint %s, pool %s: %" PRId32 " of %" PRId32, e->story->name, name, n.to,
			            most_of(pool));
		if (n.to < c.ready && n.to < n.from && !updated && e->instances_ms < check_view_ms(k) &&
		    check_most_lost(k, e) == 0 &&
		    cluster_instances(k->cluster, e->story->name, NULL, NULL).failed == 0)
			check_order(k, e, o, pools, pool);
	}
}

/* It may be another's turn to try there. */
static bool is_shared(const struct check *k, const struct check_endpoint *e, const char *pool)
{
	size_t type = check_type_named(k, pool);

	for (size_t i = 0; i < k->story->n_endpoints; i++)
		for (size_t j = 0; j < k->story->endpoints[i].n_pools; j++)
			if (&k->story->endpoints[i] != e->story && k->story->endpoints[i].pools[j].type == type)
				return true;
	return false;
}

/* Nothing is known yet: minimums come before all else. */
void check_first_fill(struct check *k, const struct check_endpoint *e, const struct api_object *o)
{
	const json_t *pools = json_at(o->doc, "spec", "instancePools"), *pool;
	const char *lacks = NULL;
	bool beyond = false;
	size_t i;

	if (e->pools_ms > e->created_ms || e->foreign_until_ms > e->created_ms)
		return;
	json_array_foreach(pools, i, pool) {
		const char *name = check_text(json_at(pool, "instanceType"));
		int32_t asked = check_asked(k, o->uid, name, -1).replicas;
		const json_t *told = check_pool_status(o, name);

		beyond = beyond || asked > check_number(pool, "minInstanceCount");
		if (asked < check_number(pool, "minInstanceCount") && !is_shared(k, e, name) &&
		    !str_eq(check_text(json_at(told, "state")), "BackOff"))
			lacks = name;
	}
	if (lacks && beyond)
		check_break(k, "a pool's minimum was not asked", "endpoint %s, pool %s", e->story->name, lacks);
}
