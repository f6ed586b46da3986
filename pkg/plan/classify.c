#include "plan/classify.h"
#include "base/buf.h"
#include "base/mem.h"
#include "plan/nodestate.h"
#include "plan/verdict.h"

/* A pod that the scheduler has not spoken about holds back what is said about the others for so long. */
#define UNHEARD_MS (10 * MS_PER_S)
/* A device plugin that starts again, or a cordon that is lifted: so long, and the margin. */
#define RETURN_MS (60 * MS_PER_S)
/* A grace period beyond this is nobody's plan. */
#define GRACE_MAX_S INT64_C(86400)
#define MESSAGE_MAX_BYTES 240u
#define WORDS_MAX_BYTES 65536u

struct evidence {
	const struct classify_input *in;
	struct wall now;
	struct arena *arena;

	size_t n_gated;
	/* Whose verdict counts: the newest that is understood, else the newest; NULL: there is none. */
	const struct pod *judged;
	struct verdict verdict;    /* its own */
	struct wall refused;       /* the oldest verdict that is understood */
	struct wall unheard_until; /* a young pod has no verdict yet; not set: all have, or are not young */

	int32_t n_promised;          /* refused pods for which an autoscaler brings a node */
	struct wall promised;        /* the newest such word */
	struct classify_hint denied; /* the newest that there is no node to be had; NONE: nobody says so */

	size_t n[NODESTATE_COUNT]; /* nodes in each state */
	struct wall room_made;     /* the newest bind or node */
	int32_t on_the_way;
	const struct pod **unpromised;
	size_t n_unpromised;
	struct wall young_until; /* the last of those that are coming up stops being young */
	struct wall
		looks_again; /* the scheduler has had time to look at the newest Ready node, or at room that was made */

	bool being_released; /* something below is there, whether its time has passed or not */
	struct wall preempted_until, left_until, returned_until; /* not set: nothing of the kind */
};

/* API times have the fraction of their second cut off. */
static struct wall second_end(struct wall t)
{
	return wall_add(t, MS_PER_S);
}

/* What goes into the status must come back from it the same. */
static struct wall whole_second_from(struct wall now, int64_t ms)
{
	return wall_floor_s(wall_add(now, ms + MS_PER_S - 1));
}

static struct nodestate_asked asked(const struct evidence *e)
{
	return (struct nodestate_asked){e->in->resources, e->in->n_resources};
}

static struct wall earlier(struct wall a, struct wall b)
{
	return a.ms < b.ms ? a : b;
}

static bool is_ahead(const struct evidence *e, struct wall t)
{
	return wall_is_set(t) && t.ms > e->now.ms;
}

static const char *shortened(struct arena *a, struct slice text)
{
	text = slice_trim(text);
	if (text.len <= MESSAGE_MAX_BYTES)
		return arena_slicedup(a, text);
	text.len = utf8_cut((struct slice){text.ptr, MESSAGE_MAX_BYTES});
	return arena_printf(a, SLICE_FMT "...", SLICE_ARG(text));
}

/* ---- the scheduler's words ---- */

static struct wall refused_since(const struct pod *p)
{
	return wall_is_set(p->scheduled_since) ? p->scheduled_since : p->meta.created;
}

static bool is_newer(const struct pod *a, const struct pod *b)
{
	struct wall a_since = refused_since(a), b_since = refused_since(b);
	if (a_since.ms != b_since.ms)
		return a_since.ms > b_since.ms;
	if (a->meta.created.ms != b->meta.created.ms)
		return a->meta.created.ms > b->meta.created.ms;
	return strcmp(a->meta.name ? a->meta.name : "", b->meta.name ? b->meta.name : "") > 0;
}

static void look_at_verdict(struct evidence *e, const struct pod *p)
{
	struct verdict v = {0};
	if (!str_eq(p->scheduled_reason, "SchedulerError"))
		verdict_parse(slice_from(p->scheduled_message), &v);
	/* All have one template: their texts differ in age only. */
	if (e->judged == NULL || (v.understood && !e->verdict.understood) ||
	    (v.understood == e->verdict.understood && is_newer(p, e->judged))) {
		e->judged = p;
		e->verdict = v;
	}
	/* ... and one young pod does not hold back the rest. */
	struct wall since = refused_since(p);
	if (v.understood && (!wall_is_set(e->refused) || since.ms < e->refused.ms))
		e->refused = since;
}

