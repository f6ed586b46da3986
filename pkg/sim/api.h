#pragma once
/* The API server: objects, their versions, and everything that changed, as JSON. Requests come in through api_request.h; the
 * models of the cluster's own controllers use this directly, without delay. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/timeline.h"

enum api_kind {
	API_ENDPOINT,
	API_MODEL,
	API_DEPLOYMENT,
	API_POD,
	API_NODE,
	API_SERVICE,
	API_BUDGET,
	API_EVENT,
	API_LEASE,
	API_KIND_COUNT,
};
/* "instancepoolendpoints", ... */
const char *api_plural(enum api_kind kind);

struct api_object {
	enum api_kind kind;
	const char *ns; /* "" for nodes */
	const char *name, *uid;
	uint64_t version;
	/* As the server has it, metadata included. Only api_update() may follow a change of it; never replaced: the pointer
	 * stays while the object lives. */
	json_t *doc;
	void *own; /* of the model that looks after it (workload, kubelet, ...) */
};

enum api_change { API_ADDED, API_MODIFIED, API_DELETED };

struct api;

struct api *api_new(struct timeline *t);
void api_free(struct api *a); /* NULL is fine */
struct timeline *api_timeline(const struct api *a);

/* The last that was given to an object. */
uint64_t api_version(const struct api *a);

/* Borrowed; NULL: there is none. ns NULL or "" for nodes. */
struct api_object *api_find(const struct api *a, enum api_kind kind, const char *ns, const char *name);
/* In order of creation. fn returns non-zero to stop; it may remove the object that it is given. */
int api_each(const struct api *a, enum api_kind kind, int (*fn)(void *arg, struct api_object *o), void *arg);
size_t api_count(const struct api *a, enum api_kind kind);

/* Takes doc, whose metadata has name and namespace; uid, version, creationTimestamp and generation are put in. The name must
 * be free. */
struct api_object *api_create(struct api *a, enum api_kind kind, json_t *doc);
/* After a change of o->doc: a new version, told to who watches. */
void api_update(struct api *a, struct api_object *o);
/* ... where the spec changed: metadata.generation goes up as well. */
void api_update_spec(struct api *a, struct api_object *o);
/* At once and for good: whoever ends things gracefully sets metadata.deletionTimestamp with api_update() before. What the
 * object owned is the garbage collector's (cluster.h). */
void api_remove(struct api *a, struct api_object *o);

/* Called after each change, from within it; must not change objects itself but with timeline_at(). At most 8. On API_DELETED
 * the object is about to be freed. */
typedef void api_listen_fn(void *arg, enum api_change change, struct api_object *o);
void api_listen(struct api *a, api_listen_fn *fn, void *arg);
