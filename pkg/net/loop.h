#pragma once
/* The one libuv event loop and the two things everybody needs of it: timers and signals. Everything runs on
 * one thread. No callback of this package ever runs before the function that registered it has returned. */
#include <stdint.h>
#include <uv.h>
#include "base/clock.h"

struct loop;

struct loop *loop_new(void);
/* Runs until loop_stop() or until nothing is left to wait for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Closes what is still open (timers, signals), runs the close callbacks, frees. NULL is fine. */
void loop_free(struct loop *l);
uv_loop_t *loop_uv(struct loop *l);   /* borrowed; for pkg/net and tests only */
struct mono loop_now(struct loop *l); /* the loop's cached monotonic time */

/* A one-shot timer. Owned by the caller; loop_timer_free() may be called from its own callback. */
struct loop_timer;
typedef void loop_timer_fn(void *arg);
struct loop_timer *loop_timer_new(struct loop *l, loop_timer_fn *fn, void *arg);
/* Replaces an earlier arm; <= 0: next iteration. */
void loop_timer_arm(struct loop_timer *t, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine; the callback will not run any more */

/* Calls fn at each arrival of the signal until the loop is freed. Does not keep loop_run() from returning. */
typedef void loop_signal_fn(void *arg, int signum);
void loop_on_signal(struct loop *l, int signum, loop_signal_fn *fn, void *arg);
