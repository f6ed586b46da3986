/* Making and taking down the operator. */
#include "operator/controller.h"
#include <malloc.h>
#include "base/host.h"
#include "base/log.h"
#include "operator/internal.h"

#define DETECT_INTERVAL_MS (10 * 60 * MS_PER_S)
#define DETECT_RETRY_MS MS_PER_S
#define TIDY_AFTER_MS (5 * MS_PER_S)
#define BACKOFF_BASE_MS 200
#define PASSING_MS (10 * MS_PER_S)    /* a watch that is away for less does not make it unready */
#define BACKOFF_MAX_MS (3 * MS_PER_S) /* so that recovery after an outage is quick */

/* The first lists, and a burst of work, leave holes in the heap that glibc keeps. */
static void tidy(void *arg)
{
	(void)arg;
	malloc_trim(0);
}

void controller_tidy_later(struct controller *op)
{
	loop_timer_arm(op->tidy, TIDY_AFTER_MS);
}

static int enqueue_backlog(void *arg, const void *obj)
{
	const struct endpoint *e = obj;

	shared_tell(arg, e, &e->status, NULL, wall_now());
	controller_enqueue(arg, e->meta.ns, e->meta.name, QUEUE_BACKLOG);
	return 0;
}

static void begin(struct controller *op)
{
	if (op->started)
		return;
	op->started = true;
	watches_start_events(op);
	LOG_INFO("all watches are complete",
	         LOG_INT("endpoints", (int64_t)store_count(controller_store(op, KIND_ENDPOINT))),
	         LOG_INT("pods", (int64_t)store_count(controller_store(op, KIND_POD))),
	         LOG_INT("nodes", (int64_t)store_count(controller_store(op, KIND_NODE))));
	store_each(controller_store(op, KIND_ENDPOINT), enqueue_backlog, op);
	controller_tidy_later(op);
}

static void detection_answered(void *arg, enum kube_outcome outcome, const struct kube_reply *r,
                               const struct err *err)
{
	struct detection *d = arg;
	struct controller *op = d->op;

	(void)outcome;
	(void)r;
	d->call = NULL;
	if (err->code == ERR_NONE && !op->autoscaler_found) {
		op->autoscaler_found = true;
		LOG_INFO("a node autoscaler provides nodes: a pool gets its provision timeout, unless that says no",
		         LOG_STR("found", d == &op->karpenter ? "the API group karpenter.sh"
		                                              : "ConfigMap kube-system/cluster-autoscaler-status"));
		if (op->started)
			watches_start_events(op);
	}
	/* 404: it is not there. 403: nobody has let us look, so nobody wants us to know. */
	if (err->code == ERR_NONE || err->http_status == 403 || err->http_status == 404) {
		d->answered = true;
	} else if (!op->started) {
		LOG_WARN("looking for a node autoscaler failed and is tried again", LOG_ERR(err));
		loop_timer_arm(op->detect, DETECT_RETRY_MS);
	}
	/* Without an answer a pool could be given up whose nodes are on their way. */
	if (op->autoscaler_found || (op->karpenter.answered && op->cluster_autoscaler.answered))
		begin(op);
}

static void detect(void *arg)
{
	static const struct kube_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};
	struct controller *op = arg;
	struct kube_request rq = {
		.verb = KUBE_GET, .resource = &configmaps, .ns = "kube-system", .name = "cluster-autoscaler-status"};

	if (op->autoscaler_found)
		return;
	if (!op->karpenter.call)
		op->karpenter.call =
			kube_client_get_path(op->client, "/apis/karpenter.sh", detection_answered, &op->karpenter);
	/* It lies in a namespace of its own: who may not look at nodes may not look there. */
	if (!op->options.watch_nodes)
		op->cluster_autoscaler.answered = true;
	else if (!op->cluster_autoscaler.call)
		op->cluster_autoscaler.call =
			kube_client_call(op->client, &rq, detection_answered, &op->cluster_autoscaler);
	loop_timer_arm(op->detect, DETECT_INTERVAL_MS);
}

/* Autoscalers are looked for only now: a server that has just started may have known nobody's rights before. */
void controller_synced(struct controller *op)
{
	if (op->options.node_autoscaler == NODE_AUTOSCALER_AUTO)
		loop_timer_arm(op->detect, 0);
	else
		begin(op);
}

static void event_failed(void *arg, const struct err *err)
{
	struct controller *op = arg;

	trouble_event(op->trouble, err, loop_now(op->loop));
}

