#pragma once
/* The cluster around the API server: the Deployment and ReplicaSet controllers, the scheduler, kubelets, the garbage
 * collector, and what provides nodes. Hard where clusters are: victims are picked by the ReplicaSet controller alone, binds
 * come between two looks, GPUs stay taken while an instance ends, nodes are young, silent, doomed. Every delay comes from the
 * timeline's chance. */
#include "sim/api.h"

struct cluster;

enum cluster_nodes {
	CLUSTER_FIXED,      /* nobody adds nodes */
	CLUSTER_AUTOSCALER, /* Cluster Autoscaler's ways: Events, back-off after a failed scale-up */
	CLUSTER_KARPENTER,  /* Karpenter's */
};
const char *cluster_nodes_name(enum cluster_nodes n); /* "fixed", "cluster-autoscaler", "karpenter" */

struct cluster_type {
	const char *name; /* of the instance type; borrowed for the cluster's life */
	int32_t gpus;     /* of each node */
	int32_t nodes;    /* at the start, Ready */
	int32_t stock;    /* so many nodes can be had in all; only where something provides nodes */
	int64_t boot_ms;  /* from the order to a Ready node, about */
	int64_t load_ms;  /* from bound to Ready, of an instance on it, about */
};

#define CLUSTER_MAX_TYPES 4

struct cluster *cluster_new(struct api *a, enum cluster_nodes nodes, const struct cluster_type *types,
                            size_t n_types);
void cluster_free(struct cluster *c); /* before the API server. NULL is fine */

/* ---- what happens to it (the acts of a story); `type` is an index, `nth` one of its living nodes (modulo their number),
 * false: there is none, nothing happens ---- */

void cluster_add_node(struct cluster *c, size_t type);                /* young at first, then Ready */
bool cluster_delete_node(struct cluster *c, size_t type, size_t nth); /* at once, with all that runs there */
bool cluster_doom_node(struct cluster *c, size_t type, size_t nth,
                       int64_t for_ms); /* a termination notice; gone after it */
bool cluster_silence_node(struct cluster *c, size_t type, size_t nth,
                          int64_t for_ms); /* its kubelet says nothing: Unknown
                                                                                         * after 40 s, taints, eviction */
bool cluster_cordon_node(struct cluster *c, size_t type, size_t nth, int64_t for_ms);
bool cluster_lose_devices(struct cluster *c, size_t type, size_t nth,
                          int64_t for_ms); /* device plugin away: 0 allocatable */
void cluster_stock(struct cluster *c, size_t type, int32_t stock);
/* Somebody else's pod takes that many GPUs of the type where there is room, for so long; it counts as a fait accompli. */
bool cluster_stranger(struct cluster *c, size_t type, int32_t gpus, int64_t for_ms);
/* A running instance of the endpoint is deleted by somebody (an eviction). */
bool cluster_end_instance(struct cluster *c, const char *endpoint, size_t nth);
/* Instances that start from now on in this type, until then, never get Ready (crash, cannot pull, stay unready). */
enum cluster_failure { CLUSTER_UNREADY, CLUSTER_CRASH, CLUSTER_IMAGE };
void cluster_fail_starts(struct cluster *c, size_t type, enum cluster_failure f, int64_t until_ms);
/* No more pods than this in the namespace; -1: no quota. */
void cluster_quota(struct cluster *c, int32_t pods);
/* The ReplicaSet controller, the scheduler and the kubelets do nothing until then (a control plane in trouble). */
void cluster_pause(struct cluster *c, int64_t until_ms);
/* Everything above that lasts is over: nodes heard again and schedulable, devices back, starts succeed, no quota, no
 * strangers, no pause. Instances that failed start anew. What is gone stays gone, and doomed nodes go now. */
void cluster_heal(struct cluster *c);

/* ---- what is true, for the checks; of one endpoint ("ns" is always "default") ---- */

struct cluster_count {
	int32_t pods;         /* alive and not leaving */
	int32_t bound, ready; /* ready: as the API says, which may be late */
	int32_t leaving;
	int32_t lost;   /* of bound: on a node that is silent, doomed or gone */
	int32_t failed; /* of bound: will not get Ready */
};
/* pool NULL: all; revision NULL: all. */
struct cluster_count cluster_instances(const struct cluster *c, const char *endpoint, const char *pool,
                                       const char *revision);
/* How many instances of so many GPUs would still fit: on the type's usable nodes (GPUs of what ends are taken), on those that
 * are coming up, and on those that can be bought. */
int32_t cluster_room(const struct cluster *c, size_t type, int32_t gpus);
/* ... and on nodes that are young, or whose devices are away. */
int32_t cluster_coming(const struct cluster *c, size_t type, int32_t gpus);

/* Called right before the ReplicaSet controller ends an instance because its Deployment's count was lowered. ready_ms: since
 * when it is Ready; -1: it is not. */
typedef void cluster_end_fn(void *arg, const char *endpoint, const char *pool, const char *revision,
                            int64_t ready_ms);
void cluster_on_end(struct cluster *c, cluster_end_fn *fn, void *arg);
