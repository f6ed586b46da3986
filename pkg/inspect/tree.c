/* The page: tree, conditions, Events, next steps. */
#include <inttypes.h>
#include <stdlib.h>
#include "api/names.h"
#include "inspect/text.h"

#define MAX_EVENTS 10
#define MAX_SHOWN_PODS 10 /* of a pool: those that are not well first */

struct page {
	const struct inspect_facts *f;
	const struct inspect_style *style;
	struct arena arena;
	struct buf *out;
};

static const char *age(struct page *p, struct wall since)
{
	char text[AGE_TEXT_SIZE];

	age_format(p->f->now.ms - since.ms, text);
	return arena_strdup(&p->arena, text);
}

static const char *ahead(struct page *p, struct wall t)
{
	char text[AGE_TEXT_SIZE];

	if (t.ms <= p->f->now.ms)
		return "now";
	age_format(t.ms - p->f->now.ms, text);
	return arena_printf(&p->arena, "in %s", text);
}

static const char *clean(struct page *p, const char *s)
{
	return text_clean(&p->arena, s);
}

/* Pods */

static bool is_pod_of_pool(const struct pod *pod, const char *pool)
{
	return str_eq(pod->pool, pool);
}

static bool is_well(const struct pod *pod)
{
	return pod->ready && !wall_is_set(pod->meta.deleted);
}

static const char *pod_state(const struct pod *pod)
{
	static const char *const troubles[] = {
		[POD_IMAGE_PULL] = RED "ImagePullFailed" PLAIN,
		[POD_CRASH] = RED "CrashLoop" PLAIN,
		[POD_CONTAINER_ERROR] = RED "ContainerError" PLAIN,
	};

	if (wall_is_set(pod->meta.deleted))
		return YELLOW "Ending" PLAIN;
	if (pod->ready)
		return GREEN "Ready" PLAIN;
	if (str_eq(pod->phase, "Failed") || str_eq(pod->phase, "Succeeded"))
		return RED "Ended" PLAIN;
	if (pod->trouble != POD_FINE)
		return troubles[pod->trouble];
	if (!pod->node_name)
		return YELLOW "Waiting" PLAIN;
	return pod->initialized == TRI_FALSE ? YELLOW "Downloading" PLAIN : YELLOW "Starting" PLAIN;
}

static int by_wellness(const void *x, const void *y)
{
	const struct pod *a = *(const struct pod *const *)x, *b = *(const struct pod *const *)y;

	if (is_well(a) != is_well(b))
		return is_well(a) ? 1 : -1;
	return strcmp(a->meta.name ? a->meta.name : "", b->meta.name ? b->meta.name : "");
}

/* The newest Deployment of the pool is the one that gets instances; NULL: none is known. */
static const char *current_revision(const struct inspect_facts *f, const char *pool)
{
	const struct deployment *newest = NULL;

	for (size_t i = 0; i < f->n_deployments; i++) {
		const struct deployment *d = f->deployments[i];

		if (str_eq(d->pool, pool) && (!newest || d->meta.created.ms > newest->meta.created.ms))
			newest = d;
	}
	return newest ? newest->revision : NULL;
}

struct columns {
	size_t name, state;
};

static const char *pod_text(struct page *p, const struct pod *pod, struct columns columns,
                            const char *revision)
{
	const char *name = clean(p, pod->meta.name), *state = pod_state(pod);
	const char *place =
		pod->node_name ? arena_printf(&p->arena, "node %s", clean(p, pod->node_name)) : "no node";
	bool older = revision && !str_eq(pod->revision, revision);

	return arena_printf(&p->arena, "%s%s   %s%s   %s   %s%s", name, text_pad(name, columns.name), state,
	                    text_pad(state, columns.state), place, age(p, pod->meta.created),
	                    older ? "   older revision" : "");
}

static size_t wider(size_t columns, const char *text)
{
	size_t n = text_columns(text);

	return n > columns ? n : columns;
}

