#pragma once
/* One run of writes for an endpoint, between act.c, which makes it, and run.c, which sends it. */
#include "operator/internal.h"

struct write {
	struct kube_request rq;
	enum kind kind;   /* of the object that it is about; of a dry run the Deployment */
	const char *name; /* of that object; a create has none in its request */
	bool is_status;
	bool is_create;
	bool is_delete;
	bool is_restore;
	const char
		*refused_as; /* static: why, if the server refuses it, it is not asked again at once; NULL: it is */
	int32_t count;   /* what is asked of a Deployment, else -1 */
};

struct run {
	struct work *w;
	struct arena arena; /* holds all below */
	struct write *writes;
	size_t n_writes, next;
	struct kube_call *call;
	struct loop_timer *again; /* sends the status once more; NULL: was not needed */
	unsigned tries;           /* ... so often */
	bool status_unknown;      /* it may have arrived before, and then this run ends by its own conflict */
	struct event_ref ref;
	struct plan_event *events;
	size_t n_events;
	bool failed;
	struct mono made;      /* when it was planned */
	bool has_service_turn; /* creates a Service */
};

/* Sends what is next, or ends the run. No callback runs before it returns, but for reconcile_ended() when nothing is left. */
void run_send(struct run *r);
