#include "sim/check.h"
#include <inttypes.h>
#include <stdarg.h>
#include "api/names.h"
#include "sim/check_internal.h"
#include "sim/process.h"

#define VIEW_MS (12 * MS_PER_S) /* a write, the controllers and a watch at their slowest */
#define FLOOD_WRITES 150u       /* in a minute, of one endpoint */
#define FOREIGN_MS (60 * MS_PER_S)
#define PROMISED_MS (60 * FOREIGN_MS)

void check_break(struct check *k, const char *rule, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (k->broken)
		return;
	k->broken = true;
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->fn(k->arg, rule, text);
}

int64_t check_now(const struct check *k)
{
	return timeline_ms(k->timeline);
}

int64_t check_view_ms(const struct check *k)
{
	int64_t from_ms = check_now(k) - VIEW_MS;

	return k->blurred_until_ms >= from_ms && k->blurred_from_ms < from_ms ? k->blurred_from_ms - VIEW_MS
	                                                                      : from_ms;
}

struct check_endpoint *check_endpoint_named(struct check *k, const char *name)
{
	for (size_t i = 0; i < k->story->n_endpoints; i++)
		if (str_eq(k->story->endpoints[i].name, name))
			return &k->endpoints[i];
	return NULL;
}

struct api_object *check_document(const struct check *k, const struct check_endpoint *e)
{
	return api_find(k->api, API_ENDPOINT, DOCUMENT_NS, e->story->name);
}

int32_t check_desired(const struct api_object *endpoint)
{
	return (int32_t)json_integer_value(json_at(endpoint->doc, "spec", "instanceCount"));
}

const char *check_text(const json_t *o)
{
	const char *s = json_string_value(o);

	return s ? s : "";
}

int32_t check_number(const json_t *o, const char *key)
{
	return (int32_t)json_integer_value(json_at(o, key));
}

static const char *label(const struct api_object *o, const char *key)
{
	return check_text(json_at(o->doc, "metadata", "labels", key));
}

static const char *owner_uid(const struct api_object *o)
{
	return check_text(json_at(json_array_get(json_at(o->doc, "metadata", "ownerReferences"), 0), "uid"));
}

static int32_t replicas_of(const struct api_object *deployment)
{
	return (int32_t)json_integer_value(json_at(deployment->doc, "spec", "replicas"));
}

struct asking {
	const char *uid, *pool;
	struct check_asked asked;
	int32_t count;
};

static int add_asked(void *arg, struct api_object *o)
{
	struct asking *q = arg;

	if (!str_eq(owner_uid(o), q->uid) || (q->pool && !str_eq(label(o, LABEL_POOL), q->pool)))
		return 0;
	q->asked.deployments++;
	q->asked.replicas += replicas_of(o);
	q->asked.has_count = q->asked.has_count || replicas_of(o) == q->count;
	return 0;
}

struct check_asked check_asked(const struct check *k, const char *uid, const char *pool, int32_t count)
{
	struct asking q = {.uid = uid, .pool = pool, .count = count};

	api_each(k->api, API_DEPLOYMENT, add_asked, &q);
	return q.asked;
}

/* ---- writes ---- */

static void check_flood(struct check *k, struct check_endpoint *e)
{
	int64_t *oldest = &e->written_ms[(e->n_written + CHECK_WRITES - FLOOD_WRITES) % CHECK_WRITES];

	if (e->n_written >= FLOOD_WRITES && check_now(k) - *oldest < 60 * MS_PER_S)
		check_break(k, "too many writes", "endpoint %s: %u in a minute", e->story->name, FLOOD_WRITES);
	e->written_ms[e->n_written++ % CHECK_WRITES] = check_now(k);
}

static void check_leader(struct check *k, const char *who)
{
	const struct api_object *lease = api_find(k->api, API_LEASE, DOCUMENT_NS, PROCESS_LEASE);
	const char *holder = lease ? check_text(json_at(lease->doc, "spec", "holderIdentity")) : "";

	if (k->story->operators > 1 && holder[0] && !str_eq(holder, who))
		check_break(k, "two operators write", "%s writes while %s has the lease", who, holder);
}

