#pragma once
/* A pull scanner over JSON text that lies in memory as a whole (RFC 8259). It allocates nothing and never
 * reads past the end. What it skips is checked as strictly as what it reads, so that it accepts exactly the
 * documents that jansson accepts (the differential test and the fuzzer hold it to that), with three
 * exceptions: any value may be the document; the depth ends at JSCAN_MAX_DEPTH, not at jansson's 2048; and
 * jansson overlooks a NUL byte right after a number or a literal.
 * Refused are thus lone surrogates, invalid UTF-8, integers beyond int64, reals beyond a double; and \u0000 in
 * keys and in strings that are read. In a string that is skipped it may stand (JSON_ALLOW_NUL of jansson): an
 * annotation that nobody looks at must not hide an object.
 *
 *	struct jscan s;
 *	jscan_init(&s, text);
 *	if (jscan_object_begin(&s) == 0)
 *		while (jscan_object_next(&s, &key) > 0)
 *			if (jscan_str_eq(key, "name")) jscan_string(&s, &name); else jscan_skip(&s);
 *	if (jscan_end(&s) < 0) ...
 *
 * Errors are sticky: after one, every call fails at once; check at the end. */
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define JSCAN_MAX_DEPTH 512

enum jscan_kind { JSCAN_NULL, JSCAN_BOOL, JSCAN_NUMBER, JSCAN_STRING, JSCAN_OBJECT, JSCAN_ARRAY, JSCAN_BAD };

/* A string as it stands between its quotes. */
struct jscan_str {
	struct slice raw;
	bool escaped; /* raw holds backslash escapes */
};

struct jscan {
	const char *begin, *p, *end;
	const char *error;   /* static text, NULL while all is well */
	size_t error_offset; /* where, in bytes */
	unsigned depth;
	const char *nul; /* where the last string had a \u0000, NULL if it had none */
	bool opened;     /* a container has just been opened: no comma before its first element */
};

void jscan_init(struct jscan *s, struct slice text);
enum jscan_kind jscan_peek(struct jscan *s); /* kind of the next value; consumes only white space */
int jscan_object_begin(struct jscan *s);
/* 1: a key, its value follows; 0: closed; -1 */
int jscan_object_next(struct jscan *s, struct jscan_str *ret_key);
int jscan_array_begin(struct jscan *s);
int jscan_array_next(struct jscan *s); /* 1: a value follows; 0: closed; -1 */
int jscan_string(struct jscan *s, struct jscan_str *ret);
int jscan_i64(struct jscan *s, int64_t *ret); /* a fraction or an exponent is an error, as jansson has it */
int jscan_bool(struct jscan *s, bool *ret);
int jscan_null(struct jscan *s);
int jscan_skip(struct jscan *s);                   /* the next value, whatever it is */
int jscan_raw(struct jscan *s, struct slice *ret); /* the same, and where it stood */
int jscan_end(struct jscan *s);                    /* nothing may follow; -1 after any error, too */
static inline bool jscan_failed(const struct jscan *s)
{
	return s->error != NULL;
}
/* NUL-terminated copy with escapes decoded. */
char *jscan_str_dup(struct jscan_str s, struct arena *a);
bool jscan_str_eq(struct jscan_str s, const char *plain); /* compares decoded; does not allocate */
int jscan_err(const struct jscan *s, struct err *err);    /* fills err from the sticky error; returns -1 */
