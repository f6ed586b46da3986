/* An instance that was Ready ends because a count was lowered: was there one to spare? The operator sees things a moment late,
 * so it is given the benefit of all that was true within that moment. */
#include "sim/check_internal.h"

static const struct check_sample *sample_back(const struct check_endpoint *e, size_t back)
{
	return &e->samples[(e->n_samples - 1 - back) % CHECK_SAMPLES];
}

/* In older instances what no pool may have serves until all others are new: the walks of tests/unit/plan see to that. */
int32_t check_allowed(const struct api_object *o)
{
	const json_t *pools = json_at(o->doc, "spec", "instancePools"), *pool;
	int32_t desired = check_desired(o), most = 0;
	size_t i;

	json_array_foreach(pools, i, pool)
		most += json_at(pool, "maxInstanceCount") ? check_number(pool, "maxInstanceCount") : desired;
	return most < desired ? most : desired;
}

static bool is_updated(const struct check *k, const struct api_object *endpoint)
{
	return check_asked(k, endpoint->uid, NULL, -1).deployments >
	       json_array_size(json_at(endpoint->doc, "spec", "instancePools"));
}

void check_sample_now(struct check *k, struct check_endpoint *e)
{
	const struct api_object *o = check_document(k, e);
	struct cluster_count c = cluster_instances(k->cluster, e->story->name, NULL, NULL);
	struct check_sample *s;

	if (!o)
		return;
	check_lost(k, e, o);
	s = &e->samples[e->n_samples++ % CHECK_SAMPLES];
	*s = (struct check_sample){
		.at_ms = check_now(k),
		.ready = c.ready,
		.lost = c.lost,
		.desired = check_desired(o),
		.needed = is_updated(k, o) ? check_allowed(o) : check_desired(o),
		.ended = e->ended,
	};
}

int64_t check_changed_ms(const struct check_endpoint *e)
{
	return e->n_samples ? sample_back(e, 0)->at_ms : 0;
}

/* Calls back for each sample that may be what was seen: all of the view, and the last before it. */
static size_t samples_in_view(const struct check *k, const struct check_endpoint *e)
{
	size_t n = 0, most = e->n_samples < CHECK_SAMPLES ? e->n_samples : CHECK_SAMPLES;

	while (n < most && sample_back(e, n)->at_ms >= check_view_ms(k))
		n++;
	return n < most ? n + 1 : n;
}

int32_t check_most_desired(const struct check *k, const struct check_endpoint *e)
{
	int32_t most = 0;

	for (size_t i = 0; i < samples_in_view(k, e); i++)
		most = sample_back(e, i)->desired > most ? sample_back(e, i)->desired : most;
	return most;
}

int32_t check_least_desired(const struct check *k, const struct check_endpoint *e)
{
	int32_t least = INT32_MAX;

	for (size_t i = 0; i < samples_in_view(k, e); i++)
		least = sample_back(e, i)->desired < least ? sample_back(e, i)->desired : least;
	return least;
}

int32_t check_most_lost(const struct check *k, const struct check_endpoint *e)
{
	int32_t most = 0;

	for (size_t i = 0; i < samples_in_view(k, e); i++)
		most = sample_back(e, i)->lost > most ? sample_back(e, i)->lost : most;
	return most;
}

void check_ending(struct check *k, struct check_endpoint *e, const char *pool, int64_t ready_ms)
{
	const struct api_object *o = check_document(k, e);
	int32_t least = INT32_MAX, best = INT32_MIN;

	check_sample_now(k, e);
	if (!o || check_now(k) < e->foreign_until_ms)
		return;
	for (size_t i = 0; i < samples_in_view(k, e); i++) {
		const struct check_sample *s = sample_back(e, i);
		int32_t ready = s->ready - (e->ended - s->ended);

		least = s->needed < least ? s->needed : least;
		best = ready > best ? ready : best;
	}
	e->ended++;
	if (ready_ms > check_view_ms(k)) /* it may not have been seen yet */
		return;
	/* One may be missing while an update has no room to borrow. */
	if (best - 1 < least - (is_updated(k, o) ? 1 : 0))
		check_break(k, "a Ready instance was taken away",
		            "endpoint %s, pool %s: of %d Ready ones at best one ends, and %d are wanted",
		            e->story->name, pool, best, least);
}
