/* The Deployment and the ReplicaSet controller in one: makes the pods what spec.replicas says. */
#include <stdlib.h>
#include "api/names.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/quantity.h"
#include "sim/cluster_internal.h"

#define MAX_VICTIMS 256

static const char *label_of(const json_t *doc, const char *label)
{
	const char *value = json_string_value(json_at(doc, "metadata", "labels", label, NULL));
	return value ? value : "";
}

static int32_t replicas_of(const struct workload *w)
{
	const json_t *n = json_at(w->object->doc, "spec", "replicas", NULL);
	return json_is_integer(n) ? (int32_t)json_integer_value(n) : 1;
}

static bool is_active(const struct cluster_pod *p, const struct workload *w)
{
	return p->workload == w && !p->leaving;
}

/* ---- creation ---- */

static int type_of(const struct cluster *c, const json_t *spec)
{
	const char *name = json_string_value(json_at(spec, "nodeSelector", NODE_LABEL_INSTANCE_TYPE, NULL));
	for (size_t i = 0; i < c->n_types; i++)
		if (str_eq(name, c->types[i].spec->name))
			return (int)i;
	return -1;
}

static void put_owner(json_t *meta, const struct workload *w)
{
	json_t *owner = json_must(json_object()), *owners = json_must(json_array());
	json_put_str(owner, "apiVersion", "apps/v1");
	json_put_str(owner, "kind", "ReplicaSet");
	json_put_str(owner, "name", w->replica_set);
	json_put_str(owner, "uid", w->replica_set_uid);
	json_put_bool(owner, "controller", true);
	json_put_bool(owner, "blockOwnerDeletion", true);
	cluster_append(owners, owner);
	json_set(meta, "ownerReferences", owners);
}

/* Pods of a Deployment of the same name that was there before may still end. */
static void next_name(struct workload *w, char buf[static CLUSTER_NAME_SIZE])
{
	do {
		char text[HASH_TEXT_SIZE];
		hash64_text(hash64_str(w->chance + w->n_pods++, "pod"), text);
		str_format(buf, CLUSTER_NAME_SIZE, "%s-%.5s", w->replica_set, text);
	} while (api_find(w->cluster->api, API_POD, CLUSTER_NS, buf));
}

static void create_pod(struct workload *w)
{
	struct cluster *c = w->cluster;
	char name[CLUSTER_NAME_SIZE];
	json_t *doc = json_must(json_deep_copy(json_at(w->object->doc, "spec", "template", NULL)));

	next_name(w, name);
	json_put_str(doc, "apiVersion", "v1");
	json_put_str(doc, "kind", "Pod");
	json_t *meta = json_child(doc, "metadata"), *spec = json_child(doc, "spec");
	json_put_str(meta, "name", name);
	json_put_str(meta, "namespace", CLUSTER_NS);
	put_owner(meta, w);
	if (!json_at(spec, "terminationGracePeriodSeconds", NULL))
		json_put_int(spec, "terminationGracePeriodSeconds", 30);
	json_put_str(json_child(doc, "status"), "phase", "Pending");
	int type = type_of(c, spec);
	scheduler_add(pod_new(c, api_create(c->api, API_POD, doc), w, type));
}

static void retry(void *arg);

/* The API server's words, by way of the ReplicaSet's condition. */
static void refuse(struct workload *w, size_t used)
{
	struct cluster *c = w->cluster;
	CLEANUP_FREE char *message =
		xasprintf("pods \"%s-\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=%zu, "
	              "limited: pods=%d",
	              w->replica_set, used, c->quota);
	if (cluster_condition(c, w->object->doc, "ReplicaFailure", "True", "FailedCreate", message))
		api_update(c->api, w->object);
	int64_t delay = INT64_C(200) << (w->n_refused < 8 ? w->n_refused : 8);
	w->n_refused++;
	task_after(&w->sync, delay, retry);
}

static void create_pods(struct workload *w, int32_t n)
{
	struct cluster *c = w->cluster;
	for (; n > 0; n--) {
		size_t used = api_count(c->api, API_POD);
		if (c->quota >= 0 && used >= (size_t)c->quota) {
			refuse(w, used);
			return;
		}
		create_pod(w);
	}
	if (w->n_refused > 0) {
		w->n_refused = 0;
		cluster_drop_condition(w->object->doc, "ReplicaFailure");
		api_update(c->api, w->object);
	}
}

/* ---- victims: ActivePodsWithRanks of kubernetes' pkg/controller/controller_utils.go ---- */

