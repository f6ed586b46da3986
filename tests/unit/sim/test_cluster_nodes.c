/* Nodes: their lives, and what provides them. */
#include "cluster_scene.h"

#include "plan/hint.h"
#include "plan/nodestate.h"

static const struct cluster_type types[] = {
	{.name = "p5", .gpus = 8, .nodes = 1, .stock = 2, .boot_ms = 90000, .load_ms = 30000},
	{.name = "g6", .gpus = 4, .nodes = 1, .stock = 1, .boot_ms = 60000, .load_ms = 20000},
};

static const struct jqty one_gpu = {.key = "nvidia.com/gpu", .value = 4};
static const struct nodestate_asked asked = {&one_gpu, 1};

static struct scene *begin(void **state, enum cluster_nodes nodes, uint64_t seed)
{
	struct scene *s = xcalloc(1, sizeof(*s));

	scene_begin(s, seed, nodes, types, ARRAY_LEN(types));
	*state = s;
	return s;
}

static int end(void **state)
{
	if (*state)
		scene_end(*state);
	free(*state);
	*state = NULL;
	return 0;
}

static enum nodestate state_of(const struct scene *s, const char *name)
{
	struct node *n = scene_node(s, name);
	enum nodestate state = nodestate_of(n, asked, timeline_wall(s->timeline));

	view_free(n);
	return state;
}

/* Of a Ready instance on it. */
static bool is_lost(const struct scene *s, const char *name)
{
	struct node *n = scene_node(s, name);
	struct wall now = timeline_wall(s->timeline);
	bool lost = nodestate_loses(n, wall_add(now, -120 * MS_PER_S), now);

	view_free(n);
	return lost;
}

static void test_at_start(void **state)
{
	struct scene *s = begin(state, CLUSTER_FIXED, 1);
	struct node *n = scene_node(s, "p5-0");

	assert_int_equal(state_of(s, "p5-0"), NODESTATE_USABLE);
	assert_int_equal(node_allocatable(n, "nvidia.com/gpu"), 8);
	assert_true(timeline_wall(s->timeline).ms - n->meta.created.ms >= 600 * MS_PER_S);
	view_free(n);
	cluster_lose_devices(s->cluster, 0, 0, 20 * MS_PER_S);
	assert_int_equal(state_of(s, "p5-0"), NODESTATE_EMPTIED);
	assert_int_equal(cluster_room(s->cluster, 0, 4), 0);
	cluster_cordon_node(s->cluster, 1, 0, 20 * MS_PER_S);
	assert_int_equal(state_of(s, "g6-0"), NODESTATE_CORDONED);
	scene_run(s, 21 * MS_PER_S);
	assert_int_equal(state_of(s, "p5-0"), NODESTATE_USABLE);
	assert_int_equal(state_of(s, "g6-0"), NODESTATE_USABLE);
}

/* Not Ready, then Ready without devices, then usable; an instance binds only then. */
static void test_young(void **state)
{
	struct scene *s = begin(state, CLUSTER_FIXED, 1);
	bool was_ready_and_bare = false;

	cluster_delete_node(s->cluster, 0, 0);
	cluster_add_node(s->cluster, 0);
	scene_deploy(s, "p5", 1);
	assert_int_equal(cluster_room(s->cluster, 0, 4), 2);
	for (int i = 0; state_of(s, "p5-1") != NODESTATE_USABLE; i++) {
		struct node *n = scene_node(s, "p5-1");
		assert_true(i < 70);
		assert_int_equal(state_of(s, "p5-1"), NODESTATE_COMING);
		assert_int_equal(node_allocatable(n, "nvidia.com/gpu"), 0);
		assert_int_equal(scene_count(s).bound, 0);
		was_ready_and_bare = was_ready_and_bare || n->ready == TRI_TRUE;
		view_free(n);
		scene_run(s, MS_PER_S);
	}
	assert_true(was_ready_and_bare);
	scene_run(s, 11 * MS_PER_S);
	assert_int_equal(scene_count(s).bound, 1);
}

