/* What keeps us from writing until somebody mends it: a CRD that is older than we are, a right that is missing. Each endpoint
 * that meets one says so, and when it is past it; /readyz tells as long as one does. */
#include "operator/internal.h"

void schema_lacks(struct work *w, const struct err *err)
{
	w->op->n_old_schema += !w->old_schema;
	w->old_schema = true;
	trouble_schema(w->op->trouble, err, loop_now(w->op->loop));
}

static void schema_forget(struct work *w)
{
	w->op->n_old_schema -= w->old_schema;
	w->old_schema = false;
}

/* The status of another endpoint may have fewer fields. */
void schema_known(struct work *w)
{
	schema_forget(w);
	if (w->op->n_old_schema == 0)
		trouble_schema(w->op->trouble, NULL, loop_now(w->op->loop));
}

void right_lacks(struct work *w, const struct kube_resource *r, const struct err *err)
{
	char hint[TROUBLE_HINT_SIZE];

	trouble_hint(r, err, hint);
	if (!w->no_right) {
		w->op->n_no_right++;
		w->no_right_since = loop_now(w->op->loop);
	}
	free(w->no_right);
	w->no_right = xasprintf("%s; %s", err->message, hint);
}

static void right_forget(struct work *w, bool say)
{
	if (!w->no_right)
		return;
	free(w->no_right);
	w->no_right = NULL;
	if (--w->op->n_no_right == 0)
		trouble_rights_over(w->op->trouble, say, loop_now(w->op->loop));
}

/* What is asked again later was not tried meanwhile. */
static bool awaits_right(const struct work *w)
{
	int64_t now_ms = loop_now(w->op->loop).ms;

	for (const struct refusal *r = w->refusals; r; r = r->next)
		if (r->no_right && now_ms < r->retry_at.ms)
			return true;
	return false;
}

void right_regained(struct work *w)
{
	if (!awaits_right(w))
		right_forget(w, true);
}

void obstacles_forget(struct work *w)
{
	schema_forget(w);
	right_forget(w, false);
}

static int tell_right(void *arg, const char *key, void *value)
{
	const struct work *w = value;

	(void)key;
	if (!w->no_right || loop_now(w->op->loop).ms - w->no_right_since.ms < TROUBLE_PASSING_MS)
		return 0;
	err_set(arg, ERR_INVALID, "%s", w->no_right);
	return 1;
}

bool obstacles_none(const struct controller *op, struct err *err)
{
	if (op->n_old_schema > 0)
		return err_set(err, ERR_INVALID, "%s", TROUBLE_SCHEMA) == 0;
	return op->n_no_right == 0 || map_each(&op->works, tell_right, err) == 0;
}