/* ---- the autoscaler's words ---- */

/* True: a node was promised. */
static bool look_at_hint(struct evidence *e, const struct classify_hint *h)
{
	if (h->hint == HINT_NONE || e->now.ms - h->said.ms >= CLASSIFY_HINT_MS)
		return false;
	if (h->hint == HINT_PROVISIONING) {
		e->n_promised++;
		e->promised = wall_max(e->promised, h->said);
		return true;
	}
	if (e->denied.hint == HINT_NONE || h->said.ms > e->denied.said.ms ||
	    (h->said.ms == e->denied.said.ms && strcmp(h->words, e->denied.words) > 0)) {
		e->denied = *h;
	}
	return false;
}

/* One pod's "no" stands for all of the pool: the same is not said of each. Not when something has come since. */
static bool is_denied(const struct evidence *e)
{
	return e->denied.hint != HINT_NONE && e->denied.said.ms >= e->promised.ms &&
	       e->denied.said.ms > e->room_made.ms;
}

static void look_at_pods(struct evidence *e)
{
	for (size_t i = 0; i < e->in->n_pods; i++) {
		const struct pod *p = e->in->pods[i];
		if (p->scheduled != TRI_FALSE) {
			struct wall until = wall_add(second_end(p->meta.created), UNHEARD_MS);
			if (is_ahead(e, until))
				e->unheard_until = wall_max(e->unheard_until, until);
		} else if (str_eq(p->scheduled_reason, "SchedulingGated")) {
			e->n_gated++;
		} else {
			look_at_verdict(e, p);
			if (e->in->hints && !look_at_hint(e, &e->in->hints[i]))
				e->unpromised[e->n_unpromised++] = p;
		}
	}
}

/* Is it the pod itself, whatever the nodes? Old versions count an unbound claim on every node. */
static bool blames_pod(const struct verdict *v)
{
	return v->prefilter || (v->nodes > 0 && v->count[VERDICT_VOLUME] == v->nodes);
}

/* Could a node, or more room on one, be the answer? Not when there is room and the placement is wrong. */
static bool asks_for_room(const struct verdict *v)
{
	if (!v->understood || blames_pod(v))
		return false;
	return v->count[VERDICT_INSUFFICIENT] > 0 || v->count[VERDICT_CLAIM] > 0 ||
	       (v->count[VERDICT_VOLUME] == 0 && v->count[VERDICT_PLACEMENT] == 0);
}

static const char *scheduler_says(const struct evidence *e)
{
	CLEANUP_BUF struct buf words;
	struct slice text = slice_from(e->judged->scheduled_message);
	buf_init(&words, WORDS_MAX_BYTES);
	if (e->verdict.understood)
		verdict_words(text, &words);
	if (words.len > 0)
		text = buf_slice(&words);
	text = slice_from(shortened(e->arena, text));
	return text.len > 0 ? arena_printf(e->arena, "the scheduler says: " SLICE_FMT, SLICE_ARG(text))
	                    : "the scheduler gives no reason";
}

/* ---- the pool's nodes ---- */

/* A release that has no time of its own: it has so long from when it was first seen, and that is remembered
 * as the deadline. What was judged before is not undone by it. */
static struct wall remembered_release(const struct evidence *e, int64_t span_ms)
{
	struct wall fresh = whole_second_from(e->now, span_ms);
	enum pool_reason last = e->in->last_reason;
	if (last == REASON_RELEASING && wall_is_set(e->in->last_deadline))
		return earlier(e->in->last_deadline, fresh);
	bool unjudged = last == REASON_NONE || last == REASON_PENDING || last == REASON_RELEASING ||
	                last == REASON_QUOTA || last == REASON_GATED;
	return unjudged ? fresh : (struct wall){0};
}

