#include "availability/availability.h"
#include <assert.h>
#include "availability/autoscaler.h"
#include "availability/balancer.h"
#include "availability/karpenter.h"
#include "availability/pools.h"
#include "base/mem.h"
#include "base/random.h"

/* Deciders that answer each other go on for so many turns at most within one moment. */
#define MAX_TURNS 64

enum spreads { SPREADS_NOBODY, SPREADS_BALANCER, SPREADS_POOLS };

static const struct {
	const char *name;
	enum spreads spreads;
	bool karpenter, active, deaf;
} rules[RULE_COUNT] = {
	[RULE_AUTOSCALER] = {"autoscaler"},
	[RULE_AUTOSCALER_BALANCER] = {"autoscaler+balancer", SPREADS_BALANCER},
	[RULE_AUTOSCALER_POOLS] = {"autoscaler+pools", SPREADS_POOLS},
	[RULE_KARPENTER] = {"karpenter", .karpenter = true},
	[RULE_KARPENTER_BALANCER] = {"karpenter+balancer", SPREADS_BALANCER, .karpenter = true},
	[RULE_KARPENTER_POOLS] = {"karpenter+pools", SPREADS_POOLS, .karpenter = true},
	[RULE_KARPENTER_POOLS_ACTIVE] = {"karpenter+pools-active", SPREADS_POOLS, .karpenter = true,
                                     .active = true},
	[RULE_KARPENTER_POOLS_DEAF] = {"karpenter+pools-deaf", SPREADS_POOLS, .karpenter = true, .deaf = true},
};

const char *availability_rule_name(enum availability_rule r)
{
	return rules[r].name;
}

struct run {
	const struct availability_config *c;
	struct availability_result *result;
	struct availability_view v;
	int64_t change_s[AVAILABILITY_POOLS]; /* the next change of the signal */
	bool in_stock[AVAILABILITY_POOLS];
	uint64_t seed;
	int64_t loss_s;                       /* the next end of an instance */
	int32_t replicas[AVAILABILITY_POOLS]; /* where somebody spreads; else replicas[0], of all pools */
	bool seen;                            /* by who spreads: nothing has changed since */
	int64_t spread_wake_s, provide_wake_s;
	int64_t short_since_s; /* fewer than desired serve; -1: enough do, -2: never yet */
	struct availability_autoscaler autoscaler;
	struct availability_karpenter karpenter;
	struct availability_pools pools;
};

static bool spreads(const struct run *r)
{
	return rules[r->c->rule].spreads != SPREADS_NOBODY;
}

/* ---- the cloud ---- */

static void ask(struct run *r, struct availability_node *n, int32_t pool)
{
	*n = (struct availability_node){.state = NODE_ASKED,
	                                .pool = pool,
	                                .asked_s = r->v.now_s,
	                                .due_s = r->v.now_s + AVAILABILITY_ANSWER_S};
	r->result->requests += r->v.now_s >= r->c->warm_up_s;
	if (r->c->tell)
		r->c->tell(r->c->tell_arg, r->v.now_s, pool);
}

static void ask_new(struct run *r, int32_t pool)
{
	size_t i = 0;

	while (i < r->v.n_nodes && r->v.nodes[i].state != NODE_NONE)
		i++;
	assert(i < AVAILABILITY_NODES);
	r->v.n_nodes += i == r->v.n_nodes;
	ask(r, &r->v.nodes[i], pool);
}

/* With its pod. A node group of Cluster Autoscaler keeps its size and asks for another one itself. */
static void lose_node(struct run *r, size_t index)
{
	struct availability_node *n = &r->v.nodes[index];
	int32_t pool = n->pool;

	for (size_t i = 0; i < r->v.n_pods; i++)
		if (r->v.pods[i].alive && r->v.pods[i].node == (int32_t)index)
			r->v.pods[i].alive = false;
	*n = (struct availability_node){0};
	r->seen = false;
	if (!rules[r->c->rule].karpenter)
		ask(r, n, pool);
}

static void boot(struct run *r, struct availability_node *n)
{
	n->state = NODE_BOOTING;
	n->due_s = r->v.now_s + r->c->boot_s;
}

static void change_stock(struct run *r, int32_t pool)
{
	r->in_stock[pool] = availability_in_stock(&r->c->signals[pool], r->v.now_s);
	r->change_s[pool] = availability_next_change(&r->c->signals[pool], r->v.now_s);
	for (size_t i = 0; i < r->v.n_nodes; i++) {
		struct availability_node *n = &r->v.nodes[i];

		if (n->pool != pool)
			continue;
		if (n->state == NODE_STANDING && r->in_stock[pool])
			boot(r, n);
		else if ((n->state == NODE_BOOTING || n->state == NODE_READY) && !r->in_stock[pool] && r->c->spot)
			lose_node(r, i);
	}
}

static void pass_time(struct run *r)
{
	for (size_t i = 0; i < r->v.n_nodes; i++) {
		struct availability_node *n = &r->v.nodes[i];

		if (n->state == NODE_ASKED && n->due_s <= r->v.now_s) {
			if (r->in_stock[n->pool])
				boot(r, n);
			else
				n->state = r->c->silent ? NODE_STANDING : NODE_REFUSED;
		}
		if (n->state == NODE_BOOTING && n->due_s <= r->v.now_s) {
			n->state = NODE_READY;
			n->idle_s = r->v.now_s;
		}
	}
}

