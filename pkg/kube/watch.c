#include "kube/watch.h"
#include "kube/client.h"

/* A resourceVersion is opaque, but not a place to send megabytes. */
#define WATCH_MAX_RV_BYTES 256u

void watch_decoder_init(struct watch_decoder *d)
{
	buf_init(&d->line, WATCH_MAX_LINE_BYTES);
	buf_init(&d->rv, WATCH_MAX_RV_BYTES);
}

void watch_decoder_done(struct watch_decoder *d)
{
	buf_done(&d->line);
	buf_done(&d->rv);
}

void watch_decoder_reset(struct watch_decoder *d)
{
	buf_clear(&d->line);
	buf_shrink(&d->line);
}

static bool type_from_name(struct jscan_str name, enum watch_event_type *ret)
{
	static const char *const names[] = {
		[WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
		[WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
	};
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (jscan_str_eq(name, names[i])) {
			*ret = (enum watch_event_type)i;
			return true;
		}
	}
	return false;
}

static void copy_decoded(struct jscan_str s, struct buf *out)
{
	if (!s.escaped) {
		buf_add_slice(out, s.raw);
		return;
	}
	CLEANUP_ARENA struct arena arena;
	arena_init(&arena);
	buf_add_str(out, jscan_str_dup(s, &arena));
}

static bool has_initial_events_end(struct jscan *s)
{
	struct jscan_str key, value;
	bool found = false;
	if (jscan_peek(s) != JSCAN_OBJECT) {
		jscan_skip(s);
		return false;
	}
	jscan_object_begin(s);
	while (jscan_object_next(s, &key) > 0) {
		if (jscan_str_eq(key, "k8s.io/initial-events-end") && jscan_peek(s) == JSCAN_STRING)
			found = jscan_string(s, &value) == 0 && jscan_str_eq(value, "true");
		else
			jscan_skip(s);
	}
	return found;
}

/* `s` stands before the value of "metadata". Servers write the version before the long members, so that
 * for an object the rest need not be looked at. */
static void read_metadata(struct jscan *s, struct watch_event *e, struct buf *rv)
{
	struct jscan_str key, value;
	if (jscan_peek(s) != JSCAN_OBJECT)
		return;
	jscan_object_begin(s);
	while (jscan_object_next(s, &key) > 0) {
		if (jscan_str_eq(key, "resourceVersion") && jscan_peek(s) == JSCAN_STRING) {
			if (jscan_string(s, &value) == 0)
				copy_decoded(value, rv);
			if (e->type != WATCH_BOOKMARK)
				return;
		} else if (e->type == WATCH_BOOKMARK && jscan_str_eq(key, "annotations")) {
			e->initial_events_end = has_initial_events_end(s);
		} else {
			jscan_skip(s);
		}
	}
}

static void read_object(struct watch_decoder *d, struct watch_event *e)
{
	struct jscan s;
	struct jscan_str key;
	jscan_init(&s, e->object);
	jscan_object_begin(&s);
	while (jscan_object_next(&s, &key) > 0) {
		if (jscan_str_eq(key, "metadata")) {
			read_metadata(&s, e, &d->rv);
			break;
		}
		jscan_skip(&s);
	}
	if (buf_failed(&d->rv))
		buf_clear(&d->rv);
	e->resource_version = d->rv.ptr ? d->rv.ptr : "";
}

/* The end of the object that starts at p, by its brackets and quotes alone; NULL if it has none. */
static const char *brackets_end(const char *p, const char *end)
{
	size_t depth = 0;
	bool quoted = false;
	for (; p < end; p++) {
		if (quoted && *p == '\\' && end - p > 1)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && --depth == 0)
			return p + 1;
	}
	return NULL;
}

int watch_raw_object(struct jscan *s, struct slice *ret)
{
	enum jscan_kind kind = jscan_peek(s);
	struct jscan before = *s;
	if (jscan_raw(s, ret) == 0)
		return kind == JSCAN_OBJECT ? 0 : -1;
	const char *end = kind == JSCAN_OBJECT ? brackets_end(before.p, before.end) : NULL;
	if (!end)
		return -1;
	*ret = (struct slice){before.p, (size_t)(end - before.p)};
	*s = before;
	s->p = end;
	return 0;
}

static int decode_line(struct watch_decoder *d, struct slice line, watch_event_fn *fn, void *arg,
                       struct err *err)
{
	struct watch_event e = {.resource_version = "", .status = ERR_INIT};
	struct jscan s;
	struct jscan_str key, type = {{"", 0}, false};
	bool has_object = false;
	jscan_init(&s, line);
	if (jscan_object_begin(&s) == 0) {
		while (jscan_object_next(&s, &key) > 0) {
			if (jscan_str_eq(key, "type"))
				jscan_string(&s, &type);
			else if (jscan_str_eq(key, "object"))
				has_object = watch_raw_object(&s, &e.object) == 0;
			else
				jscan_skip(&s);
		}
	}
	jscan_end(&s);
	if (jscan_failed(&s)) {
		jscan_err(&s, err);
		return err_prefix(err, "a line of the watch is no event");
	}
	if (!type_from_name(type, &e.type))
		return err_set(err, ERR_INVALID, "a line of the watch is no event: its type is '%.*s'",
		               (int)(type.raw.len > 32 ? 32 : type.raw.len), type.raw.ptr);
	if (!has_object)
		return err_set(err, ERR_INVALID, "a line of the watch is no event: it has no object");

	buf_clear(&d->rv);
	if (e.type == WATCH_ERROR)
		kube_status_to_err(0, -1, e.object, &e.status);
	else
		read_object(d, &e);
	return fn(arg, &e, err);
}

static int too_long(struct err *err)
{
	return err_set(err, ERR_LIMIT, "a line of the watch is longer than %u bytes", WATCH_MAX_LINE_BYTES);
}

int watch_decoder_feed(struct watch_decoder *d, struct slice bytes, watch_event_fn *fn, void *arg,
                       struct err *err)
{
	int r = 0;
	while (r == 0 && bytes.len > 0) {
		const char *nl = memchr(bytes.ptr, '\n', bytes.len);
		struct slice part = {bytes.ptr, nl ? (size_t)(nl - bytes.ptr) : bytes.len};
		size_t used = part.len + (nl != NULL);
		/* A line that lies whole in the input is read where it is. */
		bool whole = nl && d->line.len == 0;
		if (!whole)
			buf_add_slice(&d->line, part);
		if (buf_failed(&d->line) || part.len > WATCH_MAX_LINE_BYTES) {
			r = too_long(err);
		} else if (nl) {
			struct slice line = slice_trim(whole ? part : buf_slice(&d->line));
			if (line.len > 0)
				r = decode_line(d, line, fn, arg, err);
		}
		if (nl)
			buf_clear(&d->line);
		bytes = (struct slice){bytes.ptr + used, bytes.len - used};
	}
	if (r < 0)
		buf_clear(&d->line);
	buf_shrink(&d->line);
	return r;
}
