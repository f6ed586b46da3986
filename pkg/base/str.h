#pragma once
/* Strings: a `struct slice` is bytes that are borrowed and need not end in NUL. Passed by value. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_from(const char *s)
{
	return (struct slice){s, s ? strlen(s) : 0};
}
static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool slice_eq_str(struct slice a, const char *s)
{
	return slice_eq(a, slice_from(s));
}
/* NULL and "" are the same to these two. */
static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}
static inline bool str_empty(const char *s)
{
	return s == NULL || *s == '\0';
}
bool str_starts(const char *s, const char *prefix);
/* Without its first n bytes, n <= s.len. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
	return (struct slice){s.ptr + n, s.len - n};
}
bool slice_starts(struct slice s, const char *prefix);
bool slice_contains(struct slice hay, const char *needle);
/* The part before the first `sep` (all of it when there is none); *rest is what follows, empty at the end. */
struct slice slice_split(struct slice s, char sep, struct slice *ret_rest);
struct slice slice_trim(struct slice s); /* white space at both ends */

/* The whole slice as a decimal number: no sign but '-', no spaces, no overflow. */
int slice_to_i64(struct slice s, int64_t *ret, struct err *err);

/* Bytes of the well-formed UTF-8 sequence at the front of s (RFC 3629); 0 when there is none. */
size_t utf8_sequence(struct slice s);
/* The length of s without a UTF-8 sequence that its end cuts in two. */
size_t utf8_cut(struct slice s);

/* snprintf into a fixed buffer that is always terminated; returns false when the text was cut, which never
 * happens inside a UTF-8 sequence. */
bool str_format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool str_vformat(char *buf, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* Copy with the same rule. */
bool str_copy(char *buf, size_t size, const char *s);
/* In place: what could steer a terminal or break a line becomes blanks, one for each byte: control characters (also
 * those beyond ASCII), line separators and what turns the direction of writing. Bytes that are not UTF-8 become '?'.
 * For text of the API that is printed; a struct err's message has been through it. */
void str_clean(char *s);

/* How many letters must be changed, added or left out to make the one of the other: for names that were misspelt. Of what is
 * longer than 253 bytes the rest is not looked at. */
size_t name_distance(const char *a, const char *b);
