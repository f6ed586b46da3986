#pragma once
/* Karpenter with one NodePool per pool, their weights in the order of the pools, as far as it decides what is asked for where
 * and when: the "3-minute memory".
 *
 * Read of aws/karpenter-provider-aws: pkg/cache/unavailableofferings.go and pkg/cache/cache.go (what was refused is not
 * offered for 3 minutes, each refusal anew). Of kubernetes-sigs/karpenter, excerpts: pkg/controllers/provisioning/controller.go
 * (a pod that waits triggers a round at once and every 10 s), pkg/operator/options/options.go (a batch ends after a second
 * of quiet); whole: pkg/controllers/nodeclaim/lifecycle/launch.go (a claim that is refused is deleted) and liveness.go (so is one that
 * does not register within 15 minutes; nothing is remembered of that). */
#include "availability/world.h"

struct availability_karpenter {
	int64_t short_until_s[AVAILABILITY_POOLS];
};

void availability_karpenter(struct availability_karpenter *m, const struct availability_view *v,
                            struct availability_asks *ret);
