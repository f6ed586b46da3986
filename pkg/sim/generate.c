/* A seed -> a story. Most stories are small and crowded: few nodes, endpoints after the same ones, several things at once. */
#include "base/mem.h"
#include "base/random.h"
#include "sim/acts.h"

#define MAX_CHANCE_ACTS 25
#define MAX_NODES 3
#define CALM_EACH 20 /* one of so many stories is calm */

struct chance {
	uint64_t state;
};

static int64_t between(struct chance *c, int64_t low, int64_t high)
{
	return random_between(&c->state, low, high);
}

static bool percent(struct chance *c, int64_t n)
{
	return between(c, 1, 100) <= n;
}

static int64_t seconds(struct chance *c, int64_t low, int64_t high)
{
	return between(c, low, high) * MS_PER_S;
}

/* An index by weight; at least one weight is not 0. */
static size_t draw(struct chance *c, const int *weights, size_t n)
{
	int64_t sum = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < n; k++)
		sum += weights[k];
	for (at = between(c, 1, sum); at > weights[i]; i++)
		at -= weights[i];
	return i;
}

/* ---- the cluster and the endpoints ---- */

static void make_types(struct chance *c, struct story *s)
{
	static const int32_t gpus[] = {1, 2, 4, 8};
	static const int gpu_weights[] = {15, 30, 35, 20}, type_weights[] = {1, 5, 3, 1};
	static const int node_weights[] = {2, 5, 4, 2};
	int32_t all = gpus[draw(c, gpu_weights, ARRAY_LEN(gpus))];
	bool mixed = percent(c, 20);

	s->n_types = 1 + draw(c, type_weights, ARRAY_LEN(type_weights));
	for (size_t i = 0; i < s->n_types; i++) {
		struct cluster_type *t = &s->types[i];

		t->name = story_type_names[i];
		t->gpus = mixed ? gpus[draw(c, gpu_weights, ARRAY_LEN(gpus))] : all;
		t->nodes = (int32_t)draw(c, node_weights, ARRAY_LEN(node_weights));
		if (s->nodes != CLUSTER_FIXED)
			t->stock = t->nodes + (int32_t)between(c, 0, MAX_NODES);
		t->boot_ms = seconds(c, 20, 90);
		t->load_ms = seconds(c, 2, 25);
	}
}

static void make_pools(struct chance *c, const struct story *s, struct story_endpoint *e)
{
	static const int weights[] = {2, 5, 3, 1};
	size_t order[CLUSTER_MAX_TYPES] = {0}, wanted = 1 + draw(c, weights, ARRAY_LEN(weights));

	for (size_t i = 0; i < s->n_types; i++)
		order[i] = i;
	/* Mostly all endpoints prefer the same. */
	if (percent(c, 30)) {
		size_t with = (size_t)between(c, 0, (int64_t)s->n_types - 1), first = order[0];

		order[0] = order[with];
		order[with] = first;
	}
	e->n_pools = wanted < s->n_types ? wanted : s->n_types;
	for (size_t i = 0; i < e->n_pools; i++) {
		struct story_pool *p = &e->pools[i];

		p->type = order[i];
		p->priority = i > 0 && percent(c, 10) ? e->pools[i - 1].priority : (int32_t)i + 1;
		if (percent(c, 15))
			p->max = (int32_t)between(c, 1, 4);
		if (percent(c, 10))
			p->min = (int32_t)between(c, 1, p->max ? p->max : 2);
	}
}

static void make_endpoint(struct chance *c, const struct story *s, struct story_endpoint *e)
{
	static const int count_weights[] = {1, 3, 4, 4, 3, 1, 1};

	make_pools(c, s, e);
	e->count = (int32_t)draw(c, count_weights, ARRAY_LEN(count_weights));
	e->gpus = 1;
	if (percent(c, 50)) {
		e->gpus = s->types[e->pools[0].type].gpus;
		for (size_t i = 1; i < e->n_pools; i++)
			if (s->types[e->pools[i].type].gpus < e->gpus)
				e->gpus = s->types[e->pools[i].type].gpus;
	}
	e->window_ms = percent(c, 20) ? 0 : seconds(c, 5, percent(c, 70) ? 40 : 120);
	e->retry_ms = seconds(c, 20, percent(c, 70) ? 60 : 180);
	e->max_retry_ms = e->retry_ms * (percent(c, 50) ? 1 : 2);
	e->startup_ms = seconds(c, 60, 90);
	e->rebalance_active = percent(c, 30);
	e->lends = percent(c, 70);
}

