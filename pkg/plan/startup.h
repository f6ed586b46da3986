#pragma once
/* Instances that have a node and are not Ready: what is wrong, and since when is it too long? A pure reading of the
 * pods. Never a matter of capacity; what to do about it, plan.h decides. */
#include "api/endpoint.h"
#include "api/views.h"
#include "base/arena.h"

struct startup_input {
	const struct pod *const
		*pods; /* one pool's, bound and not Ready; sorted, the first that has something to tell is
	                                * told of */
	size_t n_pods;
	int64_t download_timeout_ms; /* from the node to the end of the init containers */
	int64_t startup_timeout_ms;  /* from there, or from the node, to the first Ready */
};

struct startup_output {
	int32_t failed;          /* were not Ready in time; one that was Ready once is none of these */
	struct wall deadline;    /* when the next one fails; not set: never */
	enum pool_reason reason; /* what is known to be wrong, in time or not; NONE: nothing */
	/* A sentence in the arena, NULL for NONE; the same whatever the kubelet's clocks and retries say. */
	const char *message;
};

/* Of one that is bound and not Ready; the pods of `in` are not looked at. */
bool startup_failed(const struct startup_input *in, const struct pod *p, struct wall now);
void startup_look(const struct startup_input *in, struct wall now, struct arena *a,
                  struct startup_output *ret);