/* A status is written last: what it says is asked has been asked. */
static void check_status(struct check *k, struct check_endpoint *e, const struct api_object *o)
{
	const json_t *pool;
	size_t i;

	if (check_now(k) < e->foreign_until_ms)
		return;
	json_array_foreach(json_at(o->doc, "status", "instancePools"), i, pool) {
		int32_t count = check_number(pool, "desiredInstanceCount");
		struct check_asked asked = check_asked(k, o->uid, check_text(json_at(pool, "name")), count);

		if (!asked.has_count && (count > 0 || asked.deployments > 0))
			check_break(k, "the status says what was not asked",
			            "endpoint %s, pool %s: the status says %" PRId32 " instances, no Deployment does",
			            e->story->name, check_text(json_at(pool, "name")), count);
	}
}

/* Beyond what is wanted: what will not serve, what is on trial or borrowed, what is known to get a node. */
static int32_t surge(const struct check *k, const struct check_endpoint *e, const struct cluster_count *c,
                     int32_t desired)
{
	int32_t surge = 1 + check_most_lost(k, e) + (int32_t)k->story->n_types * (c->failed > 0 ? 1 : 0);

	/* An autoscaler may have promised each pool all. */
	if (k->story->nodes != CLUSTER_FIXED)
		return surge + (int32_t)e->story->n_pools * desired;
	for (size_t i = 0; i < k->story->n_types; i++)
		surge += cluster_coming(k->cluster, i, e->story->gpus);
	return surge;
}

/* Between two writes more may be asked: what is raised goes first. */
static void check_sum(struct check *k, struct check_endpoint *e, const struct api_object *o)
{
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, NULL, NULL);
	int32_t desired = check_most_desired(k, e), asked = check_asked(k, o->uid, NULL, -1).replicas;
	int32_t most = (desired > c.bound ? desired : c.bound) + surge(k, e, &c, desired);

	if (asked > most && check_now(k) >= e->foreign_until_ms)
		check_break(k, "more asked than wanted",
		            "endpoint %s: %" PRId32 " asked, %" PRId32 " wanted, %" PRId32 " bound, %" PRId32 " lost",
		            e->story->name, asked, desired, c.bound, c.lost);
}

size_t check_type_named(const struct check *k, const char *name)
{
	size_t i = 0;

	while (i < k->story->n_types && !str_eq(k->story->types[i].name, name))
		i++;
	return i;
}

const json_t *check_pool_status(const struct api_object *endpoint, const char *pool)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_at(endpoint->doc, "status", "instancePools"), i, p)
		if (str_eq(check_text(json_at(p, "name")), pool))
			return p;
	return NULL;
}

int64_t check_time(const json_t *o, const char *key)
{
	struct wall t = {0};
	struct err ignored = ERR_INIT;

	json_opt_time(o, "", key, &t, &ignored);
	return t.ms ? t.ms - TIMELINE_EPOCH_MS : 0;
}

/* A pool in BackOff is asked again when its time has come, when there may be room, or when an instance binds, which the status
 * may not tell yet. */
static void check_patience(struct check *k, struct check_endpoint *e, const struct api_object *o,
                           const char *pool)
{
	const json_t *p = check_pool_status(o, pool);
	size_t type = check_type_named(k, pool);
	int32_t bound = cluster_instances(k->cluster, e->story->name, pool, NULL).bound;
	int32_t told = p ? check_number(p, "currentInstanceCount") + check_number(p, "startingInstanceCount") : 0;
	int64_t since_ms = p ? check_time(p, "since") : 0, retry_ms = p ? check_time(p, "nextRetryTime") : 0;

	if (!p || !str_eq(check_text(json_at(p, "state")), "BackOff") || retry_ms <= check_now(k) + MS_PER_S ||
	    check_now(k) < e->foreign_until_ms || bound > told)
		return;
	/* It was full of older instances, and these are gone: so is the pause. */
	if (str_eq(check_text(json_at(p, "reason")), "OwnFleet"))
		return;
	if (type < k->story->n_types && k->room_ms[type] < since_ms - VIEW_MS)
		check_break(k, "a pool was asked before its time",
		            "endpoint %s, pool %s: in BackOff for %" PRId64 " ms more, and nothing made room",
		            e->story->name, pool, retry_ms - check_now(k));
}

