/* The readers against the CRDs: every field is read, and with the CRD's limits and defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/endpoint.h"
#include "api/model.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"

#define ENDPOINT_CRD "crds/inference.instancepool.dev_instancepoolendpoints.yaml"
#define MODEL_CRD "crds/inference.instancepool.dev_models.yaml"
#define EVERY_FIELD "tests/unit/api/endpoint-every-field.yaml"
#define MAX_STEPS 16
#define IN_LIST "[]"

static const char endpoint_of_one_type[] =
	"{\"metadata\": {\"name\": \"one\"}, \"spec\": {\"modelName\": \"m\", "
	"\"instanceType\": \"p5.48xlarge\", \"instanceCount\": 1}}";
static const char model_every_field[] =
	"{\"metadata\": {\"name\": \"m\"}, \"spec\": {\"server\": {\"port\": 8000, \"healthPath\": \"/health\", "
	"\"metricsPath\": \"/prometheus\"}, \"template\": {\"spec\": {\"containers\": [{\"name\": \"c\"}]}}}}";

/* One kind: how to see all that its reader made of an object. */
struct kind {
	const char *crd;
	/* New text, or NULL where the object was refused. */
	char *(*read)(const json_t *object);
	json_t *samples; /* together they set every field */
};

static json_t *read_yaml(const char *path)
{
	struct err err = ERR_INIT;
	CLEANUP_BUF struct buf text;
	buf_init(&text, YAML_MAX_BYTES);
	if (file_read(path, &text, &err) < 0)
		fail_msg("%s", err.message);
	json_t *j = yaml_parse(buf_slice(&text), &err);
	if (j == NULL)
		fail_msg("%s: %s", path, err.message);
	return j;
}

static void dump_pool(struct buf *out, const struct endpoint_pool *p)
{
	buf_addf(out, "%s %s %s %d %d %d %s %s", p->name, p->instance_type, p->model_name, p->priority,
	         p->min_instances, p->max_instances, p->tolerations ? p->tolerations : "-",
	         p->runtime_class_name ? p->runtime_class_name : "-");
	for (size_t i = 0; i < p->n_node_selector; i++)
		buf_addf(out, " %s=%s", p->node_selector[i].key, p->node_selector[i].value);
	buf_add_char(out, '\n');
}

static char *read_endpoint(const json_t *object)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *text = json_compact(object);
	struct endpoint *e = endpoint_decode(slice_from(text), &err);
	if (e == NULL)
		return NULL;
	struct buf out;
	buf_init(&out, 1 << 16);
	const struct endpoint_spec *s = &e->spec;
	buf_addf(&out, "%s %d %lld %lld %lld %lld %lld %d %d %s\n", s->model_name, s->instance_count,
	         (long long)s->provision_timeout_ms, (long long)s->download_timeout_ms,
	         (long long)s->startup_timeout_ms, (long long)s->retry_after_ms, (long long)s->max_retry_after_ms,
	         s->rebalance_active, s->lends_failed, s->restarted_at ? s->restarted_at : "-");
	for (size_t i = 0; i < s->n_pools; i++)
		dump_pool(&out, &s->pools[i]);
	CLEANUP_JSON json_t *apply = endpoint_status_apply(e, &e->status);
	CLEANUP_FREE char *status = json_compact(json_object_get(apply, "status"));
	buf_add_str(&out, status);
	endpoint_free(e);
	return buf_steal(&out);
}

static char *read_model(const json_t *object)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *text = json_compact(object);
	struct model *m = model_decode(slice_from(text), &err);
	if (m == NULL)
		return NULL;
	char *seen = xasprintf("%d %s %s %s", m->port, m->health_path, m->metrics_path, m->template_json);
	model_free(m);
	return seen;
}

/* The object of the sample that holds the field at the end of the path. Borrowed. */
static json_t *find_holder(json_t *at, const char *const *steps, size_t n)
{
	if (n == 1)
		return json_object_get(at, steps[0]) ? at : NULL;
	if (strcmp(steps[0], IN_LIST) != 0)
		return find_holder(json_object_get(at, steps[0]), steps + 1, n - 1);
	json_t *elem;
	size_t i;
	json_array_foreach(at, i, elem) {
		json_t *found = find_holder(elem, steps + 1, n - 1);
		if (found)
			return found;
	}
	return NULL;
}

