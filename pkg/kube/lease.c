#include "kube/lease.h"
#include <string.h>
#include "base/jread.h"
#include "base/json.h"
#include "base/random.h"

#define RETRY_PERIOD_MIN_MS 100
#define RETRY_AFTER_MAX_MS (30 * MS_PER_S) /* a longer wait would be a server's mistake */

/* Effects are written through this, so that the bound is checked in one place. */
struct out {
	struct lease_effect *fx;
	unsigned n;
};

static struct lease_effect *emit(struct out *o, enum lease_effect_type type)
{
	if (o->n == LEASE_MAX_EFFECTS)
		abort();
	o->fx[o->n] = (struct lease_effect){.type = type};
	return &o->fx[o->n++];
}

int lease_options_check(const struct lease_options *o, struct err *err)
{
	if (str_empty(o->identity) || strlen(o->identity) >= LEASE_NAME_SIZE)
		return err_set(err, ERR_INVALID, "the identity must have 1 to %d bytes", LEASE_NAME_SIZE - 1);
	if (o->retry_period_ms < RETRY_PERIOD_MIN_MS)
		return err_set(err, ERR_INVALID, "the retry period must be at least %d ms", RETRY_PERIOD_MIN_MS);
	if (o->duration_ms % MS_PER_S != 0 || o->duration_ms / MS_PER_S > INT32_MAX)
		return err_set(err, ERR_INVALID, "the lease duration must be a whole number of seconds");
	if (o->duration_ms <= o->renew_deadline_ms)
		return err_set(err, ERR_INVALID, "the lease duration must be longer than the renew deadline");
	/* In this order nothing can overflow: the duration bounds the deadline, which bounds the period. */
	if (o->renew_deadline_ms <= o->retry_period_ms || o->renew_deadline_ms * 5 <= o->retry_period_ms * 6)
		return err_set(err, ERR_INVALID, "the renew deadline must be longer than 1.2 retry periods");
	return 0;
}

/* What is read of the object. */
struct object {
	const char *resource_version, *holder;
	int32_t duration_s, transitions;
};

static const struct jfield meta_fields[] = {
	{"resourceVersion", J_STR, .offset = offsetof(struct object, resource_version)},
	{0},
};
static const struct jfield spec_fields[] = {
	{"holderIdentity", J_STR, .offset = offsetof(struct object, holder)},
	{"leaseDurationSeconds", J_I32, .offset = offsetof(struct object, duration_s)},
	{"leaseTransitions", J_I32, .offset = offsetof(struct object, transitions)},
	{0},
};
static const struct jfield object_fields[] = {
	{"metadata", J_OBJECT, .sub = meta_fields},
	{"spec", J_OBJECT, .sub = spec_fields},
	{0},
};

int lease_record_read(struct slice json, struct lease_record *ret, struct err *err)
{
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	struct object o = {0};
	if (jread(object_fields, json, &scratch, &o, err) < 0)
		return err_prefix(err, "lease");
	*ret = (struct lease_record){.transitions = o.transitions};
	/* Nothing could be written on condition of a version that was cut. */
	if (str_empty(o.resource_version) ||
	    !str_copy(ret->resource_version, sizeof(ret->resource_version), o.resource_version))
		return err_set(err, ERR_INVALID, "lease: no usable resourceVersion");
	str_copy(ret->holder, sizeof(ret->holder), o.holder ? o.holder : "");
	if (o.duration_s > 0)
		ret->duration_ms = o.duration_s * MS_PER_S;
	return 0;
}

void lease_init(struct lease *l, const struct lease_options *o, uint64_t seed)
{
	*l = (struct lease){.options = *o, .random = seed};
}

static bool is_ours(const struct lease *l)
{
	return str_eq(l->record.holder, l->options.identity);
}

bool lease_is_held(const struct lease *l, struct mono now)
{
	return l->state == LEASE_LEADER && now.ms < l->valid_until.ms;
}

/* When a record that is another's has run out, unless it changes. */
static int64_t runs_out_ms(const struct lease *l)
{
	return l->changed.ms + (l->record.duration_ms > 0 ? l->record.duration_ms : l->options.duration_ms);
}

static bool may_take(const struct lease *l, struct mono now)
{
	return str_empty(l->record.holder) || is_ours(l) || now.ms >= runs_out_ms(l);
}

static void begin(struct lease *l, enum lease_call call, struct mono now, struct out *o)
{
	l->call = call;
	l->called = now;
	struct lease_effect *fx = emit(o, LEASE_FX_CALL);
	fx->call = call;
	/* Half the deadline, so that one lost answer does not cost the lease. */
	fx->timeout_ms =
		l->state == LEASE_RELEASING ? l->give_up.ms - now.ms : (l->options.renew_deadline_ms + 1) / 2;
}

static void rest(struct lease *l, struct mono now, int64_t ms)
{
	l->wake = (struct mono){now.ms + ms};
}

