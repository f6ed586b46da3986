/* Room that comes and goes, and the deadlines of that. */
#include "classify_scene.h"

static void preemption(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	struct pod *p = pod(sc, 0, NO_ROOM);
	p->nominated_node_name = "a";
	p->grace_period_s = 60;
	struct classify_output o = look(sc, 4);
	is(o, REASON_RELEASING, false, 91);
	says(o, "room is being made by preemption");
	is(look(sc, 90.9), REASON_RELEASING, false, 91);
	/* It took too long, whether the status remembers or not. */
	sc->in.last_reason = REASON_RELEASING;
	sc->in.last_deadline = at(91);
	is(look(sc, 91), REASON_STOCK_OUT, true, NEVER);

	/* A preemption long after the first refusal has the same time, from when it is seen. */
	sc->in.last_reason = REASON_SETTLING;
	is(live(sc, HOUR + 0.1), REASON_RELEASING, false, HOUR + 91);
	is(live(sc, HOUR + 50), REASON_RELEASING, false, HOUR + 91);
	is(live(sc, HOUR + 91), REASON_STOCK_OUT, true, NEVER);
	is(live(sc, HOUR + 92), REASON_STOCK_OUT, true, NEVER);

	/* Whatever the template says, a day is the most. */
	p->grace_period_s = INT64_MAX;
	is(look(sc, 4), REASON_RELEASING, false, 86400 + 31);
	p->grace_period_s = INT64_MIN;
	is(look(sc, 4), REASON_RELEASING, false, 31);
}

static void the_predecessor_still_holds_its_gpus(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	pod(sc, 0, NO_ROOM);
	leaving(sc, 20);
	leaving(sc, 30); /* the API's deletionTimestamp has the grace period in it */
	struct classify_output o = look(sc, 4);
	is(o, REASON_RELEASING, false, 61);
	says(o, "instances are still ending on its nodes");
	/* It hangs. */
	is(look(sc, 61), REASON_STOCK_OUT, true, NEVER);
	is(live(sc, 60), REASON_RELEASING, false, 61);
	is(live(sc, 61), REASON_STOCK_OUT, true, NEVER);
}

static void room_on_a_node_that_goes_too_is_none(void **state)
{
	struct scene *sc = *state;
	struct node *a = node(sc, "a", 8);
	node(sc, "b", 8);
	pod(sc, 0, NO_ROOM);
	leaving(sc, 30);
	sc->leaving[0].node_name = "a";
	is(look(sc, 4), REASON_RELEASING, false, 61);
	taint(sc, a, "karpenter.sh/disrupted");
	is(look(sc, 4), REASON_STOCK_OUT, true, NEVER);
}

static void a_young_node_that_is_not_heard_of_is_not_coming(void **state)
{
	struct scene *sc = *state;
	struct node *a = young_node(sc, "a", -100);
	pod(sc, 0, TAINTED_136);
	a->ready = TRI_FALSE;
	taint(sc, a, "node.kubernetes.io/not-ready");
	is(look(sc, 4), REASON_PROVISIONING, false, 500);
	a->ready = TRI_UNKNOWN;
	taint(sc, a, "node.kubernetes.io/unreachable");
	is(look(sc, 4), REASON_STOCK_OUT, true, NEVER);
}

static void room_was_made(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	pod(sc, 0, NO_ROOM);
	leaving(sc, 30);
	is(live(sc, 4), REASON_RELEASING, false, 61);
	/* It is gone: the scheduler needs up to 10 s to look again. */
	sc->in.n_leaving = 0;
	is(live(sc, 29.4), REASON_SETTLING, false, 42);
	is(live(sc, 35), REASON_SETTLING, false, 42);
	is(live(sc, 41.9), REASON_SETTLING, false, 42);
	/* Somebody else was faster. */
	is(live(sc, 42), REASON_STOCK_OUT, true, NEVER);
	is(live(sc, 43), REASON_STOCK_OUT, true, NEVER);
}

