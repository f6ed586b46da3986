#pragma once
/* Rebuilds a jansson tree by walking JSON text with jscan: the differential test and the fuzzer compare it
 * with what jansson makes of the same text. */
#include <jansson.h>
#include <string.h>
#include "base/jscan.h"

/* The next value, a new reference; NULL after an error. */
static inline json_t *jscan_tree_value(struct jscan *s, struct arena *a)
{
	struct jscan_str str;
	struct slice raw;
	int64_t integer;
	bool boolean;
	json_t *v;
	int more;

	switch (jscan_peek(s)) {
	case JSCAN_NULL:
		return jscan_null(s) < 0 ? NULL : json_null();
	case JSCAN_BOOL:
		return jscan_bool(s, &boolean) < 0 ? NULL : json_boolean(boolean);
	case JSCAN_NUMBER: {
		struct jscan before = *s;
		if (jscan_raw(s, &raw) < 0)
			return NULL;
		if (!memchr(raw.ptr, '.', raw.len) && !memchr(raw.ptr, 'e', raw.len) &&
		    !memchr(raw.ptr, 'E', raw.len))
			return jscan_i64(&before, &integer) < 0 ? NULL : json_integer(integer);
		return json_loadb(raw.ptr, raw.len, JSON_DECODE_ANY, NULL);
	}
	case JSCAN_STRING: {
		if (jscan_string(s, &str) < 0)
			return NULL;
		const char *text = jscan_str_dup(str, a);
		return jscan_str_eq(str, text) ? json_string(text) : NULL;
	}
	case JSCAN_OBJECT:
		v = json_object();
		jscan_object_begin(s);
		while ((more = jscan_object_next(s, &str)) > 0) {
			const char *key = jscan_str_dup(str, a);
			if (!jscan_str_eq(str, key) || json_object_set_new(v, key, jscan_tree_value(s, a)) < 0)
				break;
		}
		break;
	case JSCAN_ARRAY:
		v = json_array();
		jscan_array_begin(s);
		while ((more = jscan_array_next(s)) > 0)
			if (json_array_append_new(v, jscan_tree_value(s, a)) < 0)
				break;
		break;
	case JSCAN_BAD:
	default:
		return NULL;
	}
	if (more == 0)
		return v;
	json_decref(v);
	return NULL;
}

/* The whole document, with *ret_scan as it was left. */
static inline json_t *jscan_tree(struct slice text, struct jscan *ret_scan)
{
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	jscan_init(ret_scan, text);
	json_t *v = jscan_tree_value(ret_scan, &a);
	if (jscan_end(ret_scan) == 0)
		return v;
	json_decref(v);
	return NULL;
}

/* Is the document right when nothing of it is looked at? */
static inline bool jscan_tree_skips(struct slice text, struct jscan *ret_scan)
{
	jscan_init(ret_scan, text);
	jscan_skip(ret_scan);
	return jscan_end(ret_scan) == 0;
}
