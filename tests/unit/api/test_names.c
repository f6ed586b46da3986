#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "api/names.h"

static void ml_is_stripped(void **state)
{
	(void)state;
	assert_string_equal(instance_type_strip("ml.p5.48xlarge"), "p5.48xlarge");
	assert_string_equal(instance_type_strip("p5.48xlarge"), "p5.48xlarge");
	assert_string_equal(instance_type_strip("ml"), "ml");
	assert_string_equal(instance_type_strip("mlx.large"), "mlx.large");
}

static void default_pool_names(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"ml.p5.48xlarge", "p5-48xlarge"},
		{"p5.48xlarge", "p5-48xlarge"},
		{"a3-highgpu-8g", "a3-highgpu-8g"},
		{"Standard_ND96isr_H100_v5", "standard-nd96isr-h100-v5"},
		{"x", "x"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[NAME_MAX_BYTES + 1];
		pool_default_name(cases[i][0], name);
		assert_string_equal(name, cases[i][1]);
	}
}

/* Names of objects that exist: they must not change with a new version of the operator. */
static void deployment_names_are_stable(void **state)
{
	(void)state;
	char name[NAME_MAX_BYTES + 1];
	deployment_name("my-llm", "p5-48xlarge", "bcdfghjklm", name);
	assert_string_equal(name, "my-llm-p5-48xlarge-bcdfghjklm");

	/* 63 bytes fit, 64 do not. */
	deployment_name("an-endpoint-with-quite-a-long-name-in", "p5-48xlarge-us", "bcdfghjklm", name);
	assert_string_equal(name, "an-endpoint-with-quite-a-long-name-in-p5-48xlarge-us-bcdfghjklm");
	deployment_name("an-endpoint-with-quite-a-long-name-in", "p5-48xlarge-usa", "bcdfghjklm", name);
	assert_string_equal(name, "an-endpoint-with-quite-a-long-name-in-p5-ht969mpkm8-bcdfghjklm");
	assert_true(strlen(name) <= NAME_MAX_BYTES);
}

static void long_deployment_names_differ(void **state)
{
	(void)state;
	char a[NAME_MAX_BYTES + 1], b[NAME_MAX_BYTES + 1], c[NAME_MAX_BYTES + 1];
	const char *front = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	deployment_name(front, "b-c", "bcdfghjklm", a);
	deployment_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b", "c", "bcdfghjklm", b);
	deployment_name(front, "b-d", "bcdfghjklm", c);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	assert_string_equal(a + strlen(a) - 11, "-bcdfghjklm");
}

static void a_cut_leaves_no_separator_before_the_hash(void **state)
{
	(void)state;
	char name[NAME_MAX_BYTES + 1];
	/* The cut would come after the '-' between endpoint and pool. */
	deployment_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "pppppppppppppppp", "bcdfghjklm", name);
	assert_null(strstr(name, "--"));
}

static void label_values(void **state)
{
	(void)state;
	static const char sixty_three[] = "a23456789012345678901234567890123456789012345678901234567890123";
	char value[NAME_MAX_BYTES + 1];
	label_value("p5.48xlarge", value);
	assert_string_equal(value, "p5.48xlarge");
	label_value("", value);
	assert_string_equal(value, "");
	label_value(sixty_three, value);
	assert_string_equal(value, sixty_three);

	static const char *const bad[] = {
		"a b", "-a",       "a-",
		"/",   "\xc3\xa4", "a234567890123456789012345678901234567890123456789012345678901234"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(label_value_valid(bad[i]));
		label_value(bad[i], value);
		assert_true(*value && label_value_valid(value));
	}
	char other[NAME_MAX_BYTES + 1];
	label_value("a b", value);
	label_value("a/b", other);
	assert_string_not_equal(value, other);
}

static void selector(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 256);
	endpoint_selector("my-llm", &b);
	assert_string_equal(b.ptr, "inference.instancepool.dev/endpoint=my-llm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ml_is_stripped),
		cmocka_unit_test(default_pool_names),
		cmocka_unit_test(deployment_names_are_stable),
		cmocka_unit_test(long_deployment_names_differ),
		cmocka_unit_test(a_cut_leaves_no_separator_before_the_hash),
		cmocka_unit_test(label_values),
		cmocka_unit_test(selector),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