static int64_t next_loss_s(struct run *r)
{
	if (r->c->lifetime_s == 0)
		return AVAILABILITY_NEVER;
	return r->v.now_s + availability_exponential_s(&r->seed, (double)r->c->lifetime_s / r->c->desired);
}

/* The same moments whatever the rule; which one, among those that it has. */
static void lose_one(struct run *r)
{
	int64_t which = random_between(&r->seed, 0, INT32_MAX), n = 0;

	for (size_t i = 0; i < r->v.n_nodes; i++)
		n += r->v.nodes[i].used;
	which = n > 0 ? which % n : 0;
	for (size_t i = 0; i < r->v.n_nodes; i++)
		if (r->v.nodes[i].used && which-- == 0) {
			lose_node(r, i);
			break;
		}
	r->loss_s = next_loss_s(r);
}

/* ---- the cluster's controllers ---- */

/* To the oldest first. */
static void bind_pods(struct run *r)
{
	for (int32_t i = 0; i < (int32_t)r->v.n_nodes; i++) {
		struct availability_node *n = &r->v.nodes[i];
		struct availability_pod *best = NULL;

		if (n->state != NODE_READY || n->used)
			continue;
		for (size_t k = 0; k < r->v.n_pods; k++) {
			struct availability_pod *p = &r->v.pods[k];

			if (p->alive && p->node < 0 && availability_may_run(p, n->pool) &&
			    (!best || p->created_s < best->created_s))
				best = p;
		}
		if (!best)
			continue;
		n->used = true;
		best->node = i;
		best->bound_s = r->v.now_s;
		r->seen = false;
	}
}

static void new_pod(struct run *r, int32_t pool)
{
	size_t i = 0;

	while (i < r->v.n_pods && r->v.pods[i].alive)
		i++;
	assert(i < AVAILABILITY_PODS);
	r->v.n_pods += i == r->v.n_pods;
	r->v.pods[i] =
		(struct availability_pod){.alive = true, .pool = pool, .created_s = r->v.now_s, .node = -1};
	r->seen = false;
}

/* Those that wait go first, else the youngest. */
static void end_pod(struct run *r, int32_t pool)
{
	struct availability_pod *worst = NULL;

	for (size_t i = 0; i < r->v.n_pods; i++) {
		struct availability_pod *p = &r->v.pods[i];

		if (!p->alive || p->pool != pool)
			continue;
		if (!worst || (p->node < 0 && worst->node >= 0) ||
		    ((p->node < 0) == (worst->node < 0) && p->bound_s > worst->bound_s))
			worst = p;
	}
	assert(worst != NULL);
	worst->alive = false;
	if (worst->node >= 0) {
		r->v.nodes[worst->node].used = false;
		r->v.nodes[worst->node].idle_s = r->v.now_s;
	}
	r->seen = false;
}

static void replicate(struct run *r)
{
	size_t n_deployments = spreads(r) ? r->c->n_pools : 1;

	for (size_t d = 0; d < n_deployments; d++) {
		int32_t pool = spreads(r) ? (int32_t)d : AVAILABILITY_ANY, n = 0;

		for (size_t i = 0; i < r->v.n_pods; i++)
			n += r->v.pods[i].alive && r->v.pods[i].pool == pool;
		for (; n < r->replicas[d]; n++)
			new_pod(r, pool);
		for (; n > r->replicas[d]; n--)
			end_pod(r, pool);
	}
}

/* ---- who decides ---- */

static bool spread(struct run *r)
{
	if (!spreads(r) || (r->seen && r->v.now_s < r->spread_wake_s))
		return false;
	r->seen = true;
	if (rules[r->c->rule].spreads == SPREADS_POOLS)
		availability_pools(&r->pools, &r->v, r->replicas, &r->spread_wake_s);
	else
		availability_balancer(&r->v, r->c->desired, r->replicas, &r->spread_wake_s);
	if (r->spread_wake_s <= r->v.now_s)
		r->spread_wake_s = r->v.now_s + 1;
	replicate(r);
	return !r->seen;
}

static bool provide(struct run *r)
{
	struct availability_asks asks = {0};
	bool changed = false;

	if (rules[r->c->rule].karpenter)
		availability_karpenter(&r->karpenter, &r->v, &asks);
	else
		availability_autoscaler(&r->autoscaler, &r->v, &asks);
	r->provide_wake_s = asks.wake_s;
	for (size_t i = 0; i < r->v.n_nodes; i++)
		if (asks.remove[i]) {
			assert(!r->v.nodes[i].used);
			r->v.nodes[i] = (struct availability_node){0};
			changed = true;
		}
	for (int32_t pool = 0; pool < (int32_t)r->c->n_pools; pool++)
		for (int32_t n = asks.ask[pool]; n > 0; n--) {
			ask_new(r, pool);
			changed = true;
		}
	for (size_t i = 0; i < r->v.n_pods; i++)
		if (asks.said[i] != HINT_NONE) {
			r->v.pods[i].said = asks.said[i];
			r->v.pods[i].said_s = r->v.now_s;
			r->seen = false;
		}
	return changed || !r->seen;
}

