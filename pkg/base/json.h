#pragma once
/* jansson, with paths: reading our own kinds and building what we send. */
#include <jansson.h>
#include <stdbool.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

void json_cleanup_decref(json_t **j);
#define CLEANUP_JSON CLEANUP(json_cleanup_decref)

/* Passes j on; aborts when it is NULL, which from jansson's constructors means out of memory. */
json_t *json_must(json_t *j);

/* An object or array, without duplicate keys. A new reference, or NULL with a message that has line and column,
 * and nothing of the text. */
json_t *json_parse(struct slice text, struct err *err);

/* Borrowed; NULL when any part is missing or null. Path members in order, ended by NULL: json_at(o, "spec", "x", NULL). */
#define json_at(o, ...) json_at_path(o, (const char *const[]){__VA_ARGS__, NULL})
json_t *json_at_path(const json_t *o, const char *const *keys);

/* Optional members: absent or null leaves *ret alone and returns 0; a wrong type fails, naming `path`.`key`.
 * Strings, objects and arrays are borrowed. */
int json_opt_str(const json_t *o, const char *path, const char *key, const char **ret, struct err *err);
int json_opt_i32(const json_t *o, const char *path, const char *key, int32_t *ret, struct err *err);
int json_opt_i64(const json_t *o, const char *path, const char *key, int64_t *ret, struct err *err);
int json_opt_bool(const json_t *o, const char *path, const char *key, bool *ret, struct err *err);
int json_opt_time(const json_t *o, const char *path, const char *key, struct wall *ret, struct err *err);
int json_opt_object(const json_t *o, const char *path, const char *key, json_t **ret, struct err *err);
int json_opt_array(const json_t *o, const char *path, const char *key, json_t **ret, struct err *err);

/* Setters for building; abort on out-of-memory. json_set steals v. json_put_str with NULL does nothing; bytes that
 * are not UTF-8 become U+FFFD. */
void json_set(json_t *o, const char *key, json_t *v);
void json_append(json_t *array, json_t *v); /* steals v; aborts on NULL, too */
void json_put_str(json_t *o, const char *key, const char *s);
void json_put_int(json_t *o, const char *key, int64_t n);
void json_put_bool(json_t *o, const char *key, bool b);
void json_put_time(json_t *o, const char *key, struct wall t); /* nothing when not set */
/* The object at key, made when missing. Borrowed. */
json_t *json_child(json_t *o, const char *key);

/* Sorted keys, no spaces: the same value gives the same bytes. New; caller frees. */
char *json_canonical(const json_t *j);
char *json_compact(const json_t *j); /* insertion order, no spaces; new */