static void look_at_node(struct evidence *e, const struct node *n)
{
	enum nodestate state = nodestate_of(n, asked(e), e->now);
	e->n[state]++;
	e->room_made = wall_max(e->room_made, n->meta.created);
	if (n->ready == TRI_TRUE)
		e->room_made = wall_max(e->room_made, n->ready_since);
	if (state == NODESTATE_USABLE && wall_is_set(n->ready_since)) {
		e->looks_again =
			wall_max(e->looks_again, wall_add(second_end(n->ready_since), CLASSIFY_RESCHEDULE_MS));
	} else if (state == NODESTATE_COMING) {
		int64_t room = nodestate_room(n, asked(e)), left = e->in->waiting - e->on_the_way;
		room = room < 0 ? 1 : room;
		e->on_the_way += (int32_t)(room < left ? room : left);
		e->young_until = wall_max(e->young_until, wall_add(n->meta.created, CLASSIFY_YOUNG_NODE_MS));
	} else if (nodestate_returns(n, asked(e), e->now)) {
		struct wall until = {0};
		if (state == NODESTATE_EMPTIED && wall_is_set(n->ready_since))
			until = wall_add(second_end(n->ready_since), RETURN_MS + CLASSIFY_RELEASE_MARGIN_MS);
		if (!is_ahead(e, until))
			until = remembered_release(e, RETURN_MS + CLASSIFY_RELEASE_MARGIN_MS);
		e->returned_until = wall_max(e->returned_until, until);
		e->being_released = true;
	}
}

/* An instance that ends quickly is not seen to be ending, and a view that was late shows all at once: the old verdict, the
 * instance that is gone, but not yet who gets its room. */
static void look_at_freed(struct evidence *e)
{
	if (e->judged && wall_is_set(e->in->freed) && refused_since(e->judged).ms <= e->in->freed.ms)
		e->looks_again = wall_max(e->looks_again,
		                          wall_add(second_end(wall_floor_s(e->in->freed)), CLASSIFY_RESCHEDULE_MS));
}

/* "1 is not Ready, 2 are cordoned": all but the usable; "" when there are none. */
static const char *node_words(const struct evidence *e)
{
	const char *words = "";
	for (enum nodestate s = NODESTATE_USABLE + 1; s < NODESTATE_COUNT; s++)
		if (e->n[s] > 0)
			words = arena_printf(e->arena, "%s%s%zu %s", words, *words ? ", " : "", e->n[s],
			                     nodestate_words(s, e->n[s]));
	return words;
}

static const char *node_sentence(const struct evidence *e)
{
	if (e->in->n_nodes > 1)
		return arena_printf(e->arena, "of its %zu nodes %s", e->in->n_nodes, node_words(e));
	enum nodestate s = NODESTATE_USABLE + 1;
	while (s < NODESTATE_COUNT - 1 && e->n[s] == 0)
		s++;
	return arena_printf(e->arena, "its node %s", nodestate_words(s, 1));
}

/* ---- room that is being made ---- */

static void look_at_preemption(struct evidence *e)
{
	for (size_t i = 0; i < e->in->n_pods; i++) {
		const struct pod *p = e->in->pods[i];
		if (str_empty(p->nominated_node_name))
			continue;
		/* The victims' grace period is not known; within one cluster they resemble each other. */
		int64_t grace_s = p->grace_period_s < 0 ? 0 : p->grace_period_s;
		int64_t span_ms =
			(grace_s < GRACE_MAX_S ? grace_s : GRACE_MAX_S) * MS_PER_S + CLASSIFY_RELEASE_MARGIN_MS;
		struct wall until = wall_add(second_end(refused_since(p)), span_ms);
		/* Refused long ago, but the preemption may be new: another pod may have got the room. */
		if (!is_ahead(e, until))
			until = e->in->last_reason == REASON_SETTLING ? whole_second_from(e->now, span_ms)
			                                              : remembered_release(e, span_ms);
		e->preempted_until = wall_max(e->preempted_until, until);
		e->being_released = true;
	}
}

/* The room on a node that is being removed, or does not answer, is not for the next one. */
static bool leaves_room(const struct evidence *e, const struct pod *p)
{
	for (size_t i = 0; i < e->in->n_nodes; i++) {
		const struct node *n = e->in->nodes[i];
		if (str_eq(n->meta.name, p->node_name))
			return !nodestate_loses(n, p->scheduled_since, e->now);
	}
	return true;
}

static void look_at_leaving(struct evidence *e)
{
	for (size_t i = 0; i < e->in->n_leaving; i++) {
		struct wall due = e->in->leaving[i]->meta.deleted;
		if (!wall_is_set(due) || !leaves_room(e, e->in->leaving[i]))
			continue;
		e->left_until = wall_max(e->left_until, wall_add(second_end(due), CLASSIFY_RELEASE_MARGIN_MS));
		e->being_released = true;
	}
}

