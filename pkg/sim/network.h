#pragma once
/* What is between a process and the API server, and what happens there: this is net/http.h in virtual time. A request takes
 * its time to arrive and so does the answer; either may be lost. A watch has an order, and a delay of its own. Faults are set
 * here by the acts of a story. */
#include "sim/api.h"

struct network;
struct loop;

struct network *network_new(struct api *a);
void network_free(struct network *n); /* after all processes. NULL is fine */
struct api *network_api(const struct network *n);

/* What becomes of a request. */
enum network_fault {
	NETWORK_REFUSED,     /* no connection: never sent */
	NETWORK_RESET,       /* on the way there: sent, not applied */
	NETWORK_LOST,        /* applied, and the answer is lost with the connection */
	NETWORK_SILENT,      /* applied, and no answer ever comes */
	NETWORK_CONFLICT,    /* 409, not applied */
	NETWORK_BUSY,        /* 429 with Retry-After: 1, not applied */
	NETWORK_UNAVAILABLE, /* 503, not applied */
	NETWORK_ERROR,       /* 500, applied all the same */
	NETWORK_FAULT_COUNT,
};
const char *network_fault_name(enum network_fault f); /* "refused", ... */

/* The next `count` writes (of anybody, leases and Events left out) have this fault. */
void network_fail_writes(struct network *n, enum network_fault f, unsigned count);
/* on_write is called with the next-but-`skip` write: before it is sent, once it is applied while its answer is on its way, or
 * right after the answer was taken. For crashes. */
enum network_point { NETWORK_BEFORE, NETWORK_DURING, NETWORK_AFTER };
void network_at_write(struct network *n, unsigned skip, enum network_point p, timeline_fn *fn, void *arg);
/* All requests fail with NETWORK_REFUSED and all streams end, until then. */
void network_down(struct network *n, int64_t until_ms);

/* What becomes of a kind's events. */
enum network_watch_fault {
	NETWORK_WATCH_LATE,    /* all that comes from now on is held back until then */
	NETWORK_WATCH_CUT,     /* the streams end, and are opened again */
	NETWORK_WATCH_EXPIRED, /* the streams end with 410 Gone: a new list */
	NETWORK_WATCH_TWICE,   /* the next event comes twice */
	NETWORK_WATCH_DROP,    /* the next event is not told; then the stream expires */
	NETWORK_WATCH_FAULT_COUNT,
};
const char *network_watch_fault_name(enum network_watch_fault f); /* "late", ... */
void network_fail_watch(struct network *n, enum api_kind kind, enum network_watch_fault f, int64_t until_ms);

/* Faults are over: nothing that was planned above is left. */
void network_heal(struct network *n);

/* Called when a request that changes something is applied. */
typedef void network_write_fn(void *arg, const struct api_write *w, const json_t *body);
void network_on_write(struct network *n, network_write_fn *fn, void *arg);