/* Unknown after 40 s, evicted 300 s later; nothing is gone before it is heard again. */
static void test_silent(void **state)
{
	struct scene *s = begin(state, CLUSTER_FIXED, 1);

	scene_deploy(s, "p5", 2);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 2);
	cluster_silence_node(s->cluster, 0, 0, 500 * MS_PER_S);
	assert_int_equal(scene_count(s).lost, 2);
	scene_run(s, 34 * MS_PER_S);
	assert_false(is_lost(s, "p5-0"));
	assert_int_equal(scene_count(s).ready, 2);
	scene_run(s, 17 * MS_PER_S);
	struct node *n = scene_node(s, "p5-0");
	assert_int_equal(n->ready, TRI_UNKNOWN);
	view_free(n);
	assert_int_equal(state_of(s, "p5-0"), NODESTATE_NOT_READY);
	assert_int_equal(scene_count(s).ready, 0);
	scene_run(s, 11 * MS_PER_S);
	assert_true(is_lost(s, "p5-0"));
	scene_run(s, 260 * MS_PER_S);
	assert_int_equal(scene_count(s).leaving, 0);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(scene_count(s).leaving, 2);
	assert_int_equal(scene_count(s).pods, 2);
	scene_run(s, 57 * MS_PER_S);
	assert_int_equal(scene_count(s).leaving, 2);
	scene_run(s, 160 * MS_PER_S);
	assert_int_equal(scene_count(s).leaving, 0);
	assert_int_equal(scene_count(s).ready, 2);
	assert_int_equal(state_of(s, "p5-0"), NODESTATE_USABLE);
}

/* Heard again in time: all is as it was. */
static void test_silent_shortly(void **state)
{
	struct scene *s = begin(state, CLUSTER_FIXED, 1);

	scene_deploy(s, "p5", 1);
	scene_run(s, 60 * MS_PER_S);
	CLEANUP_FREE char *name = xstrdup(scene_nth(s, API_POD, 0)->name);
	cluster_silence_node(s->cluster, 0, 0, 100 * MS_PER_S);
	scene_run(s, 99 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 0);
	scene_run(s, 5 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 1);
	assert_int_equal(scene_count(s).lost, 0);
	assert_string_equal(scene_nth(s, API_POD, 0)->name, name);
}

static void test_doomed(void **state)
{
	struct scene *s = begin(state, CLUSTER_FIXED, 1);

	scene_deploy(s, "p5", 1);
	scene_run(s, 60 * MS_PER_S);
	cluster_doom_node(s->cluster, 0, 0, 60 * MS_PER_S);
	assert_int_equal(state_of(s, "p5-0"), NODESTATE_DOOMED);
	assert_int_equal(scene_count(s).lost, 1);
	scene_run(s, 59 * MS_PER_S);
	assert_int_equal(scene_count(s).bound, 1);
	scene_run(s, 2 * MS_PER_S);
	assert_null(api_find(s->api, API_NODE, NULL, "p5-0"));
	assert_true(scene_count(s).lost == scene_count(s).bound);
	scene_run(s, 26 * MS_PER_S);
	assert_int_equal(scene_count(s).bound, 0); /* its pod is garbage */
	assert_int_equal(scene_count(s).pods, 1);
}

/* ---- what provides nodes ---- */

struct search {
	const char *pod_uid;
	enum hint newest;
	struct wall said;
};

static int look_at_event(void *arg, struct api_object *o)
{
	struct search *s = arg;
	struct slice words;
	struct wall said = {0};
	struct err err = ERR_INIT;

	if (!str_eq(json_string_value(json_at(o->doc, "involvedObject", "uid")), s->pod_uid))
		return 0;
	assert_int_equal(json_opt_time(o->doc, "", "lastTimestamp", &said, &err), 0);
	if (said.ms < s->said.ms)
		return 0;
	s->said = said;
	s->newest = hint_parse(json_string_value(json_at(o->doc, "source", "component")),
	                       json_string_value(json_at(o->doc, "reason")),
	                       slice_from(json_string_value(json_at(o->doc, "message"))), &words);
	return 0;
}