/* Of our own patches: [test uid, test replicas, replace replicas]. */
static bool raises(const struct api_request *r)
{
	struct err ignored = ERR_INIT;
	CLEANUP_JSON json_t *patch = json_parse(r->body, &ignored);

	return json_integer_value(json_object_get(json_array_get(patch, 2), "value")) >
	       json_integer_value(json_object_get(json_array_get(patch, 1), "value"));
}

static void check_deployment_write(struct check *k, const struct api_request *r)
{
	const struct api_object *d = api_find(k->api, API_DEPLOYMENT, r->ns, r->name);
	struct check_endpoint *e = d ? check_endpoint_named(k, label(d, LABEL_ENDPOINT)) : NULL;
	const struct api_object *o = e ? check_document(k, e) : NULL;

	if (str_eq(r->method, "DELETE") && str_eq(r->name, k->deleted.name) &&
	    (k->deleted.replicas > 0 || k->deleted.ready > 0))
		check_break(k, "a Deployment in use was deleted", "%s: %" PRId32 " asked, %" PRId32 " Ready", r->name,
		            k->deleted.replicas, k->deleted.ready);
	if (!o || !str_eq(owner_uid(d), o->uid) || !r->name[0])
		return;
	if (raises(r))
		check_patience(k, e, o, label(d, LABEL_POOL));
	check_count(k, e, o, d, r);
}

static void on_write(void *arg, const char *who, const struct api_request *r, int status)
{
	struct check *k = arg;
	const struct api_object *o =
		r->kind == API_ENDPOINT ? api_find(k->api, API_ENDPOINT, r->ns, r->name) : NULL;
	struct check_endpoint *e = o ? check_endpoint_named(k, o->name) : NULL;

	check_leader(k, who);
	if (status >= 400)
		return;
	k->last_write_ms = check_now(k);
	if (r->kind == API_DEPLOYMENT)
		check_deployment_write(k, r);
	if (e)
		check_flood(k, e);
	if (e && str_eq(r->subresource, "status")) {
		check_status(k, e, o);
		check_sum(k, e, o);
		check_pauses(k, e, o);
		if (e->status_ms < e->created_ms)
			check_first_fill(k, e, o);
		e->status_ms = check_now(k);
	}
}

/* ---- what changes ---- */

static int same_deployment(void *arg, struct api_object *o)
{
	const struct api_object *other = arg;

	return o != other && str_eq(owner_uid(o), owner_uid(other)) &&
	       str_eq(label(o, LABEL_POOL), label(other, LABEL_POOL)) &&
	       str_eq(label(o, LABEL_REVISION), label(other, LABEL_REVISION));
}

static void deployment_changed(struct check *k, enum api_change change, struct api_object *o)
{
	if (change == API_ADDED && api_each(k->api, API_DEPLOYMENT, same_deployment, o))
		check_break(k, "two Deployments of one pool and revision", "%s is the second", o->name);
	if (change != API_DELETED)
		return;
	str_copy(k->deleted.name, sizeof(k->deleted.name), o->name);
	k->deleted.replicas = replicas_of(o);
	k->deleted.ready = cluster_instances(k->cluster, label(o, LABEL_ENDPOINT), label(o, LABEL_POOL),
	                                     label(o, LABEL_REVISION))
	                       .ready;
}

static void room_made(struct check *k, const char *type)
{
	size_t i = check_type_named(k, type);

	if (i < k->story->n_types)
		k->room_ms[i] = check_now(k);
}

