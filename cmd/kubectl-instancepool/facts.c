#include "facts.h"
#include <stdlib.h>
#include "api/names.h"
#include "kube/resource.h"

#define MAX_SELECTOR_BYTES 4096u
#define MAX_PODS_ASKED 5 /* about whose Events is asked, of those that are not well */
#define MAX_SUGGESTIONS 5
#define OPERATOR_NAME "instancepool-operator"

static const struct kube_resource endpoints = {API_GROUP, API_VERSION, "instancepoolendpoints",
                                               "InstancePoolEndpoint", true};
static const struct kube_resource models = {API_GROUP, API_VERSION, "models", "Model", true};
static const struct kube_resource deployments = {"apps", "v1", "deployments", "Deployment", true};
static const struct kube_resource pods = {"", "v1", "pods", "Pod", true};
static const struct kube_resource events = {"", "v1", "events", "Event", true};
static const struct kube_resource leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};

static void gap(struct facts *f, const char *what, const struct err *err)
{
	if (f->view.n_gaps < FACTS_MAX_GAPS)
		f->gaps[f->view.n_gaps++] = (struct inspect_gap){what, arena_strdup(&f->arena, err->message)};
}

/* No such endpoint */

struct suggestions {
	struct arena arena;
	const char *wanted;
	const char **names;
	size_t n;
};

static int add_name(void *arg, struct slice item, struct err *err)
{
	struct suggestions *s = arg;
	struct objmeta meta = {0};

	if (objmeta_read(item, &s->arena, &meta, err) < 0)
		return -1;
	s->names = xreallocarray(s->names, s->n + 1, sizeof(*s->names));
	s->names[s->n++] = str_eq(meta.name, s->wanted) ? meta.ns : meta.name;
	return 0;
}

static int by_distance(const void *x, const void *y, void *arg)
{
	const char *a = *(const char *const *)x, *b = *(const char *const *)y, *wanted = arg;
	size_t da = name_distance(a, wanted), db = name_distance(b, wanted);

	if (da != db)
		return da < db ? -1 : 1;
	return strcmp(a, b);
}

static const char *joined(struct suggestions *s)
{
	const char *text = "";

	for (size_t i = 0; i < s->n && i < MAX_SUGGESTIONS; i++)
		text = arena_printf(&s->arena, "%s%s%s", text, i > 0 ? ", " : "", s->names[i]);
	return s->n > MAX_SUGGESTIONS ? arena_printf(&s->arena, "%s, ...", text) : text;
}

/* Which others there are; in which namespaces one of this name is, where that may be asked. */
static int suggest(struct cluster *c, const char *name, struct err *err)
{
	const char *ns = cluster_namespace(c);
	struct suggestions here = {.wanted = name}, elsewhere = {.wanted = name};
	CLEANUP_FREE char *selector = xasprintf("metadata.name=%s", name);
	struct err ignored = ERR_INIT;
	char text[512] = "";

	arena_init(&here.arena);
	arena_init(&elsewhere.arena);
	cluster_list_objects(c, &endpoints, ns, NULL, NULL, add_name, &here, &ignored);
	cluster_list_objects(c, &endpoints, NULL, "fieldSelector", selector, add_name, &elsewhere, &ignored);
	if (here.n > 1)
		qsort_r(here.names, here.n, sizeof(*here.names), by_distance, (void *)(uintptr_t)name);
	if (elsewhere.n > 0)
		str_format(text, sizeof(text), "; there is one in namespace %s (-n)", joined(&elsewhere));
	else if (here.n > 0)
		str_format(text, sizeof(text), "; there are: %s", joined(&here));
	else
		str_copy(text, sizeof(text), "; there is none at all in this namespace");
	err_set(err, ERR_NOT_FOUND, "there is no InstancePoolEndpoint \"%s\" in namespace %s%s", name, ns, text);
	free(here.names);
	free(elsewhere.names);
	arena_done(&here.arena);
	arena_done(&elsewhere.arena);
	return -1;
}

static int read_endpoint(struct facts *f, struct cluster *c, const char *name, struct err *err)
{
	CLEANUP_BUF struct buf body;

	if (cluster_get_object(c, &endpoints, cluster_namespace(c), name, &body, err) < 0) {
		if (err->code == ERR_NOT_FOUND && str_eq(err->reason, "NotFound"))
			return suggest(c, name, err);
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND,
			               "this cluster (%s) has no InstancePoolEndpoints: the operator's CRDs are not "
			               "installed (kubectl apply -f crds/, or its Helm chart)",
			               cluster_server(c));
		return -1;
	}
	f->endpoint = endpoint_decode(buf_slice(&body), err);
	return f->endpoint ? 0 : err_prefix(err, "InstancePoolEndpoint %s cannot be read", name);
}

