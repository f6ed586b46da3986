#include "api/names.h"
#include "base/json.h"
#include "sim/documents.h"
#include "sim/world_internal.h"

/* ---- a person ---- */

static const struct story_endpoint *endpoint_of(const struct world *w, const struct story_act *a)
{
	return &w->story->endpoints[a->subject];
}

static struct api_object *find_endpoint(const struct world *w, const struct story_act *a)
{
	return api_find(w->api, API_ENDPOINT, DOCUMENT_NS, endpoint_of(w, a)->name);
}

static bool scale(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o)
		return false;
	json_put_int(json_at(o->doc, "spec"), "instanceCount", a->n);
	api_update_spec(w->api, o);
	return true;
}

static bool edit_model_to(struct world *w, const struct story_act *a, int edit)
{
	char name[DOCUMENT_NAME_SIZE];
	struct api_object *o;

	document_model_name(endpoint_of(w, a), name);
	o = api_find(w->api, API_MODEL, DOCUMENT_NS, name);
	if (!o)
		return false;
	document_edit_model(o->doc, edit);
	api_update_spec(w->api, o);
	return true;
}

static bool edit_model(struct world *w, const struct story_act *a)
{
	return edit_model_to(w, a, ++w->edits[a->subject]);
}

static bool edit_back(struct world *w, const struct story_act *a)
{
	return edit_model_to(w, a, 0);
}

static bool turn_pools(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o)
		return false;
	document_turn_pools(o->doc, (size_t)a->n);
	api_update_spec(w->api, o);
	return true;
}

static bool drop_pool(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o || !document_drop_pool(o->doc, (size_t)a->n))
		return false;
	api_update_spec(w->api, o);
	return true;
}

static bool cap(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o)
		return false;
	document_cap(o->doc, a->n);
	api_update_spec(w->api, o);
	return true;
}

static bool delete_endpoint(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o)
		return false;
	api_remove(w->api, o);
	return true;
}

static bool create_endpoint(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);
	json_t *doc = document_endpoint(w->story, endpoint_of(w, a));

	if (!o) {
		api_create(w->api, API_ENDPOINT, doc);
		return true;
	}
	json_set(o->doc, "spec", json_incref(json_at(doc, "spec")));
	json_decref(doc);
	api_update_spec(w->api, o);
	return true;
}

struct search {
	const char *endpoint, *pool;
	struct api_object *found;
};

/* The youngest of the pool's: that of the present template. */
static int look_for_deployment(void *arg, struct api_object *o)
{
	struct search *s = arg;
	const json_t *labels = json_at(o->doc, "metadata", "labels");

	if (str_eq(json_string_value(json_at(labels, LABEL_ENDPOINT)), s->endpoint) &&
	    str_eq(json_string_value(json_at(labels, LABEL_POOL)), s->pool))
		s->found = o;
	return 0;
}

static bool foreign_scale(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);
	struct search s = {.endpoint = endpoint_of(w, a)->name};

	if (!o)
		return false;
	s.pool = document_first_pool(o->doc);
	api_each(w->api, API_DEPLOYMENT, look_for_deployment, &s);
	if (!s.found)
		return false;
	json_put_int(json_at(s.found->doc, "spec"), "replicas", a->n);
	api_update_spec(w->api, s.found);
	return true;
}

static bool lose_status(struct world *w, const struct story_act *a)
{
	struct api_object *o = find_endpoint(w, a);

	if (!o || json_object_del(o->doc, "status") < 0)
		return false;
	api_update(w->api, o);
	return true;
}

/* ---- the cluster ---- */

static int64_t until(const struct world *w, const struct story_act *a)
{
	return timeline_ms(w->timeline) + a->for_ms;
}

static bool add_node(struct world *w, const struct story_act *a)
{
	cluster_add_node(w->cluster, a->subject);
	return true;
}

static bool delete_node(struct world *w, const struct story_act *a)
{
	return cluster_delete_node(w->cluster, a->subject, (size_t)a->n);
}

static bool doom_node(struct world *w, const struct story_act *a)
{
	return cluster_doom_node(w->cluster, a->subject, (size_t)a->n, a->for_ms);
}

static bool silence_node(struct world *w, const struct story_act *a)
{
	return cluster_silence_node(w->cluster, a->subject, (size_t)a->n, a->for_ms);
}

