#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "net/loop.h"

/* What the callbacks did, as letters in order. */
struct diary {
	char text[32];
	size_t len;
	struct loop *loop;
};

struct entry {
	struct diary *diary;
	char letter;
	struct loop_timer *timer;
	struct loop_timer *other; /* what it acts upon */
	void (*act)(struct entry *e);
	int times;
};

static void write_letter(struct diary *d, char letter)
{
	assert_true(d->len < sizeof(d->text) - 1);
	d->text[d->len++] = letter;
}

static void on_timer(void *arg)
{
	struct entry *e = arg;
	write_letter(e->diary, e->letter);
	if (e->act)
		e->act(e);
}

static struct entry *entry_new(struct diary *d, char letter, void (*act)(struct entry *))
{
	struct entry *e = xcalloc(1, sizeof(*e));
	*e = (struct entry){.diary = d, .letter = letter, .act = act};
	e->timer = loop_timer_new(d->loop, on_timer, e);
	return e;
}

static void entry_free(struct entry *e)
{
	loop_timer_free(e->timer);
	free(e);
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	struct entry *a = entry_new(&d, 'a', NULL), *b = entry_new(&d, 'b', NULL), *c = entry_new(&d, 'c', NULL);
	struct mono before = loop_now(d.loop);
	loop_timer_arm(a->timer, 30);
	loop_timer_arm(b->timer, 10);
	loop_timer_arm(c->timer, 0);
	loop_timer_arm(c->timer, 20); /* replaces */
	assert_string_equal(d.text, "");
	loop_run(d.loop);
	assert_string_equal(d.text, "bca");
	assert_true(loop_now(d.loop).ms - before.ms >= 30);
	entry_free(a);
	entry_free(b);
	entry_free(c);
	loop_free(d.loop);
}

static void act_stop_other(struct entry *e)
{
	loop_timer_stop(e->other);
}

static void stopped_timers_do_not_fire(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	struct entry *a = entry_new(&d, 'a', act_stop_other), *b = entry_new(&d, 'b', NULL);
	struct entry *c = entry_new(&d, 'c', NULL);
	a->other = b->timer;
	/* Due in the same pass, in both lists. */
	loop_timer_arm(a->timer, 0);
	loop_timer_arm(b->timer, 0);
	loop_timer_arm(c->timer, -5);
	loop_run(d.loop);
	assert_string_equal(d.text, "ac");
	loop_timer_arm(a->timer, 5);
	loop_timer_arm(b->timer, 5);
	loop_run(d.loop);
	assert_string_equal(d.text, "aca");
	loop_timer_stop(c->timer); /* not armed: nothing */
	entry_free(a);
	entry_free(b);
	entry_free(c);
	loop_free(d.loop);
}

static void act_free_self(struct entry *e)
{
	loop_timer_free(STEAL_PTR(e->timer));
}

static void a_timer_may_free_itself(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	struct entry *a = entry_new(&d, 'a', act_free_self), *b = entry_new(&d, 'b', act_free_self);
	loop_timer_arm(a->timer, 0);
	loop_run(d.loop);
	loop_timer_arm(b->timer, 1);
	loop_run(d.loop);
	assert_string_equal(d.text, "ab");
	entry_free(a);
	entry_free(b);
	loop_free(d.loop);
}

static void act_again(struct entry *e)
{
	if (--e->times > 0)
		loop_timer_arm(e->timer, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	assert_int_equal(status, 0);
	write_letter(poll->data, 'r');
	uv_poll_stop(poll);
}

static void a_timer_due_at_once_does_not_starve_sockets(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	struct entry *a = entry_new(&d, 'a', act_again), *b = entry_new(&d, 'b', act_again);
	a->times = 4;
	b->times = 2;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	uv_poll_t poll = {.data = &d};
	assert_int_equal(uv_poll_init(loop_uv(d.loop), &poll, fds[0]), 0);
	assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
	loop_timer_arm(a->timer, 0);
	loop_timer_arm(b->timer, 0);
	loop_run(d.loop);
	assert_string_equal(d.text, "abrabaa");
	uv_close((uv_handle_t *)&poll, NULL);
	entry_free(a);
	entry_free(b);
	loop_free(d.loop);
	close(fds[0]);
	close(fds[1]);
}

static void act_stop_loop(struct entry *e)
{
	loop_stop(e->diary->loop);
}

static void stop_ends_the_run(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	struct entry *a = entry_new(&d, 'a', act_stop_loop), *b = entry_new(&d, 'b', NULL);
	loop_timer_arm(a->timer, 0);
	loop_timer_arm(b->timer, 60000);
	loop_run(d.loop);
	assert_string_equal(d.text, "a");
	/* Before the run: that run returns at once. */
	loop_stop(d.loop);
	loop_run(d.loop);
	assert_string_equal(d.text, "a");
	loop_stop(d.loop);
	free(a); /* loop_free() takes the timers */
	free(b);
	loop_free(d.loop);
	loop_free(NULL);
	loop_timer_free(NULL);
}

static void on_signal(void *arg, int signum)
{
	struct diary *d = arg;
	write_letter(d, signum == SIGUSR1 ? '1' : '2');
	if (d->len == 3)
		loop_stop(d->loop);
}

static void signals_are_delivered_each_time(void **state)
{
	(void)state;
	struct diary d = {.loop = loop_new()};
	loop_on_signal(d.loop, SIGUSR1, on_signal, &d);
	loop_on_signal(d.loop, SIGUSR2, on_signal, &d);
	loop_run(d.loop); /* handlers alone do not keep it running */
	struct entry *guard = entry_new(&d, 'x', act_stop_loop);
	loop_timer_arm(guard->timer, 10000);
	raise(SIGUSR1);
	assert_string_equal(d.text, "");
	raise(SIGUSR2);
	raise(SIGUSR1);
	loop_run(d.loop);
	assert_string_equal(d.text, "121");
	entry_free(guard);
	loop_free(d.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_the_order_of_their_times),
		cmocka_unit_test(stopped_timers_do_not_fire),
		cmocka_unit_test(a_timer_may_free_itself),
		cmocka_unit_test(a_timer_due_at_once_does_not_starve_sockets),
		cmocka_unit_test(stop_ends_the_run),
		cmocka_unit_test(signals_are_delivered_each_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
