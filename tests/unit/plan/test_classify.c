/* What the words and the nodes mean. What comes and goes: test_classify_time.c. */
#include "classify_scene.h"

static void nothing_waits(void **state)
{
	struct scene *sc = *state;
	sc->in.waiting = 0;
	sc->in.failure_message = "exceeded quota";
	is(look(sc, 0), REASON_NONE, false, NEVER);
}

static void asked_and_no_answer_yet(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	is(look(sc, 0), REASON_PENDING, false, NEVER);
	pod(sc, 0, NULL);
	is(look(sc, 0.5), REASON_PENDING, false, NEVER);
	is(look(sc, HOUR), REASON_PENDING, false, NEVER);
}

static void quota_and_admission(void **state)
{
	struct scene *sc = *state;
	static const struct {
		const char *failure;
		enum pool_reason reason;
		const char *message;
	} stories[] = {
		{"pods \"llm-p5-7d9f-x2x9z\" is forbidden: exceeded quota: gpus, requested: "
	     "requests.nvidia.com/gpu=8, "
	     "used: requests.nvidia.com/gpu=16, limited: requests.nvidia.com/gpu=16",
	     REASON_QUOTA,
	     "pods are refused: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8, used: "
	     "requests.nvidia.com/gpu=16, limited: requests.nvidia.com/gpu=16"},
		{"Error creating: pods \"x\" is forbidden: Exceeded Quota: gpus", REASON_QUOTA,
	     "pods are refused: Exceeded Quota: gpus"},
		{"pods \"x\" is forbidden: failed quota: q: must specify limits.memory", REASON_QUOTA,
	     "pods are refused: failed quota: q: must specify limits.memory"},
		{"pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces",
	     REASON_CONFIG, "pods are refused: violates PodSecurity \"restricted:latest\": host namespaces"},
		{"admission webhook \"policy.example.com\" denied the request: no", REASON_CONFIG,
	     "pods are refused: admission webhook \"policy.example.com\" denied the request: no"},
		{"", REASON_CONFIG, "pods are refused: no reason given"},
	};
	sc->in.waiting = 2;
	node(sc, "a", 8);
	pod(sc, -HOUR, NO_ROOM);
	for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
		sc->in.failure_message = stories[i].failure;
		struct classify_output o = look(sc, 0);
		is(o, stories[i].reason, false, NEVER);
		says(o, stories[i].message);
	}
	/* All pods are there: what failed has come to pass. */
	sc->in.waiting = 1;
	is(look(sc, 0), REASON_STOCK_OUT, true, NEVER);
}

static void gates(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	struct pod *p = pod(sc, 0, "Scheduling is blocked due to non-empty scheduling gates");
	p->scheduled_reason = "SchedulingGated";
	is(live(sc, HOUR), REASON_GATED, false, NEVER);

	/* The gate opens: the refusal that follows is an hour old by its time and new in truth. */
	p->scheduled_reason = "Unschedulable";
	p->scheduled_message = NO_ROOM;
	is(live(sc, HOUR + 1.2), REASON_SETTLING, false, HOUR + 5);
	is(live(sc, HOUR + 5), REASON_STOCK_OUT, true, NEVER);

	/* One gated pod says nothing about the others. */
	sc->in.waiting = 2;
	struct pod *gated = pod(sc, 0, "Scheduling is blocked due to non-empty scheduling gates");
	gated->scheduled_reason = "SchedulingGated";
	is(look(sc, HOUR + 6), REASON_STOCK_OUT, true, NEVER);
}

static void our_own_older_instances(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	sc->in.older_bound = 1;
	struct pod *p = pod(sc, 0, NULL);
	is(live(sc, 0.5), REASON_PENDING, false, NEVER);
	sc->in.n_pods = 0;
	p = pod(sc, 0, NO_ROOM);
	struct classify_output o = live(sc, 1);
	is(o, REASON_OWN_FLEET, false, NEVER);
	says(o, "full of this endpoint's older instances");
	is(live(sc, HOUR), REASON_OWN_FLEET, false, NEVER);

	/* One of two is taken away. While the scheduler looks, the other is not to be taken too. */
	leaving(sc, HOUR + 30);
	is(live(sc, HOUR + 1), REASON_RELEASING, false, HOUR + 61);
	sc->in.n_leaving = 0;
	is(live(sc, HOUR + 20), REASON_SETTLING, false, HOUR + 32);
	is(live(sc, HOUR + 32), REASON_OWN_FLEET, false, NEVER);

	/* A cordon elsewhere does not bring the wait back. */
	node(sc, "b", 8)->unschedulable = true;
	is(live(sc, HOUR + 40), REASON_OWN_FLEET, false, NEVER);

	/* What no node could hold is not waited for behind them. */
	sc->asked.value = 16;
	is(look(sc, HOUR + 50), REASON_CONFIG, false, NEVER);
	sc->asked.value = 8;
	p->scheduled_message = NO_MATCH;
	assert_int_not_equal(look(sc, HOUR + 50).reason, REASON_OWN_FLEET);
}

