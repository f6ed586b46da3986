/* The whole operator before an API server that the test plays (api_server.h): what it writes, in which order, and what
 * it does when writes go wrong, watches are late, and others change its objects. */
#include "api_server.h"
#include "operator/run.h"

#define PATIENCE_MS 20000 /* a sanitized build on a busy machine */
#define LONG_MS (365 * 24 * 3600 * MS_PER_S)
#define QUIET_MS 200 /* so long nothing more may be written */

static struct web web;
static struct loop *loop;

struct fixture {
	struct api api;
	struct kube_client *client;
	struct metrics *metrics;
	struct controller *op;
	enum node_autoscaler autoscaler;
	bool without_nodes;
	struct loop_timer *timer;
	const char *wanted; /* the trace that ends a run; NULL: only time does */
	int64_t until_ms;
	bool made_now; /* the endpoints from here on */
};

static void on_tick(void *arg)
{
	struct fixture *f = arg;
	if (loop_now(loop).ms >= f->until_ms || (f->wanted && str_eq(buf_slice(&f->api.trace).ptr, f->wanted)))
		loop_stop(loop);
	else
		loop_timer_arm(f->timer, 5);
}

static void run_for(struct fixture *f, int64_t ms, const char *wanted)
{
	f->wanted = wanted;
	uv_update_time(loop_uv(loop));
	f->until_ms = loop_now(loop).ms + ms;
	loop_timer_arm(f->timer, 5);
	loop_run(loop);
}

/* Everything that is written from the last call on. */
static void expect(struct fixture *f, const char *trace)
{
	run_for(f, PATIENCE_MS, trace);
	run_for(f, QUIET_MS, NULL);
	assert_string_equal(buf_slice(&f->api.trace).ptr, trace);
	buf_clear(&f->api.trace);
}

#define MODEL(image)                                                                                        \
	"{'metadata':{'name':'llm'},'spec':{'template':{'spec':{'containers':[{'name':'c','image':'" image "'," \
	"'resources':{'limits':{'nvidia.com/gpu':8}}}]}}}}"

#define TWO_TYPES "{'instanceType':'p5','priority':1},{'instanceType':'g6','priority':2}"

/* Old, unless the test is about one that was just made. */
static void put_named_endpoint(struct fixture *f, const char *name, const char *count, const char *pools)
{
	char created[WALL_RFC3339_SIZE];
	wall_format(wall_add(wall_now(), f->made_now ? 0 : -LONG_MS), created);
	CLEANUP_FREE char *text = xasprintf("{'metadata':{'name':'%s','generation':1,'creationTimestamp':'%s'},"
	                                    "'spec':{'modelName':'llm',%s'instancePools':[%s]}}",
	                                    name, created, count, pools);
	api_put(&f->api, KIND_ENDPOINT, quoted_json(text));
}

static void put_endpoint(struct fixture *f, const char *count, const char *pools)
{
	put_named_endpoint(f, "llm", count, pools);
}

static void start(struct fixture *f)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *server = xasprintf("https://%s:%d", web.address, WEB_PORT),
					  *ca = web_path(&web, "ca.pem");
	struct kube_config config = {.server = server, .ca_file = ca};
	f->metrics = metrics_new();
	f->client = kube_client_new(
		loop, &config, &(struct kube_client_options){.user_agent = "test", .metrics = f->metrics}, &err);
	assert_non_null(f->client);
	f->op = controller_new(loop, f->client, f->metrics,
	                       &(struct controller_options){.namespaces = (const char *const[]){"ns"},
	                                                    .n_namespaces = 1,
	                                                    .watch_nodes = !f->without_nodes,
	                                                    .node_autoscaler = f->autoscaler,
	                                                    .instance = "test"});
	controller_start(f->op);
	controller_lead(f->op, true);
}

static void stop(struct fixture *f)
{
	controller_free(f->op);
	kube_client_free(f->client);
	metrics_free(f->metrics);
	f->op = NULL;
	memset(f->api.watches, 0, sizeof(f->api.watches));
}

/* Three instances are wanted; nobody has looked yet. */
static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	assert_int_equal(waitpid(web.nginx, NULL, WNOHANG), 0); /* it lives */
	*state = f;
	f->autoscaler = NODE_AUTOSCALER_NONE;
	api_init(&f->api, &web);
	f->timer = loop_timer_new(loop, on_tick, f);
	api_put(
		&f->api, KIND_NODE,
		quoted_json("{'metadata':{'name':'n'},'status':{'conditions':[{'type':'Ready','status':'True'}]}}"));
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:1")));
	put_endpoint(f, "'instanceCount':3,", TWO_TYPES);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->op)
		stop(f);
	api_done(&f->api);
	loop_timer_free(f->timer);
	free(f);
	return 0;
}

#define COMPANIONS "create PodDisruptionBudget, create Service"

#define LOOKED_AT "instancepool_reconciles_total{result=\"unchanged\"} "

static const char created[] = "create p5=3, create g6=0, status, " COMPANIONS;

static json_t *deployment_of(struct fixture *f, const char *pool)
{
	const char *name;
	json_t *obj;
	json_object_foreach(f->api.objects[KIND_DEPLOYMENT], name, obj)
		if (str_eq(json_string_value(json_at(obj, "metadata", "labels", LABEL_POOL)), pool))
			return obj;
	fail_msg("no Deployment of %s", pool);
	return NULL;
}

static void scale(struct fixture *f, const char *pool, int replicas)
{
	json_t *scaled = json_deep_copy(deployment_of(f, pool));
	json_put_int(json_child(scaled, "spec"), "replicas", replicas);
	api_put(&f->api, KIND_DEPLOYMENT, scaled);
}

static void remove_deployment(struct fixture *f, const char *pool)
{
	api_remove(&f->api, KIND_DEPLOYMENT,
	           json_string_value(json_at(deployment_of(f, pool), "metadata", "name")));
}

static void put_pod(struct fixture *f, const char *name, const char *pool, const char *spec,
                    const char *conditions, const char *annotations)
{
	json_t *labels = json_at(deployment_of(f, pool), "metadata", "labels");
	CLEANUP_FREE char *text =
		xasprintf("{'metadata':{'name':'%s','creationTimestamp':'2026-11-25T10:00:00Z','annotations':{%s}},"
	              "'spec':{%s},'status':{'phase':'Pending','conditions':[%s]}}",
	              name, annotations, spec, conditions);
	json_t *pod = quoted_json(text);
	json_set(json_child(pod, "metadata"), "labels", json_deep_copy(labels));
	api_put(&f->api, KIND_POD, pod);
}

#define BOUND "{'type':'PodScheduled','status':'True','lastTransitionTime':'2026-11-25T10:00:01Z'}"
#define SERVING BOUND ",{'type':'Ready','status':'True','lastTransitionTime':'2026-11-25T10:00:02Z'}"

