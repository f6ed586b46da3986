#pragma once
/* Memory: small allocations abort when memory is out (there is nothing sensible to do then), so
 * these never return NULL. Whatever input sizes goes through a bounded buffer or an explicit limit. */
#include <stddef.h>
#include <stdlib.h>

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);                /* checks n * size for overflow */
void *xreallocarray(void *p, size_t n, size_t size); /* checks n * size for overflow */
char *xstrdup(const char *s);                        /* s must not be NULL */
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Cleanup attributes: `CLEANUP_FREE char *s = NULL;` frees s when it leaves scope. */
void mem_cleanup_free(void *pp);
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(mem_cleanup_free)

/* Hand over ownership: yields the pointer and leaves NULL behind. */
#define STEAL_PTR(p)               \
	({                             \
		__typeof__(p) *pp_ = &(p); \
		__typeof__(p) v_ = *pp_;   \
		*pp_ = NULL;               \
		v_;                        \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
