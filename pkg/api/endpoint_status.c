#include <assert.h>
#include "api/endpoint.h"
#include "api/names.h"
#include "base/json.h"

static const char *const phase_names[] = {
	[PHASE_NONE] = "",
	[PHASE_CREATING] = "Creating",
	[PHASE_IN_SERVICE] = "InService",
	[PHASE_UPDATING] = "Updating",
	[PHASE_FAILED] = "Failed",
};

static const char *const reason_names[] = {
	[REASON_NONE] = "",
	[REASON_PENDING] = "Pending",
	[REASON_PROVISIONING] = "Provisioning",
	[REASON_RELEASING] = "Releasing",
	[REASON_SETTLING] = "Settling",
	[REASON_OWN_FLEET] = "OwnFleet",
	[REASON_STOCK_OUT] = "StockOut",
	[REASON_LIMIT] = "Limit",
	[REASON_NO_NODES] = "NoNodes",
	[REASON_CONFIG] = "Config",
	[REASON_QUOTA] = "Quota",
	[REASON_GATED] = "Gated",
	[REASON_UNKNOWN] = "Unknown",
	[REASON_PROVISION_TIMEOUT] = "ProvisionTimeout",
	[REASON_IMAGE_PULL_FAILED] = "ImagePullFailed",
	[REASON_CRASH_LOOP] = "CrashLoop",
	[REASON_CONTAINER_ERROR] = "ContainerError",
	[REASON_DOWNLOAD_TIMEOUT] = "DownloadTimeout",
	[REASON_STARTUP_TIMEOUT] = "StartupTimeout",
};

static const char *const state_names[] = {
	[POOL_IDLE] = "Idle",   [POOL_WAITING] = "Waiting", [POOL_STARTING] = "Starting",
	[POOL_READY] = "Ready", [POOL_PROBING] = "Probing", [POOL_BACK_OFF] = "BackOff",
};

static const char *const condition_names[] = {
	[COND_READY] = "Ready",
	[COND_RECONCILING] = "Reconciling",
	[COND_STALLED] = "Stalled",
	[COND_INSUFFICIENT_CAPACITY] = "InsufficientCapacity",
	[COND_ON_FALLBACK] = "OnFallback",
	[COND_MODEL_MISSING] = "ModelMissing",
	[COND_STARTUP_FAILED] = "StartupFailed",
};
static_assert(ARRAY_LEN(condition_names) == CONDITION_COUNT, "every condition has a name");

/* -1 when s is none of the names. */
static int find_name(const char *const *names, size_t n, const char *s)
{
	for (size_t i = 0; i < n && s; i++)
		if (strcmp(names[i], s) == 0)
			return (int)i;
	return -1;
}

const char *endpoint_phase_name(enum endpoint_phase p)
{
	return phase_names[p];
}

const char *pool_reason_name(enum pool_reason r)
{
	return reason_names[r];
}

bool pool_reason_parse(const char *s, enum pool_reason *ret)
{
	int i = find_name(reason_names, ARRAY_LEN(reason_names), s);
	if (i >= 0)
		*ret = (enum pool_reason)i;
	return i >= 0;
}

const char *pool_state_name(enum pool_state s)
{
	return state_names[s];
}

bool pool_state_parse(const char *s, enum pool_state *ret)
{
	int i = find_name(state_names, ARRAY_LEN(state_names), s);
	if (i >= 0)
		*ret = (enum pool_state)i;
	return i >= 0;
}

const char *condition_type_name(enum condition_type t)
{
	return condition_names[t];
}

/* Reading: whatever does not fit is as if it were not there. */

static const char *get_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_at(o, key, NULL));
	return str_empty(s) ? NULL : s;
}

static const char *dup_str(const json_t *o, const char *key, struct arena *a)
{
	const char *s = get_str(o, key);
	return s ? arena_strdup(a, s) : NULL;
}

static int64_t get_int(const json_t *o, const char *key, int64_t max)
{
	const json_t *v = json_at(o, key, NULL);
	int64_t n = json_is_integer(v) ? json_integer_value(v) : 0;
	return n < 0 || n > max ? 0 : n;
}

static int32_t get_count(const json_t *o, const char *key)
{
	return (int32_t)get_int(o, key, INT32_MAX);
}