/* Until the next try of somebody who does not hold the lease, or could not renew it. Shorter than the retry period, for
 * the requests take their time too and a release is to be seen within it; uneven, so that many do not meet. */
static int64_t pace(struct lease *l)
{
	int64_t period_ms = l->options.retry_period_ms;
	return random_between(&l->random, period_ms / 2, period_ms * 9 / 10);
}

static void rest_after_failure(struct lease *l, const struct lease_input *in, struct mono now)
{
	int64_t ms = pace(l), told_ms = in->retry_after_ms;
	if (told_ms > RETRY_AFTER_MAX_MS)
		told_ms = RETRY_AFTER_MAX_MS;
	rest(l, now, told_ms > ms ? told_ms : ms);
}

static void step_down(struct lease *l, struct out *o)
{
	l->state = LEASE_FOLLOWER;
	emit(o, LEASE_FX_STOPPED);
}

static void finish(struct lease *l, struct out *o)
{
	l->state = LEASE_IDLE;
	emit(o, LEASE_FX_FINISHED);
}

/* Returns whether it is another version than the one known. */
static bool observe(struct lease *l, const struct lease_record *r, struct mono now)
{
	bool news = !str_eq(l->record.resource_version, r->resource_version);
	l->view = LEASE_PRESENT;
	l->record = *r;
	if (news)
		l->changed = now;
	return news;
}

/* To be called when it is known what there is. */
static void take_or_wait(struct lease *l, struct mono now, struct out *o)
{
	if (may_take(l, now)) {
		if (l->view == LEASE_ABSENT)
			begin(l, LEASE_CREATE, now, o);
		else
			begin(l, is_ours(l) ? LEASE_RENEW : LEASE_TAKE, now, o);
		return;
	}
	int64_t ms = pace(l), left_ms = runs_out_ms(l) - now.ms;
	rest(l, now, ms < left_ms ? ms : left_ms);
}

static void give_back(struct lease *l, struct mono now, struct out *o)
{
	if (l->view == LEASE_DOUBTFUL)
		begin(l, LEASE_READ, now, o);
	else if (l->view == LEASE_PRESENT && is_ours(l))
		begin(l, LEASE_RELEASE, now, o);
	else
		finish(l, o);
}

static void hold(struct lease *l, struct mono now, struct out *o)
{
	struct mono until = {l->called.ms + l->options.renew_deadline_ms};
	if (now.ms >= until.ms) {
		rest(l, now, pace(l)); /* an answer that came too late to count on */
		return;
	}
	l->valid_until = until;
	rest(l, now, l->options.retry_period_ms);
	if (l->state != LEASE_LEADER) {
		l->state = LEASE_LEADER;
		emit(o, LEASE_FX_STARTED);
	}
}

static void on_record(struct lease *l, enum lease_call call, const struct lease_record *r, struct mono now,
                      struct out *o)
{
	bool news = observe(l, r, now);
	if (l->state == LEASE_LEADER && !is_ours(l))
		step_down(l, o);
	if (l->state == LEASE_RELEASING)
		give_back(l, now, o);
	else if (call == LEASE_READ)
		take_or_wait(l, now, o);
	else if (news && is_ours(l))
		hold(l, now, o);
	else
		/* The same version: the patch changed nothing, for the wall clock stood still or went back, so that nobody
		 * else can have seen it. */
		rest(l, now, pace(l));
}

static void on_absent(struct lease *l, struct mono now, struct out *o)
{
	l->view = LEASE_ABSENT;
	if (l->state == LEASE_LEADER)
		step_down(l, o);
	if (l->state == LEASE_RELEASING)
		give_back(l, now, o);
	else
		take_or_wait(l, now, o);
}

static void on_failed(struct lease *l, enum lease_call call, const struct lease_input *in, struct mono now,
                      struct out *o)
{
	if (l->state != LEASE_RELEASING)
		rest_after_failure(l, in, now);
	else if (call == LEASE_READ || call == LEASE_RELEASE)
		finish(l, o);
	else
		give_back(l, now, o);
}

static void on_doubt(struct lease *l, const struct lease_input *in, struct mono now, struct out *o)
{
	l->view = LEASE_DOUBTFUL;
	if (!l->reread && (in->retry_after_ms <= 0 || l->state == LEASE_RELEASING)) {
		l->reread = true;
		begin(l, LEASE_READ, now, o);
	} else if (l->state == LEASE_RELEASING) {
		finish(l, o);
	} else {
		rest_after_failure(l, in, now);
	}
}

