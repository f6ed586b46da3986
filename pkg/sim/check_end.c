/* Long after all trouble: is everything as it should be, and quiet? */
#include <inttypes.h>
#include "api/names.h"
#include "sim/check_internal.h"

#define QUIET_MS (60 * MS_PER_S)
#define PATIENCE_MS (30 * MS_PER_S)

/* So many more could run in the pool. Where nodes are provided, a window that is shorter than their boot never gets one. */
static int32_t room_in(const struct check *k, const struct check_endpoint *e, const json_t *pool,
                       int32_t there)
{
	size_t type = check_type_named(k, check_text(json_at(pool, "instanceType")));
	const struct cluster_type *t = &k->story->types[type];
	int32_t room = cluster_room(k->cluster, type, e->story->gpus);
	int32_t cap =
		json_at(pool, "maxInstanceCount") ? check_number(pool, "maxInstanceCount") - there : INT32_MAX;

	if (k->story->nodes != CLUSTER_FIXED && e->story->window_ms < 2 * t->boot_ms + PATIENCE_MS)
		return 0;
	return room < cap ? room : cap;
}

static int32_t bound_in(const struct check *k, const struct check_endpoint *e, const char *pool)
{
	return cluster_instances(k->cluster, e->story->name, pool, NULL).bound;
}

/* How many have room for one more; `anew`: for a new instance beside the older ones, which are not counted against a maximum. */
static size_t pools_with_room(const struct check *k, const struct check_endpoint *e, const json_t *pools,
                              bool anew)
{
	const json_t *pool;
	size_t i, n = 0;

	json_array_foreach(pools, i, pool) {
		int32_t there = anew ? 0 : bound_in(k, e, check_text(json_at(pool, "instanceType")));

		n += room_in(k, e, pool, there) > 0;
	}
	return n;
}

static void check_pool(struct check *k, const struct check_endpoint *e, const struct api_object *o,
                       const json_t *pool, int32_t missing, bool whole)
{
	const char *name = check_text(json_at(pool, "instanceType"));
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, name, NULL);
	struct check_asked asked = check_asked(k, o->uid, name, -1);

	if (missing > 0 && room_in(k, e, pool, c.bound) > 0)
		check_break(k, "fewer serve than could",
		            "endpoint %s: %" PRId32 " missing, and pool %s has room for %" PRId32, e->story->name,
		            missing, name, room_in(k, e, pool, c.bound));
	if (asked.deployments != 1 && whole)
		check_break(k, "not one Deployment for a pool", "endpoint %s, pool %s: there are %zu", e->story->name,
		            name, asked.deployments);
	/* Active: one may be on trial. */
	if (whole && !e->story->rebalance_active && asked.replicas != c.ready)
		check_break(k, "asked and true differ at rest",
		            "endpoint %s, pool %s: %" PRId32 " asked, %" PRId32 " Ready", e->story->name, name,
		            asked.replicas, c.ready);
}

/* Active: no instance stands in a worse pool than it has to. */
static void check_mix(struct check *k, const struct check_endpoint *e, const json_t *pools)
{
	const json_t *pool;
	size_t i;
	int32_t best_with_room = INT32_MAX;

	if (!e->story->rebalance_active)
		return;
	json_array_foreach(pools, i, pool) {
		const char *name = check_text(json_at(pool, "instanceType"));

		if (room_in(k, e, pool, bound_in(k, e, name)) > 0 && check_number(pool, "priority") < best_with_room)
			best_with_room = check_number(pool, "priority");
	}
	json_array_foreach(pools, i, pool) {
		const char *name = check_text(json_at(pool, "instanceType"));
		int32_t there = bound_in(k, e, name);

		if (there > check_number(pool, "minInstanceCount") && check_number(pool, "priority") > best_with_room)
			check_break(k, "the fleet did not move back",
			            "endpoint %s: %" PRId32 " stand in pool %s, and a better one has room",
			            e->story->name, there, name);
	}
}

static void check_told(struct check *k, const struct check_endpoint *e, const struct api_object *o,
                       struct cluster_count c, int32_t desired, bool updated)
{
	const json_t *status = json_at(o->doc, "status"), *pool;
	size_t i;

	if (check_number(status, "observedGeneration") != check_number(json_at(o->doc, "metadata"), "generation"))
		check_break(k, "the status is of an older spec", "endpoint %s", e->story->name);
	if (check_number(status, "desiredInstanceCount") != desired ||
	    check_number(status, "currentInstanceCount") != c.ready)
		check_break(k, "the status is not true",
		            "endpoint %s: it says %d wanted and %d Ready, true are %" PRId32 " and %" PRId32,
		            e->story->name, check_number(status, "desiredInstanceCount"),
		            check_number(status, "currentInstanceCount"), desired, c.ready);
	if (!updated && desired > 0 && c.ready >= desired &&
	    !str_eq(check_text(json_at(status, "phase")), "InService"))
		check_break(k, "the status is not true", "endpoint %s: all serve, and it says %s", e->story->name,
		            check_text(json_at(status, "phase")));
	json_array_foreach(json_at(status, "instancePools"), i, pool) {
		const char *name = check_text(json_at(pool, "name"));
		struct cluster_count in_pool = cluster_instances(k->cluster, e->story->name, name, NULL);

		/* Of an update each pool tells the new ones alone. */
		if (!updated && check_number(pool, "currentInstanceCount") != in_pool.ready)
			check_break(k, "the status is not true",
			            "endpoint %s, pool %s: it says %d Ready, true are %" PRId32, e->story->name, name,
			            check_number(pool, "currentInstanceCount"), in_pool.ready);
	}
}

