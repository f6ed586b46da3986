#pragma once
/* A story that is being played (world.c), for what happens in it (world_acts.c). */
#include "sim/check.h"
#include "sim/process.h"
#include "sim/world.h"

#define WORLD_OPERATORS 2

struct world;

struct operator_process {
	struct world *world;
	const char *identity;
	struct process *process; /* NULL: not started yet, or dead */
	bool stopped;
	struct moment *next; /* it starts, or goes on; NULL: nothing is planned */
};

/* A moment of the timeline that needs to know whose it is. */
struct world_due {
	struct world *world;
	size_t index; /* of the act or the endpoint */
};

struct world {
	const struct story *story;
	FILE *tell;
	struct world_result *result;
	struct timeline *timeline;
	struct api *api;
	struct network *network;
	struct cluster *cluster;
	struct check *check;
	struct operator_process operators[WORLD_OPERATORS];
	struct world_due acts[STORY_MAX_ACTS], models[STORY_MAX_ENDPOINTS], endpoints[STORY_MAX_ENDPOINTS];
	int edits[STORY_MAX_ENDPOINTS]; /* of its Model, ever */
	bool healed;
};

/* From low to high, by what it is for: a story from which something was taken out goes on as it did. */
int64_t world_chance(const struct world *w, uint64_t what, int64_t low, int64_t high);

/* Moments of a struct operator_process. */
void world_start_operator(void *arg);
void world_continue_operator(void *arg);
/* It starts again a moment later; nothing happens if it does not run. */
void world_crash_operator(struct operator_process *o);
void world_stop_operator(struct operator_process *o, int64_t for_ms);
struct operator_process *world_operator(struct world *w, const char *identity);

/* False: there was nothing that it could have happened to. */
bool world_act(struct world *w, const struct story_act *a);
