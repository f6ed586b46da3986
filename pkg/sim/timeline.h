#pragma once
/* Virtual time: what is to happen, in order. While a timeline exists it is the time of mono_now(), wall_now() and
 * boot_now() (base/host.h), and the source of host_random(): so everything that runs on it runs the same way again from the
 * same seed. One at a time in a process. */
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"

struct timeline;
struct moment;

#define TIMELINE_EPOCH_MS INT64_C(1795626000000) /* wall time 0: 2026-11-25T17:00:00Z */

struct timeline *timeline_new(uint64_t seed);
/* Forgets what has not happened. NULL is fine. */
void timeline_free(struct timeline *t);

struct timeline *timeline_in_use(void); /* NULL: none */

/* Milliseconds since the timeline began. */
int64_t timeline_ms(const struct timeline *t);
struct wall timeline_wall(const struct timeline *t);

/* fn runs at that time (or now, if it has passed), after what was planned for the same time before; never before
 * timeline_at() has returned. Borrowed handle, dead once fn is called. */
typedef void timeline_fn(void *arg);
struct moment *timeline_at(struct timeline *t, int64_t at_ms, timeline_fn *fn, void *arg);
void timeline_cancel(struct timeline *t, struct moment *m);

/* The next thing that is due at or before until_ms; false: there is none, and it is until_ms now. */
bool timeline_step(struct timeline *t, int64_t until_ms);

/* From low to high, both included. Of the world's chance; each user that must not disturb others has a stream of its own. */
int64_t timeline_random(struct timeline *t, int64_t low, int64_t high);
