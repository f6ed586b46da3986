#include "sim/tell.h"
#include <inttypes.h>
#include "base/json.h"
#include "sim/acts.h"

#define MAX_BODY 160

static void begin(FILE *out, int64_t ms)
{
	fprintf(out, "%4" PRId64 ".%03d ", ms / MS_PER_S, (int)(ms % MS_PER_S));
}

void tell_line(FILE *out, int64_t ms, const char *fmt, ...)
{
	va_list ap;

	if (!out)
		return;
	begin(out, ms);
	va_start(ap, fmt);
	vfprintf(out, fmt, ap);
	va_end(ap);
	fputc('\n', out);
}

void tell_act(FILE *out, int64_t ms, const struct story *s, const struct story_act *a)
{
	if (!out)
		return;
	begin(out, ms);
	fputs("* ", out);
	story_write_act(s, a, out);
	fputc('\n', out);
}

static const char *text_at(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_at(o, key));

	return text ? text : "";
}

static json_int_t number_at(const json_t *o, const char *key)
{
	return json_integer_value(json_at(o, key));
}

/* ": Creating 1/3, p5 1/1 Ready, g6 0/2 Waiting StockOut" */
static void tell_status(FILE *out, const json_t *status)
{
	const json_t *pool;
	size_t i;

	fprintf(out, ": %s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, text_at(status, "phase"),
	        number_at(status, "currentInstanceCount"), number_at(status, "desiredInstanceCount"));
	json_array_foreach(json_at(status, "instancePools"), i, pool) {
		fprintf(out, ", %s %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT " %s", text_at(pool, "name"),
		        number_at(pool, "currentInstanceCount"), number_at(pool, "desiredInstanceCount"),
		        text_at(pool, "state"));
		if (*text_at(pool, "reason"))
			fprintf(out, " %s", text_at(pool, "reason"));
	}
}

static const json_t *operation(const json_t *patch, const char *op, const char *path)
{
	const json_t *o;
	size_t i;

	json_array_foreach(patch, i, o)
		if (str_eq(text_at(o, "op"), op) && str_eq(text_at(o, "path"), path))
			return json_object_get(o, "value");
	return NULL;
}

static void tell_body(FILE *out, const json_t *body)
{
	CLEANUP_FREE char *text = json_compact(body);
	size_t len = strlen(text);

	fprintf(out, ": %.*s%s", MAX_BODY, text, len > MAX_BODY ? "..." : "");
}

/* What the write is about, in a few words; of any other the beginning of the body. */
static void tell_what(FILE *out, const struct api_request *r, const json_t *body)
{
	const json_t *from = operation(body, "test", "/spec/replicas");
	const json_t *to = operation(body, "replace", "/spec/replicas");

	if (from && to)
		fprintf(out, ": replicas %" JSON_INTEGER_FORMAT " -> %" JSON_INTEGER_FORMAT, json_integer_value(from),
		        json_integer_value(to));
	else if (r->kind == API_DEPLOYMENT && json_at(body, "spec", "replicas"))
		fprintf(out, ": replicas %" JSON_INTEGER_FORMAT,
		        json_integer_value(json_at(body, "spec", "replicas")));
	else if (r->kind == API_ENDPOINT && str_eq(r->subresource, "status"))
		tell_status(out, json_at(body, "status"));
	else if (body && r->kind != API_SERVICE && r->kind != API_BUDGET)
		tell_body(out, body);
}

void tell_write(FILE *out, int64_t ms, const char *who, const struct api_request *r, int status)
{
	struct err ignored = ERR_INIT;
	CLEANUP_JSON json_t *body = NULL;

	if (!out)
		return;
	if (r->body.len > 0)
		body = json_parse(r->body, &ignored);
	begin(out, ms);
	fprintf(out, "%s %s %s%s%s%s%s", who, r->method, api_plural(r->kind), *r->name ? " " : "", r->name,
	        *r->subresource ? "/" : "", r->subresource);
	tell_what(out, r, body);
	if (status >= 400)
		fprintf(out, " (%d)", status);
	fputc('\n', out);
}

void tell_event(FILE *out, int64_t ms, const json_t *event)
{
	tell_line(out, ms, "  %s: %s: %s", text_at(json_at(event, "involvedObject"), "name"),
	          text_at(event, "reason"), text_at(event, "message"));
}
