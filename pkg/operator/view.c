/* How old what the stores show may be. */
#include "base/host.h"
#include "operator/internal.h"

#define CATCH_UP_MS (2 * MS_PER_S) /* in which what was missed comes in */
#define AWAY_MS MS_PER_S           /* a shorter absence is as a late event */
#define BEAT_MS (5 * MS_PER_S)
#define STOPPED_MS (2 * MS_PER_S) /* a loop that is so late did not run for a while */

/* Those that counts are lowered by. */
static const enum kind kinds[] = {KIND_ENDPOINT, KIND_DEPLOYMENT, KIND_POD, KIND_NODE};

/* What was missed is read before any timer runs: whoever acts on it cannot wait for the beat to find out. */
static bool was_stopped(const struct controller *op)
{
	return boot_now().ms - op->beat_due.ms >= STOPPED_MS;
}

bool view_is_current(const struct controller *op)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!informer_current(op->informers[kinds[i]]))
			return false;
	return !was_stopped(op) && loop_now(op->loop).ms >= op->view_from.ms;
}

static void wait_for_view(struct controller *op)
{
	op->view_from.ms = loop_now(op->loop).ms + CATCH_UP_MS;
	loop_timer_arm(op->pump, CATCH_UP_MS);
}

void view_away(struct controller *op, enum kind kind)
{
	if (op->away_since[kind].ms == 0)
		op->away_since[kind] = loop_now(op->loop);
}

void view_returned(struct controller *op, enum kind kind)
{
	int64_t away_ms = loop_now(op->loop).ms - op->away_since[kind].ms;

	op->away_since[kind].ms = 0;
	loop_timer_arm(op->pump, 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds) && op->started && away_ms >= AWAY_MS; i++)
		if (kinds[i] == kind)
			wait_for_view(op);
}

void view_beat(void *arg)
{
	struct controller *op = arg;

	if (was_stopped(op))
		wait_for_view(op);
	op->beat_due.ms = boot_now().ms + BEAT_MS;
	loop_timer_arm(op->beat, BEAT_MS);
}
