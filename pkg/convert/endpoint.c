/* CreateEndpointConfig and CreateEndpoint -> InstancePoolEndpoints, one for each variant. */
#include "api/endpoint.h"
#include <inttypes.h>
#include "convert/fields.h"

#define MAX_INSTANCES 10000

/* One variant on its way. */
struct variant {
	struct object *config;
	const char *path; /* in the configuration */
	json_t *json;
	const char *name, *model;
	json_t *spec; /* borrowed: of the InstancePoolEndpoint */
};

/* The same name is another Model where the instances have other devices. */
static const char *use_model(struct conversion *c, const struct variant *v, const char *path,
                             const char *model, const char *type)
{
	CLEANUP_JSON json_t *value = json_must(json_string(model));
	const char *name = model_use(c, model, type);

	if (!object_find(&c->models, model))
		note(c, v->config, path, value,
		     "the input has no CreateModel of that name: convert it too, or make a Model %s", name);
	return name;
}

static int check_type(struct conversion *c, const struct variant *v, const char *path, const char *type,
                      struct err *err)
{
	CLEANUP_JSON json_t *value = json_must(json_string(type));

	/* As the CRD has it: the value of a label. */
	if (str_empty(instance_type_strip(type)) || strlen(type) > NAME_MAX_BYTES ||
	    !label_value_valid(instance_type_strip(type)))
		return refuse(c, err, v->config, path, value, "is no instance type, such as ml.g6.48xlarge");
	return 0;
}

static int write_single_type(struct conversion *c, struct variant *v, const char *type, struct err *err)
{
	if (check_type(c, v, path_join(c, v->path, "InstanceType"), type, err) < 0)
		return -1;
	json_put_str(v->spec, "modelName", use_model(c, v, path_join(c, v->path, "ModelName"), v->model, type));
	json_put_str(v->spec, "instanceType", type);
	return 0;
}

/* Pools are called after their types: another one of a type needs a name. */
static void name_pool(struct conversion *c, const struct variant *v, const char *path, struct map *names,
                      const char *type, json_t *pool)
{
	char name[NAME_MAX_BYTES + 1], front[NAME_MAX_BYTES + 1];
	static char taken;

	pool_default_name(type, name);
	str_copy(front, sizeof(front), name);
	for (int n = 2; map_get(names, name); n++)
		str_format(name, sizeof(name), "%.*s-%d", NAME_MAX_BYTES - 3, front, n);
	map_put(names, name, &taken);
	if (str_eq(name, front))
		return;
	json_put_str(pool, "name", name);
	note(c, v->config, path, NULL, "the pool is called %s, because another one has the same type", name);
}

static int write_pool(struct conversion *c, struct variant *v, const char *path, struct map *names,
                      json_t *from, json_t *pools, struct err *err)
{
	const char *type = NULL, *override = NULL, *model;
	int64_t priority = 0;
	json_t *pool = json_must(json_object());

	json_append(pools, pool);
	fields_note(c, v->config, path, from, pool_fields);
	if (take_str(c, v->config, path, from, "InstanceType", &type, err) < 0 ||
	    take_int(c, v->config, path, from, "Priority", 1, 1000, &priority, err) < 0 ||
	    take_str(c, v->config, path, from, "ModelNameOverride", &override, err) < 0)
		return -1;
	if (!type || priority == 0)
		return refuse(c, err, v->config, path, from, "InstanceType and Priority must both be there");
	if (check_type(c, v, path_join(c, path, "InstanceType"), type, err) < 0)
		return -1;
	name_pool(c, v, path, names, type, pool);
	json_put_str(pool, "instanceType", type);
	json_put_int(pool, "priority", priority);
	model = override ? use_model(c, v, path_join(c, path, "ModelNameOverride"), override, type)
	                 : use_model(c, v, path_join(c, v->path, "ModelName"), v->model, type);
	json_put_str(pool, "modelNameOverride", model);
	if (!override && !str_eq(model, model_use_any(c, v->model, type)))
		note(c, v->config, path, NULL,
		     "the instances of this type have another number of devices: they run a Model of their own, %s",
		     model);
	return 0;
}

