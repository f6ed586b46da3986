#pragma once
/* What a person wants to see of an endpoint when something is wrong: its pools and instances as a tree, the conditions that
 * are not well, the last Events, and what to do next. Pure: who asks the API fills in the facts. */
#include "api/endpoint.h"
#include "api/views.h"
#include "base/arena.h"
#include "base/buf.h"

struct inspect_event {
	const char *pod; /* whom it is about; NULL: the endpoint */
	bool warning;
	int32_t count;
	const char *reason, *message; /* NULL: none */
	struct wall last;
};

/* The Lease that a leading operator renews. */
struct inspect_lease {
	bool known;            /* false: it, or its name, could not be read */
	bool present;          /* there is one */
	const char *ns, *name; /* the name is the operator's Deployment's, too */
	const char *holder;    /* NULL: nobody */
	struct wall renewed;
	int64_t duration_ms;
};

/* What could not be read. */
struct inspect_gap {
	const char *what; /* "pods" */
	const char *why;
};

struct inspect_facts {
	struct wall now; /* by the API server's clock, as all that is compared with it */
	const struct endpoint *endpoint;
	const struct pod *const *pods; /* the endpoint's, any order */
	size_t n_pods;
	const struct deployment *const *deployments; /* the same */
	size_t n_deployments;
	const struct inspect_event *events; /* about the endpoint and its pods, any order */
	size_t n_events;
	const char *const *missing_models; /* needed by a pool, and not there */
	size_t n_missing_models;
	struct inspect_lease lease;
	const struct inspect_gap *gaps;
	size_t n_gaps;
};

struct inspect_style {
	bool color;
	unsigned width; /* columns; 0: any */
};

void inspect_write(const struct inspect_facts *f, const struct inspect_style *style, struct buf *out);

#define INSPECT_MAX_STEPS 5
/* What to do next, the most urgent first: sentences in the arena, fit for a terminal. Returns how many; 0: nothing. */
size_t inspect_advise(const struct inspect_facts *f, struct arena *a,
                      const char *ret[static INSPECT_MAX_STEPS]);