static void node_changed(struct check *k, const struct api_object *o)
{
	room_made(k, label(o, NODE_LABEL_INSTANCE_TYPE));
	for (size_t i = 0; i < k->story->n_endpoints; i++)
		check_sample_now(k, &k->endpoints[i]);
}

static void on_change(void *arg, enum api_change change, struct api_object *o)
{
	struct check *k = arg;
	struct check_endpoint *e = NULL;

	if (o->kind == API_POD)
		e = check_endpoint_named(k, label(o, LABEL_ENDPOINT));
	else if (o->kind == API_ENDPOINT)
		e = check_endpoint_named(k, o->name);
	else if (o->kind == API_DEPLOYMENT)
		deployment_changed(k, change, o);
	else if (o->kind == API_NODE)
		node_changed(k, o);
	else if (o->kind == API_EVENT && change != API_DELETED)
		check_event(k, o);
	if (e && o->kind == API_POD)
		e->instances_ms = check_now(k);
	if (o->kind == API_POD && change == API_DELETED)
		room_made(k, check_text(json_at(o->doc, "spec", "nodeSelector", NODE_LABEL_INSTANCE_TYPE)));
	if (e && change == API_ADDED && o->kind == API_ENDPOINT)
		e->created_ms = check_now(k);
	if (e && change == API_DELETED && o->kind == API_ENDPOINT)
		e->n_samples = 0;
	else if (e)
		check_sample_now(k, e);
}

static void on_end(void *arg, const char *endpoint, const char *pool, const char *revision, int64_t ready_ms)
{
	struct check *k = arg;
	struct check_endpoint *e = check_endpoint_named(k, endpoint);

	(void)revision;
	if (e && ready_ms >= e->created_ms) /* else it was Ready for another endpoint of that name */
		check_ending(k, e, pool, ready_ms);
}

/* ---- the story ---- */

static void blur(struct check *k, int64_t for_ms)
{
	if (k->blurred_until_ms < check_now(k) - VIEW_MS)
		k->blurred_from_ms = check_now(k);
	if (k->blurred_until_ms < check_now(k) + for_ms)
		k->blurred_until_ms = check_now(k) + for_ms;
}

void check_act(struct check *k, const struct story_act *act)
{
	struct check_endpoint *e = act->subject < k->story->n_endpoints ? &k->endpoints[act->subject] : NULL;

	check_fleets_act(k, act);
	if (e && act->type <= ACT_LOSE_STATUS)
		check_person(k, e, act->type);
	/* Nobody can tell that a watch is late. An outage, and that it was stopped, an operator has to notice. */
	if (act->type == ACT_FAIL_WATCH || act->type == ACT_PAUSE)
		blur(k, act->for_ms + VIEW_MS);
	if (act->type == ACT_DOWN || act->type == ACT_PAUSE || act->type >= ACT_CRASH)
		k->stopped_until_ms = check_now(k) + act->for_ms + VIEW_MS;
	/* What was promised a node stays, whoever asked for it; and without its status a planner does not know that less is wanted
	 * than before. */
	if ((act->type == ACT_FOREIGN_SCALE || act->type == ACT_LOSE_STATUS) && e)
		e->foreign_until_ms = check_now(k) + (k->story->nodes == CLUSTER_FIXED ? FOREIGN_MS : PROMISED_MS);
}

void check_healed(struct check *k)
{
	k->healed_ms = check_now(k);
}

struct check *check_new(const struct story *s, struct api *a, struct network *n, struct cluster *c,
                        check_broken_fn *fn, void *arg)
{
	struct check *k = xcalloc(1, sizeof(*k));

	*k =
		(struct check){.story = s, .api = a, .cluster = c, .timeline = api_timeline(a), .fn = fn, .arg = arg};
	for (size_t i = 0; i < s->n_endpoints; i++)
		k->endpoints[i].story = &s->endpoints[i];
	api_listen(a, on_change, k);
	network_on_write(n, on_write, k);
	cluster_on_end(c, on_end, k);
	return k;
}

void check_free(struct check *k)
{
	free(k);
}
