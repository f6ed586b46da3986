#include "base/map.h"
#include <assert.h>
#include <string.h>

#define HASH_FUNCTION HASH_FNV /* the default one falls through its switch cases silently */
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(msg) abort()
#include <uthash.h>

struct map_entry {
	UT_hash_handle hh;
	void *value;
	char key[];
};

void map_init(struct map *m)
{
	m->head = NULL;
}

void map_done(struct map *m, void (*free_value)(void *))
{
	struct map_entry *e, *next;
	HASH_ITER(hh, m->head, e, next) {
		HASH_DEL(m->head, e);
		if (free_value)
			free_value(e->value);
		free(e);
	}
}

static struct map_entry *find(const struct map *m, const char *key)
{
	struct map_entry *e;
	HASH_FIND_STR(m->head, key, e);
	return e;
}

void *map_get(const struct map *m, const char *key)
{
	const struct map_entry *e = find(m, key);
	return e ? e->value : NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
	assert(value != NULL);
	struct map_entry *e = find(m, key);
	if (e) {
		void *old = e->value;
		e->value = value;
		return old;
	}
	size_t len = strlen(key);
	e = xmalloc(sizeof(*e) + len + 1);
	e->value = value;
	memcpy(e->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, m->head, e->key, len, e);
	return NULL;
}

void *map_remove(struct map *m, const char *key)
{
	struct map_entry *e = find(m, key);
	if (e == NULL)
		return NULL;
	void *value = e->value;
	HASH_DEL(m->head, e);
	free(e);
	return value;
}

size_t map_count(const struct map *m)
{
	return HASH_COUNT(m->head);
}

int map_each(const struct map *m, int (*fn)(void *arg, const char *key, void *value), void *arg)
{
	struct map_entry *e, *next;
	HASH_ITER(hh, m->head, e, next) {
		int rc = fn(arg, e->key, e->value);
		if (rc != 0)
			return rc;
	}
	return 0;
}