static int write_pools(struct conversion *c, struct variant *v, json_t *list, struct err *err)
{
	const char *path = path_join(c, v->path, "InstancePools"), *first_type;
	json_t *pools = json_must(json_array()), *from;
	struct map names;
	size_t i;
	int result = 0;

	json_set(v->spec, "instancePools", pools);
	if (json_array_size(list) == 0 || json_array_size(list) > ENDPOINT_MAX_POOLS)
		return refuse(c, err, v->config, path, list, "must have 1 to 16 entries");
	map_init(&names);
	for (i = 0; i < json_array_size(list) && result == 0; i++)
		result = write_pool(c, v, path_item(c, path, i), &names, json_array_get(list, i), pools, err);
	map_done(&names, NULL);
	if (result < 0)
		return -1;
	first_type = json_string_value(json_object_get(json_array_get(pools, 0), "instanceType"));
	json_put_str(v->spec, "modelName", model_use_any(c, v->model, first_type));
	json_array_foreach(pools, i, from)
		if (str_eq(json_string_value(json_object_get(from, "modelNameOverride")),
		           json_string_value(json_object_get(v->spec, "modelName"))))
			json_object_del(from, "modelNameOverride");
	return 0;
}

static int write_seconds(struct conversion *c, struct variant *v, const char *from, const char *to,
                         int64_t min, struct err *err)
{
	int64_t seconds = -1;

	if (take_int(c, v->config, v->path, v->json, from, min, 3600, &seconds, err) < 0)
		return -1;
	if (seconds >= 0)
		json_put_int(v->spec, to, seconds);
	return 0;
}

static int write_timeouts(struct conversion *c, struct variant *v, struct err *err)
{
	const char *provision = "VariantInstanceProvisionTimeoutInSeconds";

	if (write_seconds(c, v, provision, "instanceProvisionTimeoutSeconds", 0, err) < 0 ||
	    write_seconds(c, v, "ModelDataDownloadTimeoutInSeconds", "modelDataDownloadTimeoutSeconds", 60, err) <
	        0 ||
	    write_seconds(c, v, "ContainerStartupHealthCheckTimeoutInSeconds",
	                  "containerStartupHealthCheckTimeoutSeconds", 60, err) < 0)
		return -1;
	if (json_object_get(v->spec, "instanceProvisionTimeoutSeconds"))
		note(c, v->config, path_join(c, v->path, provision), json_object_get(v->json, provision),
		     "as instanceProvisionTimeoutSeconds it counts for each pool anew, and its end is no failure of "
		     "the "
		     "endpoint, which goes on trying");
	return 0;
}

/* What DescribeEndpoint says about the variant; NULL: nothing. */
static json_t *described(const struct object *endpoint, const char *name, size_t *ret_index)
{
	json_t *list = endpoint ? json_object_get(endpoint->json, "ProductionVariants") : NULL, *item;
	size_t i;

	json_array_foreach(list, i, item) {
		*ret_index = i;
		if (str_eq(json_string_value(json_object_get(item, "VariantName")), name))
			return item;
	}
	return NULL;
}

/* How many there were last is what is wanted, not how many there were first. */
static int write_count(struct conversion *c, const struct object *endpoint, struct variant *v,
                       struct err *err)
{
	int64_t count = -1, now = -1;
	size_t i = 0;
	json_t *d = described(endpoint, v->name, &i);
	const char *path = path_item(c, "ProductionVariants", i);

	if (take_int(c, v->config, v->path, v->json, "InitialInstanceCount", 0, MAX_INSTANCES, &count, err) < 0 ||
	    (d && take_int(c, endpoint, path, d, "DesiredInstanceCount", 0, MAX_INSTANCES, &now, err) < 0))
		return -1;
	if (now >= 0 && now != count)
		note(c, endpoint, path_join(c, path, "DesiredInstanceCount"),
		     json_object_get(d, "DesiredInstanceCount"), "taken for instanceCount, not InitialInstanceCount");
	if (now >= 0 || count >= 0)
		json_put_int(v->spec, "instanceCount", now >= 0 ? now : count);
	return 0;
}

static int write_places(struct conversion *c, struct variant *v, struct err *err)
{
	const char *type = NULL;
	json_t *pools = NULL;

	if (take_str(c, v->config, v->path, v->json, "InstanceType", &type, err) < 0 ||
	    take_objects(c, v->config, v->path, v->json, "InstancePools", &pools, err) < 0)
		return -1;
	if (type && pools)
		return refuse(c, err, v->config, v->path, NULL, "has both InstanceType and InstancePools");
	if (pools)
		return write_pools(c, v, pools, err);
	if (!type)
		return refuse(c, err, v->config, v->path, NULL, "has neither InstanceType nor InstancePools");
	return write_single_type(c, v, type, err);
}

