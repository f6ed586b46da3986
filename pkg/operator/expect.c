/* What the stores must show before an endpoint is planned again: the operator's own last writes. */
#include "base/hash.h"
#include "base/log.h"
#include "operator/internal.h"

/* A watch that is this late is looked past with a GET. */
#define EXPECT_LATE_MS (15 * MS_PER_S)

static struct expectation *find(struct work *w, enum kind kind, const char *name)
{
	for (struct expectation *x = w->expectations; x; x = x->next)
		if (x->kind == kind && str_eq(x->name, name))
			return x;
	return NULL;
}

static struct expectation *find_or_add(struct work *w, enum kind kind, const char *name)
{
	struct expectation *x = find(w, kind, name);

	if (!x) {
		x = xcalloc(1, sizeof(*x));
		x->kind = kind;
		x->name = xstrdup(name);
		x->work = w;
		x->next = w->expectations;
		if (!w->expectations)
			w->expecting_since = loop_now(w->op->loop);
		w->expectations = x;
	}
	return x;
}

static void drop(struct work *w, struct expectation *gone)
{
	for (struct expectation **x = &w->expectations; *x; x = &(*x)->next)
		if (*x == gone) {
			*x = gone->next;
			if (gone->look) {
				kube_call_cancel(gone->look);
				w->op->looks--;
			}
			free(gone->name);
			free(gone->resource_version);
			free(gone);
			return;
		}
}

void expect_version(struct work *w, enum kind kind, const char *name, const char *resource_version)
{
	struct expectation *x = find_or_add(w, kind, name);

	free(x->resource_version);
	x->resource_version = xstrdup(resource_version);
	x->unknown = false;
}

void expect_gone(struct work *w, enum kind kind, const char *name)
{
	struct expectation *x = find_or_add(w, kind, name);

	free(x->resource_version);
	x->resource_version = NULL;
	x->unknown = false;
}

bool is_watched(enum kind kind, const struct work *w, struct slice object)
{
	struct err ignored = ERR_INIT;
	struct companion *c = companion_decode(object, &ignored); /* what is read of it, all kinds have */
	bool watched = kind == KIND_ENDPOINT || (c && str_eq(c->endpoint, w->name));

	view_free(c);
	return watched;
}

/* It is there. An older version than this may be all that is wanted: one that changes often is never seen at its newest
 * by a watch that is late. But after a restore of the API server's data the old one would never come. */
static void seen_there(struct expectation *x, const char *resource_version)
{
	if (x->unknown || !x->resource_version || resource_version_reached(x->resource_version, resource_version))
		expect_version(x->work, x->kind, x->name, resource_version);
}

static void seen_missing(struct expectation *x)
{
	struct work *w = x->work;

	if (store_get(controller_store(w->op, x->kind), w->ns, x->name))
		expect_gone(w, x->kind, x->name);
	else
		drop(w, x);
}

static void looked(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	struct expectation *x = arg;
	struct work *w = x->work;
	bool there = err->code == ERR_NONE && !str_empty(r->resource_version); /* else the answer was cut off */

	(void)outcome;
	x->look = NULL;
	w->op->looks--;
	reconcile_heard(w->op, err);
	if (there && is_watched(x->kind, w, r->body))
		seen_there(x, r->resource_version);
	else if (there || err->http_status == 404)
		seen_missing(x);
	/* Else: expect_met() looks again. */
	queue_add_at(w->op->queue, w->key, (struct mono){loop_now(w->op->loop).ms + MS_PER_S});
	loop_timer_arm(w->op->pump, 0);
}

static void look(struct work *w, struct expectation *x)
{
	struct kube_request rq = {
		.verb = KUBE_GET, .resource = &controller_types[x->kind].resource, .ns = w->ns, .name = x->name};

	if (x->look)
		return;
	w->op->looks++;
	x->look = kube_client_call(w->op->client, &rq, looked, x);
}

void expect_verify(struct work *w, enum kind kind, const char *name)
{
	struct expectation *x = find_or_add(w, kind, name);

	if (kind == KIND_DEPLOYMENT)
		asked_put(w, name, -1);
	x->unknown = true;
	look(w, x);
}

static bool is_met(const struct work *w, const struct expectation *x)
{
	const struct objmeta *seen;

	if (x->unknown)
		return false;
	seen = store_get(controller_store(w->op, x->kind), w->ns, x->name);
	if (!x->resource_version)
		return seen == NULL;
	if (!seen && x->kind == KIND_POD) /* one that we have marked was there */
		return true;
	return seen && resource_version_reached(seen->resource_version, x->resource_version);
}

bool expect_met(struct work *w)
{
	struct mono now = loop_now(w->op->loop);
	struct expectation *next;

	for (struct expectation *x = w->expectations; x; x = next) {
		next = x->next;
		if (is_met(w, x))
			drop(w, x);
		else if (x->unknown)
			look(w, x);
	}
	if (!w->expectations)
		return true;
	if (now.ms - w->expecting_since.ms >= EXPECT_LATE_MS) {
		w->expecting_since = now;
		LOG_WARN("the watch is late, looking directly", LOG_STR("endpoint", w->key),
		         LOG_STR("object", w->expectations->name));
		for (struct expectation *x = w->expectations; x; x = x->next)
			look(w, x);
	}
	queue_add_at(w->op->queue, w->key, (struct mono){w->expecting_since.ms + EXPECT_LATE_MS});
	return false;
}

int32_t asked_count(const struct work *w, const char *deployment)
{
	uint64_t hash = hash64_str(HASH64_INIT, deployment);

	for (size_t i = 0; i < w->n_asked; i++)
		if (w->asked[i].name_hash == hash)
			return w->asked[i].count;
	return -1;
}

void asked_put(struct work *w, const char *deployment, int32_t count)
{
	uint64_t hash = hash64_str(HASH64_INIT, deployment);
	size_t i = 0;

	while (i < w->n_asked && w->asked[i].name_hash != hash)
		i++;
	if (count < 0) {
		if (i < w->n_asked)
			w->asked[i] = w->asked[--w->n_asked];
		return;
	}
	if (i == w->n_asked)
		w->asked = xreallocarray(w->asked, ++w->n_asked, sizeof(*w->asked));
	w->asked[i] = (struct asked){hash, count};
}

static struct freed *freed_find(const struct work *w, const char *pool)
{
	uint64_t hash = hash64_str(HASH64_INIT, pool);

	for (size_t i = 0; i < w->n_freed; i++)
		if (w->freed[i].pool_hash == hash)
			return &w->freed[i];
	return NULL;
}

struct wall freed_at(const struct work *w, const char *pool)
{
	const struct freed *f = freed_find(w, pool);

	return f ? f->at : (struct wall){0};
}

void freed_put(struct work *w, const char *pool, struct wall at)
{
	struct freed *f = freed_find(w, pool);

	if (!f) {
		w->freed = xreallocarray(w->freed, ++w->n_freed, sizeof(*w->freed));
		f = &w->freed[w->n_freed - 1];
		f->pool_hash = hash64_str(HASH64_INIT, pool);
	}
	f->at = at;
}

void work_free(struct work *w)
{
	run_free(w->run);
	obstacles_forget(w);
	while (w->expectations)
		drop(w, w->expectations);
	while (w->refusals)
		refusal_clear(w, w->refusals->kind, w->refusals->name);
	map_done(&w->given_up, free);
	free(w->asked);
	free(w->freed);
	free(w->restored);
	free(w->key);
	free(w->ns);
	free(w->name);
	free(w->uid);
	free(w);
}
