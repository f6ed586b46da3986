#pragma once
/* Two kinds of time that must not be mixed: monotonic (intervals, timers) and wall (what the API and
 * people see). The types differ so that the compiler tells. Milliseconds both; ms == 0 in a wall time
 * means "not set". */
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct mono {
	int64_t ms;
};
struct wall {
	int64_t ms; /* since 1970-01-01T00:00:00Z */
};

#define MS_PER_S INT64_C(1000)

/* In host.c; for the outermost layers only, the pure parts get `now`. */
struct mono mono_now(void); /* CLOCK_MONOTONIC */
struct wall wall_now(void); /* CLOCK_REALTIME */

static inline bool wall_is_set(struct wall t)
{
	return t.ms != 0;
}
static inline struct wall wall_add(struct wall t, int64_t ms)
{
	return (struct wall){t.ms + ms};
}
static inline struct wall wall_max(struct wall a, struct wall b)
{
	return a.ms > b.ms ? a : b;
}
/* The Kubernetes API keeps seconds: what is written must be what will be read back. */
static inline struct wall wall_floor_s(struct wall t)
{
	return (struct wall){t.ms - t.ms % MS_PER_S};
}

#define WALL_RFC3339_SIZE 32
/* "2026-11-25T17:00:00Z", or with fraction "…00.123456Z" for MicroTime. */
void wall_format(struct wall t, char buf[static WALL_RFC3339_SIZE]);
void wall_format_micro(struct wall t, char buf[static WALL_RFC3339_SIZE]);
/* RFC 3339 with optional fraction (cut to ms) and any offset; no leap seconds, as in Go. */
int wall_parse(struct slice s, struct wall *ret, struct err *err);

/* "45s", "3m", "1h5m", "2d4h", "350ms" below a second: for messages and tables, two units at most, cut not
 * rounded. */
#define DURATION_TEXT_SIZE 24
void duration_format(int64_t ms, char buf[static DURATION_TEXT_SIZE]);

/* "45s", "3m10s", "25m", "7h5m", "2d4h", "30d": as kubectl writes ages. */
#define AGE_TEXT_SIZE 32
void age_format(int64_t ms, char buf[static AGE_TEXT_SIZE]);
