#pragma once
/* This operator: classify() and plan() of pkg/plan over what it would see of the cluster, with the defaults of the API. Its
 * memory is the endpoint's status, and goes through the JSON that the API server would keep. */
#include "api/endpoint.h"
#include "availability/world.h"

struct availability_pools {
	struct endpoint *endpoint;
	struct arena status[2]; /* by turns: the present status is in status[turn] */
	int turn;
	bool exists[AVAILABILITY_POOLS];
	bool deaf; /* does not understand when an autoscaler says that there is none */
};

/* rebalance: Active or Passive. */
void availability_pools_init(struct availability_pools *m, size_t n_pools, int32_t desired, bool active,
                             bool deaf);
void availability_pools_done(struct availability_pools *m);
/* Changes replicas[] of the pools; wants to be asked again when that, or anything that it sees, has changed. */
void availability_pools(struct availability_pools *m, const struct availability_view *v,
                        int32_t replicas[static AVAILABILITY_POOLS], int64_t *ret_wake_s);
