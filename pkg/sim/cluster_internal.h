#pragma once
/* What the controllers of cluster.h share. Each has a file: cluster_workload.c (Deployments and their pods), cluster_garbage.c,
 * cluster_scheduler.c, cluster_kubelet.c, cluster_nodes.c, cluster_provider.c with cluster_autoscaler.c and
 * cluster_karpenter.c.
 *
 * Pods and nodes have a model beside their object in the API. The model is what is true, the object is what has been said
 * about it. Chance is drawn by what it is for (cluster_chance()), not one number after the other: a story from which an act
 * was taken out goes on as it did. */
#include <sys/queue.h>
#include "sim/cluster.h"

#define CLUSTER_NS "default"
#define CLUSTER_GPU "nvidia.com/gpu"
#define CLUSTER_NAME_SIZE 128

/* What somebody does later; planned once at most. Pauses hold it back (cluster_pause()), but for those `outside`. */
struct task {
	struct cluster *cluster;
	void *arg;
	bool outside;
	timeline_fn *run;
	struct moment *moment;
	bool held;
	TAILQ_ENTRY(task) link;
};
TAILQ_HEAD(tasks, task);

void task_init(struct task *t, struct cluster *c, void *arg);
/* Instead of whatever was planned. */
void task_after(struct task *t, int64_t delay_ms, timeline_fn *run);
void task_cancel(struct task *t);
static inline bool task_is_planned(const struct task *t)
{
	return t->moment != NULL || t->held;
}

/* A Deployment and its ReplicaSet, which is no object of its own. Lives as long as the cluster: pods outlive it. */
struct workload {
	struct cluster *cluster;
	struct api_object *object; /* NULL: gone */
	char *name, *endpoint, *pool, *revision;
	char *replica_set, *replica_set_uid;
	uint64_t chance;
	int32_t seen_replicas; /* of the object, when it was last looked at */
	bool seen;
	uint32_t n_pods, n_syncs, n_reports; /* ever */
	uint32_t n_refused;                  /* in a row */
	struct task sync, report;
	TAILQ_ENTRY(workload) link;
};

enum stage {
	STAGE_WAITING,
	STAGE_BOUND,    /* its kubelet has not spoken yet */
	STAGE_CREATING, /* containers are being created */
	STAGE_RUNNING,
	STAGE_READY,
	STAGE_FAILING, /* never gets Ready */
};

enum turn { TURN_PARKED, TURN_BACKOFF, TURN_ACTIVE }; /* of a waiting pod, with the scheduler */

#define POD_MAX_SAID 4

struct cluster_pod {
	struct cluster *cluster;
	struct api_object *object;
	struct workload *workload; /* NULL: a stranger's */
	uint64_t chance;
	int type; /* the instance type that it asks for; -1: none of ours */
	int32_t gpus;
	int64_t grace_ms;
	enum stage stage;
	struct cluster_node *node; /* NULL: not bound, or its node is gone */
	bool bound, leaving;
	bool says_ready;  /* its condition */
	int64_t ready_ms; /* ... since then */
	enum cluster_failure failure;
	uint32_t n_crashes;
	/* the scheduler's */
	enum turn turn;
	bool refused;
	uint32_t n_tries;
	int64_t refused_ms, tried_ms;
	TAILQ_ENTRY(cluster_pod) turn_link;
	/* what autoscalers said lately */
	struct {
		uint64_t what;
		int64_t at_ms;
	} said[POD_MAX_SAID];
	uint32_t n_said;
	struct task life; /* next step: of its back-off, then of its start */
	struct task end;
	TAILQ_ENTRY(cluster_pod) link;
};
TAILQ_HEAD(cluster_pods, cluster_pod);

enum boot { BOOT_STARTING, BOOT_BARE, BOOT_DONE }; /* not Ready; Ready without devices */
enum silence { SILENCE_NONE, SILENCE_UNNOTICED, SILENCE_UNKNOWN, SILENCE_PODS_TOLD, SILENCE_EVICTED };

struct cluster_node {
	struct cluster *cluster;
	struct api_object *object;
	size_t type;
	uint64_t chance;
	enum boot boot;
	int64_t boot_ms; /* from the object to Ready */
	enum silence silence;
	bool cordoned, emptied, forgets_devices;
	bool doomed;   /* a termination notice */
	bool removing; /* by what provides nodes */
	int32_t used;  /* GPUs of pods bound to it */
	uint32_t n_pods, n_acts;
	struct task booting, silent, heard, cordon, devices, gone, idle;
	TAILQ_ENTRY(cluster_node) link;
};
TAILQ_HEAD(cluster_nodes_list, cluster_node);

/* A node that was ordered and is not there yet. */
struct order {
	struct cluster *cluster;
	size_t type;
	char name[CLUSTER_NAME_SIZE];
	uint64_t chance;
	bool comes;
	struct task due;
	TAILQ_ENTRY(order) link;
};

struct type_state {
	const struct cluster_type *spec;
	uint64_t chance;
	int32_t stock;
	uint32_t n_named; /* nodes, ever */
	enum cluster_failure failure;
	int64_t failing_until_ms;
	/* what provides nodes */
	int32_t max_size;
	int64_t out_until_ms; /* in back-off, or the offering is known not to be there */
	uint32_t n_failures;  /* in a row */
};

