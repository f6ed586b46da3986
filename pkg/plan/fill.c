/* How many instances each pool is to have. */
#include "plan/internal.h"

/* The walk only goes down: nothing above the first pool that waits, or has just been given up, is asked. */
static size_t walk_start(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pool_waits(&pl->pools[i]) || pl->pools[i].given_up)
			return i;
	return 0;
}

static struct wall waits_since(const struct planning *pl, const struct pool_plan *p)
{
	return wall_is_set(p->seen->oldest_wait) ? p->seen->oldest_wait
	                                         : pl->now; /* its pods do not even exist */
}

/* Of the pools that wait and have no share yet: the one that has waited least, the better one on a tie. Where more waits
 * than is wanted, the longest wait is so the first to end. */
static struct pool_plan *youngest_waiting(struct planning *pl)
{
	struct pool_plan *best = NULL;

	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		if (pool_waits(p) && !p->lends && p->share == 0 && pool_room(p) > 0 &&
		    (!best || waits_since(pl, p).ms > waits_since(pl, best).ms))
			best = p;
	}
	return best;
}

static int32_t keep_waiting(struct planning *pl, int32_t unmet)
{
	struct pool_plan *p;

	while (unmet > 0 && (p = youngest_waiting(pl)) != NULL) {
		p->share = min_i32(min_i32(p->waiting, pool_room(p)), unmet);
		unmet -= p->share;
	}
	return unmet;
}

static int32_t ask(struct planning *pl, size_t from, bool lenders, int32_t unmet)
{
	for (size_t i = from; i < pl->n_pools && unmet > 0; i++) {
		struct pool_plan *p = &pl->pools[i];
		int32_t n = pool_usable(p) && p->lends == lenders ? min_i32(pool_room(p), unmet) : 0;

		p->share += n;
		unmet -= n;
	}
	return unmet;
}

/* No node comes for nothing: who is known to get one waits on though the demand went elsewhere. A scale-in ends that. */
static int32_t surge_of(const struct planning *pl, const struct pool_plan *p)
{
	bool scaled_in = pl->e->status.present && pl->desired < pl->e->status.desired;

	if (pl->desired == 0 || scaled_in || p->seen->blocked)
		return 0;
	return max_i32(0, min_i32(p->waiting - p->share, p->seen->why.on_the_way));
}

/* From the lowest priority upwards. What serves goes only as far as enough others do; what is due there but still serves
 * is not taken from a better pool instead. */
static void remove_surplus(struct planning *pl)
{
	int32_t surplus = max_i32(0, pl->bound - pl->desired);
	int32_t spare_ready = max_i32(0, pl->ready + pl->rollout.old_keep - pl->desired);

	for (size_t i = pl->n_pools; i-- > 0 && surplus > 0;) {
		struct pool_plan *p = &pl->pools[i];
		int32_t due = min_i32(p->bound, surplus);
		int32_t starting = min_i32(p->bound - p->ready, due);
		int32_t serving = min_i32(due - starting, spare_ready);

		/* The ReplicaSet controller takes those that wait first, so no surge can stay here. */
		if (starting + serving > 0) {
			p->surge = 0;
			p->target = p->bound - starting - serving;
		}
		spare_ready -= serving;
		surplus -= due;
	}
}

/* Do instances of the new generation wait for the room that this one takes? */
static bool in_the_way(const struct planning *pl, const struct plan_old_seen *o)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (pool_waits_behind_own(&pl->pools[i]) && is_old_of(o, &pl->pools[i]))
			return true;
	return false;
}

/* The last of the list stay longest, and those longer that nobody waits behind. */
static void keep_old(struct planning *pl)
{
	const struct plan_input *in = pl->in;
	int32_t keep = pl->rollout.old_keep;

	pl->old_target = arena_calloc(pl->arena, in->n_old ? in->n_old : 1, sizeof(*pl->old_target));
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = in->n_old; i-- > 0;) {
			const struct plan_old_seen *o = &in->old[i];

			if (in_the_way(pl, o) != (pass == 1))
				continue;
			pl->old_target[i] = min_i32(min_i32(o->ready, o->want), keep);
			keep -= pl->old_target[i];
		}
}

void fill(struct planning *pl)
{
	int32_t unmet = max_i32(0, pl->rollout.new_target - pl->bound);
	size_t start = walk_start(pl);

	unmet = keep_waiting(pl, unmet);
	unmet = ask(pl, start, false, unmet);
	unmet = ask(pl, start, true, unmet); /* more than can be borrowed */
	unmet = ask(pl, 0, false, unmet);    /* the walk is over: the next one begins at the top */
	pl->unmet = unmet;
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->surge = surge_of(pl, p);
		p->target = p->bound + p->share + p->surge;
	}
}

void scale_in(struct planning *pl)
{
	remove_surplus(pl);
	keep_old(pl);
}
