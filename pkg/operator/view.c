/* How old what the stores show may be. */
#include "operator/internal.h"

#define CATCH_UP_MS (2 * MS_PER_S) /* in which what was missed comes in */
#define STOPPED_MS (2 * MS_PER_S)  /* a loop that is so late did not run for a while */

bool view_is_current(const struct controller *op)
{
	static const enum kind kinds[] = {KIND_ENDPOINT, KIND_DEPLOYMENT, KIND_POD, KIND_NODE};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!informer_current(op->informers[kinds[i]]))
			return false;
	return loop_now(op->loop).ms >= op->view_from.ms;
}

static void wait_for_view(struct controller *op)
{
	op->view_from.ms = loop_now(op->loop).ms + CATCH_UP_MS;
	pump_in(op, CATCH_UP_MS);
}

void view_returned(struct controller *op)
{
	if (op->started)
		wait_for_view(op);
}

void view_note_pump(struct controller *op)
{
	if (loop_now(op->loop).ms - op->pump_due.ms >= STOPPED_MS)
		wait_for_view(op);
}
