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

struct controller_options {
	const char *ns; /* NULL: all namespaces */
	enum node_autoscaler node_autoscaler;
	const char *instance; /* host name, for Events */
};

struct controller;

/* Borrows loop, client and metrics. Does nothing before controller_start(). */
struct controller *controller_new(struct loop *l, struct kube_client *c, struct metrics *m,
                                  const struct controller_options *o);
void controller_start(struct controller *op);
/* Cancels what runs; a write in flight ends as it may, the next start looks at what it did. NULL is fine. */
void controller_free(struct controller *op);

/* True when every watch has its first list, and planning has begun. Else *ret_waiting_for names what is not known yet (static). */
bool controller_ready(const struct controller *op, const char **ret_waiting_for);
