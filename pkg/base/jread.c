#include "base/jread.h"
#include <string.h>
#include "base/mem.h"
#include "base/quantity.h"

struct reader {
	struct jscan s;
	struct arena *a;
	struct err *err;
};

/* Where the reader is, from the inside out: written down only when there is an error to report. */
struct place {
	const struct place *up;
	struct slice member; /* "" for an element */
	size_t index;
	bool is_key; /* of a map */
};

#define PATH_SIZE 320
#define KEY_SHOWN 64

static size_t path_format(const struct place *at, char *buf, size_t len)
{
	if (!at)
		return len;
	len = path_format(at->up, buf, len);
	int shown = at->member.len > KEY_SHOWN ? KEY_SHOWN : (int)at->member.len;
	char *end = buf + len;
	if (at->is_key)
		str_format(end, PATH_SIZE - len, "[%.*s]", shown, at->member.ptr);
	else if (at->member.len > 0)
		str_format(end, PATH_SIZE - len, "%s%.*s", len > 0 ? "." : "", shown, at->member.ptr);
	else
		str_format(end, PATH_SIZE - len, "[%zu]", at->index);
	return len + strlen(end);
}

/* "path: message", or just the message for the whole document. */
static int fail(struct reader *r, const struct place *at, const char *message)
{
	char path[PATH_SIZE] = "";
	path_format(at, path, 0);
	return err_set(r->err, ERR_INVALID, "%s%s%s", path, *path ? ": " : "", message);
}

static int fail_prefixed(struct reader *r, const struct place *at)
{
	char path[PATH_SIZE] = "";
	path_format(at, path, 0);
	return err_prefix(r->err, "%s", path);
}

/* The next value must be of this kind. */
static int expect(struct reader *r, const struct place *at, enum jscan_kind kind, const char *otherwise)
{
	enum jscan_kind found = jscan_peek(&r->s);
	if (found == JSCAN_BAD)
		return jscan_err(&r->s, r->err);
	return found == kind ? 0 : fail(r, at, otherwise);
}

static void *at_offset(void *base, size_t offset)
{
	return (char *)base + offset;
}

static int read_str(struct reader *r, const struct place *at, const char **ret)
{
	struct jscan_str s;
	if (expect(r, at, JSCAN_STRING, "not a string") < 0)
		return -1;
	if (jscan_string(&r->s, &s) < 0)
		return jscan_err(&r->s, r->err);
	*ret = jscan_str_dup(s, r->a);
	return 0;
}

static int read_i64(struct reader *r, const struct place *at, int64_t min, int64_t max, int64_t *ret)
{
	struct slice text = {NULL, 0};
	if (expect(r, at, JSCAN_NUMBER, "not an integer") < 0)
		return -1;
	if (jscan_raw(&r->s, &text) < 0)
		return jscan_err(&r->s, r->err);
	if (slice_to_i64(text, ret, r->err) < 0)
		return fail(r, at, "not an integer");
	if (*ret < min || *ret > max)
		return fail(r, at, "out of range");
	return 0;
}

/* The text of a string, decoded, or of a number where that is allowed too. */
static int read_text(struct reader *r, const struct place *at, bool number, const char *otherwise,
                     struct slice *ret)
{
	if (number && jscan_peek(&r->s) == JSCAN_NUMBER)
		return jscan_raw(&r->s, ret) < 0 ? jscan_err(&r->s, r->err) : 0;
	struct jscan_str s;
	if (expect(r, at, JSCAN_STRING, otherwise) < 0)
		return -1;
	if (jscan_string(&r->s, &s) < 0)
		return jscan_err(&r->s, r->err);
	*ret = s.escaped ? slice_from(jscan_str_dup(s, r->a)) : s.raw;
	return 0;
}

static int read_time(struct reader *r, const struct place *at, struct wall *ret)
{
	struct slice text = {NULL, 0};
	if (read_text(r, at, false, "not an RFC 3339 time", &text) < 0)
		return -1;
	return wall_parse(text, ret, r->err) < 0 ? fail_prefixed(r, at) : 0;
}

static int read_quantity(struct reader *r, const struct place *at, int64_t *ret)
{
	struct slice text = {NULL, 0};
	if (read_text(r, at, true, "not a quantity", &text) < 0)
		return -1;
	return quantity_parse(text, ret, r->err) < 0 ? fail_prefixed(r, at) : 0;
}

/* An array that grows in the arena; what it outgrew stays there until the arena goes. */
struct list {
	char *elems;
	size_t n, cap, elem_size;
};

static void *list_add(struct list *l, struct arena *a)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		char *bigger = arena_calloc(a, l->cap, l->elem_size);
		if (l->n > 0)
			memcpy(bigger, l->elems, l->n * l->elem_size);
		l->elems = bigger;
	}
	return l->elems + l->elem_size * l->n++;
}

