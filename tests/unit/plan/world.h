#pragma once
/* A small cluster for the planner's property test: pools with room for so many instances, Deployments whose ReplicaSet
 * controller picks its victims itself, instances that bind, become Ready, end slowly. Deterministic by its seed. */
#include <inttypes.h>
#include <stdio.h>
#include "api/names.h"
#include "plan/plan.h"

#define WORLD_POOLS 4
#define WORLD_PODS 256
#define WORLD_GENERATIONS 8 /* of the template */
#define WORLD_OLD (WORLD_POOLS * WORLD_GENERATIONS)
#define NEVER INT64_MAX

struct world_pod {
	bool alive;
	size_t pool;
	int generation;
	int64_t created_ms, bound_ms, ready_ms; /* 0: not bound; NEVER: does not become Ready */
	int64_t leaves_ms;                      /* being ended: holds its room until then */
	int64_t lost_until_ms;                  /* its node is being removed, or does not answer, until then */
	bool away;                              /* ... the latter: not Ready meanwhile */
	bool comes_back;                        /* ... and after that it is as before */
	bool first_to_go;
};

struct world_deployment {
	bool exists;
	int64_t created_ms;
	int32_t want;
};

struct world_pool {
	int32_t room;        /* for so many instances */
	int64_t node_due_ms; /* one more node comes then; 0: none */
	int64_t node_ready_ms, room_made_ms;
	bool blocked;
	struct plan_shortage shortage; /* as other endpoints know it */
	struct world_deployment deployments[WORLD_GENERATIONS];
};

struct world {
	uint64_t seed;
	bool tell;          /* print the story */
	const char *broken; /* the rule that did not hold */
	int64_t now_ms;
	bool provides_nodes;
	int generation;
	struct endpoint e;
	struct arena arena; /* of all plans: a status borrows from the one before */
	struct world_pool pools[WORLD_POOLS];
	struct world_pod pods[WORLD_PODS];
	struct pod lost[WORLD_PODS]; /* as the operator sees them: same index as pods */
	const struct pod *lost_of[WORLD_POOLS][WORLD_PODS];
	char names[WORLD_PODS][8];
	struct plan_old_seen old[WORLD_OLD];
	struct world_deployment *old_deployment[WORLD_OLD];
};

static inline uint32_t world_random(struct world *w, uint32_t below)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (uint32_t)(w->seed >> 32) % below;
}

static inline bool world_chance(struct world *w, uint32_t percent)
{
	return world_random(w, 100) < percent;
}

static const char *const world_pool_names[WORLD_POOLS] = {"p5", "g6", "g5", "g4"};

static void world_init(struct world *w, uint64_t seed)
{
	struct endpoint_spec *s = &w->e.spec;
	int32_t priority = 1;

	*w = (struct world){.seed = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};
	arena_init(&w->arena);
	w->now_ms = INT64_C(1795626000000) + world_random(w, 1000);
	w->provides_nodes = world_chance(w, 50);
	w->e.meta = (struct objmeta){.name = "llm", .ns = "default", .uid = "u-1", .generation = 1};
	s->n_pools = 1 + world_random(w, WORLD_POOLS);
	s->pools = arena_calloc(&w->arena, s->n_pools, sizeof(*s->pools));
	s->instance_count = (int32_t)world_random(w, 9);
	s->provision_timeout_ms = world_chance(w, 10) ? 0 : MS_PER_S * (5 + world_random(w, 120));
	s->startup_timeout_ms = MS_PER_S * 120;
	s->lends_failed = world_chance(w, 50);
	s->retry_after_ms = MS_PER_S * 180;
	s->max_retry_after_ms = MS_PER_S * 1800;
	s->rebalance_active = world_chance(w, 30);
	for (size_t i = 0; i < s->n_pools; i++) {
		s->pools[i] = (struct endpoint_pool){
			.name = world_pool_names[i],
			.instance_type = world_pool_names[i],
			.model_name = "llm",
			.priority = priority,
			.min_instances = world_chance(w, 20) ? (int32_t)world_random(w, 4) : 0,
			.max_instances = world_chance(w, 20) ? 1 + (int32_t)world_random(w, 5) : INT32_MAX,
		};
		priority += world_chance(w, 80) ? 1 : 0;
		w->pools[i].room = (int32_t)world_random(w, 6);
	}
}

static void world_done(struct world *w)
{
	arena_done(&w->arena);
}

static struct wall world_seconds(int64_t ms)
{
	return wall_floor_s((struct wall){ms});
}

static bool is_bound(const struct world_pod *p)
{
	return p->alive && p->bound_ms && !p->leaves_ms;
}