/* The verdict is older than the room, which nobody has seen to be released. */
static void an_instance_is_gone_all_at_once(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	pod(sc, 0, NO_ROOM);
	sc->in.older_bound = 1;
	is(look(sc, 8), REASON_OWN_FLEET, false, NEVER);
	sc->in.freed = at(7.5);
	is(live(sc, 8), REASON_SETTLING, false, 20);
	is(live(sc, 19.9), REASON_SETTLING, false, 20);
	is(live(sc, 20), REASON_OWN_FLEET, false, NEVER);
	/* One that came when the room was there already was refused all the same. */
	sc->in.older_bound = 0;
	sc->in.freed = at(-0.5);
	is(look(sc, 8), REASON_STOCK_OUT, true, NEVER);
}

static void one_hangs_and_another_makes_room(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	pod(sc, 0, NO_ROOM);
	leaving(sc, -HOUR);
	leaving(sc, 30);
	is(live(sc, 4), REASON_RELEASING, false, 61);
	sc->in.n_leaving = 1;
	is(live(sc, 30), REASON_SETTLING, false, 42);
	is(live(sc, 42), REASON_STOCK_OUT, true, NEVER);
}

static void leaving_helps_only_where_room_lacks(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	leaving(sc, 30);
	struct pod *p = pod(sc, 0, NULL);
	is(look(sc, 1), REASON_RELEASING, false, 61);
	*p = (struct pod){0};
	sc->in.n_pods = 0;
	pod(sc, 0, "0/11 nodes are available: 1 node(s) had volume node affinity conflict, " OTHERS "." HELPLESS);
	is(look(sc, 4), REASON_CONFIG, false, NEVER);
}

static void a_new_node_comes_up(void **state)
{
	struct scene *sc = *state;
	/* An old node is full, a new one has registered. */
	node(sc, "a", 8);
	pod(sc, -20, NO_ROOM);
	struct node *b = young_node(sc, "b", 0);
	b->ready = TRI_FALSE;
	devices(sc, b, 0, 0);
	struct classify_output o = live(sc, 2);
	is(o, REASON_PROVISIONING, false, 600);
	says(o, "of its 2 nodes 1 is coming up");
	assert_int_equal(o.on_the_way, 1);
	/* The kubelet is Ready, the device plugin is not. */
	b->ready = TRI_TRUE;
	b->ready_since = at(30);
	is(live(sc, 31), REASON_PROVISIONING, false, 600);
	devices(sc, b, 8, 0);
	is(live(sc, 60), REASON_PROVISIONING, false, 600);
	/* It is complete: the scheduler's word about it is still to come. */
	devices(sc, b, 8, 8);
	is(live(sc, 90.2), REASON_SETTLING, false, 103);
	is(live(sc, 103), REASON_STOCK_OUT, true, NEVER);
}

static void a_new_node_that_stays_away(void **state)
{
	struct scene *sc = *state;
	pod(sc, -20, NO_ROOM);
	struct node *b = young_node(sc, "b", 0);
	b->ready = TRI_UNKNOWN;
	is(live(sc, 599), REASON_PROVISIONING, false, 600);
	struct classify_output o = live(sc, 600);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "no room on its node (Insufficient nvidia.com/gpu)");
	/* Where something else may bring the next one, only the window ends the wait. */
	sc->in.provides_nodes = true;
	is(look(sc, 599), REASON_PROVISIONING, false, NEVER);
}

static void taints_of_a_start(void **state)
{
	struct scene *sc = *state;
	static const char *const keys[] = {
		"node.kubernetes.io/not-ready",
		"karpenter.sh/unregistered",
		"node.cloudprovider.kubernetes.io/uninitialized",
		"node.cilium.io/agent-not-ready",
		"startup-taint.cluster-autoscaler.kubernetes.io/gpu",
	};
	struct node *b = young_node(sc, "b", 0);
	pod(sc, 0, TAINTED_136);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		taint(sc, b, keys[i]);
		is(look(sc, 30), REASON_PROVISIONING, false, 600);
		assert_int_equal(look(sc, 30).on_the_way, 1);
	}
	taint(sc, b, "ToBeDeletedByClusterAutoscaler");
	struct classify_output o = look(sc, 30);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "its node is being removed");
	/* A preference is no hindrance. */
	sc->taints[0] = (struct node_taint){.key = "node.kubernetes.io/not-ready", .effect = "PreferNoSchedule"};
	assert_int_not_equal(look(sc, 30).reason, REASON_PROVISIONING);
}

