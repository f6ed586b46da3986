#include "kube/store.h"
#include <string.h>
#include "base/mem.h"

#define HASH_FUNCTION HASH_FNV /* the default one falls through its switch cases silently */
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

/* One object's place in one index: a member of its bucket's list. */
struct place {
	struct bucket *bucket;
	struct entry *entry;
	struct place *prev, *next;
};

/* What is found under one key of one index, in order of arrival. */
struct bucket {
	UT_hash_handle hh;
	struct place *places;
	unsigned index;
	char key[];
};

struct entry {
	UT_hash_handle hh;
	void *obj;
	struct place *places; /* an array */
	uint32_t n_places;
	uint32_t list; /* the last one in which it was seen */
	char key[];    /* "ns/name" */
};

struct store {
	const struct kube_type *type;
	struct entry *entries;
	struct bucket *indexes[STORE_MAX_INDEXES];
	uint32_t list; /* counts lists */
	/* store_put's: the buckets to which the new object belongs. */
	struct bucket **found;
	uint32_t n_found, cap_found;
};

/* Longer names than the API server accepts go to the heap. */
struct key {
	char small[320];
	char *ptr;
	size_t len;
};

static void key_init(struct key *k, const char *ns, const char *name)
{
	struct slice a = slice_from(ns ? ns : ""), b = slice_from(name ? name : "");
	k->len = a.len + 1 + b.len;
	k->ptr = k->len <= sizeof(k->small) ? k->small : xmalloc(k->len);
	memcpy(k->ptr, a.ptr, a.len);
	k->ptr[a.len] = '/';
	memcpy(k->ptr + a.len + 1, b.ptr, b.len);
}

static void key_done(struct key *k)
{
	if (k->ptr != k->small)
		free(k->ptr);
}
#define CLEANUP_KEY CLEANUP(key_done)

static struct entry *find(const struct store *s, const struct key *k)
{
	struct entry *e;
	HASH_FIND(hh, s->entries, k->ptr, k->len, e);
	return e;
}

static struct entry *find_named(const struct store *s, const char *ns, const char *name)
{
	CLEANUP_KEY struct key k;
	key_init(&k, ns, name);
	return find(s, &k);
}

struct store *store_new(const struct kube_type *type)
{
	struct store *s = xcalloc(1, sizeof(*s));
	s->type = type;
	return s;
}

static struct bucket *bucket_get(struct store *s, unsigned index, const char *key)
{
	struct bucket *b;
	size_t len = strlen(key);
	HASH_FIND(hh, s->indexes[index], key, len, b);
	if (!b) {
		b = xcalloc(1, sizeof(*b) + len + 1);
		b->index = index;
		memcpy(b->key, key, len + 1);
		HASH_ADD_KEYPTR(hh, s->indexes[index], b->key, len, b);
	}
	return b;
}

static void leave(struct store *s, struct place *p)
{
	struct bucket *b = p->bucket;
	DL_DELETE(b->places, p);
	if (!b->places) {
		HASH_DEL(s->indexes[b->index], b);
		free(b);
	}
}

static void on_index_key(void *arg, unsigned index, const char *key)
{
	struct store *s = arg;
	if (!key)
		return;
	if (index >= STORE_MAX_INDEXES)
		abort();
	struct bucket *b = bucket_get(s, index, key);
	for (uint32_t i = 0; i < s->n_found; i++) {
		if (s->found[i] == b)
			return;
	}
	if (s->n_found == s->cap_found) {
		s->cap_found = s->cap_found ? s->cap_found * 2 : 8;
		s->found = xreallocarray(s->found, s->cap_found, sizeof(struct bucket *));
	}
	s->found[s->n_found++] = b;
}

static struct place *place_in(struct entry *e, const struct bucket *b)
{
	for (uint32_t i = 0; i < e->n_places; i++) {
		if (e->places[i].bucket == b)
			return &e->places[i];
	}
	return NULL;
}

