/* One endpoint after the other: look, plan, start to act. */
#include "base/log.h"
#include "operator/internal.h"

/* Runs with writes under way; more endpoints wait in the queue, where a fresh change overtakes. */
#define MAX_RUNS 16u
/* The API server gives out cluster addresses one after the other: many asked for at once would time out. */
#define MAX_SERVICE_RUNS 6u
/* Counts change with every pod: so often they are told. */
#define PROGRESS_MS MS_PER_S
/* How long an instance may take to go after its Deployment's count was lowered. */
#define CONDEMNED_MS (5 * MS_PER_S)
/* How often a server that cannot be reached is asked. */
#define UNREACHABLE_MS MS_PER_S
/* Looked at before sockets have their turn again. */
#define MAX_BATCH 64u
#define RETRY_AFTER_MAX_MS (30 * MS_PER_S)
/* How long the garbage collector may take for what a deleted endpoint of the same name has left. */
#define LEFTOVERS_MS (30 * MS_PER_S)

static int give_service_turn(void *arg, const char *key, void *value)
{
	struct controller *op = arg;
	struct work *w = value;

	if (op->service_runs >= MAX_SERVICE_RUNS)
		return 1;
	op->service_runs++;
	w->has_service_turn = true;
	queue_add(op->queue, key, QUEUE_FRESH);
	map_remove(&op->service_line, key);
	return 0;
}

static void end_service_turn(struct work *w)
{
	if (w->has_service_turn)
		w->op->service_runs--;
	w->has_service_turn = false;
}

static void forget(struct controller *op, const char *key)
{
	struct work *w = map_remove(&op->works, key);

	shortages_tell(op->shortages, key, NULL, 0, wall_now());
	if (!w)
		return;
	map_remove(&op->service_line, key);
	end_service_turn(w);
	work_free(w);
}

struct work *work_find(const struct controller *op, const char *ns, const char *name)
{
	char key[KEY_SIZE];

	key_format(key, ns, name);
	return map_get(&op->works, key);
}

static struct work *work_of(struct controller *op, const struct endpoint *e, const char *key)
{
	struct work *w = map_get(&op->works, key);

	if (w && !str_eq(w->uid, e->meta.uid)) { /* deleted and made again under the same name */
		forget(op, key);
		w = NULL;
	}
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->op = op;
		w->key = xstrdup(key);
		w->ns = xstrdup(e->meta.ns);
		w->name = xstrdup(e->meta.name);
		w->uid = xstrdup(e->meta.uid);
		map_init(&w->given_up);
		map_put(&op->works, key, w);
	}
	return w;
}

static void wake_at(struct controller *op, const char *key, struct wall when, struct wall now)
{
	struct mono mono = loop_now(op->loop);

	if (wall_is_set(when))
		queue_add_at(op->queue, key, (struct mono){mono.ms + (when.ms > now.ms ? when.ms - now.ms : 0)});
}

/* One whose time has come has been tried by this plan, or is of a name that is no longer wanted. */
static void wake_after_pauses(const struct work *w)
{
	int64_t now_ms = loop_now(w->op->loop).ms;

	for (const struct refusal *r = w->refusals; r; r = r->next)
		if (r->retry_at.ms > now_ms)
			queue_add_at(w->op->queue, w->key, r->retry_at);
	for (size_t i = 0; i < w->n_restored; i++)
		if (w->restored[i].until.ms > now_ms)
			queue_add_at(w->op->queue, w->key, w->restored[i].until);
}

/* Was there an endpoint of the same name, whose objects still have our names? */
static bool waits_for_leftovers(struct controller *op, const char *key, const struct endpoint *e,
                                struct wall now)
{
	int64_t left_ms = e->meta.created.ms + LEFTOVERS_MS - now.ms;

	if (left_ms <= 0 || !observe_leftovers(op, e))
		return false;
	queue_add_at(op->queue, key, (struct mono){loop_now(op->loop).ms + left_ms});
	return true;
}

static bool create_companions(struct controller *op, const char *key, const struct endpoint *e,
                              struct work *w)
{
	struct companions missing = companions_missing(op, e, w);

	end_service_turn(w);
	if (missing.service && op->service_runs >= MAX_SERVICE_RUNS) {
		map_put(&op->service_line, key, w);
		return false;
	}
	if (missing.service || missing.budget)
		run_companions(w, e, missing);
	return missing.service || missing.budget;
}

/* True: not to be told yet. The key comes again when it is. */
static bool hold_progress(struct controller *op, const char *key, struct work *w,
                          const struct plan_output *out)
{
	struct mono now = loop_now(op->loop);

	if (!out->only_progress)
		return false;
	if (w->progress_at.ms == 0)
		w->progress_at.ms = now.ms + PROGRESS_MS;
	if (now.ms >= w->progress_at.ms)
		return false;
	queue_add_at(op->queue, key, w->progress_at);
	return true;
}

/* True: not yet. They are gone any moment, which brings the key up; should the cluster not end them, it goes on all the same. */
static bool hold_raise(struct controller *op, const char *key, struct work *w, const struct plan_output *out)
{
	struct mono now = loop_now(op->loop);

	if (!out->raises_condemned) {
		w->raise_at = (struct mono){0};
		return false;
	}
	if (w->raise_at.ms == 0)
		w->raise_at.ms = now.ms + CONDEMNED_MS;
	if (now.ms >= w->raise_at.ms)
		return false;
	queue_add_at(op->queue, key, w->raise_at);
	return true;
}