static void decide(struct run *r)
{
	int turns = 0;
	bool again;

	replicate(r);
	do {
		bind_pods(r);
		again = spread(r);
		bind_pods(r);
		again = provide(r) || again;
		turns++;
		assert(turns < MAX_TURNS);
	} while (again && spreads(r));
	while (r->v.n_nodes > 0 && r->v.nodes[r->v.n_nodes - 1].state == NODE_NONE)
		r->v.n_nodes--;
	while (r->v.n_pods > 0 && !r->v.pods[r->v.n_pods - 1].alive)
		r->v.n_pods--;
}

/* ---- the run ---- */

static int32_t serving(const struct run *r, int32_t pool)
{
	int32_t n = 0;

	for (size_t i = 0; i < r->v.n_nodes; i++)
		n += r->v.nodes[i].used && (pool < 0 || r->v.nodes[i].pool == pool);
	return n;
}

static void note_recovery(struct run *r)
{
	struct availability_result *res = r->result;
	bool enough = serving(r, -1) >= r->c->desired;

	if (!enough && r->short_since_s == -1)
		r->short_since_s = r->v.now_s;
	if (!enough || r->short_since_s == -1)
		return;
	if (r->short_since_s >= r->c->warm_up_s) {
		if (res->n_recoveries == res->cap_recoveries) {
			res->cap_recoveries = res->cap_recoveries ? 2 * res->cap_recoveries : 256;
			res->recoveries_s =
				xreallocarray(res->recoveries_s, res->cap_recoveries, sizeof(*res->recoveries_s));
		}
		res->recoveries_s[res->n_recoveries++] = r->v.now_s - r->short_since_s;
	}
	r->short_since_s = -1;
}

static void measure(struct run *r, int64_t until_s)
{
	int64_t from_s = r->v.now_s > r->c->warm_up_s ? r->v.now_s : r->c->warm_up_s;
	int64_t s = until_s - from_s;
	bool stock = false;

	if (s <= 0)
		return;
	for (size_t i = 0; i < r->c->n_pools; i++)
		stock = stock || r->in_stock[i];
	r->result->measured_s += s;
	r->result->all_s += serving(r, -1) >= r->c->desired ? s : 0;
	r->result->some_s += serving(r, -1) > 0 ? s : 0;
	r->result->stock_s += stock ? s : 0;
	r->result->instance_s += s * serving(r, -1);
	r->result->best_s += s * serving(r, 0);
}

static int64_t next_s(const struct run *r)
{
	int64_t at_s = r->c->length_s;

	for (size_t i = 0; i < r->c->n_pools; i++)
		at_s = r->change_s[i] < at_s ? r->change_s[i] : at_s;
	for (size_t i = 0; i < r->v.n_nodes; i++) {
		const struct availability_node *n = &r->v.nodes[i];

		if ((n->state == NODE_ASKED || n->state == NODE_BOOTING) && n->due_s < at_s)
			at_s = n->due_s;
	}
	at_s = r->loss_s < at_s ? r->loss_s : at_s;
	at_s = r->provide_wake_s < at_s ? r->provide_wake_s : at_s;
	return spreads(r) && r->spread_wake_s < at_s ? r->spread_wake_s : at_s;
}

static void begin(struct run *r)
{
	r->seed = r->c->seed;
	r->short_since_s = -2;
	r->replicas[0] = r->c->desired;
	if (rules[r->c->rule].spreads == SPREADS_POOLS) {
		availability_pools_init(&r->pools, r->c->n_pools, r->c->desired, rules[r->c->rule].active,
		                        rules[r->c->rule].deaf);
		r->replicas[0] = 0; /* it asks itself */
	}
	for (int32_t i = 0; i < (int32_t)r->c->n_pools; i++)
		change_stock(r, i);
	r->loss_s = next_loss_s(r);
	decide(r);
}

void availability_run(const struct availability_config *c, struct availability_result *ret)
{
	struct run *r = xcalloc(1, sizeof(*r));

	assert(c->n_pools >= 1 && c->n_pools <= AVAILABILITY_POOLS && c->desired > 0);
	r->c = c;
	r->result = ret;
	r->v.n_pools = c->n_pools;
	begin(r);
	while (r->v.now_s < c->length_s) {
		int64_t at_s = next_s(r);

		assert(at_s > r->v.now_s);
		measure(r, at_s);
		r->v.now_s = at_s;
		for (int32_t i = 0; i < (int32_t)c->n_pools; i++)
			if (r->change_s[i] <= at_s)
				change_stock(r, i);
		pass_time(r);
		if (r->loss_s <= at_s)
			lose_one(r);
		decide(r);
		note_recovery(r);
	}
	if (rules[c->rule].spreads == SPREADS_POOLS)
		availability_pools_done(&r->pools);
	free(r);
}

void availability_result_done(struct availability_result *r)
{
	free(r->recoveries_s);
	*r = (struct availability_result){0};
}
