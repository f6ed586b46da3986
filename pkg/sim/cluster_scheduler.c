/* The scheduler: one pod at a time. One that finds no node waits for something to change, and for its back-off. */
#include "base/buf.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 10000

enum refusal {
	REFUSAL_NONE,
	REFUSAL_CORDON, /* in the order of its filters */
	REFUSAL_TAINT,
	REFUSAL_TYPE,
	REFUSAL_FULL,
	REFUSAL_COUNT,
};

/* GPUs of pods that end are taken. */
static int32_t free_gpus(const struct cluster_node *n)
{
	return node_says_gpus(n) - n->used;
}

static enum refusal filter(const struct cluster_pod *p, const struct cluster_node *n)
{
	if (n->cordoned)
		return REFUSAL_CORDON;
	if (node_says_taint(n))
		return REFUSAL_TAINT;
	if (p->type != (int)n->type)
		return REFUSAL_TYPE;
	return free_gpus(n) < p->gpus ? REFUSAL_FULL : REFUSAL_NONE;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "2 a, 1 b", sorted as text, as the scheduler does. */
static void add_histogram(struct buf *out, size_t n_nodes, const int32_t *counts, const char *const *words,
                          size_t n_words)
{
	char *entries[REFUSAL_COUNT] = {0};
	size_t n = 0;

	for (size_t i = 0; i < n_words; i++)
		if (counts[i] > 0)
			entries[n++] = xasprintf("%d %s", counts[i], words[i]);
	qsort(entries, n, sizeof(entries[0]), compare_text);
	buf_addf(out, "0/%zu nodes are available: ", n_nodes);
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s%s", i > 0 ? ", " : "", entries[i]);
		free(entries[i]);
	}
	buf_add_char(out, '.');
}

static void add_verdict(struct buf *out, const int32_t *counts)
{
	static const char *const words[REFUSAL_COUNT] = {
		[REFUSAL_CORDON] = "node(s) were unschedulable",
		[REFUSAL_TAINT] = "node(s) had untolerated taint(s)",
		[REFUSAL_TYPE] = "node(s) didn't match Pod's node affinity/selector",
		[REFUSAL_FULL] = "Insufficient " CLUSTER_GPU,
	};
	static const char *const preemption_words[] = {
		"No preemption victims found for incoming pod",
		"Preemption is not helpful for scheduling",
	};
	int32_t unhelpful = 0;
	for (size_t i = 0; i < REFUSAL_FULL; i++)
		unhelpful += counts[i];
	int32_t preemption[] = {counts[REFUSAL_FULL], unhelpful};
	size_t n_nodes = (size_t)unhelpful + (size_t)counts[REFUSAL_FULL];

	if (n_nodes == 0) {
		buf_add_str(out, "no nodes available to schedule pods");
		return;
	}
	add_histogram(out, n_nodes, counts, words, REFUSAL_COUNT);
	buf_add_str(out, " no new claims to deallocate, preemption: ");
	add_histogram(out, n_nodes, preemption, preemption_words, ARRAY_LEN(preemption_words));
}

static void leave_turn(struct cluster_pod *p)
{
	if (p->turn == TURN_ACTIVE)
		TAILQ_REMOVE(&p->cluster->turns, p, turn_link);
	p->turn = TURN_PARKED;
}

static int64_t backoff_of(const struct cluster_pod *p)
{
	int64_t ms = BACKOFF_MIN_MS;
	for (uint32_t i = 1; i < p->n_tries && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void refuse(struct cluster_pod *p, const int32_t *counts)
{
	struct cluster *c = p->cluster;
	CLEANUP_BUF struct buf message;

	buf_init(&message, 4096);
	add_verdict(&message, counts);
	if (!p->refused)
		p->refused_ms = cluster_now(c);
	p->refused = true;
	if (cluster_condition(c, p->object->doc, "PodScheduled", "False", "Unschedulable", message.ptr))
		api_update(c->api, p->object);
	provider_pod_refused(c);
}

/* The emptiest node, as the scheduler's default is; on a tie chance decides. */
static void try_pod(struct cluster_pod *p)
{
	struct cluster_node *n, *best = NULL;
	int32_t counts[REFUSAL_COUNT] = {0};
	int64_t best_score = -1;

	p->n_tries++;
	p->tried_ms = cluster_now(p->cluster);
	TAILQ_FOREACH(n, &p->cluster->nodes, link)
	{
		enum refusal r = filter(p, n);
		counts[r]++;
		if (r != REFUSAL_NONE)
			continue;
		int64_t score = (int64_t)free_gpus(n) * 1000 + cluster_chance(p->chance, n->object->name, 0, 0, 999);
		if (score > best_score) {
			best_score = score;
			best = n;
		}
	}
	if (best)
		pod_bind(p, best);
	else
		refuse(p, counts);
}

static void run(void *arg);

static void plan(struct cluster *c)
{
	if (!TAILQ_EMPTY(&c->turns) && !task_is_planned(&c->scheduler)) {
		const struct cluster_pod *p = TAILQ_FIRST(&c->turns);
		task_after(&c->scheduler, cluster_chance(p->chance, "cycle", p->n_tries, 1, 50), run);
	}
}

static void run(void *arg)
{
	struct cluster *c = arg;
	struct cluster_pod *p = TAILQ_FIRST(&c->turns);
	if (p) {
		leave_turn(p);
		try_pod(p);
	}
	plan(c);
}

static void activate(void *arg)
{
	struct cluster_pod *p = arg;
	p->turn = TURN_ACTIVE;
	TAILQ_INSERT_TAIL(&p->cluster->turns, p, turn_link);
	plan(p->cluster);
}

void scheduler_add(struct cluster_pod *p)
{
	activate(p);
}

void scheduler_forget(struct cluster_pod *p)
{
	leave_turn(p);
}

void scheduler_wake(struct cluster *c)
{
	struct cluster_pod *p;
	int64_t now = cluster_now(c);

	TAILQ_FOREACH(p, &c->pods, link)
	{
		if (p->stage != STAGE_WAITING || p->leaving || p->turn != TURN_PARKED || p->n_tries == 0)
			continue;
		int64_t until = p->tried_ms + backoff_of(p);
		p->turn = TURN_BACKOFF;
		task_after(&p->life, until > now ? until - now : 0, activate);
	}
}
