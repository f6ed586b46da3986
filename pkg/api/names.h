#pragma once
/* Every name that the operator gives to something: labels, annotations, objects. */
#include <stdbool.h>
#include "base/buf.h"

#define API_GROUP "inference.instancepool.dev"
#define API_VERSION "v1alpha1"
#define API_FIELD_MANAGER "instancepool-operator"

#define LABEL_ENDPOINT API_GROUP "/endpoint"
#define LABEL_POOL API_GROUP "/pool"
#define LABEL_INSTANCE_TYPE API_GROUP "/instance-type"
#define LABEL_REVISION API_GROUP "/revision"
#define LABEL_TRACK API_GROUP "/track" /* which fleet serves; one track until blue/green exists */
#define TRACK_BLUE "blue"
/* The model server's port has this name in each instance, whatever its number: the Service goes by it. */
#define PORT_NAME "instancepool"

/* An instance is born with the marks that keep Karpenter and Cluster Autoscaler away, and with ours, which tells that it
 * was us: once it is Ready all three go. */
#define ANNOTATION_PROTECTED API_GROUP "/protected-until-ready"
#define ANNOTATION_DO_NOT_DISRUPT "karpenter.sh/do-not-disrupt"
#define ANNOTATION_SAFE_TO_EVICT "cluster-autoscaler.kubernetes.io/safe-to-evict"
/* Among Ready instances the ReplicaSet controller removes the cheapest first. */
#define ANNOTATION_DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define DELETION_COST_FIRST "-2147483648"

#define NODE_LABEL_INSTANCE_TYPE "node.kubernetes.io/instance-type"
#define GPU_TAINT_KEY "nvidia.com/gpu"

#define NAME_MAX_BYTES 63

/* "ml.p5.48xlarge" -> "p5.48xlarge"; borrowed from the argument. */
const char *instance_type_strip(const char *type);

/* A DNS label made of the type: "p5.48xlarge" -> "p5-48xlarge"; anything that is neither letter nor digit
 * becomes '-'. The default name of a pool. */
void pool_default_name(const char *type, char buf[static NAME_MAX_BYTES + 1]);

/* "<endpoint>-<pool>-<revision>". Where that is longer than NAME_MAX_BYTES the front is cut and gets a
 * hash of the whole, so that different inputs keep different names. */
void deployment_name(const char *endpoint, const char *pool, const char *revision,
                     char buf[static NAME_MAX_BYTES + 1]);
/* RFC 1123 but for its length: lower-case letters and digits at the ends, '-' inside too. */
bool dns_label_valid(struct slice s);
/* At most 63 bytes of [A-Za-z0-9-_.] with a letter or digit at both ends; "" too. */
bool label_value_valid(const char *s);
/* The text itself where that is a valid value, else cut with a hash. */
void label_value(const char *text, char buf[static NAME_MAX_BYTES + 1]);
/* "inference.instancepool.dev/endpoint=NAME", what status.selector says. */
void endpoint_selector(const char *endpoint, struct buf *out);
