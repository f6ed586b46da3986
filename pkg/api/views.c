#include "api/views.h"
#include "api/names.h"
#include "base/mem.h"

struct condition_view {
	const char *type, *status, *reason, *message;
	struct wall since;
};

static const struct jfield condition_fields[] = {
	{"type", J_STR, .offset = offsetof(struct condition_view, type)},
	{"status", J_STR, .offset = offsetof(struct condition_view, status)},
	{"reason", J_STR, .offset = offsetof(struct condition_view, reason)},
	{"message", J_STR, .offset = offsetof(struct condition_view, message)},
	{"lastTransitionTime", J_TIME, .offset = offsetof(struct condition_view, since)},
	{0},
};

#define CONDITIONS(fold_fn)                                                                    \
	{                                                                                          \
		"conditions", J_EACH, 0, condition_fields, .elem_size = sizeof(struct condition_view), \
												   .fold = (fold_fn)                           \
	}
#define CONTAINERS(name)                                                               \
	{                                                                                  \
		name, J_EACH, 0, container_fields, .elem_size = sizeof(struct container_view), \
										   .fold = (fold_container)                    \
	}
/* What a fold kept. */
#define KEPT_STR(type, member)                               \
	{                                                        \
		NULL, J_STR, .offset = offsetof(struct type, member) \
	}
#define STR(name, type, member)                              \
	{                                                        \
		name, J_STR, .offset = offsetof(struct type, member) \
	}
#define OBJECT(name, table)               \
	{                                     \
		name, J_OBJECT, 0, .sub = (table) \
	}

static enum tristate parse_status(const char *s)
{
	return str_eq(s, "True") ? TRI_TRUE : str_eq(s, "False") ? TRI_FALSE : TRI_UNKNOWN;
}

static const char *none_if_empty(const char *s)
{
	return str_empty(s) ? NULL : s;
}

/* `base`, read into and released with `scratch`, as a view of its own; NULL after an error. */
static void *decode(const struct jfield *table, struct slice json, void *base, size_t size, struct err *err)
{
	CLEANUP_ARENA struct arena scratch;
	arena_init(&scratch);
	if (jread(table, json, &scratch, base, err) < 0)
		return NULL;
	if (str_empty(((const struct objmeta *)base)->name)) {
		err_set(err, ERR_INVALID, "metadata.name: missing");
		return NULL;
	}
	return jread_pack(table, base, size);
}

/* Pod */

static void fold_pod_condition(void *base, const void *elem)
{
	struct pod *p = base;
	const struct condition_view *c = elem;
	if (str_eq(c->type, "PodScheduled")) {
		p->scheduled = parse_status(c->status);
		p->scheduled_reason = none_if_empty(c->reason);
		p->scheduled_message = none_if_empty(c->message);
		p->scheduled_since = c->since;
	} else if (str_eq(c->type, "Ready")) {
		p->ready = parse_status(c->status) == TRI_TRUE;
		p->ready_since = c->since;
	} else if (str_eq(c->type, "Initialized")) {
		p->initialized = parse_status(c->status);
		p->initialized_since = c->since;
	}
}

struct container_view {
	const char *name, *image;
	const char *waiting_reason, *waiting_message;
	bool ready, ended_before;
	const char *ended_reason;
	int32_t exit_code;
};

static const struct jfield waiting_fields[] = {
	STR("reason", container_view, waiting_reason),
	STR("message", container_view, waiting_message),
	{0},
};
static const struct jfield state_fields[] = {OBJECT("waiting", waiting_fields), {0}};
static const struct jfield terminated_fields[] = {
	STR("reason", container_view, ended_reason),
	{"exitCode", J_I32, .offset = offsetof(struct container_view, exit_code)},
	{"finishedAt", J_PRESENT, .offset = offsetof(struct container_view, ended_before)},
	{0},
};
static const struct jfield last_state_fields[] = {
	OBJECT("terminated", terminated_fields),
	{0},
};
static const struct jfield container_fields[] = {
	STR("name", container_view, name),
	STR("image", container_view, image),
	{"ready", J_BOOL, .offset = offsetof(struct container_view, ready)},
	OBJECT("state", state_fields),
	OBJECT("lastState", last_state_fields),
	{0},
};

