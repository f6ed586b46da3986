#pragma once
/* What every Kubernetes object has. It is the first member of every view: the store needs no more. */
#include "base/clock.h"
#include "base/jread.h"

struct objmeta {
	const char *ns; /* NULL for cluster-scoped kinds */
	const char *name;
	const char *uid;
	const char *resource_version;
	const char *owner_uid; /* of the controlling owner reference, else NULL */
	int64_t generation;
	struct wall created;
	struct wall deleted; /* metadata.deletionTimestamp: when it is due to be gone, grace period included */
};

/* Members of metadata for offset 0: put {"metadata", J_OBJECT, .sub = objmeta_fields} in a view's table, or a
 * longer table that starts with OBJMETA_FIELDS. */
extern const struct jfield objmeta_fields[];

struct objmeta_owner {
	const char *uid;
	bool controller;
};
extern const struct jfield objmeta_owner_fields[];
void objmeta_fold_owner(void *base, const void *elem);

/* clang-format off */
#define OBJMETA_FIELDS                                                                     \
	{"namespace", J_STR, .offset = offsetof(struct objmeta, ns)},                          \
	{"name", J_STR, .offset = offsetof(struct objmeta, name)},                             \
	{"uid", J_STR, .offset = offsetof(struct objmeta, uid)},                               \
	{"resourceVersion", J_STR, .offset = offsetof(struct objmeta, resource_version)},      \
	{"generation", J_I64, .offset = offsetof(struct objmeta, generation)},                 \
	{"creationTimestamp", J_TIME, .offset = offsetof(struct objmeta, created)},            \
	{"deletionTimestamp", J_TIME, .offset = offsetof(struct objmeta, deleted)},            \
	{"ownerReferences", J_EACH, .sub = objmeta_owner_fields,                               \
	 .elem_size = sizeof(struct objmeta_owner), .fold = objmeta_fold_owner},               \
	{NULL, J_STR, .offset = offsetof(struct objmeta, owner_uid)}
/* clang-format on */

/* Only the metadata of an object, of whatever kind, into the zeroed *ret. */
int objmeta_read(struct slice json, struct arena *a, struct objmeta *ret, struct err *err);

/* Does version a stand at or after b? Versions compare as decimal integers of any length (guaranteed from
 * Kubernetes 1.35, true of every etcd-backed server); anything else compares by equality. */
bool resource_version_reached(const char *a, const char *b);
