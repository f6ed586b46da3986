/* What the input holds, and the order of things. */
#include "base/jscan.h"
#include "base/yaml.h"
#include "convert/fields.h"

#define MAX_OBJECTS 1000
#define MAX_DEPTH 4 /* of lists and wrappers around an object */
#define SHOWN_KEYS_BYTES 200

static bool has(const json_t *o, const char *key)
{
	return json_at(o, key, NULL) != NULL;
}

static bool is_model(const json_t *o)
{
	return has(o, "ModelName") && (has(o, "PrimaryContainer") || has(o, "Containers") ||
	                               has(o, "ExecutionRoleArn") || has(o, "ModelArn"));
}

/* What belongs to SageMaker's serving, too, but has no counterpart: NULL if it is none of these. */
static const char *foreign(const json_t *o)
{
	if (has(o, "InferenceComponentName"))
		return "not carried over yet: inference components; an endpoint runs one model in each instance";
	if (has(o, "ScalableDimension") || has(o, "ResourceId"))
		return "not carried over yet: Application Auto Scaling; an HPA or KEDA can scale the endpoint, "
			   "through "
			   "its scale subresource";
	return NULL;
}

static int add(struct conversion *c, struct objects *list, const char *file, const char *prefix, json_t *o,
               const char *key, struct err *err)
{
	struct object new = {.file = file, .prefix = prefix, .json = o};
	const struct object *other;

	if (take_str(c, &new, "", o, key, &new.name, err) < 0)
		return -1;
	other = object_find(list, new.name);
	if (other)
		return refuse(c, err, &new, key, json_object_get(o, key), "there are two of that name");
	if (list->n == MAX_OBJECTS)
		return err_set(err, ERR_LIMIT, "%s: more than %d objects of one kind", file, MAX_OBJECTS);
	list->items[list->n++] = new;
	return 0;
}

static const char *keys_of(struct conversion *c, json_t *o)
{
	CLEANUP_BUF struct buf b;
	const char *key;
	json_t *v;

	buf_init(&b, SHOWN_KEYS_BYTES);
	json_object_foreach(o, key, v)
		buf_addf(&b, "%s%s", b.len > 0 ? ", " : "", shown_text(c, key));
	return arena_slicedup(&c->arena, buf_slice(&b));
}

static bool holds_only_containers(json_t *o)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
		if (!json_is_object(v) && !json_is_array(v))
			return false;
	return json_object_size(o) > 0;
}

static int collect(struct conversion *c, const char *file, const char *prefix, json_t *o, int depth,
                   struct err *err)
{
	struct object here = {.file = file, .prefix = prefix, .json = o};
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_array(o) && depth < MAX_DEPTH) {
		json_array_foreach(o, i, v)
			if (collect(c, file, path_item(c, prefix, i), v, depth + 1, err) < 0)
				return -1;
		return 0;
	}
	if (!json_is_object(o))
		return refuse(c, err, &here, "", NULL, "is no object");
	if (foreign(o)) {
		note(c, &here, "", NULL, "%s", foreign(o));
		return 0;
	}
	if (has(o, "EndpointName"))
		return add(c, &c->endpoints, file, prefix, o, "EndpointName", err);
	if (has(o, "EndpointConfigName"))
		return add(c, &c->configs, file, prefix, o, "EndpointConfigName", err);
	if (is_model(o))
		return add(c, &c->models, file, prefix, o, "ModelName", err);
	if (!holds_only_containers(o) || depth >= MAX_DEPTH)
		return err_set(err, ERR_INVALID,
		               "%s: %s%sthis is neither of CreateModel nor of CreateEndpointConfig nor of "
		               "CreateEndpoint: it has %s",
		               file, prefix, *prefix ? ": " : "", keys_of(c, o));
	json_object_foreach(o, key, v)
		if (collect(c, file, path_join(c, prefix, shown_text(c, key)), v, depth + 1, err) < 0)
			return -1;
	return 0;
}