static void how_many_are_on_the_way(void **state)
{
	struct scene *sc = *state;
	sc->in.waiting = 6;
	pod(sc, 0, NO_ROOM);
	/* Two whole nodes of 8 and one that does not say yet, for instances of 4. */
	sc->asked.value = 4;
	young_node(sc, "a", 0)->ready = TRI_FALSE;
	devices(sc, young_node(sc, "b", 0), 8, 0);
	devices(sc, young_node(sc, "c", 0), 0, 0);
	assert_int_equal(look(sc, 10).on_the_way, 5);
	sc->in.waiting = 3;
	assert_int_equal(look(sc, 10).on_the_way, 3);
	/* For instances of 16 only the one that does not say counts. */
	sc->asked.value = 16;
	assert_int_equal(look(sc, 10).on_the_way, 1);
	sc->in.n_nodes = 2;
	struct classify_output o = look(sc, 10);
	assert_int_equal(o.on_the_way, 0);
	says(o, "asks for 16 nvidia.com/gpu, its largest node has 8");
	/* An instance without devices: a node is a node. */
	sc->in.n_resources = 0;
	assert_int_equal(look(sc, 10).on_the_way, 1);
	/* A refusal for the pod's own sake: no node will help. */
	sc->pods[0].scheduled_message =
		"0/11 nodes are available: pod has unbound immediate PersistentVolumeClaims." HELPLESS;
	o = look(sc, 10);
	is(o, REASON_CONFIG, false, NEVER);
	assert_int_equal(o.on_the_way, 0);
}

static void the_device_plugin_restarts(void **state)
{
	struct scene *sc = *state;
	struct node *a = node(sc, "a", 8);
	devices(sc, a, 8, 0);
	pod(sc, 0, NO_ROOM);
	sc->in.last_reason = REASON_PENDING;
	struct classify_output o = live(sc, 4.3);
	is(o, REASON_RELEASING, false, 95);
	says(o, "its node has no devices");
	is(live(sc, 60), REASON_RELEASING, false, 95);
	/* It comes back ... */
	devices(sc, a, 8, 8);
	is(look(sc, 70), REASON_SETTLING, false, 82);
	/* ... or does not. */
	devices(sc, a, 8, 0);
	is(live(sc, 95), REASON_STOCK_OUT, true, NEVER);
	is(live(sc, 96), REASON_STOCK_OUT, true, NEVER);
}

static void what_shows_that_a_node_had_devices(void **state)
{
	struct scene *sc = *state;
	struct node *a = node(sc, "a", 0);
	pod(sc, 0, NO_ROOM);
	/* A kubelet that starts again knows the resource and has none. */
	is(look(sc, 4), REASON_RELEASING, false, 94);
	/* Nothing at all is known: no device plugin has ever run. */
	a->n_capacity = a->n_allocatable = 0;
	struct classify_output o = look(sc, 4);
	is(o, REASON_CONFIG, false, NEVER);
	says(o, "asks for 8 nvidia.com/gpu, its nodes have none");
	/* The labels of GPU feature discovery. */
	struct jkv label = {"nvidia.com/gpu.count", "8"};
	a->labels = &label;
	a->n_labels = 1;
	is(look(sc, 4), REASON_RELEASING, false, 94);
	label = (struct jkv){"nvidia.com/gpu.present", "true"};
	is(look(sc, 4), REASON_RELEASING, false, 94);
	label = (struct jkv){"nvidia.com/gpu.count", "0"};
	is(look(sc, 4), REASON_CONFIG, false, NEVER);
	label = (struct jkv){"nvidia.com/gp", "8"};
	is(look(sc, 4), REASON_CONFIG, false, NEVER);
}

