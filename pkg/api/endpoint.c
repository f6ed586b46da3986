#include "api/endpoint.h"
#include "api/names.h"
#include "base/json.h"

#define ENDPOINT_ARENA_BLOCK 1024 /* a few names and messages: there may be thousands of endpoints */
#define DNS_SUBDOMAIN_MAX 253
#define INSTANCES_MAX 10000
#define PRIORITY_MAX 1000
#define PATH_SIZE 64

static bool is_pool_name(const char *s)
{
	return strlen(s) <= NAME_MAX_BYTES && dns_label_valid(slice_from(s));
}

static bool is_model_name(const char *s)
{
	struct slice rest = slice_from(s);
	if (rest.len > DNS_SUBDOMAIN_MAX || rest.len == 0 || s[rest.len - 1] == '.')
		return false;
	while (rest.len > 0)
		if (!dns_label_valid(slice_split(rest, '.', &rest)))
			return false;
	return true;
}

/* As a value of the nodes' label. */
static bool is_instance_type(const char *s)
{
	s = instance_type_strip(s);
	return *s && label_value_valid(s);
}

/* An endpoint's name is its Service's: RFC 1035. */
static bool is_endpoint_name(const char *s)
{
	return strlen(s) <= NAME_MAX_BYTES && dns_label_valid(slice_from(s)) && *s > '9';
}

struct reader {
	struct arena *a;
	struct err *err;
};

static int read_int(struct reader *r, const json_t *o, const char *path, const char *key, int32_t min,
                    int32_t max, int32_t *ret)
{
	int64_t n = *ret;
	if (json_at(o, key, NULL) == NULL)
		return 0;
	if (json_opt_i64(o, path, key, &n, r->err) < 0)
		return -1;
	if (n < min || n > max)
		return err_set(r->err, ERR_INVALID, "%s.%s: %lld is not between %d and %d", path, key, (long long)n,
		               min, max);
	*ret = (int32_t)n;
	return 0;
}

static int read_str(struct reader *r, const json_t *o, const char *path, const char *key,
                    bool (*valid)(const char *), const char *want, const char **ret)
{
	const char *s = NULL;
	if (json_opt_str(o, path, key, &s, r->err) < 0)
		return -1;
	if (s == NULL)
		return 0;
	if (!valid(s))
		return err_set(r->err, ERR_INVALID, "%s.%s: '%.80s' is not %s", path, key, s, want);
	*ret = arena_strdup(r->a, s);
	return 0;
}

static int missing(struct reader *r, const char *path, const char *key, const char *want)
{
	return err_set(r->err, ERR_INVALID, "%s.%s: missing: it must be %s", path, key, want);
}

static const char model_name_want[] =
	"the name of a Model (lower-case letters, digits, '-' and '.'), such as my-llm-p5";
static const char pool_name_want[] =
	"a DNS label of at most 63 lower-case letters, digits and '-', such as p5-reserved";
static const char type_want[] = "an instance type, such as p5.48xlarge or ml.p5.48xlarge";