/* One JSON text after the other. */
static int read_file(struct conversion *c, const struct convert_file *f, struct err *err)
{
	struct slice rest = slice_trim(f->text);
	size_t before = json_array_size(c->documents);
	const char *prefix = "";

	if (rest.len == 0)
		return err_set(err, ERR_INVALID, "%s: nothing is in it", f->name);
	while (rest.len > 0) {
		struct slice text = rest;
		struct jscan s;
		bool whole;
		json_t *o;

		jscan_init(&s, rest);
		whole = jscan_raw(&s, &text) == 0;
		o = json_parse(whole ? text : rest, err); /* of what is broken it tells line and column */
		if (!o)
			return err_prefix(err, "%s", f->name);
		json_append(c->documents, o);
		if (!whole) {
			jscan_err(&s, err);
			return err_prefix(err, "%s", f->name);
		}
		if (collect(c, f->name, prefix, o, 0, err) < 0)
			return -1;
		prefix = arena_printf(&c->arena, "#%zu", json_array_size(c->documents) - before + 1);
		rest = slice_trim(slice_skip(rest, (size_t)(s.p - rest.ptr)));
	}
	return 0;
}

static int write_endpoints(struct conversion *c, struct err *err)
{
	for (size_t i = 0; i < c->endpoints.n; i++) {
		const struct object *e = &c->endpoints.items[i];
		const char *name = NULL;
		struct object *config;

		if (take_str(c, e, "", e->json, "EndpointConfigName", &name, err) < 0)
			return -1;
		config = name ? object_find(&c->configs, name) : NULL;
		if (!config)
			return refuse(c, err, e, "EndpointConfigName", json_object_get(e->json, "EndpointConfigName"),
			              "the input has no CreateEndpointConfig of that name");
		config->used = true;
		fields_note(c, e, "", e->json, endpoint_fields);
		if (endpoint_write(c, e, config, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->configs.n; i++) {
		struct object *config = &c->configs.items[i];

		if (!config->used && endpoint_write(c, NULL, config, err) < 0)
			return -1;
		fields_note(c, config, "", config->json, config_fields);
	}
	return 0;
}

static void write_all(struct conversion *c, struct buf *out)
{
	struct slice rest = buf_slice(c->notes);
	json_t *o;
	size_t i;

	buf_add_str(out, "# Made by `kubectl instancepool convert` from what SageMaker was told.\n");
	if (rest.len > 0)
		buf_add_str(out, "# Not, or not as it was:\n");
	while (rest.len > 0) {
		struct slice line = slice_split(rest, '\n', &rest);

		buf_addf(out, "# - " SLICE_FMT "\n", SLICE_ARG(line));
	}
	json_array_foreach(c->out_models, i, o)
		yaml_write(o, out);
	json_array_foreach(c->out_endpoints, i, o)
		yaml_write(o, out);
}

static int run(struct conversion *c, const struct convert_file *files, size_t n_files, struct buf *ret_yaml,
               struct err *err)
{
	for (size_t i = 0; i < n_files; i++)
		if (read_file(c, &files[i], err) < 0)
			return -1;
	if (write_endpoints(c, err) < 0 || models_write(c, err) < 0)
		return -1;
	if (json_array_size(c->out_models) + json_array_size(c->out_endpoints) == 0) {
		struct slice rest, first = slice_split(buf_slice(c->notes), '\n', &rest);

		return err_set(err, ERR_INVALID, SLICE_FMT " (and nothing in the input can be converted)",
		               SLICE_ARG(first));
	}
	write_all(c, ret_yaml);
	return buf_failed(c->notes) || buf_failed(ret_yaml) ? err_set(err, ERR_LIMIT, "the input is too large")
	                                                    : 0;
}

int convert(const struct convert_file *files, size_t n_files, struct buf *ret_yaml, struct buf *ret_notes,
            struct err *err)
{
	struct conversion c = {.notes = ret_notes};
	struct objects *lists[] = {&c.models, &c.configs, &c.endpoints};
	int result;

	arena_init(&c.arena);
	map_init(&c.names);
	c.documents = json_must(json_array());
	c.out_models = json_must(json_array());
	c.out_endpoints = json_must(json_array());
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		lists[i]->items = arena_calloc(&c.arena, MAX_OBJECTS, sizeof(struct object));
	result = run(&c, files, n_files, ret_yaml, err);
	json_decref(c.documents);
	json_decref(c.out_models);
	json_decref(c.out_endpoints);
	free(c.uses);
	map_done(&c.names, NULL);
	arena_done(&c.arena);
	return result;
}
