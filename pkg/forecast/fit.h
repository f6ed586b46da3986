#pragma once
/* What a scheduler's filters say of one pod and one node, but for what is used already: kube-scheduler's NodeUnschedulable,
 * TaintToleration and NodeAffinity, in this order. Pure. */
#include <jansson.h>
#include "api/views.h"

enum fit {
	FIT_YES,
	FIT_CORDONED,
	FIT_TAINT,
	FIT_NO_MATCH, /* node selector or required node affinity */
};
enum fit fit_node(const json_t *pod_spec, const struct node *n);

/* NULL: it has no such label. */
const char *fit_label(const struct node *n, const char *key);

/* What the template asks of a scheduler that is not looked at here, as "pod affinity, volume claims"; "" if nothing. In the
 * arena. */
const char *fit_not_looked_at(const json_t *pod_spec, struct arena *a);
