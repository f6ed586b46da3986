#include "sim/timeline.h"
#include <assert.h>
#include "base/host.h"
#include "base/mem.h"
#include "base/random.h"

/* A binary heap, the earliest at the root. */
struct moment {
	int64_t at_ms;
	uint64_t order; /* of arrival, among those of the same time */
	size_t place;   /* in the heap */
	timeline_fn *fn;
	void *arg;
};

struct timeline {
	int64_t now_ms;
	uint64_t arrivals, chance, host_chance;
	struct moment **heap;
	size_t n, capacity;
};

static struct timeline *current;

static bool is_before(const struct moment *a, const struct moment *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void put(struct timeline *t, size_t place, struct moment *m)
{
	t->heap[place] = m;
	m->place = place;
}

static void move_up(struct timeline *t, struct moment *m)
{
	size_t place = m->place;

	for (; place > 0 && is_before(m, t->heap[(place - 1) / 2]); place = (place - 1) / 2)
		put(t, place, t->heap[(place - 1) / 2]);
	put(t, place, m);
}

static void move_down(struct timeline *t, struct moment *m)
{
	size_t place = m->place;

	for (;;) {
		size_t child = 2 * place + 1;

		if (child + 1 < t->n && is_before(t->heap[child + 1], t->heap[child]))
			child++;
		if (child >= t->n || !is_before(t->heap[child], m))
			break;
		put(t, place, t->heap[child]);
		place = child;
	}
	put(t, place, m);
}

static void take_out(struct timeline *t, struct moment *m)
{
	struct moment *last = t->heap[--t->n];

	if (last == m)
		return;
	put(t, m->place, last);
	move_up(t, last);
	move_down(t, last);
}

struct timeline *timeline_new(uint64_t seed)
{
	struct timeline *t = xcalloc(1, sizeof(*t));

	assert(!current);
	t->chance = seed;
	t->host_chance = ~seed;
	current = t;
	return t;
}

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->heap[i]);
	free(t->heap);
	free(t);
	current = NULL;
}

struct timeline *timeline_in_use(void)
{
	return current;
}

int64_t timeline_ms(const struct timeline *t)
{
	return t->now_ms;
}

struct wall timeline_wall(const struct timeline *t)
{
	return (struct wall){TIMELINE_EPOCH_MS + t->now_ms};
}

struct moment *timeline_at(struct timeline *t, int64_t at_ms, timeline_fn *fn, void *arg)
{
	struct moment *m = xcalloc(1, sizeof(*m));

	*m = (struct moment){
		.at_ms = at_ms > t->now_ms ? at_ms : t->now_ms, .order = t->arrivals++, .fn = fn, .arg = arg};
	if (t->n == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 64;
		t->heap = xreallocarray(t->heap, t->capacity, sizeof(struct moment *));
	}
	m->place = t->n++;
	move_up(t, m);
	return m;
}

void timeline_cancel(struct timeline *t, struct moment *m)
{
	take_out(t, m);
	free(m);
}

bool timeline_step(struct timeline *t, int64_t until_ms)
{
	struct moment *m = t->n ? t->heap[0] : NULL;
	timeline_fn *fn;
	void *arg;

	if (!m || m->at_ms > until_ms) {
		t->now_ms = until_ms > t->now_ms ? until_ms : t->now_ms;
		return false;
	}
	t->now_ms = m->at_ms;
	fn = m->fn;
	arg = m->arg;
	take_out(t, m);
	free(m);
	fn(arg);
	return true;
}

int64_t timeline_random(struct timeline *t, int64_t low, int64_t high)
{
	return random_between(&t->chance, low, high);
}

/* base/host.h */

#define BOOTED_MS_AGO (3600 * MS_PER_S)

struct mono mono_now(void)
{
	return (struct mono){BOOTED_MS_AGO + (current ? current->now_ms : 0)};
}

struct wall wall_now(void)
{
	return (struct wall){TIMELINE_EPOCH_MS + (current ? current->now_ms : 0)};
}

struct mono boot_now(void)
{
	return mono_now();
}

uint64_t host_random(void)
{
	return current ? (uint64_t)random_between(&current->host_chance, 0, INT64_MAX - 1) : 1;
}
