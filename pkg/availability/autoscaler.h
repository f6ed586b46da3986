#pragma once
/* Cluster Autoscaler with one node group per pool and the priority expander, as far as it decides what is asked for where and
 * when: the "15-minute timer with 5 to 30 minute backoff".
 *
 * Read of kubernetes/autoscaler, below cluster-autoscaler/: utils/backoff/exponential_backoff.go (how the pause grows, that
 * failures within a pause do not make it grow, when it is forgotten), clusterstate/clusterstate.go (updateScaleRequests: a
 * request ends when nothing is missing, which takes the pause away, or after max-node-provision-time, which begins one;
 * handleInstanceCreationErrors; nodes long unregistered), core/static_autoscaler.go (the order within a loop; the groups whose
 * instances failed or never registered are made smaller; pods with GPUs wait 30 s for others), expander/priority/priority.go
 * (the best group of those that may grow); of config/flags/flags.go only the defaults. What is said about pods:
 * docs/design/capacity-signals.md. */
#include "availability/world.h"

struct availability_autoscaler {
	struct {
		bool backed_off; /* there is a pause, perhaps over */
		int64_t pause_s, until_s, failed_s;
		int32_t increase;   /* of the scale-up that runs; 0: none does */
		int64_t expected_s; /* ... and is late from then on */
	} groups[AVAILABILITY_POOLS];
	int64_t next_s; /* no scan before */
};

void availability_autoscaler(struct availability_autoscaler *m, const struct availability_view *v,
                             struct availability_asks *ret);
