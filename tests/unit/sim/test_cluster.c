/* Deployments, the scheduler, pods' lives, and what is the same each time. */
#include "cluster_scene.h"

#include "base/hash.h"

static const struct cluster_type types[] = {
	{.name = "p5", .gpus = 8, .nodes = 1, .stock = 1, .boot_ms = 90000, .load_ms = 30000},
	{.name = "g6", .gpus = 4, .nodes = 2, .stock = 2, .boot_ms = 60000, .load_ms = 20000},
};

static int setup(void **state)
{
	struct scene *s = xcalloc(1, sizeof(*s));

	scene_begin(s, 1, CLUSTER_FIXED, types, ARRAY_LEN(types));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	scene_end(*state);
	free(*state);
	return 0;
}

/* ---- pods as the operator reads them ---- */

static void test_starts(void **state)
{
	struct scene *s = *state;

	scene_deploy(s, "p5", 1);
	scene_run(s, 60 * MS_PER_S);
	struct pod *p = scene_pod(scene_nth(s, API_POD, 0));
	assert_string_equal(p->endpoint, "a");
	assert_string_equal(p->node_name, "p5-0");
	assert_string_equal(p->phase, "Running");
	assert_non_null(p->meta.owner_uid);
	assert_true(p->protected);
	assert_true(p->ready);
	assert_int_equal(p->scheduled, TRI_TRUE);
	assert_int_equal(p->initialized, TRI_TRUE);
	assert_int_equal(p->trouble, POD_FINE);
	assert_int_equal(p->ready_since.ms % MS_PER_S, 0);
	int64_t load_ms = p->ready_since.ms - p->scheduled_since.ms;
	assert_in_range(load_ms, 14 * MS_PER_S, 47 * MS_PER_S);
	view_free(p);
}

static void test_failing_starts(void **state)
{
	static const struct {
		enum cluster_failure failure;
		enum pod_trouble trouble;
	} cases[] = {
		{CLUSTER_UNREADY, POD_FINE},
		{CLUSTER_CRASH, POD_CRASH},
		{CLUSTER_IMAGE, POD_IMAGE_PULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene *s = *state;
		cluster_fail_starts(s->cluster, 0, cases[i].failure, INT64_MAX);
		struct api_object *d = scene_deploy(s, "p5", 1);
		scene_run(s, 120 * MS_PER_S);
		struct pod *p = scene_pod(scene_nth(s, API_POD, 0));
		assert_int_equal(p->trouble, cases[i].trouble);
		assert_false(p->ready);
		assert_int_equal(scene_count(s).failed, 1);
		view_free(p);

		cluster_heal(s->cluster);
		scene_run(s, 60 * MS_PER_S);
		p = scene_pod(scene_nth(s, API_POD, 0));
		assert_true(p->ready);
		assert_int_equal(p->trouble, POD_FINE);
		assert_int_equal(scene_count(s).failed, 0);
		view_free(p);
		api_remove(s->api, d);
		scene_run(s, 60 * MS_PER_S);
		assert_int_equal(api_count(s->api, API_POD), 0);
	}
}

/* ---- victims ---- */

struct ends {
	unsigned n, ready;
};

static void on_end(void *arg, const char *endpoint, const char *pool, const char *revision, int64_t ready_ms)
{
	struct ends *e = arg;

	assert_string_equal(endpoint, "a");
	assert_string_equal(pool, "g6");
	assert_string_equal(revision, "r1");
	e->n++;
	e->ready += ready_ms >= 0;
}

static bool is_leaving(const struct scene *s, const char *name)
{
	const struct api_object *o = api_find(s->api, API_POD, "default", name);

	return !o || json_at(o->doc, "metadata", "deletionTimestamp");
}

static void set_cost(struct scene *s, struct api_object *pod, const char *cost)
{
	json_put_str(json_child(json_child(pod->doc, "metadata"), "annotations"), ANNOTATION_DELETION_COST, cost);
	api_update(s->api, pod);
}

/* Unassigned, then not Ready, then by cost, then the younger. */
static void test_victims(void **state)
{
	struct scene *s = *state;
	struct ends ends = {0};
	char oldest[128], cheap[128], unready[128];

	cluster_on_end(s->cluster, on_end, &ends);
	cluster_add_node(s->cluster, 1);
	struct api_object *d = scene_deploy(s, "g6", 2);
	scene_run(s, 100 * MS_PER_S);
	str_copy(oldest, sizeof(oldest), scene_nth(s, API_POD, 0)->name);
	str_copy(cheap, sizeof(cheap), scene_nth(s, API_POD, 1)->name);
	cluster_fail_starts(s->cluster, 1, CLUSTER_UNREADY, INT64_MAX);
	scene_scale(s, d, 3);
	scene_run(s, 60 * MS_PER_S);
	str_copy(unready, sizeof(unready), scene_nth(s, API_POD, 2)->name);
	set_cost(s, scene_nth(s, API_POD, 1), "-5");
	scene_scale(s, d, 4);
	scene_run(s, 10 * MS_PER_S);
	assert_int_equal(scene_count(s).pods, 4);
	assert_int_equal(scene_count(s).bound, 3);
	assert_int_equal(scene_count(s).ready, 2);

	scene_scale(s, d, 3);
	scene_run(s, 10 * MS_PER_S);
	assert_int_equal(api_count(s->api, API_POD), 3); /* at once */
	assert_int_equal(scene_count(s).bound, 3);
	scene_scale(s, d, 2);
	scene_run(s, 6 * MS_PER_S);
	assert_true(is_leaving(s, unready));
	assert_int_equal(ends.ready, 0);
	scene_scale(s, d, 1);
	scene_run(s, 6 * MS_PER_S);
	assert_true(is_leaving(s, cheap));
	assert_false(is_leaving(s, oldest));
	assert_int_equal(ends.n, 3);
	assert_int_equal(ends.ready, 1);
}

/* Ready for a shorter time goes first, if the order of magnitude differs. */
static void test_victims_young(void **state)
{
	struct scene *s = *state;
	char young[128];

	struct api_object *d = scene_deploy(s, "g6", 1);
	scene_run(s, 500 * MS_PER_S);
	scene_scale(s, d, 2);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 2);
	str_copy(young, sizeof(young), scene_nth(s, API_POD, 1)->name);
	scene_scale(s, d, 1);
	scene_run(s, 6 * MS_PER_S);
	assert_true(is_leaving(s, young));
	assert_false(is_leaving(s, scene_nth(s, API_POD, 0)->name));
}

