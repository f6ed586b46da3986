#pragma once
/* How a copy of a resource is kept current: list, then watch, then again after whatever went wrong. A pure
 * state machine: it decides, informer.c acts.
 *
 * Streaming list (WatchList, KEP-3157) first; where the server refuses it (400, 404, 405, 422), answers
 * with something else or ends it before its end mark, pages, for an hour. 410 Expired means a new list, at
 * once for the first in a row. 429 waits as long as Retry-After says and goes on where it was. A refused
 * connection or a 5xx backs off with jitter (0.8 s doubling to at most 3 s while the server is away, so
 * that recovery is quick; to 30 s for a 4xx) and goes on with the watch or the page. Other 4xx than 401,
 * 403 and 429, and a stream that cannot be read, mean a new list after the back-off. A watch that ends
 * cleanly is opened again, but not within a second of its opening; one that ends within a second without
 * an event counts as a failure. Failures are forgotten once a call has lasted 10 s. */
#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/err.h"

enum reflector_state {
	REFLECTOR_STOPPED,
	REFLECTOR_STREAM_LIST, /* a watch with sendInitialEvents is open, its end not yet seen */
	REFLECTOR_PAGE_LIST,   /* a page is asked for */
	REFLECTOR_WATCH,       /* a watch is open */
	REFLECTOR_WAIT,        /* a timer runs; `next` says what then */
};

#define REFLECTOR_RV_SIZE 64
#define REFLECTOR_CONTINUE_SIZE 8192

struct reflector {
	enum reflector_state state;
	enum reflector_state next; /* REFLECTOR_WAIT only */
	/* To watch from; "" when a list is needed. */
	char resource_version[REFLECTOR_RV_SIZE];
	char *continue_token;   /* of the next page; NULL for the first */
	bool streaming_refused; /* the server does not do streaming lists; asked again after an hour */
	bool synced;            /* a complete list has been seen since the start */
	unsigned failures;      /* in a row */
	unsigned denied;        /* of the last of them in a row: a 401 or 403 */
	bool expired;           /* the last of them was a 410 */
	unsigned events;        /* seen in the current stream */
	struct mono opened, refused_at;
	uint64_t random; /* jitter: a generator of its own, seeded by the caller */
};

enum reflector_input_type {
	REFLECTOR_IN_START,
	REFLECTOR_IN_EVENT, /* an object event or a bookmark */
	REFLECTOR_IN_PAGE,  /* a page came in full and is in the store; in place of END */
	/* The call ended: err.code ERR_NONE for a clean end. Also for an ERROR event, with its Status: the
	 * caller drops the call itself. */
	REFLECTOR_IN_END,
	REFLECTOR_IN_TIMER,
	REFLECTOR_IN_STOP,
};
struct reflector_input {
	enum reflector_input_type type;
	const char *resource_version; /* EVENT, PAGE */
	bool initial_events_end;      /* EVENT */
	const char *continue_token;   /* PAGE: "" or NULL when it was the last */
	const struct err *err;        /* END */
};

enum reflector_effect_type {
	/* GET ?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&... */
	REFLECTOR_FX_OPEN_STREAM_LIST,
	/* GET ?limit=100[&continue=...] */
	REFLECTOR_FX_OPEN_PAGE,
	/* GET ?watch=1&resourceVersion=...&allowWatchBookmarks=true&timeoutSeconds=... */
	REFLECTOR_FX_OPEN_WATCH,
	REFLECTOR_FX_CLOSE, /* cancel the open call */
	/* What is not seen until LIST_END is gone. Comes again when a list breaks and starts anew. */
	REFLECTOR_FX_LIST_BEGIN,
	REFLECTOR_FX_LIST_END,
	REFLECTOR_FX_TIMER, /* give IN_TIMER after delay_ms */
};
struct reflector_effect {
	enum reflector_effect_type type;
	int64_t delay_ms;  /* TIMER */
	int64_t timeout_s; /* OPEN_STREAM_LIST, OPEN_WATCH: the server-side timeout, random in 5..10 minutes */
};
#define REFLECTOR_MAX_EFFECTS 4

void reflector_init(struct reflector *r, uint64_t seed);
void reflector_done(struct reflector *r);
/* Returns how many effects were written, to be carried out in order. Inputs that do not belong to the
 * present state (a late timer, an end after STOP) are ignored. */
unsigned reflector_step(struct reflector *r, const struct reflector_input *in, struct mono now,
                        struct reflector_effect fx[static REFLECTOR_MAX_EFFECTS]);
