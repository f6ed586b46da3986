#pragma once
/* What the operator creates: rendering only, no decisions. */
#include <jansson.h>
#include "api/endpoint.h"
#include "api/model.h"
#include "api/names.h"

#define REVISION_SIZE 12
/* The revision of a pool: a hash, with a version, of what the user wrote and what enters the pods: the
 * Model's template, port and healthPath, the pool's node selector, tolerations and runtime class, and the endpoint's restartedAt. Not
 * of what the operator adds, not of names, counts or priorities. It must never change for the same input:
 * a new revision restarts every instance. */
void pool_revision(const struct endpoint *e, const struct endpoint_pool *p, const struct model *m,
                   char buf[static REVISION_SIZE]);

/* The Deployment of a pool, ready to be created. New reference, or NULL when the Model's template cannot
 * be used. */
json_t *workload_deployment(const struct endpoint *e, const struct endpoint_pool *p, const struct model *m,
                            const char *revision, int32_t replicas, struct err *err);
/* One Pod of that Deployment, as its ReplicaSet would create it: for a dry run. New reference. */
json_t *workload_trial_pod(const json_t *deployment);
/* The endpoint's stable address: a Service of the endpoint's name, port 80 -> the port named PORT_NAME, which
 * may have another number in each pool and revision. New reference. */
json_t *workload_service(const struct endpoint *e);
/* A PodDisruptionBudget of the endpoint's name: one instance at a time may be evicted, of whatever pool and revision, and
 * none that serves while another waits, loads or fails; one that is not Ready always. New reference. */
json_t *workload_budget(const struct endpoint *e);