static void one_pod_is_not_yet_judged(void **state)
{
	struct scene *sc = *state;
	sc->in.waiting = 2;
	node(sc, "a", 8);
	pod(sc, 0, NO_ROOM);
	pod(sc, 20, NULL);
	/* Ten seconds for the young one, then the others speak for it. */
	struct classify_output o = look(sc, 20.5);
	is(o, REASON_PENDING, false, 31);
	is(look(sc, 31), REASON_STOCK_OUT, true, NEVER);
	/* The later of the two times. */
	sc->pods[0].scheduled_since = at(29);
	is(look(sc, 30), REASON_PENDING, false, 33);
	is(look(sc, 31), REASON_STOCK_OUT, false, 33);
	/* Nothing that time makes definite. */
	sc->in.provides_nodes = true;
	is(look(sc, 30), REASON_PENDING, false, NEVER);
	/* A wait that is remembered by its name stays. */
	sc->in.last_reason = REASON_RELEASING;
	is(look(sc, 30), REASON_SETTLING, false, 42);
}

static void no_node_of_the_type(void **state)
{
	struct scene *sc = *state;
	pod(sc, 0, NO_MATCH);
	struct classify_output o = look(sc, 0.2);
	is(o, REASON_NO_NODES, false, 4);
	says(o, "no node carries its selector");
	is(look(sc, 3.999), REASON_NO_NODES, false, 4);
	is(look(sc, 4), REASON_NO_NODES, true, NEVER);
	/* A stock-out or a typo: where something brings nodes, nobody can tell. */
	sc->in.provides_nodes = true;
	is(look(sc, HOUR), REASON_NO_NODES, false, NEVER);
	sc->in.provides_nodes = false;

	static const char *const texts[] = {
		"no nodes available to schedule pods",
		/* Taints and cordons are looked at before selectors. */
		"0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
		"2 "
		"node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 "
		"Preemption is "
		"not helpful for scheduling.",
		"0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) had untolerated taint(s).",
		/* Its last node has gone; the scheduler does not look again for that. */
		NO_ROOM,
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		sc->pods[0].scheduled_message = texts[i];
		is(look(sc, 4), REASON_NO_NODES, true, NEVER);
	}
}

static void more_than_any_node_has(void **state)
{
	struct scene *sc = *state;
	sc->asked.value = 16;
	node(sc, "a", 4);
	devices(sc, node(sc, "b", 8), 8, 7);
	pod(sc, 0, "0/12 nodes are available: 2 Insufficient " GPU ", " OTHERS "." HELPLESS);
	struct classify_output o = look(sc, 4);
	is(o, REASON_CONFIG, false, NEVER);
	says(o, "asks for 16 nvidia.com/gpu, its largest node has 8");
	/* A device that is out of order is not the user's mistake. */
	sc->asked.value = 8;
	is(look(sc, 4), REASON_STOCK_OUT, true, NEVER);
	/* A larger node exists, if it could only be reached. */
	sc->asked.value = 16;
	node(sc, "c", 16)->ready = TRI_UNKNOWN;
	o = look(sc, 4);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "no room on its 3 nodes (Insufficient nvidia.com/gpu): 1 is not Ready");
}

static void mistakes_that_no_pool_mends(void **state)
{
	struct scene *sc = *state;
	static const struct {
		const char *text, *message;
	} stories[] = {
		{"0/11 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found" HELPLESS,
	     "the scheduler says: pod has unbound immediate PersistentVolumeClaims"},
		{"0/11 nodes are available: 11 pod has unbound immediate PersistentVolumeClaims. preemption: 0/11 "
	     "nodes "
	     "are available: 11 Preemption is not helpful for scheduling..",
	     "the scheduler says: pod has unbound immediate PersistentVolumeClaims"},
		{"0/11 nodes are available: persistentvolumeclaim \"weights\" not found." HELPLESS,
	     "the scheduler says: persistentvolumeclaim \"weights\" not found"},
	};
	pod(sc, 0, NULL)->scheduled = TRI_FALSE;
	sc->pods[0].scheduled_reason = "Unschedulable";
	for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
		sc->pods[0].scheduled_message = stories[i].text;
		/* Without a node of the pool just so. */
		sc->in.n_nodes = 0;
		is(look(sc, HOUR), REASON_CONFIG, false, NEVER);
		node(sc, "a", 8);
		struct classify_output o = look(sc, HOUR);
		is(o, REASON_CONFIG, false, NEVER);
		says(o, stories[i].message);
	}
}

