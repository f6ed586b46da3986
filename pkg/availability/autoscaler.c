#include "availability/autoscaler.h"
#include "base/mem.h"

#define SCAN_S 10                 /* --scan-interval */
#define PROVISION_S (15 * 60)     /* --max-node-provision-time */
#define FIRST_PAUSE_S (5 * 60)    /* --initial-node-group-backoff-duration */
#define LONGEST_PAUSE_S (30 * 60) /* --max-node-group-backoff-duration */
#define FORGET_S (3 * 60 * 60)    /* --node-group-backoff-reset-timeout */
#define UNNEEDED_S (10 * 60)      /* --scale-down-unneeded-time */
#define GPU_BUFFER_S 30           /* pods with GPUs are not looked at while all are younger */
#define SAY_AGAIN_S (5 * 60)      /* the same Event about the same pod */

static void back_off(struct availability_autoscaler *m, int32_t group, int64_t now_s)
{
	int64_t pause_s = FIRST_PAUSE_S;

	if (m->groups[group].backed_off) {
		pause_s = m->groups[group].pause_s;
		if (m->groups[group].until_s < now_s)
			pause_s = 2 * pause_s < LONGEST_PAUSE_S ? 2 * pause_s : LONGEST_PAUSE_S;
	}
	m->groups[group].backed_off = true;
	m->groups[group].pause_s = pause_s;
	m->groups[group].until_s = now_s + pause_s;
	m->groups[group].failed_s = now_s;
}

static int32_t count(const struct availability_view *v, int32_t group, enum availability_node_state state)
{
	int32_t n = 0;

	for (size_t i = 0; i < v->n_nodes; i++)
		n += v->nodes[i].state == state && v->nodes[i].pool == group;
	return n;
}

static int32_t missing(const struct availability_view *v, int32_t group)
{
	return count(v, group, NODE_ASKED) + count(v, group, NODE_REFUSED) + count(v, group, NODE_STANDING) +
	       count(v, group, NODE_BOOTING);
}

/* Of each group: has what was asked for come, or failed? */
static void update_group(struct availability_autoscaler *m, const struct availability_view *v, int32_t group)
{
	int32_t refused = count(v, group, NODE_REFUSED);

	if (m->groups[group].backed_off && m->groups[group].failed_s + FORGET_S < v->now_s)
		m->groups[group].backed_off = false;
	if (m->groups[group].increase > 0 && missing(v, group) == 0) {
		m->groups[group].increase = 0;
		m->groups[group].backed_off = false;
	} else if (m->groups[group].increase > 0 && m->groups[group].expected_s < v->now_s) {
		back_off(m, group, v->now_s);
		m->groups[group].increase = 0;
	}
	/* Only a scale-up of its own can fail: a group that replaces a lost instance by itself is not blamed. */
	if (m->groups[group].increase > 0 && refused > 0) {
		m->groups[group].increase =
			m->groups[group].increase > refused ? m->groups[group].increase - refused : 0;
		back_off(m, group, v->now_s);
	}
}

/* What failed, what has not registered in time (it was first seen by the loop after the request), what nobody needs. */
static void remove_nodes(const struct availability_view *v, struct availability_view *left,
                         struct availability_asks *ret)
{
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct availability_node *n = &v->nodes[i];
		bool comes = n->state == NODE_ASKED || n->state == NODE_STANDING || n->state == NODE_BOOTING;

		ret->remove[i] = n->state == NODE_REFUSED ||
		                 (comes && n->asked_s / SCAN_S * SCAN_S + SCAN_S + PROVISION_S < v->now_s) ||
		                 (n->state == NODE_READY && !n->used && n->idle_s + UNNEEDED_S <= v->now_s);
		if (ret->remove[i])
			left->nodes[i].state = NODE_NONE;
	}
}

static void say(const struct availability_view *v, const bool about[static AVAILABILITY_PODS], enum hint what,
                int32_t pool, struct availability_asks *ret)
{
	for (size_t i = 0; i < v->n_pods; i++) {
		const struct availability_pod *p = &v->pods[i];

		if (about[i] && (pool < 0 || availability_may_run(p, pool)) &&
		    (p->said != what || p->said_s + SAY_AGAIN_S <= v->now_s))
			ret->said[i] = what;
	}
}

static void scale_up(struct availability_autoscaler *m, const struct availability_view *v,
                     struct availability_asks *ret)
{
	bool unhelped[AVAILABILITY_PODS], open[AVAILABILITY_POOLS] = {false};
	int64_t oldest_s = AVAILABILITY_NEVER;
	int32_t group, n = 0;

	if (availability_unhelped(v, unhelped) == 0)
		return;
	for (size_t i = 0; i < v->n_pods; i++)
		if (unhelped[i] && v->pods[i].created_s < oldest_s)
			oldest_s = v->pods[i].created_s;
	if (oldest_s + GPU_BUFFER_S > v->now_s)
		return;
	for (size_t i = 0; i < v->n_pools; i++)
		open[i] = !m->groups[i].backed_off || m->groups[i].until_s <= v->now_s;
	group = availability_best_pool(v, unhelped, open);
	if (group < 0) {
		say(v, unhelped, HINT_STOCK_OUT, -1, ret);
		return;
	}
	for (size_t i = 0; i < v->n_pods; i++)
		n += unhelped[i] && availability_may_run(&v->pods[i], group);
	ret->ask[group] = n;
	m->groups[group].increase += n;
	m->groups[group].expected_s = v->now_s + PROVISION_S;
	say(v, unhelped, HINT_PROVISIONING, group, ret);
}

static bool is_busy(const struct availability_autoscaler *m, const struct availability_view *v)
{
	for (size_t i = 0; i < v->n_pods; i++)
		if (v->pods[i].alive && v->pods[i].node < 0)
			return true;
	for (size_t i = 0; i < v->n_nodes; i++)
		if (v->nodes[i].state != NODE_NONE && !v->nodes[i].used)
			return true;
	for (size_t i = 0; i < v->n_pools; i++)
		if (m->groups[i].increase > 0)
			return true;
	return false;
}

static void scan(struct availability_autoscaler *m, const struct availability_view *v,
                 struct availability_asks *ret)
{
	struct availability_view left = *v;

	for (int32_t i = 0; i < (int32_t)v->n_pools; i++)
		update_group(m, v, i);
	remove_nodes(v, &left, ret);
	scale_up(m, &left, ret);
}

void availability_autoscaler(struct availability_autoscaler *m, const struct availability_view *v,
                             struct availability_asks *ret)
{
	if (v->now_s % SCAN_S == 0 && v->now_s >= m->next_s) {
		m->next_s = v->now_s + SCAN_S;
		scan(m, v, ret);
	}
	ret->wake_s = is_busy(m, v) ? v->now_s / SCAN_S * SCAN_S + SCAN_S : AVAILABILITY_NEVER;
}
