#include "api/model.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/quantity.h"

#define MODEL_ARENA_BLOCK 2048
#define MAX_RESOURCES 32
#define REVISION_VERSION "1"

/* Extended resources by name. A template has a handful. */
struct resources {
	struct jqty list[MAX_RESOURCES];
	size_t n;
};

/* As the scheduler has it: a domain that is not Kubernetes' own. */
static bool is_extended(const char *name)
{
	return strchr(name, '/') && !strstr(name, "kubernetes.io/");
}

static int64_t sum(int64_t a, int64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}

static int64_t largest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* NULL when there is no more room. */
static int64_t *resource_at(struct resources *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i].key, name) == 0)
			return &r->list[i].value;
	if (r->n == MAX_RESOURCES)
		return NULL;
	r->list[r->n] = (struct jqty){.key = name};
	return &r->list[r->n++].value;
}

static int combine(struct resources *to, const struct resources *from, int64_t (*op)(int64_t, int64_t),
                   struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		int64_t *v = resource_at(to, from->list[i].key);
		if (v == NULL)
			return err_set(err, ERR_LIMIT, "spec.template: more than %d kinds of extended resources",
			               MAX_RESOURCES);
		*v = op(*v, from->list[i].value);
	}
	return 0;
}

static int read_quantity(const json_t *v, int64_t *ret, struct err *err)
{
	if (json_is_integer(v))
		*ret = json_integer_value(v);
	else if (!json_is_string(v))
		return err_set(err, ERR_INVALID, "not a quantity");
	else if (quantity_parse(slice_from(json_string_value(v)), ret, err) < 0)
		return -1;
	return *ret < 0 ? err_set(err, ERR_INVALID, "negative") : 0;
}

/* The extended resources of one container; where both are given, a request is its limit. */
static int read_container(json_t *container, const char *path, struct resources *ret, struct err *err)
{
	static const char *const members[] = {"requests", "limits"};
	*ret = (struct resources){0};
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *name;
		json_t *v;
		json_object_foreach(json_at(container, "resources", members[i], NULL), name, v) {
			if (!is_extended(name))
				continue;
			int64_t *to = resource_at(ret, name);
			if (to == NULL)
				return err_set(err, ERR_LIMIT, "%s.resources: more than %d kinds", path, MAX_RESOURCES);
			if (read_quantity(v, to, err) < 0)
				return err_prefix(err, "%s.resources.%s[%.80s]", path, members[i], name);
		}
	}
	return 0;
}

/* An init container that never ends runs beside all that follow. */
static bool is_sidecar(const json_t *container)
{
	return str_eq(json_string_value(json_at(container, "restartPolicy", NULL)), "Always");
}

/* What the scheduler asks for: the containers and sidecars together, or the greediest step of the start. */
static int sum_resources(const json_t *pod, struct resources *ret, struct err *err)
{
	struct resources one, sidecars = {0}, step = {0};
	json_t *container;
	size_t i;
	char path[64];
	json_array_foreach(json_at(pod, "initContainers", NULL), i, container) {
		str_format(path, sizeof(path), "spec.template.spec.initContainers[%zu]", i);
		if (read_container(container, path, &one, err) < 0)
			return -1;
		bool stays = is_sidecar(container);
		struct resources *now = stays ? &sidecars : &one;
		if (combine(now, stays ? &one : &sidecars, sum, err) < 0 || combine(&step, now, largest, err) < 0)
			return -1;
	}
	*ret = sidecars;
	json_array_foreach(json_at(pod, "containers", NULL), i, container) {
		str_format(path, sizeof(path), "spec.template.spec.containers[%zu]", i);
		if (read_container(container, path, &one, err) < 0 || combine(ret, &one, sum, err) < 0)
			return -1;
	}
	return combine(ret, &step, largest, err);
}