/* The GPUs of what ends are taken until it is gone, and what ends has its grace period. */
static void test_gpus_held(void **state)
{
	struct scene *s = *state;
	scene_deploy(s, "p5", 2);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(cluster_room(s->cluster, 0, 4), 0);
	assert_true(cluster_end_instance(s->cluster, "a", 0));
	int64_t began_ms = timeline_ms(s->timeline);
	scene_run(s, 5500);
	struct cluster_count n = scene_count(s);
	assert_int_equal(n.leaving, 1);
	assert_int_equal(n.pods, 2); /* it is replaced */
	assert_int_equal(n.bound, 1);
	struct pod *p = scene_pod(scene_nth(s, API_POD, 2));
	assert_non_null(strstr(p->scheduled_message, "Insufficient nvidia.com/gpu"));
	view_free(p);
	while (scene_count(s).leaving > 0) {
		assert_int_equal(scene_count(s).bound, 1);
		scene_run(s, 100);
	}
	assert_in_range(timeline_ms(s->timeline) - began_ms, 6000, 30100);
	scene_run(s, 11 * MS_PER_S); /* its back-off */
	assert_int_equal(scene_count(s).bound, 2);
}

/* ---- words ---- */

static void assert_refused(struct scene *s, const char *text)
{
	scene_run(s, 20 * MS_PER_S);
	struct pod *p = scene_pod(scene_nth(s, API_POD, api_count(s->api, API_POD) - 1));
	assert_null(p->node_name);
	assert_int_equal(p->scheduled, TRI_FALSE);
	assert_string_equal(p->scheduled_reason, "Unschedulable");
	assert_string_equal(p->scheduled_message, text);
	view_free(p);
}

