/* Objects from the cluster, and the endpoint of both. */
#include "api/names.h"
#include "base/json.h"
#include "plan_objects.h"

#define MAX_SELECTOR_BYTES 512u
#define MAX_GROUP_BYTES (1u << 20)

static const struct kube_resource endpoints = {API_GROUP, API_VERSION, "instancepoolendpoints", ENDPOINT_KIND,
                                               true};
static const struct kube_resource models = {API_GROUP, API_VERSION, "models", "Model", true};
static const struct kube_resource deployments = {"apps", "v1", "deployments", "Deployment", true};
static const struct kube_resource pods = {"", "v1", "pods", "Pod", true};
static const struct kube_resource nodes = {"", "v1", "nodes", "Node", false};
static const struct kube_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};

static bool is_forbidden(const struct err *err)
{
	return err->http_status == 403;
}

static int take_unreadable(struct plan_objects *o, struct slice item, const char *why, struct err *err)
{
	struct forecast_unreadable *u = arena_alloc(&o->arena, sizeof(*u));
	struct objmeta meta = {0};

	if (objmeta_read(item, &o->arena, &meta, err) < 0)
		return -1;
	*u = (struct forecast_unreadable){meta.ns, meta.name, arena_strdup(&o->arena, why)};
	objects_add(&o->unreadable, u);
	return 0;
}

static int take_model(void *arg, struct slice item, struct err *err)
{
	struct plan_objects *o = arg;
	struct err own = ERR_INIT;
	struct model *m = model_decode(item, &own);

	if (!m)
		return take_unreadable(o, item, own.message, err);
	if (plan_objects_has_model(o, m->meta.ns, m->meta.name))
		model_free(m); /* the file's is what will be */
	else
		objects_add(&o->models, m);
	return 0;
}

static int take_other(void *arg, struct slice item, struct err *err)
{
	struct plan_objects *o = arg;
	struct endpoint *e = endpoint_decode(item, err);

	if (e && str_eq(e->meta.ns, o->endpoint->meta.ns) && str_eq(e->meta.name, o->endpoint->meta.name)) {
		endpoint_free(e);
		e = NULL;
	}
	if (e)
		objects_add(&o->others, e);
	*err = ERR_INIT;
	return 0;
}

static int take_deployment(void *arg, struct slice item, struct err *err)
{
	struct plan_objects *o = arg;
	struct deployment *d = deployment_decode(item, err);

	if (!d)
		return -1;
	objects_add(&o->deployments, d);
	return 0;
}

static int take_node(void *arg, struct slice item, struct err *err)
{
	CLEANUP_JSON json_t *node = json_parse(item, err);

	return node ? plan_objects_add_node(arg, node, err) : -1;
}

static int take_pod(void *arg, struct slice item, struct err *err)
{
	CLEANUP_JSON json_t *pod = json_parse(item, err);

	return pod ? plan_objects_add_pod(arg, pod, err) : -1;
}

static int list(struct cluster *c, const struct kube_resource *r, const char *ns, const char *query,
                const char *value, cluster_item_fn *fn, void *arg, struct err *err)
{
	if (cluster_list_objects(c, r, ns, query, value, fn, arg, err) < 0)
		return err_prefix(err, "reading the %s of %s", r->plural, cluster_server(c));
	return 0;
}

/* All namespaces, or where that is not allowed the one. `lacks` says what that means. */
static int list_all(struct plan_objects *o, struct cluster *c, const struct kube_resource *r, const char *ns,
                    const char *query, const char *value, cluster_item_fn *fn, const char *lacks,
                    struct err *err)
{
	if (list(c, r, NULL, query, value, fn, o, err) == 0)
		return 0;
	if (!is_forbidden(err))
		return -1;
	*err = ERR_INIT;
	objects_add(&o->notes, xasprintf("the %s of other namespaces may not be read: %s", r->plural, lacks));
	return list(c, r, ns, query, value, fn, o, err);
}

/* The endpoint as it is in the cluster; NULL with code ERR_NONE: it is not there. */
static json_t *get_endpoint(struct cluster *c, const char *ns, const char *name, struct err *err)
{
	struct buf body CLEANUP_BUF;

	if (cluster_get_object(c, &endpoints, ns, name, &body, err) == 0)
		return json_parse(buf_slice(&body), err);
	if (err->code == ERR_NOT_FOUND && str_eq(err->reason, "NotFound"))
		*err = ERR_INIT;
	else if (err->code == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "%s has no " ENDPOINT_KIND "s: are the operator's CRDs installed?",
		        cluster_server(c));
	return NULL;
}

static json_t *find_in_files(const struct plan_objects *o, const char *name, struct err *err)
{
	json_t *e, *found = NULL;
	size_t i, n = 0;

	json_array_foreach(o->endpoints, i, e) {
		if (name && !str_eq(plan_name_of(e), name))
			continue;
		found = e;
		n++;
	}
	if (n > 1)
		err_set(err, ERR_INVALID, "the files have the " ENDPOINT_KIND "s %s and %s: name the one to plan",
		        plan_name_of(json_array_get(o->endpoints, 0)), plan_name_of(found));
	else if (n == 0 && name && json_array_size(o->endpoints) > 0)
		err_set(err, ERR_NOT_FOUND, "the files have no " ENDPOINT_KIND " %s, but %s", name,
		        plan_name_of(json_array_get(o->endpoints, 0)));
	return n == 1 ? found : NULL;
}