struct victim {
	struct cluster_pod *pod;
	const char *uid;
	int64_t cost;
	int64_t ready, created; /* for how long, ms */
	int phase;              /* Pending before Unknown before Running */
	int32_t doubled;        /* pods of this Deployment on its node */
	uint32_t restarts;
};

static struct wall time_at(const char *text)
{
	struct wall t = {0};
	if (text)
		wall_parse(slice_from(text), &t, NULL);
	return t;
}

static struct wall ready_since(const json_t *doc)
{
	json_t *o, *list = json_at(doc, "status", "conditions", NULL);
	size_t i;
	json_array_foreach(list, i, o) {
		if (str_eq(json_string_value(json_object_get(o, "type")), "Ready"))
			return time_at(json_string_value(json_object_get(o, "lastTransitionTime")));
	}
	return (struct wall){0};
}

static struct victim victim_of(struct cluster_pod *p, struct wall now)
{
	const json_t *doc = p->object->doc;
	struct victim v = {.pod = p, .uid = p->object->uid, .restarts = p->n_crashes};
	const char *cost =
		json_string_value(json_at(doc, "metadata", "annotations", ANNOTATION_DELETION_COST, NULL));
	const struct cluster_pod *other;

	v.phase = str_eq(json_string_value(json_at(doc, "status", "phase", NULL)), "Running") ? 2 : 0;
	if (cost)
		slice_to_i64(slice_from(cost), &v.cost, NULL);
	TAILQ_FOREACH(other, &p->cluster->pods, link)
	v.doubled += p->node && is_active(other, p->workload) && other->node == p->node;
	v.ready = now.ms - ready_since(doc).ms;
	v.created = now.ms - time_at(json_string_value(json_at(doc, "metadata", "creationTimestamp", NULL))).ms;
	return v;
}

/* The order of magnitude of a duration: its logarithm to base 2, in nanoseconds. */
static int magnitude(int64_t ms)
{
	return ms > 0 ? 63 - __builtin_clzll((uint64_t)ms * 1000000u) : -1;
}

