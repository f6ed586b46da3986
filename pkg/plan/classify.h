#pragma once
/* Why do the instances of one pool wait? A pure reading of the evidence (docs/design/capacity-signals.md).
 * What to do about it, plan.h decides. */
#include "api/endpoint.h"
#include "api/views.h"
#include "base/arena.h"
#include "plan/hint.h"

/* How long after a scheduler's verdict it is believed; and after room was made, because the scheduler's own
 * back-off goes to 10 s before it looks again. */
#define CLASSIFY_SETTLE_MS (3 * MS_PER_S)
#define CLASSIFY_RESCHEDULE_MS (12 * MS_PER_S)
/* A node younger than this whose devices are not yet allocatable is still coming up. */
#define CLASSIFY_YOUNG_NODE_MS (10 * 60 * MS_PER_S)
/* Beyond the grace period of what is being ended. */
#define CLASSIFY_RELEASE_MARGIN_MS (30 * MS_PER_S)

/* An autoscaler's word counts so long: a node that was promised comes by then or not at all, and a "no" that still
 * holds is said again every 5 minutes. */
#define CLASSIFY_HINT_MS (15 * 60 * MS_PER_S)

/* Said of what is asked now, too: so the next look has nothing new to tell. */
#define CLASSIFY_NO_PODS "its pods do not exist yet"

/* The newest that an autoscaler has said about a pod. */
struct classify_hint {
	enum hint hint;    /* NONE: nothing */
	struct wall said;  /* whole seconds */
	const char *words; /* of StockOut and Limit */
};

struct classify_input {
	int32_t waiting;               /* instances asked for and without a node; pods may not exist yet */
	const struct pod *const *pods; /* the pool's pods that wait, any order */
	size_t n_pods;
	const struct classify_hint *hints; /* of each of the pods, same order; NULL: nobody has said anything */
	struct wall last_bind;             /* the newest binding of the pool's pods; not set if none */
	const struct node *const *nodes;   /* nodes that carry the pool's selector, any order */
	size_t n_nodes;
	bool
		nodes_unknown; /* they may not be looked at: there are none above, and the scheduler's words have to do */
	const struct pod *const
		*leaving; /* pods of any endpoint being ended on those nodes; nodes_unknown: of this pool */
	size_t n_leaving;
	struct wall
		freed; /* when the last of ours was seen to be gone from one of those nodes; not set: not lately */
	int32_t older_bound;          /* instances of older revisions of this endpoint bound on those nodes */
	const struct jqty *resources; /* what one instance asks for */
	size_t n_resources;
	const char *failure_message; /* the Deployment's ReplicaFailure, NULL if none */
	bool provides_nodes;         /* something adds nodes to this pool when pods wait */
	/* What the status remembers of this pool. */
	enum pool_reason last_reason;
	struct wall last_deadline;
};

struct classify_output {
	enum pool_reason reason; /* NONE when nothing waits */
	/* Definite: the pool is given up now (StockOut or NoNodes, settled, where nothing provides nodes; elsewhere
	 * StockOut or Limit, when the autoscaler says so). */
	bool explicit_evidence;
	/* When time alone makes the reason definite, or at least another one: the moment to look again. Whole
	 * seconds. Not set: only the window ends it, or it is definite already. */
	struct wall deadline;
	int32_t on_the_way; /* as many of the waiting are known to get a node (young nodes' room, or promised) */
	/* Where a node was promised to some of the pods: those to whom none was, in the input's order. In the arena. */
	const struct pod *const *unpromised;
	size_t n_unpromised;
	/* A sentence in the arena or static, NULL for NONE; the same evidence gives the same words, without
	 * counts of other pools' nodes. */
	const char *message;
};

/* The reason and the deadline that this gives are to come back as last_reason and last_deadline: some
 * evidence has no time of its own. The order of the arrays does not change the answer, but for that of
 * the unpromised. */
void classify(const struct classify_input *in, struct wall now, struct arena *a, struct classify_output *ret);
