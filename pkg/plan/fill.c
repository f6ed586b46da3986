/* How many instances each pool is to have. */
#include "plan/internal.h"

/* What waits on trial, or for a pool's minimum, is there whatever the pools above have: it is no step of the walk. But a
 * loan goes down, whatever it is for. */
static bool walks_here(const struct pool_plan *p)
{
	return (p->given_up || (pool_waits(p) && !p->probes && pool_room(p) > 0)) &&
	       (p->lends || p->seen->want > p->spec->min_instances);
}

/* The walk only goes down: nothing above the first pool that waits, or has just been given up, is asked. */
static size_t walk_start(const struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (walks_here(&pl->pools[i]))
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

		if (pool_waits(p) && !p->lends && !p->probes && p->share == 0 && pool_room(p) > 0 &&
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

/* Rule 4: the demand goes past one that has to be probed first, also where another endpoint does so now. One that only moves
 * the fleet gets it. */
static bool probes_instead(struct planning *pl, struct pool_plan *p)
{
	if (p->share > 0)
		return false;
	if (!probe_needed(pl, p))
		return false;
	if (p->waiting == 0 && !pl->probing && p->seen->shortage.taken.ms <= pl->now.ms)
		p->probes = pl->probing = true;
	return p->probes || p->waiting == 0;
}

/* In this order: what a pool is to have, what it may have, more than can be borrowed; and what nobody else takes, for then
 * there is nothing to lose by asking without a probe. */
enum asking { ASK_MINIMUM, ASK_ROOM, ASK_LENDERS, ASK_ALL };

/* A stand-in is one on trial anyway. */
static bool may_stand_in(const struct pool_plan *p)
{
	return pool_usable(p) && !p->lends && !p->probes && pool_room(p) > 0;
}

/* The next pool below where all start, else any such. */
static struct pool_plan *next_that_starts(struct planning *pl, size_t below)
{
	for (size_t k = 1; k < pl->n_pools; k++) {
		struct pool_plan *p = &pl->pools[(below + k) % pl->n_pools];

		if (may_stand_in(p) && p->failed == 0)
			return p;
	}
	return NULL;
}

/* Where there is no such pool: one where some start. */
static struct pool_plan *first_that_starts_some(struct planning *pl)
{
	for (size_t i = 0; i < pl->n_pools; i++)
		if (may_stand_in(&pl->pools[i]) && pl->pools[i].ready > 0)
			return &pl->pools[i];
	return NULL;
}

/* Returns how many find no place now. */
static int32_t ask_substitutes(struct planning *pl, int32_t missing)
{
	for (size_t i = 0; i < pl->n_pools && missing > 0; i++) {
		struct pool_plan *p;

		if (!pl->pools[i].has_substitute)
			continue;
		p = next_that_starts(pl, i);
		if (!p)
			p = first_that_starts_some(pl);
		if (p) {
			p->share++;
			missing--;
		}
	}
	return missing;
}

static int32_t ask(struct planning *pl, size_t from, enum asking what, int32_t unmet)
{
	for (size_t i = from; i < pl->n_pools && unmet > 0; i++) {
		struct pool_plan *p = &pl->pools[i];
		bool may = pool_usable(p) && (what == ASK_ALL || p->lends == (what == ASK_LENDERS));
		int32_t n = may ? min_i32(pool_room(p), unmet) : 0;

		if (what == ASK_MINIMUM)
			n = min_i32(n, p->spec->min_instances - p->bound - p->share);
		if (n <= 0 || (what != ASK_ALL && probes_instead(pl, p)))
			continue;
		p->probes = false;
		p->share += n;
		unmet -= n;
	}
	return unmet;
}

bool scaled_in(const struct planning *pl)
{
	return pl->desired == 0 || (pl->e->status.present && pl->desired < pl->e->status.desired);
}

/* No node comes for nothing: who is known to get one waits on though the demand went elsewhere. A scale-in ends that. */
static int32_t surge_of(const struct planning *pl, const struct pool_plan *p)
{
	int32_t more = max_i32(0, p->waiting - p->share);

	if (scaled_in(pl) || p->seen->blocked)
		return 0;
	if (p->probes)
		return max_i32(min_i32(1, pool_room(p)), min_i32(more, p->seen->why.on_the_way));
	return min_i32(more, p->seen->why.on_the_way);
}

/* A lost instance serves, or may come back, until enough others are Ready. Nor does it go while some wait or start beside
 * it: the ReplicaSet controller would take these first. For the same reason no other goes where one is kept. */
static void hold_lost(struct planning *pl)
{
	bool enough = pl->ready + pl->rollout.old_keep >= pl->desired;

	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		if (pl->desired > 0 && (!enough || p->target - p->ready > p->failed))
			p->keep_lost = p->lost;
	}
}

/* Those that do not start are the first when less is wanted, and with the last of a pool its stand-in. Returns what is left
 * of the surplus. */
static int32_t failed_go(struct planning *pl, int32_t *due, int32_t surplus)
{
	for (size_t i = pl->n_pools; i-- > 0;) {
		const struct pool_plan *p = &pl->pools[i];

		if (p->keep_lost > 0)
			continue;
		due[i] = min_i32(p->failed, surplus);
		surplus -= due[i];
		if (p->has_substitute && due[i] == p->failed) {
			pl->substitutes--;
			surplus++;
		}
	}
	return surplus;
}

/* Not while too few serve, unless it is the user who wants less: one that is not Ready for a moment would go for one that
 * only loads. From the lowest priority upwards, down to the minimum of each, and only then below these. What serves goes
 * only as far as enough others do; what is due there but still serves is not taken from a better pool instead. */
static void remove_surplus(struct planning *pl)
{
	bool too_few = pl->ready + pl->rollout.old_keep < pl->desired && !scaled_in(pl);
	int32_t surplus = too_few ? 0 : max_i32(0, pl->bound - pl->desired - pl->substitutes);
	int32_t spare_ready = max_i32(0, pl->ready + pl->rollout.old_keep - pl->desired);
	int32_t due[ENDPOINT_MAX_POOLS] = {0};

	if (scaled_in(pl))
		surplus = failed_go(pl, due, surplus);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = pl->n_pools; i-- > 0;) {
			const struct pool_plan *p = &pl->pools[i];
			int32_t stays = pass == 0 ? min_i32(p->bound, p->spec->min_instances) : 0;
			int32_t more = max_i32(0, min_i32(p->bound - due[i] - stays, surplus));

			due[i] += more;
			surplus -= more;
		}
	for (size_t i = pl->n_pools; i-- > 0;) {
		struct pool_plan *p = &pl->pools[i];
		int32_t starting = min_i32(p->bound - p->ready, due[i]);
		int32_t serving = min_i32(due[i] - starting, spare_ready);

		if (p->keep_lost > 0)
			continue;
		/* The ReplicaSet controller takes those that wait first, so no surge can stay here. */
		if (starting + serving > 0) {
			p->surge = 0;
			p->target = p->bound - starting - serving;
		}
		spare_ready -= serving;
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
	int32_t unmet = max_i32(0, pl->rollout.new_target + pl->substitutes - pl->bound);
	size_t start = walk_start(pl);
	int32_t substitutes;

	unmet = keep_waiting(pl, unmet);
	substitutes = min_i32(unmet, pl->substitutes);
	unmet -= substitutes;
	unmet = ask(pl, start, ASK_MINIMUM, unmet);
	unmet = ask(pl, start, ASK_ROOM, unmet);
	unmet = ask(pl, start, ASK_LENDERS, unmet);
	unmet = ask(pl, start, ASK_ALL, unmet);
	unmet = ask(pl, 0, ASK_ROOM, unmet); /* the walk is over: the next one begins at the top */
	unmet = ask(pl, 0, ASK_ALL, unmet);
	pl->unmet = unmet;
	pl->unplaced = ask_substitutes(pl, substitutes);
	for (size_t i = 0; i < pl->n_pools; i++) {
		struct pool_plan *p = &pl->pools[i];

		p->surge = surge_of(pl, p);
		p->target = p->bound + p->share + p->surge;
	}
}

void scale_in(struct planning *pl)
{
	/* Where the pools may have fewer: those that nobody is asked for, and for whom no older one serves. */
	pl->unmet += max_i32(0, pl->desired - max_i32(pl->rollout.new_target, pl->bound) - pl->rollout.old_keep);
	hold_lost(pl);
	remove_surplus(pl);
	keep_old(pl);
}
