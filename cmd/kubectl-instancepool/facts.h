#pragma once
/* All that `status` shows of an endpoint, asked of the API server. */
#include "cluster.h"
#include "inspect/inspect.h"

#define FACTS_MAX_GAPS 8

struct facts {
	struct inspect_facts view; /* of what follows */
	struct arena arena;
	struct endpoint *endpoint;
	void **pods, **deployments; /* views */
	size_t n_pods, n_deployments;
	struct inspect_event *events;
	size_t n_events;
	struct inspect_gap gaps[FACTS_MAX_GAPS];
};

/* operator_ns: where the operator's Deployment and Lease are. What may not or cannot be read is a gap; only without the
 * endpoint itself it fails, with words that help (other names, a CRD that is missing). facts_done() in either case. */
int facts_read(struct facts *f, struct cluster *c, const char *name, const char *operator_ns,
               struct err *err);
void facts_done(struct facts *f);