/* ---- acts ---- */

enum theme { CAPACITY, NODES, NETWORK, CRASHES, UPDATES, EVERYTHING, THEME_COUNT };

/* How often each act comes in a story of the theme. What is undone by another act is drawn with it (see follow()). */
static const int act_weights[ACT_TYPE_COUNT][THEME_COUNT] = {
	[ACT_SCALE] = {10, 5, 6, 8, 5, 6},        [ACT_EDIT_MODEL] = {1, 1, 2, 3, 10, 3},
	[ACT_EDIT_BACK] = {0, 0, 0, 1, 3, 1},     [ACT_POOLS] = {1, 0, 1, 1, 4, 2},
	[ACT_DROP_POOL] = {1, 0, 0, 1, 3, 1},     [ACT_CAP] = {2, 0, 0, 1, 3, 1},
	[ACT_DELETE] = {1, 0, 1, 1, 2, 1},        [ACT_CREATE] = {0, 0, 0, 0, 1, 1},
	[ACT_FOREIGN_SCALE] = {1, 0, 1, 1, 1, 1}, [ACT_LOSE_STATUS] = {1, 1, 1, 2, 1, 1},
	[ACT_ADD_NODE] = {5, 4, 2, 3, 2, 3},      [ACT_DELETE_NODE] = {4, 5, 1, 2, 1, 2},
	[ACT_DOOM_NODE] = {2, 5, 1, 1, 1, 2},     [ACT_SILENCE_NODE] = {1, 6, 1, 1, 1, 2},
	[ACT_CORDON_NODE] = {2, 5, 1, 1, 1, 2},   [ACT_LOSE_DEVICES] = {1, 3, 0, 0, 0, 1},
	[ACT_STOCK] = {6, 2, 1, 1, 1, 2},         [ACT_STRANGER] = {5, 1, 1, 1, 1, 2},
	[ACT_END_INSTANCE] = {2, 4, 2, 2, 2, 2},  [ACT_FAIL_STARTS] = {2, 1, 1, 1, 4, 2},
	[ACT_QUOTA] = {1, 0, 0, 0, 1, 1},         [ACT_PAUSE] = {1, 1, 1, 1, 1, 1},
	[ACT_FAIL_WRITES] = {0, 0, 12, 3, 2, 3},  [ACT_FAIL_WATCH] = {0, 0, 12, 3, 2, 3},
	[ACT_DOWN] = {0, 0, 4, 1, 0, 1},          [ACT_CRASH] = {1, 1, 1, 6, 2, 2},
	[ACT_CRASH_AT] = {1, 1, 2, 12, 3, 3},     [ACT_FREEZE] = {0, 0, 1, 4, 0, 1},
};

/* What the operator watches. */
static const enum api_kind watched[] = {API_ENDPOINT, API_MODEL, API_DEPLOYMENT, API_POD,
                                        API_NODE,     API_EVENT, API_SERVICE,    API_BUDGET};
static const int watched_weights[] = {3, 1, 6, 6, 3, 1, 1, 1};

struct plot {
	struct chance chance;
	enum theme theme;
	size_t n_acts; /* at most so many */
	struct story *s;
};

static void add(struct plot *p, struct story_act a)
{
	struct story *s = p->s;
	size_t at = s->n_acts;

	if (s->n_acts == STORY_MAX_ACTS)
		return;
	for (; at > 0 && s->acts[at - 1].at_ms > a.at_ms; at--)
		s->acts[at] = s->acts[at - 1];
	s->acts[at] = a;
	s->n_acts++;
}

/* What mostly comes after it. */
static void follow(struct plot *p, struct story_act a)
{
	struct chance *c = &p->chance;

	a.at_ms += between(c, 100, percent(c, 60) ? 5000 : 90000);
	switch ((int)a.type) {
	case ACT_DELETE:
		if (!percent(c, 90))
			return;
		a.type = ACT_CREATE;
		break;
	case ACT_DELETE_NODE:
		if (!percent(c, 50))
			return;
		a.type = ACT_ADD_NODE;
		break;
	case ACT_QUOTA:
		a.n = -1;
		break;
	case ACT_EDIT_MODEL:
		if (!percent(c, 25))
			return;
		a.type = percent(c, 50) ? ACT_EDIT_BACK : ACT_EDIT_MODEL;
		break;
	case ACT_STOCK:
		if (a.n > 0 || !percent(c, 60))
			return;
		a.n = (int32_t)between(c, 1, MAX_NODES);
		break;
	default:
		return;
	}
	add(p, a);
}

