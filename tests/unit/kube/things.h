#pragma once
/* The kind of object that the informer's tests know, and how a server tells of it. */
#include "base/jread.h"
#include "base/mem.h"
#include "kube/store.h"

struct thing {
	struct objmeta meta;
	int64_t n;
};

static const struct jfield thing_fields[] = {
	{"metadata", J_OBJECT, .sub = objmeta_fields},
	{"n", J_I64, .offset = offsetof(struct thing, n)},
	{0},
};

static inline void *thing_decode(struct slice json, struct err *err)
{
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	struct thing t = {0};
	return jread(thing_fields, json, &a, &t, err) == 0 ? jread_pack(thing_fields, &t, sizeof(t)) : NULL;
}

static const struct kube_type things = {
	.resource = {.group = "g", .version = "v1", .plural = "things", .kind = "Thing", .namespaced = true},
	.decode = thing_decode,
	.free = free,
};

/* For scripted_server.h. */
/* clang-format off */
#define META(name, uid, rv) \
	"'metadata':{'name':'" name "','namespace':'ns','uid':'" uid "','resourceVersion':'" rv "'}"
#define OBJECT(name, uid, rv, n) "{" META(name, uid, rv) ",'n':" n "}"
#define EVENT(type, name, uid, rv, n) "{'type':'" type "','object':" OBJECT(name, uid, rv, n) "}"
#define BOOKMARK(rv) "{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'" rv "'}}}"
#define LIST_END(rv) \
	"{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'" rv "'," \
	"'annotations':{'k8s.io/initial-events-end':'true'}}}}"
#define GONE "{'type':'ERROR','object':{'kind':'Status','code':410,'reason':'Expired','message':'old'}}"
/* clang-format on */
