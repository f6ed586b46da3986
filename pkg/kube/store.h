#pragma once
/* Objects by name, and by indexes. Objects are views whose first member is struct objmeta. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/objmeta.h"
#include "kube/resource.h"

#define STORE_MAX_INDEXES 4
typedef void store_emit_fn(void *arg, unsigned index, const char *key);

/* A kind of view: how the store and the informer handle it. Static. */
struct kube_type {
	struct kube_resource resource;
	/* One object's JSON -> a new view (which `free` releases), or NULL. */
	void *(*decode)(struct slice json, struct err *err);
	void (*free)(void *obj);
	/* Calls emit for each (index, key) under which the object is to be found; a NULL key is none, the same
	 * twice counts once. NULL: no index. */
	void (*index)(const void *obj, store_emit_fn *emit, void *arg);
};

struct store;
struct store *store_new(const struct kube_type *type);
void store_free(struct store *s);

/* Takes obj over. Returns the object it replaced (the caller frees it with type->free), or NULL. The place
 * in the order stays. */
void *store_put(struct store *s, void *obj);
/* Out of the store; the caller frees it. NULL when absent. */
void *store_remove(struct store *s, const char *ns, const char *name);
/* Borrowed until the next change of that object. ns NULL for cluster-scoped kinds. */
const void *store_get(const struct store *s, const char *ns, const char *name);
size_t store_count(const struct store *s);
/* fn must not change the store; it returns non-zero to stop. Order: arrival. */
typedef int store_visit_fn(void *arg, const void *obj);
int store_each(const struct store *s, store_visit_fn *fn, void *arg);
int store_each_indexed(const struct store *s, unsigned index, const char *key, store_visit_fn *fn, void *arg);

/* A new list: begin (again when it starts anew) gives its mark, put everything seen, then sweep hands out what was not seen
 * since, removed already (the caller frees it; `gone` may read the store but not change it). ns: only there, as one
 * store may be filled by a list of each namespace; NULL: everywhere. */
uint32_t store_list_begin(struct store *s);
/* Seen, though it could not be read: what we have is kept. */
void store_touch(struct store *s, const char *ns, const char *name);
void store_list_sweep(struct store *s, const char *ns, uint32_t mark, void (*gone)(void *arg, void *obj),
                      void *arg);
