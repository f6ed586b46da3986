#include "base/yaml.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <yaml.h>
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"

#define MAX_DEPTH 100u
#define MAX_NUMBER_LEN 64u /* longer digit strings are strings */
#define TAG_PREFIX "tag:yaml.org,2002:"
#define CLEANUP_EVENT CLEANUP(yaml_event_delete)

/* A finished node that aliases may copy, with what a copy costs. */
struct anchor {
	size_t id;     /* a name may be given again, even inside its own node */
	json_t *value; /* NULL while the node is being read */
	size_t nodes, bytes;
	unsigned height;
};

struct reader {
	yaml_parser_t parser;
	struct map anchors; /* name -> struct anchor, of this document */
	size_t last_anchor_id;
	struct err *err;
	size_t nodes, bytes; /* so far, aliases expanded */
	unsigned depth;      /* of the node being read */
	unsigned deepest;    /* seen since the innermost anchor began */
};

static void __attribute__((format(printf, 3, 4)))
fail(struct reader *r, yaml_mark_t mark, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(r->err, ERR_INVALID, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1, text);
}

static int fail_limit(struct reader *r, yaml_mark_t mark, const char *what)
{
	fail(r, mark, "%s", what);
	r->err->code = ERR_LIMIT;
	return -1;
}

static int next_event(struct reader *r, yaml_event_t *ret)
{
	if (yaml_parser_parse(&r->parser, ret))
		return 0;
	const yaml_parser_t *p = &r->parser;
	if (p->error == YAML_MEMORY_ERROR)
		json_must(NULL);
	const char *problem = p->problem ? p->problem : "not YAML";
	if (p->error == YAML_READER_ERROR)
		err_set(r->err, ERR_INVALID, "byte %zu: %s", p->problem_offset, problem);
	else
		fail(r, p->problem_mark, "%s%s%s", problem, p->context ? ", " : "", p->context ? p->context : "");
	return -1;
}

/* Account for what is about to be added to the result. */
static int spend(struct reader *r, yaml_mark_t mark, size_t nodes, size_t bytes, unsigned height)
{
	if (nodes > YAML_MAX_NODES - r->nodes)
		return fail_limit(r, mark, "too many values, aliases expanded");
	if (bytes > YAML_MAX_BYTES - r->bytes)
		return fail_limit(r, mark, "too large, aliases expanded");
	if (height > MAX_DEPTH - r->depth)
		return fail_limit(r, mark, "too deeply nested");
	r->nodes += nodes;
	r->bytes += bytes;
	if (r->deepest < r->depth + height)
		r->deepest = r->depth + height;
	return 0;
}

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

enum number { NUMBER_NONE, NUMBER_INT, NUMBER_REAL, NUMBER_RANGE };