static bool is_ready(const struct world *w, const struct world_pod *p)
{
	return is_bound(p) && p->ready_ms <= w->now_ms && !(p->lost_until_ms && p->away);
}

static bool is_waiting(const struct world_pod *p)
{
	return p->alive && !p->bound_ms && !p->leaves_ms;
}

static int32_t world_ready(const struct world *w)
{
	int32_t n = 0;

	for (size_t i = 0; i < WORLD_PODS; i++)
		n += is_ready(w, &w->pods[i]);
	return n;
}

/* ---- the cluster's controllers ---- */

static void end_pod(struct world *w, struct world_pod *p)
{
	if (p->bound_ms)
		p->leaves_ms = w->now_ms + 1 + world_random(w, 20000);
	else
		p->alive = false;
}

/* Unassigned, then not Ready, then by deletion cost. */
static struct world_pod *victim(struct world *w, size_t pool, int generation)
{
	struct world_pod *worst = NULL;
	int worst_rank = 0;

	for (size_t i = 0; i < WORLD_PODS; i++) {
		struct world_pod *p = &w->pods[i];
		int rank = (!p->bound_ms ? 5 : !is_ready(w, p) ? 3 : 1) + (p->first_to_go ? 1 : 0);

		if (p->alive && !p->leaves_ms && p->pool == pool && p->generation == generation &&
		    rank > worst_rank) {
			worst = p;
			worst_rank = rank;
		}
	}
	return worst;
}

static void new_pod(struct world *w, size_t pool, int generation)
{
	for (size_t i = 0; i < WORLD_PODS; i++)
		if (!w->pods[i].alive) {
			w->pods[i] = (struct world_pod){
				.alive = true, .pool = pool, .generation = generation, .created_ms = w->now_ms};
			return;
		}
}

static void replicate(struct world *w)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		for (int g = 0; g <= w->generation; g++) {
			int32_t n = 0, want = w->pools[i].deployments[g].want;

			for (size_t k = 0; k < WORLD_PODS; k++)
				n += w->pods[k].alive && !w->pods[k].leaves_ms && w->pods[k].pool == i &&
				     w->pods[k].generation == g;
			for (; n < want; n++)
				new_pod(w, i, g);
			for (; n > want; n--)
				end_pod(w, victim(w, i, g));
		}
}

static void schedule(struct world *w)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		int32_t used = 0;

		for (size_t k = 0; k < WORLD_PODS; k++)
			used += w->pods[k].alive && w->pods[k].bound_ms && w->pods[k].pool == i;
		for (size_t k = 0; k < WORLD_PODS && used < w->pools[i].room; k++) {
			struct world_pod *p = &w->pods[k];

			if (!is_waiting(p) || p->pool != i)
				continue;
			p->bound_ms = w->now_ms;
			p->ready_ms = world_chance(w, 3) ? NEVER : w->now_ms + world_random(w, 60000);
			used++;
		}
	}
}

/* A node less: who has no room any more is gone. */
static void lose_node(struct world *w, size_t pool)
{
	int32_t used = 0;

	if (w->pools[pool].room > 0)
		w->pools[pool].room--;
	for (size_t k = 0; k < WORLD_PODS; k++) {
		struct world_pod *p = &w->pods[k];

		if (p->alive && p->bound_ms && p->pool == pool && ++used > w->pools[pool].room)
			p->alive = false;
	}
}

/* Its node is doomed, or away for a while. */
static void lose_instance(struct world *w, size_t pool)
{
	for (size_t k = 0; k < WORLD_PODS; k++) {
		struct world_pod *p = &w->pods[k];

		if (!is_bound(p) || p->pool != pool || p->lost_until_ms || world_chance(w, 50))
			continue;
		p->lost_until_ms = w->now_ms + 1 + world_random(w, 120000);
		p->away = world_chance(w, 50);
		p->comes_back = world_chance(w, 50);
		return;
	}
}

static void end_of_loss(struct world *w, struct world_pod *p)
{
	p->lost_until_ms = 0;
	if (p->comes_back)
		return;
	p->alive = false;
	if (w->pools[p->pool].room > 0)
		w->pools[p->pool].room--;
}

static void pass_time(struct world *w, int64_t ms)
{
	w->now_ms += ms;
	for (size_t k = 0; k < WORLD_PODS; k++) {
		struct world_pod *p = &w->pods[k];

		if (p->alive && p->lost_until_ms && p->lost_until_ms <= w->now_ms)
			end_of_loss(w, p);
		if (p->alive && p->leaves_ms && p->leaves_ms <= w->now_ms) {
			p->alive = false;
			w->pools[p->pool].room_made_ms = w->now_ms;
		}
	}
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		struct world_pool *p = &w->pools[i];

		if (p->node_due_ms && p->node_due_ms <= w->now_ms) {
			p->node_due_ms = 0;
			p->node_ready_ms = w->now_ms;
			p->room++;
		}
	}
}