static bool releasing(struct classify_output *ret, struct wall until, const char *message)
{
	ret->reason = REASON_RELEASING;
	ret->deadline = until;
	ret->message = message;
	return true;
}

/* Is room on its way, however right the verdict? */
static bool something_comes(const struct evidence *e, struct classify_output *ret)
{
	bool heard = e->judged != NULL;
	bool room = asks_for_room(&e->verdict);
	bool leaving = is_ahead(e, e->left_until) && (!heard || e->verdict.count[VERDICT_INSUFFICIENT] > 0);

	if (!heard || room || !e->verdict.understood) {
		/* The young nodes are among those that were promised. */
		int32_t promised = e->n_promised < e->in->waiting ? e->n_promised : e->in->waiting;
		ret->on_the_way = e->on_the_way > promised ? e->on_the_way : promised;
	}
	if (is_ahead(e, e->preempted_until))
		return releasing(ret, leaving ? wall_max(e->preempted_until, e->left_until) : e->preempted_until,
		                 "room is being made by preemption");
	if (leaving)
		return releasing(ret, e->left_until, "instances are still ending on its nodes");
	/* Those for which nothing comes, when the autoscaler says so, need not wait for the others' nodes. */
	if (ret->on_the_way > 0 && (ret->on_the_way == e->in->waiting || !is_denied(e))) {
		ret->reason = REASON_PROVISIONING;
		/* Elsewhere another node may come when this one fails. */
		if (!e->in->provides_nodes)
			ret->deadline = e->young_until;
		ret->message = e->on_the_way > 0 ? node_sentence(e) : "the autoscaler brings a node";
		return true;
	}
	if (room && is_ahead(e, e->returned_until))
		return releasing(ret, e->returned_until, node_sentence(e));
	return false;
}

/* ---- what the verdict means when nothing comes ---- */

static void conclude(struct classify_output *ret, enum pool_reason reason, const char *message)
{
	ret->reason = reason;
	ret->message = message;
}

/* Definite where nobody else could bring a node, once the other views have had time to catch up; and where somebody could,
 * but says no. */
static void conclude_settled(const struct evidence *e, struct classify_output *ret, enum pool_reason reason,
                             const char *message)
{
	conclude(ret, reason, message);
	if (e->in->provides_nodes) {
		if (!is_denied(e))
			return;
		conclude(ret, e->denied.hint == HINT_LIMIT ? REASON_LIMIT : REASON_STOCK_OUT,
		         arena_printf(e->arena, "the autoscaler says: %s",
		                      shortened(e->arena, slice_from(e->denied.words))));
		ret->explicit_evidence = true;
		return;
	}
	struct wall at = wall_add(second_end(e->refused), CLASSIFY_SETTLE_MS);
	ret->explicit_evidence = !is_ahead(e, at);
	if (!ret->explicit_evidence)
		ret->deadline = at;
}

/* The largest number of a resource on one node; -1: a node that is not complete does not say. */
static int64_t largest_total(const struct evidence *e, const char *resource)
{
	int64_t largest = 0;
	for (size_t i = 0; i < e->in->n_nodes; i++) {
		const struct node *n = e->in->nodes[i];
		enum nodestate state = nodestate_of(n, asked(e), e->now);
		int64_t total = nodestate_total(n, resource);
		if (total == 0 && (state == NODESTATE_COMING || state == NODESTATE_EMPTIED))
			return -1;
		largest = total > largest ? total : largest;
	}
	return largest;
}

/* An instance that no node of this pool could ever hold; NULL when it fits, or when the nodes do not say. */
static const char *asks_too_much(const struct evidence *e)
{
	if (e->n[NODESTATE_USABLE] + e->n[NODESTATE_CORDONED] + e->n[NODESTATE_EMPTIED] == 0)
		return NULL;
	for (size_t i = 0; i < e->in->n_resources; i++) {
		const struct jqty *want = &e->in->resources[i];
		int64_t largest = largest_total(e, want->key);
		if (largest < 0 || want->value <= largest)
			continue;
		if (largest == 0)
			return arena_printf(e->arena, "asks for %lld %s, its nodes have none", (long long)want->value,
			                    want->key);
		return arena_printf(e->arena, "asks for %lld %s, its largest node has %lld", (long long)want->value,
		                    want->key, (long long)largest);
	}
	return NULL;
}

