#pragma once
/* What is between a process and the API server: net/http.h in virtual time (http.c) asks this for everything. A request takes
 * its time to arrive and so does the answer; either may be lost. A watch has an order, and a delay of its own. Faults are set
 * here by the acts of a story; a write is a request that changes something, but for leases and Events. */
#include "base/str.h"
#include "sim/api_request.h"

struct network;

/* Clients that are made from now on use it. One at a time in a process. */
struct network *network_new(struct api *a);
void network_free(struct network *n); /* after all clients. NULL is fine */

/* What becomes of a write. */
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
/* The next `count` writes have it. */
void network_fail_writes(struct network *n, enum network_fault f, unsigned count);

/* All requests are refused, all streams end. */
void network_down(struct network *n, int64_t until_ms);

/* What becomes of a kind's events. */
enum network_watch_fault {
	NETWORK_WATCH_LATE,    /* all that comes from now on is held back until then */
	NETWORK_WATCH_CUT,     /* the streams end, and are opened again */
	NETWORK_WATCH_EXPIRED, /* the streams end with 410 Gone: a new list */
	NETWORK_WATCH_TWICE,   /* the next event comes twice */
	NETWORK_WATCH_DROP,    /* the next event is not told; a moment later the stream expires */
	NETWORK_WATCH_FAULT_COUNT,
};
const char *network_watch_fault_name(enum network_watch_fault f); /* "late", ... */
void network_fail_watch(struct network *n, enum api_kind kind, enum network_watch_fault f, int64_t until_ms);

/* A crash: what happens to the process that sends the next write but `skip`. BEFORE: it is never sent. DURING: it is applied,
 * the answer is never seen. AFTER: the answer is seen, and what is done with it is not. From that instant nothing that the
 * process does arrives, until network_reconnect(); fn is called in the same millisecond and has to kill it. */
enum network_point { NETWORK_BEFORE, NETWORK_DURING, NETWORK_AFTER };
#define NETWORK_POINT_COUNT 3
const char *network_point_name(enum network_point p); /* "before", "during", "after" */
typedef void network_crash_fn(void *arg, const char *who);
void network_crash_at(struct network *n, unsigned skip, enum network_point p, network_crash_fn *fn,
                      void *arg);
void network_reconnect(struct network *n, const char *who);

/* Nothing that was planned above is left. */
void network_heal(struct network *n);

/* Called when a write was applied: what came of it, whose it was. At most 4. */
typedef void network_write_fn(void *arg, const char *who, const struct api_request *r, int status);
void network_on_write(struct network *n, network_write_fn *fn, void *arg);

/* ---- for http.c ---- */

/* One call on its way. The callbacks come from the timeline, and none once network_forget() was called: the request may be
 * applied all the same. */
struct network_call;
struct network_end {
	enum err_code code; /* ERR_NONE: answered; ERR_CONNECT: never sent; ERR_TRANSPORT */
	int status;
	int64_t retry_after_ms; /* -1: none */
	struct slice body;      /* valid during the call */
};
struct network_callbacks {
	void (*on_open)(void *arg);                    /* a watch: it has begun */
	void (*on_data)(void *arg, struct slice data); /* a watch: whole lines */
	void (*on_end)(void *arg, const struct network_end *end);
	void *arg;
};
/* r's path and body are copied, its other strings must outlive the network; who is of network_name(). */
struct network_call *network_send(struct network *n, const char *who, const struct api_request *r,
                                  const struct network_callbacks *cb);
void network_forget(struct network_call *c);
struct network *network_in_use(void);
/* The network's own copy of a process's name. */
const char *network_name(struct network *n, const char *who);
