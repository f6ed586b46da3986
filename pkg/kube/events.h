#pragma once
/* Kubernetes Events in plain words. Best effort: bounded, folded (the same words about the same object become
 * a count), never in the way of anything else. */
#include "kube/client.h"

struct event_recorder;

struct event_ref {
	const char *api_version, *kind, *ns, *name, *uid;
};
enum event_type { EVENT_NORMAL, EVENT_WARNING };

/* component: as source.component and reportingComponent ("instancepool-operator"). */
struct event_recorder *event_recorder_new(struct kube_client *c, const char *component, const char *instance);
void event_recorder_free(struct event_recorder *r);
/* fn is told why an Event was given up: the last failure of its request. */
void event_recorder_on_failure(struct event_recorder *r, void (*fn)(void *arg, const struct err *err),
                               void *arg);
/* reason: CamelCase, constant. message: a sentence, cut at 1024 bytes. All copied. At most 64 wait; more are
 * dropped and counted. The name of the Event is a function of object, type, reason and message, so that a
 * repetition within an hour is a patch of its count. */
void event_emit(struct event_recorder *r, const struct event_ref *ref, enum event_type type,
                const char *reason, const char *message);
uint64_t event_recorder_dropped(const struct event_recorder *r);