static void there_is_room_but_not_for_this_pod(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	struct pod *p =
		pod(sc, 0, "0/11 nodes are available: 1 node(s) had volume node affinity conflict, " OTHERS ".");
	struct classify_output o = look(sc, HOUR);
	is(o, REASON_CONFIG, false, NEVER);
	says(o, "the scheduler says: node(s) had volume node affinity conflict");
	p->scheduled_message =
		"0/11 nodes are available: 1 node(s) didn't match pod topology spread constraints, " OTHERS ".";
	o = look(sc, HOUR);
	is(o, REASON_CONFIG, false, NEVER);
	says(o, "the scheduler says: node(s) didn't match pod topology spread constraints");
	/* With a full node beside it, room could help. */
	node(sc, "b", 8);
	p->scheduled_message = "0/12 nodes are available: 1 Insufficient " GPU
						   ", 1 node(s) didn't match pod topology spread constraints, " OTHERS ".";
	is(look(sc, HOUR), REASON_STOCK_OUT, true, NEVER);
	/* The node fits and the template itself says no. */
	p->scheduled_message = NO_MATCH;
	o = look(sc, HOUR);
	is(o, REASON_CONFIG, false, NEVER);
	says(o, "the Model's own affinity or selector rules its nodes out");
}

static void taints_that_stay(void **state)
{
	struct scene *sc = *state;
	static const char *const texts[] = {TAINTED_129, TAINTED_136};
	struct node *b = node(sc, "b", 8), *a = node(sc, "a", 8);
	pod(sc, 0, NULL)->scheduled = TRI_FALSE;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		sc->pods[0].scheduled_message = texts[i];
		taint(sc, a, "team");
		taint(sc, b, "example.com/spot");
		struct classify_output o = look(sc, HOUR);
		is(o, REASON_CONFIG, false, NEVER);
		says(o, "its nodes have a taint that the instances do not tolerate (team)");
		/* A node that is not there does not count. */
		taint(sc, a, "node.kubernetes.io/unreachable");
		o = look(sc, HOUR);
		is(o, REASON_CONFIG, false, NEVER);
		says(o, "its nodes have a taint that the instances do not tolerate (example.com/spot)");
	}
}

static void all_nodes_are_lost(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8)->ready = TRI_UNKNOWN;
	taint(sc, node(sc, "b", 8), "node.kubernetes.io/not-ready");
	pod(sc, 0, TAINTED_136);
	struct classify_output o = look(sc, 1);
	is(o, REASON_STOCK_OUT, false, 4);
	o = look(sc, 4);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "of its 2 nodes 2 are not Ready");
}

static void stock_out(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	pod(sc, 10, NO_ROOM);
	struct classify_output o = look(sc, 10.1);
	is(o, REASON_STOCK_OUT, false, 14);
	says(o, "no room on its node (Insufficient nvidia.com/gpu)");
	is(look(sc, 14), REASON_STOCK_OUT, true, NEVER);
	/* The oldest verdict counts: a pod more does not start the wait again. */
	sc->in.waiting = 2;
	pod(sc, 13, NO_ROOM);
	is(look(sc, 14), REASON_STOCK_OUT, true, NEVER);
	/* An autoscaler has not spoken. */
	sc->in.provides_nodes = true;
	is(look(sc, HOUR), REASON_STOCK_OUT, false, NEVER);
	sc->in.provides_nodes = false;

	node(sc, "b", 8)->ready = TRI_FALSE;
	node(sc, "c", 8)->unschedulable = true;
	node(sc, "d", 8)->unschedulable = true;
	sc->in.last_reason = REASON_STOCK_OUT;
	says(look(sc, 14),
	     "no room on its 4 nodes (Insufficient nvidia.com/gpu): 2 are cordoned, 1 is not Ready");
	sc->pods[1].scheduled_message = "0/11 nodes are available: 1 Too many pods, " OTHERS ".";
	sc->in.n_nodes = 1;
	says(look(sc, 14), "no room on its node (Too many pods)");
}