static int32_t draw_n(struct chance *c, enum act_type type)
{
	switch ((int)type) {
	case ACT_SCALE:
	case ACT_FOREIGN_SCALE:
		return (int32_t)between(c, 0, 6);
	case ACT_POOLS:
		return (int32_t)between(c, 1, STORY_MAX_POOLS - 1);
	case ACT_DROP_POOL:
		return (int32_t)between(c, 0, STORY_MAX_POOLS - 1);
	case ACT_CAP:
		return (int32_t)between(c, 0, 3);
	case ACT_STOCK:
		return percent(c, 50) ? 0 : (int32_t)between(c, 1, 2 * MAX_NODES);
	case ACT_STRANGER:
		return (int32_t)between(c, 1, 4);
	case ACT_QUOTA:
		return (int32_t)between(c, 0, 8);
	case ACT_FAIL_WRITES:
		return (int32_t)between(c, 1, percent(c, 80) ? 3 : 12);
	case ACT_CRASH_AT:
		return (int32_t)between(c, 0, 4);
	default: /* which node or instance */
		return (int32_t)between(c, 0, 3);
	}
}

static int64_t draw_for(struct chance *c, enum act_type type)
{
	switch ((int)type) {
	case ACT_DOOM_NODE:
		return seconds(c, 10, 120);
	case ACT_SILENCE_NODE: /* a node is Unknown after 40 s */
		return seconds(c, 10, 150);
	case ACT_PAUSE:
	case ACT_DOWN:
	case ACT_FREEZE:
		return seconds(c, 1, 40);
	case ACT_FAIL_WATCH:
		return between(c, 200, percent(c, 70) ? 5000 : 40000);
	default:
		return seconds(c, 5, 120);
	}
}

/* Nobody hears of its end. */
static void unheard(struct plot *p, const struct story_act *a)
{
	struct chance *c = &p->chance;
	struct story_act drop = {
		.at_ms = a->at_ms - between(c, 1, 100), .type = ACT_FAIL_WATCH, .word = NETWORK_WATCH_DROP};

	if ((a->type != ACT_DELETE && a->type != ACT_DELETE_NODE) || !percent(c, 25))
		return;
	drop.kind = a->type == ACT_DELETE ? API_ENDPOINT : percent(c, 50) ? API_NODE : API_POD;
	add(p, drop);
}

/* While an operator cannot see it, instances go, and less is wanted when it is back. */
static void unseen(struct plot *p, const struct story_act *a)
{
	struct chance *c = &p->chance;
	const struct story *s = p->s;
	int64_t back_ms = a->at_ms + a->for_ms;

	if ((a->type != ACT_DOWN && a->type != ACT_FREEZE) || !percent(c, 50))
		return;
	add(p, (struct story_act){.at_ms = a->at_ms + between(c, 0, a->for_ms),
	                          .type = ACT_DELETE_NODE,
	                          .subject = (size_t)between(c, 0, (int64_t)s->n_types - 1),
	                          .n = (int32_t)between(c, 0, MAX_NODES)});
	add(p, (struct story_act){.at_ms = back_ms - between(c, 0, 500),
	                          .type = ACT_SCALE,
	                          .subject = (size_t)between(c, 0, (int64_t)s->n_endpoints - 1),
	                          .n = (int32_t)between(c, 1, 4)});
}

static void add_act(struct plot *p, int64_t at_ms)
{
	int weights[ACT_TYPE_COUNT];
	struct chance *c = &p->chance;
	struct story *s = p->s;
	struct story_act a = {.at_ms = at_ms};

	for (size_t i = 0; i < ARRAY_LEN(weights); i++)
		weights[i] = act_weights[i][p->theme];
	if (s->nodes == CLUSTER_FIXED)
		weights[ACT_STOCK] = 0;
	a.type = (enum act_type)draw(c, weights, ARRAY_LEN(weights));
	if (act_has(&a, ARGUMENT_WORD))
		a.word = (int)between(c, 0, act_form(a.type)->n_words - 1);
	if (act_has(&a, ARGUMENT_ENDPOINT))
		a.subject = (size_t)between(c, 0, (int64_t)s->n_endpoints - 1);
	if (act_has(&a, ARGUMENT_TYPE))
		a.subject = (size_t)between(c, 0, (int64_t)s->n_types - 1);
	if (act_has(&a, ARGUMENT_N))
		a.n = a.type == ACT_CRASH || a.type == ACT_FREEZE ? (int32_t)between(c, 0, s->operators - 1)
		                                                  : draw_n(c, a.type);
	if (act_has(&a, ARGUMENT_KIND))
		a.kind = watched[draw(c, watched_weights, ARRAY_LEN(watched))];
	if (act_has(&a, ARGUMENT_FOR) || (act_has(&a, ARGUMENT_FOR_LATE) && a.word == NETWORK_WATCH_LATE))
		a.for_ms = draw_for(c, a.type);
	add(p, a);
	unheard(p, &a);
	unseen(p, &a);
	follow(p, a);
}