/* Pods and Deployments */

struct views {
	void *(*decode)(struct slice json, struct err *err);
	void ***list;
	size_t *n;
};

static void *decode_pod(struct slice json, struct err *err)
{
	return pod_decode(json, err);
}

static void *decode_deployment(struct slice json, struct err *err)
{
	return deployment_decode(json, err);
}

static int add_view(void *arg, struct slice item, struct err *err)
{
	struct views *v = arg;
	void *view = v->decode(item, err);

	if (!view)
		return -1;
	*v->list = xreallocarray(*v->list, *v->n + 1, sizeof(void *));
	(*v->list)[(*v->n)++] = view;
	return 0;
}

static void read_views(struct facts *f, struct cluster *c, const struct kube_resource *r, struct views *v)
{
	CLEANUP_BUF struct buf selector;
	struct err err = ERR_INIT;

	buf_init(&selector, MAX_SELECTOR_BYTES);
	endpoint_selector(f->endpoint->meta.name, &selector);
	if (cluster_list_objects(c, r, f->endpoint->meta.ns, "labelSelector", selector.ptr, add_view, v, &err) <
	    0)
		gap(f, r->plural, &err);
}

/* Models */

static void read_models(struct facts *f, struct cluster *c)
{
	const struct endpoint_spec *spec = &f->endpoint->spec;
	const char **missing = arena_calloc(&f->arena, spec->n_pools, sizeof(*missing));

	for (size_t i = 0; i < spec->n_pools; i++) {
		const char *name = spec->pools[i].model_name;
		CLEANUP_BUF struct buf body;
		struct err err = ERR_INIT;
		bool again = false;

		buf_init(&body, 0);
		for (size_t k = 0; k < i; k++)
			again = again || str_eq(name, spec->pools[k].model_name);
		if (again || cluster_get_object(c, &models, f->endpoint->meta.ns, name, &body, &err) == 0)
			continue;
		if (err.code != ERR_NOT_FOUND) {
			gap(f, "models", &err);
			return;
		}
		missing[f->view.n_missing_models++] = name;
	}
	f->view.missing_models = missing;
}

/* Events */

struct event_fields {
	struct objmeta meta;
	const char *kind, *name, *type, *reason, *message;
	struct wall last, series_last, time;
	int32_t count;
};

#define FIELD(json, type, member)                                   \
	{                                                               \
		json, type, .offset = offsetof(struct event_fields, member) \
	}

static const struct jfield involved_fields[] = {FIELD("kind", J_STR, kind), FIELD("name", J_STR, name), {0}};
static const struct jfield series_fields[] = {FIELD("lastObservedTime", J_TIME, series_last), {0}};
static const struct jfield event_fields[] = {
	{"metadata", J_OBJECT, .sub = objmeta_fields},
	{"involvedObject", J_OBJECT, .sub = involved_fields},
	{"series", J_OBJECT, .sub = series_fields},
	FIELD("type", J_STR, type),
	FIELD("reason", J_STR, reason),
	FIELD("message", J_STR, message),
	FIELD("lastTimestamp", J_TIME, last),
	FIELD("eventTime", J_TIME, time),
	FIELD("count", J_I32, count),
	{0},
};

static int add_event(void *arg, struct slice item, struct err *err)
{
	struct facts *f = arg;
	struct event_fields e = {0};

	if (jread(event_fields, item, &f->arena, &e, err) < 0)
		return -1;
	f->events = xreallocarray(f->events, f->n_events + 1, sizeof(*f->events));
	f->events[f->n_events++] = (struct inspect_event){
		.pod = str_eq(e.kind, "Pod") ? e.name : NULL,
		.warning = str_eq(e.type, "Warning"),
		.count = e.count,
		.reason = e.reason,
		.message = e.message,
		.last = wall_max(wall_max(e.last, e.series_last), wall_max(e.time, e.meta.created)),
	};
	return 0;
}

static int read_events_of(struct facts *f, struct cluster *c, const char *kind, const char *name)
{
	CLEANUP_FREE char *selector = xasprintf("involvedObject.kind=%s,involvedObject.name=%s", kind, name);
	struct err err = ERR_INIT;

	if (cluster_list_objects(c, &events, f->endpoint->meta.ns, "fieldSelector", selector, add_event, f,
	                         &err) == 0)
		return 0;
	gap(f, "events", &err);
	return -1;
}

