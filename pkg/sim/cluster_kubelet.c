/* Pods' lives: the kubelet of each node, and what others do to a pod whose kubelet is away. */
#include "base/hash.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

#define CRASH_BACKOFF_MS 10000
#define CRASH_BACKOFF_MAX_MS 300000

static struct type_state *type_of(const struct cluster_pod *p)
{
	return &p->cluster->types[p->node->type];
}

static void update(struct cluster_pod *p)
{
	api_update(p->cluster->api, p->object);
}

static int32_t gpus_of(const json_t *spec)
{
	json_t *o, *list = json_at(spec, "containers", NULL);
	int64_t sum = 0;
	size_t i;
	json_array_foreach(list, i, o) {
		const json_t *v = json_at(o, "resources", "limits", CLUSTER_GPU, NULL);
		int64_t n = json_integer_value(v);
		if (json_is_string(v))
			slice_to_i64(slice_from(json_string_value(v)), &n, NULL);
		sum += n;
	}
	return (int32_t)sum;
}

struct cluster_pod *pod_new(struct cluster *c, struct api_object *o, struct workload *w, int type)
{
	struct cluster_pod *p = xcalloc(1, sizeof(*p));
	const json_t *spec = json_at(o->doc, "spec", NULL);
	const json_t *grace = json_at(spec, "terminationGracePeriodSeconds", NULL);

	p->cluster = c;
	p->object = o;
	p->workload = w;
	p->chance = hash64_str(c->seed, o->name);
	p->type = type;
	p->gpus = gpus_of(spec);
	p->grace_ms = (grace ? json_integer_value(grace) : 30) * MS_PER_S;
	task_init(&p->life, c, p);
	task_init(&p->end, c, p);
	TAILQ_INSERT_TAIL(&c->pods, p, link);
	o->own = p;
	if (w)
		workload_pod_changed(w);
	return p;
}

void pod_free(struct cluster_pod *p)
{
	scheduler_forget(p);
	task_cancel(&p->life);
	task_cancel(&p->end);
	TAILQ_REMOVE(&p->cluster->pods, p, link);
	free(p);
}

/* ---- what its status says ---- */

static json_t *state_of(struct cluster_pod *p, json_t *status)
{
	static const char *const image_words[] = {"ErrImagePull", "ImagePullBackOff"};
	bool image = p->stage == STAGE_FAILING && p->failure == CLUSTER_IMAGE;
	bool crashed = p->failure == CLUSTER_CRASH && p->n_crashes > 0;
	bool crash = p->stage == STAGE_FAILING && crashed;
	const char *reason = image                        ? image_words[(p->n_crashes + 1) % 2]
	                     : crash                      ? "CrashLoopBackOff"
	                     : p->stage == STAGE_CREATING ? "ContainerCreating"
	                                                  : NULL;
	json_t *state = json_must(json_object());
	json_t *last = json_child(status, "lastState");

	if (crashed) {
		json_t *ended = json_child(last, "terminated");
		json_put_int(ended, "exitCode", 1);
		json_put_str(ended, "reason", "Error");
		json_put_time(ended, "finishedAt", timeline_wall(p->cluster->timeline));
	}
	if (reason)
		json_put_str(json_child(state, "waiting"), "reason", reason);
	else
		json_put_time(json_child(state, "running"), "startedAt", timeline_wall(p->cluster->timeline));
	return state;
}

static json_t *container_status(struct cluster_pod *p, const json_t *container)
{
	json_t *o = json_must(json_object());
	json_put_str(o, "name", json_string_value(json_object_get(container, "name")));
	json_put_str(o, "image", json_string_value(json_object_get(container, "image")));
	json_put_bool(o, "ready", p->stage == STAGE_READY);
	json_put_bool(o, "started", p->stage == STAGE_READY || p->stage == STAGE_RUNNING);
	json_put_int(o, "restartCount", p->failure == CLUSTER_CRASH ? p->n_crashes : 0);
	json_set(o, "state", state_of(p, o));
	return o;
}

static void set_ready(struct cluster_pod *p, bool ready)
{
	cluster_condition(p->cluster, p->object->doc, "Ready", ready ? "True" : "False",
	                  ready ? NULL : "ContainersNotReady", NULL);
	bool turned = ready != p->says_ready;
	p->says_ready = ready;
	if (turned && ready)
		p->ready_ms = timeline_ms(p->cluster->timeline);
	if (turned && p->workload)
		workload_pod_changed(p->workload);
}

/* As the kubelet sees it. */
static void show(struct cluster_pod *p)
{
	json_t *doc = p->object->doc, *status = json_child(doc, "status");
	json_t *container, *containers = json_at(doc, "spec", "containers", NULL);
	json_t *list = json_must(json_array());
	bool runs = p->stage == STAGE_RUNNING || p->stage == STAGE_READY ||
	            (p->stage == STAGE_FAILING && p->failure != CLUSTER_IMAGE);
	size_t i;

	json_array_foreach(containers, i, container)
		cluster_append(list, container_status(p, container));
	json_set(status, "containerStatuses", list);
	json_put_str(status, "phase", runs ? "Running" : "Pending");
	cluster_condition(p->cluster, doc, "Initialized", "True", NULL, NULL);
	set_ready(p, p->stage == STAGE_READY);
	update(p);
}

/* ---- its start ---- */

static void step(void *arg);

static void plan_step(struct cluster_pod *p, int64_t delay_ms)
{
	task_after(&p->life, delay_ms, step);
}

static int64_t draw(const struct cluster_pod *p, const char *purpose, int64_t low, int64_t high)
{
	return cluster_chance(p->chance, purpose, p->n_crashes, low, high);
}

