/* Writes what `kubectl instancepool status` shows for each tests/golden/inspect/NAME.yaml (the objects as the API has them,
 * and the time): NAME.txt is the page. Colours are written as <name>. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include "../golden_folder.h"
#include "base/json.h"
#include "base/yaml.h"
#include "inspect/inspect.h"

#define DIR "tests/golden/inspect"
#define MAX_OBJECTS 100

struct scene {
	json_t *doc;
	struct arena arena;
	struct inspect_facts facts;
	struct endpoint *endpoint;
	void *views[2 * MAX_OBJECTS];
	size_t n_views;
	const struct pod *pods[MAX_OBJECTS];
	const struct deployment *deployments[MAX_OBJECTS];
	struct inspect_event events[MAX_OBJECTS];
	const char *missing[MAX_OBJECTS];
	struct inspect_gap gaps[MAX_OBJECTS];
};

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static struct wall moment(const json_t *o, const char *key)
{
	struct wall t = {0};
	struct err err = ERR_INIT;

	if (json_opt_time(o, "", key, &t, &err) < 0)
		fail_msg("%s", err.message);
	return t;
}

static struct slice dumped(struct scene *s, const json_t *o)
{
	CLEANUP_FREE char *json = json_compact(o);

	return slice_from(arena_strdup(&s->arena, json));
}

static void *keep(struct scene *s, void *view, const struct err *err)
{
	if (!view)
		fail_msg("%s", err->message);
	s->views[s->n_views++] = view;
	return view;
}

static void read_views(struct scene *s)
{
	struct err err = ERR_INIT;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(s->doc, "pods"), i, o)
		s->pods[s->facts.n_pods++] = keep(s, pod_decode(dumped(s, o), &err), &err);
	json_array_foreach(json_object_get(s->doc, "deployments"), i, o)
		s->deployments[s->facts.n_deployments++] = keep(s, deployment_decode(dumped(s, o), &err), &err);
}

static void read_rest(struct scene *s)
{
	const json_t *lease = json_object_get(s->doc, "lease"), *o;
	size_t i;

	json_array_foreach(json_object_get(s->doc, "events"), i, o)
		s->events[s->facts.n_events++] = (struct inspect_event){
			.pod = text(o, "pod"),
			.warning = json_is_true(json_object_get(o, "warning")),
			.count = (int32_t)json_integer_value(json_object_get(o, "count")),
			.reason = text(o, "reason"),
			.message = text(o, "message"),
			.last = moment(o, "last"),
		};
	json_array_foreach(json_object_get(s->doc, "missingModels"), i, o)
		s->missing[s->facts.n_missing_models++] = json_string_value(o);
	json_array_foreach(json_object_get(s->doc, "gaps"), i, o)
		s->gaps[s->facts.n_gaps++] = (struct inspect_gap){text(o, "what"), text(o, "why")};
	s->facts.lease = (struct inspect_lease){
		.known = lease,
		.present = text(lease, "holder"),
		.ns = "instancepool-system",
		.name = text(lease, "name") ? text(lease, "name") : "instancepool-operator",
		.holder = text(lease, "holder"),
		.renewed = moment(lease, "renewed"),
		.duration_ms = 15 * MS_PER_S,
	};
}

static void read_scene(struct scene *s, const char *file)
{
	CLEANUP_BUF struct buf yaml;
	struct err err = ERR_INIT;

	arena_init(&s->arena);
	golden_read(DIR, file, &yaml);
	s->doc = yaml_parse(buf_slice(&yaml), &err);
	if (!s->doc)
		fail_msg("%s", err.message);
	s->endpoint = endpoint_decode(dumped(s, json_object_get(s->doc, "endpoint")), &err);
	if (!s->endpoint)
		fail_msg("%s", err.message);
	read_views(s);
	read_rest(s);
	s->facts.now = moment(s->doc, "now");
	s->facts.endpoint = s->endpoint;
	s->facts.pods = s->pods;
	s->facts.deployments = s->deployments;
	s->facts.events = s->events;
	s->facts.missing_models = s->missing;
	s->facts.gaps = s->gaps;
}

static void scene_done(struct scene *s)
{
	for (size_t i = 0; i < s->n_views; i++)
		view_free(s->views[i]);
	endpoint_free(s->endpoint);
	json_decref(s->doc);
	arena_done(&s->arena);
}

/* The codes as words, so that the golden file can be read. */
static void name_colours(struct slice page, struct buf *out)
{
	static const struct {
		const char *code, *word;
	} names[] = {{"\033[31m", "<red>"},
	             {"\033[32m", "<green>"},
	             {"\033[33m", "<yellow>"},
	             {"\033[1m", "<bold>"},
	             {"\033[0m", "<>"}};

	while (page.len > 0) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && !slice_starts(page, names[i].code))
			i++;
		if (i < ARRAY_LEN(names)) {
			buf_add_str(out, names[i].word);
			page = slice_skip(page, strlen(names[i].code));
		} else {
			buf_add_char(out, page.ptr[0]);
			page = slice_skip(page, 1);
		}
	}
}

static void shows(void **state)
{
	const char *file = *state;
	CLEANUP_FREE char *page_name = xasprintf("%.*s.txt", (int)(strlen(file) - strlen(".yaml")), file);
	CLEANUP_BUF struct buf page, readable, expected;
	struct inspect_style style;
	struct scene s = {0};

	buf_init(&page, GOLDEN_MAX_BYTES);
	buf_init(&readable, GOLDEN_MAX_BYTES);
	golden_read(DIR, page_name, &expected);
	read_scene(&s, file);
	style = (struct inspect_style){
		.color = json_is_true(json_object_get(s.doc, "color")),
		.width = (unsigned)json_integer_value(json_object_get(s.doc, "width")),
	};
	inspect_write(&s.facts, &style, &page);
	name_colours(buf_slice(&page), &readable);
	scene_done(&s);
	if (!slice_eq(buf_slice(&readable), buf_slice(&expected)))
		fprintf(stderr, "%s\n", readable.ptr); /* whole: print_error() is cut */
	assert_string_equal(readable.ptr, expected.ptr);
}

int main(void)
{
	return golden_run("inspect", DIR, ".yaml", shows);
}
