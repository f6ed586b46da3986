/* Converts each tests/golden/convert/NAME.json: NAME.yaml is what comes of it (the notes are its comments), or, for
 * refused-*.json, all refusals are in refused.txt. What is written must be read again, and its names must be such that the
 * API server takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include "../golden_folder.h"
#include "api/names.h"
#include "base/json.h"
#include "base/yaml.h"
#include "convert/convert.h"

#define DIR "tests/golden/convert"

/* The rest of the line of refused.txt that begins with the file's name. */
static void expected_refusal(const char *file, struct buf *ret)
{
	CLEANUP_BUF struct buf all;
	struct slice rest, line;

	golden_read(DIR, "refused.txt", &all);
	buf_init(ret, GOLDEN_MAX_BYTES);
	for (rest = buf_slice(&all); rest.len > 0;) {
		line = slice_split(rest, '\n', &rest);
		if (slice_starts(line, file))
			buf_add_slice(ret, line);
	}
}

/* What stands in comments stays there, also for a reader that takes more bytes for the end of a line. */
static void check_count(struct slice yaml, size_t documents)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *all = yaml_parse_all(yaml, &err);

	if (!all)
		fail_msg("%s", err.message);
	assert_int_equal(json_array_size(all), documents);
}

static void check_documents(struct slice yaml)
{
	static const char separator[] = "---\n";
	const char *at = strstr(yaml.ptr, separator);
	size_t n = 0;

	while (at) {
		const char *next = strstr(at + sizeof(separator) - 1, "\n---\n");
		struct slice text = {at, next ? (size_t)(next + 1 - at) : strlen(at)};
		struct err err = ERR_INIT;
		CLEANUP_JSON json_t *o = yaml_parse(text, &err);
		const char *name = json_string_value(json_at(o, "metadata", "name", NULL));

		if (!o)
			fail_msg("%s", err.message);
		assert_non_null(json_at(o, "kind", NULL));
		assert_true(name && strlen(name) <= NAME_MAX_BYTES && dns_label_valid(slice_from(name)));
		at = next ? next + 1 : NULL;
		n++;
	}
	assert_true(n > 0);
	check_count(yaml, n);
}

static void converts(void **state)
{
	const char *file = *state;
	CLEANUP_BUF struct buf json, yaml, notes, expected;
	struct err err = ERR_INIT;
	bool refused = str_starts(file, "refused-");
	CLEANUP_FREE char *result_name = xasprintf("%.*s.yaml", (int)(strlen(file) - strlen(".json")), file);
	int result;

	buf_init(&yaml, GOLDEN_MAX_BYTES);
	buf_init(&notes, GOLDEN_MAX_BYTES);
	golden_read(DIR, file, &json);
	if (refused)
		expected_refusal(file, &expected);
	else
		golden_read(DIR, result_name, &expected);
	result = convert(&(struct convert_file){file, buf_slice(&json)}, 1, &yaml, &notes, &err);
	if (refused) {
		assert_int_equal(result, -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_string_equal(err.message, expected.ptr);
		assert_null(strstr(err.message, "do_not_show"));
		return;
	}
	if (result < 0)
		fail_msg("%s", err.message);
	if (!slice_eq(buf_slice(&yaml), buf_slice(&expected)))
		fprintf(stderr, "%s\n", yaml.ptr); /* whole: print_error() is cut */
	assert_string_equal(yaml.ptr, expected.ptr);
	check_documents(buf_slice(&yaml));
	/* No secret is told. */
	assert_null(strstr(notes.ptr ? notes.ptr : "", "do_not_show"));
}

int main(void)
{
	return golden_run("convert", DIR, ".json", converts);
}
