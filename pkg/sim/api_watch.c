/* Watches: what happened since a version, and what happens from now on. */
#include <inttypes.h>
#include "api/names.h"
#include "base/json.h"
#include "sim/api_internal.h"

static bool is_selected(enum api_kind kind, const json_t *doc)
{
	if (kind == API_EVENT)
		return str_eq(json_string_value(json_at(doc, "involvedObject", "kind")), "Pod");
	return json_at(doc, "metadata", "labels", LABEL_ENDPOINT) != NULL;
}

static char *event_line(const char *type, const json_t *doc)
{
	CLEANUP_FREE char *object = json_compact(doc);

	return xasprintf("{\"type\":\"%s\",\"object\":%s}\n", type, object);
}

void api_log_add(struct api *a, enum api_change change, const struct api_object *o)
{
	static const char *const types[] = {
		[API_ADDED] = "ADDED", [API_MODIFIED] = "MODIFIED", [API_DELETED] = "DELETED"};
	struct api_log *l = api_log_of(a, o->kind);
	struct api_event *e;
	struct api_watch *w, *next;

	if (o->kind == API_LEASE) /* nobody watches them */
		return;
	if (l->n == l->capacity) {
		l->capacity = l->capacity ? 2 * l->capacity : 64;
		l->events = xreallocarray(l->events, l->capacity, sizeof(*l->events));
	}
	e = &l->events[l->n++];
	*e = (struct api_event){o->version, is_selected(o->kind, o->doc), event_line(types[change], o->doc)};
	for (w = LIST_FIRST(api_watches_of(a, o->kind)); w; w = next) {
		next = LIST_NEXT(w, link);
		if (e->labelled || !w->with_label)
			w->fn(w->arg, slice_from(e->line));
	}
}

void api_log_free(struct api_log *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->events[i].line);
	free(l->events);
}

static int tell_added(void *arg, struct api_object *o)
{
	const struct api_watch *w = arg;

	if (is_selected(o->kind, o->doc) || !w->with_label) {
		CLEANUP_FREE char *line = event_line("ADDED", o->doc);

		w->fn(w->arg, slice_from(line));
	}
	return 0;
}

static void tell_all(const struct api_watch *w)
{
	CLEANUP_FREE char *end =
		xasprintf("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%" PRIu64
	              "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
	              api_version(w->api));

	api_each(w->api, w->kind, tell_added, (void *)(uintptr_t)w);
	w->fn(w->arg, slice_from(end));
}

static void tell_since(const struct api_watch *w, uint64_t version)
{
	const struct api_log *l = api_log_of(w->api, w->kind);
	size_t i = l->n;

	while (i > 0 && l->events[i - 1].version > version)
		i--;
	for (; i < l->n; i++)
		if (l->events[i].labelled || !w->with_label)
			w->fn(w->arg, slice_from(l->events[i].line));
}

struct api_watch *api_watch_open(struct api *a, const struct api_request *r, api_watch_fn *fn, void *arg)
{
	struct api_watch *w = xcalloc(1, sizeof(*w));
	const char *since = strstr(r->path, "resourceVersion=");

	*w = (struct api_watch){.api = a, .kind = r->kind, .with_label = r->with_label, .fn = fn, .arg = arg};
	if (since)
		tell_since(w, strtoull(since + strlen("resourceVersion="), NULL, 10));
	else
		tell_all(w);
	LIST_INSERT_HEAD(api_watches_of(a, r->kind), w, link);
	return w;
}

void api_watch_close(struct api_watch *w)
{
	if (!w)
		return;
	LIST_REMOVE(w, link);
	free(w);
}
