#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <yaml.h>
#include "base/json.h"
#include "base/yaml.h"

static int write_bytes(void *arg, unsigned char *bytes, size_t len)
{
	buf_add(arg, bytes, len);
	return 1; /* whether there was room, buf_failed() tells */
}

/* libyaml fails only without memory, or when events come in a wrong order. */
static void must(int ok)
{
	if (!ok)
		abort();
}

static void emit(yaml_emitter_t *e, yaml_event_t *event, int ok)
{
	must(ok);
	must(yaml_emitter_emit(e, event));
}

/* Is it a string for every reader, of YAML 1.1 and 1.2, when it stands without quotes? Whether its ASCII characters allow
 * that, libyaml looks at. What else could be taken for the end of a line (U+2028) is escaped between double quotes only. */
static bool is_plain(const char *s)
{
	static const char *const words[] = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	for (const char *c = s; *c; c++)
		if (*c < ' ' || *c > '~')
			return false;
	return isalpha((unsigned char)*s) || *s == '/';
}

static void emit_scalar(yaml_emitter_t *e, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;

	emit(e, &event,
	     yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1, style));
}

static void emit_string(yaml_emitter_t *e, const char *text, size_t len)
{
	emit_scalar(e, text, len, is_plain(text) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static void emit_value(yaml_emitter_t *e, json_t *j);

static void emit_object(yaml_emitter_t *e, json_t *j)
{
	yaml_mapping_style_t style = json_object_size(j) > 0 ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE;
	yaml_event_t event;
	const char *key;
	json_t *v;

	emit(e, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
	json_object_foreach(j, key, v) {
		emit_string(e, key, strlen(key));
		emit_value(e, v);
	}
	emit(e, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_array(yaml_emitter_t *e, const json_t *j)
{
	yaml_sequence_style_t style =
		json_array_size(j) > 0 ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE;
	yaml_event_t event;
	json_t *v;
	size_t i;

	emit(e, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
	json_array_foreach(j, i, v)
		emit_value(e, v);
	emit(e, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_value(yaml_emitter_t *e, json_t *j)
{
	if (json_is_object(j)) {
		emit_object(e, j);
	} else if (json_is_array(j)) {
		emit_array(e, j);
	} else if (json_is_string(j)) {
		emit_string(e, json_string_value(j), json_string_length(j));
	} else {
		CLEANUP_FREE char *text = json_compact(j); /* numbers and literals are the same in YAML */

		emit_scalar(e, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
	}
}

void yaml_write(json_t *j, struct buf *out)
{
	yaml_emitter_t e;
	yaml_event_t event;

	must(yaml_emitter_initialize(&e));
	yaml_emitter_set_output(&e, write_bytes, out);
	yaml_emitter_set_width(&e, -1); /* no line is folded */
	yaml_emitter_set_unicode(&e, 1);
	emit(&e, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(&e, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 0));
	emit_value(&e, j);
	emit(&e, &event, yaml_document_end_event_initialize(&event, 1));
	emit(&e, &event, yaml_stream_end_event_initialize(&event));
	yaml_emitter_delete(&e);
}