static struct wall get_time(const json_t *o, const char *key)
{
	struct wall t = {0};
	struct err ignored = ERR_INIT;
	const char *s = get_str(o, key);
	return s && wall_parse(slice_from(s), &t, &ignored) == 0 ? t : (struct wall){0};
}

static void decode_pool(const json_t *o, struct arena *a, struct endpoint_status *s)
{
	const char *name = get_str(o, "name");
	if (name == NULL || endpoint_status_pool(s, name))
		return;
	struct pool_status *p = &s->pools[s->n_pools++];
	p->name = arena_strdup(a, name);
	p->instance_type = dup_str(o, "instanceType", a);
	p->model_name = dup_str(o, "modelName", a);
	p->priority = get_count(o, "priority");
	p->desired = get_count(o, "desiredInstanceCount");
	p->current = get_count(o, "currentInstanceCount");
	p->starting = get_count(o, "startingInstanceCount");
	p->waiting = get_count(o, "waitingInstanceCount");
	pool_state_parse(get_str(o, "state"), &p->state);
	pool_reason_parse(get_str(o, "reason"), &p->reason);
	p->message = dup_str(o, "message", a);
	p->since = get_time(o, "since");
	p->deadline = get_time(o, "deadline");
	p->next_retry = get_time(o, "nextRetryTime");
	p->strikes = get_count(o, "strikes");
	p->last_strike = get_time(o, "lastStrikeTime");
}

static void decode_condition(const json_t *o, struct arena *a, struct endpoint_status *s)
{
	int type = find_name(condition_names, CONDITION_COUNT, get_str(o, "type"));
	const char *status = get_str(o, "status");
	if (type < 0 || !(str_eq(status, "True") || str_eq(status, "False")))
		return;
	s->conditions[type] = (struct condition){
		.present = true,
		.status = str_eq(status, "True"),
		.reason = dup_str(o, "reason", a),
		.message = dup_str(o, "message", a),
		.since = get_time(o, "lastTransitionTime"),
		.observed_generation = get_int(o, "observedGeneration", INT64_MAX),
	};
}

void endpoint_status_decode(const json_t *status, struct arena *a, struct endpoint_status *ret)
{
	json_t *pools = json_at(status, "instancePools", NULL), *item;
	size_t i, n_pools = json_array_size(pools);
	int phase = find_name(phase_names, ARRAY_LEN(phase_names), get_str(status, "phase"));
	ret->present = json_object_size(status) > 0;
	ret->phase = phase < 0 ? PHASE_NONE : (enum endpoint_phase)phase;
	ret->failure_reason = dup_str(status, "failureReason", a);
	ret->observed_generation = get_int(status, "observedGeneration", INT64_MAX);
	ret->desired = get_count(status, "desiredInstanceCount");
	ret->current = get_count(status, "currentInstanceCount");
	ret->selector = dup_str(status, "selector", a);
	ret->pool_summary = dup_str(status, "poolSummary", a);
	if (n_pools > ENDPOINT_MAX_POOLS)
		n_pools = ENDPOINT_MAX_POOLS;
	ret->pools = arena_calloc(a, n_pools, sizeof(*ret->pools));
	json_array_foreach(pools, i, item)
		if (ret->n_pools < n_pools)
			decode_pool(item, a, ret);
	json_array_foreach(json_at(status, "conditions", NULL), i, item)
		decode_condition(item, a, ret);
}

const struct pool_status *endpoint_status_pool(const struct endpoint_status *s, const char *name)
{
	for (size_t i = 0; i < s->n_pools; i++)
		if (str_eq(s->pools[i].name, name))
			return &s->pools[i];
	return NULL;
}

/* As written: in seconds. */
static bool same_time(struct wall a, struct wall b)
{
	return wall_floor_s(a).ms == wall_floor_s(b).ms;
}

static bool same_pool(const struct pool_status *a, const struct pool_status *b)
{
	return str_eq(a->name, b->name) && str_eq(a->instance_type, b->instance_type) &&
	       str_eq(a->model_name, b->model_name) && a->priority == b->priority && a->desired == b->desired &&
	       a->current == b->current && a->starting == b->starting && a->waiting == b->waiting &&
	       a->state == b->state && a->reason == b->reason && str_eq(a->message, b->message) &&
	       same_time(a->since, b->since) && same_time(a->deadline, b->deadline) &&
	       same_time(a->next_retry, b->next_retry) && a->strikes == b->strikes &&
	       same_time(a->last_strike, b->last_strike);
}

