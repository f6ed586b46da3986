#include "availability/pools.h"
#include <assert.h>
#include <inttypes.h>
#include "base/json.h"
#include "plan/plan.h"

#define BEGIN_MS INT64_C(1795626000000) /* any whole second will do */
#define SPEC_MAX_BYTES 4096

static const char *const names[AVAILABILITY_POOLS] = {"first", "second", "third", "fourth"};

static struct wall at(int64_t s)
{
	return (struct wall){BEGIN_MS + s * MS_PER_S};
}

void availability_pools_init(struct availability_pools *m, size_t n_pools, int32_t desired, bool active,
                             bool deaf)
{
	CLEANUP_BUF struct buf spec;
	struct err err = ERR_INIT;

	*m = (struct availability_pools){.deaf = deaf};
	arena_init(&m->status[0]);
	arena_init(&m->status[1]);
	buf_init(&spec, SPEC_MAX_BYTES);
	buf_addf(&spec,
	         "{\"metadata\":{\"name\":\"llm\",\"namespace\":\"default\",\"uid\":\"u-1\",\"generation\":1},"
	         "\"spec\":{\"modelName\":\"llm\",\"instanceCount\":%" PRId32
	         ",\"capacity\":{\"rebalance\":\"%s\"},\"instancePools\":[",
	         desired, active ? "Active" : "Passive");
	for (size_t i = 0; i < n_pools; i++)
		buf_addf(&spec, "%s{\"name\":\"%s\",\"instanceType\":\"%s.large\",\"priority\":%zu}",
		         i > 0 ? "," : "", names[i], names[i], i + 1);
	buf_add_str(&spec, "]}}");
	m->endpoint = endpoint_decode(buf_slice(&spec), &err);
	assert(m->endpoint != NULL);
}

void availability_pools_done(struct availability_pools *m)
{
	endpoint_free(m->endpoint);
	arena_done(&m->status[0]);
	arena_done(&m->status[1]);
}

/* The pods of one pool that wait, as the operator has them from the API server. */
struct waiting {
	struct pod pods[AVAILABILITY_PODS];
	const struct pod *list[AVAILABILITY_PODS];
	struct classify_hint hints[AVAILABILITY_PODS];
	char names[AVAILABILITY_PODS][8];
	size_t n;
};

static void add_waiting(const struct availability_pools *m, const struct availability_pod *p, size_t index,
                        struct waiting *w)
{
	size_t i = w->n++;

	str_format(w->names[i], sizeof(w->names[i]), "%02zu", index);
	w->pods[i] = (struct pod){
		.meta = {.name = w->names[i], .ns = "default", .created = at(p->created_s)},
		.phase = "Pending",
		.scheduled = TRI_FALSE,
		.scheduled_reason = "Unschedulable",
		.scheduled_message = "0/9 nodes are available: 9 node(s) didn't match Pod's node affinity/selector.",
		.scheduled_since = at(p->created_s),
	};
	w->list[i] = &w->pods[i];
	w->hints[i] = (struct classify_hint){.hint = HINT_NONE};
	if (p->said == HINT_PROVISIONING || (p->said != HINT_NONE && !m->deaf))
		w->hints[i] =
			(struct classify_hint){p->said, at(p->said_s), "no instance type has the required offering"};
}

static void look_at_pool(const struct availability_pools *m, const struct availability_view *v, size_t pool,
                         int32_t want, struct arena *a, struct plan_pool_seen *seen)
{
	const struct pool_status *last =
		endpoint_status_pool(&m->endpoint->status, m->endpoint->spec.pools[pool].name);
	struct waiting *w = arena_alloc(a, sizeof(*w));
	int64_t oldest_s = AVAILABILITY_NEVER, last_bind_s = -1;

	*seen = (struct plan_pool_seen){.deployment = names[pool],
	                                .exists = m->exists[pool],
	                                .want = want,
	                                .asked = want,
	                                .provides_nodes = true};
	for (size_t i = 0; i < v->n_pods; i++) {
		const struct availability_pod *p = &v->pods[i];

		if (!p->alive || p->pool != (int32_t)pool)
			continue;
		if (p->node < 0) {
			add_waiting(m, p, i, w);
			oldest_s = p->created_s < oldest_s ? p->created_s : oldest_s;
			continue;
		}
		seen->bound++;
		seen->ready++;
		last_bind_s = p->bound_s > last_bind_s ? p->bound_s : last_bind_s;
	}
	if (last_bind_s >= 0)
		seen->last_bind = at(last_bind_s);
	if (w->n > 0)
		seen->oldest_wait = at(oldest_s);
	classify(
		&(struct classify_input){
			.waiting = want - seen->bound,
			.pods = w->list,
			.n_pods = w->n,
			.hints = w->hints,
			.last_bind = seen->last_bind,
			.provides_nodes = true,
			.last_reason = last ? last->reason : REASON_NONE,
			.last_deadline = last ? last->deadline : (struct wall){0},
		},
		at(v->now_s), a, &seen->why);
}

/* As it comes back from the API server. */
static void keep_status(struct availability_pools *m, const struct endpoint_status *s)
{
	struct arena *other = &m->status[!m->turn];
	CLEANUP_JSON json_t *body = NULL;

	if (endpoint_status_equal(&m->endpoint->status, s))
		return;
	body = endpoint_status_apply(m->endpoint, s);
	arena_reset(other);
	m->endpoint->status = (struct endpoint_status){0};
	endpoint_status_decode(json_at(body, "status"), other, &m->endpoint->status);
	m->turn = !m->turn;
}

void availability_pools(struct availability_pools *m, const struct availability_view *v,
                        int32_t replicas[static AVAILABILITY_POOLS], int64_t *ret_wake_s)
{
	CLEANUP_ARENA struct arena a;
	struct plan_input *in;
	struct plan_output out;

	arena_init(&a);
	in = arena_alloc(&a, sizeof(*in));
	in->endpoint = m->endpoint;
	for (size_t i = 0; i < v->n_pools; i++)
		look_at_pool(m, v, i, replicas[i], &a, &in->pools[i]);
	plan(in, at(v->now_s), &a, &out);
	for (size_t i = 0; i < out.n_steps; i++) {
		const struct plan_step *s = &out.steps[i];

		if (s->type == PLAN_FIRST_TO_GO) /* here those to whom nothing was promised go first anyway */
			continue;
		/* Nothing older, lost, protected or changed by others is here. */
		assert(s->type == PLAN_CREATE || s->type == PLAN_SCALE);
		m->exists[s->index] = true;
		replicas[s->index] = s->to;
	}
	keep_status(m, &out.status);
	*ret_wake_s = AVAILABILITY_NEVER;
	if (wall_is_set(out.wake))
		*ret_wake_s = (out.wake.ms - BEGIN_MS + MS_PER_S - 1) / MS_PER_S;
}
