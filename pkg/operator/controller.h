#pragma once
/* The operator: observe -> plan -> act, for every InstancePoolEndpoint. Wiring for cmd/; all decisions are pkg/plan's. */
#include "kube/client.h"
#include "net/loop.h"
#include "net/metrics.h"

enum node_autoscaler {
	NODE_AUTOSCALER_AUTO, /* external if Karpenter's API or cluster-autoscaler's status is found, else none */
	NODE_AUTOSCALER_NONE, /* nothing adds nodes: "no room" is definite after a few seconds */
	NODE_AUTOSCALER_EXTERNAL, /* something adds nodes when pods wait: a pool gets its provision timeout, unless that says no */
};

#define CONTROLLER_MAX_NAMESPACES 64u

struct controller_options {
	const char *const *namespaces; /* those that are managed; copied */
	size_t n_namespaces;           /* 0: all; at most CONTROLLER_MAX_NAMESPACES */
	/* false: nothing is asked about nodes, which takes no right beyond the namespaces. What the scheduler says of them has to
	 * do then: a machine that is lost is seen only when its pods are deleted, and nodes that come up are not waited for. */
	bool watch_nodes;
	enum node_autoscaler node_autoscaler;
	const char *instance; /* host name, for Events */
	/* Asked right before each write; false: the write is not sent. NULL: always true. */
	bool (*may_write)(void *arg);
	void *may_write_arg;
	int64_t write_timeout_ms; /* what a write may take; 0: the client's default */
};

struct controller;

/* Borrows loop, client and metrics. Does nothing before controller_start(). */
struct controller *controller_new(struct loop *l, struct kube_client *c, struct metrics *m,
                                  const struct controller_options *o);
void controller_start(struct controller *op);
/* From now on it plans and writes; false: it stops, and cancels its writes in flight. What the watches show stays, so
 * that a standby takes over without a new list. A controller begins without. */
void controller_lead(struct controller *op, bool leads);
/* Cancels what runs; a write in flight ends as it may, the next start looks at what it did. NULL is fine. */
void controller_free(struct controller *op);

/* True when every watch has its first list, planning has begun, no watch has been away for longer than a passing fault
 * lasts, and no endpoint lacks a right to be written or a field in the CRD. Else err says what it waits for, or what stands
 * in the way and what to do. */
bool controller_ready(const struct controller *op, struct err *err);