static void put_serving(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "'nodeName':'n'", SERVING, "");
}

/* It got its node just now. */
static void put_starting(struct fixture *f, const char *name, const char *pool)
{
	char now[WALL_RFC3339_SIZE];
	wall_format(wall_now(), now);
	CLEANUP_FREE char *bound =
		xasprintf("{'type':'PodScheduled','status':'True','lastTransitionTime':'%s'}", now);
	put_pod(f, name, pool, "'nodeName':'n'", bound, "");
}

/* Ready, and with the marks that it was born with. */
static void put_grown(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "'nodeName':'n'", SERVING,
	        "'" ANNOTATION_PROTECTED "':'true','" ANNOTATION_DO_NOT_DISRUPT
	        "':'true','" ANNOTATION_SAFE_TO_EVICT "':'false','other':'stays'");
}

static const json_t *annotations_of(struct fixture *f, const char *pod)
{
	return json_at(api_get(&f->api, KIND_POD, pod), "metadata", "annotations");
}

/* Long enough ago to be definite. */
static void put_refused(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "",
	        "{'type':'PodScheduled','status':'False','reason':'Unschedulable','lastTransitionTime':'2026-11-"
	        "25T10:00:01Z',"
	        "'message':'0/1 nodes are available: 1 Insufficient nvidia.com/gpu.'}",
	        "");
}

/* The condition of the endpoint's status: "True NameTaken". */
static void assert_condition(struct fixture *f, const char *type, const char *expected)
{
	json_t *c;
	size_t i;
	json_array_foreach(json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "conditions"), i, c) {
		if (!str_eq(json_string_value(json_object_get(c, "type")), type))
			continue;
		CLEANUP_FREE char *text = xasprintf("%s %s", json_string_value(json_object_get(c, "status")),
		                                    json_string_value(json_object_get(c, "reason")));
		assert_string_equal(text, expected);
		return;
	}
	fail_msg("no condition %s", type);
}

/* The value of a series, by all that stands before it in the exposition. */
static int64_t metric_of(struct fixture *f, const char *series)
{
	CLEANUP_BUF struct buf text;
	buf_init(&text, 1u << 20);
	metrics_write(f->metrics, &text);
	const char *at = strstr(text.ptr, series);
	struct slice ignored;
	struct err err = ERR_INIT;
	int64_t n = -1;
	if (at)
		slice_to_i64(slice_split(slice_from(at + strlen(series)), '\n', &ignored), &n, &err);
	return n;
}

static void test_creates_then_falls_back(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->2, p5 3->1, status");
	put_serving(f, "d", "g6");
	put_serving(f, "e", "g6");
	api_remove(&f->api, KIND_POD, "b");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, "status");
	assert_condition(f, "Ready", "True AllInstancesReady");
	assert_condition(f, "OnFallback", "True FallbackServes");
	assert_int_equal(metric_of(f, "instancepool_pool_out_of_capacity_total{namespace=\"ns\",endpoint=\"llm\","
	                              "pool=\"p5\",instance_type=\"p5\"} "),
	                 1);
	/* A new process has nothing to do. */
	stop(f);
	start(f);
	expect(f, "");
}

/* All three serve in the first pool. */
static void start_serving(struct fixture *f)
{
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	put_serving(f, "c", "p5");
	expect(f, "status");
}

static void test_what_others_change_is_put_back(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	scale(f, "p5", 7);
	expect(f, "p5 7->3");
	json_t *labelled = json_deep_copy(deployment_of(f, "p5"));
	json_put_str(json_at(labelled, "metadata", "labels"), LABEL_REVISION, "mine");
	api_put(&f->api, KIND_DEPLOYMENT, labelled);
	expect(f, "");
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "create Service");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "create PodDisruptionBudget");
	/* A Model that is gone takes nothing with it. */
	api_remove(&f->api, KIND_MODEL, "llm");
	expect(f, "status");
	assert_condition(f, "ModelMissing", "True ModelMissing");
	assert_condition(f, "Ready", "True AllInstancesReady");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:1")));
	expect(f, "status");
}

static struct api_fault mark_fault(const char *status)
{
	return (struct api_fault){.method = "PATCH", .kind = KIND_POD, .status = status, .reason = "x"};
}

static void test_who_serves_is_no_longer_protected(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_grown(f, "a", "p5");
	expect(f, "unprotect a, status");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 1);
	assert_non_null(json_object_get(annotations_of(f, "a"), "other"));
	stop(f);
	start(f);
	expect(f, "");
}

/* Gone, or another one has its name, and the watch has not said so yet. */
static void test_a_mark_that_comes_too_late(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	api_hold(&f->api, KIND_POD);
	put_grown(f, "a", "p5");
	api_remove(&f->api, KIND_POD, "a");
	api_release_one(&f->api, KIND_POD);
	expect(f, "unprotect a!404, status, unprotect a!404");
	assert_null(work_find(f->op, "ns", "llm")->refusals);
	api_release(&f->api, KIND_POD);
	expect(f, "status");
	api_hold(&f->api, KIND_POD);
	put_grown(f, "a", "p5");
	put_grown(f, "a", "p5");
	api_release_one(&f->api, KIND_POD);
	expect(f, "unprotect a!409, status, unprotect a!409");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 4);
	api_release(&f->api, KIND_POD);
	expect(f, "unprotect a");
}

/* It keeps its marks, and nothing else has to wait for them. */
static void test_a_mark_that_is_refused(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_grown(f, "a", "p5");
	put_grown(f, "b", "p5");
	put_grown(f, "c", "p5");
	f->api.faults[0] = mark_fault("403 Forbidden");
	start(f);
	int64_t refused_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "unprotect a!403, unprotect b, unprotect c, status");
	assert_condition(f, "Ready", "True AllInstancesReady");
	assert_int_equal(json_object_size(annotations_of(f, "a")), 4);
	buf_clear(&f->api.trace);
	f->api.faults[0] = mark_fault("422 Invalid");
	run_for(f, PATIENCE_MS, "unprotect a!422");
	assert_in_range(loop_now(loop).ms - refused_ms, 2000, PATIENCE_MS - 1);
	expect(f, "unprotect a!422, unprotect a");
	assert_in_range(loop_now(loop).ms - refused_ms, 6000, PATIENCE_MS - 1);
	assert_null(work_find(f->op, "ns", "llm")->refusals);
	/* What was refused for one that is gone is forgotten. */
	f->api.faults[0] = mark_fault("403 Forbidden");
	put_grown(f, "a", "p5");
	expect(f, "unprotect a!403");
	assert_non_null(work_find(f->op, "ns", "llm")->refusals);
	api_remove(&f->api, KIND_POD, "a");
	expect(f, "status");
	assert_null(work_find(f->op, "ns", "llm")->refusals);
}