/* The grammar of Go's strconv.ParseInt with base 0: 10, 0x1f, 0o17, 017, 0b11, each with a sign. */
static enum number parse_integer(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	s += *s == '-' || *s == '+';
	int base = 10;
	if (*s == '0' && s[1] != '\0') {
		char c = s[1] | 0x20;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
	}
	if (*s == '\0')
		return NUMBER_NONE;
	int64_t value = 0;
	bool overflow = false;
	for (; *s; s++) {
		char c = *s | 0x20;
		int digit = 99;
		if (*s >= '0' && *s <= '9')
			digit = *s - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		if (digit >= base)
			return NUMBER_NONE;
		overflow = overflow || __builtin_mul_overflow(value, base, &value) ||
		           (negative ? __builtin_sub_overflow(value, digit, &value)
		                     : __builtin_add_overflow(value, digit, &value));
	}
	if (overflow)
		return NUMBER_RANGE;
	*ret = value;
	return NUMBER_INT;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_real(const char *s)
{
	static const char digits[] = "0123456789";
	s += *s == '-' || *s == '+';
	size_t whole = strspn(s, digits);
	s += whole;
	if (*s == '.') {
		size_t fraction = strspn(++s, digits);
		s += fraction;
		if (whole + fraction == 0)
			return false;
	} else if (whole == 0) {
		return false;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		size_t exponent = strspn(s, digits);
		if (exponent == 0)
			return false;
		s += exponent;
	}
	return *s == '\0';
}

static enum number parse_number(const char *s, int64_t *ret_int, double *ret_real)
{
	char plain[MAX_NUMBER_LEN + 1];
	size_t len = 0;
	bool leading_dot = *s == '.';
	if (strlen(s) > MAX_NUMBER_LEN)
		return NUMBER_NONE;
	for (; *s; s++)
		if (*s != '_' || leading_dot)
			plain[len++] = *s;
	plain[len] = '\0';

	enum number kind = leading_dot ? NUMBER_NONE : parse_integer(plain, ret_int);
	if (kind != NUMBER_NONE || !is_real(plain))
		return kind;
	double real = strtod(plain, NULL);
	if (isinf(real))
		return NUMBER_NONE; /* kubectl takes 1e999 for a string */
	/* Go writes a whole number without a point, so the API server sees an integer. */
	if (fabs(real) < 0x1p53 && real == trunc(real)) {
		*ret_int = (int64_t)real;
		return NUMBER_INT;
	}
	*ret_real = real;
	return NUMBER_REAL;
}

/* What a plain scalar means; NULL when it cannot be said in JSON. */
static json_t *resolve(struct reader *r, yaml_mark_t mark, const char *s)
{
	static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const true_words[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
	                                         "True", "TRUE", "on",  "On",  "ON",  NULL};
	static const char *const false_words[] = {"n",     "N",     "no",  "No",  "NO",  "false",
	                                          "False", "FALSE", "off", "Off", "OFF", NULL};
	static const char *const bad_words[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF", "+.inf",
	                                        "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
	if (one_of(s, null_words))
		return json_null();
	if (one_of(s, true_words))
		return json_true();
	if (one_of(s, false_words))
		return json_false();
	if (one_of(s, bad_words)) {
		fail(r, mark, "%s is not a JSON number", s);
		return NULL;
	}
	int64_t n;
	double real;
	if (*s != '\0' && strchr("+-.0123456789", *s) != NULL) {
		switch (parse_number(s, &n, &real)) {
		case NUMBER_NONE:
			break;
		case NUMBER_INT:
			return json_must(json_integer(n));
		case NUMBER_REAL:
			return json_must(json_real(real));
		case NUMBER_RANGE:
			fail(r, mark, "the number %s is out of range", s);
			return NULL;
		}
	}
	return json_must(json_string(s));
}

/* The part of a tag after YAML's own prefix; "" for none; NULL for a foreign one. */
static const char *own_tag(const yaml_char_t *tag)
{
	const char *s = (const char *)tag;
	if (s == NULL)
		return "";
	if (strcmp(s, "!") == 0)
		return "str";
	return str_starts(s, TAG_PREFIX) ? s + strlen(TAG_PREFIX) : NULL;
}

static bool tag_fits(const char *tag, const json_t *v)
{
	if (strcmp(tag, "int") == 0)
		return json_is_integer(v);
	if (strcmp(tag, "float") == 0)
		return json_is_number(v);
	if (strcmp(tag, "bool") == 0)
		return json_is_boolean(v);
	return strcmp(tag, "null") == 0 && json_is_null(v);
}

static json_t *read_scalar(struct reader *r, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	const char *tag = own_tag(ev->data.scalar.tag);
	if (spend(r, ev->start_mark, 1, len, 0) < 0)
		return NULL;
	if (memchr(s, '\0', len) != NULL) {
		fail(r, ev->start_mark, "a string holds a NUL character");
		return NULL;
	}
	if (tag == NULL) {
		fail(r, ev->start_mark, "unknown tag '%s'", (const char *)ev->data.scalar.tag);
		return NULL;
	}
	bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strcmp(tag, "str") == 0 || (*tag == '\0' && !plain))
		return json_must(json_stringn(s, len));
	CLEANUP_JSON json_t *v = resolve(r, ev->start_mark, s);
	if (v != NULL && *tag != '\0' && !tag_fits(tag, v)) {
		fail(r, ev->start_mark, "not a value for the tag !!%s", tag);
		return NULL;
	}
	return STEAL_PTR(v);
}

static json_t *read_node(struct reader *r, const yaml_event_t *ev);

static json_t *read_sequence(struct reader *r)
{
	CLEANUP_JSON json_t *array = json_must(json_array());
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = {0};
		if (next_event(r, &ev) < 0)
			return NULL;
		if (ev.type == YAML_SEQUENCE_END_EVENT)
			return STEAL_PTR(array);
		json_t *item = read_node(r, &ev);
		if (item == NULL)
			return NULL;
		json_append(array, item);
	}
}

