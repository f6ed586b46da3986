#pragma once
/* The operator: observe -> plan -> act, for every InstancePoolEndpoint. Wiring for cmd/; all decisions are pkg/plan's. */
#include "kube/client.h"
#include "net/loop.h"
#include "net/metrics.h"

enum node_autoscaler {
	NODE_AUTOSCALER_AUTO, /* external if Karpenter's API or cluster-autoscaler's status is found, else none */
	NODE_AUTOSCALER_NONE, /* nothing adds nodes: "no room" is definite after a few seconds */
	NODE_AUTOSCALER_EXTERNAL, /* something adds nodes when pods wait: a pool gets its whole provision timeout */
};

struct operator_options {
	const char *ns; /* NULL: all namespaces */
	enum node_autoscaler node_autoscaler;
	const char *instance; /* host name, for Events */
};

struct operator;

/* Borrows loop, client and metrics. Does nothing before operator_start(). */
struct operator*
	operator_new(struct loop *l, struct kube_client *c, struct metrics *m, const struct operator_options *o);
void operator_start(struct operator* op);
/* Cancels what runs; a write in flight ends as it may, the next start looks at what it did. NULL is fine. */
void operator_free(struct operator* op);

/* True when every watch has its first list, and planning has begun. Else *ret_waiting_for names what is not known yet (static). */
bool operator_ready(const struct operator* op, const char **ret_waiting_for);