/* Done, but nobody said so: it is looked at before anything else is written. */
static void test_a_mark_whose_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_grown(f, "a", "p5");
	f->api.faults[0] = (struct api_fault){.method = "PATCH", .kind = KIND_POD, .applied = true};
	start(f);
	expect(f, "unprotect a!cut, look p5, status");
	f->api.faults[0] = mark_fault("503 Unavailable");
	put_grown(f, "a", "p5");
	expect(f, "unprotect a!503, look p5, unprotect a");
}

static void change_template(struct fixture *f, const char *pool)
{
	json_t *changed = json_deep_copy(deployment_of(f, pool));
	json_put_str(json_child(json_at(changed, "spec", "template"), "metadata"), "restartedAt", "now");
	json_set(json_child(changed, "metadata"), "managedFields",
	         quoted_json("[{'manager':'kubectl-rollout','fieldsV1':{'f:spec':{'f:template':{}}}}]"));
	api_put(&f->api, KIND_DEPLOYMENT, changed);
}

static void forget_restored(struct fixture *f)
{
	struct work *w = work_find(f->op, "ns", "llm");
	for (size_t i = 0; i < w->n_restored; i++)
		w->restored[i].until.ms = loop_now(loop).ms - 600 * MS_PER_S;
}

static void test_a_template_that_others_change(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	CLEANUP_JSON json_t *ours = json_deep_copy(json_at(deployment_of(f, "p5"), "spec", "template"));
	change_template(f, "p5");
	expect(f, "restore p5");
	assert_true(json_equal(json_at(deployment_of(f, "p5"), "spec", "template"), ours));
	/* Who may not put it back tries again later, and does all else meanwhile. */
	f->api.faults[0] = (struct api_fault){
		.method = "PATCH", .kind = KIND_DEPLOYMENT, .status = "422 Invalid", .reason = "Invalid"};
	change_template(f, "p5");
	expect(f, "restore p5!422, status");
	assert_condition(f, "Stalled", "True TemplateRefused");
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	expect(f, "restore p5, status");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	forget_restored(f);
	/* Without its Model nothing can be put back. */
	api_remove(&f->api, KIND_MODEL, "llm");
	expect(f, "status");
	change_template(f, "p5");
	expect(f, "");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:1")));
	expect(f, "restore p5, status");
}

/* A controller that insists: it is put back less and less often. */
static void test_a_template_that_is_changed_again_and_again(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	change_template(f, "p5");
	expect(f, "restore p5");
	int64_t restored_ms = loop_now(loop).ms - QUIET_MS;
	change_template(f, "p5");
	remove_deployment(f, "g6");
	run_for(f, PATIENCE_MS, "create g6=0, restore p5");
	assert_in_range(loop_now(loop).ms - restored_ms, 1900, PATIENCE_MS - 1);
	change_template(f, "p5");
	int64_t again_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "create g6=0, restore p5, restore p5");
	assert_in_range(loop_now(loop).ms - again_ms, 3900, PATIENCE_MS - 1);
	run_for(f, QUIET_MS, NULL);
	buf_clear(&f->api.trace);
	/* After some quiet it is as the first time. */
	forget_restored(f);
	change_template(f, "p5");
	run_for(f, PATIENCE_MS, "restore p5");
	struct work *w = work_find(f->op, "ns", "llm");
	run_for(f, QUIET_MS, NULL);
	assert_int_equal(w->n_restored, 1);
	assert_int_equal(w->restored[0].times, 1);
}

/* The watch does not show it any more, but it is there and ours: no reason to wait for the watch. */
static void test_a_label_that_was_taken_off(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	json_t *bare = json_deep_copy(deployment_of(f, "g6"));
	json_object_del(json_at(bare, "metadata"), "labels");
	api_event(&f->api, KIND_DEPLOYMENT, "DELETED", deployment_of(f, "g6"));
	api_put(&f->api, KIND_DEPLOYMENT, bare);
	expect(f, "create g6=0!409, look Deployment, status");
	assert_condition(f, "Stalled", "True LabelMissing");
}

static void test_a_name_that_is_taken(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	json_t *foreign = json_deep_copy(deployment_of(f, "p5"));
	json_object_del(json_at(foreign, "metadata"), "labels");
	json_object_del(json_at(foreign, "metadata"), "ownerReferences");
	api_put(&f->api, KIND_DEPLOYMENT, foreign);
	start(f);
	expect(f, "create p5=3!409, look Deployment, g6 0->3, status");
	assert_condition(f, "Stalled", "True NameTaken");
}

/* Its controller writes down each pod that comes and goes: nobody has to look at the endpoint for that. */
static void test_a_budgets_status(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	int64_t before = metric_of(f, LOOKED_AT);
	json_t *counted = json_deep_copy(api_get(&f->api, KIND_BUDGET, "llm"));
	json_put_int(json_child(counted, "status"), "currentHealthy", 2);
	api_put(&f->api, KIND_BUDGET, counted);
	expect(f, "");
	assert_int_equal(metric_of(f, LOOKED_AT), before);
	json_t *foreign = json_deep_copy(counted);
	json_object_del(json_at(foreign, "metadata"), "ownerReferences");
	api_put(&f->api, KIND_BUDGET, foreign);
	expect(f, "");
	assert_true(refusal_pauses(work_find(f->op, "ns", "llm"), KIND_BUDGET, "llm")); /* said in the log */
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* What is refused of one kind says nothing of another kind with the same name. */
static void test_a_budget_of_somebody_else(void **state)
{
	struct fixture *f = *state;
	api_put(&f->api, KIND_BUDGET, quoted_json("{'metadata':{'name':'llm'}}"));
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget!409, look PodDisruptionBudget, "
	          "create Service");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "create Service");
	/* One that has our label is seen at once. */
	stop(f);
	api_remove(&f->api, KIND_BUDGET, "llm");
	api_put(&f->api, KIND_BUDGET,
	        quoted_json("{'metadata':{'name':'llm','labels':{'" LABEL_ENDPOINT "':'llm'}}}"));
	start(f);
	expect(f, "");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "create PodDisruptionBudget");
}

/* A webhook that is away, and later somebody who says no: the address waits for neither. */
static void test_a_budget_that_cannot_be_made(void **state)
{
	struct fixture *f = *state;
	static const char *const answers[] = {"500 Internal Server Error", "422 Invalid"};
	start(f);
	expect(f, created);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		stop(f);
		f->api.faults[0] =
			(struct api_fault){.method = "POST", .kind = KIND_BUDGET, .status = answers[i], .reason = "x"};
		api_remove(&f->api, KIND_BUDGET, "llm");
		api_remove(&f->api, KIND_SERVICE, "llm");
		start(f);
		for (int n = 0; n < PATIENCE_MS / 10 && !api_get(&f->api, KIND_BUDGET, "llm"); n++)
			run_for(f, 10, NULL);
		run_for(f, QUIET_MS, NULL);
		const char *service = strstr(buf_slice(&f->api.trace).ptr, "create Service");
		assert_non_null(service);
		assert_non_null(strstr(service, "create PodDisruptionBudget"));
		assert_condition(f, "Stalled", "False NothingInTheWay");
		buf_clear(&f->api.trace);
	}
}