static void list_store(const struct list *l, const struct jfield *f, void *base)
{
	*(void **)at_offset(base, f->offset) = l->elems;
	*(size_t *)at_offset(base, f->count_offset) = l->n;
}

static int read_object(struct reader *r, const struct place *at, const struct jfield *table, void *base);

/* J_ARRAY and J_EACH */
static int read_array(struct reader *r, const struct place *at, const struct jfield *f, void *base)
{
	struct list list = {.elem_size = f->elem_size};
	void *elem = f->type == J_EACH ? arena_alloc(r->a, f->elem_size) : NULL;
	struct place inside = {.up = at};
	int more;

	if (expect(r, at, JSCAN_ARRAY, "not an array") < 0)
		return -1;
	jscan_array_begin(&r->s);
	while ((more = jscan_array_next(&r->s)) > 0) {
		if (f->type == J_ARRAY)
			elem = list_add(&list, r->a);
		else
			memset(elem, 0, f->elem_size);
		if (jscan_peek(&r->s) == JSCAN_NULL)
			jscan_null(&r->s);
		else if (read_object(r, &inside, f->sub, elem) < 0)
			return -1;
		if (f->type == J_EACH)
			f->fold(base, elem);
		inside.index++;
	}
	if (more < 0)
		return jscan_err(&r->s, r->err);
	if (f->type == J_ARRAY)
		list_store(&list, f, base);
	return 0;
}

/* J_MAP and J_QTY_MAP */
static int read_map(struct reader *r, const struct place *at, const struct jfield *f, void *base)
{
	bool quantities = f->type == J_QTY_MAP;
	struct list list = {.elem_size = quantities ? sizeof(struct jqty) : sizeof(struct jkv)};
	struct jscan_str key;
	int more;

	if (expect(r, at, JSCAN_OBJECT, "not an object") < 0)
		return -1;
	jscan_object_begin(&r->s);
	while ((more = jscan_object_next(&r->s, &key)) > 0) {
		struct place inside = {.up = at, .member = key.raw, .is_key = true};
		bool null = jscan_peek(&r->s) == JSCAN_NULL;
		void *elem = list_add(&list, r->a);
		if (null)
			jscan_null(&r->s);
		if (quantities) {
			struct jqty *q = elem;
			q->key = jscan_str_dup(key, r->a);
			if (!null && read_quantity(r, &inside, &q->value) < 0)
				return -1;
		} else {
			struct jkv *kv = elem;
			kv->key = jscan_str_dup(key, r->a);
			kv->value = "";
			if (!null && read_str(r, &inside, &kv->value) < 0)
				return -1;
		}
	}
	if (more < 0)
		return jscan_err(&r->s, r->err);
	list_store(&list, f, base);
	return 0;
}

static int read_member(struct reader *r, const struct place *at, const struct jfield *f, void *base)
{
	void *to = at_offset(base, f->offset);
	int64_t v = 0;

	if (jscan_peek(&r->s) == JSCAN_NULL)
		return jscan_null(&r->s) < 0 ? jscan_err(&r->s, r->err) : 0;
	switch (f->type) {
	case J_STR:
		return read_str(r, at, to);
	case J_BOOL:
		if (expect(r, at, JSCAN_BOOL, "not a boolean") < 0)
			return -1;
		return jscan_bool(&r->s, to) < 0 ? jscan_err(&r->s, r->err) : 0;
	case J_I32:
		if (read_i64(r, at, INT32_MIN, INT32_MAX, &v) < 0)
			return -1;
		*(int32_t *)to = (int32_t)v;
		return 0;
	case J_I64:
		return read_i64(r, at, INT64_MIN, INT64_MAX, to);
	case J_TIME:
		return read_time(r, at, to);
	case J_QTY:
		return read_quantity(r, at, to);
	case J_OBJECT:
		return read_object(r, at, f->sub, base);
	case J_ARRAY:
	case J_EACH:
		return read_array(r, at, f, base);
	case J_MAP:
	case J_QTY_MAP:
		return read_map(r, at, f, base);
	case J_PRESENT:
		*(bool *)to = true;
		break;
	case J_STOP:
		break;
	}
	return jscan_skip(&r->s) < 0 ? jscan_err(&r->s, r->err) : 0;
}

static const struct jfield *find_field(const struct jfield *f, struct jscan_str key)
{
	for (; f->type != J_STOP; f++) {
		if (!f->name)
			continue;
		if (key.escaped ? jscan_str_eq(key, f->name)
		                : strncmp(f->name, key.raw.ptr, key.raw.len) == 0 && f->name[key.raw.len] == '\0')
			return f;
	}
	return NULL;
}

