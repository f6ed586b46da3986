#include "net/loop.h"
#include <sys/queue.h>
#include "base/mem.h"

struct loop_timer {
	uv_timer_t uv; /* first: the close callback frees the whole */
	struct loop *loop;
	loop_timer_fn *fn;
	void *arg;
	bool due;       /* on loop->due */
	uint64_t round; /* of loop->round when it came there */
	TAILQ_ENTRY(loop_timer) link;
	TAILQ_ENTRY(loop_timer) due_link;
};

struct loop_signal {
	uv_signal_t uv; /* first, as above */
	loop_signal_fn *fn;
	void *arg;
	TAILQ_ENTRY(loop_signal) link;
};

TAILQ_HEAD(timer_list, loop_timer);
TAILQ_HEAD(signal_list, loop_signal);

struct loop {
	uv_loop_t uv;
	uv_idle_t idle; /* active while timers are due at once */
	uint64_t round;
	struct timer_list timers;
	struct timer_list due;
	struct signal_list signals;
};

/* uv_timer_start(0) from a timer callback would run in the same pass of libuv's timers, so that a timer which
 * re-arms itself starves the sockets. Timers due at once have their own list therefore, run once per iteration. */
static void run_due(uv_idle_t *idle)
{
	struct loop *l = idle->data;
	uint64_t round = l->round++;
	struct loop_timer *t;
	while ((t = TAILQ_FIRST(&l->due)) != NULL && t->round <= round) {
		loop_timer_stop(t);
		t->fn(t->arg);
	}
	if (TAILQ_EMPTY(&l->due))
		uv_idle_stop(&l->idle);
}

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	/* Both fail only without memory or descriptors at start. */
	if (uv_loop_init(&l->uv) != 0 || uv_idle_init(&l->uv, &l->idle) != 0)
		abort();
	l->idle.data = l;
	TAILQ_INIT(&l->timers);
	TAILQ_INIT(&l->due);
	TAILQ_INIT(&l->signals);
	return l;
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

uv_loop_t *loop_uv(struct loop *l)
{
	return &l->uv;
}

struct mono loop_now(struct loop *l)
{
	return (struct mono){(int64_t)uv_now(&l->uv)};
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

void loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	struct loop_timer *t;
	while ((t = TAILQ_FIRST(&l->timers)) != NULL)
		loop_timer_free(t);
	struct loop_signal *s;
	while ((s = TAILQ_FIRST(&l->signals)) != NULL) {
		TAILQ_REMOVE(&l->signals, s, link);
		uv_close((uv_handle_t *)&s->uv, free_handle);
	}
	uv_close((uv_handle_t *)&l->idle, NULL);
	/* The first run may only eat a pending loop_stop(). */
	for (int i = 0; i < 3 && uv_loop_alive(&l->uv); i++)
		uv_run(&l->uv, UV_RUN_NOWAIT);
	if (uv_loop_close(&l->uv) != 0)
		abort(); /* somebody's handle is still open: a use after free to come */
	free(l);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_fn *fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	uv_timer_init(&l->uv, &t->uv);
	TAILQ_INSERT_TAIL(&l->timers, t, link);
	return t;
}

static void on_timer(uv_timer_t *h)
{
	struct loop_timer *t = (struct loop_timer *)h;
	t->fn(t->arg);
}

void loop_timer_arm(struct loop_timer *t, int64_t delay_ms)
{
	loop_timer_stop(t);
	if (delay_ms > 0) {
		uv_timer_start(&t->uv, on_timer, (uint64_t)delay_ms, 0);
		return;
	}
	struct loop *l = t->loop;
	t->due = true;
	t->round = l->round;
	TAILQ_INSERT_TAIL(&l->due, t, due_link);
	uv_idle_start(&l->idle, run_due);
}

void loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
	if (t->due) {
		TAILQ_REMOVE(&t->loop->due, t, due_link);
		t->due = false;
	}
}

void loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	loop_timer_stop(t);
	TAILQ_REMOVE(&t->loop->timers, t, link);
	uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct loop_signal *s = (struct loop_signal *)h;
	s->fn(s->arg, signum);
}

void loop_on_signal(struct loop *l, int signum, loop_signal_fn *fn, void *arg)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	uv_signal_init(&l->uv, &s->uv);
	TAILQ_INSERT_TAIL(&l->signals, s, link);
	if (uv_signal_start(&s->uv, on_signal, signum) != 0)
		abort(); /* not a signal that can be caught */
	uv_unref((uv_handle_t *)&s->uv);
}
