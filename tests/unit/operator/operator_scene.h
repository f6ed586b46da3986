#pragma once
/* The whole operator before an API server that the test plays (api_server.h): one endpoint, "llm", that wants three instances of
 * p5, then g6. Each test starts it and says which writes are expected. */
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

static inline void on_tick(void *arg)
{
	struct fixture *f = arg;
	if (loop_now(loop).ms >= f->until_ms || (f->wanted && str_eq(buf_slice(&f->api.trace).ptr, f->wanted)))
		loop_stop(loop);
	else
		loop_timer_arm(f->timer, 5);
}

static inline void run_for(struct fixture *f, int64_t ms, const char *wanted)
{
	f->wanted = wanted;
	uv_update_time(loop_uv(loop));
	f->until_ms = loop_now(loop).ms + ms;
	loop_timer_arm(f->timer, 5);
	loop_run(loop);
}

/* Everything that is written from the last call on. */
static inline void expect(struct fixture *f, const char *trace)
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
static inline void put_named_endpoint(struct fixture *f, const char *name, const char *count,
                                      const char *pools)
{
	char created[WALL_RFC3339_SIZE];
	wall_format(wall_add(wall_now(), f->made_now ? 0 : -LONG_MS), created);
	CLEANUP_FREE char *text = xasprintf("{'metadata':{'name':'%s','generation':1,'creationTimestamp':'%s'},"
	                                    "'spec':{'modelName':'llm',%s'instancePools':[%s]}}",
	                                    name, created, count, pools);
	api_put(&f->api, KIND_ENDPOINT, quoted_json(text));
}

static inline void put_endpoint(struct fixture *f, const char *count, const char *pools)
{
	put_named_endpoint(f, "llm", count, pools);
}

static inline void start(struct fixture *f)
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

static inline void stop(struct fixture *f)
{
	controller_free(f->op);
	kube_client_free(f->client);
	metrics_free(f->metrics);
	f->op = NULL;
	memset(f->api.watches, 0, sizeof(f->api.watches));
}

/* Three instances are wanted; nobody has looked yet. */
static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline json_t *deployment_of(struct fixture *f, const char *pool)
{
	const char *name;
	json_t *obj;
	json_object_foreach(f->api.objects[KIND_DEPLOYMENT], name, obj)
		if (str_eq(json_string_value(json_at(obj, "metadata", "labels", LABEL_POOL)), pool))
			return obj;
	fail_msg("no Deployment of %s", pool);
	return NULL;
}

static inline void remove_deployment(struct fixture *f, const char *pool)
{
	api_remove(&f->api, KIND_DEPLOYMENT,
	           json_string_value(json_at(deployment_of(f, pool), "metadata", "name")));
}

static inline void put_pod(struct fixture *f, const char *name, const char *pool, const char *spec,
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

static inline void put_serving(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "'nodeName':'n'", SERVING, "");
}

/* Ready, and with the marks that it was born with. */
static inline void put_grown(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "'nodeName':'n'", SERVING,
	        "'" ANNOTATION_PROTECTED "':'true','" ANNOTATION_DO_NOT_DISRUPT
	        "':'true','" ANNOTATION_SAFE_TO_EVICT "':'false','other':'stays'");
}

static inline const json_t *annotations_of(struct fixture *f, const char *pod)
{
	return json_at(api_get(&f->api, KIND_POD, pod), "metadata", "annotations");
}

/* Long enough ago to be definite. */
static inline void put_refused(struct fixture *f, const char *name, const char *pool)
{
	put_pod(f, name, pool, "",
	        "{'type':'PodScheduled','status':'False','reason':'Unschedulable','lastTransitionTime':'2026-11-"
	        "25T10:00:01Z',"
	        "'message':'0/1 nodes are available: 1 Insufficient nvidia.com/gpu.'}",
	        "");
}

/* The condition of the endpoint's status: "True NameTaken". */
static inline void assert_condition(struct fixture *f, const char *type, const char *expected)
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
static inline int64_t metric_of(struct fixture *f, const char *series)
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

/* All three serve in the first pool. */
static inline void start_serving(struct fixture *f)
{
	start(f);
	expect(f, created);
	put_serving(f, "a", "p5");
	put_serving(f, "b", "p5");
	put_serving(f, "c", "p5");
	expect(f, "status");
}

static inline struct api_fault mark_fault(const char *status)
{
	return (struct api_fault){.method = "PATCH", .kind = KIND_POD, .status = status, .reason = "x"};
}

static inline int setup_server(void **state)
{
	(void)state;
	http_global_init();
	loop = loop_new();
	web_start(&web, loop_uv(loop));
	return 0;
}

static inline int teardown_server(void **state)
{
	(void)state;
	web_stop(&web);
	loop_free(loop);
	http_global_done();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
