/* CreateModel -> Model. */
#include <ctype.h>
#include <inttypes.h>
#include <strings.h>
#include "convert/fields.h"

#define MODEL_DIR "/opt/ml/model"
#define EXTRA_DIR "/opt/ml/additional-model-data-sources"
#define DATA_VOLUME "model-data"

static bool same_devices(const struct accelerators *a, const struct accelerators *b)
{
	return a->known == b->known && a->count == b->count && str_eq(a->resource, b->resource);
}

/* What tells this Model from the first one of the same model. */
static const char *suffix_of(struct conversion *c, const struct accelerators *d)
{
	if (!d->known)
		return "-other";
	if (!d->resource)
		return "-cpu";
	return arena_printf(&c->arena, "-%" PRId32 "%s", d->count, strstr(d->resource, "gpu") ? "gpu" : "neuron");
}

const char *model_use(struct conversion *c, const char *model, const char *instance_type)
{
	struct model_use new = {.model = model, .instance_type = instance_type, .name = NULL};
	bool first = true;

	new.devices = accelerators_of(instance_type_strip(instance_type));
	for (size_t i = 0; i < c->n_uses; i++) {
		if (!str_eq(c->uses[i].model, model))
			continue;
		if (same_devices(&c->uses[i].devices, &new.devices))
			return c->uses[i].name;
		first = false;
	}
	new.name = name_new(c, "Model", model, first ? "" : suffix_of(c, &new.devices));
	c->uses = xreallocarray(c->uses, c->n_uses + 1, sizeof(*c->uses));
	c->uses[c->n_uses++] = new;
	return new.name;
}

const char *model_use_any(struct conversion *c, const char *model, const char *instance_type)
{
	for (size_t i = 0; i < c->n_uses; i++)
		if (str_eq(c->uses[i].model, model))
			return c->uses[i].name;
	return model_use(c, model, instance_type);
}

