/* The kinds that are watched: how each is read and found. */
#include "operator/internal.h"

void key_format(char buf[static KEY_SIZE], const char *ns, const char *name)
{
	str_format(buf, KEY_SIZE, "%s/%s", ns ? ns : "", name);
}

static void *decode_endpoint(struct slice json, struct err *err)
{
	return endpoint_decode(json, err);
}

static void free_endpoint(void *obj)
{
	endpoint_free(obj);
}

static void *decode_model(struct slice json, struct err *err)
{
	return model_decode(json, err);
}

static void free_model(void *obj)
{
	model_free(obj);
}

static void *decode_deployment(struct slice json, struct err *err)
{
	return deployment_decode(json, err);
}

static void *decode_pod(struct slice json, struct err *err)
{
	return pod_decode(json, err);
}

static void *decode_node(struct slice json, struct err *err)
{
	return node_decode(json, err);
}

static void *decode_companion(struct slice json, struct err *err)
{
	return companion_decode(json, err);
}

static void emit_endpoint(const struct objmeta *meta, const char *endpoint, store_emit_fn *emit, void *arg)
{
	char key[KEY_SIZE];

	if (str_empty(endpoint))
		return;
	key_format(key, meta->ns, endpoint);
	emit(arg, INDEX_ENDPOINT, key);
}

static void index_deployment(const void *obj, store_emit_fn *emit, void *arg)
{
	const struct deployment *d = obj;

	emit_endpoint(&d->meta, d->endpoint, emit, arg);
}

static void index_pod(const void *obj, store_emit_fn *emit, void *arg)
{
	const struct pod *p = obj;

	emit_endpoint(&p->meta, p->endpoint, emit, arg);
	if (!str_empty(p->node_name) && wall_is_set(p->meta.deleted))
		emit(arg, INDEX_LEAVING, p->node_name);
}

static void index_node(const void *obj, store_emit_fn *emit, void *arg)
{
	const struct node *n = obj;

	for (size_t i = 0; i < n->n_labels; i++)
		if (str_eq(n->labels[i].key, NODE_LABEL_INSTANCE_TYPE))
			emit(arg, INDEX_INSTANCE_TYPE, n->labels[i].value);
}

const struct kube_type controller_types[KIND_COUNT] = {
	[KIND_ENDPOINT] = {{API_GROUP, API_VERSION, "instancepoolendpoints", "InstancePoolEndpoint", true},
                       decode_endpoint,
                       free_endpoint,
                       NULL},
	[KIND_MODEL] = {{API_GROUP, API_VERSION, "models", "Model", true}, decode_model, free_model, NULL},
	[KIND_DEPLOYMENT] = {{"apps", "v1", "deployments", "Deployment", true},
                         decode_deployment,
                         view_free,
                         index_deployment},
	[KIND_POD] = {{"", "v1", "pods", "Pod", true}, decode_pod, view_free, index_pod},
	[KIND_NODE] = {{"", "v1", "nodes", "Node", false}, decode_node, view_free, index_node},
	[KIND_SERVICE] = {{"", "v1", "services", "Service", true}, decode_companion, view_free, NULL},
	[KIND_BUDGET] = {{"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true},
                     decode_companion,
                     view_free,
                     NULL},
	[KIND_POD_EVENT] = {{"", "v1", "events", "Event", true}, pod_event_decode, view_free, pod_event_index},
};
