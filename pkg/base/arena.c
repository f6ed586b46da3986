#include "base/arena.h"
#include <sanitizer/asan_interface.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Most arenas hold a few KiB. What is larger than a block gets a block of its own. */
#define BLOCK_BYTES 16384u
#define ALIGN alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_init_small(struct arena *a, size_t block_bytes)
{
	*a = (struct arena){.block_bytes = block_bytes};
}

static size_t block_bytes(const struct arena *a)
{
	return a->block_bytes ? a->block_bytes : BLOCK_BYTES;
}

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;
		ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
		free(b);
		b = next;
	}
}

void arena_reset(struct arena *a)
{
	a->used_bytes = 0;
	struct arena_block *keep = a->head;
	if (keep == NULL)
		return;
	free_blocks(STEAL_PTR(keep->next));
	if (keep->size > block_bytes(a)) {
		free_blocks(STEAL_PTR(a->head));
		return;
	}
	ASAN_POISON_MEMORY_REGION(keep->data, keep->size);
	keep->used = 0;
}

void arena_done(struct arena *a)
{
	free_blocks(STEAL_PTR(a->head));
	a->used_bytes = 0;
}

static struct arena_block *add_block(struct arena *a, size_t size)
{
	struct arena_block *b = xmalloc(sizeof(*b) + size);
	ASAN_POISON_MEMORY_REGION(b->data, size);
	*b = (struct arena_block){.size = size};
	/* A large one goes behind the head, which stays in use for small things. */
	struct arena_block **at = a->head && size > block_bytes(a) ? &a->head->next : &a->head;
	b->next = *at;
	*at = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	if (size == 0)
		size = 1;
	if (size > SIZE_MAX / 2)
		return xmalloc(size); /* aborts */
	size_t rounded = (size + ALIGN - 1) & ~(ALIGN - 1);
	struct arena_block *b = a->head;
	if (b == NULL || b->size - b->used < rounded)
		b = add_block(a, rounded > block_bytes(a) ? rounded : block_bytes(a));
	char *p = b->data + b->used;
	b->used += rounded;
	a->used_bytes += rounded;
	/* The rounding stays poisoned, so that AddressSanitizer sees an overrun. */
	ASAN_UNPOISON_MEMORY_REGION(p, size);
	memset(p, 0, size);
	return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	return arena_alloc(a, bytes);
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_slicedup(a, slice_from(s));
}

char *arena_slicedup(struct arena *a, struct slice s)
{
	char *copy = arena_alloc(a, s.len + 1);
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	size_t size = n < 0 ? 1 : (size_t)n + 1;
	char *s = arena_alloc(a, size);
	va_start(ap, fmt);
	vsnprintf(s, size, fmt, ap);
	va_end(ap);
	return s;
}
