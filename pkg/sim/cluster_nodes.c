/* Nodes: how they come up, what befalls them, how they go. */
#include "api/names.h"
#include "base/hash.h"
#include "base/json.h"
#include "sim/cluster_internal.h"

#define STANDING_MS INT64_C(3600000) /* those at the start have been there for so long */
#define EVICTION_MS INT64_C(300000)  /* the toleration that every pod gets */

static int64_t draw(const struct cluster_node *n, const char *purpose, int64_t low, int64_t high)
{
	return cluster_chance(n->chance, purpose, n->n_acts, low, high);
}

void node_name(struct cluster *c, size_t type, char buf[static CLUSTER_NAME_SIZE])
{
	struct type_state *t = &c->types[type];
	str_format(buf, CLUSTER_NAME_SIZE, "%s-%u", t->spec->name, t->n_named++);
}

/* ---- what it says ---- */

static void add_taint(json_t *list, const char *key, const char *effect)
{
	json_t *taint = json_must(json_object());
	json_put_str(taint, "key", key);
	json_put_str(taint, "effect", effect);
	cluster_append(list, taint);
}

static bool is_unknown(const struct cluster_node *n)
{
	return n->silence >= SILENCE_UNKNOWN;
}

bool node_says_taint(const struct cluster_node *n)
{
	return is_unknown(n) || n->boot == BOOT_STARTING || n->cordoned || n->doomed || n->removing;
}

int32_t node_says_gpus(const struct cluster_node *n)
{
	return n->boot == BOOT_DONE && !n->emptied ? n->cluster->types[n->type].spec->gpus : 0;
}

static json_t *taints_of(const struct cluster_node *n)
{
	enum cluster_nodes from = n->cluster->nodes_from;
	json_t *list = json_must(json_array());

	add_taint(list, GPU_TAINT_KEY, "NoSchedule");
	if (is_unknown(n)) {
		add_taint(list, "node.kubernetes.io/unreachable", "NoSchedule");
		add_taint(list, "node.kubernetes.io/unreachable", "NoExecute");
	} else if (n->boot == BOOT_STARTING) {
		add_taint(list, "node.kubernetes.io/not-ready", "NoSchedule");
		if (from == CLUSTER_KARPENTER)
			add_taint(list, "karpenter.sh/unregistered", "NoExecute");
	}
	if (n->cordoned)
		add_taint(list, "node.kubernetes.io/unschedulable", "NoSchedule");
	if (n->doomed)
		add_taint(list, "aws-node-termination-handler/spot-itn", "NoSchedule");
	if (n->removing)
		add_taint(list,
		          from == CLUSTER_KARPENTER ? "karpenter.sh/disrupted" : "ToBeDeletedByClusterAutoscaler",
		          "NoSchedule");
	return list;
}

/* Negative: no device plugin has spoken yet. */
static void put_resources(json_t *status, const char *key, int32_t gpus)
{
	char text[16];
	json_t *o = json_child(status, key);
	json_put_str(o, "cpu", "96");
	json_put_str(o, "pods", "110");
	if (gpus < 0)
		return;
	str_format(text, sizeof(text), "%d", gpus);
	json_put_str(o, CLUSTER_GPU, text);
}

static void fill(struct cluster_node *n, json_t *doc)
{
	int32_t gpus = n->boot == BOOT_DONE ? n->cluster->types[n->type].spec->gpus : -1;
	json_t *spec = json_child(doc, "spec"), *status = json_child(doc, "status");

	json_set(spec, "taints", taints_of(n));
	if (n->cordoned)
		json_put_bool(spec, "unschedulable", true);
	else
		json_object_del(spec, "unschedulable");
	put_resources(status, "capacity", n->emptied && n->forgets_devices ? 0 : gpus);
	put_resources(status, "allocatable", gpus < 0 ? gpus : node_says_gpus(n));
	if (n->boot == BOOT_DONE)
		json_put_str(json_child(json_child(doc, "metadata"), "labels"), CLUSTER_GPU ".present", "true");
	if (is_unknown(n))
		cluster_condition(n->cluster, doc, "Ready", "Unknown", "NodeStatusUnknown",
		                  "Kubelet stopped posting node status.");
	else if (n->boot == BOOT_STARTING)
		cluster_condition(n->cluster, doc, "Ready", "False", "KubeletNotReady", "container runtime is down");
	else
		cluster_condition(n->cluster, doc, "Ready", "True", "KubeletReady",
		                  "kubelet is posting ready status");
}