/* `stem` stands before each. */
static void write_pods(struct page *p, const struct pod **pods, size_t n, const char *stem,
                       const char *revision)
{
	size_t shown = n > MAX_SHOWN_PODS ? MAX_SHOWN_PODS - 1 : n;
	struct columns columns = {0};

	qsort(pods, n, sizeof(struct pod *), by_wellness);
	for (size_t i = 0; i < shown; i++) {
		columns.name = wider(columns.name, clean(p, pods[i]->meta.name));
		columns.state = wider(columns.state, pod_state(pods[i]));
	}
	for (size_t i = 0; i < shown; i++) {
		bool last = i + 1 == n;

		text_write(p->style, arena_printf(&p->arena, "%s%s", stem, last ? "└─ " : "├─ "),
		           arena_printf(&p->arena, "%s%s", stem, last ? "     " : "│    "),
		           pod_text(p, pods[i], columns, revision), p->out);
	}
	if (shown < n) {
		size_t ill = 0;

		for (size_t i = shown; i < n; i++)
			ill += !is_well(pods[i]);
		text_write(p->style, arena_printf(&p->arena, "%s└─ ", stem), stem,
		           arena_printf(&p->arena, "and %zu more, %zu of them not Ready", n - shown, ill), p->out);
	}
}

static size_t collect_pods(struct page *p, const char *pool, const struct pod ***ret)
{
	const struct inspect_facts *f = p->f;
	size_t n = 0;

	*ret = arena_calloc(&p->arena, f->n_pods + 1, sizeof(**ret));
	for (size_t i = 0; i < f->n_pods; i++)
		if (is_pod_of_pool(f->pods[i], pool))
			(*ret)[n++] = f->pods[i];
	return n;
}

static bool in_spec(const struct endpoint *e, const char *pool)
{
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (str_eq(e->spec.pools[i].name, pool))
			return true;
	return false;
}

static size_t collect_old_pods(struct page *p, const struct pod ***ret)
{
	const struct inspect_facts *f = p->f;
	size_t n = 0;

	*ret = arena_calloc(&p->arena, f->n_pods + 1, sizeof(**ret));
	for (size_t i = 0; i < f->n_pods; i++)
		if (!in_spec(f->endpoint, f->pods[i]->pool))
			(*ret)[n++] = f->pods[i];
	return n;
}

/* Pools */

/* "StockOut: the sentence" */
static const char *why(struct page *p, const struct pool_status *s)
{
	const char *reason = pool_reason_name(s->reason), *message = clean(p, s->message);

	return arena_printf(&p->arena, "%s%s%s", reason, *reason && *message ? ": " : "", message);
}

static const char *pool_story(struct page *p, const struct pool_status *s)
{
	const char *cause = why(p, s), *colon = *cause ? ", " : "";
	const char *since = wall_is_set(s->since) ? arena_printf(&p->arena, " for %s", age(p, s->since)) : "";

	switch (s->state) {
	case POOL_IDLE:
		return arena_printf(&p->arena, "Idle%s%s", colon, cause);
	case POOL_WAITING:
		return arena_printf(
			&p->arena, YELLOW "%" PRId32 " waiting" PLAIN "%s%s%s%s", s->waiting, since, colon, cause,
			wall_is_set(s->deadline) ? arena_printf(&p->arena, "; judged anew %s", ahead(p, s->deadline))
									 : "");
	case POOL_STARTING:
		return arena_printf(&p->arena, YELLOW "%" PRId32 " starting" PLAIN "%s%s%s", s->starting, since,
		                    colon, cause);
	case POOL_READY:
		return "";
	case POOL_PROBING:
		return arena_printf(&p->arena, YELLOW "one tried" PLAIN "%s%s%s", since, colon, cause);
	case POOL_BACK_OFF:
		return arena_printf(&p->arena, RED "no capacity" PLAIN "%s%s%s; %s", since, colon, cause,
		                    wall_is_set(s->next_retry)
		                        ? arena_printf(&p->arena, "tried again %s", ahead(p, s->next_retry))
		                        : "tried again when its turn among the endpoints comes");
	}
	return "";
}

