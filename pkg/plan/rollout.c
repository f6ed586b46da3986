#include "plan/internal.h"

void rollout(const struct rollout_input *in, struct rollout_output *ret)
{
	/* Older ones also serve for those that no pool may have, until the new fleet is all that it may be. */
	bool done = in->new_ready >= in->allowed;
	int32_t keep = done ? 0 : min_i32(in->old_ready, in->desired - in->new_ready);
	int32_t surge;

	/* No room for the surge: one older instance makes room, if all the others serve. */
	if (in->no_room && keep > 0 && in->new_ready + in->old_ready >= in->allowed)
		keep--;
	/* As many new ones as there is no older one for, and one more while as many serve as may. The same with the one that
	 * makes room as without: else the next plan would ask for another. */
	surge = in->new_ready + keep >= in->allowed ? 1 : 0;
	ret->new_target = min_i32(in->allowed, max_i32(in->new_ready, in->allowed - keep) + surge);
	ret->old_keep = keep;
}
