#pragma once
/* A growing byte buffer with a mandatory maximum. Reaching the maximum is sticky: later appends do
 * nothing and buf_failed() tells, so a caller checks once at the end. Always NUL-terminated. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"
#include "base/str.h"

struct buf {
	char *ptr;
	size_t len, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);  /* frees; may be called twice; leaves an initialised, empty buffer */
void buf_clear(struct buf *b); /* empties, keeps the memory, forgets a failure */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_str(struct buf *b, const char *s);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Append with every byte that is not part of well-formed UTF-8 replaced by U+FFFD. */
void buf_add_utf8(struct buf *b, struct slice s);
/* Append as the inside of a JSON string (always valid: see buf_add_utf8) / percent-encoded for a URL query. */
void buf_add_json_escaped(struct buf *b, struct slice s);
void buf_add_url_escaped(struct buf *b, struct slice s);
void buf_consume(struct buf *b, size_t len); /* drop from the front */
void buf_shrink(struct buf *b);              /* give unused memory back when much is unused */
char *buf_steal(struct buf *b);              /* new, NUL-terminated, caller frees; NULL when failed */
static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->ptr ? b->ptr : "", b->len};
}
#define CLEANUP_BUF CLEANUP(buf_done)