/* ---- what the operator sees of it ---- */

static int64_t room_leaves_ms(const struct world *w, size_t pool)
{
	int64_t last = 0;

	for (size_t k = 0; k < WORLD_PODS; k++)
		if (w->pods[k].alive && w->pods[k].pool == pool && w->pods[k].leaves_ms > last)
			last = w->pods[k].leaves_ms;
	return last;
}

static bool older_are_bound(const struct world *w, size_t pool)
{
	for (size_t k = 0; k < WORLD_PODS; k++)
		if (is_bound(&w->pods[k]) && w->pods[k].pool == pool && w->pods[k].generation != w->generation)
			return true;
	return false;
}

/* The classifier in a few words, with its habits: whole seconds, deadlines ahead. */
static void look_why(const struct world *w, size_t pool, struct plan_pool_seen *seen)
{
	const struct world_pool *p = &w->pools[pool];
	struct classify_output *why = &seen->why;
	int64_t settled_ms = seen->oldest_wait.ms + 4 * MS_PER_S;
	int64_t again_ms =
		world_seconds(p->node_ready_ms > p->room_made_ms ? p->node_ready_ms : p->room_made_ms).ms +
		13 * MS_PER_S;
	int64_t leaves_ms = room_leaves_ms(w, pool);

	if (!wall_is_set(seen->oldest_wait)) {
		why->reason = REASON_PENDING;
	} else if (p->node_due_ms) {
		why->reason = REASON_PROVISIONING;
		why->on_the_way = 1;
		if (!w->provides_nodes)
			why->deadline = world_seconds(p->node_due_ms + MS_PER_S);
	} else if (seen->oldest_wait.ms + MS_PER_S > w->now_ms) {
		why->reason = REASON_PENDING;
		why->deadline = wall_add(seen->oldest_wait, MS_PER_S);
	} else if (leaves_ms) {
		why->reason = REASON_RELEASING;
		why->deadline = world_seconds(leaves_ms + 31 * MS_PER_S);
	} else if (again_ms > w->now_ms) {
		why->reason = REASON_SETTLING;
		why->deadline = (struct wall){again_ms};
	} else if (older_are_bound(w, pool)) {
		why->reason = REASON_OWN_FLEET;
	} else {
		why->reason = REASON_STOCK_OUT;
		why->explicit_evidence = !w->provides_nodes && settled_ms <= w->now_ms;
		if (!w->provides_nodes && !why->explicit_evidence)
			why->deadline = (struct wall){settled_ms};
	}
	why->message = why->reason == REASON_PENDING ? CLASSIFY_NO_PODS : pool_reason_name(why->reason);
}

static void look_at_lost(struct world *w, size_t k, struct plan_pool_seen *seen)
{
	const struct world_pod *q = &w->pods[k];
	struct pod *view = &w->lost[k];

	str_format(w->names[k], sizeof(w->names[k]), "%zu", k);
	*view = (struct pod){.meta.name = w->names[k], .ready = is_ready(w, q)};
	if (q->first_to_go)
		view->deletion_cost = DELETION_COST_FIRST;
	w->lost_of[q->pool][seen->n_lost++] = view;
	seen->lost = w->lost_of[q->pool];
}

static void look_at_startup(const struct world *w, const struct world_pod *q, struct startup_output *s)
{
	int64_t due_ms = world_seconds(q->bound_ms).ms + w->e.spec.startup_timeout_ms;

	if (is_ready(w, q))
		return;
	if (due_ms <= w->now_ms) {
		s->failed++;
		s->reason = REASON_STARTUP_TIMEOUT;
		s->message = "not Ready in time";
	} else if (!wall_is_set(s->deadline) || due_ms < s->deadline.ms) {
		s->deadline.ms = due_ms;
	}
}