static void on_timer(struct lease *l, struct mono now, struct out *o)
{
	if (l->state == LEASE_RELEASING && now.ms >= l->give_up.ms) {
		emit(o, LEASE_FX_CANCEL);
		l->call = LEASE_NO_CALL;
		finish(l, o);
		return;
	}
	if ((l->state != LEASE_FOLLOWER && l->state != LEASE_LEADER) || l->call != LEASE_NO_CALL ||
	    now.ms < l->wake.ms)
		return;
	l->reread = false;
	/* What is ours, free or has run out need not be read again: if it has changed, the write is refused. */
	if ((l->view == LEASE_PRESENT || l->view == LEASE_ABSENT) && may_take(l, now))
		take_or_wait(l, now, o);
	else
		begin(l, LEASE_READ, now, o);
}

static void on_stop(struct lease *l, struct mono now, struct out *o)
{
	if (l->state == LEASE_IDLE) {
		finish(l, o);
		return;
	}
	if (l->state == LEASE_LEADER)
		step_down(l, o);
	l->state = LEASE_RELEASING;
	l->give_up = (struct mono){now.ms + LEASE_RELEASE_MS};
	l->reread = false;
	if (l->call == LEASE_READ) {
		emit(o, LEASE_FX_CANCEL);
		l->call = LEASE_NO_CALL;
	}
	/* The end of a write has to be known first. */
	if (l->call == LEASE_NO_CALL)
		give_back(l, now, o);
}

static void set_timer(const struct lease *l, struct mono now, struct out *o)
{
	int64_t at_ms = INT64_MAX;
	if (l->state == LEASE_IDLE)
		return;
	if (l->call == LEASE_NO_CALL)
		at_ms = l->wake.ms;
	if (l->state == LEASE_LEADER && l->valid_until.ms < at_ms)
		at_ms = l->valid_until.ms;
	if (l->state == LEASE_RELEASING)
		at_ms = l->give_up.ms;
	if (at_ms < INT64_MAX)
		emit(o, LEASE_FX_TIMER)->delay_ms = at_ms > now.ms ? at_ms - now.ms : 0;
}

static void on_end(struct lease *l, const struct lease_input *in, struct mono now, struct out *o)
{
	enum lease_call call = l->call;
	if (call == LEASE_NO_CALL)
		return;
	l->call = LEASE_NO_CALL;
	if (in->type == LEASE_IN_RECORD)
		on_record(l, call, in->record, now, o);
	else if (in->type == LEASE_IN_ABSENT)
		on_absent(l, now, o);
	else if (in->type == LEASE_IN_DOUBT)
		on_doubt(l, in, now, o);
	else
		on_failed(l, call, in, now, o);
}

unsigned lease_step(struct lease *l, const struct lease_input *in, struct mono now,
                    struct lease_effect fx[static LEASE_MAX_EFFECTS])
{
	struct out o = {.fx = fx};
	/* Who was suspended has to stop before it does anything else. */
	if (l->state == LEASE_LEADER && now.ms >= l->valid_until.ms)
		step_down(l, &o);
	switch (in->type) {
	case LEASE_IN_START:
		if (l->state == LEASE_IDLE) {
			l->state = LEASE_FOLLOWER;
			l->view = LEASE_UNSEEN;
			l->record = (struct lease_record){0};
			begin(l, LEASE_READ, now, &o);
		}
		break;
	case LEASE_IN_TIMER:
		on_timer(l, now, &o);
		break;
	case LEASE_IN_RECORD:
	case LEASE_IN_ABSENT:
	case LEASE_IN_FAILED:
	case LEASE_IN_DOUBT:
		on_end(l, in, now, &o);
		break;
	case LEASE_IN_STOP:
		if (l->state != LEASE_RELEASING)
			on_stop(l, now, &o);
		break;
	}
	set_timer(l, now, &o);
	return o.n;
}

void lease_body(const struct lease *l, const char *name, struct wall now, struct buf *out)
{
	CLEANUP_JSON json_t *root = json_object();
	json_t *meta = json_child(root, "metadata"), *spec = json_child(root, "spec");
	bool release = l->call == LEASE_RELEASE, create = l->call == LEASE_CREATE;
	char text[WALL_RFC3339_SIZE];
	wall_format_micro(now, text);
	if (create) {
		json_put_str(root, "apiVersion", "coordination.k8s.io/v1");
		json_put_str(root, "kind", "Lease");
		json_put_str(meta, "name", name);
	} else {
		json_put_str(meta, "resourceVersion", l->record.resource_version);
	}
	json_put_str(spec, "holderIdentity", release ? "" : l->options.identity);
	json_put_int(spec, "leaseDurationSeconds", release ? 1 : l->options.duration_ms / MS_PER_S);
	json_put_str(spec, "renewTime", text);
	if (l->call != LEASE_RENEW)
		json_put_str(spec, "acquireTime", text);
	if (create)
		json_put_int(spec, "leaseTransitions", 0);
	else if (l->call == LEASE_TAKE)
		json_put_int(spec, "leaseTransitions",
		             l->record.transitions < INT32_MAX ? l->record.transitions + 1 : INT32_MAX);
	CLEANUP_FREE char *json = json_compact(root);
	buf_add_str(out, json);
}
