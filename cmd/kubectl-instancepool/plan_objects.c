#include "plan_objects.h"
#include "api/names.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"

#define MAX_FILE_BYTES (256u << 20)
#define MAX_OBJECT_BYTES (4u << 20)
#define MAX_PATH_BYTES 4096u
#define ENDPOINT_KIND "InstancePoolEndpoint"

static void add(struct objects *to, void *object)
{
	if (to->n == to->cap) {
		to->cap = to->cap ? to->cap * 2 : 16;
		to->list = xreallocarray(to->list, to->cap, sizeof(*to->list));
	}
	to->list[to->n++] = object;
}

static void done(struct objects *o, void (*free_one)(void *))
{
	for (size_t i = 0; i < o->n; i++)
		free_one(o->list[i]);
	free(o->list);
	*o = (struct objects){0};
}

static void free_endpoint(void *p)
{
	endpoint_free(p);
}

static void free_model(void *p)
{
	model_free(p);
}

static void free_node(void *p)
{
	forecast_node_free(p);
}

static void free_pod(void *p)
{
	forecast_pod_free(p);
}

void plan_objects_init(struct plan_objects *o)
{
	*o = (struct plan_objects){.endpoints = json_must(json_array())};
}

void plan_objects_done(struct plan_objects *o)
{
	json_decref(o->endpoints);
	endpoint_free(o->endpoint);
	done(&o->models, free_model);
	done(&o->nodes, free_node);
	done(&o->pods, free_pod);
	done(&o->deployments, view_free);
	done(&o->others, free_endpoint);
	done(&o->notes, free);
}

static const char *kind_of(const json_t *o)
{
	const char *kind = json_string_value(json_at(o, "kind"));

	return kind ? kind : "";
}

static const char *name_of(const json_t *o)
{
	const char *name = json_string_value(json_at(o, "metadata", "name"));

	return name ? name : "(without a name)";
}

/* ---- files ---- */

/* One object of a file; `where` is for the error. */
typedef int object_fn(struct plan_objects *o, json_t *object, const char *ns, struct err *err);

/* A List is its items. */
static int each_object(struct plan_objects *o, json_t *document, object_fn *fn, const char *ns,
                       struct err *err)
{
	json_t *items = json_at(document, "items"), *item;
	size_t len = strlen(kind_of(document)), i;

	if (json_is_null(document))
		return 0;
	if (len < 4 || strcmp(kind_of(document) + len - 4, "List") != 0 || !json_is_array(items))
		return fn(o, document, ns, err);
	json_array_foreach(items, i, item) {
		/* The items of a NodeList need not repeat what they are. */
		if (!json_at(item, "kind") && len > 4) {
			CLEANUP_FREE char *kind = xstrndup(kind_of(document), len - 4);

			json_put_str(item, "kind", kind);
		}
		if (fn(o, item, ns, err) < 0)
			return err_prefix(err, "items[%zu]", i);
	}
	return 0;
}

/* JSON is read as such: it may be longer than a person's YAML. */
static json_t *read_documents(const char *path, struct err *err)
{
	struct buf text CLEANUP_BUF;
	struct slice trimmed;
	json_t *all, *one;

	buf_init(&text, MAX_FILE_BYTES);
	if (file_read(path, &text, err) < 0)
		return NULL;
	trimmed = slice_trim(buf_slice(&text));
	if (slice_starts(trimmed, "{")) { /* YAML begins so, too */
		struct err ignored = ERR_INIT;

		one = json_parse(trimmed, &ignored);
		if (one)
			return json_must(json_pack("[o]", one));
	}
	all = yaml_parse_all(buf_slice(&text), err);
	if (!all && err->code == ERR_LIMIT)
		err_prefix(err, "%s: as YAML (JSON may be larger)", path);
	else if (!all)
		err_prefix(err, "%s", path);
	return all;
}

static int read_file(struct plan_objects *o, const char *path, object_fn *fn, const char *ns, struct err *err)
{
	CLEANUP_JSON json_t *documents = read_documents(path, err);
	json_t *d;
	size_t i;

	if (!documents)
		return -1;
	json_array_foreach(documents, i, d) {
		if (each_object(o, d, fn, ns, err) == 0)
			continue;
		return json_array_size(documents) > 1 ? err_prefix(err, "%s: document %zu", path, i + 1)
		                                      : err_prefix(err, "%s", path);
	}
	return 0;
}

/* With the namespace in which it would be created. New. */
static char *in_namespace(const json_t *object, const char *ns)
{
	CLEANUP_JSON json_t *copy = json_must(json_deep_copy(object));
	json_t *meta = json_child(copy, "metadata");

	if (!json_at(meta, "namespace"))
		json_put_str(meta, "namespace", ns);
	return json_compact(copy);
}

static bool has_model(const struct plan_objects *o, const char *ns, const char *name)
{
	for (size_t i = 0; i < o->models.n; i++) {
		const struct model *m = o->models.list[i];

		if (str_eq(m->meta.ns, ns) && str_eq(m->meta.name, name))
			return true;
	}
	return false;
}