/* The kubelet's words (pkg/kubelet/images and pkg/kubelet/kuberuntime in kubernetes). */
static enum pod_trouble trouble_of(const struct container_view *c)
{
	static const struct {
		const char *reason;
		enum pod_trouble trouble;
	} words[] = {
		{"ErrImagePull", POD_IMAGE_PULL},
		{"ImagePullBackOff", POD_IMAGE_PULL},
		{"InvalidImageName", POD_IMAGE_PULL},
		{"ErrImageNeverPull", POD_IMAGE_PULL},
		{"RegistryUnavailable", POD_IMAGE_PULL},
		{"CrashLoopBackOff", POD_CRASH},
		{"CreateContainerConfigError", POD_CONTAINER_ERROR},
		{"CreateContainerError", POD_CONTAINER_ERROR},
		{"RunContainerError", POD_CONTAINER_ERROR},
	};

	/* Between two crashes it runs for a while, or is refused a start. */
	if (c->ended_before && !c->ready)
		return POD_CRASH;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq(c->waiting_reason, words[i].reason))
			return words[i].trouble;
	return POD_FINE;
}

static void fold_container(void *base, const void *elem)
{
	struct pod *p = base;
	const struct container_view *c = elem;
	/* Others of the kubelet's messages change from try to try. */
	bool steady = str_eq(c->waiting_reason, "CreateContainerConfigError");

	if (p->trouble != POD_FINE)
		return;
	p->trouble = trouble_of(c);
	if (p->trouble == POD_FINE)
		return;
	p->trouble_container = c->name;
	p->trouble_detail = none_if_empty(p->trouble == POD_IMAGE_PULL ? c->image
	                                  : p->trouble == POD_CRASH    ? c->ended_reason
	                                  : steady                     ? c->waiting_message
	                                                               : c->waiting_reason);
	p->exit_code = c->exit_code;
}

static const struct jfield pod_labels[] = {
	STR(LABEL_ENDPOINT, pod, endpoint),
	STR(LABEL_POOL, pod, pool),
	STR(LABEL_REVISION, pod, revision),
	{0},
};
static const struct jfield pod_annotations[] = {
	{ANNOTATION_PROTECTED, J_PRESENT, .offset = offsetof(struct pod, protected)},
	STR(ANNOTATION_DELETION_COST, pod, deletion_cost),
	{0},
};
static const struct jfield pod_metadata[] = {
	OBJMETA_FIELDS,
	OBJECT("labels", pod_labels),
	OBJECT("annotations", pod_annotations),
	{0},
};
static const struct jfield pod_spec[] = {
	STR("nodeName", pod, node_name),
	{"terminationGracePeriodSeconds", J_I64, .offset = offsetof(struct pod, grace_period_s)},
	{0},
};
static const struct jfield pod_status[] = {
	STR("phase", pod, phase),         STR("nominatedNodeName", pod, nominated_node_name),
	CONDITIONS(fold_pod_condition),   CONTAINERS("initContainerStatuses"),
	CONTAINERS("containerStatuses"),  KEPT_STR(pod, scheduled_reason),
	KEPT_STR(pod, scheduled_message), KEPT_STR(pod, trouble_container),
	KEPT_STR(pod, trouble_detail),    {0},
};
static const struct jfield pod_fields[] = {
	OBJECT("metadata", pod_metadata),
	OBJECT("spec", pod_spec),
	OBJECT("status", pod_status),
	{0},
};

struct pod *pod_decode(struct slice json, struct err *err)
{
	struct pod view = {.grace_period_s = 30}; /* the API's default */
	struct pod *p = decode(pod_fields, json, &view, sizeof(view), err);
	if (p) {
		p->node_name = none_if_empty(p->node_name);
		p->nominated_node_name = none_if_empty(p->nominated_node_name);
	}
	return p;
}

/* Deployment */

