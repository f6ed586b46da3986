/* Whatever is given for SageMaker's JSON: what is written is YAML that is read again, with names that the API takes, and
 * what is refused has words. */
#include <stdint.h>
#include <stdlib.h>
#include "api/names.h"
#include "base/json.h"
#include "base/yaml.h"
#include "convert/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_document(struct slice text)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *o = yaml_parse(text, &err);
	const char *name = json_string_value(json_at(o, "metadata", "name", NULL));

	if (!o && err.code == ERR_LIMIT)
		return; /* deeper or larger than yaml_parse() reads */
	check(o && name && dns_label_valid(slice_from(name)) && strlen(name) <= NAME_MAX_BYTES);
}

/* What stands in comments stays there, also for a reader that takes more bytes for the end of a line. */
static void check_count(struct slice yaml, size_t documents)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *all = yaml_parse_all(yaml, &err);

	check(all ? json_array_size(all) == documents : err.code == ERR_LIMIT);
}

/* One object after the other, each behind a line "---". Comments stand before the first. */
static void check_yaml(struct slice yaml)
{
	const struct slice whole = yaml;
	size_t documents = 0;

	while (yaml.len > 0 && !slice_starts(yaml, "---\n")) {
		struct slice line = slice_split(yaml, '\n', &yaml);

		check(slice_starts(line, "#"));
	}
	while (yaml.len > 0) {
		const char *next = memmem(yaml.ptr + 1, yaml.len - 1, "\n---\n", 5);
		size_t len = next ? (size_t)(next + 1 - yaml.ptr) : yaml.len;

		check_document((struct slice){yaml.ptr, len});
		yaml = slice_skip(yaml, len);
		documents++;
	}
	check_count(whole, documents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct convert_file file = {"in.json", {size > 0 ? (const char *)data : "", size}};
	CLEANUP_BUF struct buf yaml, notes;
	struct err err = ERR_INIT;

	buf_init(&yaml, 64u << 20);
	buf_init(&notes, 64u << 20);
	if (convert(&file, 1, &yaml, &notes, &err) == 0)
		check_yaml(buf_slice(&yaml));
	else
		check(err.code != ERR_NONE && err.message[0] != '\0');
	return 0;
}
