#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "convert/accelerators.h"
#include "convert/convert.h"

#define MAX_BYTES (1u << 20)

static void devices_of_types(void **state)
{
	static const struct {
		const char *type, *resource;
		int32_t count;
	} cases[] = {
		{"p5.48xlarge", "nvidia.com/gpu", 8},          {"p5.4xlarge", "nvidia.com/gpu", 1},
		{"p4de.24xlarge", "nvidia.com/gpu", 8},        {"g5.24xlarge", "nvidia.com/gpu", 4},
		{"g6.16xlarge", "nvidia.com/gpu", 1},          {"g6e.48xlarge", "nvidia.com/gpu", 8},
		{"inf2.24xlarge", "aws.amazon.com/neuron", 6},
	};
	static const char *const cpu_only[] = {"m5.xlarge", "c7i.4xlarge", "r6gd.large", "t3.medium"};
	static const char *const unknown[] = {"p5",          "p5.2xlarge", "g6.xlarge2", "g6.",
	                                      "zz.48xlarge", "",           "m.xlarge",   "mystery.xlarge"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct accelerators a = accelerators_of(cases[i].type);

		assert_true(a.known);
		assert_string_equal(a.resource, cases[i].resource);
		assert_int_equal(a.count, cases[i].count);
	}
	for (size_t i = 0; i < ARRAY_LEN(cpu_only); i++) {
		assert_true(accelerators_of(cpu_only[i]).known);
		assert_null(accelerators_of(cpu_only[i]).resource);
	}
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_false(accelerators_of(unknown[i]).known);
}

static const char model[] = "{\"ModelName\": \"m\", \"PrimaryContainer\": {\"Image\": \"i\"}}";
static const char config[] =
	"{\"EndpointConfigName\": \"c\", \"ProductionVariants\": [{\"VariantName\": \"v\", "
	"\"ModelName\": \"m\", \"InstanceType\": \"ml.g6.xlarge\"}]}";
static const char endpoint[] = "{\"EndpointName\": \"e\", \"EndpointConfigName\": \"c\"}";

static void files_in_any_order(void **state)
{
	const struct convert_file files[] = {
		{"e.json", SLICE_LIT(endpoint)}, {"c.json", SLICE_LIT(config)}, {"m.json", SLICE_LIT(model)}};
	const struct convert_file other_way[] = {files[2], files[1], files[0]};
	CLEANUP_BUF struct buf yaml, notes, yaml2, notes2;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&yaml, MAX_BYTES);
	buf_init(&notes, MAX_BYTES);
	buf_init(&yaml2, MAX_BYTES);
	buf_init(&notes2, MAX_BYTES);
	assert_int_equal(convert(files, 3, &yaml, &notes, &err), 0);
	assert_int_equal(convert(other_way, 3, &yaml2, &notes2, &err), 0);
	assert_string_equal(yaml.ptr, yaml2.ptr);
	assert_non_null(
		strstr(notes.ptr, "c.json: ProductionVariants[0].VariantName = \"v\": not carried over: "));
}

/* The comments of the YAML end with their lines, whatever the file is called. */
static void a_file_name_stays_in_its_comment(void **state)
{
	const struct convert_file file = {"a\nkind: Secret\n\xff", SLICE_LIT(config)};
	CLEANUP_BUF struct buf yaml, notes;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&yaml, MAX_BYTES);
	buf_init(&notes, MAX_BYTES);
	assert_int_equal(convert(&file, 1, &yaml, &notes, &err), 0);
	assert_null(strstr(yaml.ptr, "\nkind: Secret"));
	assert_non_null(strstr(notes.ptr, "a?kind: Secret??: "));
}

static void too_much(void **state)
{
	const struct convert_file file = {"c.json", SLICE_LIT(config)};
	CLEANUP_BUF struct buf yaml, notes;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&yaml, 100);
	buf_init(&notes, MAX_BYTES);
	assert_int_equal(convert(&file, 1, &yaml, &notes, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_of_types),
		cmocka_unit_test(files_in_any_order),
		cmocka_unit_test(a_file_name_stays_in_its_comment),
		cmocka_unit_test(too_much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
