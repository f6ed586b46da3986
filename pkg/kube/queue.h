#pragma once
/* The work queue: keys to reconcile. A key is never given out twice at the same time; a key added while it
 * is being worked on comes again afterwards. Two priorities: a fresh change overtakes the backlog (of a
 * start, of timers that are due), which still gets every eighth turn. Pure but for memory: time comes in
 * as an argument. The same idea as client-go's util/workqueue. */
#include <stdbool.h>
#include <stddef.h>
#include "base/clock.h"

struct queue;
enum queue_priority { QUEUE_BACKLOG, QUEUE_FRESH };

struct queue_options {
	int64_t backoff_base_ms; /* first retry; doubles per failure */
	int64_t backoff_max_ms;
};

struct queue *queue_new(const struct queue_options *o);
void queue_free(struct queue *q);
/* Ready now, whatever timer or back-off it had. Raises the priority of a key that waits already. */
void queue_add(struct queue *q, const char *key, enum queue_priority p);
/* Ready at `when`, or earlier if it was to be earlier. Does not disturb a key that is ready. A key has one
 * time; it is forgotten when the key gets ready, as the work decides anew: set it again while working. */
void queue_add_at(struct queue *q, const char *key, struct mono when);
/* The next ready key, now being worked on; borrowed until queue_finish(). NULL: nothing ready. */
const char *queue_take(struct queue *q, struct mono now);
/* Work on the key ended. failed: it comes again after its back-off (doubling, with up to 10 % taken off so
 * that keys do not meet), or at once if it was added meanwhile; otherwise its back-off is forgotten. */
void queue_finish(struct queue *q, const char *key, bool failed, struct mono now);
/* When queue_take() will next have something: now or later; false when there is nothing to wait for. */
bool queue_next(const struct queue *q, struct mono now, struct mono *ret);
size_t queue_depth(const struct queue *q);   /* ready, not taken */
size_t queue_working(const struct queue *q); /* taken */
