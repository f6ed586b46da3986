#include "kube/queue.h"
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"

#define HASH_FUNCTION HASH_FNV /* the default one falls through its switch cases silently */
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

/* So many fresh keys may be taken in a row while the backlog waits. */
#define FRESH_IN_A_ROW 7u

enum item_state { ITEM_READY, ITEM_DELAYED, ITEM_WORKING };

struct item {
	UT_hash_handle hh;
	enum item_state state;
	enum queue_priority priority; /* of the ready item, or of the one to come after the work */
	unsigned failures;            /* in a row */
	bool again;                   /* WORKING: ready when the work ends */
	bool timed;                   /* DELAYED, or WORKING and to be delayed until `when` */
	struct mono when;
	uint64_t seq;             /* same time: first come, first served */
	size_t heap_at;           /* DELAYED */
	struct item *prev, *next; /* READY */
	char key[];
};

struct queue {
	struct queue_options options;
	struct item *items;
	struct item *ready[2]; /* by priority */
	size_t n_ready, n_working;
	unsigned fresh_in_a_row;
	struct item **heap; /* the delayed ones, the earliest first */
	size_t n_heap, cap_heap;
	uint64_t seq;
};

struct queue *queue_new(const struct queue_options *o)
{
	struct queue *q = xcalloc(1, sizeof(*q));
	q->options = *o;
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	struct item *i, *next;
	HASH_ITER(hh, q->items, i, next) {
		HASH_DEL(q->items, i);
		free(i);
	}
	free(q->heap);
	free(q);
}

static bool earlier(const struct item *a, const struct item *b)
{
	return a->when.ms != b->when.ms ? a->when.ms < b->when.ms : a->seq < b->seq;
}

static void heap_set(struct queue *q, size_t at, struct item *i)
{
	q->heap[at] = i;
	i->heap_at = at;
}

/* Find the item's place, from the hole at `at` upwards or downwards. */
static void heap_settle(struct queue *q, size_t at, struct item *i)
{
	for (; at > 0 && earlier(i, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap_set(q, at, q->heap[(at - 1) / 2]);
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < q->n_heap && earlier(q->heap[child + 1], q->heap[child]))
			child++;
		if (child >= q->n_heap || !earlier(q->heap[child], i))
			break;
		heap_set(q, at, q->heap[child]);
		at = child;
	}
	heap_set(q, at, i);
}

static void delay(struct queue *q, struct item *i)
{
	i->state = ITEM_DELAYED;
	i->timed = true;
	i->seq = q->seq++;
	if (q->n_heap == q->cap_heap) {
		q->cap_heap = q->cap_heap ? q->cap_heap * 2 : 16;
		q->heap = xreallocarray(q->heap, q->cap_heap, sizeof(struct item *));
	}
	heap_settle(q, q->n_heap++, i);
}

static void undelay(struct queue *q, struct item *i)
{
	i->timed = false;
	struct item *last = q->heap[--q->n_heap];
	if (last != i)
		heap_settle(q, i->heap_at, last);
}

static void make_ready(struct queue *q, struct item *i, enum queue_priority p)
{
	i->state = ITEM_READY;
	i->priority = p;
	DL_APPEND(q->ready[p], i);
	q->n_ready++;
}

static void unready(struct queue *q, struct item *i)
{
	DL_DELETE(q->ready[i->priority], i);
	q->n_ready--;
}

static void discard(struct queue *q, struct item *i)
{
	HASH_DEL(q->items, i);
	free(i);
}

static struct item *find(const struct queue *q, const char *key)
{
	struct item *i;
	HASH_FIND(hh, q->items, key, strlen(key), i);
	return i;
}

static struct item *insert(struct queue *q, const char *key)
{
	size_t len = strlen(key);
	struct item *i = xcalloc(1, sizeof(*i) + len + 1);
	memcpy(i->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, q->items, i->key, len, i);
	return i;
}

void queue_add(struct queue *q, const char *key, enum queue_priority p)
{
	struct item *i = find(q, key);
	if (!i) {
		make_ready(q, insert(q, key), p);
		return;
	}
	switch (i->state) {
	case ITEM_READY:
		if (p > i->priority) {
			unready(q, i);
			make_ready(q, i, p);
		}
		break;
	case ITEM_DELAYED:
		undelay(q, i);
		make_ready(q, i, p);
		break;
	case ITEM_WORKING:
		i->priority = i->again && i->priority > p ? i->priority : p;
		i->again = true;
		break;
	}
}

void queue_add_at(struct queue *q, const char *key, struct mono when)
{
	struct item *i = find(q, key);
	if (!i) {
		i = insert(q, key);
		i->when = when;
		delay(q, i);
		return;
	}
	if (i->state == ITEM_READY || (i->timed && i->when.ms <= when.ms))
		return;
	i->when = when;
	i->timed = true;
	if (i->state == ITEM_DELAYED)
		heap_settle(q, i->heap_at, i);
}

const char *queue_take(struct queue *q, struct mono now)
{
	while (q->n_heap > 0 && q->heap[0]->when.ms <= now.ms) {
		struct item *due = q->heap[0];
		undelay(q, due);
		make_ready(q, due, QUEUE_BACKLOG);
	}
	struct item *fresh = q->ready[QUEUE_FRESH], *old = q->ready[QUEUE_BACKLOG];
	struct item *i = fresh && (!old || q->fresh_in_a_row < FRESH_IN_A_ROW) ? fresh : old;
	if (!i)
		return NULL;
	q->fresh_in_a_row = i == fresh && old ? q->fresh_in_a_row + 1 : 0;
	unready(q, i);
	i->state = ITEM_WORKING;
	q->n_working++;
	return i->key;
}

/* Doubling, less up to a tenth that depends on the key, so that what failed together comes back apart. */
static int64_t backoff(const struct queue *q, const struct item *i)
{
	int64_t ms = q->options.backoff_base_ms, max_ms = q->options.backoff_max_ms;
	for (unsigned n = 1; n < i->failures && ms < max_ms; n++)
		ms = ms > max_ms / 2 ? max_ms : ms * 2;
	if (ms > max_ms)
		ms = max_ms;
	uint64_t h = hash64(HASH64_INIT ^ i->failures, slice_from(i->key));
	return ms - (int64_t)((uint64_t)(ms / 10) * (h >> 32 & 0xffff) / 0xffff);
}

void queue_finish(struct queue *q, const char *key, bool failed, struct mono now)
{
	struct item *i = find(q, key);
	if (!i || i->state != ITEM_WORKING)
		return;
	q->n_working--;
	if (failed && i->failures < 1000)
		i->failures++;
	else if (!failed)
		i->failures = 0;

	if (i->again) {
		i->again = false;
		i->timed = false;
		make_ready(q, i, i->priority);
		return;
	}
	if (failed) {
		int64_t retry_ms = now.ms + backoff(q, i);
		if (!i->timed || i->when.ms > retry_ms)
			i->when.ms = retry_ms;
		i->timed = true;
	}
	if (i->timed)
		delay(q, i);
	else
		discard(q, i);
}

bool queue_next(const struct queue *q, struct mono now, struct mono *ret)
{
	if (q->n_ready == 0 && q->n_heap == 0)
		return false;
	*ret = q->n_ready > 0 || q->heap[0]->when.ms <= now.ms ? now : q->heap[0]->when;
	return true;
}

size_t queue_depth(const struct queue *q)
{
	return q->n_ready;
}

size_t queue_working(const struct queue *q)
{
	return q->n_working;
}
