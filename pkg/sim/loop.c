#include "sim/loop.h"
#include <assert.h>
#include <sys/queue.h>
#include "base/mem.h"

struct loop_timer {
	struct loop *loop;
	loop_timer_fn *fn;
	void *arg;
	struct moment *moment; /* NULL: not armed, or late */
	bool late;             /* due while the process was stopped */
	TAILQ_ENTRY(loop_timer) link;
};

struct loop {
	struct timeline *timeline;
	bool frozen, stopped;
	TAILQ_HEAD(, loop_timer) timers;
};

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->timeline = timeline_in_use();
	assert(l->timeline);
	TAILQ_INIT(&l->timers);
	return l;
}

/* Alone on its timeline. */
void loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped && timeline_step(l->timeline, INT64_MAX)) {
	}
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

void loop_free(struct loop *l)
{
	struct loop_timer *t;

	if (!l)
		return;
	while ((t = TAILQ_FIRST(&l->timers)) != NULL)
		loop_timer_free(t);
	free(l);
}

/* For children, which nobody starts here. */
uv_loop_t *loop_uv(struct loop *l)
{
	(void)l;
	abort();
}

struct mono loop_now(struct loop *l)
{
	(void)l;
	return mono_now();
}

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_fn *fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	TAILQ_INSERT_TAIL(&l->timers, t, link);
	return t;
}

static void on_due(void *arg)
{
	struct loop_timer *t = arg;

	t->moment = NULL;
	t->late = t->loop->frozen;
	if (!t->late)
		t->fn(t->arg);
}

void loop_timer_arm(struct loop_timer *t, int64_t delay_ms)
{
	struct timeline *timeline = t->loop->timeline;

	loop_timer_stop(t);
	t->moment = timeline_at(timeline, timeline_ms(timeline) + (delay_ms > 0 ? delay_ms : 0), on_due, t);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t->moment)
		timeline_cancel(t->loop->timeline, t->moment);
	t->moment = NULL;
	t->late = false;
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_stop(t);
	TAILQ_REMOVE(&t->loop->timers, t, link);
	free(t);
}

void loop_freeze(struct loop *l, bool frozen)
{
	struct loop_timer *t;

	l->frozen = frozen;
	if (frozen)
		return;
	TAILQ_FOREACH(t, &l->timers, link)
	if (t->late)
		loop_timer_arm(t, 0);
}

/* Nobody sends any. */
void loop_on_signal(struct loop *l, int signum, loop_signal_fn *fn, void *arg)
{
	(void)l;
	(void)signum;
	(void)fn;
	(void)arg;
}