/* Two pools may share nodes. What this revision has there is no older fleet that an update will take away. */
static void test_room_that_another_pool_of_ours_has(void **state)
{
	struct fixture *f = *state;
	api_put(
		&f->api, KIND_NODE,
		quoted_json("{'metadata':{'name':'n','labels':{'type':'p5','reserved':'yes'},"
	                "'creationTimestamp':'2026-11-25T09:00:00Z'},'status':{'capacity':{'nvidia.com/gpu':'8'},"
	                "'allocatable':{'nvidia.com/gpu':'8'},'conditions':[{'type':'Ready','status':'True',"
	                "'lastTransitionTime':'2026-11-25T09:01:00Z'}]}}"));
	put_endpoint(
		f, "'instanceCount':2,",
		"{'name':'best','instanceType':'p5','priority':1,'nodeSelector':{'type':'p5','reserved':'yes'}},"
		"{'name':'any','instanceType':'p5','priority':2,'nodeSelector':{'type':'p5'}}");
	start(f);
	expect(f, "create best=2, create any=0, status, " COMPANIONS);
	stop(f);
	scale(f, "best", 1);
	scale(f, "any", 1);
	put_serving(f, "a", "any");
	put_refused(f, "b", "best");
	start(f);
	expect(f, "any 1->2, best 1->0, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "StockOut");
}

/* It was done: one look, and no second one. */
static void test_a_create_whose_answer_is_lost(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT, .applied = true};
	api_hold(&f->api, KIND_DEPLOYMENT);
	start(f);
	expect(f, "create p5=3!cut, look p5");
	api_release(&f->api, KIND_DEPLOYMENT);
	expect(f, "create g6=0, status, " COMPANIONS);
}

static void test_a_create_that_never_came(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT};
	f->api.faults[1] = (struct api_fault){.method = "GET",
	                                      .kind = KIND_DEPLOYMENT,
	                                      .status = "503 Unavailable",
	                                      .reason = "ServiceUnavailable"};
	start(f);
	expect(f, "create p5=3!cut, look Deployment!503, look Deployment!404, "
	          "create p5=3, create g6=0, status, " COMPANIONS);
}

/* By whatever stands between: there is a 200, but no version in it. A look that ends so says nothing either. */
static void test_an_answer_that_is_cut_off(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){
		.method = "POST", .kind = KIND_DEPLOYMENT, .applied = true, .status = "200 OK", .reason = "x"};
	f->api.faults[1] =
		(struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .status = "200 OK", .reason = "x"};
	start(f);
	expect(f, "create p5=3!200, look p5!200, create g6=0, status, look p5, " COMPANIONS);
	put_serving(f, "a", "p5");
	expect(f, "status");
}

static void test_nothing_is_taken_away_on_an_old_view(void **state)
{
	struct fixture *f = *state;
	api_hold(&f->api, KIND_DEPLOYMENT);
	start(f);
	expect(f, "create p5=3, create g6=0, status");
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "");
	/* After a while it looks, and goes on waiting: the views are still old. */
	struct work *w = map_get(&f->op->works, "ns/llm");
	w->expecting_since.ms -= 15 * MS_PER_S;
	controller_enqueue(f->op, "ns", "llm", QUEUE_FRESH);
	expect(f, "look g6, look p5");
	api_release(&f->api, KIND_DEPLOYMENT);
	expect(f, "g6 0->3, p5 3->0, status, " COMPANIONS);
}

/* What came in meanwhile is read before any timer runs, and may be only the beginning. */
static void test_a_process_that_was_stopped(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	f->op->beat_due.ms -= 60 * MS_PER_S;
	loop_timer_arm(f->op->beat, 3 * MS_PER_S);
	put_serving(f, "a", "p5");
	run_for(f, 2 * MS_PER_S, NULL);
	expect(f, "");
	expect(f, "status");
}

static void test_a_refused_template_is_remembered_and_mended(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++)
		f->api.faults[i] = (struct api_fault){
			.method = "POST", .kind = KIND_DEPLOYMENT, .status = "422 Invalid", .reason = "Invalid"};
	start(f);
	expect(f, "create p5=3!422, create g6=3!422, status, " COMPANIONS);
	assert_condition(f, "Stalled", "True TemplateRefused");
	api_put(&f->api, KIND_MODEL, quoted_json(MODEL("a:2")));
	expect(f, "create p5=3, create g6=0, status");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	/* The time to try the old names again comes, and nobody wants them. */
	struct work *w = map_get(&f->op->works, "ns/llm");
	assert_non_null(w->refusals);
	for (struct refusal *r = w->refusals; r; r = r->next)
		r->retry_at = loop_now(loop);
	int64_t before = metric_of(f, LOOKED_AT);
	controller_enqueue(f->op, "ns", "llm", QUEUE_FRESH);
	expect(f, "");
	assert_int_equal(metric_of(f, LOOKED_AT), before + 1);
}

static struct api_fault refused_pod(const char *status, const char *message)
{
	return (struct api_fault){
		.method = "POST", .kind = KIND_POD, .status = status, .reason = "x", .message = message};
}

/* The Pod of the fallback would be refused: that is said before it is needed, the other pool goes on, and when what was
 * missing is there, so is the Deployment. */
