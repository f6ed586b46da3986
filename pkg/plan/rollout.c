#include "plan/rollout.h"

static int32_t smaller(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

void rollout(const struct rollout_input *in, struct rollout_output *ret)
{
	/* Older ones also serve for those that no pool may have, until the new fleet is all that it may be. */
	bool done = in->new_ready >= in->allowed;
	int32_t keep = done ? 0 : smaller(in->old_ready, in->desired - in->new_ready);
	/* As many new ones as there is no older one for, and one more where that is what there is. */
	int32_t new_target = in->desired - keep;

	if (in->new_ready >= new_target)
		new_target++;
	ret->new_target = smaller(in->allowed, new_target);
	/* No room for one more: an older instance makes room, if all the others serve. */
	if (in->no_room && keep > 0 && in->new_ready + in->old_ready >= in->allowed)
		keep--;
	ret->old_keep = keep;
}