/* The first is that of tests/corpus/pod-pending-stockout.json. */
static void test_words(void **state)
{
	struct scene *s = *state;

	scene_deploy(s, "p5", 3);
	assert_refused(
		s, "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node "
		   "affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 1 No "
		   "preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.");
	struct pod *p = scene_pod(scene_nth(s, API_POD, 2));
	struct wall since = p->scheduled_since;
	view_free(p);

	cluster_cordon_node(s->cluster, 0, 0, INT64_C(1000000));
	cluster_doom_node(s->cluster, 1, 0, INT64_C(1000000));
	assert_refused(
		s, "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had "
		   "untolerated taint(s), 1 node(s) were unschedulable. no new claims to deallocate, preemption: "
		   "0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
	p = scene_pod(scene_nth(s, API_POD, 2));
	assert_int_equal(p->scheduled_since.ms, since.ms); /* it does not move with the text */
	view_free(p);
}

static void test_no_nodes(void **state)
{
	struct scene *s = *state;

	cluster_delete_node(s->cluster, 0, 0);
	cluster_delete_node(s->cluster, 1, 0);
	cluster_delete_node(s->cluster, 1, 0);
	assert_false(cluster_delete_node(s->cluster, 1, 0));
	scene_deploy(s, "p5", 1);
	assert_refused(s, "no nodes available to schedule pods");
}

static void test_quota(void **state)
{
	struct scene *s = *state;
	struct err err = ERR_INIT;

	cluster_quota(s->cluster, 1);
	struct api_object *d = scene_deploy(s, "p5", 2);
	scene_run(s, 10 * MS_PER_S);
	assert_int_equal(api_count(s->api, API_POD), 1);
	CLEANUP_FREE char *text = json_compact(d->doc);
	struct deployment *v = deployment_decode(slice_from(text), &err);
	assert_non_null(strstr(v->failure_message,
	                       "-\" is forbidden: exceeded quota: pods, requested: pods=1, used: "
	                       "pods=1, limited: pods=1"));
	view_free(v);

	cluster_heal(s->cluster);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(api_count(s->api, API_POD), 2);
	CLEANUP_FREE char *after = json_compact(d->doc);
	v = deployment_decode(slice_from(after), &err);
	assert_null(v->failure_message);
	view_free(v);
}

/* ---- the rest ---- */

static void test_pause(void **state)
{
	struct scene *s = *state;
	struct api_object *d = scene_deploy(s, "p5", 1);

	scene_run(s, 5100);
	cluster_pause(s->cluster, timeline_ms(s->timeline) + 100 * MS_PER_S);
	scene_scale(s, d, 2);
	scene_run(s, 99 * MS_PER_S);
	assert_int_equal(scene_count(s).pods, 1);
	assert_int_equal(scene_count(s).ready, 0);
	cluster_heal(s->cluster);
	scene_run(s, 60 * MS_PER_S);
	assert_int_equal(scene_count(s).ready, 2);
}

/* What an endpoint owned goes with it, and what comes after it. */
static void test_garbage(void **state)
{
	struct scene *s = *state;
	struct api_object *e =
		api_create(s->api, API_ENDPOINT, quoted_json("{'metadata':{'name':'a','namespace':'default'}}"));

	for (int i = 0; i < 2; i++) {
		CLEANUP_FREE char *text =
			xasprintf("{'metadata':{'name':'s%d','namespace':'default','ownerReferences':[{'uid':'%s',"
		              "'controller':true}]}}",
		              i, i == 0 ? e->uid : "long-gone");
		api_create(s->api, API_SERVICE, quoted_json(text));
	}
	scene_run(s, 10 * MS_PER_S);
	assert_non_null(api_find(s->api, API_SERVICE, "default", "s0"));
	assert_null(api_find(s->api, API_SERVICE, "default", "s1"));
	api_remove(s->api, e);
	assert_non_null(api_find(s->api, API_SERVICE, "default", "s0"));
	scene_run(s, 10 * MS_PER_S);
	assert_null(api_find(s->api, API_SERVICE, "default", "s0"));
}

static void test_stranger(void **state)
{
	struct scene *s = *state;

	assert_int_equal(cluster_room(s->cluster, 1, 4), 2);
	assert_true(cluster_stranger(s->cluster, 1, 6, 30 * MS_PER_S));
	assert_int_equal(cluster_room(s->cluster, 1, 4), 0);
	assert_int_equal(cluster_room(s->cluster, 1, 2), 1);
	assert_true(cluster_stranger(s->cluster, 1, 6, 60 * MS_PER_S));
	assert_false(cluster_stranger(s->cluster, 1, 6, 60 * MS_PER_S));
	scene_run(s, 31 * MS_PER_S);
	assert_int_equal(cluster_room(s->cluster, 1, 2), 3);
	cluster_heal(s->cluster);
	assert_int_equal(cluster_room(s->cluster, 1, 4), 2);
}

struct history {
	const struct scene *scene;
	uint64_t hash;
};

static void note(void *arg, enum api_change change, struct api_object *o)
{
	struct history *h = arg;
	CLEANUP_FREE char *text = json_canonical(o->doc);
	CLEANUP_FREE char *line = xasprintf("%lld %d ", (long long)timeline_ms(h->scene->timeline), (int)change);

	h->hash = hash64_str(hash64_str(h->hash, line), text);
}

static uint64_t play(uint64_t seed)
{
	struct scene s;
	struct history h = {&s, HASH64_INIT};

	scene_begin(&s, seed, CLUSTER_KARPENTER, types, ARRAY_LEN(types));
	api_listen(s.api, note, &h);
	struct api_object *d = scene_deploy(&s, "p5", 3);
	scene_run(&s, 100 * MS_PER_S);
	cluster_silence_node(s.cluster, 0, 0, 100 * MS_PER_S);
	scene_scale(&s, d, 1);
	scene_run(&s, 300 * MS_PER_S);
	scene_end(&s);
	return h.hash;
}

static void test_same_again(void **state)
{
	(void)state;
	uint64_t first = play(7);
	assert_true(first == play(7));
	assert_true(first != play(8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failing_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_victims, setup, teardown),
		cmocka_unit_test_setup_teardown(test_victims_young, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gpus_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stranger, setup, teardown),
		cmocka_unit_test(test_same_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