static void test_an_instance_that_would_be_refused(void **state)
{
	struct fixture *f = *state;
	api_put(&f->api, KIND_MODEL,
	        quoted_json("{'metadata':{'name':'other'},'spec':{'template':{'spec':{'containers':[{}]}}}}"));
	put_endpoint(f, "'instanceCount':3,",
	             "{'instanceType':'p5','priority':1,'modelNameOverride':'other'},"
	             "{'instanceType':'g6','priority':2}");
	f->api.faults[0] = refused_pod("403 Forbidden", "no PriorityClass with name x was found");
	start(f);
	int64_t refused_ms = loop_now(loop).ms;
	expect(f, "try p5!403, create g6=3, status, " COMPANIONS);
	assert_condition(f, "Stalled", "True InstanceRefused");
	const json_t *pool =
		json_array_get(json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools"), 0);
	assert_string_equal(json_string_value(json_object_get(pool, "message")),
	                    "an instance would be refused: no PriorityClass with name x was found");
	/* Refused a second time it waits longer. */
	f->api.faults[0] = refused_pod("422 Invalid", "still not");
	run_for(f, PATIENCE_MS, "try p5!422");
	assert_in_range(loop_now(loop).ms - refused_ms, 2000, 3900);
	expect(f, "try p5!422, status, create p5=0, status");
	assert_in_range(loop_now(loop).ms - refused_ms, 6000, PATIENCE_MS - 1);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* What says nothing about the instance is no reason to do without its Deployment. */
static void test_a_dry_run_that_says_nothing(void **state)
{
	static const char *const answers[][2] = {
		{"403 Forbidden", "pods x is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=8"},
		{"403 Forbidden", "pods x is forbidden: failed quota: q: must specify limits.memory"},
		{"400 Bad Request", "admission webhook w does not support dry run"},
		{"404 Not Found", "no"},
		{"405 Method Not Allowed", "no"},
		{"500 Internal Server Error", "failed calling webhook w"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		CLEANUP_FREE char *trace = xasprintf("try p5!%.3s, create p5=3, create g6=0", answers[i][0]);
		f->api.faults[0] = refused_pod(answers[i][0], answers[i][1]);
		start(f);
		for (int n = 0; n < PATIENCE_MS / 50 && json_object_size(f->api.objects[KIND_DEPLOYMENT]) < 2; n++)
			run_for(f, 50, NULL);
		assert_true(str_starts(buf_slice(&f->api.trace).ptr, trace));
		stop(f);
		run_for(f, QUIET_MS, NULL); /* what was on its way */
		buf_clear(&f->api.trace);
		remove_deployment(f, "p5");
		remove_deployment(f, "g6");
	}
}

/* A dry run changes nothing: without an answer it is simply made again. */
static void test_a_dry_run_without_an_answer(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD};
	f->api.faults[1] = refused_pod("503 Service Unavailable", "no");
	start(f);
	expect(f, "try p5!cut, try p5!503, create p5=3, create g6=0, status, " COMPANIONS);
	stop(f);
	/* And called back when another leads, it is not looked at. */
	remove_deployment(f, "g6");
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "try g6!hang");
	controller_lead(f->op, false);
	expect(f, "try g6!hang");
	controller_lead(f->op, true);
	expect(f, "create g6=0");
}

/* A Deployment's plan begins with the dry run: if that made it too old, it would never be created. */
static void test_a_slow_dry_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_POD, .hang = true};
	f->api.faults[1] = refused_pod("500 Internal Server Error", "no"); /* shows which is made next */
	start(f);
	expect(f, "try p5!hang");
	struct work *w = map_get(&f->op->works, "ns/llm");
	w->run->made.ms -= 60 * MS_PER_S;
	exchange_answer(f->api.hanging, "201 Created", "{'metadata':{}}");
	expect(f, "create p5=3, try g6!500, create g6=0, status, " COMPANIONS);
}

#define NO_RIGHT(verb, resource, group)                                                                  \
	resource " is forbidden: User \"x\" cannot " verb " resource \"" resource "\" in API group \"" group \
			 "\" in the namespace \"ns\""

static void test_no_right_to_create_pods(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	start(f);
	expect(f, "try p5!403, create p5=3, create g6=0, status, " COMPANIONS);
	/* Not for a moment, but for good. */
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied_trial = 7;
	for (size_t i = 0; i < 2; i++)
		f->api.faults[i] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	remove_deployment(f, "g6");
	expect(f, "try g6!403, try g6!403, create g6=0");
	assert_condition(f, "Stalled", "False NothingInTheWay");
	f->api.faults[0] = refused_pod("403 Forbidden", NO_RIGHT("create", "pods", ""));
	remove_deployment(f, "g6");
	expect(f, "try g6!403, create g6=0");
	/* It has got the right. */
	remove_deployment(f, "g6");
	expect(f, "create g6=0");
	assert_int_equal(w->denied_trial, 0);
}

static bool is_ready(struct fixture *f, struct err *ret_err)
{
	*ret_err = ERR_INIT;
	return controller_ready(f->op, ret_err);
}

/* An instance whose mark we have no right to take off: asked again in 2 s. */
static void lack_right_to_mark(struct fixture *f)
{
	f->api.faults[0] = mark_fault("403 Forbidden");
	f->api.faults[0].message = NO_RIGHT("patch", "pods", "");
	put_grown(f, "a", "p5");
	run_for(f, PATIENCE_MS, "unprotect a!403, status");
}

/* /readyz says so once it has lasted. */
static void assert_lacks(struct fixture *f, const char *message)
{
	struct work *w = work_find(f->op, "ns", "llm");
	struct err err;
	CLEANUP_FREE char *text =
		xasprintf("%s; grant this right to the operator's account: see deploy/rbac.yaml, or upgrade the Helm "
	              "release",
	              message);
	run_for(f, QUIET_MS, NULL);
	assert_true(is_ready(f, &err));
	assert_non_null(w->no_right);
	w->no_right_since.ms -= 2 * MS_PER_S;
	assert_false(is_ready(f, &err));
	assert_string_equal(err.message, text);
	buf_clear(&f->api.trace);
}

static void assert_lacks_nothing(struct fixture *f)
{
	struct err err;
	assert_true(is_ready(f, &err));
	assert_null(work_find(f->op, "ns", "llm")->no_right);
	assert_int_equal(f->op->n_no_right, 0);
}

static void test_no_right_to_mark(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	expect(f, "unprotect a");
	assert_lacks_nothing(f);
}

/* What has just come up is written first, and what was refused is tried after that. */
static void test_no_right_beside_news(void **state)
{
	struct fixture *f = *state;
	struct api_fault refused = {.method = "POST",
	                            .kind = KIND_SERVICE,
	                            .status = "403 Forbidden",
	                            .reason = "Forbidden",
	                            .message = NO_RIGHT("create", "services", "")};
	start(f);
	expect(f, created);
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied = 8; /* for good */
	f->api.faults[0] = refused;
	api_remove(&f->api, KIND_SERVICE, "llm");
	run_for(f, PATIENCE_MS, "create Service!403, status");
	assert_lacks(f, NO_RIGHT("create", "services", ""));
	w->denied = 8;
	f->api.faults[0] = refused;
	w->refusals->retry_at = loop_now(loop);
	int64_t since_ms = w->no_right_since.ms;
	put_serving(f, "a", "p5");
	run_for(f, PATIENCE_MS, "status, create Service!403");
	run_for(f, QUIET_MS, NULL);
	assert_int_equal(w->no_right_since.ms, since_ms);
}