static bool cordon_node(struct world *w, const struct story_act *a)
{
	return cluster_cordon_node(w->cluster, a->subject, (size_t)a->n, a->for_ms);
}

static bool lose_devices(struct world *w, const struct story_act *a)
{
	return cluster_lose_devices(w->cluster, a->subject, (size_t)a->n, a->for_ms);
}

static bool stock(struct world *w, const struct story_act *a)
{
	cluster_stock(w->cluster, a->subject, a->n);
	return true;
}

static bool stranger(struct world *w, const struct story_act *a)
{
	return cluster_stranger(w->cluster, a->subject, a->n, a->for_ms);
}

static bool end_instance(struct world *w, const struct story_act *a)
{
	return cluster_end_instance(w->cluster, endpoint_of(w, a)->name, (size_t)a->n);
}

static bool fail_starts(struct world *w, const struct story_act *a)
{
	cluster_fail_starts(w->cluster, a->subject, (enum cluster_failure)a->word, until(w, a));
	return true;
}

static bool quota(struct world *w, const struct story_act *a)
{
	cluster_quota(w->cluster, a->n);
	return true;
}

static bool pause_cluster(struct world *w, const struct story_act *a)
{
	cluster_pause(w->cluster, until(w, a));
	return true;
}

/* ---- the way to the API server ---- */

static bool fail_writes(struct world *w, const struct story_act *a)
{
	network_fail_writes(w->network, (enum network_fault)a->word, (unsigned)a->n);
	return true;
}

static bool fail_watch(struct world *w, const struct story_act *a)
{
	network_fail_watch(w->network, a->kind, (enum network_watch_fault)a->word, until(w, a));
	return true;
}

static bool down(struct world *w, const struct story_act *a)
{
	network_down(w->network, until(w, a));
	return true;
}

/* ---- the operators ---- */

static struct operator_process *running_operator(struct world *w, const struct story_act *a)
{
	struct operator_process *o = &w->operators[a->n % w->story->operators];

	return o->process ? o : NULL;
}

static bool crash(struct world *w, const struct story_act *a)
{
	struct operator_process *o = running_operator(w, a);

	if (o)
		world_crash_operator(o);
	return o != NULL;
}

static void on_crash(void *arg, const char *who)
{
	world_crash_operator(world_operator(arg, who));
}

static bool crash_at(struct world *w, const struct story_act *a)
{
	network_crash_at(w->network, (unsigned)a->n, (enum network_point)a->word, on_crash, w);
	return true;
}

static bool freeze(struct world *w, const struct story_act *a)
{
	struct operator_process *o = running_operator(w, a);

	if (!o || o->stopped)
		return false;
	world_stop_operator(o, a->for_ms);
	return true;
}

bool world_act(struct world *w, const struct story_act *a)
{
	static bool (*const acts[ACT_TYPE_COUNT])(struct world * w, const struct story_act *a) = {
		[ACT_SCALE] = scale,
		[ACT_EDIT_MODEL] = edit_model,
		[ACT_EDIT_BACK] = edit_back,
		[ACT_POOLS] = turn_pools,
		[ACT_DROP_POOL] = drop_pool,
		[ACT_CAP] = cap,
		[ACT_DELETE] = delete_endpoint,
		[ACT_CREATE] = create_endpoint,
		[ACT_FOREIGN_SCALE] = foreign_scale,
		[ACT_LOSE_STATUS] = lose_status,
		[ACT_ADD_NODE] = add_node,
		[ACT_DELETE_NODE] = delete_node,
		[ACT_DOOM_NODE] = doom_node,
		[ACT_SILENCE_NODE] = silence_node,
		[ACT_CORDON_NODE] = cordon_node,
		[ACT_LOSE_DEVICES] = lose_devices,
		[ACT_STOCK] = stock,
		[ACT_STRANGER] = stranger,
		[ACT_END_INSTANCE] = end_instance,
		[ACT_FAIL_STARTS] = fail_starts,
		[ACT_QUOTA] = quota,
		[ACT_PAUSE] = pause_cluster,
		[ACT_FAIL_WRITES] = fail_writes,
		[ACT_FAIL_WATCH] = fail_watch,
		[ACT_DOWN] = down,
		[ACT_CRASH] = crash,
		[ACT_CRASH_AT] = crash_at,
		[ACT_FREEZE] = freeze,
	};

	return acts[a->type](w, a);
}
