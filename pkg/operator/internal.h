#pragma once
/* Shared inside pkg/operator. */
#include "api/endpoint.h"
#include "api/model.h"
#include "api/views.h"
#include "api/workload.h"
#include "base/arena.h"
#include "base/map.h"
#include "kube/events.h"
#include "kube/informer.h"
#include "kube/queue.h"
#include "operator/controller.h"
#include "operator/trouble.h"
#include "plan/plan.h"
#include "plan/shortage.h"

enum kind {
	KIND_ENDPOINT,
	KIND_MODEL,
	KIND_DEPLOYMENT,
	KIND_POD,
	KIND_NODE,
	KIND_SERVICE,
	KIND_BUDGET,
	/* Events about Pods: watched only where something provides nodes, and nobody waits for the list. */
	KIND_POD_EVENT,
	KIND_COUNT,
	KIND_NEEDED_COUNT = KIND_POD_EVENT,
};
extern const struct kube_type controller_types[KIND_COUNT];
/* Indexes of the stores: deployments and pods by "ns/endpoint", pods that are being ended by node; nodes by type; Events by
 * "ns/pod". */
enum { INDEX_ENDPOINT = 0, INDEX_LEAVING = 1 };
enum { INDEX_INSTANCE_TYPE = 0 };
enum { INDEX_POD = 0 };

#define KEY_SIZE 320
/* "ns/name" */
void key_format(char buf[static KEY_SIZE], const char *ns, const char *name);

/* The view must show at least this before the endpoint is planned again. */
struct expectation {
	enum kind kind;
	char *name;
	char *resource_version; /* NULL: the object must be gone */
	bool unknown;           /* what to expect, a look has to tell */
	struct work *work;
	struct kube_call *look; /* a GET is under way */
	struct expectation *next;
};

/* The API server refused to create this object or to mark this pod, or somebody else's has its name. Asked again later, and
 * at once under another name (another template). */
struct refusal {
	enum kind kind;
	char *name;
	const char *reason; /* static */
	char *message;
	unsigned tries;
	struct mono retry_at;
	bool no_right; /* for want of one */
	struct refusal *next;
};

/* The count that we have asked of a Deployment, or have seen there when we last planned. */
struct asked {
	uint64_t name_hash;
	int32_t count;
};

/* When an instance of the pool was last seen to be gone from a node that stays. */
struct freed {
	uint64_t pool_hash;
	struct wall at;
};

/* A Deployment whose template we have put back. One that changes it again at once is not fought with every time. */
struct restored {
	uint64_t name_hash;
	unsigned times;
	struct mono until; /* left alone so long */
};

/* What the operator keeps per endpoint while it runs; nothing here outlives a restart or needs to. */
struct work {
	struct controller *op;
	char *key, *ns, *name, *uid;
	struct expectation *expectations;
	struct mono expecting_since;
	struct refusal *refusals;
	struct asked *asked;
	size_t n_asked;
	struct freed *freed;
	size_t n_freed;
	struct restored *restored;
	size_t n_restored;
	struct map given_up;     /* pool -> how often, for the metrics: uint64_t, of those that were */
	struct mono progress_at; /* when counts that changed are to be told; 0: none did */
	struct mono raise_at; /* when a count is raised though condemned instances are still there; 0: none are */
	bool has_service_turn;
	bool old_schema; /* the last status was refused for want of a field in the CRD */
	char *no_right;  /* a write was refused for want of a right: its words and what to do; NULL: none */
	struct mono no_right_since;
	unsigned denied;       /* creates in a row for which the operator had no right */
	unsigned denied_trial; /* dry runs in a row, the same */
	struct run *run;       /* writes under way, else NULL; the key is taken from the queue as long */
};

/* One of the questions whether something adds nodes. */
struct detection {
	struct controller *op;
	struct kube_call *call;
	bool answered;
};

/* One kind, in one namespace or in all. An informer's callbacks are given it. */
struct watched {
	struct controller *op;
	enum kind kind;
	const char *ns; /* borrowed; NULL: all, or none */
	struct informer *informer;
	struct mono away_since; /* 0: it is there */
};

