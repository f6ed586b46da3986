#include "availability/karpenter.h"

#define BATCH_S 1
#define REQUEUE_S 10
#define SHORT_S (3 * 60)
#define REGISTRATION_S (15 * 60)
#define EMPTY_S 15           /* a node without pods, once that has been validated */
#define SAY_AGAIN_S (5 * 60) /* the same Event about the same pod */

static void earlier(int64_t *wake_s, int64_t at_s)
{
	if (at_s < *wake_s)
		*wake_s = at_s;
}

static void look_at_nodes(struct availability_karpenter *m, const struct availability_view *v,
                          struct availability_view *left, struct availability_asks *ret)
{
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct availability_node *n = &v->nodes[i];
		int64_t ends_s = AVAILABILITY_NEVER;

		if (n->state == NODE_REFUSED) {
			m->short_until_s[n->pool] = v->now_s + SHORT_S;
			ends_s = v->now_s;
		} else if (n->state == NODE_READY && !n->used) {
			ends_s = n->idle_s + EMPTY_S;
		} else if (n->state != NODE_NONE && n->state != NODE_READY) {
			ends_s = n->asked_s + REGISTRATION_S;
		}
		ret->remove[i] = ends_s <= v->now_s;
		if (ret->remove[i])
			left->nodes[i].state = NODE_NONE;
		else
			earlier(&ret->wake_s, ends_s);
	}
}

static void play_round(const struct availability_karpenter *m, const struct availability_view *v,
                       const bool unhelped[static AVAILABILITY_PODS], struct availability_asks *ret)
{
	bool open[AVAILABILITY_POOLS] = {false};

	for (size_t i = 0; i < v->n_pools; i++)
		open[i] = m->short_until_s[i] <= v->now_s;
	for (size_t i = 0; i < v->n_pods; i++) {
		bool one[AVAILABILITY_PODS] = {false};
		int32_t pool;
		enum hint what;

		if (!unhelped[i] || v->pods[i].created_s == v->now_s)
			continue;
		one[i] = true;
		pool = availability_best_pool(v, one, open);
		what = pool >= 0 ? HINT_PROVISIONING : HINT_STOCK_OUT;
		if (pool >= 0)
			ret->ask[pool]++;
		if (v->pods[i].said != what || v->pods[i].said_s + SAY_AGAIN_S <= v->now_s || pool >= 0)
			ret->said[i] = what;
	}
}

/* Each pod asks for a round when it is made and every 10 s from then, and the round comes when the batch is complete. */
static bool round_is_due(const struct availability_view *v, const bool unhelped[static AVAILABILITY_PODS],
                         int64_t *wake_s)
{
	bool due = false;

	for (size_t i = 0; i < v->n_pods; i++) {
		int64_t age_s = v->now_s - v->pods[i].created_s - BATCH_S;

		if (!unhelped[i])
			continue;
		due = due || (age_s >= 0 && age_s % REQUEUE_S == 0);
		earlier(wake_s, age_s < 0 ? v->now_s - age_s : v->now_s + REQUEUE_S - age_s % REQUEUE_S);
	}
	return due;
}

void availability_karpenter(struct availability_karpenter *m, const struct availability_view *v,
                            struct availability_asks *ret)
{
	struct availability_view left = *v;
	bool unhelped[AVAILABILITY_PODS];

	ret->wake_s = AVAILABILITY_NEVER;
	look_at_nodes(m, v, &left, ret);
	if (availability_unhelped(&left, unhelped) > 0 && round_is_due(v, unhelped, &ret->wake_s))
		play_round(m, &left, unhelped, ret);
}