/* So that a foreign change is told once. */
static void remember_counts(struct work *w, const struct endpoint *e, const struct plan_input *in)
{
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (in->pools[i].exists)
			asked_put(w, in->pools[i].deployment, in->pools[i].want);
}

/* Returns true when writes were started: then the key stays taken until reconcile_ended(). */
static bool reconcile(struct controller *op, const char *key, const struct endpoint *e)
{
	struct work *w = work_of(op, e, key);
	struct wall now = wall_now();
	struct arena a;
	struct plan_input in;
	struct plan_output out;
	bool changed, acting;

	if (wall_is_set(e->meta.deleted))
		obstacles_forget(w);
	if (wall_is_set(e->meta.deleted) || !expect_met(w) || waits_for_leftovers(op, key, e, now)) {
		end_service_turn(w); /* another may use it meanwhile */
		return false;
	}
	if (e->spec.instance_count < 0) {
		run_instance_count(w, e);
		return true;
	}
	refusals_clear_gone(w);
	arena_init(&a);
	observe(op, e, w, now, &a, &in);
	plan(&in, now, &a, &out);
	shared_tell(op, e, &out.status, out.held_back, now);
	remember_counts(w, e, &in);
	wake_at(op, key, out.wake, now);
	wake_after_pauses(w);
	changed = out.n_steps > 0 || !endpoint_status_equal(&e->status, &out.status);
	acting = changed && !hold_raise(op, key, w, &out) && !hold_progress(op, key, w, &out);
	if (!changed)
		w->progress_at = (struct mono){0};
	if (acting)
		run_start(w, e, &in, &a, &out);
	else
		acting = create_companions(op, key, e, w);
	if (!changed && !acting && !map_get(&op->service_line, key))
		right_regained(w);
	arena_done(&a);
	return acting;
}

void reconcile_ended(struct work *w, bool failed, int64_t retry_after_ms)
{
	struct controller *op = w->op;
	struct mono now = loop_now(op->loop);

	op->runs--;
	controller_tidy_later(op);
	controller_metrics_reconcile(op->m, failed ? "retry" : "written");
	/* The queue takes the earlier of two times: what the server asks for instead of our own back-off. */
	if (retry_after_ms > 0)
		queue_add_at(op->queue, w->key,
		             (struct mono){now.ms + (retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms
		                                                                         : RETRY_AFTER_MAX_MS)});
	queue_finish(op->queue, w->key, failed && retry_after_ms <= 0, now);
	loop_timer_arm(op->pump, 0);
}

/* Many that ask a server that is away would be in each other's way when it comes back, and cost for nothing until then.
 * A request that only takes long says nothing either way. */
void reconcile_heard(struct controller *op, const struct err *err)
{
	int status = err->http_status; /* a balancer's word, or the server's own while it starts or ends */

	if (err->code == ERR_CONNECT || err->code == ERR_TRANSPORT || (status >= 502 && status <= 504))
		op->unreachable = true;
	else if (err->code == ERR_NONE || status != 0)
		op->unreachable = false;
}

/* While the server is unreachable one asks each second, whatever became of those before. */
static bool may_start(const struct controller *op)
{
	return op->started && op->leads && view_is_current(op) && op->runs < MAX_RUNS &&
	       !(op->unreachable && loop_now(op->loop).ms < op->ask_at.ms);
}

static void split_key(const char *key, char ns[static KEY_SIZE], const char **ret_name)
{
	struct slice rest, first = slice_split(slice_from(key), '/', &rest);

	str_format(ns, KEY_SIZE, SLICE_FMT, SLICE_ARG(first));
	*ret_name = rest.ptr;
}

void reconcile_pump(void *arg)
{
	struct controller *op = arg;
	struct mono now = loop_now(op->loop), next;
	const char *key;

	map_each(&op->service_line, give_service_turn, op);
	for (unsigned n = 0; n < MAX_BATCH && may_start(op); n++) {
		unsigned asking = op->runs + op->looks;
		char ns[KEY_SIZE];
		const char *name;
		const struct endpoint *e;

		key = queue_take(op->queue, now);
		if (!key)
			break;
		split_key(key, ns, &name);
		e = store_get(controller_store(op, KIND_ENDPOINT), ns, name);
		if (!e) {
			forget(op, key);
			queue_finish(op->queue, key, false, now);
			continue;
		}
		if (!reconcile(op, key, e)) {
			controller_metrics_reconcile(op->m, "unchanged");
			queue_finish(op->queue, key, false, now);
		}
		if (op->runs + op->looks > asking)
			op->ask_at.ms = now.ms + UNREACHABLE_MS;
	}
	if (may_start(op) && map_count(&op->service_line) > 0 && op->service_runs < MAX_SERVICE_RUNS)
		loop_timer_arm(op->pump, 0);
	else if (may_start(op) && queue_next(op->queue, now, &next))
		loop_timer_arm(op->pump, next.ms - now.ms);
	else if (now.ms < op->view_from.ms)
		loop_timer_arm(op->pump, op->view_from.ms - now.ms);
	else if (op->unreachable && now.ms < op->ask_at.ms)
		loop_timer_arm(op->pump, op->ask_at.ms - now.ms);
}
