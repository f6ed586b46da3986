/* What an operator tells: each thing once, and pauses that grow. */
#include <inttypes.h>
#include "sim/check_internal.h"

#define AGAIN_MS (5 * MS_PER_S)
#define BEFORE_MS (3 * MS_PER_S) /* a status is written, then it is told what it says */

void check_event(struct check *k, const struct api_object *o)
{
	struct check_endpoint *e = check_endpoint_named(k, check_text(json_at(o->doc, "involvedObject", "name")));
	int64_t count = json_integer_value(json_at(o->doc, "count"));
	size_t i = 0;

	if (!e || !str_eq(check_text(json_at(o->doc, "involvedObject", "kind")), "InstancePoolEndpoint"))
		return;
	while (i < k->n_events && i < CHECK_EVENTS && !str_eq(k->events[i].uid, o->uid))
		i++;
	if (i == k->n_events || i == CHECK_EVENTS) {
		i = k->n_events++ % CHECK_EVENTS;
		str_copy(k->events[i].uid, sizeof(k->events[i].uid), o->uid);
		k->events[i].count = 1;
		k->events[i].at_ms = check_now(k);
	}
	if (count > k->events[i].count && check_now(k) - k->events[i].at_ms < AGAIN_MS &&
	    e->status_ms < k->events[i].at_ms - BEFORE_MS)
		check_break(k, "an Event was told twice", "endpoint %s: %s: %s", e->story->name,
		            check_text(json_at(o->doc, "reason")), check_text(json_at(o->doc, "message")));
	if (count > k->events[i].count)
		k->events[i].at_ms = check_now(k);
	k->events[i].count = count;
}

static bool all_are_short(const struct api_object *endpoint)
{
	const json_t *condition;
	size_t i;

	json_array_foreach(json_at(endpoint->doc, "status", "conditions"), i, condition)
		if (str_eq(check_text(json_at(condition, "type")), "InsufficientCapacity"))
			return str_eq(check_text(json_at(condition, "status")), "True");
	return false;
}

/* Each strike is counted, and each pause as long as the strikes say: as the first one where no other pool takes the demand. */
static void check_pause(struct check *k, struct check_endpoint *e, const struct api_object *o,
                        const json_t *pool)
{
	const char *name = check_text(json_at(pool, "name"));
	int64_t struck_ms = check_time(pool, "lastStrikeTime"), until_ms = check_time(pool, "nextRetryTime");
	int64_t strikes = json_integer_value(json_at(pool, "strikes")), pause_ms = e->story->retry_ms;
	size_t type = check_type_named(k, name);

	if (type == k->story->n_types || until_ms == 0 || struck_ms <= e->struck[type].at_ms)
		return;
	for (int64_t i = 1; i < strikes && !all_are_short(o) && pause_ms < e->story->max_retry_ms; i++)
		pause_ms *= 2;
	if (pause_ms > e->story->max_retry_ms)
		pause_ms = e->story->max_retry_ms;
	if (until_ms - struck_ms < pause_ms)
		check_break(k, "a pause is too short",
		            "endpoint %s, pool %s: %" PRId64 " ms after %" PRId64 " strikes", e->story->name, name,
		            until_ms - struck_ms, strikes);
	if (strikes <= e->struck[type].strikes)
		check_break(k, "a strike was not counted",
		            "endpoint %s, pool %s: %" PRId64 " before, %" PRId64 " now", e->story->name, name,
		            e->struck[type].strikes, strikes);
	e->struck[type].at_ms = struck_ms;
	e->struck[type].strikes = strikes;
}

void check_pauses(struct check *k, struct check_endpoint *e, const struct api_object *o)
{
	const json_t *pool;
	size_t i;

	json_array_foreach(json_at(o->doc, "status", "instancePools"), i, pool)
		check_pause(k, e, o, pool);
}

void check_person(struct check *k, struct check_endpoint *e, enum act_type act)
{
	if (act != ACT_SCALE && act != ACT_FOREIGN_SCALE && act != ACT_LOSE_STATUS)
		e->pools_ms = check_now(k);
	for (size_t i = 0; i < k->story->n_types && act != ACT_SCALE && act != ACT_FOREIGN_SCALE; i++)
		e->struck[i].strikes = 0; /* may be forgotten */
}
