/* kube-scheduler, in short: filters in their order, then the emptiest node; and its words when there is none. */
#include <inttypes.h>
#include "base/buf.h"
#include "forecast/internal.h"

#define VERDICT_MAX_BYTES 4096u
#define MAX_WORDS (MAX_KEYS + 4u)

/* "2 Insufficient cpu": how many nodes say so. */
struct tally {
	const char *words[MAX_WORDS];
	int32_t n[MAX_WORDS];
	size_t n_words;
};

static void count(struct tally *t, const char *words)
{
	size_t i = 0;

	while (i < t->n_words && !str_eq(t->words[i], words))
		i++;
	if (i == t->n_words)
		t->words[t->n_words++] = words;
	t->n[i]++;
}

/* False: something is missing there, and is counted. */
static bool has_room(const struct world *w, const struct world_pod *p, const struct world_node *n,
                     struct tally *t)
{
	bool room = true;

	for (size_t k = 0; k < w->n_keys; k++) {
		if (p->takes[k] == 0 || p->takes[k] <= n->left[k])
			continue;
		room = false;
		count(t, w->lack[k]);
	}
	return room;
}

/* The share of what is left of that of which the least is left, in thousandths. */
static int64_t emptiness(const struct world *w, const struct world_pod *p, const struct world_node *n)
{
	double least = 1000;

	for (size_t k = 0; k < w->n_keys; k++) {
		double share = n->total[k] > 0 ? 1000.0 * (double)n->left[k] / (double)n->total[k] : 0;

		if (p->takes[k] > 0 && share < least)
			least = share;
	}
	return (int64_t)least;
}

static void bind(struct world *w, struct world_pod *p, struct world_node *n, const char *node_name)
{
	p->node = n;
	p->view.node_name = node_name;
	p->view.scheduled = TRI_TRUE;
	p->view.scheduled_reason = p->view.scheduled_message = NULL;
	p->view.scheduled_since = wall_floor_s(w->now);
	p->ready_at = wall_add(w->now, READY_MS);
	if (n)
		world_take(w, n, p->takes);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *verdict(const struct world *w, const struct tally *t)
{
	struct buf text CLEANUP_BUF;
	const char *entries[MAX_WORDS] = {NULL};

	buf_init(&text, VERDICT_MAX_BYTES);
	if (w->n_nodes == 0)
		return "no nodes available to schedule pods";
	buf_addf(&text, "0/%zu nodes are available: ", w->n_nodes);
	for (size_t i = 0; i < t->n_words; i++)
		entries[i] = arena_printf(w->arena, "%" PRId32 " %s", t->n[i], t->words[i]);
	qsort(entries, t->n_words, sizeof(entries[0]), compare_text);
	for (size_t i = 0; i < t->n_words; i++)
		buf_addf(&text, "%s%s", i > 0 ? ", " : "", entries[i]);
	buf_add_char(&text, '.');
	return arena_slicedup(w->arena, buf_slice(&text));
}

static void refuse(struct world *w, struct world_pod *p, const char *reason, const char *message)
{
	if (p->view.scheduled != TRI_FALSE) /* the condition keeps its time when the text changes */
		p->view.scheduled_since = wall_floor_s(w->now);
	p->view.scheduled = TRI_FALSE;
	p->view.scheduled_reason = reason;
	p->view.scheduled_message = message;
}

/* Where one more of the kind would help. */
static bool node_would_help(const struct world *w, const struct world_pod *p)
{
	const struct world_pool *pool = p->group->pool;

	if (w->in->adds_nodes != FORECAST_NODES_COME || !pool || pool->out)
		return false;
	for (size_t i = 0; i < w->n_nodes; i++) {
		size_t k = 0;

		while (k < w->n_keys && p->takes[k] <= w->nodes[i].total[k])
			k++;
		if (k == w->n_keys && pool->fit[i] == FIT_YES)
			return true;
	}
	return pool->n_with == 0;
}

static int64_t node_ms(const struct world *w)
{
	int64_t half = w->endpoint.spec.provision_timeout_ms / 2;

	return half < MS_PER_S ? MS_PER_S : half < FORECAST_NODE_MS ? half : FORECAST_NODE_MS;
}

bool scheduler_is_gated(const struct world_pod *p)
{
	return p->view.scheduled == TRI_FALSE && str_eq(p->view.scheduled_reason, "SchedulingGated");
}

void scheduler_call_node(const struct world *w, struct world_pod *p)
{
	if (!wall_is_set(p->node_at) && !scheduler_is_gated(p) && node_would_help(w, p))
		p->node_at = wall_add(w->now, node_ms(w));
}

static bool is_gated(const json_t *pod_spec)
{
	return json_array_size(json_object_get(pod_spec, "schedulingGates")) > 0;
}

void scheduler_try(struct world *w, struct world_pod *p)
{
	static const char *const words[] = {
		[FIT_CORDONED] = "node(s) were unschedulable",
		[FIT_TAINT] = "node(s) had untolerated taint(s)",
		[FIT_NO_MATCH] = "node(s) didn't match Pod's node affinity/selector",
	};
	const struct world_pool *pool = p->group->pool;
	struct world_node *best = NULL;
	struct tally tally = {.n_words = 0};

	if (!pool || !pool->pod_spec) /* it gets nothing new, and what was said of it stays */
		return;
	if (is_gated(pool->pod_spec)) {
		refuse(w, p, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates");
		return;
	}
	if (wall_is_set(p->node_at) && p->node_at.ms <= w->now.ms) {
		p->node_at = (struct wall){0};
		p->on_new_node = true;
		bind(w, p, NULL, "(a new node)");
		return;
	}
	for (size_t i = 0; i < w->n_nodes; i++) {
		struct world_node *n = &w->nodes[i];

		if (pool->fit[i] != FIT_YES)
			count(&tally, words[pool->fit[i]]);
		else if (has_room(w, p, n, &tally) && (!best || emptiness(w, p, n) > emptiness(w, p, best)))
			best = n;
	}
	if (best) {
		bind(w, p, best, best->view->meta.name);
		return;
	}
	refuse(w, p, "Unschedulable", verdict(w, &tally));
	scheduler_call_node(w, p);
}
