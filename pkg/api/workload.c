#include "api/workload.h"
#include <assert.h>
#include "base/hash.h"
#include "base/json.h"

static_assert(HASH_TEXT_SIZE <= REVISION_SIZE, "a revision is the text of a hash");

void pool_revision(const struct endpoint *e, const struct endpoint_pool *p, const struct model *m,
                   char buf[static REVISION_SIZE])
{
	uint64_t h = m->revision_seed;
	for (size_t i = 0; i < p->n_node_selector; i++)
		h = hash64_str(hash64_str(h, p->node_selector[i].key), p->node_selector[i].value);
	h = hash64_str(h, ""); /* ends the list: no key is empty */
	h = hash64_str(h, p->tolerations);
	h = hash64_str(h, p->runtime_class_name);
	if (e->spec.restarted_at) /* what never had it keeps its revision */
		h = hash64_str(h, e->spec.restarted_at);
	hash64_text(h, buf);
}

static void put_labels(json_t *labels, const struct endpoint *e, const struct endpoint_pool *p,
                       const char *revision)
{
	char value[NAME_MAX_BYTES + 1];
	json_put_str(labels, LABEL_ENDPOINT, e->meta.name);
	json_put_str(labels, LABEL_POOL, p->name);
	label_value(p->instance_type, value);
	json_put_str(labels, LABEL_INSTANCE_TYPE, value);
	json_put_str(labels, LABEL_REVISION, revision);
	json_put_str(labels, LABEL_TRACK, TRACK_BLUE);
}

static json_t *object_new(const char *api_version, const char *kind, const struct endpoint *e,
                          const char *name)
{
	json_t *o = json_must(json_object());
	json_put_str(o, "apiVersion", api_version);
	json_put_str(o, "kind", kind);
	json_t *meta = json_child(o, "metadata");
	json_put_str(meta, "name", name);
	json_put_str(meta, "namespace", e->meta.ns);
	return o;
}

static void put_owner(json_t *meta, const struct endpoint *e)
{
	json_t *owner = json_must(json_object());
	json_put_str(owner, "apiVersion", API_GROUP "/" API_VERSION);
	json_put_str(owner, "kind", "InstancePoolEndpoint");
	json_put_str(owner, "name", e->meta.name);
	json_put_str(owner, "uid", e->meta.uid);
	json_put_bool(owner, "controller", true);
	json_put_bool(owner, "blockOwnerDeletion", false);
	json_t *owners = json_must(json_array());
	json_set(meta, "ownerReferences", owners);
	json_append(owners, owner);
}

/* The member at key as an object or array, made where it is missing. NULL when it is something else.
 * Borrowed. */
static json_t *child_of_type(json_t *o, const char *key, json_type type)
{
	if (json_at(o, key, NULL) == NULL)
		json_set(o, key, json_must(type == JSON_ARRAY ? json_array() : json_object()));
	json_t *child = json_at(o, key, NULL);
	return json_typeof(child) == type ? child : NULL;
}

/* Does the toleration cover the taint that GPU nodes usually have, whatever its value? */
static bool tolerates_gpu_taint(const json_t *t)
{
	const char *key = json_string_value(json_at(t, "key", NULL));
	const char *effect = json_string_value(json_at(t, "effect", NULL));
	return str_eq(json_string_value(json_at(t, "operator", NULL)), "Exists") &&
	       (str_empty(key) || str_eq(key, GPU_TAINT_KEY)) &&
	       (str_empty(effect) || str_eq(effect, "NoSchedule"));
}

static void add_tolerations(json_t *list, const struct endpoint_pool *p)
{
	json_error_t e;
	json_t *t;
	size_t i;
	CLEANUP_JSON json_t *own =
		p->tolerations ? json_must(json_loads(p->tolerations, 0, &e)) : json_must(json_array());
	bool covered = false;
	json_array_foreach(list, i, t)
		covered = covered || tolerates_gpu_taint(t);
	json_array_foreach(own, i, t)
		covered = covered || tolerates_gpu_taint(t);
	if (!covered) {
		t = json_must(json_object());
		json_put_str(t, "key", GPU_TAINT_KEY);
		json_put_str(t, "operator", "Exists");
		json_put_str(t, "effect", "NoSchedule");
		json_append(list, t);
	}
	if (json_array_extend(list, own) < 0)
		json_must(NULL);
}

