#include "plan/rollout.h"

static int32_t at_least_zero(int32_t n)
{
	return n > 0 ? n : 0;
}

static int32_t smaller(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

void rollout(const struct rollout_input *in, struct rollout_output *ret)
{
	int32_t missing = at_least_zero(in->desired - in->new_ready);
	int32_t keep = smaller(in->old_ready, missing);
	int32_t surge;

	/* No room for the surge: one older instance makes room, if all the others serve. */
	if (in->no_room && keep > 0 && in->new_ready + in->old_ready >= in->desired)
		keep--;
	/* As many new ones as there is no older one for, and one more while nothing is missing. */
	surge = in->new_ready + keep >= in->desired ? 1 : 0;
	ret->new_target = smaller(in->desired, in->desired - keep + surge);
	ret->old_keep = keep;
}