/* The taints of the first node by name, when each usable node has some that keep it for others; else NULL. */
static const char *kept_for_others(const struct evidence *e)
{
	const struct node *first = NULL;
	const char *keys = NULL;
	for (size_t i = 0; i < e->in->n_nodes; i++) {
		const struct node *n = e->in->nodes[i];
		if (nodestate_of(n, asked(e), e->now) != NODESTATE_USABLE)
			continue;
		const char *own = nodestate_kept_for(n, e->arena);
		if (*own == '\0')
			return NULL;
		if (first == NULL || strcmp(n->meta.name, first->meta.name) < 0) {
			first = n;
			keys = own;
		}
	}
	return keys;
}

/* Room was made, a node came or a gate was opened: until when may the verdict be older than that? */
static struct wall settling_until(const struct evidence *e)
{
	enum pool_reason last = e->in->last_reason;
	struct wall deadline = e->in->last_deadline;
	struct wall fresh = whole_second_from(e->now, CLASSIFY_RESCHEDULE_MS);
	struct wall until = {0};

	if (last == REASON_SETTLING && wall_is_set(deadline)) {
		until = earlier(deadline, fresh);
	} else if (last == REASON_PROVISIONING && !is_denied(e)) {
		until = fresh;
	} else if (last == REASON_RELEASING) {
		/* Unless it is still there and has had its time. */
		if (!e->being_released || is_ahead(e, deadline))
			until = fresh;
	} else if (last == REASON_GATED) {
		/* A pod's PodScheduled condition keeps its time when a gate becomes a refusal. */
		until = whole_second_from(e->now, CLASSIFY_SETTLE_MS);
	}
	return wall_max(until, e->looks_again);
}

static const char *no_room(const struct evidence *e)
{
	const char *what = e->verdict.resource;
	const char *why = *what ? arena_printf(e->arena, "Insufficient %s", what) : "Too many pods";
	if (e->in->n_nodes == 1)
		return arena_printf(e->arena, "no room on its node (%s)", why);
	const char *others = node_words(e);
	return arena_printf(e->arena, "no room on its %zu nodes (%s)%s%s", e->in->n_nodes, why,
	                    *others ? ": " : "", others);
}

static void judge_room(const struct evidence *e, struct classify_output *ret)
{
	struct wall settled = settling_until(e);
	if (e->n[NODESTATE_USABLE] > 0 && is_ahead(e, settled)) {
		conclude(ret, REASON_SETTLING, "the scheduler has not looked again yet");
		ret->deadline = settled;
	} else if (e->verdict.count[VERDICT_INSUFFICIENT] > 0) {
		if (e->in->older_bound > 0)
			conclude(ret, REASON_OWN_FLEET, "full of this endpoint's older instances");
		else
			conclude_settled(e, ret, REASON_STOCK_OUT, no_room(e));
	} else if (e->verdict.count[VERDICT_CLAIM] > 0) {
		/* The same words stand for devices in use and for a selector that no device meets. */
		conclude(ret, REASON_UNKNOWN, scheduler_says(e));
	} else if (e->n[NODESTATE_USABLE] == 0) {
		conclude_settled(e, ret, REASON_STOCK_OUT, node_sentence(e));
	} else {
		const int32_t *count = e->verdict.count;
		const char *keys = count[VERDICT_TAINT] > 0 ? kept_for_others(e) : NULL;
		if (keys)
			conclude(ret, REASON_CONFIG,
			         arena_printf(e->arena, "its nodes have a taint that the instances do not tolerate (%s)",
			                      keys));
		else if (count[VERDICT_NO_MATCH] > 0 && count[VERDICT_UNSCHEDULABLE] == 0 &&
		         count[VERDICT_OTHER] == 0)
			conclude(ret, REASON_CONFIG, "the Model's own affinity or selector rules its nodes out");
		else
			conclude(ret, REASON_UNKNOWN, scheduler_says(e));
	}
}

/* The scheduler finds room lacking only on nodes that the selector and the taints let it come to. A node whose taint keeps
 * the instances away is not told from one of another type. */