static void fold_deployment_condition(void *base, const void *elem)
{
	struct deployment *d = base;
	const struct condition_view *c = elem;
	if (!str_eq(c->type, "ReplicaFailure") || parse_status(c->status) != TRI_TRUE)
		return;
	d->failure_message = str_empty(c->message) ? "no reason given" : c->message;
}

/* An entry of metadata.managedFields. */
struct manager_view {
	const char *manager;
	bool of_template;
};

static const struct jfield managed_spec[] = {
	{"f:template", J_PRESENT, .offset = offsetof(struct manager_view, of_template)},
	{0},
};
static const struct jfield managed_fields[] = {OBJECT("f:spec", managed_spec), {0}};
static const struct jfield manager_fields[] = {
	STR("manager", manager_view, manager),
	OBJECT("fieldsV1", managed_fields),
	{0},
};

static void fold_manager(void *base, const void *elem)
{
	struct deployment *d = base;
	const struct manager_view *m = elem;
	if (m->of_template && !str_eq(m->manager, API_FIELD_MANAGER))
		d->template_changed_by = str_empty(m->manager) ? "unknown" : m->manager;
}

static const struct jfield deployment_labels[] = {
	STR(LABEL_ENDPOINT, deployment, endpoint),
	STR(LABEL_POOL, deployment, pool),
	STR(LABEL_REVISION, deployment, revision),
	{0},
};
static const struct jfield deployment_metadata[] = {
	OBJMETA_FIELDS,
	OBJECT("labels", deployment_labels),
	{"managedFields", J_EACH, .sub = manager_fields, .elem_size = sizeof(struct manager_view),
     .fold = fold_manager},
	KEPT_STR(deployment, template_changed_by),
	{0},
};
static const struct jfield deployment_spec[] = {
	{"replicas", J_I32, .offset = offsetof(struct deployment, replicas)},
	{0},
};
static const struct jfield deployment_status[] = {
	CONDITIONS(fold_deployment_condition),
	KEPT_STR(deployment, failure_message),
	{0},
};
static const struct jfield deployment_fields[] = {
	OBJECT("metadata", deployment_metadata),
	OBJECT("spec", deployment_spec),
	OBJECT("status", deployment_status),
	{0},
};

struct deployment *deployment_decode(struct slice json, struct err *err)
{
	struct deployment view = {.replicas = 1}; /* the API's default */
	return decode(deployment_fields, json, &view, sizeof(view), err);
}

bool deployment_differs(const struct deployment *a, const struct deployment *b)
{
	return !str_eq(a->meta.uid, b->meta.uid) || !str_eq(a->meta.owner_uid, b->meta.owner_uid) ||
	       a->meta.deleted.ms != b->meta.deleted.ms || !str_eq(a->endpoint, b->endpoint) ||
	       !str_eq(a->pool, b->pool) || !str_eq(a->revision, b->revision) || a->replicas != b->replicas ||
	       !str_eq(a->failure_message, b->failure_message) ||
	       !str_eq(a->template_changed_by, b->template_changed_by);
}

/* Node */

static void fold_node_condition(void *base, const void *elem)
{
	struct node *n = base;
	const struct condition_view *c = elem;
	if (!str_eq(c->type, "Ready"))
		return;
	n->ready = parse_status(c->status);
	n->ready_since = c->since;
}

static const struct jfield taint_fields[] = {
	STR("key", node_taint, key),
	STR("value", node_taint, value),
	STR("effect", node_taint, effect),
	{0},
};
static const struct jfield node_metadata[] = {
	OBJMETA_FIELDS,
	{"labels", J_MAP, .offset = offsetof(struct node, labels),
     .count_offset = offsetof(struct node, n_labels)},
	{0},
};
static const struct jfield node_spec[] = {
	{"taints", J_ARRAY, .offset = offsetof(struct node, taints), .sub = taint_fields,
     .count_offset = offsetof(struct node, n_taints), .elem_size = sizeof(struct node_taint)},
	{"unschedulable", J_BOOL, .offset = offsetof(struct node, unschedulable)},
	{0},
};
static const struct jfield node_status[] = {
	{"allocatable", J_QTY_MAP, .offset = offsetof(struct node, allocatable),
     .count_offset = offsetof(struct node, n_allocatable)},
	{"capacity", J_QTY_MAP, .offset = offsetof(struct node, capacity),
     .count_offset = offsetof(struct node, n_capacity)},
	CONDITIONS(fold_node_condition),
	{0},
};
static const struct jfield node_fields[] = {
	OBJECT("metadata", node_metadata),
	OBJECT("spec", node_spec),
	OBJECT("status", node_status),
	{0},
};