/* Put the entry into the buckets found, and only there. Where it was already it keeps its place. */
static void move_places(struct store *s, struct entry *e)
{
	bool same = e->n_places == s->n_found;
	for (uint32_t i = 0; same && i < s->n_found; i++)
		same = e->places[i].bucket == s->found[i];
	if (same)
		return;

	struct place *places = s->n_found ? xcalloc(s->n_found, sizeof(*places)) : NULL;
	for (uint32_t i = 0; i < s->n_found; i++) {
		struct place *new = &places[i], *old = place_in(e, s->found[i]);
		new->bucket = s->found[i];
		new->entry = e;
		if (old)
			DL_REPLACE_ELEM(new->bucket->places, old, new);
		else
			DL_APPEND(new->bucket->places, new);
		if (old)
			old->bucket = NULL;
	}
	for (uint32_t i = 0; i < e->n_places; i++) {
		if (e->places[i].bucket)
			leave(s, &e->places[i]);
	}
	free(e->places);
	e->places = places;
	e->n_places = s->n_found;
}

/* The object of an entry that is no more; the caller's now. */
static void *take_out(struct store *s, struct entry *e)
{
	void *obj = e->obj;
	for (uint32_t i = 0; i < e->n_places; i++)
		leave(s, &e->places[i]);
	HASH_DEL(s->entries, e);
	free(e->places);
	free(e);
	return obj;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	struct entry *e, *next;
	HASH_ITER(hh, s->entries, e, next)
		s->type->free(take_out(s, e));
	free(s->found);
	free(s);
}

void *store_put(struct store *s, void *obj)
{
	const struct objmeta *meta = obj;
	CLEANUP_KEY struct key k;
	key_init(&k, meta->ns, meta->name);
	struct entry *e = find(s, &k);
	if (!e) {
		e = xcalloc(1, sizeof(*e) + k.len);
		memcpy(e->key, k.ptr, k.len);
		HASH_ADD_KEYPTR(hh, s->entries, e->key, k.len, e);
	}
	void *old = e->obj;
	e->obj = obj;
	e->list = s->list;
	if (s->type->index) {
		s->n_found = 0;
		s->type->index(obj, on_index_key, s);
		move_places(s, e);
	}
	return old;
}

void *store_remove(struct store *s, const char *ns, const char *name)
{
	struct entry *e = find_named(s, ns, name);
	return e ? take_out(s, e) : NULL;
}

const void *store_get(const struct store *s, const char *ns, const char *name)
{
	const struct entry *e = find_named(s, ns, name);
	return e ? e->obj : NULL;
}

size_t store_count(const struct store *s)
{
	return HASH_COUNT(s->entries);
}

int store_each(const struct store *s, store_visit_fn *fn, void *arg)
{
	for (const struct entry *e = s->entries; e; e = e->hh.next) {
		int r = fn(arg, e->obj);
		if (r != 0)
			return r;
	}
	return 0;
}

int store_each_indexed(const struct store *s, unsigned index, const char *key, store_visit_fn *fn, void *arg)
{
	const struct bucket *b;
	HASH_FIND(hh, s->indexes[index], key, strlen(key), b);
	for (const struct place *p = b ? b->places : NULL; p; p = p->next) {
		int r = fn(arg, p->entry->obj);
		if (r != 0)
			return r;
	}
	return 0;
}

uint32_t store_list_begin(struct store *s)
{
	return ++s->list;
}

void store_touch(struct store *s, const char *ns, const char *name)
{
	struct entry *e = find_named(s, ns, name);
	if (e)
		e->list = s->list;
}

static bool is_within(const struct entry *e, const char *ns)
{
	const struct objmeta *meta = e->obj;
	return !ns || str_eq(meta->ns, ns);
}

void store_list_sweep(struct store *s, const char *ns, uint32_t mark, void (*gone)(void *arg, void *obj),
                      void *arg)
{
	struct entry *e, *next;
	HASH_ITER(hh, s->entries, e, next) {
		/* As a difference: the counter may have gone round. */
		if ((int32_t)(e->list - mark) < 0 && is_within(e, ns))
			gone(arg, take_out(s, e));
	}
}
