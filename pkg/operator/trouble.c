/* Which failures are worth a line, and its words. */
#include "operator/trouble.h"
#include "api/names.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

/* Known at a time: one for each watch, were each kind refused in each namespace (CONTROLLER_MAX_NAMESPACES). */
#define MAX_CAUSES 512u
#define AGAIN_MS (60 * MS_PER_S)
#define WELL_MS (10 * MS_PER_S)
#define MAX_FIELDS 4
#define SOURCE_WRITES "writes"
#define SOURCE_SCHEMA "schema"
#define SOURCE_EVENTS "our events" /* "events" is a watch */

struct cause {
	uint64_t key;    /* 0: none */
	uint64_t source; /* hash of its name */
	struct mono since, seen, told_at, ended;
	bool open;     /* seen since the last success */
	bool told;     /* and told since then */
	bool was_told; /* at told_at; forgotten once all was well for a while */
};

struct trouble {
	struct cause causes[MAX_CAUSES];
};

struct trouble *trouble_new(void)
{
	return xcalloc(1, sizeof(struct trouble));
}

void trouble_free(struct trouble *t)
{
	free(t);
}

/* The verb, resource and API group that we have no right to, in the words of the API server's authorizer and without the
 * name and the namespace. Empty: it is not about rights. */
static struct slice missing_right(const struct err *err)
{
	static const char *const ends[] = {"\" in the namespace ", "\" at the cluster scope"};
	const char *begin = err->http_status == 403 ? strstr(err->message, "\" cannot ") : NULL;
	struct slice right = {begin, begin ? strlen(begin) : 0};

	for (size_t i = 0; begin && i < ARRAY_LEN(ends); i++) {
		const char *end = strstr(begin, ends[i]);

		if (end)
			right.len = (size_t)(end - begin);
	}
	return right;
}

bool trouble_is_right(const struct err *err)
{
	return missing_right(err).len > 0;
}

/* The message without what differs from request to request: the path (before the first colon, where there was no
 * answer), and numbers. */
static uint64_t cause_key(const char *source, const struct err *err)
{
	struct slice text = missing_right(err);
	const char *colon = err->http_status ? NULL : strstr(err->message, ": ");
	uint64_t key = hash64_str(HASH64_INIT, source);

	if (text.len == 0)
		text = slice_from(colon ? colon : err->message);
	key = hash64(key, (struct slice){(const char *)&err->code, sizeof(err->code)});
	key = hash64(key, (struct slice){(const char *)&err->http_status, sizeof(err->http_status)});
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			key = hash64(key, (struct slice){text.ptr + i, 1});
	return key ? key : 1;
}

static struct cause *find(struct trouble *t, uint64_t key)
{
	struct cause *oldest = &t->causes[0];

	for (size_t i = 0; i < MAX_CAUSES; i++) {
		if (t->causes[i].key == key)
			return &t->causes[i];
		if (t->causes[i].seen.ms < oldest->seen.ms)
			oldest = &t->causes[i];
	}
	*oldest = (struct cause){.key = key};
	return oldest;
}

static bool may_pass(const struct err *err)
{
	return err->code == ERR_TRANSPORT || err->http_status == 403 || err->http_status == 429 ||
	       err->http_status >= 500;
}

bool trouble_note(struct trouble *t, const char *source, const struct err *err, struct mono now,
                  int64_t *ret_lasted_ms)
{
	struct cause *c = find(t, cause_key(source, err));

	if (!c->open) {
		c->since = now;
		c->told = false;
		c->was_told = c->was_told && now.ms - c->ended.ms < WELL_MS;
	}
	c->source = hash64_str(HASH64_INIT, source);
	c->open = true;
	c->seen = now;
	*ret_lasted_ms = now.ms - c->since.ms;
	if (c->was_told && now.ms - c->told_at.ms < AGAIN_MS)
		return false;
	/* An Event is not written again: it is lost. */
	if (may_pass(err) && !str_eq(source, SOURCE_EVENTS) && *ret_lasted_ms < TROUBLE_PASSING_MS)
		return false;
	c->told = c->was_told = true;
	c->told_at = now;
	return true;
}

bool trouble_end(struct trouble *t, const char *source, struct mono now, int64_t *ret_lasted_ms)
{
	uint64_t hash = hash64_str(HASH64_INIT, source);
	bool news = false;

	*ret_lasted_ms = 0;
	for (size_t i = 0; i < MAX_CAUSES; i++) {
		struct cause *c = &t->causes[i];

		if (c->key == 0 || c->source != hash || !c->open)
			continue;
		c->open = false;
		c->ended = now;
		if (!c->told)
			continue;
		news = true;
		if (now.ms - c->since.ms > *ret_lasted_ms)
			*ret_lasted_ms = now.ms - c->since.ms;
	}
	return news;
}

const char *trouble_source(const struct kube_resource *r, const struct err *err)
{
	bool of_server = err->code == ERR_HTTP
	                     ? err->http_status == 401 || err->http_status == 429 || err->http_status >= 500
	                     : err->code != ERR_INVALID && err->code != ERR_LIMIT;

	return of_server ? "" : r->plural;
}

void trouble_hint(const struct kube_resource *r, const struct err *err, char buf[static TROUBLE_HINT_SIZE])
{
	buf[0] = '\0';
	if (trouble_is_right(err))
		str_format(
			buf, TROUBLE_HINT_SIZE,
			"grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm release%s",
			r && str_eq(r->plural, "nodes") ? ", or do without: --watch-nodes=false" : "");
	else if (r && err->http_status == 404 && str_eq(r->group, API_GROUP))
		str_format(buf, TROUBLE_HINT_SIZE,
		           "CustomResourceDefinition %s.%s is not installed: kubectl apply -f crds/", r->plural,
		           r->group);
}