/* The spec of the file under what the cluster knows of the object. New reference. */
static json_t *merge(const json_t *from_file, json_t *from_cluster, const char *ns)
{
	json_t *merged;

	if (!from_file)
		return json_incref(from_cluster);
	merged = json_must(json_deep_copy(from_file));
	json_object_del(merged, "status");
	if (from_cluster) {
		json_set(merged, "metadata", json_incref(json_at(from_cluster, "metadata")));
		if (json_at(from_cluster, "status"))
			json_set(merged, "status", json_incref(json_at(from_cluster, "status")));
	} else if (!json_at(merged, "metadata", "namespace")) {
		json_put_str(json_child(merged, "metadata"), "namespace", ns);
	}
	return merged;
}

/* Has it found none of a type that e wants, too? NULL: no. */
static const char *common_shortage(const struct endpoint *e, const struct endpoint *other)
{
	for (size_t i = 0; i < other->status.n_pools; i++) {
		const struct pool_status *p = &other->status.pools[i];

		if (p->state == POOL_BACK_OFF && plan_has_type(e, p->instance_type))
			return p->instance_type;
	}
	return NULL;
}

/* What is known from elsewhere an operator for few namespaces does not know: the first of it stands for all. */
static void note_foreign_shortages(struct plan_objects *o)
{
	for (size_t i = 0; i < o->others.n; i++) {
		const struct endpoint *other = o->others.list[i];
		const char *type = common_shortage(o->endpoint, other);

		if (!type || str_eq(other->meta.ns, o->endpoint->meta.ns))
			continue;
		objects_add(
			&o->notes,
			xasprintf("%s in namespace %s has found no more %s, which counts here, too; an operator with "
		              "--namespace that does not manage that one does not know of it",
		              other->meta.name, other->meta.ns, type));
		return;
	}
}

static int ask_about(struct plan_objects *o, struct cluster *c, struct err *err)
{
	struct buf selector CLEANUP_BUF;
	const char *ns = o->endpoint->meta.ns;

	buf_init(&selector, MAX_SELECTOR_BYTES);
	endpoint_selector(o->endpoint->meta.name, &selector);
	if (list_all(o, c, &models, ns, NULL, NULL, take_model,
	             "what other endpoints have found out may be missing", err) < 0 ||
	    list_all(o, c, &endpoints, ns, NULL, NULL, take_other,
	             "what other endpoints have found out may be missing", err) < 0)
		return -1;
	note_foreign_shortages(o);
	return o->exists ? list(c, &deployments, ns, "labelSelector", selector.ptr, take_deployment, o, err) : 0;
}

int plan_objects_choose(struct plan_objects *o, struct cluster *c, const char *name, const char *ns,
                        struct err *err)
{
	json_t *from_file = find_in_files(o, name, err);
	CLEANUP_JSON json_t *from_cluster = NULL, *merged = NULL;
	CLEANUP_FREE char *text = NULL;

	if (err->code != ERR_NONE)
		return -1;
	if (from_file && json_at(from_file, "metadata", "namespace"))
		ns = json_string_value(json_at(from_file, "metadata", "namespace"));
	if (from_file)
		name = plan_name_of(from_file);
	if (str_empty(name))
		return err_set(err, ERR_INVALID, "the files have no " ENDPOINT_KIND);
	if (c)
		from_cluster = get_endpoint(c, ns, name, err);
	if (err->code != ERR_NONE)
		return -1;
	if (!from_file && !from_cluster)
		return err_set(err, ERR_NOT_FOUND, "there is no " ENDPOINT_KIND " %s in namespace %s", name, ns);
	merged = merge(from_file, from_cluster, ns);
	text = json_compact(merged);
	o->endpoint = endpoint_decode(slice_from(text), err);
	if (!o->endpoint)
		return err_prefix(err, ENDPOINT_KIND " %s", name);
	o->exists = from_cluster != NULL;
	return c ? ask_about(o, c, err) : 0;
}

/* Is it there? `result` is that of the request. */
static int exists(int result, bool *ret, struct err *err)
{
	*ret = result == 0;
	if (!*ret && err->code != ERR_NOT_FOUND && !is_forbidden(err))
		return -1;
	*err = ERR_INIT;
	return 0;
}

int plan_objects_ask_autoscaler(struct plan_objects *o, struct cluster *c, struct err *err)
{
	struct buf group CLEANUP_BUF, map CLEANUP_BUF;
	bool karpenter, autoscaler;

	buf_init(&group, MAX_GROUP_BYTES);
	buf_init(&map, 0);
	if (exists(cluster_get(c, "/apis/karpenter.sh", &group, err), &karpenter, err) < 0 ||
	    exists(cluster_get_object(c, &configmaps, "kube-system", "cluster-autoscaler-status", &map, err),
	           &autoscaler, err) < 0)
		return -1;
	o->has_autoscaler = karpenter || autoscaler;
	if (autoscaler && !karpenter)
		objects_add(
			&o->notes,
			xstrdup(
				"an operator with --watch-nodes=false does not look for cluster-autoscaler, which is here: "
				"if yours is one, ask with --autoscaler none"));
	return 0;
}

int plan_objects_ask_nodes(struct plan_objects *o, struct cluster *c, struct err *err)
{
	if (list(c, &nodes, NULL, NULL, NULL, take_node, o, err) < 0)
		return -1;
	return list_all(o, c, &pods, o->endpoint->meta.ns, "fieldSelector",
	                "status.phase!=Succeeded,status.phase!=Failed", take_pod, "what they use is not counted",
	                err);
}
