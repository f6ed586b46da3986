#pragma once
/* What a plan is about: objects read from files and from the cluster. */
#include <jansson.h>
#include "api/endpoint.h"
#include "api/model.h"
#include "api/views.h"
#include "base/arena.h"
#include "cluster.h"
#include "forecast/forecast.h"

#define ENDPOINT_KIND "InstancePoolEndpoint"

/* Pointers to one kind of object, each owned. */
struct objects {
	void **list;
	size_t n, cap;
};

struct plan_objects {
	json_t *endpoints;         /* the InstancePoolEndpoints of the files */
	struct endpoint *endpoint; /* the one that is planned, with the status that it has in the cluster */
	bool exists;               /* in the cluster */
	bool has_autoscaler;
	struct objects models, nodes, pods, deployments, others;
	struct objects unreadable; /* Models of the cluster, in the arena */
	struct arena arena;
	/* Sentences about what could not be read, and does without, and about what is taken to be. */
	struct objects notes;
};

void plan_objects_init(struct plan_objects *o);
void plan_objects_done(struct plan_objects *o);
/* InstancePoolEndpoints and Models; other kinds are passed over. path "-": standard input. The error names file, object and field. */
int plan_objects_read(struct plan_objects *o, const char *path, const char *ns, struct err *err);
/* Nodes, as `kubectl get nodes -o json` (or yaml) writes them or in short, and the pods that take room there. path as
 * above. */
int plan_objects_read_nodes(struct plan_objects *o, const char *path, struct err *err);
/* Makes the endpoint of what the files say, or of the cluster where they have none; c NULL: no cluster is asked. name NULL: the
 * only one of the files. Asks the cluster for all else that is not there. *err is ERR_NONE before. ERR_INVALID: several to choose
 * from; ERR_NOT_FOUND: there is none, or the cluster knows no such kind; else as cluster_get() and cluster_list() have it. So it
 * is with the two below; where only the own namespace may be read, that is a note and no error. */
int plan_objects_choose(struct plan_objects *o, struct cluster *c, const char *name, const char *ns,
                        struct err *err);
/* Nodes and pods. */
int plan_objects_ask_nodes(struct plan_objects *o, struct cluster *c, struct err *err);
/* Whether there is a node autoscaler: as an operator finds out that may read nodes, which the notes say where it matters. */
int plan_objects_ask_autoscaler(struct plan_objects *o, struct cluster *c, struct err *err);

bool plan_has_type(const struct endpoint *e, const char *type);

/* For the files that read. */
void objects_add(struct objects *to, void *object);
bool plan_objects_has_model(const struct plan_objects *o, const char *ns, const char *name);
int plan_objects_add_node(struct plan_objects *o, const json_t *node, struct err *err);
int plan_objects_add_pod(struct plan_objects *o, const json_t *pod, struct err *err);
/* For an error; never NULL. */
const char *plan_name_of(const json_t *object);
