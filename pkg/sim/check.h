#pragma once
/* The promises of docs/design/planner.md, checked against what is true in the cluster (not against what an operator sees),
 * while a story runs and when it has come to rest. */
#include "sim/cluster.h"
#include "sim/network.h"
#include "sim/story.h"

struct check;
typedef void check_broken_fn(void *arg, const char *rule, const char *text);

/* Listens to all three. The first broken rule is told, from within whatever broke it. */
struct check *check_new(const struct story *s, struct api *a, struct network *n, struct cluster *c,
                        check_broken_fn *fn, void *arg);
void check_free(struct check *k); /* NULL is fine */
/* A person changed what the endpoint is to be, or trouble of the story touched it: what follows is not the operator's doing. */
void check_act(struct check *k, const struct story_act *act);
/* Trouble is over: from now on the cluster must come to rest. */
void check_healed(struct check *k);
/* The end, long after: is everything as it should be, and was it quiet? */
void check_end(struct check *k);
