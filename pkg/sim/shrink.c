/* A shorter story that breaks the same rule: leaves out what it can do without, coarse first, then makes numbers plain. */
#include "base/mem.h"
#include "sim/acts.h"
#include "sim/world.h"

#define MAX_PLAYS 400

struct shrink {
	struct story *best;
	const char *rule;
	unsigned plays;
};

/* Keeps the candidate if it breaks the rule as well. */
static bool try_story(struct shrink *k, const struct story *candidate)
{
	struct world_result r;

	if (k->plays == MAX_PLAYS)
		return false;
	k->plays++;
	world_play(candidate, NULL, &r);
	if (!str_eq(r.rule, k->rule))
		return false;
	*k->best = *candidate;
	return true;
}

/* ---- leaving out ---- */

static void remove_acts(struct story *s, size_t at, size_t n)
{
	if (n > s->n_acts - at)
		n = s->n_acts - at;
	s->n_acts -= n;
	memmove(&s->acts[at], &s->acts[at + n], (s->n_acts - at) * sizeof(s->acts[0]));
}

static bool drop_acts(struct shrink *k)
{
	bool any = false;

	for (size_t chunk = k->best->n_acts; chunk > 0; chunk /= 2)
		for (size_t at = 0; at < k->best->n_acts;) {
			struct story s = *k->best;

			remove_acts(&s, at, chunk);
			if (try_story(k, &s))
				any = true;
			else
				at += chunk;
		}
	return any;
}

/* Acts on it go with it; those on a later one are about another index now. */
static void forget_subject(struct story *s, enum act_argument what, size_t index)
{
	for (size_t i = 0; i < s->n_acts;) {
		struct story_act *a = &s->acts[i];

		if (act_has(a, what) && a->subject == index) {
			remove_acts(s, i, 1);
			continue;
		}
		if (act_has(a, what) && a->subject > index)
			a->subject--;
		i++;
	}
}

static void remove_endpoint(struct story *s, size_t at)
{
	forget_subject(s, ARGUMENT_ENDPOINT, at);
	s->n_endpoints--;
	memmove(&s->endpoints[at], &s->endpoints[at + 1], (s->n_endpoints - at) * sizeof(s->endpoints[0]));
}

static void remove_pool(struct story_endpoint *e, size_t at)
{
	e->n_pools--;
	memmove(&e->pools[at], &e->pools[at + 1], (e->n_pools - at) * sizeof(e->pools[0]));
}

/* False: a pool needs it. */
static bool remove_type(struct story *s, size_t at)
{
	for (size_t i = 0; i < s->n_endpoints; i++)
		for (size_t p = 0; p < s->endpoints[i].n_pools; p++) {
			size_t *type = &s->endpoints[i].pools[p].type;

			if (*type == at)
				return false;
			if (*type > at)
				--*type;
		}
	forget_subject(s, ARGUMENT_TYPE, at);
	s->n_types--;
	memmove(&s->types[at], &s->types[at + 1], (s->n_types - at) * sizeof(s->types[0]));
	return true;
}

static bool drop_endpoints(struct shrink *k)
{
	bool any = false;

	for (size_t i = k->best->n_endpoints; i-- > 0 && k->best->n_endpoints > 1;) {
		struct story s = *k->best;

		remove_endpoint(&s, i);
		any |= try_story(k, &s);
	}
	return any;
}

static bool drop_pools(struct shrink *k)
{
	bool any = false;

	for (size_t e = 0; e < k->best->n_endpoints; e++)
		for (size_t i = k->best->endpoints[e].n_pools; i-- > 0 && k->best->endpoints[e].n_pools > 1;) {
			struct story s = *k->best;

			remove_pool(&s.endpoints[e], i);
			any |= try_story(k, &s);
		}
	return any;
}

static bool drop_types(struct shrink *k)
{
	bool any = false;

	for (size_t i = k->best->n_types; i-- > 0;) {
		struct story s = *k->best;

		any |= remove_type(&s, i) && try_story(k, &s);
	}
	return any;
}

/* An act on the second operator is one on the only one then. */
static bool drop_operator(struct shrink *k)
{
	struct story s = *k->best;

	if (s.operators == 1)
		return false;
	s.operators = 1;
	return try_story(k, &s);
}

