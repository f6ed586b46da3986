/* Notes, refusals, members and names. */
#include <ctype.h>
#include <inttypes.h>
#include "convert/internal.h"

#define SHOWN_VALUE_BYTES 160

const char *shown(struct conversion *c, const json_t *value)
{
	CLEANUP_FREE char *text =
		json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));

	if (!text)
		abort(); /* out of memory */
	if (strlen(text) <= SHOWN_VALUE_BYTES)
		return arena_strdup(&c->arena, text);
	return arena_printf(&c->arena, "%.*s...", SHOWN_VALUE_BYTES, text);
}

const char *shown_text(struct conversion *c, const char *text)
{
	CLEANUP_JSON json_t *value = json_must(json_string(text));
	const char *quoted = shown(c, value);
	size_t len = strlen(quoted);

	return arena_slicedup(&c->arena, (struct slice){quoted + 1, len - 1 - (quoted[len - 1] == '"')});
}

const char *path_join(struct conversion *c, const char *path, const char *member)
{
	bool dot = *path && *member && *member != '[';

	return arena_printf(&c->arena, "%s%s%s", path, dot ? "." : "", member);
}

const char *path_item(struct conversion *c, const char *path, size_t i)
{
	return arena_printf(&c->arena, "%s[%zu]", path, i);
}

void note(struct conversion *c, const struct object *of, const char *path, const json_t *value,
          const char *fmt, ...)
{
	const char *full = path_join(c, of->prefix, path);
	size_t start = c->notes->len;
	va_list ap;

	if (c->quiet)
		return;
	buf_addf(c->notes, "%s: ", of->file);
	if (*full)
		buf_addf(c->notes, "%s%s%s: ", full, value ? " = " : "", value ? shown(c, value) : "");
	va_start(ap, fmt);
	buf_vaddf(c->notes, fmt, ap);
	va_end(ap);
	/* It becomes a comment, which ends at CR, NEL and the like, too. */
	for (size_t i = start; i < c->notes->len; i++)
		if (c->notes->ptr[i] < ' ' || c->notes->ptr[i] > '~')
			c->notes->ptr[i] = '?';
	buf_add_char(c->notes, '\n');
}

void refuse_fill(struct conversion *c, struct err *err, const struct object *of, const char *path,
                 const json_t *value, const char *what)
{
	const char *full = path_join(c, of->prefix, path);

	err_set(err, ERR_INVALID, "%s", what);
	if (value)
		err_prefix(err, "%s%s%s", full, *full ? " = " : "", shown(c, value));
	else if (*full)
		err_prefix(err, "%s", full);
	err_prefix(err, "%s", of->file);
}

int take_str(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
             const char **ret, struct err *err)
{
	const json_t *v = json_at(o, key, NULL);

	if (!v)
		return 0;
	if (!json_is_string(v) || json_string_length(v) == 0)
		return refuse(c, err, of, path_join(c, path, key), v, "must be a string that is not empty");
	if (strlen(json_string_value(v)) != json_string_length(v))
		return refuse(c, err, of, path_join(c, path, key), v, "must not hold \\u0000");
	*ret = json_string_value(v);
	return 0;
}

int take_int(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
             int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	const json_t *v = json_at(o, key, NULL);
	char range[80];

	if (!v)
		return 0;
	str_format(range, sizeof(range), "must be a whole number from %" PRId64 " to %" PRId64, min, max);
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
		return refuse(c, err, of, path_join(c, path, key), v, range);
	*ret = json_integer_value(v);
	return 0;
}

int take_object(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
                json_t **ret, struct err *err)
{
	json_t *v = json_at(o, key, NULL);

	if (!v)
		return 0;
	if (!json_is_object(v)) /* not shown: it may be what the variables should have been */
		return refuse(c, err, of, path_join(c, path, key), NULL, "must be an object");
	*ret = v;
	return 0;
}

int take_objects(struct conversion *c, const struct object *of, const char *path, json_t *o, const char *key,
                 json_t **ret, struct err *err)
{
	json_t *v = json_at(o, key, NULL), *item;
	size_t i;

	if (!v)
		return 0;
	if (!json_is_array(v))
		return refuse(c, err, of, path_join(c, path, key), NULL, "must be a list");
	json_array_foreach(v, i, item)
		if (!json_is_object(item))
			return refuse(c, err, of, path_item(c, path_join(c, path, key), i), NULL, "must be an object");
	*ret = v;
	return 0;
}

struct object *object_find(const struct objects *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->items[i].name, name))
			return &list->items[i];
	return NULL;
}

json_t *object_new(const char *kind, const char *name)
{
	json_t *o = json_must(json_object());

	json_put_str(o, "apiVersion", API_GROUP "/" API_VERSION);
	json_put_str(o, "kind", kind);
	json_put_str(json_child(o, "metadata"), "name", name);
	return o;
}

void label_from(const char *text, const char *otherwise, size_t room, char ret[static NAME_MAX_BYTES + 1])
{
	size_t n = 0;

	for (; *text && n < room; text++) {
		if (isalnum((unsigned char)*text))
			ret[n++] = (char)tolower((unsigned char)*text);
		else if (n > 0)
			ret[n++] = '-';
	}
	while (n > 0 && ret[n - 1] == '-')
		n--;
	ret[n] = '\0';
	if (n == 0)
		str_copy(ret, NAME_MAX_BYTES + 1, otherwise);
}

const char *name_new(struct conversion *c, const char *kind, const char *name, const char *suffix)
{
	char label[NAME_MAX_BYTES + 1], number[16] = "";
	const char *front = isdigit((unsigned char)*name) ? "x" : "", *result, *key;
	static char taken;

	for (int n = 2;; n++) {
		size_t room = NAME_MAX_BYTES - strlen(front) - strlen(suffix) - strlen(number);

		label_from(name, "unnamed", room, label);
		result = arena_printf(&c->arena, "%s%s%s%s", front, label, suffix, number);
		key = arena_printf(&c->arena, "%s/%s", kind, result);
		if (!map_get(&c->names, key))
			break;
		str_format(number, sizeof(number), "-%d", n);
	}
	map_put(&c->names, key, &taken);
	return result;
}