static bool same_condition(const struct condition *a, const struct condition *b)
{
	if (!a->present || !b->present)
		return a->present == b->present;
	return a->status == b->status && str_eq(a->reason, b->reason) && str_eq(a->message, b->message) &&
	       same_time(a->since, b->since) && a->observed_generation == b->observed_generation;
}

bool endpoint_status_equal(const struct endpoint_status *a, const struct endpoint_status *b)
{
	if (a->phase != b->phase || !str_eq(a->failure_reason, b->failure_reason) ||
	    a->observed_generation != b->observed_generation || a->desired != b->desired ||
	    a->current != b->current || !str_eq(a->selector, b->selector) ||
	    !str_eq(a->pool_summary, b->pool_summary) || a->n_pools != b->n_pools)
		return false;
	for (size_t i = 0; i < a->n_pools; i++)
		if (!same_pool(&a->pools[i], &b->pools[i]))
			return false;
	for (size_t i = 0; i < CONDITION_COUNT; i++)
		if (!same_condition(&a->conditions[i], &b->conditions[i]))
			return false;
	return true;
}

/* Writing. An empty string is the same as none, here and in what is read and compared. */

static void put_str(json_t *o, const char *key, const char *s)
{
	if (!str_empty(s))
		json_put_str(o, key, s);
}

static json_t *pool_json(const struct pool_status *p)
{
	json_t *o = json_must(json_object());
	put_str(o, "name", p->name);
	put_str(o, "instanceType", p->instance_type);
	json_put_int(o, "priority", p->priority);
	put_str(o, "modelName", p->model_name);
	json_put_int(o, "desiredInstanceCount", p->desired);
	json_put_int(o, "currentInstanceCount", p->current);
	json_put_int(o, "startingInstanceCount", p->starting);
	json_put_int(o, "waitingInstanceCount", p->waiting);
	put_str(o, "state", pool_state_name(p->state));
	put_str(o, "reason", pool_reason_name(p->reason));
	put_str(o, "message", p->message);
	json_put_time(o, "since", p->since);
	json_put_time(o, "deadline", p->deadline);
	json_put_time(o, "nextRetryTime", p->next_retry);
	json_put_int(o, "strikes", p->strikes);
	json_put_time(o, "lastStrikeTime", p->last_strike);
	return o;
}

static json_t *condition_json(enum condition_type type, const struct condition *c)
{
	json_t *o = json_must(json_object());
	json_put_str(o, "type", condition_type_name(type));
	json_put_str(o, "status", c->status ? "True" : "False");
	put_str(o, "reason", c->reason);
	put_str(o, "message", c->message);
	json_put_time(o, "lastTransitionTime", c->since);
	json_put_int(o, "observedGeneration", c->observed_generation);
	return o;
}

json_t *endpoint_status_apply(const struct endpoint *e, const struct endpoint_status *s)
{
	json_t *root = json_must(json_object());
	json_put_str(root, "apiVersion", API_GROUP "/" API_VERSION);
	json_put_str(root, "kind", "InstancePoolEndpoint");
	json_t *meta = json_child(root, "metadata");
	json_put_str(meta, "name", e->meta.name);
	json_put_str(meta, "namespace", e->meta.ns);
	json_put_str(meta, "uid", e->meta.uid);
	json_put_str(meta, "resourceVersion", e->meta.resource_version);

	json_t *status = json_child(root, "status");
	put_str(status, "phase", endpoint_phase_name(s->phase));
	put_str(status, "failureReason", s->failure_reason);
	json_put_int(status, "observedGeneration", s->observed_generation);
	json_put_int(status, "desiredInstanceCount", s->desired);
	json_put_int(status, "currentInstanceCount", s->current);
	put_str(status, "selector", s->selector);
	put_str(status, "poolSummary", s->pool_summary);
	json_t *pools = json_must(json_array());
	json_set(status, "instancePools", pools);
	for (size_t i = 0; i < s->n_pools; i++)
		json_append(pools, pool_json(&s->pools[i]));
	json_t *conditions = json_must(json_array());
	json_set(status, "conditions", conditions);
	for (size_t i = 0; i < CONDITION_COUNT; i++)
		if (s->conditions[i].present)
			json_append(conditions, condition_json((enum condition_type)i, &s->conditions[i]));
	return root;
}