static int compare(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* Shorter first, as far as magnitudes tell; else by uid. */
static int compare_durations(const struct victim *a, const struct victim *b, int64_t a_ms, int64_t b_ms)
{
	int order = compare(magnitude(a_ms), magnitude(b_ms));
	return order ? order : strcmp(a->uid, b->uid);
}

/* Negative: a goes first. */
static int compare_victims(const void *x, const void *y)
{
	const struct victim *a = x, *b = y;
	int order;

	if ((order = compare(a->pod->bound, b->pod->bound)) || (order = compare(a->phase, b->phase)) ||
	    (order = compare(a->pod->says_ready, b->pod->says_ready)) || (order = compare(a->cost, b->cost)) ||
	    (order = compare(b->doubled, a->doubled)))
		return order;
	if (a->pod->says_ready && a->ready != b->ready)
		return compare_durations(a, b, a->ready, b->ready);
	if ((order = compare(b->restarts, a->restarts)))
		return order;
	if (a->created != b->created)
		return compare_durations(a, b, a->created, b->created);
	return strcmp(a->uid, b->uid);
}

static void end_pods(struct workload *w, int32_t n)
{
	struct cluster *c = w->cluster;
	struct victim victims[MAX_VICTIMS] = {0};
	size_t n_victims = 0;
	struct cluster_pod *p;
	struct wall now = timeline_wall(c->timeline);

	TAILQ_FOREACH(p, &c->pods, link)
	if (is_active(p, w) && n_victims < MAX_VICTIMS)
		victims[n_victims++] = victim_of(p, now);
	qsort(victims, n_victims, sizeof(victims[0]), compare_victims);
	for (size_t i = 0; i < n_victims && i < (size_t)n; i++) {
		p = victims[i].pod;
		if (c->on_end)
			c->on_end(c->on_end_arg, w->endpoint, w->pool, w->revision, p->says_ready ? p->ready_ms : -1);
		pod_end(p);
	}
}

/* ---- the controllers ---- */

/* ret_ready may be NULL. */
static int32_t count_active(const struct workload *w, int32_t *ret_ready)
{
	const struct cluster_pod *p;
	int32_t n = 0, ready = 0;

	TAILQ_FOREACH(p, &w->cluster->pods, link)
	{
		n += is_active(p, w);
		ready += is_active(p, w) && p->says_ready;
	}
	if (ret_ready)
		*ret_ready = ready;
	return n;
}

static void sync_pods(struct workload *w)
{
	if (!w->object)
		return;
	int32_t more = replicas_of(w) - count_active(w, NULL);
	if (more < 0)
		end_pods(w, -more);
	create_pods(w, more > 0 ? more : 0);
}

static void retry(void *arg)
{
	sync_pods(arg);
}

static int64_t delay_of(const struct workload *w, const char *purpose, uint32_t nth)
{
	bool slow = cluster_chance(w->chance, "slow", nth, 0, 24) == 0;
	return cluster_chance(w->chance, purpose, nth, slow ? 2000 : 5, slow ? 5000 : 400);
}

static void plan_sync(struct workload *w)
{
	/* A back-off is cut short, as by any event about the ReplicaSet. */
	if (!task_is_planned(&w->sync) || w->n_refused > 0)
		task_after(&w->sync, delay_of(w, "sync", w->n_syncs++), retry);
}

static void put_count(json_t *status, const char *key, int32_t n)
{
	if (n > 0)
		json_put_int(status, key, n);
	else
		json_object_del(status, key);
}

static void report(void *arg)
{
	struct workload *w = arg;
	int32_t n, ready;

	if (!w->object)
		return;
	n = count_active(w, &ready);
	json_t *status = json_child(w->object->doc, "status");
	CLEANUP_JSON json_t *before = json_must(json_deep_copy(status));
	json_t *generation = json_at(w->object->doc, "metadata", "generation", NULL);
	if (generation)
		json_set(status, "observedGeneration", json_must(json_deep_copy(generation)));
	put_count(status, "replicas", n);
	put_count(status, "updatedReplicas", n);
	put_count(status, "readyReplicas", ready);
	put_count(status, "availableReplicas", ready);
	put_count(status, "unavailableReplicas", n - ready);
	if (!json_equal(before, status))
		api_update(w->cluster->api, w->object);
}

static void plan_report(struct workload *w)
{
	if (!task_is_planned(&w->report))
		task_after(&w->report, delay_of(w, "report", w->n_reports++), report);
}

void workload_pod_changed(struct workload *w)
{
	if (!w->object)
		return;
	if (count_active(w, NULL) != replicas_of(w))
		plan_sync(w);
	plan_report(w);
}

/* Of a Deployment that is gone. */
static void end_all(void *arg)
{
	struct workload *w = arg;
	struct cluster_pod *p, *next;
	for (p = TAILQ_FIRST(&w->cluster->pods); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (is_active(p, w))
			pod_end(p);
	}
}

static struct workload *workload_new(struct cluster *c, struct api_object *o)
{
	struct workload *w = xcalloc(1, sizeof(*w));
	char text[HASH_TEXT_SIZE];

	w->cluster = c;
	w->object = o;
	w->name = xstrdup(o->name);
	w->endpoint = xstrdup(label_of(o->doc, LABEL_ENDPOINT));
	w->pool = xstrdup(label_of(o->doc, LABEL_POOL));
	w->revision = xstrdup(label_of(o->doc, LABEL_REVISION));
	w->chance = hash64_str(c->seed, o->name);
	hash64_text(hash64_str(HASH64_INIT, o->name), text);
	w->replica_set = xasprintf("%s-%s", o->name, text);
	w->replica_set_uid = xasprintf("%s-rs", o->uid);
	task_init(&w->sync, c, w);
	task_init(&w->report, c, w);
	TAILQ_INSERT_TAIL(&c->workloads, w, link);
	o->own = w;
	return w;
}

void workload_free(struct workload *w)
{
	task_cancel(&w->sync);
	task_cancel(&w->report);
	TAILQ_REMOVE(&w->cluster->workloads, w, link);
	free(w->name);
	free(w->endpoint);
	free(w->pool);
	free(w->revision);
	free(w->replica_set);
	free(w->replica_set_uid);
	free(w);
}

void workload_seen(struct cluster *c, struct api_object *o, enum api_change change)
{
	struct workload *w = o->own;

	if (change == API_ADDED)
		w = workload_new(c, o);
	if (!w)
		return;
	if (change == API_DELETED) {
		w->object = NULL;
		task_cancel(&w->report);
		task_after(&w->sync, cluster_chance(w->chance, "collect", 0, 50, 3000), end_all);
		return;
	}
	int32_t replicas = replicas_of(w);
	if (w->seen && replicas == w->seen_replicas)
		return;
	w->seen = true;
	w->seen_replicas = replicas;
	plan_sync(w);
	plan_report(w);
}
