#pragma once
/* How often the desired number of instances serves, by who decides what is asked for where. docs/availability.md says what
 * these runs leave out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "availability/signal.h"
#include "availability/world.h"

/* Who provides nodes, and who spreads instances over pools. */
enum availability_rule {
	RULE_AUTOSCALER, /* one Deployment whose pods may run anywhere */
	RULE_AUTOSCALER_BALANCER,
	RULE_AUTOSCALER_POOLS, /* this operator */
	RULE_KARPENTER,
	RULE_KARPENTER_BALANCER,
	RULE_KARPENTER_POOLS,
	RULE_KARPENTER_POOLS_ACTIVE, /* rebalance: Active */
	RULE_KARPENTER_POOLS_DEAF,   /* the operator does not understand when Karpenter says that there is none */
	RULE_COUNT,
};
const char *availability_rule_name(enum availability_rule r);

struct availability_config {
	enum availability_rule rule;
	size_t n_pools;
	const struct availability_signal *signals; /* one per pool, best first */
	int32_t desired;
	int64_t boot_s; /* from the cloud's answer to an instance that serves */
	bool silent; /* the cloud does not say that it has none: what is asked for stands until there is stock */
	bool spot;   /* an outage takes what runs in the pool; else it takes nothing */
	/* Instances also end one by one, whatever the stock: each after this time on average; 0: none. */
	int64_t lifetime_s;
	uint64_t seed;               /* of these ends */
	int64_t warm_up_s, length_s; /* measured from the one to the other */
	void (*tell)(void *arg, int64_t at_s,
	             int32_t pool); /* each request for a node; NULL: nobody wants to know */
	void *tell_arg;
};

struct availability_result {
	int64_t measured_s;
	int64_t all_s, some_s; /* desired served, at least one served */
	int64_t stock_s;       /* some pool was in stock */
	int64_t instance_s;    /* of all instances together */
	int64_t best_s;        /* ... in the best pool */
	int64_t requests;      /* nodes asked of the cloud */
	/* From less than desired to desired again; one that has not ended when the run does is left out. */
	int64_t *recoveries_s;
	size_t n_recoveries, cap_recoveries;
};

/* Adds to *ret. */
void availability_run(const struct availability_config *c, struct availability_result *ret);
void availability_result_done(struct availability_result *r);