static void look_at(struct world *w, size_t pool, struct plan_pool_seen *seen)
{
	const struct world_pool *p = &w->pools[pool];
	int64_t oldest = 0, last_bind = 0;

	*seen = (struct plan_pool_seen){
		.deployment = world_pool_names[pool],
		.exists = p->deployments[w->generation].exists,
		.created = world_seconds(p->deployments[w->generation].created_ms),
		.asked = -1,
		.want = p->deployments[w->generation].want,
		.node_ready = world_seconds(p->node_ready_ms),
		.provides_nodes = w->provides_nodes,
		.shortage = p->shortage,
	};
	for (size_t k = 0; k < WORLD_PODS; k++) {
		const struct world_pod *q = &w->pods[k];

		if (q->pool != pool || q->generation != w->generation)
			continue;
		if (is_bound(q) && q->lost_until_ms) {
			look_at_lost(w, k, seen);
		} else if (is_bound(q)) {
			seen->bound++;
			seen->ready += is_ready(w, q);
			look_at_startup(w, q, &seen->startup);
		}
		if (is_bound(q) && q->bound_ms > last_bind)
			last_bind = q->bound_ms;
		if (is_waiting(q) && (!oldest || q->created_ms < oldest))
			oldest = q->created_ms;
	}
	seen->last_bind = world_seconds(last_bind);
	seen->oldest_wait = world_seconds(oldest);
	if (p->blocked) {
		seen->blocked = "Model llm does not exist";
		seen->blocked_as = COND_MODEL_MISSING;
		seen->blocked_reason = "ModelMissing";
	}
	if (seen->want > seen->bound + (int32_t)seen->n_lost)
		look_why(w, pool, seen);
}

static void look_at_old(struct world *w, struct plan_input *in)
{
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		for (int g = 0; g < w->generation; g++) {
			struct world_deployment *d = &w->pools[i].deployments[g];
			struct plan_old_seen *o = &w->old[in->n_old];

			if (!d->exists)
				continue;
			*o = (struct plan_old_seen){.name = "old", .pool = world_pool_names[i], .want = d->want};
			for (size_t k = 0; k < WORLD_PODS; k++) {
				const struct world_pod *q = &w->pods[k];

				if (!q->alive || q->pool != i || q->generation != g)
					continue;
				o->pods_left = true;
				o->bound += is_bound(q);
				o->ready += is_ready(w, q);
			}
			w->old_deployment[in->n_old++] = d;
		}
	in->old = w->old;
}

static void world_observe(struct world *w, struct plan_input *in)
{
	*in = (struct plan_input){.endpoint = &w->e};
	for (size_t i = 0; i < w->e.spec.n_pools; i++)
		look_at(w, i, &in->pools[i]);
	look_at_old(w, in);
}

static void world_write(struct world *w, const struct plan_step *s)
{
	bool old = s->type == PLAN_SCALE_OLD || s->type == PLAN_DELETE_OLD;
	struct world_deployment *d;

	if (s->type == PLAN_FIRST_TO_GO) {
		w->pods[s->pod - w->lost].first_to_go = true;
		return;
	}
	d = old ? w->old_deployment[s->index] : &w->pools[s->index].deployments[w->generation];

	if (s->type == PLAN_CREATE)
		d->created_ms = w->now_ms;
	d->exists = s->type != PLAN_DELETE_OLD;
	d->want = s->to;
}

/* ---- its story ---- */

static void world_tell(const struct world *w, const struct plan_input *in, const struct plan_output *out)
{
	char at[WALL_RFC3339_SIZE];

	wall_format((struct wall){w->now_ms}, at);
	fprintf(stderr, "%.8s.%03d want %" PRId32 "%s", at + 11, (int)(w->now_ms % 1000), plan_desired(&w->e),
	        w->e.status.present ? "" : " (no status)");
	for (size_t i = 0; i < w->e.spec.n_pools; i++) {
		const struct plan_pool_seen *s = &in->pools[i];

		fprintf(stderr,
		        " | %s want %" PRId32 " bound %" PRId32 " ready %" PRId32 " lost %zu failed %" PRId32
		        " room %" PRId32 " %s%s%s%s%s -> %s",
		        world_pool_names[i], s->want, s->bound, s->ready, s->n_lost, s->startup.failed,
		        w->pools[i].room, pool_reason_name(s->why.reason), s->why.explicit_evidence ? "!" : "",
		        s->blocked ? " blocked" : "", s->shortage.until.ms > w->now_ms ? " short" : "",
		        s->shortage.taken.ms > w->now_ms ? " taken" : "",
		        pool_state_name(out->status.pools[i].state));
	}
	for (size_t i = 0; i < in->n_old; i++)
		fprintf(stderr, " | old %s want %" PRId32 " bound %" PRId32 " ready %" PRId32, in->old[i].pool,
		        in->old[i].want, in->old[i].bound, in->old[i].ready);
	fprintf(stderr, "\n");
	for (size_t i = 0; i < out->n_steps; i++) {
		const struct plan_step *s = &out->steps[i];
		bool old = s->type == PLAN_SCALE_OLD || s->type == PLAN_DELETE_OLD;

		if (s->pod) {
			fprintf(stderr, "    first to go: %s\n", s->pod->meta.name);
			continue;
		}
		fprintf(stderr, "    %s%s %" PRId32 " -> %" PRId32 "\n", old ? "old " : "",
		        old ? in->old[s->index].pool : world_pool_names[s->index], s->from, s->to);
	}
}