static void judge_by_words(const struct evidence *e, struct classify_output *ret)
{
	const int32_t *count = e->verdict.count;
	struct wall settled = settling_until(e);

	if (is_ahead(e, settled)) {
		conclude(ret, REASON_SETTLING, "the scheduler has not looked again yet");
		ret->deadline = settled;
	} else if (count[VERDICT_INSUFFICIENT] == 0 && count[VERDICT_CLAIM] > 0) {
		conclude(ret, REASON_UNKNOWN, scheduler_says(e));
	} else if (count[VERDICT_INSUFFICIENT] == 0) {
		conclude_settled(e, ret, REASON_NO_NODES, scheduler_says(e));
	} else if (e->in->older_bound > 0) {
		conclude(ret, REASON_OWN_FLEET, "full of this endpoint's older instances");
	} else {
		conclude_settled(e, ret, REASON_STOCK_OUT, scheduler_says(e));
	}
}

static void judge(const struct evidence *e, struct classify_output *ret)
{
	const struct verdict *v = &e->verdict;
	const char *too_much;

	if (!v->understood)
		conclude(ret, REASON_UNKNOWN, scheduler_says(e));
	else if ((too_much = asks_too_much(e)) != NULL)
		conclude(ret, REASON_CONFIG, too_much);
	else if (blames_pod(v) || ((e->in->n_nodes > 0 || e->in->nodes_unknown) && !asks_for_room(v)))
		conclude(ret, REASON_CONFIG, scheduler_says(e));
	else if (e->in->nodes_unknown)
		judge_by_words(e, ret);
	else if (e->in->n_nodes == 0)
		conclude_settled(e, ret, REASON_NO_NODES, "no node carries its selector");
	else
		judge_room(e, ret);
}

/* ---- before the scheduler comes into play ---- */

static void refused_by_api(const struct evidence *e, struct classify_output *ret)
{
	static const char forbidden[] = "forbidden: ";
	const char *text = e->in->failure_message;
	bool quota = strcasestr(text, "exceeded quota") != NULL || strcasestr(text, "failed quota") != NULL;
	/* What stands before it names a pod that has never been. */
	const char *after = strstr(text, forbidden);
	text = shortened(e->arena, slice_from(after ? after + sizeof(forbidden) - 1 : text));
	conclude(ret, quota ? REASON_QUOTA : REASON_CONFIG,
	         arena_printf(e->arena, "pods are refused: %s", *text ? text : "no reason given"));
}

static void explain(struct evidence *e, struct classify_output *ret)
{
	const struct classify_input *in = e->in;

	if (in->failure_message && in->n_pods < (size_t)in->waiting) {
		refused_by_api(e, ret);
		return;
	}
	look_at_pods(e);
	if (in->n_pods > 0 && e->n_gated == in->n_pods) {
		conclude(ret, REASON_GATED, "its pods have scheduling gates");
		return;
	}
	if (in->n_pods == 0) {
		conclude(ret, REASON_PENDING, CLASSIFY_NO_PODS);
		return;
	}
	for (size_t i = 0; i < in->n_nodes; i++)
		look_at_node(e, in->nodes[i]);
	look_at_freed(e);
	look_at_preemption(e);
	look_at_leaving(e);
	if (something_comes(e, ret))
		return;

	struct classify_output judged = {.reason = REASON_PENDING,
	                                 .message = "the scheduler has not spoken about its pods yet",
	                                 .on_the_way = ret->on_the_way};
	if (e->judged)
		judge(e, &judged);
	*ret = judged;
	/* Settling stays: it is remembered by its name. */
	if (e->judged && wall_is_set(e->unheard_until) && judged.reason != REASON_SETTLING) {
		*ret = (struct classify_output){.reason = REASON_PENDING,
		                                .message = "the scheduler has not spoken about all its pods yet",
		                                .on_the_way = judged.on_the_way};
		if (judged.explicit_evidence || wall_is_set(judged.deadline))
			ret->deadline = wall_max(judged.deadline, e->unheard_until);
	}
}

void classify(const struct classify_input *in, struct wall now, struct arena *a, struct classify_output *ret)
{
	struct evidence e = {.in = in, .now = now, .arena = a, .room_made = in->last_bind};

	*ret = (struct classify_output){.reason = REASON_NONE};
	if (in->waiting <= 0)
		return;
	if (in->hints)
		e.unpromised = arena_calloc(a, in->n_pods + 1, sizeof(*e.unpromised));
	explain(&e, ret);
	if (e.n_promised > 0) {
		ret->unpromised = e.unpromised;
		ret->n_unpromised = e.n_unpromised;
	}
}
