#pragma once
/* Single requests to the API server. Streams of changes are informer.h's. */
#include <stdbool.h>
#include "base/err.h"
#include "kube/config.h"
#include "kube/resource.h"
#include "net/http.h"
#include "net/metrics.h"

struct kube_client;

/* What became of a mutation. UNKNOWN: it may or may not have been applied (a reset, a timeout, any 5xx after
 * the request left, or a 4xx where libcurl had sent it twice); observe the object again, never repeat blindly. */
enum kube_outcome { KUBE_DONE, KUBE_NOT_DONE, KUBE_UNKNOWN };
const char *kube_outcome_name(enum kube_outcome o); /* "done", "not_done", "unknown" */

struct kube_client_options {
	const char *user_agent;
	/* May be NULL; gets instancepool_api_requests_total{verb,resource,code}, a duration histogram and what
	 * the client's informers count. One client per registry. */
	struct metrics *metrics;
};

/* Two sets of connections: one for streams and reads, one for writes, so that a write never waits for a
 * list. cfg is copied. Token and certificate files are read again when they change, a plugin is run again before
 * its credential expires (until the client is freed: its timer keeps the loop running). A call that comes while
 * there is no credential waits for it, its timeout running; a plugin that fails is its failure. */
struct kube_client *kube_client_new(struct loop *l, const struct kube_config *cfg,
                                    const struct kube_client_options *o, struct err *err);
/* Cancels what runs, without callbacks; informers and event recorders must be freed before. NULL is fine.
 * Not from inside a callback of a call. */
void kube_client_free(struct kube_client *c);

enum kube_verb {
	KUBE_GET,
	KUBE_LIST,
	KUBE_CREATE,
	KUBE_PATCH_JSON,
	KUBE_PATCH_MERGE,
	KUBE_APPLY,
	KUBE_DELETE
};

struct kube_request {
	enum kube_verb verb;
	bool force; /* apply: take fields that others own */
	bool dry_run;
	const struct kube_resource *resource; /* must outlive the call */
	const char *ns, *name, *subresource;  /* copied; NULL where they do not apply */
	struct slice body;                    /* JSON; copied. For KUBE_DELETE it is made from what follows */
	const char *field_manager;            /* for create, patches and apply */
	const char *precondition_uid, *precondition_resource_version; /* KUBE_DELETE only; NULL: none */
	const char *label_selector, *field_selector, *continue_token; /* KUBE_LIST only; NULL: none */
	unsigned limit;                                               /* KUBE_LIST only; 0: none */
	int64_t timeout_ms;                                           /* 0: 30 s */
};

struct kube_reply {
	int http_status;
	struct wall date;  /* the server's clock, in seconds; not set where it did not say */
	struct slice body; /* valid during the callback */
	/* Of the object in the answer, where there is one; valid during the callback, else "". */
	const char *uid, *resource_version;
};

/* Exactly once, never before kube_client_call() has returned. `err->code` is ERR_NONE for a 2xx; for a
 * Kubernetes Status its reason and message are in err. `outcome` of a read is DONE or NOT_DONE. */
typedef void kube_done_fn(void *arg, enum kube_outcome outcome, const struct kube_reply *r,
                          const struct err *err);

/* Borrowed handle, dead after the callback. */
struct kube_call;
struct kube_call *kube_client_call(struct kube_client *c, const struct kube_request *rq, kube_done_fn *fn,
                                   void *arg);
void kube_call_cancel(struct kube_call *call); /* no callback; a mutation's outcome is then unknown */

/* A plain GET of a path such as "/version" or "/apis/karpenter.sh". */
struct kube_call *kube_client_get_path(struct kube_client *c, const char *path, kube_done_fn *fn, void *arg);

/* For pkg/kube: a list page or a watch over the reading connections, see informer.c. */
struct transport *kube_client_transport(struct kube_client *c);
struct loop *kube_client_loop(struct kube_client *c);
/* What came of such a call, for the metrics. http_status 0: no answer; duration_ms -1: not measured (a
 * watch). */
void kube_client_note_answer(struct kube_client *c, const char *verb, const struct kube_resource *r,
                             int http_status, int64_t duration_ms);
/* What the informers of this client count together. NULL without a registry. */
struct kube_informer_metrics {
	struct metric *watch_events; /* {resource,type} */
	struct metric *undecodable;  /* {resource} */
	struct metric *relists;      /* {resource} */
};
const struct kube_informer_metrics *kube_client_informer_metrics(const struct kube_client *c);

/* Turn an HTTP answer >= 400 into an error: a Status body gives reason, message and
 * details.retryAfterSeconds. */
void kube_status_to_err(int http_status, int64_t retry_after_ms, struct slice body, struct err *err);
