#include <assert.h>
#include <inttypes.h>
#include "base/json.h"
#include "base/random.h"
#include "sim/documents.h"
#include "sim/tell.h"
#include "sim/world_internal.h"

#define MAX_STEPS 2000000u
#define MINUTE_MS (60 * MS_PER_S)

/* What world_chance() is for. Acts and endpoints have a place in what they are told apart by. */
enum purpose { OPERATOR_STARTS = 1, MODEL_COMES, ENDPOINT_COMES, GRACE, COMES_BACK };

int64_t world_chance(const struct world *w, uint64_t what, int64_t low, int64_t high)
{
	uint64_t state = w->story->seed ^ (what + 1) * UINT64_C(0xd6e8feb86659fd93);

	return random_between(&state, low, high);
}

static uint64_t purpose(enum purpose p, uint64_t of)
{
	return (uint64_t)p << 48 | of;
}

static int64_t now(const struct world *w)
{
	return timeline_ms(w->timeline);
}

/* ---- the operators ---- */

struct operator_process *world_operator(struct world *w, const char *identity)
{
	size_t i = 0;

	while (!str_eq(w->operators[i].identity, identity))
		i++;
	return &w->operators[i];
}

void world_start_operator(void *arg)
{
	struct operator_process *o = arg;
	struct world *w = o->world;

	o->next = NULL;
	tell_line(w->tell, now(w), "%s starts", o->identity);
	o->process = process_new(w->network,
	                         &(struct process_options){.identity = o->identity,
	                                                   .elects = w->story->operators > 1,
	                                                   .nodes_external = w->story->nodes != CLUSTER_FIXED});
}

static void plan(struct operator_process *o, int64_t in_ms, timeline_fn *fn)
{
	struct world *w = o->world;

	if (o->next)
		timeline_cancel(w->timeline, o->next);
	o->next = timeline_at(w->timeline, now(w) + in_ms, fn, o);
}

void world_crash_operator(struct operator_process *o)
{
	struct world *w = o->world;

	if (!o->process)
		return;
	tell_line(w->tell, now(w), "%s dies", o->identity);
	process_kill(o->process);
	o->process = NULL;
	o->stopped = false;
	plan(o, world_chance(w, purpose(COMES_BACK, (uint64_t)now(w)), 100, 5000), world_start_operator);
}

void world_continue_operator(void *arg)
{
	struct operator_process *o = arg;

	o->next = NULL;
	o->stopped = false;
	tell_line(o->world->tell, now(o->world), "%s goes on", o->identity);
	process_stop(o->process, false);
}

void world_stop_operator(struct operator_process *o, int64_t for_ms)
{
	o->stopped = true;
	process_stop(o->process, true);
	plan(o, for_ms, world_continue_operator);
}

/* ---- what is seen ---- */

static void on_broken(void *arg, const char *rule, const char *text)
{
	struct world *w = arg;

	if (w->result->rule)
		return;
	w->result->rule = rule;
	w->result->at_ms = now(w);
	str_copy(w->result->text, sizeof(w->result->text), text);
	tell_line(w->tell, now(w), "! %s: %s", rule, text);
}

static void on_write(void *arg, const char *who, const struct api_request *r, int status)
{
	struct world *w = arg;

	if (status < 400) {
		w->result->writes++;
		if (w->healed)
			w->result->calm_ms = now(w) - w->story->heal_ms;
	}
	tell_write(w->tell, now(w), who, r, status);
}

static void on_change(void *arg, enum api_change change, struct api_object *o)
{
	const struct world *w = arg;

	if (o->kind == API_EVENT && change != API_DELETED)
		tell_event(w->tell, now(w), o->doc);
}

/* ---- what happens ---- */

static void create_model(void *arg)
{
	const struct world_due *d = arg;
	const struct story_endpoint *e = &d->world->story->endpoints[d->index];
	int64_t grace_s = world_chance(d->world, purpose(GRACE, (uint64_t)e->name[0]), 5, 30);

	api_create(d->world->api, API_MODEL, document_model(e, grace_s, 0));
}

static void create_endpoint(void *arg)
{
	const struct world_due *d = arg;
	const struct story_endpoint *e = &d->world->story->endpoints[d->index];

	/* An act may have made it before. */
	if (!api_find(d->world->api, API_ENDPOINT, DOCUMENT_NS, e->name))
		api_create(d->world->api, API_ENDPOINT, document_endpoint(d->world->story, e));
}

