#pragma once
/* How many instances of the new generation are asked for while older ones still serve. Pure. Today: one instance at a
 * time (surge 1; where no room for a surge is to be had because the pool is full of our own older instances, one is
 * taken away first). Blue/green, rolling batches, bakes and alarms get their place here: they decide targets
 * per fleet, and plan() fills each target. */
#include <stdbool.h>
#include <stdint.h>

struct rollout_input {
	int32_t desired;
	int32_t allowed;   /* of these, as many as the pools may have (maxInstanceCount) */
	int32_t new_ready; /* of the wanted revisions, all pools */
	int32_t old_ready; /* of everything else; what is not Ready there is not worth keeping */
	/* All that is asked of the new generation waits behind our own older instances. Changes old_keep alone. */
	bool no_room;
};
struct rollout_output {
	int32_t new_target; /* instances of the wanted revisions; at most allowed */
	int32_t old_keep;   /* Ready instances of older ones that must stay for now */
};
void rollout(const struct rollout_input *in, struct rollout_output *ret);