/* The fields, then how long it has been so and what to do, as far as there is something to say. */
static void tell(enum log_level level, const char *message, const struct log_field *fields, size_t n,
                 int64_t lasted_ms, const char *hint)
{
	char lasted[DURATION_TEXT_SIZE];
	struct log_field all[MAX_FIELDS + 2];

	if (!log_enabled(level))
		return;
	if (n > 0)
		memcpy(all, fields, n * sizeof(*fields));
	if (lasted_ms >= MS_PER_S) {
		duration_format(lasted_ms, lasted);
		all[n++] = LOG_STR("for", lasted);
	}
	if (*hint)
		all[n++] = LOG_STR("hint", hint);
	log_write(level, message, all, n);
}

#define WATCH_NAME_SIZE 320

static void name_watch(const struct kube_resource *r, const char *ns, char buf[static WATCH_NAME_SIZE])
{
	str_format(buf, WATCH_NAME_SIZE, "%s%s%s", r->plural, ns ? "/" : "", ns ? ns : "");
}

/* Returns how many fields name the watch: resource, and namespace where it has one. */
static size_t watch_fields(const struct kube_resource *r, const char *ns, struct log_field fields[static 2])
{
	fields[0] = LOG_STR("resource", r->plural);
	if (ns)
		fields[1] = LOG_STR("namespace", ns);
	return ns ? 2 : 1;
}

void trouble_watch(struct trouble *t, const struct kube_resource *r, const char *ns, const struct err *err,
                   struct mono now)
{
	bool of_server = str_empty(trouble_source(r, err));
	char name[WATCH_NAME_SIZE], hint[TROUBLE_HINT_SIZE];
	struct log_field fields[3];
	int64_t lasted_ms;
	size_t n;

	name_watch(r, ns, name);
	/* 410: a version is too old to watch from, and a new list is under way. */
	if (err->http_status == 410 || !trouble_note(t, of_server ? "" : name, err, now, &lasted_ms))
		return;
	trouble_hint(r, err, hint);
	n = of_server ? 0 : watch_fields(r, ns, fields);
	fields[n++] = LOG_ERR(err);
	tell(LOG_LEVEL_WARN,
	     of_server ? "requests to the API server fail and are tried again"
	               : "watch failed and is tried again",
	     fields, n, lasted_ms, hint);
}

void trouble_watch_over(struct trouble *t, const struct kube_resource *r, const char *ns, struct mono now)
{
	char name[WATCH_NAME_SIZE];
	struct log_field fields[2];
	int64_t lasted_ms;

	if (trouble_end(t, "", now, &lasted_ms))
		tell(LOG_LEVEL_INFO, "the API server answers again", NULL, 0, lasted_ms, "");
	name_watch(r, ns, name);
	if (trouble_end(t, name, now, &lasted_ms))
		tell(LOG_LEVEL_INFO, "watch goes on", fields, watch_fields(r, ns, fields), lasted_ms, "");
}

void trouble_write(struct trouble *t, const char *endpoint, const struct kube_resource *r, const char *name,
                   const struct err *err, struct mono now)
{
	int64_t lasted_ms;
	char hint[TROUBLE_HINT_SIZE];

	if (trouble_is_right(err) && !trouble_note(t, SOURCE_WRITES, err, now, &lasted_ms))
		return;
	trouble_hint(r, err, hint);
	tell(LOG_LEVEL_WARN, "write was refused",
	     (struct log_field[]){LOG_STR("endpoint", endpoint), LOG_STR("kind", r->kind), LOG_STR("name", name),
	                          LOG_ERR(err)},
	     4, 0, hint);
}

void trouble_rights_over(struct trouble *t, bool say, struct mono now)
{
	int64_t lasted_ms;

	if (trouble_end(t, SOURCE_WRITES, now, &lasted_ms) && say)
		tell(LOG_LEVEL_INFO, "no write is refused for want of a right any more", NULL, 0, lasted_ms, "");
}

void trouble_event(struct trouble *t, const struct err *err, struct mono now)
{
	int64_t lasted_ms;
	char hint[TROUBLE_HINT_SIZE];

	/* Without a status the server is away, which the watches say. */
	if (err->http_status == 0 || !trouble_note(t, SOURCE_EVENTS, err, now, &lasted_ms))
		return;
	trouble_hint(NULL, err, hint);
	tell(LOG_LEVEL_WARN, "Events are lost", &LOG_ERR(err), 1, 0, hint);
}

/* The words of server-side apply, which the API server sends as an error of its own. */
bool trouble_is_schema(const struct err *err)
{
	return err->http_status == 500 && strstr(err->message, "field not declared in schema") != NULL;
}

void trouble_schema(struct trouble *t, const struct err *err, struct mono now)
{
	/* One cause, whichever endpoint and field it names. */
	struct err cause = ERR_INIT;
	int64_t lasted_ms;

	err_set(&cause, ERR_INVALID, "%s", TROUBLE_SCHEMA);
	if (!err && trouble_end(t, SOURCE_SCHEMA, now, &lasted_ms))
		tell(LOG_LEVEL_INFO, "statuses are written again", NULL, 0, lasted_ms, "");
	else if (err && trouble_note(t, SOURCE_SCHEMA, &cause, now, &lasted_ms))
		tell(LOG_LEVEL_WARN, "statuses cannot be written", &LOG_ERR(err), 1, lasted_ms, TROUBLE_SCHEMA);
}
