#include "base/json.h"
#include <stdio.h>
#include <string.h>

void json_cleanup_decref(json_t **j)
{
	json_decref(*j);
}

json_t *json_must(json_t *j)
{
	if (j == NULL) {
		fputs("fatal: jansson: out of memory, or a string that is not UTF-8\n", stderr);
		abort();
	}
	return j;
}

json_t *json_parse(struct slice text, struct err *err)
{
	json_error_t e;
	json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (j == NULL) {
		/* jansson quotes the input after "near", and the input may be a secret. */
		char *near = strstr(e.text, " near ");
		if (near)
			*near = '\0';
		err_set(err, ERR_INVALID, "line %d, column %d: %s", e.line, e.column, e.text);
	}
	return j;
}

json_t *json_at_path(const json_t *o, const char *const *keys)
{
	json_t *at = NULL;
	for (; *keys; keys++) {
		at = json_object_get(o, *keys);
		o = at;
	}
	return json_is_null(at) ? NULL : at;
}

static int wrong(const char *path, const char *key, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s%s%s: %s", path, str_empty(path) ? "" : ".", key, what);
}

int json_opt_str(const json_t *o, const char *path, const char *key, const char **ret, struct err *err)
{
	const json_t *v = json_at(o, key, NULL);
	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return wrong(path, key, "must be a string", err);
	if (strlen(json_string_value(v)) != json_string_length(v))
		return wrong(path, key, "must not hold \\u0000", err);
	*ret = json_string_value(v);
	return 0;
}

int json_opt_i32(const json_t *o, const char *path, const char *key, int32_t *ret, struct err *err)
{
	int64_t n = *ret;
	if (json_opt_i64(o, path, key, &n, err) < 0)
		return -1;
	if (n < INT32_MIN || n > INT32_MAX)
		return wrong(path, key, "is out of range", err);
	*ret = (int32_t)n;
	return 0;
}

int json_opt_i64(const json_t *o, const char *path, const char *key, int64_t *ret, struct err *err)
{
	const json_t *v = json_at(o, key, NULL);
	if (v == NULL)
		return 0;
	if (!json_is_integer(v))
		return wrong(path, key, "must be a whole number", err);
	*ret = json_integer_value(v);
	return 0;
}

int json_opt_bool(const json_t *o, const char *path, const char *key, bool *ret, struct err *err)
{
	const json_t *v = json_at(o, key, NULL);
	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return wrong(path, key, "must be true or false", err);
	*ret = json_is_true(v);
	return 0;
}

int json_opt_time(const json_t *o, const char *path, const char *key, struct wall *ret, struct err *err)
{
	const char *text = NULL;
	if (json_opt_str(o, path, key, &text, err) < 0)
		return -1;
	if (text != NULL && wall_parse(slice_from(text), ret, err) < 0)
		return err_prefix(err, "%s%s%s", path, str_empty(path) ? "" : ".", key);
	return 0;
}

int json_opt_object(const json_t *o, const char *path, const char *key, json_t **ret, struct err *err)
{
	json_t *v = json_at(o, key, NULL);
	if (v == NULL)
		return 0;
	if (!json_is_object(v))
		return wrong(path, key, "must be an object", err);
	*ret = v;
	return 0;
}

int json_opt_array(const json_t *o, const char *path, const char *key, json_t **ret, struct err *err)
{
	json_t *v = json_at(o, key, NULL);
	if (v == NULL)
		return 0;
	if (!json_is_array(v))
		return wrong(path, key, "must be an array", err);
	*ret = v;
	return 0;
}

void json_set(json_t *o, const char *key, json_t *v)
{
	if (json_object_set_new(o, key, v) < 0)
		json_must(NULL);
}

void json_append(json_t *array, json_t *v)
{
	if (json_array_append_new(array, v) < 0)
		json_must(NULL);
}

void json_put_str(json_t *o, const char *key, const char *s)
{
	if (s == NULL)
		return;
	json_t *v = json_string(s);
	if (v == NULL) {
		CLEANUP_BUF struct buf b;
		buf_init(&b, SIZE_MAX);
		buf_add_utf8(&b, slice_from(s));
		v = json_must(json_stringn(b.ptr, b.len));
	}
	json_set(o, key, v);
}

void json_put_int(json_t *o, const char *key, int64_t n)
{
	json_set(o, key, json_integer(n));
}

void json_put_bool(json_t *o, const char *key, bool b)
{
	json_set(o, key, json_boolean(b));
}

void json_put_time(json_t *o, const char *key, struct wall t)
{
	if (!wall_is_set(t))
		return;
	char text[WALL_RFC3339_SIZE];
	wall_format(t, text);
	json_put_str(o, key, text);
}

json_t *json_child(json_t *o, const char *key)
{
	json_t *child = json_object_get(o, key);
	if (!json_is_object(child)) {
		child = json_object();
		json_set(o, key, child);
	}
	return child;
}

static char *dump(const json_t *j, size_t flags)
{
	char *s = json_dumps(j, flags | JSON_COMPACT | JSON_ENCODE_ANY);
	if (s == NULL)
		json_must(NULL);
	return s;
}

char *json_canonical(const json_t *j)
{
	return dump(j, JSON_SORT_KEYS);
}

char *json_compact(const json_t *j)
{
	return dump(j, 0);
}