static char *path_text(const char *const *steps, size_t n)
{
	struct buf b;
	buf_init(&b, 1024);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i > 0 && strcmp(steps[i], IN_LIST) != 0 ? "." : "", steps[i]);
	return buf_steal(&b);
}

/* What is read of the sample with the field set to `value` (stolen), or without it (NULL). */
static char *read_with(const struct kind *k, const json_t *sample, const char *const *steps, size_t n,
                       json_t *value)
{
	CLEANUP_JSON json_t *changed = json_deep_copy(sample);
	json_t *holder = find_holder(changed, steps, n);
	assert_non_null(holder);
	if (value)
		json_set(holder, steps[n - 1], value);
	else
		json_object_del(holder, steps[n - 1]);
	return k->read(changed);
}

static void check_limit(const struct kind *k, const json_t *sample, const char *const *steps, size_t n,
                        int64_t limit, int64_t beyond)
{
	CLEANUP_FREE char *path = path_text(steps, n);
	CLEANUP_FREE char *at = read_with(k, sample, steps, n, json_integer(limit));
	CLEANUP_FREE char *past = read_with(k, sample, steps, n, json_integer(beyond));
	if (at == NULL)
		fail_msg("%s: %lld is allowed by the CRD and refused by the reader", path, (long long)limit);
	if (past)
		fail_msg("%s: %lld is refused by the CRD and accepted by the reader", path, (long long)beyond);
}

static void check_limits(const struct kind *k, const json_t *schema, const json_t *sample,
                         const char *const *steps, size_t n)
{
	const json_t *min = json_object_get(schema, "minimum"), *max = json_object_get(schema, "maximum");
	if (min)
		check_limit(k, sample, steps, n, json_integer_value(min), json_integer_value(min) - 1);
	if (max)
		check_limit(k, sample, steps, n, json_integer_value(max), json_integer_value(max) + 1);
}

static void check_default(const struct kind *k, const json_t *schema, const json_t *sample,
                          const char *const *steps, size_t n)
{
	json_t *value = json_object_get(schema, "default");
	if (value == NULL)
		return;
	CLEANUP_FREE char *path = path_text(steps, n);
	CLEANUP_FREE char *without = read_with(k, sample, steps, n, NULL);
	CLEANUP_FREE char *with = read_with(k, sample, steps, n, json_deep_copy(value));
	if (without == NULL || with == NULL || strcmp(with, without) != 0)
		fail_msg("%s: the reader's default is not the CRD's", path);
}

/* Taking the field out must make a difference to somebody. */
static void check_field(const struct kind *k, const json_t *schema, const char *const *steps, size_t n)
{
	CLEANUP_FREE char *path = path_text(steps, n);
	json_t *sample;
	size_t i, found = 0;
	json_array_foreach(k->samples, i, sample) {
		if (find_holder(sample, steps, n) == NULL)
			continue;
		found++;
		CLEANUP_FREE char *with = k->read(sample);
		CLEANUP_FREE char *without = read_with(k, sample, steps, n, NULL);
		assert_non_null(with);
		if (without && strcmp(with, without) == 0)
			fail_msg("%s: is in the CRD and makes no difference to the reader", path);
		check_limits(k, schema, sample, steps, n);
		check_default(k, schema, sample, steps, n);
	}
	if (found == 0)
		fail_msg("%s: is in the CRD and in no sample of this test", path);
}

static void walk(const struct kind *k, json_t *schema, const char **steps, size_t n)
{
	json_t *items = json_object_get(schema, "items"), *sub;
	const char *name;
	assert_true(n < MAX_STEPS);
	if (n > 0 && strcmp(steps[n - 1], IN_LIST) != 0)
		check_field(k, schema, steps, n);
	if (json_object_get(items, "properties")) {
		steps[n] = IN_LIST;
		walk(k, items, steps, n + 1);
	}
	json_object_foreach(json_object_get(schema, "properties"), name, sub) {
		steps[n] = name;
		/* Read as text, whatever its fields are. */
		if (strcmp(name, "template") == 0)
			check_field(k, sub, steps, n + 1);
		else
			walk(k, sub, steps, n + 1);
	}
}

static json_t *root_schema(const json_t *crd)
{
	const json_t *version = json_array_get(json_at(crd, "spec", "versions", NULL), 0);
	json_t *schema = json_at(version, "schema", "openAPIV3Schema", NULL);
	assert_non_null(schema);
	return schema;
}

