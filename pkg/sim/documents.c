#include "sim/documents.h"
#include "api/names.h"
#include "base/json.h"

void document_model_name(const struct story_endpoint *e, char buf[static DOCUMENT_NAME_SIZE])
{
	str_format(buf, DOCUMENT_NAME_SIZE, "model-%s", e->name);
}

static json_t *document(const char *kind, const char *name, json_t *spec)
{
	return json_must(json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", API_GROUP "/" API_VERSION,
	                           "kind", kind, "metadata", "name", name, "namespace", DOCUMENT_NS, "spec",
	                           spec));
}

json_t *document_model(const struct story_endpoint *e, int64_t grace_s, int edit)
{
	char name[DOCUMENT_NAME_SIZE];
	json_t *model;

	document_model_name(e, name);
	model = document("Model", name,
	                 json_must(json_pack("{s:{s:{s:I, s:[{s:s, s:s, s:[{s:s}], s:{s:{s:i}}}]}}}", "template",
	                                     "spec", "terminationGracePeriodSeconds", (json_int_t)grace_s,
	                                     "containers", "name", "server", "image", "example/llm:1", "env",
	                                     "name", "EDIT", "resources", "limits", "nvidia.com/gpu", e->gpus)));
	document_edit_model(model, edit);
	return model;
}

void document_edit_model(json_t *model, int edit)
{
	json_t *containers = json_at(model, "spec", "template", "spec", "containers");
	char text[16];

	str_format(text, sizeof(text), "%d", edit);
	json_put_str(json_array_get(json_at(json_array_get(containers, 0), "env"), 0), "value", text);
}

json_t *document_endpoint(const struct story *s, const struct story_endpoint *e)
{
	char model[DOCUMENT_NAME_SIZE];
	json_t *pools = json_must(json_array());

	for (size_t i = 0; i < e->n_pools; i++) {
		const struct story_pool *p = &e->pools[i];
		json_t *pool = json_must(
			json_pack("{s:s, s:i}", "instanceType", s->types[p->type].name, "priority", p->priority));

		if (p->min > 0)
			json_put_int(pool, "minInstanceCount", p->min);
		if (p->max > 0)
			json_put_int(pool, "maxInstanceCount", p->max);
		json_append(pools, pool);
	}
	document_model_name(e, model);
	return document(
		"InstancePoolEndpoint", e->name,
		json_must(
			json_pack("{s:s, s:i, s:o, s:I, s:I, s:s, s:{s:I, s:I, s:s}}", "modelName", model,
	                  "instanceCount", e->count, "instancePools", pools, "instanceProvisionTimeoutSeconds",
	                  (json_int_t)(e->window_ms / MS_PER_S), "containerStartupHealthCheckTimeoutSeconds",
	                  (json_int_t)(e->startup_ms / MS_PER_S), "onStartupFailure", e->lends ? "Lend" : "Hold",
	                  "capacity", "retryAfterSeconds", (json_int_t)(e->retry_ms / MS_PER_S),
	                  "maxRetryAfterSeconds", (json_int_t)(e->max_retry_ms / MS_PER_S), "rebalance",
	                  e->rebalance_active ? "Active" : "Passive")));
}

static json_t *pools_of(const json_t *endpoint)
{
	return json_at(endpoint, "spec", "instancePools");
}

void document_turn_pools(json_t *endpoint, size_t n)
{
	json_t *pools = pools_of(endpoint), *turned = json_must(json_array());
	size_t count = json_array_size(pools);

	for (size_t i = 0; i < count; i++) {
		json_t *pool = json_must(json_deep_copy(json_array_get(pools, (i + n) % count)));

		json_put_int(pool, "priority", json_integer_value(json_at(json_array_get(pools, i), "priority")));
		json_append(turned, pool);
	}
	json_set(json_at(endpoint, "spec"), "instancePools", turned);
}

bool document_drop_pool(json_t *endpoint, size_t at)
{
	json_t *pools = pools_of(endpoint);
	size_t count = json_array_size(pools);

	return count > 1 && json_array_remove(pools, at % count) == 0;
}

void document_cap(json_t *endpoint, int32_t max)
{
	json_t *pool = json_array_get(pools_of(endpoint), 0);
	int32_t min = (int32_t)json_integer_value(json_at(pool, "minInstanceCount"));

	if (max > 0)
		json_put_int(pool, "maxInstanceCount", max > min ? max : min); /* admission would not have less */
	else
		json_object_del(pool, "maxInstanceCount");
}

const char *document_first_pool(const json_t *endpoint)
{
	return json_string_value(json_at(json_array_get(pools_of(endpoint), 0), "instanceType"));
}
