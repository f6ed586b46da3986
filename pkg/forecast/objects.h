#pragma once
/* What a scheduler adds up, and the operator has no need to know: what a node can give of each resource and what a pod asks
 * for. Amounts are thousandths of a unit (500 is "500m" of cpu), FORECAST_MAX_MILLI at most: what is more is as good as endless. */
#include <jansson.h>
#include "api/views.h"
#include "base/arena.h"

#define FORECAST_MAX_MILLI (INT64_MAX / 1024) /* so that those of many pods can be added up */

struct forecast_amount {
	const char *key;
	int64_t milli;
};
struct forecast_amounts {
	const struct forecast_amount *list;
	size_t n;
};
/* 0 when it is not there. */
int64_t forecast_amount_of(const struct forecast_amounts *a, const char *key);

struct forecast_node {
	struct node *view;
	struct forecast_amounts allocatable;
	struct arena arena;
};
struct forecast_pod {
	struct pod *view;
	struct forecast_amounts requests;
	struct arena arena;
};

/* New, or NULL: the error names the field, its value and what is wrong. */
struct forecast_node *forecast_node_decode(const json_t *node, struct err *err);
void forecast_node_free(struct forecast_node *n); /* NULL is fine */
struct forecast_pod *forecast_pod_decode(const json_t *pod, struct err *err);
void forecast_pod_free(struct forecast_pod *p); /* NULL is fine */

/* What a pod with this spec (a PodSpec) asks of its node: containers and sidecars together or the greediest init container,
 * and the overhead; where only a limit is given it is the request. In the arena. */
int forecast_requests(const json_t *pod_spec, struct arena *a, struct forecast_amounts *ret, struct err *err);

/* Nodes in short: {type: p5.48xlarge, count: 4, gpus: 8} and, where need be, labels, taints, unschedulable and allocatable (by
 * resource; what is not named there is plenty). Returns Node objects, Ready for long; new reference, or NULL: the error names the
 * field. */
json_t *forecast_nodes_in_short(const json_t *entry, struct err *err);