/* Those that cannot be served here are left out, with a note. */
static bool can_be_served(struct conversion *c, const struct variant *v)
{
	if (json_at(v->json, "ServerlessConfig", NULL)) {
		note(c, v->config, v->path, NULL,
		     "the variant is left out: it is serverless and names no instance type");
		return false;
	}
	if (!v->model)
		note(c, v->config, v->path, NULL,
		     "the variant is left out: it has no ModelName, so inference components run on it, for which "
		     "there "
		     "is no counterpart yet");
	return v->model;
}

static int write_variant(struct conversion *c, const struct object *endpoint, struct variant *v,
                         const char *wanted_name, struct err *err)
{
	const char *name;
	json_t *o;

	fields_note(c, v->config, v->path, v->json, variant_fields);
	if (take_str(c, v->config, v->path, v->json, "VariantName", &v->name, err) < 0 ||
	    take_str(c, v->config, v->path, v->json, "ModelName", &v->model, err) < 0)
		return -1;
	if (!can_be_served(c, v))
		return 0;
	name = name_new(c, "InstancePoolEndpoint", wanted_name, "");
	if (!str_eq(name, wanted_name))
		note(c, endpoint ? endpoint : v->config, endpoint ? "EndpointName" : "EndpointConfigName", NULL,
		     "the InstancePoolEndpoint of \"%s\" is called %s", shown_text(c, wanted_name), name);
	o = object_new("InstancePoolEndpoint", name);
	json_append(c->out_endpoints, o);
	v->spec = json_child(o, "spec");
	json_set(v->spec, "modelName", json_null()); /* stands first */
	if (write_count(c, endpoint, v, err) < 0 || write_places(c, v, err) < 0)
		return -1;
	return write_timeouts(c, v, err);
}

static void note_variants(struct conversion *c, const struct object *endpoint, const struct object *config,
                          json_t *variants)
{
	bool several = json_array_size(variants) > 1;
	json_t *v;
	size_t i, k;

	json_array_foreach(variants, i, v) {
		const char *path = path_item(c, "ProductionVariants", i);
		const json_t *name = json_at(v, "VariantName", NULL),
					 *weight = json_at(v, "InitialVariantWeight", NULL);
		json_t *now = described(endpoint, json_string_value(name), &k);

		if (json_at(now, "DesiredWeight", NULL))
			weight = json_at(now, "DesiredWeight", NULL);
		if (several)
			note(c, config, path_join(c, path, "InitialVariantWeight"), weight,
			     "not carried over: each variant is an endpoint of its own; split the traffic in a gateway "
			     "(HTTPRoute: backendRefs with weights)");
		else if (name)
			note(c, config, path_join(c, path, "VariantName"), name,
			     "not carried over: an endpoint has one variant here, without a name and a weight");
	}
}

static void note_described(struct conversion *c, const struct object *endpoint, json_t *variants)
{
	json_t *v;
	size_t i;

	json_array_foreach(variants, i, v)
		fields_note(c, endpoint, path_item(c, "ProductionVariants", i), v, endpoint_variant_fields);
}

int endpoint_write(struct conversion *c, const struct object *endpoint, struct object *config,
                   struct err *err)
{
	const struct object *named = endpoint ? endpoint : config;
	json_t *variants = NULL, *now = NULL, *json;
	size_t i;

	if (take_objects(c, config, "", config->json, "ProductionVariants", &variants, err) < 0 ||
	    (endpoint && take_objects(c, endpoint, "", endpoint->json, "ProductionVariants", &now, err) < 0))
		return -1;
	if (json_array_size(variants) == 0)
		return refuse(c, err, config, "ProductionVariants", variants, "must have at least one entry");
	if (!endpoint)
		note(c, config, "", NULL,
		     "the input has no CreateEndpoint for it: the InstancePoolEndpoint is called after the "
		     "configuration");
	note_described(c, endpoint, now);
	note_variants(c, endpoint, config, variants);
	json_array_foreach(variants, i, json) {
		struct variant v = {config, path_item(c, "ProductionVariants", i), json, NULL, NULL, NULL};
		const char *name = named->name, *variant = json_string_value(json_object_get(json, "VariantName"));

		if (json_array_size(variants) > 1)
			name = arena_printf(&c->arena, "%s-%s", name, variant ? variant : "");
		if (write_variant(c, endpoint, &v, name, err) < 0)
			return -1;
	}
	return 0;
}