static const char *pool_title(struct page *p, const struct endpoint_pool *pool)
{
	char plain[NAME_MAX_BYTES + 1];

	pool_default_name(pool->instance_type, plain);
	if (str_eq(plain, pool->name))
		return clean(p, pool->instance_type);
	return arena_printf(&p->arena, "%s (%s)", clean(p, pool->name), clean(p, pool->instance_type));
}

static void write_pool(struct page *p, const struct endpoint_pool *pool, size_t columns, bool last)
{
	const struct endpoint *e = p->f->endpoint;
	const struct pool_status *s = endpoint_status_pool(&e->status, pool->name);
	const char *title = pool_title(p, pool), *story = s ? pool_story(p, s) : "", *counts, *model = "";
	const struct pod **pods;
	size_t n = collect_pods(p, pool->name, &pods);

	counts = s ? arena_printf(&p->arena, "%" PRId32 "/%" PRId32 " Ready", s->current, s->desired)
	           : "not in the status yet";
	if (!str_eq(pool->model_name, e->spec.model_name))
		model = arena_printf(&p->arena, "   model %s", clean(p, pool->model_name));
	text_write(p->style, last ? "└─ " : "├─ ", last ? "       " : "│      ",
	           arena_printf(&p->arena, BOLD "%" PRId32 "  %s" PLAIN "%s   %s%s%s%s", pool->priority, title,
	                        text_pad(title, columns), counts, model, *story ? "   " : "", story),
	           p->out);
	write_pods(p, pods, n, last ? "    " : "│   ", current_revision(p->f, pool->name));
}

static void write_tree(struct page *p)
{
	const struct endpoint_spec *spec = &p->f->endpoint->spec;
	const struct pod **old;
	size_t n_old = collect_old_pods(p, &old), columns = 0;

	for (size_t i = 0; i < spec->n_pools; i++)
		columns = wider(columns, pool_title(p, &spec->pools[i]));
	for (size_t i = 0; i < spec->n_pools; i++)
		write_pool(p, &spec->pools[i], columns, n_old == 0 && i + 1 == spec->n_pools);
	if (n_old > 0) {
		buf_add_str(p->out, "└─ of pools that are no more in the list\n");
		write_pods(p, old, n_old, "    ", NULL);
	}
}

/* The head */

static const char *phase_text(const struct endpoint_status *s)
{
	switch (s->phase) {
	case PHASE_NONE:
		break;
	case PHASE_CREATING:
		return YELLOW "Creating" PLAIN;
	case PHASE_IN_SERVICE:
		return s->current < s->desired ? YELLOW "InService" PLAIN : GREEN "InService" PLAIN;
	case PHASE_UPDATING:
		return YELLOW "Updating" PLAIN;
	case PHASE_FAILED:
		return RED "Failed" PLAIN;
	}
	return s->present ? YELLOW "in a phase that is not known here" PLAIN : RED "no status" PLAIN;
}

static void write_head(struct page *p)
{
	const struct endpoint *e = p->f->endpoint;
	const struct condition *ready = &e->status.conditions[COND_READY];
	const char *counts = "", *since = "", *deleted = "";

	if (wall_is_set(e->meta.deleted))
		deleted =
			arena_printf(&p->arena, "   " YELLOW "being deleted" PLAIN " for %s", age(p, e->meta.deleted));
	if (e->status.present)
		counts = arena_printf(&p->arena, "   %" PRId32 " of %" PRId32 " Ready", e->status.current,
		                      e->status.desired);
	if (ready->present && wall_is_set(ready->since))
		since = arena_printf(&p->arena, " for %s", age(p, ready->since));
	text_write(p->style, "", "  ",
	           arena_printf(&p->arena, BOLD "%s" PLAIN "   %s%s%s%s   (namespace %s, %s old)",
	                        clean(p, e->meta.name), phase_text(&e->status), counts,
	                        e->status.current >= e->status.desired ? since : "", deleted,
	                        clean(p, e->meta.ns), age(p, e->meta.created)),
	           p->out);
}

/* What follows the tree */

/* A missing Model stalls, too: that is said once. */
static bool is_not_well(enum condition_type type, const struct condition *c)
{
	if (!c->present || type == COND_RECONCILING)
		return false;
	if (type == COND_STALLED && c->reason && str_starts(c->reason, "Model"))
		return false;
	return type == COND_READY ? !c->status : c->status;
}

