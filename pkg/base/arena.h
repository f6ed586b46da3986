#pragma once
/* A bump allocator: many small things, freed together. Used as scratch by the planner and the reader. */
#include <stddef.h>
#include "base/mem.h"
#include "base/str.h"

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used_bytes;  /* handed out since the last reset */
	size_t block_bytes; /* 0: the default */
};

void arena_init(struct arena *a);
/* For an arena that lives long and holds little: its blocks have that size. */
void arena_init_small(struct arena *a, size_t block_bytes);
void arena_reset(struct arena *a);               /* all pointers die; one block is kept for reuse */
void arena_done(struct arena *a);                /* may be called twice */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_calloc(struct arena *a, size_t n, size_t size); /* checks overflow */
char *arena_strdup(struct arena *a, const char *s);
char *arena_slicedup(struct arena *a, struct slice s); /* NUL-terminated copy */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define CLEANUP_ARENA CLEANUP(arena_done)