static void read_events(struct facts *f, struct cluster *c)
{
	size_t asked = 0;

	if (read_events_of(f, c, "InstancePoolEndpoint", f->endpoint->meta.name) < 0)
		return;
	for (size_t i = 0; i < f->n_pods && asked < MAX_PODS_ASKED; i++) {
		const struct pod *p = f->pods[i];

		if (p->ready)
			continue;
		asked++;
		if (read_events_of(f, c, "Pod", p->meta.name) < 0)
			return;
	}
}

/* The operator: its Deployment and Lease */

struct lease_fields {
	const char *holder;
	struct wall renewed;
	int64_t duration_s;
};
static const struct jfield lease_spec_fields[] = {
	{"holderIdentity", J_STR, .offset = offsetof(struct lease_fields, holder)},
	{"renewTime", J_TIME, .offset = offsetof(struct lease_fields, renewed)},
	{"leaseDurationSeconds", J_I64, .offset = offsetof(struct lease_fields, duration_s)},
	{0},
};
static const struct jfield lease_fields[] = {{"spec", J_OBJECT, .sub = lease_spec_fields}, {0}};

/* Of several the first. */
static int add_operator(void *arg, struct slice item, struct err *err)
{
	struct facts *f = arg;
	struct objmeta meta = {0};

	if (objmeta_read(item, &f->arena, &meta, err) < 0)
		return -1;
	if (!f->view.lease.name)
		f->view.lease.name = meta.name;
	return 0;
}

/* The chart calls Deployment and Lease after the release. False: they may have another name than the usual one. */
static bool find_operator(struct facts *f, struct cluster *c, const char *ns)
{
	struct inspect_lease *ret = &f->view.lease;
	struct err err = ERR_INIT;
	bool found = cluster_list_objects(c, &deployments, ns, "labelSelector",
	                                  "app.kubernetes.io/name=" OPERATOR_NAME, add_operator, f, &err) == 0;

	if (!found)
		gap(f, "the operator's Deployment", &err);
	ret->ns = ns;
	if (!ret->name)
		ret->name = OPERATOR_NAME;
	return found;
}

static void read_lease(struct facts *f, struct cluster *c, const char *ns)
{
	CLEANUP_BUF struct buf body;
	struct inspect_lease *ret = &f->view.lease;
	struct lease_fields l = {0};
	struct err err = ERR_INIT;
	bool name_known = find_operator(f, c, ns);

	if (cluster_get_object(c, &leases, ns, ret->name, &body, &err) < 0) {
		ret->known = err.code == ERR_NOT_FOUND && name_known;
		if (err.code != ERR_NOT_FOUND)
			gap(f, "the operator's Lease", &err);
		return;
	}
	ret->known = ret->present = jread(lease_fields, buf_slice(&body), &f->arena, &l, &err) == 0;
	ret->holder = l.holder;
	ret->renewed = l.renewed;
	ret->duration_ms = l.duration_s * MS_PER_S;
}

int facts_read(struct facts *f, struct cluster *c, const char *name, const char *operator_ns, struct err *err)
{
	struct views pod_views = {decode_pod, &f->pods, &f->n_pods};
	struct views deployment_views = {decode_deployment, &f->deployments, &f->n_deployments};

	*f = (struct facts){0};
	arena_init(&f->arena);
	if (read_endpoint(f, c, name, err) < 0)
		return -1;
	read_views(f, c, &deployments, &deployment_views);
	read_views(f, c, &pods, &pod_views);
	read_models(f, c);
	read_events(f, c);
	read_lease(f, c, operator_ns);
	f->view.now = cluster_now(c);
	f->view.endpoint = f->endpoint;
	f->view.pods = (const struct pod *const *)f->pods;
	f->view.n_pods = f->n_pods;
	f->view.deployments = (const struct deployment *const *)f->deployments;
	f->view.n_deployments = f->n_deployments;
	f->view.events = f->events;
	f->view.n_events = f->n_events;
	f->view.gaps = f->gaps;
	return 0;
}

void facts_done(struct facts *f)
{
	for (size_t i = 0; i < f->n_pods; i++)
		view_free(f->pods[i]);
	for (size_t i = 0; i < f->n_deployments; i++)
		view_free(f->deployments[i]);
	free(f->pods);
	free(f->deployments);
	free(f->events);
	endpoint_free(f->endpoint);
	arena_done(&f->arena);
}