static bool drop_node_provider(struct shrink *k)
{
	struct story s = *k->best;

	if (s.nodes == CLUSTER_FIXED)
		return false;
	s.nodes = CLUSTER_FIXED;
	for (size_t i = 0; i < s.n_types; i++)
		s.types[i].stock = 0;
	return try_story(k, &s);
}

/* ---- plain numbers ---- */

/* Sets *number, which is inside *s, to value and keeps that if the rule is broken still. */
#define TRY(k, s, number, value)                    \
	do {                                            \
		if ((number) != (value)) {                  \
			__typeof__(number) before_ = (number);  \
			(number) = (__typeof__(number))(value); \
			if (!try_story(k, s))                   \
				(number) = before_;                 \
		}                                           \
	} while (0)

static int64_t whole_seconds(int64_t ms)
{
	return (ms + MS_PER_S / 2) / MS_PER_S * MS_PER_S;
}

static void plain_endpoint(struct shrink *k, struct story *s, struct story_endpoint *e)
{
	while (e->count > 0) {
		int32_t before = e->count;

		TRY(k, s, e->count, before - 1);
		if (e->count == before)
			break;
	}
	TRY(k, s, e->gpus, 1);
	TRY(k, s, e->rebalance_active, false);
	TRY(k, s, e->lends, false);
	TRY(k, s, e->max_retry_ms, e->retry_ms);
	TRY(k, s, e->startup_ms, 60 * MS_PER_S);
	for (size_t i = 0; i < e->n_pools; i++) {
		TRY(k, s, e->pools[i].min, 0);
		TRY(k, s, e->pools[i].max, 0);
		TRY(k, s, e->pools[i].priority, (int32_t)i + 1);
	}
}

static int32_t most_gpus(const struct story *s)
{
	int32_t most = 1;

	for (size_t i = 0; i < s->n_endpoints; i++)
		if (s->endpoints[i].gpus > most)
			most = s->endpoints[i].gpus;
	return most;
}

static void plain_type(struct shrink *k, struct story *s, struct cluster_type *t)
{
	while (t->nodes > 0) {
		int32_t before = t->nodes;

		TRY(k, s, t->nodes, before - 1);
		if (t->nodes == before)
			break;
	}
	TRY(k, s, t->gpus, most_gpus(s));
	TRY(k, s, t->load_ms, 5 * MS_PER_S);
	TRY(k, s, t->boot_ms, 30 * MS_PER_S);
}

/* Between those before and after it. */
static void plain_act(struct shrink *k, struct story *s, size_t i)
{
	struct story_act *a = &s->acts[i];
	int64_t at_ms = whole_seconds(a->at_ms);

	if ((i == 0 || s->acts[i - 1].at_ms <= at_ms) &&
	    at_ms <= (i + 1 < s->n_acts ? s->acts[i + 1].at_ms : s->heal_ms))
		TRY(k, s, a->at_ms, at_ms);
	if (a->for_ms > 0) {
		TRY(k, s, a->for_ms, whole_seconds(a->for_ms / 4) + MS_PER_S);
		if (a->for_ms % MS_PER_S != 0)
			TRY(k, s, a->for_ms, whole_seconds(a->for_ms) + MS_PER_S);
	}
	if (act_has(a, ARGUMENT_N) && a->n > act_form(a->type)->low)
		TRY(k, s, a->n, act_form(a->type)->low);
}

static void make_plain(struct shrink *k)
{
	struct story s = *k->best;

	TRY(k, &s, s.heal_ms,
	    s.n_acts > 0 ? whole_seconds(s.acts[s.n_acts - 1].at_ms) + 30 * MS_PER_S : 60 * MS_PER_S);
	for (size_t i = 0; i < s.n_endpoints; i++)
		plain_endpoint(k, &s, &s.endpoints[i]);
	for (size_t i = 0; i < s.n_types; i++)
		plain_type(k, &s, &s.types[i]);
	for (size_t i = 0; i < s.n_acts; i++)
		plain_act(k, &s, i);
}

void story_shrink(const struct story *s, const char *rule, struct story *ret)
{
	struct shrink k = {.best = ret, .rule = rule};
	bool again = true;

	*ret = *s;
	while (again) {
		again = drop_acts(&k);
		again |= drop_endpoints(&k);
		again |= drop_pools(&k);
		again |= drop_types(&k);
		again |= drop_operator(&k);
		again |= drop_node_provider(&k);
	}
	make_plain(&k);
}