struct controller {
	struct loop *loop;
	struct kube_client *client;
	struct metrics *metrics;
	struct event_recorder *events;
	struct trouble *trouble;
	struct store *stores[KIND_COUNT];
	struct watched *watched; /* of the kinds needed first, those of Events last */
	size_t n_watched, n_needed;
	struct queue *queue;
	struct loop_timer *pump;   /* takes from the queue */
	struct loop_timer *beat;   /* view_beat() */
	struct mono beat_due;      /* when it runs next, by boot_now(), unless this process is stopped */
	struct loop_timer *detect; /* looks for a node autoscaler */
	struct loop_timer *tidy;   /* once nothing was written for a while */
	struct detection karpenter, cluster_autoscaler;
	struct map works; /* by key */
	struct shortages *shortages;
	struct map unreadable_models; /* "ns/name" -> why, of those that have no good view */
	struct controller_options options;
	char *namespaces[CONTROLLER_MAX_NAMESPACES]; /* options.namespaces points here */
	char *instance;
	bool autoscaler_found;
	size_t nodes_unheard;  /* whose Ready is Unknown */
	bool hears_no_node;    /* nodestate_none_is_heard() */
	size_t n_old_schema;   /* works whose status the CRD has no fields for */
	size_t n_no_right;     /* works that lack a right */
	bool started;          /* all watches are complete, autoscalers were looked for, planning has begun */
	bool leads;            /* see controller_lead() */
	unsigned runs;         /* works with a run */
	unsigned service_runs; /* of these, such that create a Service; and works whose turn it is to start one */
	struct map service_line; /* key -> struct work: who waits for a turn, in order of arrival */
	unsigned looks;          /* GETs for what a watch has not shown yet */
	struct mono view_from;   /* nothing is planned before: the view may be old */
	bool unreachable;        /* the last answer was none: one request a second asks */
	struct mono ask_at;      /* when the next may */
	struct controller_metrics *m;
};

/* watches.c */
void watches_start(struct controller *op);
/* The Events, once something provides nodes; before that, and the second time, nothing happens. */
void watches_start_events(struct controller *op);
bool watches_have_events(const struct controller *op);
void watches_free(struct controller *op);
void controller_enqueue(struct controller *op, const char *ns, const char *name, enum queue_priority p);
const struct store *controller_store(const struct controller *op, enum kind kind);
/* Of this pool; borrowed, NULL when there is none that can be read. */
const struct model *controller_model(const struct controller *op, const struct endpoint *e,
                                     const struct endpoint_pool *p);
/* controller.c: the watches are complete. */
void controller_synced(struct controller *op);
void controller_tidy_later(struct controller *op);

/* observe.c: everything plan() needs, from the stores; arrays and sentences in the arena. */
void observe(struct controller *op, const struct endpoint *e, struct work *w, struct wall now,
             struct arena *a, struct plan_input *ret);
/* Is anything still there that belongs to a deleted endpoint of the same name? */
bool observe_leftovers(const struct controller *op, const struct endpoint *e);
bool controller_provides_nodes(const struct controller *op);

/* hints.c: Events of autoscalers about Pods. Of what is no hint the name and the version stay, which the store needs: about
 * 300 bytes with its entry there. */
struct pod_event {
	struct objmeta meta;
	const char *pod, *pod_uid; /* in the Event's namespace */
	struct classify_hint newest;
};
#define POD_EVENT_SELECTOR "involvedObject.kind=Pod,source!=default-scheduler,source!=kubelet"
void *pod_event_decode(struct slice json, struct err *err);
void pod_event_index(const void *obj, store_emit_fn *emit, void *arg);
/* The newest hint about each of the pods, in the arena; NULL where Events are not watched. Valid until the store changes. */
const struct classify_hint *hints_about(const struct controller *op, const struct pod *const *pods,
                                        size_t n_pods, struct arena *a);

/* shared.c: what endpoints know of each other's pools. */
void shared_init(struct controller *op);
void shared_look(const struct controller *op, const struct work *w, const struct endpoint_pool *p,
                 const struct model *m, struct plan_shortage *ret);
/* held_back: of plan_output; NULL: not known (a status that was read). */
void shared_tell(struct controller *op, const struct endpoint *e, const struct endpoint_status *status,
                 const bool *held_back, struct wall now);
/* Did this pod get a node? `before` may be NULL. */
void shared_pod(struct controller *op, const struct pod *before, const struct pod *after, struct wall now);