struct node *node_decode(struct slice json, struct err *err)
{
	struct node view = {0};
	return decode(node_fields, json, &view, sizeof(view), err);
}

bool node_matches(const struct node *n, const struct jkv *selector, size_t n_selector)
{
	for (size_t i = 0; i < n_selector; i++) {
		size_t l = 0;
		while (l < n->n_labels && strcmp(n->labels[l].key, selector[i].key) != 0)
			l++;
		if (l == n->n_labels || strcmp(n->labels[l].value, selector[i].value) != 0)
			return false;
	}
	return true;
}

static int64_t quantity_of(const struct jqty *list, size_t n, const char *resource)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].key, resource) == 0)
			return list[i].value;
	return 0;
}

int64_t node_allocatable(const struct node *n, const char *resource)
{
	return quantity_of(n->allocatable, n->n_allocatable, resource);
}

int64_t node_capacity(const struct node *n, const char *resource)
{
	return quantity_of(n->capacity, n->n_capacity, resource);
}

static bool same_labels(const struct node *a, const struct node *b)
{
	if (a->n_labels != b->n_labels)
		return false;
	for (size_t i = 0; i < a->n_labels; i++)
		if (!str_eq(a->labels[i].key, b->labels[i].key) || !str_eq(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

static bool same_taints(const struct node *a, const struct node *b)
{
	if (a->n_taints != b->n_taints)
		return false;
	for (size_t i = 0; i < a->n_taints; i++) {
		const struct node_taint *x = &a->taints[i], *y = &b->taints[i];
		if (!str_eq(x->key, y->key) || !str_eq(x->value, y->value) || !str_eq(x->effect, y->effect))
			return false;
	}
	return true;
}

static bool same_quantities(const struct jqty *a, size_t n_a, const struct jqty *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!str_eq(a[i].key, b[i].key) || a[i].value != b[i].value)
			return false;
	return true;
}

bool node_differs(const struct node *a, const struct node *b)
{
	return !str_eq(a->meta.uid, b->meta.uid) || a->meta.deleted.ms != b->meta.deleted.ms ||
	       a->unschedulable != b->unschedulable || a->ready != b->ready ||
	       a->ready_since.ms != b->ready_since.ms || !same_labels(a, b) || !same_taints(a, b) ||
	       !same_quantities(a->allocatable, a->n_allocatable, b->allocatable, b->n_allocatable) ||
	       !same_quantities(a->capacity, a->n_capacity, b->capacity, b->n_capacity);
}

/* Service, PodDisruptionBudget */

static const struct jfield companion_labels[] = {STR(LABEL_ENDPOINT, companion, endpoint), {0}};
static const struct jfield companion_metadata[] = {OBJMETA_FIELDS, OBJECT("labels", companion_labels), {0}};
static const struct jfield companion_fields[] = {OBJECT("metadata", companion_metadata), {0}};

struct companion *companion_decode(struct slice json, struct err *err)
{
	struct companion view = {0};
	return decode(companion_fields, json, &view, sizeof(view), err);
}

bool companion_differs(const struct companion *a, const struct companion *b)
{
	return !str_eq(a->meta.uid, b->meta.uid) || !str_eq(a->meta.owner_uid, b->meta.owner_uid) ||
	       a->meta.deleted.ms != b->meta.deleted.ms || !str_eq(a->endpoint, b->endpoint);
}

void view_free(void *view)
{
	free(view);
}