static void walk_crd(const struct kind *k)
{
	CLEANUP_JSON json_t *crd = read_yaml(k->crd);
	const char *steps[MAX_STEPS];
	json_t *schema = root_schema(crd);
	const char *top[] = {"spec", "status"};
	for (size_t i = 0; i < ARRAY_LEN(top); i++) {
		steps[0] = top[i];
		if (json_at(schema, "properties", top[i], NULL))
			walk(k, json_at(schema, "properties", top[i], NULL), steps, 1);
	}
}

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *j = json_parse(slice_from(text), &err);
	if (j == NULL)
		fail_msg("%s", err.message);
	return j;
}

static void every_endpoint_field_is_read(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *samples = json_pack("[o, o]", read_yaml(EVERY_FIELD), parse(endpoint_of_one_type));
	struct kind k = {ENDPOINT_CRD, read_endpoint, samples};
	walk_crd(&k);
}

static void every_model_field_is_read(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *samples = json_pack("[o]", parse(model_every_field));
	struct kind k = {MODEL_CRD, read_model, samples};
	walk_crd(&k);
}

/* A field that is not in the CRD would be dropped by the API server. */
static void check_known(const json_t *schema, json_t *value, const char *path)
{
	const json_t *properties = json_object_get(schema, "properties"),
				 *items = json_object_get(schema, "items");
	json_t *sub;
	const char *name;
	size_t i;
	json_array_foreach(value, i, sub)
		check_known(items, sub, path);
	if (properties == NULL)
		return;
	json_object_foreach(value, name, sub) {
		CLEANUP_FREE char *at = xasprintf("%s.%s", path, name);
		if (json_object_get(properties, name) == NULL)
			fail_msg("%s: is not in the CRD", at);
		check_known(json_object_get(properties, name), sub, at);
	}
}

static void every_status_field_is_written_and_is_in_the_crd(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *crd = read_yaml(ENDPOINT_CRD), *sample = read_yaml(EVERY_FIELD);
	CLEANUP_FREE char *text = json_compact(sample);
	struct endpoint *e = endpoint_decode(slice_from(text), &err);
	assert_non_null(e);
	CLEANUP_JSON json_t *apply = endpoint_status_apply(e, &e->status);
	json_t *written = json_object_get(apply, "status");
	CLEANUP_FREE char *want = json_canonical(json_object_get(sample, "status")),
					  *got = json_canonical(written);
	assert_string_equal(got, want);
	check_known(json_at(root_schema(crd), "properties", "status", NULL), written, "status");
	endpoint_free(e);
}

static void any_change_of_status_is_unequal(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *sample = read_yaml(EVERY_FIELD);
	struct arena a;
	arena_init(&a);
	struct endpoint_status before = {0};
	endpoint_status_decode(json_object_get(sample, "status"), &a, &before);
	assert_true(endpoint_status_equal(&before, &before));

	json_t *status = json_object_get(sample, "status");
	json_t *parts[] = {status, json_array_get(json_object_get(status, "instancePools"), 0),
	                   json_array_get(json_object_get(status, "conditions"), 0)};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		CLEANUP_JSON json_t *whole = json_copy(parts[i]);
		const char *name;
		json_t *value;
		json_object_foreach(whole, name, value) {
			struct endpoint_status after = {0};
			json_object_del(parts[i], name);
			endpoint_status_decode(status, &a, &after);
			if (endpoint_status_equal(&before, &after))
				fail_msg("without %s it is equal", name);
			json_set(parts[i], name, json_incref(value));
		}
	}
	arena_done(&a);
}

static void the_list_of_pools_is_limited_as_in_the_crd(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *crd = read_yaml(ENDPOINT_CRD);
	const json_t *list = json_at(root_schema(crd), "properties", "spec", "properties", "instancePools", NULL);
	assert_int_equal(json_integer_value(json_object_get(list, "maxItems")), ENDPOINT_MAX_POOLS);
	assert_int_equal(json_integer_value(json_object_get(list, "minItems")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_endpoint_field_is_read),
		cmocka_unit_test(every_model_field_is_read),
		cmocka_unit_test(every_status_field_is_written_and_is_in_the_crd),
		cmocka_unit_test(any_change_of_status_is_unequal),
		cmocka_unit_test(the_list_of_pools_is_limited_as_in_the_crd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
