#pragma once
/* Bytes of a watch stream -> events. Pure. A watch is lines of JSON, one event each
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes). */
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/jscan.h"

enum watch_event_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event {
	enum watch_event_type type;
	struct slice object;          /* the object's JSON, see watch_raw_object(); valid until the next call */
	const char *resource_version; /* of the object, "" if it has none; valid until the next call */
	bool initial_events_end;      /* bookmark annotation k8s.io/initial-events-end */
	struct err status;            /* WATCH_ERROR: the Status as an error (410 Expired, ...) */
};

/* etcd's objects stay below 1.5 MiB; as JSON with managed fields a little more. */
#define WATCH_MAX_LINE_BYTES (4u << 20)

struct watch_decoder {
	struct buf line; /* the incomplete tail */
	struct buf rv;
};
void watch_decoder_init(struct watch_decoder *d);
void watch_decoder_done(struct watch_decoder *d);
void watch_decoder_reset(struct watch_decoder *d);

/* Feed bytes as they come, cut anywhere. fn is called for each complete line; it returns 0, or -1 to stop
 * (then -1 is returned and err is as fn left it). A line that is no event, or too long, is an error: the
 * stream cannot be trusted any more. After -1 the rest is dropped: reset before a new stream. An object
 * that is not understood is not the decoder's matter. Empty lines are skipped. */
typedef int watch_event_fn(void *arg, const struct watch_event *e, struct err *err);
int watch_decoder_feed(struct watch_decoder *d, struct slice bytes, watch_event_fn *fn, void *arg,
                       struct err *err);

/* The next value, an object, and where it stood. Unlike with jscan_raw() its inside need not be what jscan
 * accepts (it may hold \u0000, say): brackets and quotes tell its end, so that one such object does not
 * hide those behind it. */
int watch_raw_object(struct jscan *s, struct slice *ret);
