#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/quantity.h"

static void values(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{"0", 0},
		{"8", 8},
		{"+8", 8},
		{"-8", -8},
		{"007", 7},
		{"1.", 1},
		{".5", 1},
		{"1.0", 1},
		{"1.5", 2},
		{"-1.5", -2},
		/* decimal suffixes, rounded up */
		{"1n", 1},
		{"999999999n", 1},
		{"1000000000n", 1},
		{"1000000001n", 2},
		{"1u", 1},
		{"2000001u", 3},
		{"500m", 1},
		{"1000m", 1},
		{"1001m", 2},
		{"-500m", -1},
		{"0m", 0},
		{"0.000m", 0},
		{"1k", 1000},
		{"1.5k", 1500},
		{"2M", 2000000},
		{"3G", 3000000000},
		{"4T", 4000000000000},
		{"5P", 5000000000000000},
		{"6E", 6000000000000000000},
		{"1.0000000000000000001E", 1000000000000000001},
		/* binary suffixes */
		{"1Ki", 1024},
		{"1.5Ki", 1536},
		{"0.5Ki", 512},
		{"0.0001Ki", 1},
		{"1.001Ki", 1026},
		{"2Mi", 2097152},
		{"3Gi", 3221225472},
		{"2Ti", 2199023255552},
		{"1.5Ti", 1649267441664},
		{"5Pi", 5629499534213120},
		{"7Ei", 8070450532247928832},
		{"7.99999999999999999999Ei", INT64_MAX},
		{"7.5Ei", 8646911284551352320},
		{"0.0000000001Ei", 115292151},
		{"0.00000000000000000000000001Ei", 1},
		{"0.1Ei", 115292150460684698},
		{"-1.001Ki", -1026},
		/* exponents */
		{"1e3", 1000},
		{"1E3", 1000},
		{"1e+3", 1000},
		{"1.5e3", 1500},
		{"12345e-3", 13},
		{"1e-3", 1},
		{"0e9", 0},
		{"0e-9", 0},
		{"1e0", 1},
		{"123.456e1", 1235},
		{"123.456e3", 123456},
		{"0.00001e5", 1},
		{"1e-1000000000000", 1},
		{"0e1000000000000", 0},
		/* too much */
		{"9223372036854775807", INT64_MAX},
		{"9223372036854775806", INT64_MAX - 1},
		{"9223372036854775806.1", INT64_MAX},
		{"9223372036854775808", INT64_MAX},
		{"18446744073709551615", INT64_MAX},
		{"18446744073709551616", INT64_MAX},
		{"99999999999999999999999999999999999", INT64_MAX},
		{"-9223372036854775807", -INT64_MAX},
		{"-99999999999999999999", -INT64_MAX},
		{"8Ei", INT64_MAX},
		{"16Ei", INT64_MAX},
		{"-16Ei", -INT64_MAX},
		{"99999999999999999999Ki", INT64_MAX},
		{"10E", INT64_MAX},
		{"1e19", INT64_MAX},
		{"1e1000000000000", INT64_MAX},
		{"15.999999999999999999999999Ei", INT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		int64_t v = -1;
		if (quantity_parse(slice_from(cases[i].text), &v, &err) < 0 || v != cases[i].value)
			fail_msg("%s: got %lld, %s", cases[i].text, (long long)v, err.message);
	}
}

static void refused(void **state)
{
	static const char *const cases[] = {
		"",    " ",    "+",   "-",    ".",     "+.",  "Ki",   "m",    "E",     "e3",   "--1",
		"+-1", "1 ",   " 1",  "1 Ki", "1.2.3", "1,5", "0x10", "1K",   "1KI",   "1ki",  "1mi",
		"1g",  "1Kib", "1KB", "1nn",  "1mK",   "1e",  "1e+",  "1e-",  "1e1.5", "1e3k", "1Ee3",
		"1-3", "1+3",  "1m3", "1Ki2", "one",   "NaN", "inf",  "1e3 ",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		int64_t v;
		if (quantity_parse(slice_from(cases[i]), &v, &err) != -1 || err.code != ERR_INVALID)
			fail_msg("'%s' was accepted", cases[i]);
	}
	struct err err = ERR_INIT;
	int64_t v;
	assert_int_equal(quantity_parse((struct slice){NULL, 0}, &v, &err), -1);
	assert_int_equal(quantity_parse(SLICE_LIT("1\0"), &v, &err), -1);
	assert_int_equal(quantity_parse(SLICE_LIT("8x"), &v, &err), -1);
	assert_string_equal(err.message, "not a quantity: '8x'");
}

static void thousandths(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{"0", 0},           {"8", 8000},        {"500m", 500},
		{"15890m", 15890},  {"0.1", 100},       {"0.0001", 1},
		{"1u", 1},          {"-1500m", -1500},  {"1e-3", 1},
		{"2k", 2000000},    {"1Ki", 1024000},   {"2Ti", 2199023255552000},
		{"1Ei", INT64_MAX}, {"10P", INT64_MAX}, {"9223372036854775807", INT64_MAX},
	};
	struct err err = ERR_INIT;
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (quantity_parse_milli(slice_from(cases[i].text), &v, &err) < 0 || v != cases[i].value)
			fail_msg("%s: got %lld, %s", cases[i].text, (long long)v, err.message);
	assert_int_equal(quantity_parse_milli(SLICE_LIT("1mm"), &v, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousandths),
		cmocka_unit_test(values),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