void node_show(struct cluster_node *n)
{
	fill(n, n->object->doc);
	api_update(n->cluster->api, n->object);
	scheduler_wake(n->cluster);
}

int32_t node_free_gpus(const struct cluster_node *n)
{
	int32_t left = node_says_gpus(n) - n->used;
	return left > 0 && !node_says_taint(n) && n->silence == SILENCE_NONE ? left : 0;
}

void node_use(struct cluster_node *n, int32_t gpus)
{
	n->used += gpus;
	if (gpus >= 0)
		n->n_pods++;
	else
		n->n_pods--;
	if (n->n_pods == 0)
		provider_node_empty(n);
	else
		task_cancel(&n->idle);
}

/* ---- how it comes ---- */

static void boot_step(void *arg)
{
	struct cluster_node *n = arg;

	if (n->silence != SILENCE_NONE || n->boot == BOOT_DONE)
		return;
	n->boot++;
	node_show(n);
	if (n->boot == BOOT_BARE)
		task_after(&n->booting, draw(n, "devices", 1000, 15000), boot_step);
	else if (n->n_pods == 0)
		provider_node_empty(n);
}

static void plan_boot(struct cluster_node *n)
{
	if (n->boot == BOOT_STARTING)
		task_after(&n->booting, n->boot_ms, boot_step);
	else if (n->boot == BOOT_BARE)
		task_after(&n->booting, draw(n, "devices", 1000, 15000), boot_step);
}

static void backdate(struct cluster_node *n)
{
	struct wall then = wall_add(timeline_wall(n->cluster->timeline), -STANDING_MS);
	json_t *doc = n->object->doc;
	json_put_time(json_child(doc, "metadata"), "creationTimestamp", then);
	json_put_time(json_array_get(json_at(doc, "status", "conditions", NULL), 0), "lastTransitionTime", then);
	api_update(n->cluster->api, n->object);
}

struct cluster_node *node_new(struct cluster *c, size_t type, const char *name, enum boot boot,
                              int64_t boot_ms)
{
	struct cluster_node *n = xcalloc(1, sizeof(*n));
	json_t *doc = json_must(json_object()), *meta = json_child(doc, "metadata");
	json_t *labels = json_child(meta, "labels");

	n->cluster = c;
	n->type = type;
	n->chance = hash64_str(c->seed, name);
	n->boot = boot;
	n->boot_ms = boot_ms;
	struct task *tasks[] = {&n->booting, &n->silent, &n->heard, &n->cordon, &n->devices, &n->gone, &n->idle};
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		task_init(tasks[i], c, n);
	n->heard.outside = n->cordon.outside = n->devices.outside = n->gone.outside = n->idle.outside = true;
	json_put_str(doc, "apiVersion", "v1");
	json_put_str(doc, "kind", "Node");
	json_put_str(meta, "name", name);
	json_put_str(labels, NODE_LABEL_INSTANCE_TYPE, c->types[type].spec->name);
	json_put_str(labels, "kubernetes.io/hostname", name);
	TAILQ_INSERT_TAIL(&c->nodes, n, link);
	fill(n, doc);
	n->object = api_create(c->api, API_NODE, doc);
	if (boot == BOOT_DONE) {
		backdate(n);
		provider_node_empty(n);
	}
	plan_boot(n);
	scheduler_wake(c);
	return n;
}