/* expect.c */
void expect_version(struct work *w, enum kind kind, const char *name, const char *resource_version);
void expect_gone(struct work *w, enum kind kind, const char *name);
/* The outcome of a write is unknown, or the view is late: look, then expect what was seen. */
void expect_verify(struct work *w, enum kind kind, const char *name);
/* Does our watch show this object, whose JSON is given? Of what we create only what has the endpoint's label. */
bool is_watched(enum kind kind, const struct work *w, struct slice object);
/* Drops what the stores show by now; true when nothing is left. Verifies what is late. */
bool expect_met(struct work *w);
/* -1: not known; so it is put where an outcome is unknown, or the Deployment goes. */
int32_t asked_count(const struct work *w, const char *deployment);
void asked_put(struct work *w, const char *deployment, int32_t count);
/* Not set: never. The pool is named as in the label of its pods. */
struct wall freed_at(const struct work *w, const char *pool);
void freed_put(struct work *w, const char *pool, struct wall at);
void work_free(struct work *w);

/* pause.c */
struct refusal *refusal_find(struct work *w, enum kind kind, const char *name);
/* Refused, and not to be asked again yet. */
bool refusal_pauses(struct work *w, enum kind kind, const char *name);
/* Returns it; borrowed. */
struct refusal *refusal_put(struct work *w, enum kind kind, const char *name, const char *reason,
                            const char *message);
void refusal_clear(struct work *w, enum kind kind, const char *name);
/* Of pods that are gone: those that come have other names. */
void refusals_clear_gone(struct work *w);
void restored_put(struct work *w, const char *deployment);
bool restored_pauses(const struct work *w, const char *deployment);
/* An object of that name is in the way. The log says so once, however often it is asked. */
void refusal_put_name(struct work *w, enum kind kind, const char *name, const char *reason, const char *what);
void refusal_put_taken(struct work *w, enum kind kind, const char *name);

/* obstacle.c: what keeps us from writing until somebody mends it. */
/* A status was refused because the CRD is older; one was written. */
void schema_lacks(struct work *w, const struct err *err);
void schema_known(struct work *w);
/* A write that the endpoint needs was refused for want of a right; now there is nothing that was refused. */
void right_lacks(struct work *w, const struct kube_resource *r, const struct err *err);
void right_regained(struct work *w);
/* This endpoint is no longer ours to write. */
void obstacles_forget(struct work *w);
/* False: err says what is in the way and what to do. */
bool obstacles_none(const struct controller *op, struct err *err);

/* act.c, run.c: carry out a plan, one write after the other, the status last. */
void run_start(struct work *w, const struct endpoint *e, const struct plan_input *in,
               struct arena *plan_arena, const struct plan_output *out);
void run_free(struct run *r); /* cancels */
/* Ends the run of this work, if it has one. A write in flight is looked at before anything else is planned. */
void run_cancel(struct work *w);
void run_instance_count(struct work *w,
                        const struct endpoint *e); /* fills in spec.instanceCount through /scale */
/* What an endpoint has once, under its own name. */
struct companions {
	bool service, budget;
};
/* Which of these are missing and may be created now? A budget of somebody else is said in the log alone: the endpoint serves
 * all the same. */
struct companions companions_missing(struct controller *op, const struct endpoint *e, struct work *w);
/* Creates them, the budget first: it never waits for a cluster address. */
void run_companions(struct work *w, const struct endpoint *e, struct companions missing);
/* reconcile.c: NULL while the endpoint was not looked at. */
struct work *work_find(const struct controller *op, const char *ns, const char *name);
/* Called when a run ended. */
void reconcile_ended(struct work *w, bool failed, int64_t retry_after_ms);
/* What became of a request: does the server hear us? */
void reconcile_heard(struct controller *op, const struct err *err);
void reconcile_pump(void *arg); /* the struct controller */

/* view.c: may what the stores show be acted on? Not while a watch is away, nor right after it came back, nor right after this
 * process was stopped for a while: a count that is lowered by what was true a minute ago costs instances that serve now. */
bool view_is_current(const struct controller *op);
/* A watch is away, or there again. */
void view_away(struct watched *w);
void view_returned(struct watched *w);
/* Every few seconds: when it comes late, the process was stopped. */
void view_beat(void *arg); /* the struct controller */

/* metrics.c */
struct controller_metrics *controller_metrics_new(struct controller *op);
void controller_metrics_free(struct controller_metrics *m); /* no exposition may come after */
void controller_metrics_reconcile(struct controller_metrics *m,
                                  const char *result); /* static: unchanged, written, retry */
/* Counts what a written status tells; once, however often it was planned. */
void controller_metrics_changed(struct work *w, const struct endpoint *before, const struct endpoint *after);