/* What was said last about the nth pod. */
static enum hint hint_about(const struct scene *s, size_t nth)
{
	struct search search = {.pod_uid = scene_nth(s, API_POD, nth)->uid};

	api_each(s->api, API_EVENT, look_at_event, &search);
	return search.newest;
}

static void test_provides(void **state, enum cluster_nodes nodes)
{
	struct scene *s = begin(state, nodes, 1);

	assert_int_equal(cluster_room(s->cluster, 0, 4), 4);
	scene_deploy(s, "p5", 4);
	scene_run(s, 25 * MS_PER_S);
	assert_int_equal(scene_count(s).bound, 2);
	assert_int_equal(hint_about(s, 3), HINT_PROVISIONING);
	assert_int_equal(cluster_room(s->cluster, 0, 4), 2);
	scene_run(s, 200 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 4);
	assert_int_equal(cluster_room(s->cluster, 0, 4), 0);
}

static void test_autoscaler_provides(void **state)
{
	test_provides(state, CLUSTER_AUTOSCALER);
}

static void test_karpenter_provides(void **state)
{
	test_provides(state, CLUSTER_KARPENTER);
}

/* Tried in vain, then it says so; of some groups and NodePools it says so in other ways, or not at all. Then there is more. */
static void test_out_of_stock(void **state, enum cluster_nodes nodes)
{
	unsigned stock_outs = 0, promises = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct scene *s = begin(state, nodes, seed);
		bool promised = false, denied = false;

		scene_deploy(s, "g6", 2);
		for (int i = 0; i < 30; i++) {
			scene_run(s, 5 * MS_PER_S);
			enum hint hint = hint_about(s, 1);
			promised = promised || hint == HINT_PROVISIONING;
			denied = denied || hint == HINT_STOCK_OUT;
		}
		assert_int_equal(scene_count(s).bound, 1);
		promises += promised;
		stock_outs += denied;
		cluster_stock(s->cluster, 1, 2);
		scene_run(s, 500 * MS_PER_S);
		assert_int_equal(scene_count(s).ready, 2);
		end(state);
	}
	assert_in_range(promises, 3, 8);
	assert_in_range(stock_outs, 3, 8);
}

static void test_autoscaler_out_of_stock(void **state)
{
	test_out_of_stock(state, CLUSTER_AUTOSCALER);
}

static void test_karpenter_out_of_stock(void **state)
{
	test_out_of_stock(state, CLUSTER_KARPENTER);
}

/* First its taint, then it goes; its place in the stock is free again. */
static void test_idle(void **state)
{
	for (enum cluster_nodes nodes = CLUSTER_AUTOSCALER; nodes <= CLUSTER_KARPENTER; nodes++) {
		struct scene *s = begin(state, nodes, 1);
		bool doomed = false;

		scene_deploy(s, "g6", 1);
		for (int i = 0; i < 150 && api_count(s->api, API_NODE) == 2; i++) {
			doomed = doomed || state_of(s, "p5-0") == NODESTATE_DOOMED;
			scene_run(s, MS_PER_S);
		}
		assert_true(doomed);
		assert_null(api_find(s->api, API_NODE, NULL, "p5-0"));
		assert_int_equal(cluster_room(s->cluster, 0, 4), 4);
		assert_int_equal(scene_count(s).ready, 1);
		end(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_at_start, end),
		cmocka_unit_test_teardown(test_young, end),
		cmocka_unit_test_teardown(test_silent, end),
		cmocka_unit_test_teardown(test_silent_shortly, end),
		cmocka_unit_test_teardown(test_doomed, end),
		cmocka_unit_test_teardown(test_autoscaler_provides, end),
		cmocka_unit_test_teardown(test_karpenter_provides, end),
		cmocka_unit_test_teardown(test_autoscaler_out_of_stock, end),
		cmocka_unit_test_teardown(test_karpenter_out_of_stock, end),
		cmocka_unit_test_teardown(test_idle, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
