#include "plan/nodestate.h"
#include "api/names.h"
#include "base/mem.h"
#include "plan/classify.h"

enum taint_weight { TAINT_NONE, TAINT_OTHER, TAINT_CORDON, TAINT_PASSING, TAINT_AWAY, TAINT_DOOM };

/* Taints that tell what the node is going through, as opposed to what it is kept for. "x/" is any key of x,
 * "/x" any key that ends so; the first that matches counts. */
static const struct {
	const char *key;
	enum taint_weight weight;
} known_taints[] = {
	{GPU_TAINT_KEY, TAINT_NONE}, /* every instance tolerates it */
	{"node.kubernetes.io/unschedulable", TAINT_CORDON},
	{"node.kubernetes.io/out-of-service", TAINT_DOOM},
	{"node.kubernetes.io/unreachable", TAINT_AWAY}, /* its kubelet has been heard of, and is not any more */
	{"node.kubernetes.io/", TAINT_PASSING},         /* not-ready, disk-pressure, ... */
	{"node.cloudprovider.kubernetes.io/", TAINT_PASSING},
	{"karpenter.sh/unregistered", TAINT_PASSING},
	{"karpenter.sh/disrupted", TAINT_DOOM},
	{"karpenter.sh/disruption", TAINT_DOOM}, /* before 1.0 */
	{"ToBeDeletedByClusterAutoscaler", TAINT_DOOM},
	{"aws-node-termination-handler/", TAINT_DOOM},
	{"cloud.google.com/impending-node-termination", TAINT_DOOM},
	{"startup-taint.cluster-autoscaler.kubernetes.io/", TAINT_PASSING},
	{"ignore-taint.cluster-autoscaler.kubernetes.io/", TAINT_PASSING},
	{"/agent-not-ready", TAINT_PASSING}, /* network and storage drivers that start */
};

static bool key_matches(const char *key, const char *pattern)
{
	size_t len = strlen(key), n = strlen(pattern);
	if (pattern[n - 1] == '/')
		return str_starts(key, pattern);
	if (pattern[0] == '/')
		return len >= n && strcmp(key + len - n, pattern) == 0;
	return strcmp(key, pattern) == 0;
}

static enum taint_weight weigh_taint(const struct node_taint *t)
{
	if (str_empty(t->key) || (!str_eq(t->effect, "NoSchedule") && !str_eq(t->effect, "NoExecute")))
		return TAINT_NONE;
	for (size_t i = 0; i < ARRAY_LEN(known_taints); i++)
		if (key_matches(t->key, known_taints[i].key))
			return known_taints[i].weight;
	return TAINT_OTHER;
}

static enum taint_weight heaviest_taint(const struct node *n)
{
	enum taint_weight heaviest = TAINT_NONE;
	for (size_t i = 0; i < n->n_taints; i++) {
		enum taint_weight weight = weigh_taint(&n->taints[i]);
		heaviest = weight > heaviest ? weight : heaviest;
	}
	return heaviest;
}

const char *nodestate_kept_for(const struct node *n, struct arena *a)
{
	const char *keys = "";
	for (size_t i = 0; i < n->n_taints; i++)
		if (weigh_taint(&n->taints[i]) == TAINT_OTHER)
			keys = arena_printf(a, "%s%s%s", keys, *keys ? ", " : "", n->taints[i].key);
	return keys;
}

int64_t nodestate_total(const struct node *n, const char *resource)
{
	int64_t capacity = node_capacity(n, resource), allocatable = node_allocatable(n, resource);
	return capacity > allocatable ? capacity : allocatable;
}

int64_t nodestate_room(const struct node *n, struct nodestate_asked asked)
{
	int64_t room = -1;
	for (size_t i = 0; i < asked.n_resources; i++) {
		const struct jqty *r = &asked.resources[i];
		int64_t total = nodestate_total(n, r->key);
		if (r->value > 0 && total > 0 && (room < 0 || total / r->value < room))
			room = total / r->value;
	}
	return room;
}

static bool lacks_devices(const struct node *n, struct nodestate_asked asked)
{
	for (size_t i = 0; i < asked.n_resources; i++)
		if (node_allocatable(n, asked.resources[i].key) < asked.resources[i].value)
			return true;
	return false;
}

