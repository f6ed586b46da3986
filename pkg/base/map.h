#pragma once
/* A map from strings to pointers: uthash, wrapped once. Keys are copied. Iteration is in insertion order, so
 * whoever needs stable output sorts. */
#include <stddef.h>
#include "base/mem.h"

struct map_entry;
struct map {
	struct map_entry *head;
};

void map_init(struct map *m);
void map_done(struct map *m, void (*free_value)(void *)); /* free_value may be NULL; may be called twice */
void *map_get(const struct map *m, const char *key);      /* borrowed; NULL when absent */
/* value must not be NULL; returns the one replaced, or NULL. */
void *map_put(struct map *m, const char *key, void *value);
void *map_remove(struct map *m, const char *key); /* the value, now the caller's, or NULL */
size_t map_count(const struct map *m);
/* Removing the current entry inside the loop is allowed; adding is not. fn returns non-zero to stop. */
int map_each(const struct map *m, int (*fn)(void *arg, const char *key, void *value), void *arg);
