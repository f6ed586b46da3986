#include "sim/api_request.h"
#include <assert.h>
#include "base/json.h"
#include "sim/api_internal.h"

/* ---- what a request is about ---- */

static enum api_kind kind_of(struct slice plural)
{
	for (size_t i = 0; i < API_KIND_COUNT; i++)
		if (slice_eq(plural, slice_from(api_plural((enum api_kind)i))))
			return (enum api_kind)i;
	return API_KIND_COUNT;
}

static bool has(const char *query, const char *what)
{
	return strstr(query, what) != NULL;
}

/* /api/v1/..., /apis/GROUP/VERSION/..., then [namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]. */
void api_request_parse(struct api_request *r)
{
	const char *mark = strchr(r->path, '?'), *query = mark ? mark : "";
	struct slice rest = {r->path + 1, mark ? (size_t)(mark - r->path) - 1 : strlen(r->path) - 1};
	struct slice part = slice_split(rest, '/', &rest);

	if (slice_eq(part, SLICE_LIT("apis")))
		slice_split(rest, '/', &rest);
	slice_split(rest, '/', &rest); /* the version */
	part = slice_split(rest, '/', &rest);
	if (slice_eq(part, SLICE_LIT("namespaces"))) {
		part = slice_split(rest, '/', &rest);
		str_format(r->ns, sizeof(r->ns), SLICE_FMT, SLICE_ARG(part));
		part = slice_split(rest, '/', &rest);
	}
	r->kind = kind_of(part);
	part = slice_split(rest, '/', &rest);
	str_format(r->name, sizeof(r->name), SLICE_FMT, SLICE_ARG(part));
	str_format(r->subresource, sizeof(r->subresource), SLICE_FMT, SLICE_ARG(rest));
	r->watch = has(query, "watch=1");
	r->list = !r->watch && !r->name[0] && str_eq(r->method, "GET");
	r->dry_run = has(query, "dryRun=All");
	r->with_label = has(query, "labelSelector=") || has(query, "fieldSelector=");
}

bool api_request_is_write(const struct api_request *r)
{
	return !str_eq(r->method, "GET") && !r->dry_run && r->kind != API_LEASE && r->kind != API_EVENT;
}

/* ---- answers ---- */

void api_answer_refuse(struct api_answer *ret, int status, const char *reason, const char *message)
{
	ret->status = status;
	ret->body =
		xasprintf("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"%s\","
	              "\"message\":\"%s\",\"code\":%d}",
	              reason, message, status);
}

static void answer_object(struct api_answer *ret, int status, const json_t *doc)
{
	ret->status = status;
	ret->body = json_compact(doc);
}

/* ---- the three patches ---- */

/* The value at a pointer such as /spec/replicas; *ret_parent has it under the last part. NULL: there is none. Borrowed. */
static json_t *point_at(json_t *doc, const char *pointer, json_t **ret_parent, const char **ret_key)
{
	struct slice rest = slice_from(pointer + 1);
	json_t *at = doc;

	while (rest.len > 0 && json_is_object(at)) {
		struct slice part = slice_split(rest, '/', &rest);

		*ret_parent = at;
		*ret_key = part.ptr; /* of the last part, which ends the pointer */
		at = json_object_getn(at, part.ptr, part.len);
	}
	return rest.len > 0 ? NULL : at;
}

/* test and replace, all or nothing. False: a test failed. */
static bool patch_json(json_t *doc, const json_t *patch)
{
	const json_t *op;
	size_t i;

	for (int pass = 0; pass < 2; pass++)
		json_array_foreach(patch, i, op) {
			bool is_test = str_eq(json_string_value(json_at(op, "op")), "test");
			json_t *parent = NULL, *value = json_object_get(op, "value");
			const char *key = NULL;
			json_t *at = point_at(doc, json_string_value(json_at(op, "path")), &parent, &key);

			if (is_test && pass == 0 && (!at || !json_equal(at, value)))
				return false;
			if (!is_test && pass == 1)
				json_set(parent, key, json_incref(value));
		}
	return true;
}

static void patch_merge(json_t *doc, json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach(patch, key, value) {
		if (json_is_null(value))
			json_object_del(doc, key);
		else if (json_is_object(value))
			patch_merge(json_child(doc, key), value);
		else
			json_set(doc, key, json_incref(value));
	}
}

