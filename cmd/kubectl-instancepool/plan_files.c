/* Objects from files. */
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "plan_objects.h"

#define MAX_FILE_BYTES (256u << 20)

static const char *kind_of(const json_t *o)
{
	const char *kind = json_string_value(json_at(o, "kind"));

	return kind ? kind : "";
}

/* One object of a file. */
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
		if (!json_is_object(item))
			return err_set(err, ERR_INVALID, "items[%zu]: must be a Kubernetes object", i);
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

/* JSON is read as such: it may be longer than a person's YAML, which begins with '{' now and then, too. */
static json_t *parse_documents(struct slice text, struct err *err)
{
	struct err as_json = ERR_INIT;
	struct slice trimmed = slice_trim(text);
	json_t *all, *one = slice_starts(trimmed, "{") ? json_parse(trimmed, &as_json) : NULL;

	if (one)
		return json_must(json_pack("[o]", one));
	all = yaml_parse_all(text, err);
	if (!all && as_json.code != ERR_NONE)
		*err = as_json;
	else if (!all && err->code == ERR_LIMIT)
		err_prefix(err, "as YAML (JSON may be larger)");
	return all;
}

static int read_file(struct plan_objects *o, const char *path, object_fn *fn, const char *ns, struct err *err)
{
	const char *name = str_eq(path, "-") ? "standard input" : path;
	struct buf text CLEANUP_BUF;
	CLEANUP_JSON json_t *documents = NULL;
	json_t *d;
	size_t i;

	buf_init(&text, MAX_FILE_BYTES);
	if (file_read_input(path, &text, err) < 0)
		return -1;
	documents = parse_documents(buf_slice(&text), err);
	if (!documents)
		return err_prefix(err, "%s", name);
	json_array_foreach(documents, i, d) {
		if (each_object(o, d, fn, ns, err) == 0)
			continue;
		return json_array_size(documents) > 1 ? err_prefix(err, "%s: document %zu", name, i + 1)
		                                      : err_prefix(err, "%s", name);
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
			return err_prefix(err, ENDPOINT_KIND " %s", plan_name_of(object));
		endpoint_free(e);
		if (json_array_append(o->endpoints, object) < 0)
			json_must(NULL);
	} else if (str_eq(kind_of(object), "Model")) {
		m = model_decode(slice_from(text), err);
		if (!m)
			return err_prefix(err, "Model %s", plan_name_of(object));
		if (plan_objects_has_model(o, m->meta.ns, m->meta.name)) {
			model_free(m);
			return err_set(err, ERR_INVALID, "Model %s is given twice", plan_name_of(object));
		}
		objects_add(&o->models, m);
	}
	return 0;
}

int plan_objects_read(struct plan_objects *o, const char *path, const char *ns, struct err *err)
{
	return read_file(o, path, read_object, ns, err);
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
		CLEANUP_FREE char *name = xasprintf("%s-%zu", plan_name_of(node), o->nodes.n + 1);

		json_put_str(json_at(node, "metadata"), "name", name);
		if (plan_objects_add_node(o, node, err) < 0)
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
	if (!json_is_object(object))
		return err_set(
			err, ERR_INVALID,
			"must be Nodes and Pods, or a list of nodes in short, such as - {type: p5.48xlarge, count: 4, "
			"gpus: 8}");
	if (str_eq(kind_of(object), "Node"))
		return plan_objects_add_node(o, object, err);
	if (str_eq(kind_of(object), "Pod"))
		return plan_objects_add_pod(o, object, err);
	return err_set(err, ERR_INVALID,
	               "kind: '%.80s' is none of Node, Pod and List of these; or write a list of nodes in short, "
	               "such as - {type: p5.48xlarge, count: 4, gpus: 8}",
	               kind_of(object));
}

int plan_objects_read_nodes(struct plan_objects *o, const char *path, struct err *err)
{
	return read_file(o, path, read_node_object, NULL, err);
}