/* Moments with several acts within seconds, and quiet between. */
static void add_acts(struct plot *p, int64_t until_ms)
{
	struct chance *c = &p->chance;

	while (p->s->n_acts < p->n_acts) {
		int64_t at_ms = between(c, 1000, until_ms), n = percent(c, 50) ? 1 : between(c, 2, 4);

		for (; n > 0 && p->s->n_acts < p->n_acts; n--)
			add_act(p, at_ms + between(c, 0, percent(c, 30) ? 100 : 3000));
	}
}

/* One endpoint alone that falls back, and comes to rest before each update: what this does to a fleet that is well. */
static void make_calm(struct plot *p)
{
	struct chance *c = &p->chance;
	struct story *s = p->s;
	struct story_endpoint *e = &s->endpoints[0];
	int64_t at_ms = 0;

	s->nodes = CLUSTER_FIXED;
	s->n_endpoints = 1;
	s->n_types = e->n_pools = 2;
	for (size_t i = 0; i < s->n_types; i++) {
		s->types[i] = (struct cluster_type){.name = story_type_names[i], .gpus = (int32_t)between(c, 1, 2)};
		s->types[i].nodes = i == 0 ? (int32_t)between(c, 1, MAX_NODES) : 2 * MAX_NODES;
		s->types[i].boot_ms = seconds(c, 20, 90);
		s->types[i].load_ms = seconds(c, 2, 8);
		e->pools[i] = (struct story_pool){.type = i, .priority = (int32_t)i + 1};
	}
	e->gpus = 1;
	e->rebalance_active = false;
	for (int64_t n = between(c, 2, 3); n > 0; n--) {
		at_ms += seconds(c, 60, 120);
		add(p, (struct story_act){.at_ms = at_ms, .type = ACT_SCALE, .n = (int32_t)between(c, 1, 6)});
		at_ms += seconds(c, 20, 60);
		add(p, (struct story_act){.at_ms = at_ms, .type = ACT_EDIT_MODEL});
		at_ms += seconds(c, 60, 150);
	}
}

void story_generate(uint64_t seed, struct story *ret)
{
	static const int theme_weights[] = {3, 3, 3, 3, 3, 5}, endpoint_weights[] = {9, 9, 2};
	static const int node_weights[] = {2, 1, 1};
	struct plot p = {.chance = {seed}, .s = ret};
	struct chance *c = &p.chance;

	*ret = (struct story){.seed = seed, .operators = percent(c, 30) ? 2 : 1};
	p.theme = (enum theme)draw(c, theme_weights, ARRAY_LEN(theme_weights));
	ret->nodes = (enum cluster_nodes)draw(c, node_weights, ARRAY_LEN(node_weights));
	make_types(c, ret);
	ret->n_endpoints = 1 + draw(c, endpoint_weights, ARRAY_LEN(endpoint_weights));
	for (size_t i = 0; i < ret->n_endpoints; i++) {
		ret->endpoints[i].name = story_endpoint_names[i];
		make_endpoint(c, ret, &ret->endpoints[i]);
	}
	p.n_acts = (size_t)between(c, 3, percent(c, 60) ? 12 : MAX_CHANCE_ACTS);
	if (seed % CALM_EACH == 0)
		make_calm(&p);
	else /* two operators renew and look at their lease every two seconds: that costs most of such a story */
		add_acts(&p, seconds(c, 180, ret->operators == 2 ? 300 : percent(c, 70) ? 480 : 900));
	/* An update that nothing else comes into. */
	if (percent(c, 15))
		add(&p, (struct story_act){.at_ms = ret->acts[ret->n_acts - 1].at_ms + seconds(c, 150, 200),
		                           .type = ACT_EDIT_MODEL,
		                           .subject = (size_t)between(c, 0, (int64_t)ret->n_endpoints - 1)});
	ret->heal_ms = ret->acts[ret->n_acts - 1].at_ms + seconds(c, 20, 60);
}
