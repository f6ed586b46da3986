#pragma once
/* What a node autoscaler says about a Pod, in an Event -> is a node on its way, or is there none to be had? The texts:
 *
 * - Cluster Autoscaler, TriggeredScaleUp and NotTriggerScaleUp: kubernetes/autoscaler,
 *   cluster-autoscaler/processors/status/eventing_scale_up_processor.go, the reasons in
 *   core/scaleup/orchestrator/{skipped,rejected}reasons.go and the scheduler's words about a node group's template.
 * - Karpenter, Nominated and FailedScheduling: kubernetes-sigs/karpenter,
 *   pkg/controllers/provisioning/scheduling/{events,scheduler,nodeclaim}.go. EKS Auto Mode says the same.
 *
 * GKE's FailedScaleUp ("Node scale up in zones <z> associated with this pod failed: GCE out of resources") is no hint: it is
 * about one try, and another zone is tried next. When no node group is left, NotTriggerScaleUp says so.
 *
 * Each lists all node groups (or NodePools) and why it could not help. A "no" counts only when it is explicit for one of
 * them and nothing in the list leaves hope. A group that does not fit the Pod at all leaves none, and proves nothing. */
#include "base/str.h"

enum hint {
	HINT_NONE, /* no evidence: about something else, a matter of configuration, or not surely understood */
	HINT_PROVISIONING, /* a node is on its way, or was chosen */
	HINT_STOCK_OUT,    /* the provider has none now */
	HINT_LIMIT,        /* somebody's limit: of a node group, a NodePool, the cluster, a quota */
};

/* source: the component that wrote the Event. words: the part of the message that says StockOut or Limit, without
 * counts; else "". Never fails. */
enum hint hint_parse(const char *source, const char *reason, struct slice message, struct slice *ret_words);