static void fail_again(struct cluster_pod *p)
{
	int64_t backoff = CRASH_BACKOFF_MS;
	for (uint32_t i = 0; i < p->n_crashes / 2 && backoff < CRASH_BACKOFF_MAX_MS; i++)
		backoff *= 2;
	p->n_crashes++;
	show(p);
	if (p->failure != CLUSTER_UNREADY)
		plan_step(p, backoff < CRASH_BACKOFF_MAX_MS ? backoff : CRASH_BACKOFF_MAX_MS);
}

/* The next thing that its kubelet says. */
static void step(void *arg)
{
	struct cluster_pod *p = arg;
	int64_t load = type_of(p)->spec->load_ms;

	if (pod_is_silent(p) || p->leaving)
		return;
	switch (p->stage) {
	case STAGE_WAITING:
	case STAGE_READY: /* heard again */
		show(p);
		return;
	case STAGE_BOUND:
		p->stage = STAGE_CREATING;
		show(p);
		plan_step(p, draw(p, "created", load / 20, load / 4));
		return;
	case STAGE_CREATING:
		p->stage = STAGE_RUNNING;
		if (cluster_now(p->cluster) < type_of(p)->failing_until_ms) {
			p->stage = STAGE_FAILING;
			p->failure = type_of(p)->failure;
			fail_again(p);
			return;
		}
		show(p);
		plan_step(p, draw(p, "load", load * 45 / 100, load * 125 / 100));
		return;
	case STAGE_RUNNING:
		p->stage = STAGE_READY;
		show(p);
		return;
	case STAGE_FAILING:
		fail_again(p);
		return;
	}
}

void pod_bind(struct cluster_pod *p, struct cluster_node *n)
{
	json_t *doc = p->object->doc;

	task_cancel(&p->life);
	scheduler_forget(p);
	p->bound = true;
	p->node = n;
	p->stage = STAGE_BOUND;
	p->refused = false;
	node_use(n, p->gpus);
	json_put_str(json_child(doc, "spec"), "nodeName", n->object->name);
	cluster_condition(p->cluster, doc, "PodScheduled", "True", NULL, NULL);
	update(p);
	plan_step(p, draw(p, "seen", 50, 1500));
}

void pod_cure(struct cluster_pod *p)
{
	if (p->stage != STAGE_FAILING)
		return;
	p->stage = STAGE_RUNNING;
	if (p->node && !p->leaving) {
		show(p);
		plan_step(p, draw(p, "load", type_of(p)->spec->load_ms / 2, type_of(p)->spec->load_ms * 3 / 2));
	}
}

/* ---- its end ---- */

static void gone(void *arg)
{
	struct cluster_pod *p = arg;
	api_remove(p->cluster->api, p->object);
}

/* Containers are told to stop; one that does not answer any more is not asked. */
static void plan_end(struct cluster_pod *p)
{
	task_cancel(&p->life);
	if (!p->bound)
		task_after(&p->end, 0, gone);
	else if (p->node && !pod_is_silent(p))
		task_after(&p->end, draw(p, "end", p->grace_ms / 5, p->grace_ms), gone);
}

void pod_end(struct cluster_pod *p)
{
	json_t *meta = json_child(p->object->doc, "metadata");

	if (p->leaving)
		return;
	scheduler_forget(p);
	task_cancel(&p->life);
	if (!p->bound) {
		gone(p);
		return;
	}
	p->leaving = true;
	json_put_time(meta, "deletionTimestamp", wall_add(timeline_wall(p->cluster->timeline), p->grace_ms));
	json_put_int(meta, "deletionGracePeriodSeconds", p->grace_ms / MS_PER_S);
	if (p->workload)
		workload_pod_changed(p->workload);
	if (!task_is_planned(&p->end)) /* as garbage */
		plan_end(p);
	update(p);
}

void pod_seen(struct cluster_pod *p, enum api_change change)
{
	struct cluster *c = p->cluster;
	struct workload *w = p->workload;
	struct cluster_node *n = p->node;
	int32_t gpus = p->gpus;
	bool bound = p->bound;

	if (change == API_MODIFIED && !p->leaving &&
	    json_at(p->object->doc, "metadata", "deletionTimestamp", NULL)) {
		p->leaving = true;
		scheduler_forget(p);
		plan_end(p);
		if (w)
			workload_pod_changed(w);
	}
	if (change != API_DELETED)
		return;
	pod_free(p);
	if (n)
		node_use(n, -gpus);
	if (w)
		workload_pod_changed(w);
	if (bound)
		scheduler_wake(c);
}

/* ---- its node is away ---- */

static void lose(void *arg)
{
	struct cluster_pod *p = arg;
	json_put_str(json_child(p->object->doc, "status"), "phase", "Failed");
	cluster_condition(p->cluster, p->object->doc, "DisruptionTarget", "True", "DeletionByPodGC",
	                  "PodGC: node no longer exists");
	update(p);
	gone(p);
}

static void say_unready(void *arg)
{
	struct cluster_pod *p = arg;
	if (!p->says_ready)
		return;
	set_ready(p, false);
	update(p);
}

/* Pods without a node are collected every 20 s. */
void pod_node_gone(struct cluster_pod *p)
{
	int64_t left = draw(p, "pod garbage", 200, 20000);

	p->node = NULL;
	task_cancel(&p->life);
	task_after(&p->end, left, lose);
	if (draw(p, "unready first", 0, 1) == 0)
		task_after(&p->life, draw(p, "unready", 50, left), say_unready);
}

void pod_node_silent(struct cluster_pod *p)
{
	say_unready(p);
}

void pod_node_heard(struct cluster_pod *p)
{
	if (p->leaving)
		plan_end(p);
	else if (p->stage != STAGE_FAILING || p->failure != CLUSTER_UNREADY)
		plan_step(p, draw(p, "heard", 200, 3000));
}