/* Is this key the merge key? Quoted, it is a string like any other. */
static bool is_merge(const yaml_event_t *ev)
{
	return ev->type == YAML_SCALAR_EVENT && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       strcmp((const char *)ev->data.scalar.value, "<<") == 0;
}

/* Add to `merged` what it does not have yet: the first mapping of a list wins. */
static int read_merge(struct reader *r, json_t *merged)
{
	CLEANUP_EVENT yaml_event_t ev = {0};
	if (next_event(r, &ev) < 0)
		return -1;
	CLEANUP_JSON json_t *v = read_node(r, &ev);
	if (v == NULL)
		return -1;
	CLEANUP_JSON json_t *list = json_is_array(v) ? json_incref(v) : json_must(json_pack("[O]", v));
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item) {
		if (!json_is_object(item)) {
			fail(r, ev.start_mark, "'<<' needs a mapping or a list of mappings");
			return -1;
		}
		if (json_object_update_missing(merged, item) < 0)
			json_must(NULL);
	}
	return 0;
}

/* JSON has only strings for keys: numbers and booleans are written out, as kubectl does. New; NULL on failure. */
static char *key_text(struct reader *r, yaml_mark_t mark, const json_t *key)
{
	if (json_is_string(key))
		return xstrdup(json_string_value(key));
	if (json_is_boolean(key) || json_is_integer(key))
		return json_compact(key);
	fail(r, mark, "a key must be a string: quote it");
	return NULL;
}

static json_t *read_mapping(struct reader *r)
{
	CLEANUP_JSON json_t *object = json_must(json_object());
	CLEANUP_JSON json_t *merged = json_must(json_object());
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = {0}, value_ev = {0};
		if (next_event(r, &ev) < 0)
			return NULL;
		if (ev.type == YAML_MAPPING_END_EVENT)
			break;
		if (is_merge(&ev)) {
			if (read_merge(r, merged) < 0)
				return NULL;
			continue;
		}
		CLEANUP_JSON json_t *key = read_node(r, &ev);
		CLEANUP_FREE char *name = key ? key_text(r, ev.start_mark, key) : NULL;
		if (name == NULL)
			return NULL;
		if (json_object_get(object, name) != NULL) {
			fail(r, ev.start_mark, "duplicate key '%.128s'", name);
			return NULL;
		}
		if (next_event(r, &value_ev) < 0)
			return NULL;
		json_t *value = read_node(r, &value_ev);
		if (value == NULL)
			return NULL;
		json_set(object, name, value);
	}
	if (json_object_update_missing(object, merged) < 0)
		json_must(NULL);
	return STEAL_PTR(object);
}

static json_t *read_alias(struct reader *r, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct anchor *a = map_get(&r->anchors, name);
	if (a == NULL || a->value == NULL) {
		fail(r, ev->start_mark, a ? "anchor '%.128s' contains itself" : "unknown anchor '%.128s'", name);
		return NULL;
	}
	if (spend(r, ev->start_mark, a->nodes, a->bytes, a->height) < 0)
		return NULL;
	return json_must(json_deep_copy(a->value));
}

static void anchor_free(void *p)
{
	struct anchor *a = p;
	json_decref(a->value);
	free(a);
}