static bool names_resource(const struct jqty *q, size_t n, const char *resource)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(q[i].key, resource))
			return true;
	return false;
}

/* None now, though there were some: a kubelet that starts again reports a resource that it knows with 0, and
 * the labels of the device's discovery stay. */
static bool is_emptied_of(const struct node *n, const char *resource)
{
	if (node_allocatable(n, resource) > 0)
		return false;
	if (names_resource(n->capacity, n->n_capacity, resource) ||
	    names_resource(n->allocatable, n->n_allocatable, resource))
		return true;
	size_t len = strlen(resource);
	for (size_t i = 0; i < n->n_labels; i++) {
		const char *key = n->labels[i].key, *value = n->labels[i].value;
		if (str_starts(key, resource) && ((strcmp(key + len, ".present") == 0 && str_eq(value, "true")) ||
		                                  (strcmp(key + len, ".count") == 0 && !str_eq(value, "0"))))
			return true;
	}
	return false;
}

static bool is_emptied(const struct node *n, struct nodestate_asked asked)
{
	for (size_t i = 0; i < asked.n_resources; i++)
		if (asked.resources[i].value > 0 && is_emptied_of(n, asked.resources[i].key))
			return true;
	return false;
}

enum nodestate nodestate_of(const struct node *n, struct nodestate_asked asked, struct wall now)
{
	enum taint_weight taint = heaviest_taint(n);
	if (taint == TAINT_DOOM)
		return NODESTATE_DOOMED;
	bool up = n->ready == TRI_TRUE && taint != TAINT_PASSING && taint != TAINT_AWAY;
	bool young = now.ms - n->meta.created.ms < CLASSIFY_YOUNG_NODE_MS;
	if (young && taint != TAINT_AWAY && (!up || lacks_devices(n, asked)) && nodestate_room(n, asked) != 0)
		return NODESTATE_COMING;
	if (!up)
		return NODESTATE_NOT_READY;
	if (n->unschedulable || taint == TAINT_CORDON)
		return NODESTATE_CORDONED;
	return is_emptied(n, asked) ? NODESTATE_EMPTIED : NODESTATE_USABLE;
}

struct wall nodestate_lost_from(const struct node *n, struct wall bound_since)
{
	static const struct wall long_ago = {1};

	if (n == NULL)
		return wall_add(bound_since, NODESTATE_SETTLE_MS);
	if (wall_is_set(n->meta.deleted) || heaviest_taint(n) == TAINT_DOOM)
		return long_ago;
	/* One that was not Ready before the binding must have been Ready at it. */
	if (n->ready == TRI_TRUE || n->ready_since.ms <= bound_since.ms)
		return (struct wall){0};
	return wall_add(n->ready_since, n->ready == TRI_UNKNOWN ? NODESTATE_UNHEARD_MS : NODESTATE_SETTLE_MS);
}

bool nodestate_none_is_heard(size_t n_unheard, size_t n_nodes)
{
	return n_unheard * 100 >= n_nodes * NODESTATE_UNHEARD_PERCENT && n_nodes > 0;
}

bool nodestate_loses(const struct node *n, struct wall bound_since, struct wall now)
{
	struct wall from = nodestate_lost_from(n, bound_since);

	return wall_is_set(from) && from.ms <= now.ms;
}

bool nodestate_returns(const struct node *n, struct nodestate_asked asked, struct wall now)
{
	enum nodestate s = nodestate_of(n, asked, now);
	if (nodestate_room(n, asked) == 0)
		return false;
	return s == NODESTATE_EMPTIED ||
	       (s == NODESTATE_CORDONED && (!lacks_devices(n, asked) || is_emptied(n, asked)));
}

const char *nodestate_words(enum nodestate s, size_t n_nodes)
{
	static const struct {
		const char *one, *many;
	} words[NODESTATE_COUNT] = {
		[NODESTATE_COMING] = {"is coming up", "are coming up"},
		[NODESTATE_EMPTIED] = {"has no devices", "have no devices"},
		[NODESTATE_CORDONED] = {"is cordoned", "are cordoned"},
		[NODESTATE_NOT_READY] = {"is not Ready", "are not Ready"},
		[NODESTATE_DOOMED] = {"is being removed", "are being removed"},
	};
	return n_nodes == 1 ? words[s].one : words[s].many;
}
