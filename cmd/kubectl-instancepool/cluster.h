#pragma once
/* Reading from the API server, one request after the other: each call returns when the answer is there. A request that
 * has taken 30 s has failed. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "kube/resource.h"

struct cluster_options {
	const char *kubeconfig; /* --kubeconfig; NULL: not given */
	const char *context;    /* --context; NULL: the current one */
	const char *ns;         /* --namespace; NULL: not given */
};

struct cluster;

/* Reads the configuration; sends nothing. */
struct cluster *cluster_connect(const struct cluster_options *o, struct err *err);
void cluster_free(struct cluster *c); /* NULL is fine */

/* What the flag said, else the kubeconfig's context, else "default". Borrowed. */
const char *cluster_namespace(const struct cluster *c);
/* The server's URL. Borrowed. */
const char *cluster_server(const struct cluster *c);

/* The server's clock, in seconds, as its last answer had it; this machine's, which may go wrong, where none had. */
struct wall cluster_now(const struct cluster *c);

/* GET of a path ("/api/v1/nodes/a?...", escaped); the answer's body is appended. A 404 is ERR_NOT_FOUND: with reason
 * "NotFound" the object is not there, with "" the server does not know such a kind. Else as kube_done_fn has it: a 403 is
 * ERR_HTTP with http_status 403. */
int cluster_get(struct cluster *c, const char *path_with_query, struct buf *ret_body, struct err *err);

/* Calls fn for each item of a list, page after page. fn returns 0, or -1 to end it with its err. The item is its JSON, valid
 * during the call. A list that expires between two pages (410) is an error like any other. */
typedef int cluster_item_fn(void *arg, struct slice item, struct err *err);
int cluster_list(struct cluster *c, const char *path_with_query, cluster_item_fn *fn, void *arg,
                 struct err *err);

/* The same of a resource; ns NULL: of a kind without namespaces, or (lists only) of all. get() initialises *ret_body; query is
 * "fieldSelector" or "labelSelector" with its value, or NULL. */
int cluster_get_object(struct cluster *c, const struct kube_resource *r, const char *ns, const char *name,
                       struct buf *ret_body, struct err *err);
int cluster_list_objects(struct cluster *c, const struct kube_resource *r, const char *ns, const char *query,
                         const char *value, cluster_item_fn *fn, void *arg, struct err *err);
