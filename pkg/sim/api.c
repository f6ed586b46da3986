#include "sim/api.h"
#include <assert.h>
#include <inttypes.h>
#include "base/json.h"
#include "base/map.h"
#include "sim/api_internal.h"

#define MAX_LISTENERS 8

/* An object and its place among those of its kind. */
struct entry {
	struct api_object object; /* first */
	TAILQ_ENTRY(entry) link;
	char *key;
	char *ns, *name, *uid; /* copies: a patch may put the same into doc again, which frees what was there */
};

struct collection {
	TAILQ_HEAD(, entry) entries;
	struct map by_key;
	struct api_log log;
	struct api_watch_list watches;
};

struct api {
	struct timeline *timeline;
	uint64_t version, uids;
	struct collection collections[API_KIND_COUNT];
	struct {
		api_listen_fn *fn;
		void *arg;
	} listeners[MAX_LISTENERS];
	size_t n_listeners;
};

const char *api_plural(enum api_kind kind)
{
	static const char *const names[API_KIND_COUNT] = {
		[API_ENDPOINT] = "instancepoolendpoints",
		[API_MODEL] = "models",
		[API_DEPLOYMENT] = "deployments",
		[API_POD] = "pods",
		[API_NODE] = "nodes",
		[API_SERVICE] = "services",
		[API_BUDGET] = "poddisruptionbudgets",
		[API_EVENT] = "events",
		[API_LEASE] = "leases",
	};

	return names[kind];
}

struct api *api_new(struct timeline *t)
{
	struct api *a = xcalloc(1, sizeof(*a));

	a->timeline = t;
	a->version = 100;
	for (size_t i = 0; i < API_KIND_COUNT; i++) {
		TAILQ_INIT(&a->collections[i].entries);
		map_init(&a->collections[i].by_key);
		LIST_INIT(&a->collections[i].watches);
	}
	return a;
}

static void free_entry(struct entry *e)
{
	json_decref(e->object.doc);
	free(e->key);
	free(e->ns);
	free(e->name);
	free(e->uid);
	free(e);
}

void api_free(struct api *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < API_KIND_COUNT; i++) {
		struct collection *c = &a->collections[i];
		struct entry *e;

		while ((e = TAILQ_FIRST(&c->entries)) != NULL) {
			TAILQ_REMOVE(&c->entries, e, link);
			free_entry(e);
		}
		map_done(&c->by_key, NULL);
		api_log_free(&c->log);
	}
	free(a);
}

struct timeline *api_timeline(const struct api *a)
{
	return a->timeline;
}

uint64_t api_version(const struct api *a)
{
	return a->version;
}

struct api_log *api_log_of(struct api *a, enum api_kind kind)
{
	return &a->collections[kind].log;
}

struct api_watch_list *api_watches_of(struct api *a, enum api_kind kind)
{
	return &a->collections[kind].watches;
}

struct api_object *api_find(const struct api *a, enum api_kind kind, const char *ns, const char *name)
{
	char key[320];
	struct entry *e;

	str_format(key, sizeof(key), "%s/%s", ns ? ns : "", name);
	e = map_get(&a->collections[kind].by_key, key);
	return e ? &e->object : NULL;
}

int api_each(const struct api *a, enum api_kind kind, int (*fn)(void *arg, struct api_object *o), void *arg)
{
	struct entry *e, *next;
	int result = 0;

	for (e = TAILQ_FIRST(&a->collections[kind].entries); e && result == 0; e = next) {
		next = TAILQ_NEXT(e, link);
		result = fn(arg, &e->object);
	}
	return result;
}

size_t api_count(const struct api *a, enum api_kind kind)
{
	return map_count(&a->collections[kind].by_key);
}

static void tell(struct api *a, enum api_change change, struct api_object *o)
{
	char version[24];

	o->version = ++a->version;
	str_format(version, sizeof(version), "%" PRIu64, o->version);
	json_put_str(json_child(o->doc, "metadata"), "resourceVersion", version);
	api_log_add(a, change, o);
	for (size_t i = 0; i < a->n_listeners; i++)
		a->listeners[i].fn(a->listeners[i].arg, change, o);
}

static const char *meta_str(const json_t *doc, const char *key)
{
	const char *s = json_string_value(json_at(doc, "metadata", key));

	return s ? s : "";
}

struct api_object *api_create(struct api *a, enum api_kind kind, json_t *doc)
{
	struct entry *e = xcalloc(1, sizeof(*e));
	struct api_object *o = &e->object;
	json_t *meta = json_child(doc, "metadata");
	char uid[24];

	str_format(uid, sizeof(uid), "uid-%" PRIu64, ++a->uids);
	json_put_str(meta, "uid", uid);
	json_put_time(meta, "creationTimestamp", wall_floor_s(timeline_wall(a->timeline)));
	json_put_int(meta, "generation", 1);
	e->ns = xstrdup(meta_str(doc, "namespace"));
	e->name = xstrdup(meta_str(doc, "name"));
	e->uid = xstrdup(uid);
	*o = (struct api_object){.kind = kind, .doc = doc, .ns = e->ns, .name = e->name, .uid = e->uid};
	e->key = xasprintf("%s/%s", o->ns, o->name);
	TAILQ_INSERT_TAIL(&a->collections[kind].entries, e, link);
	if (map_put(&a->collections[kind].by_key, e->key, e))
		abort(); /* the name was not free */
	tell(a, API_ADDED, o);
	return o;
}

void api_update(struct api *a, struct api_object *o)
{
	tell(a, API_MODIFIED, o);
}

void api_update_spec(struct api *a, struct api_object *o)
{
	json_t *meta = json_child(o->doc, "metadata");

	json_put_int(meta, "generation", json_integer_value(json_at(meta, "generation")) + 1);
	tell(a, API_MODIFIED, o);
}

void api_remove(struct api *a, struct api_object *o)
{
	struct collection *c = &a->collections[o->kind];
	struct entry *e = (struct entry *)o;

	map_remove(&c->by_key, e->key);
	TAILQ_REMOVE(&c->entries, e, link);
	tell(a, API_DELETED, o);
	free_entry(e);
}

void api_listen(struct api *a, api_listen_fn *fn, void *arg)
{
	assert(a->n_listeners < MAX_LISTENERS);
	a->listeners[a->n_listeners].fn = fn;
	a->listeners[a->n_listeners++].arg = arg;
}
