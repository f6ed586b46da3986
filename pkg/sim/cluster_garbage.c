/* The garbage collector: what has lost its controlling owner goes a moment later. Pods go with their Deployment
 * (cluster_workload.c). */
#include "base/hash.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

struct garbage {
	struct cluster *cluster;
	char *owner_uid;
	struct task task;
	TAILQ_ENTRY(garbage) link;
};

static const char *owner_of(const struct api_object *o)
{
	json_t *owner, *list = json_at(o->doc, "metadata", "ownerReferences", NULL);
	size_t i;
	json_array_foreach(list, i, owner) {
		if (json_is_true(json_object_get(owner, "controller")))
			return json_string_value(json_object_get(owner, "uid"));
	}
	return NULL;
}

static int remove_if_owned(void *arg, struct api_object *o)
{
	struct garbage *g = arg;
	if (str_eq(owner_of(o), g->owner_uid))
		api_remove(g->cluster->api, o);
	return 0;
}

static void garbage_drop(struct garbage *g)
{
	task_cancel(&g->task);
	TAILQ_REMOVE(&g->cluster->garbage, g, link);
	free(g->owner_uid);
	free(g);
}

static void collect(void *arg)
{
	static const enum api_kind kinds[] = {API_DEPLOYMENT, API_SERVICE, API_BUDGET};
	struct garbage *g = arg;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		api_each(g->cluster->api, kinds[i], remove_if_owned, g);
	garbage_drop(g);
}

static void plan(struct cluster *c, const char *owner_uid)
{
	struct garbage *g;

	TAILQ_FOREACH(g, &c->garbage, link)
	if (str_eq(g->owner_uid, owner_uid))
		return;
	g = xcalloc(1, sizeof(*g));
	g->cluster = c;
	g->owner_uid = xstrdup(owner_uid);
	task_init(&g->task, c, g);
	TAILQ_INSERT_TAIL(&c->garbage, g, link);
	task_after(&g->task, cluster_chance(c->seed, "garbage", c->n_garbage++, 50, 3000), collect);
}

static int has_uid(void *uid, struct api_object *o)
{
	return str_eq(o->uid, uid);
}

void garbage_seen(struct cluster *c, struct api_object *o, enum api_change change)
{
	if (change == API_DELETED && o->kind == API_ENDPOINT) {
		plan(c, o->uid);
	} else if (change == API_ADDED &&
	           (o->kind == API_DEPLOYMENT || o->kind == API_SERVICE || o->kind == API_BUDGET)) {
		/* It may come after its owner has gone. */
		char *owner = (char *)(uintptr_t)owner_of(o);
		if (owner && !api_each(c->api, API_ENDPOINT, has_uid, owner))
			plan(c, owner);
	}
}

void garbage_free(struct cluster *c)
{
	while (!TAILQ_EMPTY(&c->garbage))
		garbage_drop(TAILQ_FIRST(&c->garbage));
}