static int read_object(struct reader *r, const struct place *at, const struct jfield *table, void *base)
{
	struct jscan_str key;
	int more;

	if (expect(r, at, JSCAN_OBJECT, "not an object") < 0)
		return -1;
	jscan_object_begin(&r->s);
	while ((more = jscan_object_next(&r->s, &key)) > 0) {
		const struct jfield *f = find_field(table, key);
		if (!f) {
			jscan_skip(&r->s); /* the next call tells of an error */
			continue;
		}
		struct place inside = {.up = at, .member = slice_from(f->name)};
		if (read_member(r, &inside, f, base) < 0)
			return -1;
	}
	return more < 0 ? jscan_err(&r->s, r->err) : 0;
}

int jread(const struct jfield *table, struct slice json, struct arena *a, void *base, struct err *err)
{
	struct reader r = {.a = a, .err = err};
	jscan_init(&r.s, json);
	if (read_object(&r, NULL, table, base) < 0)
		return -1;
	return jscan_end(&r.s) < 0 ? jscan_err(&r.s, err) : 0;
}

/* Packing goes over the table twice in the same way, first without `mem`, to measure. Structs, all of them
 * aligned to 8 bytes, lie at the front of the block, strings behind them. */
struct packer {
	char *mem;
	size_t struct_bytes, string_bytes; /* measured or, the second time, used */
	size_t strings_at;
};

#define ALIGN8(n) (((n) + 7) & ~(size_t)7)

static void *pack_struct(struct packer *k, const void *src, size_t size)
{
	void *dst = NULL;
	if (k->mem) {
		dst = k->mem + k->struct_bytes;
		memcpy(dst, src, size);
	}
	k->struct_bytes += ALIGN8(size);
	return dst;
}

/* Both are members, of the original and, if there is one yet, of the copy. */
static void pack_str(struct packer *k, const char *const *src, const char **dst)
{
	if (!*src)
		return;
	size_t size = strlen(*src) + 1;
	if (k->mem) {
		char *copy = k->mem + k->strings_at + k->string_bytes;
		memcpy(copy, *src, size);
		*dst = copy;
	}
	k->string_bytes += size;
}

static const void *const_at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static void *copy_at(void *base, size_t offset)
{
	return base ? at_offset(base, offset) : NULL;
}

static void pack_table(struct packer *k, const struct jfield *table, const void *src, void *dst);

static void pack_array(struct packer *k, const struct jfield *f, const void *src, void *dst)
{
	static const struct jfield kv[] = {
		{NULL, J_STR, .offset = offsetof(struct jkv, key)},
		{NULL, J_STR, .offset = offsetof(struct jkv, value)},
		{0},
	};
	static const struct jfield qty[] = {{NULL, J_STR, .offset = offsetof(struct jqty, key)}, {0}};
	const struct jfield *sub = f->sub;
	size_t size = f->elem_size;
	if (f->type == J_MAP) {
		sub = kv;
		size = sizeof(struct jkv);
	} else if (f->type == J_QTY_MAP) {
		sub = qty;
		size = sizeof(struct jqty);
	}

	const void *elems = *(const void *const *)const_at(src, f->offset);
	size_t n = *(const size_t *)const_at(src, f->count_offset);
	void *copy = n > 0 ? pack_struct(k, elems, n * size) : NULL;
	if (dst)
		*(void **)at_offset(dst, f->offset) = copy;
	for (size_t i = 0; i < n; i++)
		pack_table(k, sub, const_at(elems, i * size), copy_at(copy, i * size));
}

static void pack_table(struct packer *k, const struct jfield *table, const void *src, void *dst)
{
	for (const struct jfield *f = table; f->type != J_STOP; f++) {
		switch (f->type) {
		case J_STR:
			pack_str(k, const_at(src, f->offset), copy_at(dst, f->offset));
			break;
		case J_OBJECT:
			pack_table(k, f->sub, src, dst);
			break;
		case J_ARRAY:
		case J_MAP:
		case J_QTY_MAP:
			pack_array(k, f, src, dst);
			break;
		case J_STOP:
		case J_BOOL:
		case J_I32:
		case J_I64:
		case J_TIME:
		case J_QTY:
		case J_EACH:
		case J_PRESENT:
			break;
		}
	}
}

void *jread_pack(const struct jfield *table, const void *base, size_t size)
{
	struct packer k = {0};
	pack_struct(&k, base, size);
	pack_table(&k, table, base, NULL);

	k = (struct packer){.mem = xmalloc(k.struct_bytes + k.string_bytes), .strings_at = k.struct_bytes};
	void *copy = pack_struct(&k, base, size);
	pack_table(&k, table, base, copy);
	return copy;
}