static void act(void *arg)
{
	const struct world_due *d = arg;
	struct world *w = d->world;
	const struct story_act *a = &w->story->acts[d->index];

	check_act(w->check, a);
	tell_act(w->tell, now(w), w->story, a);
	if (!world_act(w, a))
		tell_line(w->tell, now(w), "  there is nothing that it could happen to");
}

static void heal(void *arg)
{
	struct world *w = arg;

	tell_line(w->tell, now(w), "* heal");
	network_heal(w->network);
	cluster_heal(w->cluster);
	for (int i = 0; i < w->story->operators; i++) {
		struct operator_process *o = &w->operators[i];

		if (o->next)
			plan(o, 0, o->process ? world_continue_operator : world_start_operator);
	}
	w->healed = true;
	check_healed(w->check);
}

static void plan_beginning(struct world *w)
{
	static const char *const identities[WORLD_OPERATORS] = {"operator-0", "operator-1"};

	for (size_t i = 0; i < WORLD_OPERATORS; i++)
		w->operators[i] = (struct operator_process){.world = w, .identity = identities[i]};
	for (int i = 0; i < w->story->operators; i++)
		plan(&w->operators[i], world_chance(w, purpose(OPERATOR_STARTS, (uint64_t)i), 0, 3000),
		     world_start_operator);
	for (size_t i = 0; i < w->story->n_endpoints; i++) {
		uint64_t name = (uint64_t)w->story->endpoints[i].name[0];

		w->models[i] = w->endpoints[i] = (struct world_due){w, i};
		timeline_at(w->timeline, world_chance(w, purpose(MODEL_COMES, name), 0, 1000), create_model,
		            &w->models[i]);
		timeline_at(w->timeline, world_chance(w, purpose(ENDPOINT_COMES, name), 0, 1000), create_endpoint,
		            &w->endpoints[i]);
	}
}

static void plan_story(struct world *w)
{
	for (size_t i = 0; i < w->story->n_acts; i++) {
		w->acts[i] = (struct world_due){w, i};
		timeline_at(w->timeline, w->story->acts[i].at_ms, act, &w->acts[i]);
	}
	timeline_at(w->timeline, w->story->heal_ms, heal, w);
}

/* By then whatever waits has been tried again, has come and has started, one after the other. */
static int64_t end_of(const struct story *s)
{
	int64_t longest = 0, boot = 0, load = 0;

	for (size_t i = 0; i < s->n_types; i++) {
		boot = s->types[i].boot_ms > boot ? s->types[i].boot_ms : boot;
		load = s->types[i].load_ms > load ? s->types[i].load_ms : load;
	}
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct story_endpoint *e = &s->endpoints[i];
		int64_t time = e->max_retry_ms + (int64_t)e->n_pools * (e->window_ms + boot) + e->startup_ms +
		               e->count * (load + 30 * MS_PER_S);

		longest = time > longest ? time : longest;
	}
	return s->heal_ms + longest + (s->nodes == CLUSTER_FIXED ? 1 : 6) * MINUTE_MS;
}

static void run(struct world *w)
{
	int64_t end_ms = end_of(w->story);
	unsigned steps = 0;
	char text[80];

	while (!w->result->rule && timeline_step(w->timeline, end_ms)) {
		if (++steps < MAX_STEPS)
			continue;
		str_format(text, sizeof(text), "%u steps until then, and still no end", steps);
		on_broken(w, "never at rest", text);
	}
	if (!w->result->rule)
		check_end(w->check);
}

void world_play(const struct story *s, FILE *tell, struct world_result *ret)
{
	struct world w = {.story = s, .tell = tell, .result = ret};

	*ret = (struct world_result){0};
	w.timeline = timeline_new(s->seed);
	w.api = api_new(w.timeline);
	w.network = network_new(w.api);
	w.cluster = cluster_new(w.api, s->nodes, s->types, s->n_types);
	network_on_write(w.network, on_write, &w);
	api_listen(w.api, on_change, &w);
	w.check = check_new(s, w.api, w.network, w.cluster, on_broken, &w);
	plan_beginning(&w);
	plan_story(&w);
	run(&w);
	for (size_t i = 0; i < WORLD_OPERATORS; i++)
		process_kill(w.operators[i].process);
	check_free(w.check);
	network_free(w.network);
	cluster_free(w.cluster);
	api_free(w.api);
	timeline_free(w.timeline);
}