/* Nothing is written for what goes; and a standby writes nothing at all. */
static void test_no_right_and_it_is_deleted(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	json_t *changed = json_deep_copy(api_get(&f->api, KIND_ENDPOINT, "llm"));
	json_put_time(json_child(changed, "metadata"), "deletionTimestamp", wall_now());
	api_put(&f->api, KIND_ENDPOINT, changed);
	run_for(f, QUIET_MS, NULL);
	assert_lacks_nothing(f);
}

static void test_no_right_and_another_leads(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	lack_right_to_mark(f);
	assert_lacks(f, NO_RIGHT("patch", "pods", ""));
	controller_lead(f->op, false);
	assert_lacks_nothing(f);
}

/* What is no longer wanted is not asked for again. */
static void test_no_right_to_create_what_goes(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	struct work *w = work_find(f->op, "ns", "llm");
	w->denied = 8; /* for good */
	f->api.faults[0] = (struct api_fault){.method = "POST",
	                                      .kind = KIND_DEPLOYMENT,
	                                      .status = "403 Forbidden",
	                                      .reason = "Forbidden",
	                                      .message = NO_RIGHT("create", "deployments", "apps")};
	remove_deployment(f, "g6");
	run_for(f, PATIENCE_MS, "create g6=0!403, status");
	assert_lacks(f, NO_RIGHT("create", "deployments", "apps"));
	json_t *changed = json_deep_copy(api_get(&f->api, KIND_ENDPOINT, "llm"));
	json_set(json_child(changed, "spec"), "instancePools",
	         quoted_json("[{'instanceType':'p5','priority':1}]"));
	api_put(&f->api, KIND_ENDPOINT, changed);
	expect(f, "status");
	run_for(f, 2 * MS_PER_S, NULL);
	assert_lacks_nothing(f);
}

/* A server that has just started may not know our rights yet, and one that is busy says when to come again. */
static void test_a_server_that_is_not_ready(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST",
	                                      .kind = KIND_DEPLOYMENT,
	                                      .status = "403 Forbidden",
	                                      .reason = "Forbidden",
	                                      .message = NO_RIGHT("create", "deployments", "apps")};
	start(f);
	expect(f, "create p5=3!403, create p5=3, create g6=0, status, " COMPANIONS);
	f->api.faults[0] = (struct api_fault){.method = "POST",
	                                      .kind = KIND_SERVICE,
	                                      .status = "429 Too Many Requests",
	                                      .reason = "TooManyRequests",
	                                      .retry_after_s = 1};
	int64_t refused_ms = loop_now(loop).ms;
	api_remove(&f->api, KIND_SERVICE, "llm");
	run_for(f, PATIENCE_MS, "create Service!429, create Service");
	assert_in_range(loop_now(loop).ms - refused_ms, 1000, PATIENCE_MS - 1);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* By then the instances that waited are gone, and with them the evidence. */
static void check_strike(struct fixture *f, const char *status, const char *reason, const char *trace)
{
	CLEANUP_FREE char *again = xasprintf("%s, status", trace);
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	f->api.faults[0] = (struct api_fault){
		.method = "PATCH", .kind = KIND_ENDPOINT, .status = status, .reason = reason, .retry_after_s = 1};
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	run_for(f, PATIENCE_MS, trace);
	api_remove(&f->api, KIND_POD, "b");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, again);
	assert_int_equal(json_integer_value(json_at(json_array_get(json_at(api_get(&f->api, KIND_ENDPOINT, "llm"),
	                                                                   "status", "instancePools", NULL),
	                                                           0),
	                                            "strikes", NULL)),
	                 1);
}

static void test_a_strike_whose_status_is_refused(void **state)
{
	check_strike(*state, "429 Too Many Requests", "TooManyRequests", "g6 0->2, p5 3->1!429");
}

static void test_a_strike_whose_status_may_be_lost(void **state)
{
	check_strike(*state, "503 Service Unavailable", "ServiceUnavailable", "g6 0->2, p5 3->1!503");
}

/* It had arrived: what is sent again fails by its own version, and nothing is planned before the view shows it. */
static void test_a_status_that_has_arrived_is_not_written_twice(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	f->api.faults[0] = (struct api_fault){.method = "PATCH",
	                                      .kind = KIND_ENDPOINT,
	                                      .applied = true,
	                                      .status = "503 Service Unavailable",
	                                      .reason = "ServiceUnavailable"};
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->2, p5 3->1!503, status!409, look InstancePoolEndpoint");
}

/* Deleted and made again: what is left of the old one is neither ours nor foreign, it is about to go. */
static void test_an_endpoint_that_is_made_again(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	expect(f, "status");
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	f->made_now = true;
	put_endpoint(f, "'instanceCount':3,", TWO_TYPES);
	expect(f, "");
	remove_deployment(f, "p5");
	remove_deployment(f, "g6");
	api_remove(&f->api, KIND_SERVICE, "llm");
	expect(f, "");
	api_remove(&f->api, KIND_BUDGET, "llm");
	expect(f, "");
	api_remove(&f->api, KIND_POD, "a");
	expect(f, created);
	assert_condition(f, "Stalled", "False NothingInTheWay");
}

/* The endpoint goes between two writes. */
static void test_an_endpoint_that_goes_in_mid_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] =
		(struct api_fault){.method = "POST", .kind = KIND_SERVICE, .applied = true, .hang = true};
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget, create Service!hang");
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	expect(f, "");
	exchange_end(f->api.hanging);
	expect(f, "look Service");
	assert_int_equal(map_count(&f->op->works), 0);
}

static void test_an_instance_count_that_is_not_set(void **state)
{
	struct fixture *f = *state;
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	put_endpoint(f, "", TWO_TYPES);
	start(f);
	expect(f, "scale=1, create p5=1, create g6=0, status, " COMPANIONS);
}

/* Who provides nodes is known before the first plan: the scheduler's old refusals are no stock-out. */
static void test_a_node_autoscaler_is_found_first(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	f->autoscaler = NODE_AUTOSCALER_AUTO;
	f->api.karpenter = true;
	start(f);
	expect(f, "status");
	stop(f);
	f->api.karpenter = false;
	start(f);
	expect(f, "g6 0->3, p5 3->0, status");
}

static void put_pod_event(struct fixture *f, const char *name, const char *pod_uid, const char *reason,
                          const char *message)
{
	CLEANUP_FREE char *text = xasprintf(
		"{'metadata':{'name':'%s'},'involvedObject':{'kind':'Pod','name':'b','uid':'%s'},'reason':'%s',"
		"'message':'%s','source':{'component':'karpenter'},'eventTime':null}",
		name, pod_uid, reason, message);
	api_put(&f->api, KIND_POD_EVENT, quoted_json(text));
}

#define NO_OFFERING "Failed to schedule pod, no instance type has the required offering"