static void an_old_node_was_rebooted(void **state)
{
	struct scene *sc = *state;
	struct node *a = node(sc, "a", 8);
	devices(sc, a, 8, 0);
	a->ready_since = at(0);
	pod(sc, -HOUR, NO_ROOM);
	/* The moment at which it turned Ready is known, so nothing need be remembered. */
	sc->in.last_reason = REASON_STOCK_OUT;
	is(look(sc, 10), REASON_RELEASING, false, 91);
	is(look(sc, 90), REASON_RELEASING, false, 91);
	is(look(sc, 91), REASON_STOCK_OUT, true, NEVER);
}

static void a_cordon(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	struct node *b = node(sc, "b", 8);
	b->unschedulable = true;
	pod(sc, 0, CORDONED);
	sc->in.last_reason = REASON_PENDING;
	struct classify_output o = live(sc, 4);
	is(o, REASON_RELEASING, false, 94);
	says(o, "of its 2 nodes 1 is cordoned");
	sc->pods[0].scheduled_message = NO_ROOM;
	is(live(sc, 50), REASON_RELEASING, false, 94);
	o = live(sc, 94);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "no room on its 2 nodes (Insufficient nvidia.com/gpu): 1 is cordoned");
	/* Once judged, the cordon is no news, even where the pool is tried again. */
	is(live(sc, 5 * MINUTE), REASON_STOCK_OUT, true, NEVER);

	/* A node that an autoscaler takes away does not come back. */
	sc->in.last_reason = REASON_PENDING;
	taint(sc, b, "karpenter.sh/disrupted");
	o = look(sc, 94);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "no room on its 2 nodes (Insufficient nvidia.com/gpu): 1 is being removed");
	/* Nor does one that has never had a device. */
	b->n_taints = b->n_capacity = b->n_allocatable = 0;
	is(look(sc, 94), REASON_STOCK_OUT, true, NEVER);
}

static void a_cordon_known_by_its_taint(void **state)
{
	struct scene *sc = *state;
	taint(sc, node(sc, "a", 8), "node.kubernetes.io/unschedulable");
	pod(sc, 0, CORDONED);
	is(live(sc, 4), REASON_RELEASING, false, 94);
	struct classify_output o = live(sc, 94);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "its node is cordoned");
}

static void a_remembered_deadline_is_bounded(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8)->unschedulable = true;
	pod(sc, 0, CORDONED);
	sc->in.last_reason = REASON_RELEASING;
	sc->in.last_deadline = at(1000 * HOUR);
	is(live(sc, 4), REASON_RELEASING, false, 94);
	is(live(sc, 5), REASON_RELEASING, false, 94);
	sc->in.last_reason = REASON_SETTLING;
	sc->in.last_deadline = at(1000 * HOUR);
	sc->nodes[0].unschedulable = false;
	is(live(sc, 6), REASON_SETTLING, false, 18);
	is(live(sc, 7), REASON_SETTLING, false, 18);
	/* Lost with a restored status: the settling is over, and the reason is not made up. */
	sc->in.last_deadline = (struct wall){0};
	sc->pods[0].scheduled_message = NO_ROOM;
	is(look(sc, 8), REASON_STOCK_OUT, true, NEVER);
}

static void a_node_has_just_turned_ready(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8)->ready_since = at(0);
	pod(sc, -HOUR, NO_ROOM);
	is(live(sc, 1), REASON_SETTLING, false, 13);
	is(live(sc, 12.9), REASON_SETTLING, false, 13);
	is(live(sc, 13), REASON_STOCK_OUT, true, NEVER);
	/* Also when the words are from before it was there. */
	sc->pods[0].scheduled_message = NO_MATCH;
	is(look(sc, 1), REASON_SETTLING, false, 13);
}

static uint32_t rolled;

static uint32_t roll(uint32_t n)
{
	rolled = rolled * 1103515245u + 12345u;
	return (rolled >> 16) % n;
}