struct cluster {
	struct api *api;
	struct timeline *timeline;
	uint64_t seed;
	enum cluster_nodes nodes_from;
	struct cluster_type specs[CLUSTER_MAX_TYPES];
	struct type_state types[CLUSTER_MAX_TYPES];
	size_t n_types;
	cluster_end_fn *on_end;
	void *on_end_arg;
	int32_t quota; /* -1: none */
	int64_t paused_until_ms;
	struct task resume;
	struct tasks held;
	TAILQ_HEAD(, workload) workloads;
	struct cluster_pods pods, turns; /* turns: those that the scheduler looks at next, in this order */
	struct cluster_nodes_list nodes;
	TAILQ_HEAD(, order) orders;
	TAILQ_HEAD(, garbage) garbage;
	uint32_t n_strangers, n_cycles, n_batches, n_garbage;
	struct task scheduler, provider;
};

static inline int64_t cluster_now(const struct cluster *c)
{
	return timeline_ms(c->timeline);
}
/* From low to high, both included: the same for the same subject, purpose and nth time. */
int64_t cluster_chance(uint64_t subject, const char *purpose, uint64_t nth, int64_t low, int64_t high);

/* ---- what objects say ---- */

/* lastTransitionTime moves with the status only. Did anything change? */
bool cluster_condition(struct cluster *c, json_t *doc, const char *type, const char *status,
                       const char *reason, const char *message);
void cluster_drop_condition(json_t *doc, const char *type);
void cluster_append(json_t *list, json_t *o);

/* ---- workload ---- */

void workload_seen(struct cluster *c, struct api_object *o, enum api_change change);
void workload_pod_changed(struct workload *w); /* one has come, gone, begun to leave, or is Ready or not */
void workload_free(struct workload *w);

/* ---- garbage ---- */

struct garbage;
void garbage_seen(struct cluster *c, struct api_object *o, enum api_change change);
void garbage_free(struct cluster *c);

/* ---- scheduler ---- */

void scheduler_add(struct cluster_pod *p);
void scheduler_forget(struct cluster_pod *p);
/* Something has changed that could help. */
void scheduler_wake(struct cluster *c);

/* ---- kubelet: pods' lives ---- */

/* o is there already. */
struct cluster_pod *pod_new(struct cluster *c, struct api_object *o, struct workload *w, int type);
void pod_free(struct cluster_pod *p);
void pod_bind(struct cluster_pod *p, struct cluster_node *n);
/* With its grace period; p may be gone afterwards. */
void pod_end(struct cluster_pod *p);
/* Somebody else may have changed or removed the object. */
void pod_seen(struct cluster_pod *p, enum api_change change);
void pod_node_gone(struct cluster_pod *p);
void pod_node_silent(struct cluster_pod *p); /* its node has been Unknown for a moment */
void pod_node_heard(struct cluster_pod *p);
void pod_cure(struct cluster_pod *p); /* what keeps it from starting is over */
static inline bool pod_is_silent(const struct cluster_pod *p)
{
	return p->node && p->node->silence != SILENCE_NONE;
}

/* ---- nodes ---- */

struct cluster_node *node_new(struct cluster *c, size_t type, const char *name, enum boot boot,
                              int64_t boot_ms);
void node_name(struct cluster *c, size_t type, char buf[static CLUSTER_NAME_SIZE]);
void node_free(struct cluster_node *n);
void node_remove(struct cluster_node *n); /* the object too; its pods are garbage */
/* Says what is true of it, or believed. */
void node_show(struct cluster_node *n);
/* What its object says: a taint that no instance tolerates; GPUs that can be allocated, whoever has them. */
bool node_says_taint(const struct cluster_node *n);
int32_t node_says_gpus(const struct cluster_node *n);
/* GPUs that are left in truth: none on nodes that take nothing. */
int32_t node_free_gpus(const struct cluster_node *n);
void node_use(struct cluster_node *n, int32_t gpus); /* a pod comes; negative: goes */
void node_heal(struct cluster_node *n);

/* ---- what provides nodes ---- */

void provider_start(struct cluster *c);
void provider_pod_refused(struct cluster *c);
void provider_node_empty(struct cluster_node *n);
struct order *provider_order(struct cluster *c, size_t type);
void order_free(struct order *o);
/* Its node comes up. Frees it. */
void order_deliver(struct order *o);
/* Nodes of a type that exist or are sure to come. */
int32_t provider_living(const struct cluster *c, size_t type);
/* An Event about a pod; the same is not said again within five minutes. */
void provider_says(struct cluster_pod *p, const char *type, const char *reason, const char *message);

#define FIT_MAX 64
/* How pods fit on what there is, what is coming, and what could be ordered. */
struct fit {
	int32_t free[FIT_MAX];
	struct order *order[FIT_MAX]; /* what was ordered; NULL: a node */
	const char *name[FIT_MAX];
	size_t n;
};
void fit_init(struct fit *f, const struct cluster *c, size_t type);
/* Takes the GPUs; the index, -1: there is no place. */
int fit_place(struct fit *f, int32_t gpus);
/* One that is new. */
void fit_add(struct fit *f, struct order *o, int32_t gpus);

void autoscaler_run(void *arg);
void autoscaler_start(struct cluster *c);
void karpenter_run(void *arg); /* the cluster */