static int read_type(struct reader *r, const json_t *o, const char *path, const char **ret)
{
	const char *type = NULL;
	if (read_str(r, o, path, "instanceType", is_instance_type, type_want, &type) < 0)
		return -1;
	if (type == NULL)
		return missing(r, path, "instanceType", type_want);
	*ret = instance_type_strip(type);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct jkv *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static int read_selector(struct reader *r, json_t *o, const char *path, struct endpoint_pool *pool)
{
	json_t *selector = NULL, *value;
	const char *key;
	if (json_opt_object(o, path, "nodeSelector", &selector, r->err) < 0)
		return -1;
	if (selector == NULL) {
		struct jkv *type = arena_alloc(r->a, sizeof(*type));
		*type = (struct jkv){NODE_LABEL_INSTANCE_TYPE, pool->instance_type};
		pool->node_selector = type;
		pool->n_node_selector = 1;
		return 0;
	}
	if (json_object_size(selector) == 0)
		return err_set(
			r->err, ERR_INVALID,
			"%s.nodeSelector: {} would select every node: name a label, or leave it out to use the "
			"instance type's",
			path);

	struct jkv *kv = arena_calloc(r->a, json_object_size(selector), sizeof(*kv));
	size_t n = 0;
	json_object_foreach(selector, key, value) {
		if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
			return err_set(r->err, ERR_INVALID, "%s.nodeSelector[%.80s]: must be a string without \\u0000",
			               path, key);
		kv[n++] = (struct jkv){arena_strdup(r->a, key), arena_strdup(r->a, json_string_value(value))};
	}
	qsort(kv, n, sizeof(*kv), compare_keys);
	pool->node_selector = kv;
	pool->n_node_selector = n;
	return 0;
}

static int read_tolerations(struct reader *r, const json_t *o, const char *path, const char **ret)
{
	json_t *list = NULL, *item;
	size_t i;
	if (json_opt_array(o, path, "tolerations", &list, r->err) < 0)
		return -1;
	json_array_foreach(list, i, item)
		if (!json_is_object(item))
			return err_set(r->err, ERR_INVALID, "%s.tolerations[%zu]: must be an object", path, i);
	if (json_array_size(list) == 0)
		return 0;
	CLEANUP_FREE char *text = json_canonical(list);
	*ret = arena_strdup(r->a, text);
	return 0;
}

/* What a pool has where the user said nothing. The type must be known. */
static void pool_default(struct reader *r, struct endpoint_pool *pool)
{
	char name[NAME_MAX_BYTES + 1];
	if (pool->name)
		return;
	pool_default_name(pool->instance_type, name);
	pool->name = arena_strdup(r->a, name);
}

static int read_pool(struct reader *r, json_t *o, const char *path, const char *model_name,
                     struct endpoint_pool *pool)
{
	*pool = (struct endpoint_pool){.model_name = model_name, .max_instances = INT32_MAX};
	if (!json_is_object(o))
		return err_set(r->err, ERR_INVALID, "%s: must be an object", path);
	if (read_type(r, o, path, &pool->instance_type) < 0 ||
	    read_str(r, o, path, "name", is_pool_name, pool_name_want, &pool->name) < 0 ||
	    read_int(r, o, path, "priority", 1, PRIORITY_MAX, &pool->priority) < 0 ||
	    read_str(r, o, path, "modelNameOverride", is_model_name, model_name_want, &pool->model_name) < 0 ||
	    read_int(r, o, path, "minInstanceCount", 0, INSTANCES_MAX, &pool->min_instances) < 0 ||
	    read_int(r, o, path, "maxInstanceCount", 1, INSTANCES_MAX, &pool->max_instances) < 0 ||
	    read_selector(r, o, path, pool) < 0 || read_tolerations(r, o, path, &pool->tolerations) < 0 ||
	    read_str(r, o, path, "runtimeClassName", is_model_name, "the name of a RuntimeClass, such as nvidia",
	             &pool->runtime_class_name) < 0)
		return -1;
	if (pool->priority == 0)
		return missing(r, path, "priority", "a number from 1 (the best) to 1000");
	if (pool->min_instances > pool->max_instances)
		return err_set(r->err, ERR_INVALID,
		               "%s.minInstanceCount: %d is more than maxInstanceCount, which is %d", path,
		               pool->min_instances, pool->max_instances);
	pool_default(r, pool);
	return 0;
}

/* Keeps the list sorted by priority; equal ones stay in the order of arrival. */
static int add_pool(struct reader *r, struct endpoint_spec *spec, const struct endpoint_pool *pool)
{
	for (size_t i = 0; i < spec->n_pools; i++)
		if (str_eq(spec->pools[i].name, pool->name))
			return err_set(r->err, ERR_INVALID,
			               "spec.instancePools: two pools have the name %s: give each pool of one type a "
			               "name of its own",
			               pool->name);
	size_t at = spec->n_pools++;
	for (; at > 0 && spec->pools[at - 1].priority > pool->priority; at--)
		spec->pools[at] = spec->pools[at - 1];
	spec->pools[at] = *pool;
	return 0;
}

static int read_pools(struct reader *r, json_t *o, struct endpoint_spec *spec)
{
	json_t *list = NULL, *item;
	size_t i;
	struct endpoint_pool pool = {0};
	if (json_opt_array(o, "spec", "instancePools", &list, r->err) < 0)
		return -1;
	if ((list == NULL) == (json_at(o, "instanceType", NULL) == NULL))
		return err_set(r->err, ERR_INVALID, "spec: set exactly one of instanceType and instancePools");
	if (list == NULL) {
		pool =
			(struct endpoint_pool){.model_name = spec->model_name, .priority = 1, .max_instances = INT32_MAX};
		if (read_type(r, o, "spec", &pool.instance_type) < 0)
			return -1;
		pool_default(r, &pool);
		spec->pools = arena_calloc(r->a, 1, sizeof(*spec->pools));
		/* The selector of the type: this object has no nodeSelector. */
		return read_selector(r, NULL, "spec", &pool) < 0 ? -1 : add_pool(r, spec, &pool);
	}

	size_t n = json_array_size(list);
	if (n < 1 || n > ENDPOINT_MAX_POOLS)
		return err_set(r->err, ERR_INVALID, "spec.instancePools: %zu pools: it must have 1 to %d", n,
		               ENDPOINT_MAX_POOLS);
	spec->pools = arena_calloc(r->a, n, sizeof(*spec->pools));
	json_array_foreach(list, i, item) {
		char path[PATH_SIZE];
		str_format(path, sizeof(path), "spec.instancePools[%zu]", i);
		if (read_pool(r, item, path, spec->model_name, &pool) < 0 || add_pool(r, spec, &pool) < 0)
			return -1;
	}
	return 0;
}

/* One of two words; `*ret_second` is which, and by default the first. */
static int read_choice(struct reader *r, const json_t *o, const char *path, const char *key,
                       const char *const words[static 2], bool *ret_second)
{
	const char *s = words[0];
	if (json_opt_str(o, path, key, &s, r->err) < 0)
		return -1;
	*ret_second = str_eq(s, words[1]);
	if (!*ret_second && !str_eq(s, words[0]))
		return err_set(r->err, ERR_INVALID, "%s.%s: '%.80s' is neither %s nor %s", path, key, s, words[0],
		               words[1]);
	return 0;
}

static const char *const rebalance_words[] = {"Passive", "Active"};
static const char *const on_failure_words[] = {"Lend", "Hold"};

static int read_timing(struct reader *r, json_t *o, struct endpoint_spec *spec)
{
	int32_t provision_s = 1200, download_s = 1200, startup_s = 600, retry_s = 180, max_retry_s = 1800;
	json_t *capacity = NULL;
	bool holds;
	if (read_int(r, o, "spec", "instanceProvisionTimeoutSeconds", 0, 3600, &provision_s) < 0 ||
	    read_int(r, o, "spec", "modelDataDownloadTimeoutSeconds", 60, 3600, &download_s) < 0 ||
	    read_int(r, o, "spec", "containerStartupHealthCheckTimeoutSeconds", 60, 3600, &startup_s) < 0 ||
	    read_choice(r, o, "spec", "onStartupFailure", on_failure_words, &holds) < 0 ||
	    json_opt_object(o, "spec", "capacity", &capacity, r->err) < 0 ||
	    read_int(r, capacity, "spec.capacity", "retryAfterSeconds", 10, 3600, &retry_s) < 0 ||
	    read_int(r, capacity, "spec.capacity", "maxRetryAfterSeconds", 10, 86400, &max_retry_s) < 0 ||
	    read_choice(r, capacity, "spec.capacity", "rebalance", rebalance_words, &spec->rebalance_active) < 0)
		return -1;
	if (max_retry_s < retry_s)
		return err_set(r->err, ERR_INVALID,
		               "spec.capacity.maxRetryAfterSeconds: %d is less than retryAfterSeconds, which is %d",
		               max_retry_s, retry_s);
	spec->provision_timeout_ms = provision_s * MS_PER_S;
	spec->download_timeout_ms = download_s * MS_PER_S;
	spec->startup_timeout_ms = startup_s * MS_PER_S;
	spec->lends_failed = !holds;
	spec->retry_after_ms = retry_s * MS_PER_S;
	spec->max_retry_after_ms = max_retry_s * MS_PER_S;
	return 0;
}

/* Kept as it is written: only whether it changes matters. */
static int read_restart(struct reader *r, const json_t *o, const char **ret)
{
	const char *s = NULL;
	struct wall t;
	if (json_opt_str(o, "spec", "restartedAt", &s, r->err) < 0)
		return -1;
	if (str_empty(s))
		return 0;
	if (wall_parse(slice_from(s), &t, r->err) < 0)
		return err_prefix(r->err, "spec.restartedAt");
	*ret = arena_strdup(r->a, s);
	return 0;
}

static int read_spec(struct reader *r, json_t *root, struct endpoint_spec *spec)
{
	json_t *o = NULL;
	if (json_opt_object(root, "", "spec", &o, r->err) < 0)
		return -1;
	spec->instance_count = -1;
	if (read_str(r, o, "spec", "modelName", is_model_name, model_name_want, &spec->model_name) < 0 ||
	    read_int(r, o, "spec", "instanceCount", 0, INSTANCES_MAX, &spec->instance_count) < 0)
		return -1;
	if (spec->model_name == NULL)
		return missing(r, "spec", "modelName", model_name_want);
	if (read_pools(r, o, spec) < 0 || read_timing(r, o, spec) < 0)
		return -1;
	return read_restart(r, o, &spec->restarted_at);
}

static int read_meta(struct reader *r, struct slice json, struct objmeta *meta)
{
	static const struct jfield fields[] = {{"metadata", J_OBJECT, 0, .sub = objmeta_fields}, {0}};
	if (jread(fields, json, r->a, meta, r->err) < 0)
		return -1;
	if (meta->name == NULL || !is_endpoint_name(meta->name))
		return err_set(
			r->err, ERR_INVALID,
			"metadata.name: '%.80s' is not the name of a Service: at most 63 lower-case letters, digits and "
			"'-', with a letter first and a letter or digit last",
			meta->name ? meta->name : "");
	return 0;
}

struct endpoint *endpoint_decode(struct slice json, struct err *err)
{
	CLEANUP_JSON json_t *root = json_parse(json, err);
	if (root == NULL)
		return NULL;
	struct endpoint *e = xcalloc(1, sizeof(*e));
	arena_init_small(&e->arena, ENDPOINT_ARENA_BLOCK);
	struct reader r = {.a = &e->arena, .err = err};
	if (read_meta(&r, json, &e->meta) < 0 || read_spec(&r, root, &e->spec) < 0) {
		endpoint_free(e);
		return NULL;
	}
	endpoint_status_decode(json_at(root, "status", NULL), &e->arena, &e->status);
	return e;
}

void endpoint_free(struct endpoint *e)
{
	if (e == NULL)
		return;
	arena_done(&e->arena);
	free(e);
}