static void add_probe(json_t *container, const struct model *m)
{
	if (json_at(container, "readinessProbe", NULL))
		return;
	json_t *probe = json_must(json_object());
	json_t *get = json_child(probe, "httpGet");
	json_put_str(get, "path", m->health_path);
	json_put_int(get, "port", m->port);
	json_set(container, "readinessProbe", probe);
}

/* A port of that number that has no name gets ours. */
static int add_port(json_t *container, const struct model *m, struct err *err)
{
	json_t *ports = child_of_type(container, "ports", JSON_ARRAY), *p;
	size_t i;
	if (ports == NULL)
		return err_set(err, ERR_INVALID, "spec.template.spec.containers[0].ports: must be an array");
	json_array_foreach(ports, i, p) {
		const char *name = json_string_value(json_at(p, "name", NULL)),
				   *protocol = json_string_value(json_at(p, "protocol", NULL));
		bool same = json_integer_value(json_at(p, "containerPort", NULL)) == m->port &&
		            (str_empty(protocol) || str_eq(protocol, "TCP"));
		if (str_eq(name, PORT_NAME) && !same)
			return err_set(err, ERR_INVALID,
			               "spec.template.spec.containers[0].ports[%zu].name: \"" PORT_NAME
			               "\" is for the port of spec.server.port (%d)",
			               i, m->port);
		if (same && str_empty(name))
			json_put_str(p, "name", PORT_NAME);
		if (same && (str_empty(name) || str_eq(name, PORT_NAME)))
			return 0;
	}
	p = json_must(json_object());
	json_put_str(p, "name", PORT_NAME);
	json_put_int(p, "containerPort", m->port);
	json_put_str(p, "protocol", "TCP");
	json_append(ports, p);
	return 0;
}

static int add_to_pod(json_t *pod, const struct endpoint_pool *p, const struct model *m, struct err *err)
{
	json_t *selector = child_of_type(pod, "nodeSelector", JSON_OBJECT);
	if (selector == NULL)
		return err_set(err, ERR_INVALID, "spec.template.spec.nodeSelector: must be an object");
	for (size_t i = 0; i < p->n_node_selector; i++)
		json_put_str(selector, p->node_selector[i].key, p->node_selector[i].value);

	json_t *tolerations = child_of_type(pod, "tolerations", JSON_ARRAY);
	if (tolerations == NULL)
		return err_set(err, ERR_INVALID, "spec.template.spec.tolerations: must be an array");
	add_tolerations(tolerations, p);
	json_put_str(pod, "runtimeClassName", p->runtime_class_name);

	json_t *container = json_array_get(json_at(pod, "containers", NULL), 0);
	if (!json_is_object(container))
		return err_set(err, ERR_INVALID,
		               "spec.template.spec.containers: there must be at least one container");
	add_probe(container, m);
	return add_port(container, m, err);
}

/* While it loads, an instance is not to be moved. A Model that says one of these itself means it. */
static int add_protection(json_t *meta, struct err *err)
{
	json_t *annotations = child_of_type(meta, "annotations", JSON_OBJECT);
	if (annotations == NULL)
		return err_set(err, ERR_INVALID, "spec.template.metadata.annotations: must be an object");
	if (json_at(annotations, ANNOTATION_DO_NOT_DISRUPT, NULL) ||
	    json_at(annotations, ANNOTATION_SAFE_TO_EVICT, NULL))
		return 0;
	json_put_str(annotations, ANNOTATION_DO_NOT_DISRUPT, "true");
	json_put_str(annotations, ANNOTATION_SAFE_TO_EVICT, "false");
	json_put_str(annotations, ANNOTATION_PROTECTED, "true");
	return 0;
}

/* The Model's template with what the pool adds. New reference. */
static json_t *pod_template(const struct endpoint *e, const struct endpoint_pool *p, const struct model *m,
                            const char *revision, struct err *err)
{
	CLEANUP_JSON json_t *template = json_parse(slice_from(m->template_json), err);
	if (template == NULL) {
		err_prefix(err, "spec.template");
		return NULL;
	}
	json_t *meta = child_of_type(template, "metadata", JSON_OBJECT),
		   *pod = child_of_type(template, "spec", JSON_OBJECT);
	json_t *labels = meta ? child_of_type(meta, "labels", JSON_OBJECT) : NULL;
	if (labels == NULL || pod == NULL) {
		err_set(err, ERR_INVALID, "spec.template: metadata, metadata.labels and spec must be objects");
		return NULL;
	}
	put_labels(labels, e, p, revision);
#ifdef WORKLOAD_TEST_LABEL /* a build that renders otherwise, for the scenario of an upgrade */
	json_put_str(labels, WORKLOAD_TEST_LABEL, "new");
#endif
	if (add_protection(meta, err) < 0 || add_to_pod(pod, p, m, err) < 0)
		return NULL;
	return STEAL_PTR(template);
}