static void write_conditions(struct page *p)
{
	bool any = false;

	for (int i = 0; i < CONDITION_COUNT; i++) {
		const struct condition *c = &p->f->endpoint->status.conditions[i];

		if (!is_not_well((enum condition_type)i, c))
			continue;
		if (!any)
			buf_add_str(p->out, "\nConditions:\n");
		any = true;
		text_write(p->style, "  ", "    ",
		           arena_printf(&p->arena, "%s%s%s (%s) for %s: %s", i == COND_ON_FALLBACK ? YELLOW : RED,
		                        i == COND_READY ? "not Ready" : condition_type_name((enum condition_type)i),
		                        PLAIN, clean(p, c->reason), age(p, c->since), clean(p, c->message)),
		           p->out);
	}
}

static int by_time(const void *x, const void *y)
{
	const struct inspect_event *a = *(const struct inspect_event *const *)x;
	const struct inspect_event *b = *(const struct inspect_event *const *)y;

	if (a->last.ms != b->last.ms)
		return a->last.ms < b->last.ms ? -1 : 1;
	return strcmp(a->reason ? a->reason : "", b->reason ? b->reason : "");
}

static void write_events(struct page *p)
{
	size_t n = p->f->n_events;
	const struct inspect_event **sorted = arena_calloc(&p->arena, n + 1, sizeof(*sorted));

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &p->f->events[i];
	qsort(sorted, n, sizeof(*sorted), by_time);
	buf_add_str(p->out, "\nEvents, the newest last:\n");
	for (size_t i = n > MAX_EVENTS ? n - MAX_EVENTS : 0; i < n; i++) {
		const struct inspect_event *e = sorted[i];
		const char *when = age(p, e->last), *pod = e->pod ? arena_printf(&p->arena, "pod %s: ", e->pod) : "";

		text_write(p->style, "  ", "          ",
		           arena_printf(&p->arena, "%s%s %s%s%s%s: %s%s", when, text_pad(when, 7),
		                        e->warning ? YELLOW : "", clean(p, e->reason), e->warning ? PLAIN : "",
		                        e->count > 1 ? arena_printf(&p->arena, " (%" PRId32 " times)", e->count) : "",
		                        clean(p, pod), clean(p, e->message)),
		           p->out);
	}
}

static void write_gaps(struct page *p)
{
	if (p->f->n_gaps == 0)
		return;
	buf_add_str(p->out, "\nNot known, because it could not be read:\n");
	for (size_t i = 0; i < p->f->n_gaps; i++)
		text_write(p->style, "  ", "    ",
		           arena_printf(&p->arena, YELLOW "%s" PLAIN ": %s", p->f->gaps[i].what,
		                        clean(p, p->f->gaps[i].why)),
		           p->out);
}

static const char *no_step(const struct endpoint *e)
{
	if (wall_is_set(e->meta.deleted))
		return "nothing but to wait. If it stays: the operator is none of its metadata.finalizers";
	return e->status.conditions[COND_READY].status ? "nothing to do"
	                                               : "nothing but to wait; what is missing is on its way";
}

static void write_steps(struct page *p)
{
	const char *steps[INSPECT_MAX_STEPS];
	size_t n = inspect_advise(p->f, &p->arena, steps);

	if (n == 0) {
		buf_addf(p->out, "\nNext: %s.\n", no_step(p->f->endpoint));
		return;
	}
	buf_add_str(p->out, "\nNext:\n");
	for (size_t i = 0; i < n; i++)
		text_write(p->style, "  - ", "    ", steps[i], p->out);
}

void inspect_write(const struct inspect_facts *f, const struct inspect_style *style, struct buf *out)
{
	struct page p = {.f = f, .style = style, .out = out};

	arena_init(&p.arena);
	write_head(&p);
	write_tree(&p);
	write_conditions(&p);
	write_events(&p);
	write_gaps(&p);
	write_steps(&p);
	arena_done(&p.arena);
}