static int read_object(struct plan_objects *o, json_t *object, const char *ns, struct err *err)
{
	CLEANUP_FREE char *text = NULL;
	struct model *m;

	if (!json_is_object(object))
		return err_set(err, ERR_INVALID, "must be a Kubernetes object, such as an " ENDPOINT_KIND);
	if (str_eq(kind_of(object), "") || (!json_at(object, "metadata") && !json_at(object, "spec")))
		return err_set(err, ERR_INVALID, "kind: missing: it must be " ENDPOINT_KIND " or Model");
	if (json_at(object, "metadata") && !json_is_object(json_at(object, "metadata")))
		return err_set(err, ERR_INVALID, "metadata: must be a map");
	text = in_namespace(object, ns);
	if (str_eq(kind_of(object), ENDPOINT_KIND)) {
		struct endpoint *e = endpoint_decode(slice_from(text), err);

		if (!e)
			return err_prefix(err, ENDPOINT_KIND " %s", name_of(object));
		endpoint_free(e);
		if (json_array_append(o->endpoints, object) < 0)
			json_must(NULL);
	} else if (str_eq(kind_of(object), "Model")) {
		m = model_decode(slice_from(text), err);
		if (!m)
			return err_prefix(err, "Model %s", name_of(object));
		if (has_model(o, m->meta.ns, m->meta.name)) {
			model_free(m);
			return err_set(err, ERR_INVALID, "Model %s is given twice", name_of(object));
		}
		add(&o->models, m);
	}
	return 0;
}

int plan_objects_read(struct plan_objects *o, const char *path, const char *ns, struct err *err)
{
	return read_file(o, path, read_object, ns, err);
}

static int add_node(struct plan_objects *o, const json_t *node, struct err *err)
{
	struct forecast_node *n = forecast_node_decode(node, err);

	if (!n)
		return err_prefix(err, "Node %s", name_of(node));
	add(&o->nodes, n);
	return 0;
}

static int add_pod(struct plan_objects *o, const json_t *pod, struct err *err)
{
	struct forecast_pod *p = forecast_pod_decode(pod, err);

	if (!p)
		return err_prefix(err, "Pod %s", name_of(pod));
	add(&o->pods, p);
	return 0;
}

/* Several entries of one type are told apart by what comes after the type in their names. */
static int add_in_short(struct plan_objects *o, const json_t *entry, struct err *err)
{
	CLEANUP_JSON json_t *nodes = forecast_nodes_in_short(entry, err);
	json_t *node;
	size_t i;

	if (!nodes)
		return -1;
	json_array_foreach(nodes, i, node) {
		CLEANUP_FREE char *name = xasprintf("%s-%zu", name_of(node), o->nodes.n + 1);

		json_put_str(json_at(node, "metadata"), "name", name);
		if (add_node(o, node, err) < 0)
			return -1;
	}
	return 0;
}

static int read_node_object(struct plan_objects *o, json_t *object, const char *ns, struct err *err)
{
	const json_t *entry;
	size_t i;

	(void)ns;
	if (json_is_array(object)) {
		json_array_foreach(object, i, entry)
			if (add_in_short(o, entry, err) < 0)
				return err_prefix(err, "entry %zu", i + 1);
		return 0;
	}
	if (str_eq(kind_of(object), "Node"))
		return add_node(o, object, err);
	if (str_eq(kind_of(object), "Pod"))
		return add_pod(o, object, err);
	return err_set(err, ERR_INVALID,
	               "kind: '%.80s' is none of Node, Pod and List of these; or write a list of nodes in short, "
	               "such as - {type: p5.48xlarge, count: 4, gpus: 8}",
	               kind_of(object));
}

int plan_objects_read_nodes(struct plan_objects *o, const char *path, struct err *err)
{
	return read_file(o, path, read_node_object, NULL, err);
}

/* ---- the cluster ---- */

static bool is_forbidden(const struct err *err)
{
	return err->http_status == 403;
}

static int take_model(void *arg, struct slice item, struct err *err)
{
	struct plan_objects *o = arg;
	struct err own = ERR_INIT;
	struct model *m = model_decode(item, &own);

	(void)err;
	if (m && has_model(o, m->meta.ns, m->meta.name)) {
		model_free(m); /* the file's is what will be */
		m = NULL;
	}
	if (m)
		add(&o->models, m);
	return 0; /* one that cannot be read is none, as the operator has it */
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
		add(&o->others, e);
	*err = ERR_INIT;
	return 0;
}

static int take_deployment(void *arg, struct slice item, struct err *err)
{
	struct plan_objects *o = arg;
	struct deployment *d = deployment_decode(item, err);

	if (!d)
		return -1;
	add(&o->deployments, d);
	return 0;
}

static int take_node(void *arg, struct slice item, struct err *err)
{
	CLEANUP_JSON json_t *node = json_parse(item, err);

	return node ? add_node(arg, node, err) : -1;
}