static void test_of_what_is_no_hint_the_name_stays(void **state)
{
	static const char *const reasons[] = {"FailedScheduling", "Evicted"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		CLEANUP_FREE char *text = xasprintf(
			"{\"metadata\":{\"name\":\"b.1\",\"namespace\":\"ns\",\"uid\":\"u\",\"resourceVersion\":\"7\"},"
			"\"involvedObject\":{\"name\":\"b\",\"uid\":\"v\"},\"reason\":\"%s\",\"message\":\"" NO_OFFERING
			"\","
			"\"source\":{\"component\":\"karpenter\"}}",
			reasons[i]);
		struct err err = ERR_INIT;
		struct pod_event *e = pod_event_decode(slice_from(text), &err);
		assert_non_null(e);
		assert_string_equal(e->meta.name, "b.1");
		assert_string_equal(e->meta.resource_version, "7");
		assert_int_equal(e->newest.hint == HINT_NONE, i == 1);
		assert_int_equal(e->meta.uid == NULL, i == 1);
		assert_int_equal(e->pod == NULL, i == 1);
		view_free(e);
	}
}

/* An autoscaler's word about one pod, and only about this one. */
static void test_an_autoscaler_says_no(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	stop(f);
	put_refused(f, "a", "p5");
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	const char *uid = json_string_value(json_at(api_get(&f->api, KIND_POD, "b"), "metadata", "uid"));
	put_pod_event(f, "b.1", "an-earlier-pod", "FailedScheduling", NO_OFFERING);
	put_pod_event(f, "b.2", uid, "Evicted", NO_OFFERING);
	f->autoscaler = NODE_AUTOSCALER_AUTO;
	f->api.karpenter = true;
	start(f);
	expect(f, "status");
	put_pod_event(f, "b.3", uid, "FailedScheduling", NO_OFFERING);
	expect(f, "g6 0->3, p5 3->0, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "message")),
	                    "the autoscaler says: no instance type has the required offering");
}

/* Where nothing provides nodes they are not even asked for. */
static void test_events_are_not_watched_without_an_autoscaler(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	assert_null(f->api.watches[KIND_POD_EVENT]);
	assert_non_null(f->api.watches[KIND_POD]);
}

/* A write and a look are under way. */
static void test_the_end_in_mid_run(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "create p5=3!hang");
	stop(f);
	buf_clear(&f->api.trace);
	f->api.faults[0] = (struct api_fault){.method = "POST", .kind = KIND_DEPLOYMENT};
	f->api.faults[1] = (struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	run_for(f, PATIENCE_MS, "create p5=3!cut, look Deployment!hang");
	stop(f);
	run_for(f, QUIET_MS, NULL);
}

#define DESIRED "instancepool_desired_instances{namespace=\"ns\",endpoint=\"llm\"} "

/* Its write is called back, then another leads: it looks on, tells nothing, and keeps nothing of what comes and goes. */
static void test_standing_by(void **state)
{
	struct fixture *f = *state;
	f->api.faults[0] =
		(struct api_fault){.method = "POST", .kind = KIND_SERVICE, .applied = true, .hang = true};
	start(f);
	expect(f, "create p5=3, create g6=0, status, create PodDisruptionBudget, create Service!hang");
	assert_int_equal(metric_of(f, DESIRED), 3);
	controller_lead(f->op, false);
	expect(f, "look Service");
	assert_int_equal(metric_of(f, DESIRED), -1);
	size_t depth = queue_depth(f->op->queue);
	for (int i = 0; i < 20; i++) {
		CLEANUP_FREE char *name = xasprintf("other-%d", i);
		CLEANUP_FREE char *text =
			xasprintf("{'metadata':{'name':'%s','generation':1},'spec':{'modelName':'llm',"
		              "'instanceCount':1,'instancePools':[" TWO_TYPES "]}}",
		              name);
		api_put(&f->api, KIND_ENDPOINT, quoted_json(text));
		api_remove(&f->api, KIND_ENDPOINT, name);
	}
	put_serving(f, "a", "p5");
	expect(f, "");
	assert_int_equal(queue_depth(f->op->queue), depth);
	controller_lead(f->op, true);
	expect(f, "status");
	assert_int_equal(metric_of(f, DESIRED), 3);
	/* What went while another led is forgotten by who leads again. */
	controller_lead(f->op, false);
	api_remove(&f->api, KIND_ENDPOINT, "llm");
	expect(f, "");
	assert_int_equal(map_count(&f->op->works), 1);
	controller_lead(f->op, true);
	expect(f, "");
	assert_int_equal(map_count(&f->op->works), 0);
}

/* The one that asks gets no answer at all: the others do not wait for it. */
static void test_a_server_that_is_silent(void **state)
{
	struct fixture *f = *state;
	put_named_endpoint(f, "other", "'instanceCount':3,", TWO_TYPES);
	f->api.faults[0] = (struct api_fault){
		.method = "POST", .kind = KIND_DEPLOYMENT, .status = "503 Unavailable", .reason = ""};
	f->api.faults[1] = (struct api_fault){.method = "GET", .kind = KIND_DEPLOYMENT, .hang = true};
	start(f);
	for (int i = 0; i < 50 && json_object_size(f->api.objects[KIND_SERVICE]) == 0; i++)
		run_for(f, 100, NULL);
	assert_int_equal(json_object_size(f->api.objects[KIND_SERVICE]), 1);
	exchange_end(f->api.hanging);
}

/* Counts are told a second later; what they lead to, at once. */
static void test_progress_is_told_once_a_second(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	int64_t bound_ms = loop_now(loop).ms;
	put_starting(f, "a", "p5");
	expect(f, "");
	put_starting(f, "b", "p5");
	run_for(f, PATIENCE_MS, "status");
	assert_in_range(loop_now(loop).ms - bound_ms, 1000, PATIENCE_MS - 1);
	expect(f, "status");
	int64_t ready_ms = loop_now(loop).ms;
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	put_serving(f, "c", "p5");
	run_for(f, PATIENCE_MS, "status");
	assert_in_range(loop_now(loop).ms - ready_ms, 0, 900);
}

/* What many want of a server that is away, one asks; when it is back all go on at once. */
static void test_a_server_that_is_away(void **state)
{
	struct fixture *f = *state;
	const unsigned endpoints = 40, at_once = 16;
	for (unsigned i = 1; i < endpoints; i++) {
		char name[16];
		str_format(name, sizeof(name), "llm-%u", i);
		put_named_endpoint(f, name, "'instanceCount':3,", TWO_TYPES);
	}
	f->api.away = true;
	start(f);
	run_for(f, 4000, NULL);
	/* Those that had begun; then one request each second. */
	assert_in_range(f->api.asked, at_once, at_once + 6);
	assert_int_equal(json_object_size(f->api.objects[KIND_DEPLOYMENT]), 0);
	f->api.away = false;
	for (int i = 0; i < PATIENCE_MS / 100 && json_object_size(f->api.objects[KIND_SERVICE]) < endpoints; i++)
		run_for(f, 100, NULL);
	assert_int_equal(json_object_size(f->api.objects[KIND_SERVICE]), endpoints);
	assert_int_equal(json_object_size(f->api.objects[KIND_DEPLOYMENT]), 2 * endpoints);
}