static void the_newest_words_count(void **state)
{
	struct scene *sc = *state;
	sc->in.waiting = 3;
	node(sc, "a", 8);
	/* Refused before the pool had a node, and after. */
	pod(sc, 0, NO_MATCH);
	pod(sc, 5, NO_ROOM);
	pod(sc, 9, "etcdserver: request timed out")->scheduled_reason = "SchedulerError";
	is(look(sc, 10), REASON_STOCK_OUT, true, NEVER);
	/* Of the same second the younger, then the greater name. */
	sc->pods[0].scheduled_since = at(5);
	is(look(sc, 10), REASON_STOCK_OUT, true, NEVER);
	sc->pods[1].meta.created = at(0);
	is(look(sc, 10), REASON_STOCK_OUT, true, NEVER);
	/* Where the condition has no time, the pod's has to do. */
	sc->pods[1].scheduled_since = sc->pods[0].scheduled_since = (struct wall){0};
	is(look(sc, 3), REASON_STOCK_OUT, false, 4);
}

static void what_nobody_understands(void **state)
{
	struct scene *sc = *state;
	node(sc, "a", 8);
	struct pod *p = pod(sc, 0, "running \"X\" filter plugin: it broke");
	p->scheduled_reason = "SchedulerError";
	struct classify_output o = look(sc, HOUR);
	is(o, REASON_UNKNOWN, false, NEVER);
	says(o, "the scheduler says: running \"X\" filter plugin: it broke");
	/* Not even when the words look like a verdict. */
	p->scheduled_message = NO_ROOM;
	is(look(sc, HOUR), REASON_UNKNOWN, false, NEVER);

	p->scheduled_reason = "Unschedulable";
	p->scheduled_message = NULL;
	o = look(sc, HOUR);
	is(o, REASON_UNKNOWN, false, NEVER);
	says(o, "the scheduler gives no reason");

	p->scheduled_message = "0/11 nodes are available: 1 node(s) had unknown conditions, " OTHERS "." HELPLESS;
	o = look(sc, HOUR);
	is(o, REASON_UNKNOWN, false, NEVER);
	says(o, "the scheduler says: node(s) had unknown conditions");
	/* Devices in use, or a selector that none meets: the words are the same. */
	p->scheduled_message =
		"0/11 nodes are available: 1 cannot allocate all claims, " OTHERS ". still not schedulable.";
	o = look(sc, HOUR);
	is(o, REASON_UNKNOWN, false, NEVER);
	says(o, "the scheduler says: cannot allocate all claims");

	char text[1000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	p->scheduled_message = text;
	assert_in_range(strlen(look(sc, HOUR).message), 200, 300);
}

/* What the scheduler says has to do. */
static void nodes_that_nobody_may_look_at(void **state)
{
	struct scene *sc = *state;
	sc->in.nodes_unknown = true;
	struct pod *p = pod(sc, -1, NO_ROOM);
	is(look(sc, 0), REASON_STOCK_OUT, false, 3);
	is(look(sc, 3), REASON_STOCK_OUT, true, NEVER);
	says(look(sc, 3), "the scheduler says: Insufficient " GPU);
	/* Its own that still end there. */
	leaving(sc, 20);
	is(look(sc, 3), REASON_RELEASING, false, 51);
	sc->in.n_leaving = 0;
	sc->in.older_bound = 1;
	is(look(sc, 3), REASON_OWN_FLEET, false, NEVER);
	sc->in.older_bound = 0;
	/* One has just gone. */
	sc->in.freed = at(2);
	is(look(sc, 3), REASON_SETTLING, false, 15);
	sc->in.freed = (struct wall){0};
	/* Another type, or a taint: the words do not tell. */
	p->scheduled_message = NO_MATCH;
	is(look(sc, 3), REASON_NO_NODES, true, NEVER);
	p->scheduled_message = TAINTED_136;
	is(look(sc, 3), REASON_NO_NODES, true, NEVER);
	says(look(sc, 3), "the scheduler says: node(s) had untolerated taint(s), node(s) didn't match Pod's node "
	                  "affinity/selector");
	p->scheduled_message = CORDONED;
	is(look(sc, 3), REASON_NO_NODES, true, NEVER);
	/* What no node mends. */
	p->scheduled_message = "0/11 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
	is(look(sc, 3), REASON_CONFIG, false, NEVER);
	/* Where something adds nodes the window decides. */
	sc->in.provides_nodes = true;
	p->scheduled_message = NO_ROOM;
	is(look(sc, HOUR), REASON_STOCK_OUT, false, NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(nothing_waits),
		STORY(asked_and_no_answer_yet),
		STORY(quota_and_admission),
		STORY(gates),
		STORY(our_own_older_instances),
		STORY(one_pod_is_not_yet_judged),
		STORY(no_node_of_the_type),
		STORY(more_than_any_node_has),
		STORY(mistakes_that_no_pool_mends),
		STORY(there_is_room_but_not_for_this_pod),
		STORY(taints_that_stay),
		STORY(all_nodes_are_lost),
		STORY(stock_out),
		STORY(the_newest_words_count),
		STORY(what_nobody_understands),
		STORY(nodes_that_nobody_may_look_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