void node_free(struct cluster_node *n)
{
	struct task *tasks[] = {&n->booting, &n->silent, &n->heard, &n->cordon, &n->devices, &n->gone, &n->idle};
	for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
		task_cancel(tasks[i]);
	TAILQ_REMOVE(&n->cluster->nodes, n, link);
	free(n);
}

void node_remove(struct cluster_node *n)
{
	struct cluster *c = n->cluster;
	struct api_object *o = n->object;
	struct cluster_pod *p;

	TAILQ_FOREACH(p, &c->pods, link)
	if (p->node == n)
		pod_node_gone(p);
	node_free(n);
	api_remove(c->api, o);
}

static void remove_later(void *arg)
{
	node_remove(arg);
}

/* ---- what befalls it ---- */

static struct cluster_node *find(struct cluster *c, size_t type, size_t nth)
{
	struct cluster_node *n;
	size_t living = 0;

	TAILQ_FOREACH(n, &c->nodes, link)
	living += n->type == type;
	if (living == 0)
		return NULL;
	nth %= living;
	TAILQ_FOREACH(n, &c->nodes, link)
	if (n->type == type && nth-- == 0)
		break;
	n->n_acts++;
	return n;
}

void cluster_add_node(struct cluster *c, size_t type)
{
	char name[CLUSTER_NAME_SIZE];
	int64_t boot = c->types[type].spec->boot_ms;

	node_name(c, type, name);
	node_new(c, type, name, BOOT_STARTING,
	         cluster_chance(hash64_str(c->seed, name), "boot", 0, boot / 10, boot / 2));
}

bool cluster_delete_node(struct cluster *c, size_t type, size_t nth)
{
	struct cluster_node *n = find(c, type, nth);
	if (n)
		node_remove(n);
	return n != NULL;
}

bool cluster_doom_node(struct cluster *c, size_t type, size_t nth, int64_t for_ms)
{
	struct cluster_node *n = find(c, type, nth);
	if (!n)
		return false;
	n->doomed = true;
	node_show(n);
	if (!n->removing)
		task_after(&n->gone, for_ms, remove_later);
	return true;
}

/* Where no node at all is heard of it is the way to them: nobody is evicted. */
static bool any_is_heard(const struct cluster *c)
{
	const struct cluster_node *n;
	TAILQ_FOREACH(n, &c->nodes, link)
	if (!is_unknown(n))
		return true;
	return false;
}

static void evict(struct cluster_node *n)
{
	struct cluster_pod *p;
	TAILQ_FOREACH(p, &n->cluster->pods, link)
	if (p->node == n)
		pod_end(p);
}

static void silence_step(void *arg)
{
	struct cluster_node *n = arg;
	struct cluster_pod *p;

	if (n->silence == SILENCE_UNNOTICED) {
		n->silence = SILENCE_UNKNOWN;
		node_show(n);
		task_after(&n->silent, draw(n, "pods told", 10, 5000), silence_step);
	} else if (n->silence == SILENCE_UNKNOWN) {
		n->silence = SILENCE_PODS_TOLD;
		TAILQ_FOREACH(p, &n->cluster->pods, link)
		if (p->node == n)
			pod_node_silent(p);
		task_after(&n->silent, EVICTION_MS, silence_step);
	} else if (!any_is_heard(n->cluster)) {
		task_after(&n->silent, 5000, silence_step);
	} else {
		n->silence = SILENCE_EVICTED;
		evict(n);
	}
}

static void heard_again(void *arg)
{
	struct cluster_node *n = arg;
	struct cluster_pod *p;

	task_cancel(&n->silent);
	n->silence = SILENCE_NONE;
	node_show(n);
	plan_boot(n);
	TAILQ_FOREACH(p, &n->cluster->pods, link)
	if (p->node == n)
		pod_node_heard(p);
}

