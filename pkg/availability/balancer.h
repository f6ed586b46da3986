#pragma once
/* The Balancer of kubernetes/autoscaler with its priority policy, one Deployment per pool: the "per-pod startup timeout
 * without memory".
 *
 * Read of kubernetes/autoscaler, below balancer/: pkg/policy/priority.go (how many go to which target, and how many more to
 * the next for those that have not started in time), pkg/pods/summary.go (what counts as that), pkg/controller/core.go and
 * main.go (every 15 s), examples/nginx-priority.yaml (180 s; startupTimeoutSeconds has no default). */
#include "availability/world.h"

/* Sets replicas[] of the pools, and when to look again. It keeps nothing in mind. */
void availability_balancer(const struct availability_view *v, int32_t desired,
                           int32_t replicas[static AVAILABILITY_POOLS], int64_t *ret_wake_s);