json_t *workload_deployment(const struct endpoint *e, const struct endpoint_pool *p, const struct model *m,
                            const char *revision, int32_t replicas, struct err *err)
{
	char name[NAME_MAX_BYTES + 1];
	json_t *template = pod_template(e, p, m, revision, err);
	if (template == NULL) {
		err_prefix(err, "Model %s", m->meta.name);
		return NULL;
	}
	deployment_name(e->meta.name, p->name, revision, name);
	json_t *d = object_new("apps/v1", "Deployment", e, name);
	json_t *meta = json_child(d, "metadata");
	put_labels(json_child(meta, "labels"), e, p, revision);
	put_owner(meta, e);

	json_t *spec = json_child(d, "spec");
	json_put_int(spec, "replicas", replicas);
	json_put_int(spec, "revisionHistoryLimit", 1);
	json_t *match = json_child(json_child(spec, "selector"), "matchLabels");
	json_put_str(match, LABEL_ENDPOINT, e->meta.name);
	json_put_str(match, LABEL_POOL, p->name);
	json_put_str(match, LABEL_REVISION, revision);
	/* We never change the template. Should somebody else do so, then no instance more than there is room
	 * for may be asked, and one at a time may go until we have put it back. */
	json_t *strategy = json_child(spec, "strategy");
	json_put_str(strategy, "type", "RollingUpdate");
	json_t *rolling = json_child(strategy, "rollingUpdate");
	json_put_int(rolling, "maxSurge", 0);
	json_put_int(rolling, "maxUnavailable", 1);
	json_set(spec, "template", template);
	return d;
}

json_t *workload_trial_pod(const json_t *deployment)
{
	const json_t *from = json_at(deployment, "metadata", NULL);
	json_t *pod = json_must(json_deep_copy(json_at(deployment, "spec", "template", NULL)));
	json_t *meta = json_child(pod, "metadata");
	json_put_str(pod, "apiVersion", "v1");
	json_put_str(pod, "kind", "Pod");
	json_put_str(meta, "name", json_string_value(json_at(from, "name", NULL)));
	json_put_str(meta, "namespace", json_string_value(json_at(from, "namespace", NULL)));
	/* Policies may refuse a Pod that nobody owns. */
	json_set(meta, "ownerReferences", json_must(json_deep_copy(json_at(from, "ownerReferences", NULL))));
	return pod;
}

/* An object of the endpoint's own name. */
static json_t *companion_new(const char *api_version, const char *kind, const struct endpoint *e)
{
	json_t *o = object_new(api_version, kind, e, e->meta.name);
	json_t *meta = json_child(o, "metadata");
	json_put_str(json_child(meta, "labels"), LABEL_ENDPOINT, e->meta.name);
	put_owner(meta, e);
	return o;
}

json_t *workload_service(const struct endpoint *e)
{
	json_t *s = companion_new("v1", "Service", e);

	json_t *spec = json_child(s, "spec");
	json_t *selector = json_child(spec, "selector");
	json_put_str(selector, LABEL_ENDPOINT, e->meta.name);
	json_put_str(selector, LABEL_TRACK, TRACK_BLUE);
	json_t *port = json_must(json_object());
	json_put_str(port, "name", "http");
	json_put_str(port, "protocol", "TCP");
	json_put_int(port, "port", 80);
	json_put_str(port, "targetPort", PORT_NAME);
	json_t *ports = json_must(json_array());
	json_set(spec, "ports", ports);
	json_append(ports, port);
	return s;
}

json_t *workload_budget(const struct endpoint *e)
{
	json_t *b = companion_new("policy/v1", "PodDisruptionBudget", e);
	json_t *spec = json_child(b, "spec");
	json_put_int(spec, "maxUnavailable", 1);
	json_put_str(json_child(json_child(spec, "selector"), "matchLabels"), LABEL_ENDPOINT, e->meta.name);
	/* What does not serve may always go. */
	json_put_str(spec, "unhealthyPodEvictionPolicy", "AlwaysAllow");
	return b;
}