static void put_node(struct fixture *f, const char *name, const char *ready, const char *since)
{
	CLEANUP_FREE char *text =
		xasprintf("{'metadata':{'name':'%s'},'status':{'conditions':[{'type':'Ready','status':'%s',"
	              "'lastTransitionTime':'%s'}]}}",
	              name, ready, since);
	api_put(&f->api, KIND_NODE, quoted_json(text));
}

/* What runs on a node that is not heard of is replaced, unless no node is. */
static void test_a_node_that_is_not_heard_of(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	put_node(f, "n", "Unknown", "2026-11-25T10:00:05Z");
	expect(f, "");
	put_node(f, "m", "True", "2026-11-25T10:00:05Z");
	expect(f, "p5 3->6, status");
}

/* Without a view of the nodes an instance counts as long as its pod is there, and the scheduler's words do. */
static void test_nodes_are_not_watched(void **state)
{
	struct fixture *f = *state;
	api_remove(&f->api, KIND_NODE, "n");
	f->without_nodes = true;
	start(f);
	expect(f, created);
	assert_null(f->api.watches[KIND_NODE]);
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	expect(f, "status");
	put_refused(f, "c", "p5");
	expect(f, "g6 0->1, p5 3->2, status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "StockOut");
}

/* A view that was late shows in one moment that an instance is gone and that others were refused before: its room is there, and
 * the scheduler has not looked again yet. */
static void test_room_that_is_seen_late(void **state)
{
	struct fixture *f = *state;
	start(f);
	expect(f, created);
	json_t *node =
		quoted_json("{'metadata':{'name':'n','labels':{'" NODE_LABEL_INSTANCE_TYPE "':'p5'}},"
	                "'status':{'capacity':{'nvidia.com/gpu':'8'},'allocatable':{'nvidia.com/gpu':'8'},"
	                "'conditions':[{'type':'Ready','status':'True',"
	                "'lastTransitionTime':'2026-11-25T09:00:00Z'}]}}");
	api_put(&f->api, KIND_NODE, node);
	put_serving(f, "a", "p5");
	expect(f, "status");
	api_hold(&f->api, KIND_POD);
	put_refused(f, "b", "p5");
	put_refused(f, "c", "p5");
	put_refused(f, "d", "p5");
	api_remove(&f->api, KIND_POD, "a");
	api_release(&f->api, KIND_POD);
	expect(f, "status");
	const json_t *pools = json_at(api_get(&f->api, KIND_ENDPOINT, "llm"), "status", "instancePools");
	assert_string_equal(json_string_value(json_object_get(json_array_get(pools, 0), "reason")), "Settling");
}

/* A count that was lowered before a crash: what it leaves over is not taken for an instance of the higher one. */
static void test_a_condemned_instance_does_not_count(void **state)
{
	struct fixture *f = *state;
	start_serving(f);
	stop(f);
	scale(f, "p5", 2);
	start(f);
	expect(f, "");
	api_remove(&f->api, KIND_POD, "c");
	expect(f, "p5 2->3, status");
	/* Should nobody end them, it goes on. */
	put_serving(f, "c", "p5");
	expect(f, "status");
	stop(f);
	scale(f, "p5", 2);
	start(f);
	int64_t started_ms = loop_now(loop).ms;
	run_for(f, PATIENCE_MS, "p5 2->3, status");
	assert_in_range(loop_now(loop).ms - started_ms, 5000, PATIENCE_MS - 1);
}

static int setup_server(void **state)
{
	(void)state;
	http_global_init();
	loop = loop_new();
	web_start(&web, loop_uv(loop));
	return 0;
}

static int teardown_server(void **state)
{
	(void)state;
	web_stop(&web);
	loop_free(loop);
	http_global_done();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_creates_then_falls_back),
		TEST(test_what_others_change_is_put_back),
		TEST(test_who_serves_is_no_longer_protected),
		TEST(test_a_mark_that_comes_too_late),
		TEST(test_a_mark_that_is_refused),
		TEST(test_a_mark_whose_answer_is_lost),
		TEST(test_a_template_that_others_change),
		TEST(test_a_template_that_is_changed_again_and_again),
		TEST(test_a_label_that_was_taken_off),
		TEST(test_a_name_that_is_taken),
		TEST(test_a_budget_of_somebody_else),
		TEST(test_a_budget_that_cannot_be_made),
		TEST(test_a_budgets_status),
		TEST(test_room_that_another_pool_of_ours_has),
		TEST(test_a_create_whose_answer_is_lost),
		TEST(test_a_create_that_never_came),
		TEST(test_an_answer_that_is_cut_off),
		TEST(test_nothing_is_taken_away_on_an_old_view),
		TEST(test_a_process_that_was_stopped),
		TEST(test_a_refused_template_is_remembered_and_mended),
		TEST(test_an_instance_that_would_be_refused),
		TEST(test_a_dry_run_that_says_nothing),
		TEST(test_a_dry_run_without_an_answer),
		TEST(test_a_slow_dry_run),
		TEST(test_no_right_to_create_pods),
		TEST(test_no_right_to_mark),
		TEST(test_no_right_beside_news),
		TEST(test_no_right_and_it_is_deleted),
		TEST(test_no_right_and_another_leads),
		TEST(test_no_right_to_create_what_goes),
		TEST(test_a_server_that_is_not_ready),
		TEST(test_a_strike_whose_status_is_refused),
		TEST(test_a_strike_whose_status_may_be_lost),
		TEST(test_a_status_that_has_arrived_is_not_written_twice),
		TEST(test_an_endpoint_that_is_made_again),
		TEST(test_an_endpoint_that_goes_in_mid_run),
		TEST(test_an_instance_count_that_is_not_set),
		TEST(test_a_node_autoscaler_is_found_first),
		cmocka_unit_test(test_of_what_is_no_hint_the_name_stays),
		TEST(test_an_autoscaler_says_no),
		TEST(test_events_are_not_watched_without_an_autoscaler),
		TEST(test_the_end_in_mid_run),
		TEST(test_standing_by),
		TEST(test_progress_is_told_once_a_second),
		TEST(test_a_node_that_is_not_heard_of),
		TEST(test_room_that_is_seen_late),
		TEST(test_nodes_are_not_watched),
		TEST(test_a_condemned_instance_does_not_count),
		TEST(test_a_server_that_is_away),
		TEST(test_a_server_that_is_silent),
	};
	return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
