#pragma once
/* One error object for the whole project. The caller owns it, usually on its stack; nothing is
 * allocated on an error path. A function that can fail takes `struct err *err` last and returns 0 or
 * a negative number (or NULL); it fills `err` on failure only. `err` is never NULL. */
#include <stddef.h>
#include <stdint.h>

enum err_code {
	ERR_NONE = 0,
	ERR_INVALID,   /* the input is wrong: a file, a flag, an object, a message */
	ERR_NOT_FOUND, /* a file, a key or an object does not exist */
	ERR_IO,        /* the operating system refused */
	ERR_CONNECT,   /* no connection: nothing of the request can have arrived */
	ERR_TRANSPORT, /* the connection failed after the request may have arrived */
	ERR_TIMEOUT,   /* a deadline passed; the request may have arrived */
	ERR_HTTP,      /* the server answered with a status >= 400, see http_status */
	ERR_LIMIT,     /* a bound was exceeded */
	ERR_CANCELED,  /* the caller gave up */
};

struct err {
	enum err_code code;
	int http_status;        /* ERR_HTTP only, else 0 */
	int64_t retry_after_ms; /* what a Retry-After header asked for, -1 if none */
	char reason[64];        /* the `reason` of a Kubernetes Status, "" if none */
	char message[768]; /* for a person, as str_clean() leaves it; never holds a secret; cut at this size */
};

#define ERR_INIT ((struct err){.code = ERR_NONE, .retry_after_ms = -1})

/* int err_set(struct err *err, enum err_code code, const char *fmt, ...): fill `err` and return -1, so that
 * `return err_set(err, ...)` is one line.
 * int err_prefix(struct err *err, const char *fmt, ...): put "context: " before the message; the code stays.
 * Macros, so that compilers and analysers see the -1. */
#define err_set(err, code, ...) (err_fill(err, code, __VA_ARGS__), err_minus_one())
#define err_prefix(err, ...) (err_fill_prefix(err, __VA_ARGS__), err_minus_one())

void err_fill(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void err_fill_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline int err_minus_one(void)
{
	return -1;
}