static void random_scene(struct scene *sc)
{
	static const char *const texts[] = {NO_ROOM,     NO_ROOM,  NO_ROOM, NO_MATCH, TAINTED_129,
	                                    TAINTED_136, CORDONED, NULL,    "?"};
	static const char *const taints[] = {"team", "karpenter.sh/disrupted", "node.kubernetes.io/not-ready"};
	static const char *const names[] = {"a", "b", "c"};
	static const enum pool_reason lasts[] = {REASON_NONE,     REASON_PENDING,   REASON_RELEASING,
	                                         REASON_SETTLING, REASON_STOCK_OUT, REASON_PROVISIONING};
	sc->in.waiting = 4;
	for (uint32_t n = roll(4) + 1; n > 0; n--) {
		const char *text = texts[roll(ARRAY_LEN(texts))];
		struct pod *p = pod(sc, -(double)roll(30), text);
		if (text && roll(6) == 0)
			p->nominated_node_name = "a";
	}
	for (uint32_t i = 0, n = roll(4); i < n; i++) {
		struct node *nd = roll(3) ? node(sc, names[i], 8) : young_node(sc, names[i], -(double)roll(700));
		nd->unschedulable = roll(4) == 0;
		nd->ready = roll(4) ? TRI_TRUE : TRI_FALSE;
		if (roll(3) == 0)
			nd->ready_since = at(-(double)roll(20));
		if (roll(4) == 0)
			devices(sc, nd, 8, 0);
		if (roll(4) == 0)
			taint(sc, nd, taints[roll(ARRAY_LEN(taints))]);
	}
	for (uint32_t n = roll(3); n > 0; n--)
		leaving(sc, (double)roll(100) - 60);
	sc->in.provides_nodes = roll(4) == 0;
	sc->in.older_bound = roll(5) == 0;
	sc->in.last_reason = lasts[roll(ARRAY_LEN(lasts))];
	if (roll(2))
		sc->in.last_deadline = at((double)roll(60) - 20);
}

/* Whoever looks again at each deadline, and only then, misses nothing and comes to an end. It is definite
 * wherever the scheduler says of all pods that there is no room, nobody brings nodes and no older instance is
 * in the way. */
static void each_deadline_is_kept(void **state)
{
	for (uint32_t seed = 1; seed <= 3000; seed++) {
		start_again(state);
		struct scene *sc = *state;
		rolled = seed;
		random_scene(sc);
		bool nominated = false, no_room = true;
		for (size_t i = 0; i < sc->in.n_pods; i++) {
			nominated = nominated || sc->pods[i].nominated_node_name;
			no_room = no_room && str_eq(sc->pods[i].scheduled_message, NO_ROOM);
		}

		double now = 0.3;
		struct classify_output o = live(sc, now);
		for (int looks = 1; wall_is_set(o.deadline); looks++) {
			double due = (double)(o.deadline.ms - T0_MS) / 1000;
			struct classify_output before = look(sc, due - 0.001);
			/* Waiting for a verdict hides what else there is; a late preemption is news while settling. */
			if (o.reason != REASON_PENDING && !nominated)
				assert_int_equal(before.reason, o.reason);
			now = due;
			o = live(sc, now);
			assert_true(looks < 8);
		}
		if (no_room && !sc->in.provides_nodes && !sc->in.older_bound)
			assert_true(o.explicit_evidence);
		/* And so it stays. */
		if (o.explicit_evidence)
			is(live(sc, now + HOUR), o.reason, true, NEVER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(preemption),
		STORY(the_predecessor_still_holds_its_gpus),
		STORY(room_on_a_node_that_goes_too_is_none),
		STORY(a_young_node_that_is_not_heard_of_is_not_coming),
		STORY(room_was_made),
		STORY(an_instance_is_gone_all_at_once),
		STORY(one_hangs_and_another_makes_room),
		STORY(leaving_helps_only_where_room_lacks),
		STORY(a_new_node_comes_up),
		STORY(a_new_node_that_stays_away),
		STORY(taints_of_a_start),
		STORY(how_many_are_on_the_way),
		STORY(the_device_plugin_restarts),
		STORY(what_shows_that_a_node_had_devices),
		STORY(an_old_node_was_rebooted),
		STORY(a_cordon),
		STORY(a_cordon_known_by_its_taint),
		STORY(a_remembered_deadline_is_bounded),
		STORY(a_node_has_just_turned_ready),
		STORY(each_deadline_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
