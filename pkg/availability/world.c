#include "availability/world.h"
#include <string.h>

static bool comes(const struct availability_node *n)
{
	return n->state == NODE_ASKED || n->state == NODE_STANDING || n->state == NODE_BOOTING ||
	       (n->state == NODE_READY && !n->used);
}

/* Index of the oldest pod that waits and has not been looked at; -1: none. */
static int32_t oldest(const struct availability_view *v, const bool seen[static AVAILABILITY_PODS])
{
	int32_t best = -1;

	for (int32_t i = 0; i < (int32_t)v->n_pods; i++) {
		const struct availability_pod *p = &v->pods[i];

		if (p->alive && p->node < 0 && !seen[i] && (best < 0 || p->created_s < v->pods[best].created_s))
			best = i;
	}
	return best;
}

size_t availability_unhelped(const struct availability_view *v, bool ret[static AVAILABILITY_PODS])
{
	int32_t free_nodes[AVAILABILITY_POOLS] = {0};
	bool seen[AVAILABILITY_PODS] = {false};
	size_t n = 0;
	int32_t i;

	for (size_t k = 0; k < v->n_nodes; k++)
		free_nodes[v->nodes[k].pool] += comes(&v->nodes[k]);
	memset(ret, 0, AVAILABILITY_PODS * sizeof(*ret));
	while ((i = oldest(v, seen)) >= 0) {
		int32_t pool = 0;

		seen[i] = true;
		while (pool < (int32_t)v->n_pools &&
		       (free_nodes[pool] == 0 || !availability_may_run(&v->pods[i], pool)))
			pool++;
		if (pool < (int32_t)v->n_pools) {
			free_nodes[pool]--;
		} else {
			ret[i] = true;
			n++;
		}
	}
	return n;
}

int32_t availability_best_pool(const struct availability_view *v,
                               const bool unhelped[static AVAILABILITY_PODS],
                               const bool open[static AVAILABILITY_POOLS])
{
	for (int32_t pool = 0; pool < (int32_t)v->n_pools; pool++)
		for (size_t i = 0; open[pool] && i < v->n_pods; i++)
			if (unhelped[i] && availability_may_run(&v->pods[i], pool))
				return pool;
	return -1;
}