static bool has_companion(const struct check *k, const struct check_endpoint *e, enum api_kind kind,
                          const char *owner)
{
	const struct api_object *o = api_find(k->api, kind, DOCUMENT_NS, e->story->name);
	const json_t *owners = o ? json_at(o->doc, "metadata", "ownerReferences") : NULL;

	return str_eq(check_text(json_at(json_array_get(owners, 0), "uid")), owner);
}

struct marked {
	const char *endpoint, *pod;
};

static int is_marked(void *arg, struct api_object *o)
{
	struct marked *m = arg;
	const json_t *meta = json_at(o->doc, "metadata"), *condition;
	bool ready = false;
	size_t i;

	json_array_foreach(json_at(o->doc, "status", "conditions"), i, condition)
		if (str_eq(check_text(json_at(condition, "type")), "Ready"))
			ready = str_eq(check_text(json_at(condition, "status")), "True");
	m->pod = o->name;
	return ready && str_eq(check_text(json_at(meta, "labels", LABEL_ENDPOINT)), m->endpoint) &&
	       json_at(meta, "annotations", ANNOTATION_DO_NOT_DISRUPT) && !json_at(meta, "deletionTimestamp");
}

/* What serves may be moved: the marks against that are for those that load. */
static void check_marks(struct check *k, const struct check_endpoint *e)
{
	struct marked m = {e->story->name, ""};

	if (check_now(k) - check_changed_ms(e) > QUIET_MS && api_each(k->api, API_POD, is_marked, &m))
		check_break(k, "an instance that serves is protected", "endpoint %s: %s", e->story->name, m.pod);
}

/* True: all that is wanted serves, and nothing else is there. */
static bool check_endpoint_at_rest(struct check *k, const struct check_endpoint *e,
                                   const struct api_object *o)
{
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, NULL, NULL);
	const json_t *pools = json_at(o->doc, "spec", "instancePools"), *pool;
	size_t deployments = check_asked(k, o->uid, NULL, -1).deployments;
	int32_t desired = check_desired(o), allowed = check_allowed(o);
	bool served = c.ready >= allowed && c.pods == c.ready, updated = deployments != json_array_size(pools);
	size_t i;

	if (c.ready > desired)
		check_break(k, "more serve than wanted", "endpoint %s: %" PRId32 " Ready, %" PRId32 " wanted",
		            e->story->name, c.ready, desired);
	if (served && updated &&
	    (pools_with_room(k, e, pools, false) > 0 ||
	     (allowed < desired && pools_with_room(k, e, pools, true) == json_array_size(pools))))
		check_break(k, "an old Deployment is left", "endpoint %s: %zu, and %zu pools", e->story->name,
		            deployments, json_array_size(pools));
	json_array_foreach(pools, i, pool)
		check_pool(k, e, o, pool, desired - c.ready, served && !updated);
	check_mix(k, e, pools);
	check_told(k, e, o, c, desired, updated);
	if (!has_companion(k, e, API_SERVICE, o->uid) || !has_companion(k, e, API_BUDGET, o->uid))
		check_break(k, "no Service or no PodDisruptionBudget", "endpoint %s", e->story->name);
	check_marks(k, e);
	/* What has only just come to rest may have something to say yet. */
	return served && !updated && !e->story->rebalance_active &&
	       check_now(k) - check_changed_ms(e) > 3 * QUIET_MS;
}

static bool check_left(struct check *k, const struct check_endpoint *e)
{
	if (cluster_instances(k->cluster, e->story->name, NULL, NULL).pods > 0)
		check_break(k, "instances of a deleted endpoint are left", "endpoint %s", e->story->name);
	return true;
}

void check_end(struct check *k)
{
	bool quiet = true;

	check_fleets(k);
	for (size_t i = 0; i < k->story->n_endpoints; i++) {
		const struct api_object *o = check_document(k, &k->endpoints[i]);

		if (!(o ? check_endpoint_at_rest(k, &k->endpoints[i], o) : check_left(k, &k->endpoints[i])))
			quiet = false;
	}
	if (quiet && check_now(k) - k->last_write_ms < QUIET_MS)
		check_break(k, "not quiet at rest",
		            "all are Ready, and %" PRId64 " ms before the end something was written",
		            check_now(k) - k->last_write_ms);
}