/* A uid or version in a patch's metadata is a precondition. */
static bool is_meant(const struct api_object *o, const json_t *patch)
{
	const json_t *uid = json_at(patch, "metadata", "uid"),
				 *version = json_at(patch, "metadata", "resourceVersion");

	return (!uid || str_eq(json_string_value(uid), o->uid)) &&
	       (!version || json_equal(version, json_at(o->doc, "metadata", "resourceVersion")));
}

static void refuse_conflict(struct api_answer *ret)
{
	api_answer_refuse(ret, 409, "Conflict",
	                  "the object has been modified; please apply your changes to the latest");
}

static void apply_status(struct api *a, struct api_object *o, json_t *body)
{
	json_t *status = json_at(body, "status");

	if (json_equal(status, json_at(o->doc, "status")))
		return;
	json_set(o->doc, "status", json_incref(status));
	api_update(a, o);
}

static void scale_endpoint(struct api *a, struct api_object *o, const json_t *body)
{
	json_set(json_child(o->doc, "spec"), "instanceCount", json_incref(json_at(body, "spec", "replicas")));
	api_update_spec(a, o);
}

static void patch(struct api *a, const struct api_request *r, struct api_object *o, json_t *body,
                  struct api_answer *ret)
{
	if (!json_is_array(body) && !is_meant(o, body)) {
		refuse_conflict(ret);
		return;
	}
	if (json_is_array(body)) {
		if (!patch_json(o->doc, body)) {
			api_answer_refuse(ret, 422, "Invalid",
			                  "the server rejected our request due to an error in our request");
			return;
		}
		api_update_spec(a, o);
	} else if (str_eq(r->subresource, "status")) {
		apply_status(a, o, body);
	} else if (str_eq(r->subresource, "scale")) {
		scale_endpoint(a, o, body);
	} else {
		patch_merge(o->doc, body);
		api_update(a, o);
	}
	answer_object(ret, 200, o->doc);
}

/* ---- the rest ---- */

static void create(struct api *a, const struct api_request *r, json_t *body, struct api_answer *ret)
{
	const char *name = json_string_value(json_at(body, "metadata", "name"));

	json_put_str(json_child(body, "metadata"), "namespace", r->ns);
	if (api_find(a, r->kind, r->ns, name) && !r->dry_run)
		api_answer_refuse(ret, 409, "AlreadyExists", "already exists");
	else if (r->dry_run)
		answer_object(ret, 201, body);
	else
		answer_object(ret, 201, api_create(a, r->kind, json_incref(body))->doc);
}

static void remove_object(struct api *a, struct api_object *o, const json_t *body, struct api_answer *ret)
{
	const json_t *wanted = json_at(body, "preconditions"), *uid = json_at(wanted, "uid"),
				 *version = json_at(wanted, "resourceVersion");

	if ((uid && !str_eq(json_string_value(uid), o->uid)) ||
	    (version && !json_equal(version, json_at(o->doc, "metadata", "resourceVersion")))) {
		refuse_conflict(ret);
		return;
	}
	ret->status = 200;
	ret->body = xstrdup("{\"kind\":\"Status\",\"status\":\"Success\"}");
	api_remove(a, o);
}

static void serve_object(struct api *a, const struct api_request *r, json_t *body, struct api_answer *ret)
{
	struct api_object *o = api_find(a, r->kind, r->ns, r->name);

	if (!o)
		api_answer_refuse(ret, 404, "NotFound", "not found");
	else if (str_eq(r->method, "GET"))
		answer_object(ret, 200, o->doc);
	else if (str_eq(r->method, "PATCH"))
		patch(a, r, o, body, ret);
	else
		remove_object(a, o, body, ret);
}

void api_request_serve(struct api *a, const struct api_request *r, struct api_answer *ret)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *body = r->body.len > 0 ? json_parse(r->body, &err) : NULL;

	assert(!r->watch);
	if (r->body.len > 0 && !body)
		api_answer_refuse(ret, 400, "BadRequest", "the body is no JSON");
	else if (r->kind == API_KIND_COUNT || r->list)
		api_answer_refuse(ret, 404, "NotFound", "the server could not find the requested resource");
	else if (str_eq(r->method, "POST"))
		create(a, r, body, ret);
	else
		serve_object(a, r, body, ret);
}