static json_t *read_collection(struct reader *r, const yaml_event_t *ev)
{
	bool sequence = ev->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *tag = sequence ? ev->data.sequence_start.tag : ev->data.mapping_start.tag;
	const char *own = own_tag(tag);
	if (own == NULL || (*own != '\0' && strcmp(own, sequence ? "seq" : "map") != 0)) {
		fail(r, ev->start_mark, "unknown tag '%s'", (const char *)tag);
		return NULL;
	}
	if (spend(r, ev->start_mark, 1, 0, 1) < 0)
		return NULL;
	r->depth++;
	json_t *v = sequence ? read_sequence(r) : read_mapping(r);
	r->depth--;
	return v;
}

/* The node that begins with ev; a new reference, or NULL on failure. */
static json_t *read_node(struct reader *r, const yaml_event_t *ev)
{
	if (ev->type == YAML_ALIAS_EVENT)
		return read_alias(r, ev);
	bool scalar = ev->type == YAML_SCALAR_EVENT;
	const yaml_char_t *name = scalar                                  ? ev->data.scalar.anchor
	                          : ev->type == YAML_SEQUENCE_START_EVENT ? ev->data.sequence_start.anchor
	                                                                  : ev->data.mapping_start.anchor;
	if (name == NULL)
		return scalar ? read_scalar(r, ev) : read_collection(r, ev);

	struct anchor *a = xcalloc(1, sizeof(*a));
	size_t id = ++r->last_anchor_id, nodes = r->nodes, bytes = r->bytes;
	a->id = id;
	a = map_put(&r->anchors, (const char *)name, a);
	if (a != NULL)
		anchor_free(a);
	unsigned deepest = r->deepest;
	r->deepest = r->depth;
	json_t *v = scalar ? read_scalar(r, ev) : read_collection(r, ev);
	if (v == NULL)
		return NULL;
	a = map_get(&r->anchors, (const char *)name);
	if (a->id == id)
		*a = (struct anchor){id, json_incref(v), r->nodes - nodes, r->bytes - bytes, r->deepest - r->depth};
	if (r->deepest < deepest)
		r->deepest = deepest;
	return v;
}

/* The next document, null if there is none: a new reference. NULL on failure. */
static json_t *read_document(struct reader *r, bool *ret_there_is)
{
	*ret_there_is = false;
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = {0};
		if (next_event(r, &ev) < 0)
			return NULL;
		if (ev.type == YAML_STREAM_END_EVENT)
			return json_null();
		if (ev.type == YAML_STREAM_START_EVENT || ev.type == YAML_DOCUMENT_START_EVENT ||
		    ev.type == YAML_DOCUMENT_END_EVENT)
			continue;
		*ret_there_is = true;
		return read_node(r, &ev);
	}
}

static int reader_init(struct reader *r, struct slice text, struct err *err)
{
	*r = (struct reader){.err = err};
	if (text.len > YAML_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "larger than the limit of %u bytes", YAML_MAX_BYTES);
	if (!yaml_parser_initialize(&r->parser))
		json_must(NULL);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
	map_init(&r->anchors);
	return 0;
}

static void reader_done(struct reader *r)
{
	map_done(&r->anchors, anchor_free);
	yaml_parser_delete(&r->parser);
}

json_t *yaml_parse(struct slice text, struct err *err)
{
	struct reader r;
	bool there_is;
	if (reader_init(&r, text, err) < 0)
		return NULL;
	json_t *document = read_document(&r, &there_is);
	reader_done(&r);
	return document;
}

json_t *yaml_parse_all(struct slice text, struct err *err)
{
	CLEANUP_JSON json_t *all = json_must(json_array());
	struct reader r;
	bool there_is = true;
	if (reader_init(&r, text, err) < 0)
		return NULL;
	while (there_is) {
		json_t *document = read_document(&r, &there_is);
		if (document == NULL) {
			reader_done(&r);
			return NULL;
		}
		if (there_is)
			json_append(all, document);
		map_done(&r.anchors, anchor_free); /* each document has its own */
	}
	reader_done(&r);
	return STEAL_PTR(all);
}