static bool is_secret(const char *name)
{
	static const char *const words[] = {"TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY", "ACCESS_KEY"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

static int write_environment(struct conversion *c, const struct object *of, const char *path,
                             json_t *container, json_t *out, struct err *err)
{
	json_t *environment = NULL, *list, *v;
	const char *key;

	if (take_object(c, of, path, container, "Environment", &environment, err) < 0)
		return -1;
	if (json_object_size(environment) == 0)
		return 0;
	path = path_join(c, path, "Environment");
	list = json_must(json_array());
	json_set(out, "env", list);
	json_object_foreach(environment, key, v) {
		json_t *entry = json_must(json_object());

		json_append(list, entry);
		if (!*key || strchr(key, '='))
			return refuse(c, err, of, path_join(c, path, shown_text(c, key)), NULL,
			              "is no name of a variable");
		json_put_str(entry, "name", key);
		if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
			return refuse(c, err, of, path_join(c, path, shown_text(c, key)), NULL, "must be a string");
		json_put_str(entry, "value", json_string_value(v));
		if (is_secret(key))
			note(c, of, path_join(c, path, shown_text(c, key)), NULL,
			     "it looks like a secret and stands in the Model as it is: put it into a Secret and use "
			     "valueFrom.secretKeyRef");
	}
	return 0;
}

/* An empty volume where the model server looks for the files; what fills it is for the user to say. */
static void write_volume(json_t *pod, json_t *container, const char *name, const char *dir)
{
	json_t *volumes = json_object_get(pod, "volumes"), *mounts = json_object_get(container, "volumeMounts");

	if (!volumes) {
		volumes = json_must(json_array());
		json_set(pod, "volumes", volumes);
	}
	if (!mounts) {
		mounts = json_must(json_array());
		json_set(container, "volumeMounts", mounts);
	}
	json_append(volumes, json_pack("{s:s, s:{}}", "name", name, "emptyDir"));
	json_append(mounts, json_pack("{s:s, s:s}", "name", name, "mountPath", dir));
}

static void note_data(struct conversion *c, const struct object *of, const char *path, const char *uri,
                      const char *command, const char *volume, const char *dir)
{
	CLEANUP_JSON json_t *value = json_must(json_string(uri));

	note(c, of, path, value,
	     "SageMaker puts it into %s before the container starts. Here that is the empty volume %s: fill it "
	     "in an "
	     "init container that mounts it there, with the command %s; modelDataDownloadTimeoutSeconds is its "
	     "time "
	     "limit",
	     dir, volume, command);
}

/* Letters, digits and these. */
static bool consists_of(const char *text, const char *others)
{
	while (isalnum((unsigned char)*text) || (*text && strchr(others, *text)))
		text++;
	return *text == '\0';
}

static bool is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

/* As one word of a shell, of any length. */
static const char *uri_word(struct conversion *c, const char *uri)
{
	CLEANUP_BUF struct buf b;

	buf_init(&b, SIZE_MAX);
	if (!str_starts(uri, "s3://") || !is_printable(uri))
		return "<the URI>";
	if (consists_of(uri, ":/._-"))
		return uri;
	buf_add_char(&b, '\'');
	for (; *uri; uri++)
		if (*uri == '\'')
			buf_add_str(&b, "'\\''");
		else
			buf_add_char(&b, *uri);
	buf_add_char(&b, '\'');
	return arena_slicedup(&c->arena, buf_slice(&b));
}

/* For an image that has the AWS CLI. */
static const char *fetch(struct conversion *c, const char *uri, bool unpack, bool one_file, const char *dir)
{
	const char *from = uri_word(c, uri);

	if (unpack)
		return arena_printf(&c->arena, "aws s3 cp %s - | tar -xz -C %s", from, dir);
	return arena_printf(&c->arena, "aws s3 cp %s%s %s/", one_file ? "" : "--recursive ", from, dir);
}

/* It becomes part of a path. */
static bool is_channel(const char *name)
{
	return consists_of(name, "._-") && !str_eq(name, ".") && !str_eq(name, "..");
}

static int write_source(struct conversion *c, const struct object *of, const char *path, json_t *source,
                        json_t *pod, json_t *container, const char *volume, const char *dir, struct err *err)
{
	json_t *s3 = NULL;
	const char *uri = NULL, *compression = NULL, *type = NULL;

	fields_note(c, of, path, source, model_source_fields);
	if (take_object(c, of, path, source, "S3DataSource", &s3, err) < 0)
		return -1;
	if (!s3)
		return 0;
	path = path_join(c, path, "S3DataSource");
	fields_note(c, of, path, s3, s3_source_fields);
	if (take_str(c, of, path, s3, "S3Uri", &uri, err) < 0 ||
	    take_str(c, of, path, s3, "CompressionType", &compression, err) < 0 ||
	    take_str(c, of, path, s3, "S3DataType", &type, err) < 0)
		return -1;
	if (!uri)
		return refuse(c, err, of, path_join(c, path, "S3Uri"), NULL, "is missing");
	write_volume(pod, container, volume, dir);
	note_data(c, of, path_join(c, path, "S3Uri"), uri,
	          fetch(c, uri, str_eq(compression, "Gzip"), str_eq(type, "S3Object"), dir), volume, dir);
	return 0;
}

static int write_data(struct conversion *c, const struct object *of, const char *path, json_t *from,
                      json_t *pod, json_t *container, struct err *err)
{
	json_t *source = NULL, *more = NULL, *item;
	const char *url = NULL;
	size_t i;

	if (take_str(c, of, path, from, "ModelDataUrl", &url, err) < 0 ||
	    take_object(c, of, path, from, "ModelDataSource", &source, err) < 0 ||
	    take_objects(c, of, path, from, "AdditionalModelDataSources", &more, err) < 0)
		return -1;
	/* Describe answers with both. */
	if (source) {
		if (write_source(c, of, path_join(c, path, "ModelDataSource"), source, pod, container, DATA_VOLUME,
		                 MODEL_DIR, err) < 0)
			return -1;
	} else if (url) {
		write_volume(pod, container, DATA_VOLUME, MODEL_DIR);
		note_data(c, of, path_join(c, path, "ModelDataUrl"), url, fetch(c, url, true, true, MODEL_DIR),
		          DATA_VOLUME, MODEL_DIR);
	}
	path = path_join(c, path, "AdditionalModelDataSources");
	json_array_foreach(more, i, item) {
		const char *channel = NULL, *here = path_item(c, path, i);
		char label[NAME_MAX_BYTES + 1];

		if (take_str(c, of, here, item, "ChannelName", &channel, err) < 0)
			return -1;
		if (!channel)
			return refuse(c, err, of, path_join(c, here, "ChannelName"), NULL, "is missing");
		if (!is_channel(channel))
			return refuse(c, err, of, path_join(c, here, "ChannelName"), json_object_get(item, "ChannelName"),
			              "must consist of letters, digits, '.', '_' and '-'");
		label_from(channel, "channel", NAME_MAX_BYTES - 24, label);
		if (write_source(c, of, here, item, pod, container, arena_printf(&c->arena, "%s-%zu", label, i),
		                 arena_printf(&c->arena, EXTRA_DIR "/%s", channel), err) < 0)
			return -1;
	}
	return 0;
}

static void write_devices(struct conversion *c, const struct object *of, const struct model_use *use,
                          json_t *container)
{
	const char *type = shown_text(c, use->instance_type);

	if (!*type) {
		note(c, of, "", NULL,
		     "Model %s: the input does not say which instance types it runs on: add resources.limits of "
		     "nvidia.com/gpu, as many as one instance has",
		     use->name);
	} else if (!use->devices.known) {
		note(c, of, "", NULL,
		     "Model %s: how many GPUs %s has is not known here: add resources.limits of nvidia.com/gpu, as "
		     "many "
		     "as one instance has",
		     use->name, type);
	} else if (!use->devices.resource) {
		note(c, of, "", NULL,
		     "Model %s: %s has no GPU, and SageMaker gives a whole instance to one copy: add "
		     "resources.requests "
		     "of cpu and memory, so that one pod fills a node",
		     use->name, type);
	} else {
		json_t *limits = json_child(json_child(container, "resources"), "limits");

		json_set(limits, use->devices.resource, json_integer(use->devices.count));
	}
}

/* The container that serves: the primary one or the first of the list. */
static int find_container(struct conversion *c, const struct object *of, const char **ret_path, json_t **ret,
                          struct err *err)
{
	json_t *list = NULL, *item;
	size_t i;

	*ret_path = "PrimaryContainer";
	if (take_object(c, of, "", of->json, "PrimaryContainer", ret, err) < 0 ||
	    take_objects(c, of, "", of->json, "Containers", &list, err) < 0)
		return -1;
	json_array_foreach(list, i, item) {
		if (!*ret) {
			*ret = item;
			*ret_path = "Containers[0]";
		} else {
			note(c, of, path_item(c, "Containers", i), NULL,
			     "not carried over: a Model has one container that serves; a pipeline of several has to be "
			     "one "
			     "image, or several endpoints");
		}
	}
	return 0;
}

static void note_mode(struct conversion *c, const struct object *of, const char *path, const char *mode)
{
	CLEANUP_JSON json_t *value = json_must(json_string(mode ? mode : ""));

	if (mode && !str_eq(mode, "SingleModel"))
		note(c, of, path_join(c, path, "Mode"), value,
		     "not carried over: a Model serves one model; make one of each");
}

/* SageMaker runs the image with the argument "serve". */
static int write_container(struct conversion *c, const struct object *of, const char *path, json_t *from,
                           json_t *pod, struct err *err)
{
	const char *image = NULL, *host = NULL, *mode = NULL;
	json_t *container = json_must(json_object());
	char name[NAME_MAX_BYTES + 1];

	json_set(pod, "containers", json_must(json_pack("[o]", container)));
	if (take_str(c, of, path, from, "Image", &image, err) < 0 ||
	    take_str(c, of, path, from, "ContainerHostname", &host, err) < 0 ||
	    take_str(c, of, path, from, "Mode", &mode, err) < 0)
		return -1;
	label_from(host ? host : "model", "model", NAME_MAX_BYTES, name);
	json_put_str(container, "name", name);
	json_put_str(container, "image", image);
	if (!image)
		note(c, of, path_join(c, path, "Image"), NULL, "there is none: fill in the Model's image");
	json_set(container, "args", json_pack("[s]", "serve"));
	note_mode(c, of, path, mode);
	if (write_environment(c, of, path, from, container, err) < 0 ||
	    write_data(c, of, path, from, pod, container, err) < 0)
		return -1;
	return 0;
}

static int write_model(struct conversion *c, struct object *of, const struct model_use *use, struct err *err)
{
	json_t *o = object_new("Model", use->name), *from = NULL, *pod;
	const char *path;

	json_append(c->out_models, o);
	pod = json_child(json_child(json_child(o, "spec"), "template"), "spec");
	c->quiet = of->used; /* all has been said for the first Model of this model, but for the devices */
	of->used = true;
	if (!str_eq(use->name, of->name))
		note(c, of, "ModelName", json_object_get(of->json, "ModelName"), "the Model is called %s", use->name);
	fields_note(c, of, "", of->json, model_fields);
	if (find_container(c, of, &path, &from, err) < 0)
		return -1;
	if (!from)
		return refuse(c, err, of, "PrimaryContainer", NULL, "is missing");
	fields_note(c, of, path, from, container_fields);
	if (write_container(c, of, path, from, pod, err) < 0)
		return -1;
	c->quiet = false;
	write_devices(c, of, use, json_array_get(json_object_get(pod, "containers"), 0));
	return 0;
}

int models_write(struct conversion *c, struct err *err)
{
	for (size_t i = 0; i < c->n_uses; i++) {
		struct object *of = object_find(&c->models, c->uses[i].model);

		if (of && write_model(c, of, &c->uses[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->models.n; i++) {
		struct object *of = &c->models.items[i];
		struct model_use use = {.model = of->name, .instance_type = ""};

		if (of->used)
			continue;
		use.name = name_new(c, "Model", of->name, "");
		if (write_model(c, of, &use, err) < 0)
			return -1;
	}
	return 0;
}
