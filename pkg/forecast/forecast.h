#pragma once
/* Where would the instances of an endpoint land? The planner itself (plan.h), in virtual time, before a small model of what is
 * around it: Deployments, a scheduler that knows node selectors, required node affinity, taints and amounts, and instances that
 * get Ready soon. Nodes stay as they are, nobody else does anything. Pure: no clock, no I/O; the same input gives the same
 * answer.
 *
 * What the model does not know is in `notes`. */
#include "api/endpoint.h"
#include "api/model.h"
#include "api/views.h"
#include "base/arena.h"
#include "forecast/objects.h"

/* Who adds nodes for pods that wait? */
enum forecast_nodes {
	FORECAST_NODES_FIXED,     /* nobody: the operator's --node-autoscaler none */
	FORECAST_NODES_COME,      /* an autoscaler, and it gets all that it asks for */
	FORECAST_NODES_STAY_AWAY, /* an autoscaler, and it gets none and says nothing */
};

/* With FORECAST_NODES_COME: from the refusal of a pod to its node, or half of the endpoint's window where that is shorter. */
#define FORECAST_NODE_MS (120 * MS_PER_S)

/* A Model that is there and cannot be read. */
struct forecast_unreadable {
	const char *ns, *name, *why;
};

struct forecast_input {
	/* The spec as it is to be; uid, creation and status as they are now where it exists. */
	const struct endpoint *endpoint;
	const struct model *const *models; /* of its namespace, and of the others' */
	size_t n_models;
	const struct forecast_unreadable *const *unreadable;
	size_t n_unreadable;
	const struct forecast_node *const *nodes;
	size_t n_nodes;
	const struct forecast_pod *const *pods; /* those that have a node, and the endpoint's own */
	size_t n_pods;
	const struct deployment *const *deployments; /* of its namespace */
	size_t n_deployments;
	/* Other endpoints that the operator manages: what they have found out is shared (shortage.h). */
	const struct endpoint *const *others;
	size_t n_others;
	enum forecast_nodes adds_nodes;
	const char *const *out; /* instance types: none of their nodes is there, and none comes */
	size_t n_out;
	int32_t instance_count; /* instead of the spec's; -1: as that says */
	struct wall now;
};

struct forecast_line {
	int64_t after_ms;
	const char *text;
};

/* In the arena that was given; texts may be borrowed from the input. */
struct forecast {
	/* When each pod that was asked for first had the scheduler's answer. */
	struct endpoint_status first;
	int64_t first_after_ms;
	/* When nothing moves any more: all that is asked for is Ready, or has no capacity anywhere. Where the windows are longer
	 * than the pauses it never rests: when each pool has been tried, and the first is tried again. */
	struct endpoint_status rest;
	int64_t rest_after_ms;
	bool rests, repeats; /* neither: it did not come to rest within two days, `rest` is what was then */
	const struct forecast_line *lines; /* what happened until then, in order */
	size_t n_lines;
	const char *const *notes; /* sentences: what was not looked at */
	size_t n_notes;
};

/* Of an endpoint that is being deleted nothing is forecast: a note says so. */
void forecast(const struct forecast_input *in, struct arena *a, struct forecast *ret);
/* How many of the wanted instances have no node then. */
int32_t forecast_missing(const struct endpoint_status *s);
/* "instance", "instances" */
const char *forecast_instances(int32_t n);
