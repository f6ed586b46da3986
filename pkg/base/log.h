#pragma once
/* Structured log lines on standard error: a constant message and typed keys; JSON (default) or text. Library code
 * does not log: it returns errors, and the reconcile boundary logs once. Secrets are never logged.
 *
 *	LOG_INFO("pool asked for instances", LOG_STR("endpoint", key), LOG_INT("instances", 4));
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
enum log_type { LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_BOOL, LOG_TYPE_ERR };

struct log_field {
	const char *key;
	enum log_type type;
	union {
		const char *s;
		int64_t i;
		const struct err *err; /* printed as key=message, plus httpStatus and reason where set */
	};
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_STR, .s = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_INT, .i = (v)})
#define LOG_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_TYPE_BOOL, .i = (v)})
#define LOG_ERR(e) ((struct log_field){.key = "error", .type = LOG_TYPE_ERR, .err = (e)})

void log_setup(enum log_level min, enum log_format format); /* once, at start; default info, JSON */
int log_level_parse(const char *s, enum log_level *ret, struct err *err);   /* debug info warn error */
int log_format_parse(const char *s, enum log_format *ret, struct err *err); /* json text */
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t n);
/* The line as it would be written, without the time: for tests. `out` gets a trailing newline. */
void log_write_to(FILE *out, enum log_format format, enum log_level level, const char *message,
                  const struct log_field *fields, size_t n);

#define LOG_AT(level, msg, ...)                                                           \
	do {                                                                                  \
		if (log_enabled(level)) {                                                         \
			const struct log_field fields_[] = {{0}, ##__VA_ARGS__};                      \
			log_write(level, msg, fields_ + 1, sizeof(fields_) / sizeof(fields_[0]) - 1); \
		}                                                                                 \
	} while (0)
#define LOG_DEBUG(msg, ...) LOG_AT(LOG_LEVEL_DEBUG, msg, ##__VA_ARGS__)
#define LOG_INFO(msg, ...) LOG_AT(LOG_LEVEL_INFO, msg, ##__VA_ARGS__)
#define LOG_WARN(msg, ...) LOG_AT(LOG_LEVEL_WARN, msg, ##__VA_ARGS__)
#define LOG_ERROR(msg, ...) LOG_AT(LOG_LEVEL_ERROR, msg, ##__VA_ARGS__)