static int take_pod(void *arg, struct slice item, struct err *err)
{
	CLEANUP_JSON json_t *pod = json_parse(item, err);

	return pod ? add_pod(arg, pod, err) : -1;
}

/* "/apis/x/v1/RESOURCE" of one namespace, or of all; query may be "". */
static int list(struct cluster *c, const char *api, const char *ns, const char *resource, const char *query,
                cluster_item_fn *fn, void *arg, struct err *err)
{
	struct buf path CLEANUP_BUF;

	buf_init(&path, MAX_PATH_BYTES);
	buf_add_str(&path, api);
	if (ns) {
		buf_add_str(&path, "/namespaces/");
		buf_add_url_escaped(&path, slice_from(ns));
	}
	buf_addf(&path, "/%s%s", resource, query);
	if (buf_failed(&path))
		return err_set(err, ERR_INVALID, "the namespace '%.80s' is too long", ns);
	if (cluster_list(c, path.ptr, fn, arg, err) < 0)
		return err_prefix(err, "reading the %s of %s", resource, cluster_server(c));
	return 0;
}

/* All namespaces, or where that is not allowed the one. `lacks` says what that means. */
static int list_all(struct plan_objects *o, struct cluster *c, const char *api, const char *ns,
                    const char *resource, const char *query, cluster_item_fn *fn, const char *lacks,
                    struct err *err)
{
	if (list(c, api, NULL, resource, query, fn, o, err) == 0)
		return 0;
	if (!is_forbidden(err))
		return -1;
	*err = ERR_INIT;
	add(&o->notes, xasprintf("the %s of other namespaces may not be read: %s", resource, lacks));
	return list(c, api, ns, resource, query, fn, o, err);
}

#define OURS "/apis/" API_GROUP "/" API_VERSION

/* The endpoint as it is in the cluster; NULL with code ERR_NONE: it is not there. */
static json_t *get_endpoint(struct cluster *c, const char *ns, const char *name, struct err *err)
{
	struct buf path CLEANUP_BUF, body CLEANUP_BUF;

	buf_init(&path, MAX_PATH_BYTES);
	buf_init(&body, MAX_OBJECT_BYTES);
	buf_add_str(&path, OURS "/namespaces/");
	buf_add_url_escaped(&path, slice_from(ns));
	buf_add_str(&path, "/instancepoolendpoints/");
	buf_add_url_escaped(&path, slice_from(name));
	if (cluster_get(c, path.ptr, &body, err) == 0)
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
		if (name && !str_eq(name_of(e), name))
			continue;
		found = e;
		n++;
	}
	if (n > 1)
		err_set(err, ERR_INVALID, "the files have the " ENDPOINT_KIND "s %s and %s: name the one to plan",
		        name_of(json_array_get(o->endpoints, 0)), name_of(found));
	else if (n == 0 && name && json_array_size(o->endpoints) > 0)
		err_set(err, ERR_NOT_FOUND, "the files have no " ENDPOINT_KIND " %s, but %s", name,
		        name_of(json_array_get(o->endpoints, 0)));
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

static int ask_about(struct plan_objects *o, struct cluster *c, struct err *err)
{
	const char *ns = o->endpoint->meta.ns;
	CLEANUP_FREE char *query =
		xasprintf("?labelSelector=inference.instancepool.dev%%2Fendpoint%%3D%s", o->endpoint->meta.name);

	if (list_all(o, c, OURS, ns, "models", "", take_model,
	             "what other endpoints have found out may be missing", err) < 0 ||
	    list_all(o, c, OURS, ns, "instancepoolendpoints", "", take_other,
	             "what other endpoints have found out may be missing", err) < 0)
		return -1;
	return o->exists ? list(c, "/apis/apps/v1", ns, "deployments", query, take_deployment, o, err) : 0;
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
		name = name_of(from_file);
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

/* Is it there? */
static int exists(struct cluster *c, const char *path, bool *ret, struct err *err)
{
	struct buf body CLEANUP_BUF;

	buf_init(&body, MAX_OBJECT_BYTES);
	*ret = cluster_get(c, path, &body, err) == 0;
	if (!*ret && err->code != ERR_NOT_FOUND && !is_forbidden(err))
		return -1;
	*err = ERR_INIT;
	return 0;
}

int plan_objects_ask_nodes(struct plan_objects *o, struct cluster *c, struct err *err)
{
	bool karpenter, autoscaler;

	if (list(c, "/api/v1", NULL, "nodes", "", take_node, o, err) < 0 ||
	    list_all(o, c, "/api/v1", o->endpoint->meta.ns, "pods",
	             "?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed", take_pod,
	             "what they use is not counted", err) < 0 ||
	    exists(c, "/apis/karpenter.sh", &karpenter, err) < 0 ||
	    exists(c, "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status", &autoscaler, err) <
	        0)
		return -1;
	o->has_autoscaler = karpenter || autoscaler;
	return 0;
}