static int compare_keys(const void *a, const void *b)
{
	const struct jqty *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static int read_resources(const json_t *pod, struct model *m, struct err *err)
{
	struct resources all;
	if (sum_resources(pod, &all, err) < 0)
		return -1;
	struct jqty *kept = arena_calloc(&m->arena, all.n, sizeof(*kept));
	for (size_t i = 0; i < all.n; i++)
		if (all.list[i].value > 0)
			kept[m->n_resources++] =
				(struct jqty){arena_strdup(&m->arena, all.list[i].key), all.list[i].value};
	qsort(kept, m->n_resources, sizeof(*kept), compare_keys);
	m->resources = kept;
	return 0;
}

static int read_path(const json_t *server, const char *key, const char **ret, struct model *m,
                     struct err *err)
{
	const char *s = *ret;
	if (json_opt_str(server, "spec.server", key, &s, err) < 0)
		return -1;
	if (*s != '/')
		return err_set(err, ERR_INVALID, "spec.server.%s: '%.80s' is not a path that starts with '/'", key,
		               s);
	*ret = arena_strdup(&m->arena, s);
	return 0;
}

static int read_server(const json_t *spec, struct model *m, struct err *err)
{
	json_t *server = NULL;
	m->port = 8080;
	m->health_path = "/ping";
	m->metrics_path = "/metrics";
	if (json_opt_object(spec, "spec", "server", &server, err) < 0 ||
	    json_opt_i32(server, "spec.server", "port", &m->port, err) < 0 ||
	    read_path(server, "healthPath", &m->health_path, m, err) < 0 ||
	    read_path(server, "metricsPath", &m->metrics_path, m, err) < 0)
		return -1;
	if (m->port < 1 || m->port > 65535)
		return err_set(err, ERR_INVALID, "spec.server.port: %d is not between 1 and 65535", m->port);
	return 0;
}

static int read_template(const json_t *spec, struct model *m, struct err *err)
{
	json_t *template = NULL, *pod = NULL, *containers = NULL, *container;
	size_t i;
	if (json_opt_object(spec, "spec", "template", &template, err) < 0 ||
	    json_opt_object(template, "spec.template", "spec", &pod, err) < 0 ||
	    json_opt_array(pod, "spec.template.spec", "containers", &containers, err) < 0)
		return -1;
	if (json_array_size(containers) == 0)
		return err_set(err, ERR_INVALID,
		               "spec.template.spec.containers: missing: there must be at least one container");
	json_array_foreach(containers, i, container)
		if (!json_is_object(container))
			return err_set(err, ERR_INVALID, "spec.template.spec.containers[%zu]: must be an object", i);
	CLEANUP_FREE char *text = json_canonical(template);
	m->template_json = arena_strdup(&m->arena, text);
	return read_resources(pod, m, err);
}

/* Once per Model: endpoints ask for their revisions at each look, and templates may be long. */
static uint64_t revision_seed(const struct model *m)
{
	char port[16];
	str_format(port, sizeof(port), "%d", m->port);

	uint64_t h = hash64_str(HASH64_INIT, REVISION_VERSION);
	h = hash64_str(h, m->template_json);
	h = hash64_str(h, port);
	return hash64_str(h, m->health_path);
}

static int read_model(struct slice json, struct model *m, struct err *err)
{
	static const struct jfield fields[] = {{"metadata", J_OBJECT, 0, .sub = objmeta_fields}, {0}};
	CLEANUP_JSON json_t *root = json_parse(json, err);
	json_t *spec = NULL;
	if (root == NULL || jread(fields, json, &m->arena, &m->meta, err) < 0)
		return -1;
	if (str_empty(m->meta.name))
		return err_set(err, ERR_INVALID, "metadata.name: missing");
	if (json_opt_object(root, "", "spec", &spec, err) < 0 || read_server(spec, m, err) < 0)
		return -1;
	if (read_template(spec, m, err) < 0)
		return -1;
	m->revision_seed = revision_seed(m);
	return 0;
}

struct model *model_decode(struct slice json, struct err *err)
{
	struct model *m = xcalloc(1, sizeof(*m));
	arena_init_small(&m->arena, MODEL_ARENA_BLOCK);
	if (read_model(json, m, err) < 0) {
		model_free(m);
		return NULL;
	}
	return m;
}

void model_free(struct model *m)
{
	if (m == NULL)
		return;
	arena_done(&m->arena);
	free(m);
}