struct controller *controller_new(struct loop *l, struct kube_client *c, struct metrics *m,
                                  const struct controller_options *o)
{
	struct controller *op = xcalloc(1, sizeof(*op));

	op->loop = l;
	op->client = c;
	op->metrics = m;
	op->options = *o;
	for (size_t i = 0; i < o->n_namespaces; i++)
		op->namespaces[i] = xstrdup(o->namespaces[i]);
	op->options.namespaces = (const char *const *)op->namespaces;
	for (size_t i = 0; i < KIND_COUNT; i++)
		op->stores[i] = store_new(&controller_types[i]);
	op->instance = xstrdup(o->instance);
	op->queue = queue_new(&(struct queue_options){BACKOFF_BASE_MS, BACKOFF_MAX_MS});
	op->pump = loop_timer_new(l, reconcile_pump, op);
	op->beat = loop_timer_new(l, view_beat, op);
	op->detect = loop_timer_new(l, detect, op);
	op->tidy = loop_timer_new(l, tidy, NULL);
	op->karpenter.op = op->cluster_autoscaler.op = op;
	op->trouble = trouble_new();
	op->events = event_recorder_new(c, API_FIELD_MANAGER, op->instance);
	event_recorder_on_failure(op->events, event_failed, op);
	op->m = controller_metrics_new(op);
	shared_init(op);
	map_init(&op->works);
	map_init(&op->service_line);
	map_init(&op->unreadable_models);
	return op;
}

void controller_start(struct controller *op)
{
	op->beat_due = boot_now();
	view_beat(op);
	watches_start(op);
}

static int end_lead(void *arg, const char *key, void *value)
{
	struct work *w = value;

	(void)arg;
	(void)key;
	run_cancel(w);
	obstacles_forget(w);
	w->n_asked = 0; /* another asks from now on */
	return 0;
}

/* Also what was deleted while another led: there may be something to forget. */
static int enqueue_known(void *arg, const char *key, void *value)
{
	const struct work *w = value;

	(void)key;
	controller_enqueue(arg, w->ns, w->name, QUEUE_BACKLOG);
	return 0;
}

void controller_lead(struct controller *op, bool leads)
{
	op->leads = leads;
	if (leads && op->started) {
		shortages_reset(op->shortages); /* another has decided meanwhile: the statuses tell */
		store_each(controller_store(op, KIND_ENDPOINT), enqueue_backlog, op);
		map_each(&op->works, enqueue_known, op);
	}
	if (!leads)
		map_each(&op->works, end_lead, NULL);
}

static void free_work(void *w)
{
	work_free(w);
}

void controller_free(struct controller *op)
{
	if (!op)
		return;
	if (op->karpenter.call)
		kube_call_cancel(op->karpenter.call);
	if (op->cluster_autoscaler.call)
		kube_call_cancel(op->cluster_autoscaler.call);
	map_done(&op->works, free_work);
	map_done(&op->service_line, NULL);
	map_done(&op->unreadable_models, free);
	watches_free(op);
	for (size_t i = 0; i < KIND_COUNT; i++)
		store_free(op->stores[i]);
	event_recorder_free(op->events);
	shortages_free(op->shortages);
	queue_free(op->queue);
	loop_timer_free(op->pump);
	loop_timer_free(op->beat);
	loop_timer_free(op->detect);
	loop_timer_free(op->tidy);
	controller_metrics_free(op->m);
	trouble_free(op->trouble);
	for (size_t i = 0; i < op->options.n_namespaces; i++)
		free(op->namespaces[i]);
	free(op->instance);
	free(op);
}

/* Not while the watch is opened anew after a stream that broke. */
static bool is_well(const struct watched *w)
{
	return informer_synced(w->informer) &&
	       (w->away_since.ms == 0 || loop_now(w->op->loop).ms - w->away_since.ms < PASSING_MS);
}

bool controller_ready(const struct controller *op, struct err *err)
{
	for (size_t i = 0; i < op->n_needed; i++) {
		const struct watched *w = &op->watched[i];
		const struct kube_resource *r = &controller_types[w->kind].resource;
		const struct err *trouble = informer_trouble(w->informer);
		char hint[TROUBLE_HINT_SIZE] = "";

		if (is_well(w))
			continue;
		if (trouble)
			trouble_hint(r, trouble, hint);
		err_set(err, ERR_NOT_FOUND, "waiting to hear of %s%s%s%s%s", r->plural, trouble ? ": " : "",
		        trouble ? trouble->message : "", *hint ? "; " : "", hint);
		return false;
	}
	if (!op->started)
		return err_set(err, ERR_NOT_FOUND, "waiting to hear of node autoscalers") == 0;
	return obstacles_none(op, err);
}