bool cluster_silence_node(struct cluster *c, size_t type, size_t nth, int64_t for_ms)
{
	struct cluster_node *n = find(c, type, nth);
	if (!n)
		return false;
	task_after(&n->heard, for_ms, heard_again);
	if (n->silence != SILENCE_NONE)
		return true;
	n->silence = SILENCE_UNNOTICED;
	task_after(&n->silent, draw(n, "unknown", 35000, 45000), silence_step);
	struct cluster_pod *p;
	TAILQ_FOREACH(p, &c->pods, link)
	if (p->node == n && p->leaving)
		task_cancel(&p->end); /* what ends there has nobody who says so */
	return true;
}

static void uncordon(void *arg)
{
	struct cluster_node *n = arg;
	n->cordoned = false;
	node_show(n);
}

bool cluster_cordon_node(struct cluster *c, size_t type, size_t nth, int64_t for_ms)
{
	struct cluster_node *n = find(c, type, nth);
	if (!n)
		return false;
	n->cordoned = true;
	node_show(n);
	task_after(&n->cordon, for_ms, uncordon);
	return true;
}

static void devices_back(void *arg)
{
	struct cluster_node *n = arg;
	n->emptied = false;
	node_show(n);
}

bool cluster_lose_devices(struct cluster *c, size_t type, size_t nth, int64_t for_ms)
{
	struct cluster_node *n = find(c, type, nth);
	if (!n)
		return false;
	n->emptied = true;
	n->forgets_devices = draw(n, "forgets devices", 0, 1) == 1;
	node_show(n);
	task_after(&n->devices, for_ms, devices_back);
	return true;
}

void node_heal(struct cluster_node *n)
{
	if (n->doomed) {
		node_remove(n);
		return;
	}
	task_cancel(&n->heard);
	task_cancel(&n->cordon);
	task_cancel(&n->devices);
	if (n->cordoned || n->emptied) {
		n->cordoned = n->emptied = false;
		node_show(n);
	}
	if (n->silence != SILENCE_NONE)
		heard_again(n);
}

/* ---- strangers ---- */

static void stranger_ends(void *arg)
{
	struct cluster_pod *p = arg;
	api_remove(p->cluster->api, p->object);
}

static void take(struct cluster *c, struct cluster_node *n, int32_t gpus, int64_t for_ms)
{
	char name[CLUSTER_NAME_SIZE];
	json_t *doc = json_must(json_object()), *meta = json_child(doc, "metadata");
	json_t *container = json_must(json_object()), *containers = json_must(json_array());

	str_format(name, sizeof(name), "stranger-%u", c->n_strangers++);
	json_put_str(doc, "apiVersion", "v1");
	json_put_str(doc, "kind", "Pod");
	json_put_str(meta, "name", name);
	json_put_str(meta, "namespace", CLUSTER_NS);
	json_put_str(json_child(meta, "labels"), "app", "stranger");
	json_put_str(container, "name", "job");
	json_put_str(container, "image", "registry.example.com/job:1");
	json_put_int(json_child(json_child(container, "resources"), "limits"), CLUSTER_GPU, gpus);
	cluster_append(containers, container);
	json_set(json_child(doc, "spec"), "containers", containers);
	json_put_str(json_child(doc, "status"), "phase", "Pending");
	struct cluster_pod *p = pod_new(c, api_create(c->api, API_POD, doc), NULL, (int)n->type);
	pod_bind(p, n);
	p->end.outside = true;
	task_after(&p->end, for_ms, stranger_ends);
}

bool cluster_stranger(struct cluster *c, size_t type, int32_t gpus, int64_t for_ms)
{
	struct cluster_node *n;
	bool taken = false;

	TAILQ_FOREACH(n, &c->nodes, link)
	{
		int32_t here = n->type == type ? node_free_gpus(n) : 0;
		if (here > gpus)
			here = gpus;
		if (here <= 0)
			continue;
		take(c, n, here, for_ms);
		gpus -= here;
		taken = true;
	}
	return taken;
}
