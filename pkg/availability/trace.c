/* Reading a trace. By hand, because an error is to name the line. */
#include "availability/signal.h"
#include "base/jscan.h"
#include "base/mem.h"

#define MAX_PLACES 10000000
#define MAX_GAP_S 86400

struct trace {
	const char *name;
	struct jscan scan;
	int64_t gap_s; /* 0: not seen yet */
	bool *out;     /* NULL: no data yet */
	size_t n, cap;
	struct err *err;
};

static long line_of(const struct trace *t, const char *p)
{
	long line = 1;

	for (const char *c = t->scan.begin; c < p; c++)
		line += *c == '\n';
	return line;
}

static int not_json(struct trace *t)
{
	return err_set(t->err, ERR_INVALID, "%s:%ld: %s", t->name,
	               line_of(t, t->scan.begin + t->scan.error_offset), t->scan.error);
}

static int wrong(struct trace *t, const char *at, const char *what)
{
	return err_set(t->err, ERR_INVALID, "%s:%ld: %s", t->name, line_of(t, at), what);
}

static int read_metadata(struct trace *t)
{
	struct jscan_str key;

	if (jscan_peek(&t->scan) != JSCAN_OBJECT)
		return wrong(t, t->scan.p, "metadata is not an object");
	jscan_object_begin(&t->scan);
	while (jscan_object_next(&t->scan, &key) > 0) {
		if (!jscan_str_eq(key, "gap_seconds")) {
			jscan_skip(&t->scan);
			continue;
		}
		jscan_peek(&t->scan);
		const char *at = t->scan.p;
		if (jscan_i64(&t->scan, &t->gap_s) < 0 || t->gap_s < 1 || t->gap_s > MAX_GAP_S)
			return wrong(t, at, "gap_seconds is not a whole number from 1 to 86400");
	}
	return 0;
}

static int read_place(struct trace *t)
{
	const char *at;
	int64_t count;

	jscan_peek(&t->scan);
	at = t->scan.p;
	if (jscan_i64(&t->scan, &count) < 0 || count < 0)
		return wrong(t, at, "data holds something that is not a number of instances");
	if (t->n == MAX_PLACES)
		return wrong(t, at, "more than 10000000 places in data");
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1024;
		t->out = xreallocarray(t->out, t->cap, sizeof(*t->out));
	}
	t->out[t->n++] = count == 0;
	return 0;
}

static int read_data(struct trace *t)
{
	if (jscan_peek(&t->scan) != JSCAN_ARRAY)
		return wrong(t, t->scan.p, "data is not an array");
	jscan_array_begin(&t->scan);
	t->n = 0;
	while (jscan_array_next(&t->scan) > 0)
		if (read_place(t) < 0)
			return -1;
	return 0;
}

static int read_members(struct trace *t)
{
	struct jscan_str key;

	if (jscan_peek(&t->scan) != JSCAN_OBJECT)
		return wrong(t, t->scan.p, "not a JSON object");
	jscan_object_begin(&t->scan);
	while (jscan_object_next(&t->scan, &key) > 0) {
		if (jscan_str_eq(key, "metadata")) {
			if (read_metadata(t) < 0)
				return -1;
		} else if (jscan_str_eq(key, "data")) {
			if (read_data(t) < 0)
				return -1;
		} else {
			jscan_skip(&t->scan);
		}
	}
	if (jscan_end(&t->scan) < 0)
		return not_json(t);
	if (t->gap_s == 0)
		return wrong(t, t->scan.end, "no metadata.gap_seconds");
	if (t->n == 0)
		return wrong(t, t->scan.end, "no data");
	return 0;
}

int availability_trace_parse(const char *name, struct slice text, struct availability_signal *ret,
                             int64_t *ret_length_s, struct err *err)
{
	struct trace t = {.name = name, .err = err};
	int r;

	jscan_init(&t.scan, text);
	r = read_members(&t);
	for (size_t i = 0; r == 0 && i < t.n; i++)
		if (t.out[i])
			availability_signal_add(ret, (int64_t)i * t.gap_s, (int64_t)(i + 1) * t.gap_s);
	if (r == 0)
		*ret_length_s = (int64_t)t.n * t.gap_s;
	free(t.out);
	return r;
}
