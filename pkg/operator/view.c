/* How old what the stores show may be. */
#include "base/host.h"
#include "operator/internal.h"

#define CATCH_UP_MS (2 * MS_PER_S) /* in which what was missed comes in */
#define AWAY_MS MS_PER_S           /* a shorter absence is as a late event */
#define BEAT_MS (5 * MS_PER_S)
#define STOPPED_MS (2 * MS_PER_S) /* a loop that is so late did not run for a while */

/* Is it one of those that counts are lowered by? */
static bool is_decisive(enum kind k)
{
	return k == KIND_ENDPOINT || k == KIND_DEPLOYMENT || k == KIND_POD || k == KIND_NODE;
}

/* What was missed is read before any timer runs: whoever acts on it cannot wait for the beat to find out. */
static bool was_stopped(const struct controller *op)
{
	return boot_now().ms - op->beat_due.ms >= STOPPED_MS;
}

bool view_is_current(const struct controller *op)
{
	for (size_t i = 0; i < op->n_needed; i++)
		if (is_decisive(op->watched[i].kind) && !informer_current(op->watched[i].informer))
			return false;
	return !was_stopped(op) && loop_now(op->loop).ms >= op->view_from.ms;
}

static void wait_for_view(struct controller *op)
{
	op->view_from.ms = loop_now(op->loop).ms + CATCH_UP_MS;
	loop_timer_arm(op->pump, CATCH_UP_MS);
}

void view_away(struct watched *w)
{
	if (w->away_since.ms == 0)
		w->away_since = loop_now(w->op->loop);
}

void view_returned(struct watched *w)
{
	struct controller *op = w->op;
	int64_t away_ms = loop_now(op->loop).ms - w->away_since.ms;

	w->away_since.ms = 0;
	loop_timer_arm(op->pump, 0);
	if (op->started && away_ms >= AWAY_MS && is_decisive(w->kind))
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
