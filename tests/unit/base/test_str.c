#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/str.h"

static void comparisons(void **state)
{
	(void)state;
	struct slice none = {NULL, 0};
	assert_true(slice_eq(none, SLICE_LIT("")));
	assert_true(slice_eq_str(SLICE_LIT("abc"), "abc"));
	assert_false(slice_eq_str(SLICE_LIT("abc"), "abd"));
	assert_false(slice_eq_str(SLICE_LIT("abc"), "ab"));
	assert_true(str_eq(NULL, ""));
	assert_false(str_eq(NULL, "x"));
	assert_true(str_empty(NULL));
	assert_true(str_starts("kubernetes", "kube"));
	assert_false(str_starts("kub", "kube"));
	assert_true(slice_starts(none, ""));
	assert_false(slice_starts(none, "a"));
	assert_true(slice_contains(SLICE_LIT("abcdef"), "cde"));
	assert_true(slice_contains(none, ""));
	assert_false(slice_contains(SLICE_LIT("ab"), "abc"));
	assert_int_equal(slice_from(NULL).len, 0);
}

static void split(void **state)
{
	(void)state;
	struct slice rest = SLICE_LIT("a,,b");
	assert_true(slice_eq_str(slice_split(rest, ',', &rest), "a"));
	assert_true(slice_eq_str(slice_split(rest, ',', &rest), ""));
	assert_true(slice_eq_str(slice_split(rest, ',', &rest), "b"));
	assert_int_equal(rest.len, 0);
	assert_int_equal(slice_split((struct slice){NULL, 0}, ',', &rest).len, 0);
	assert_true(slice_eq_str(slice_split(SLICE_LIT("a,"), ',', &rest), "a"));
	assert_int_equal(rest.len, 0);
}

static void trim(void **state)
{
	(void)state;
	assert_true(slice_eq_str(slice_trim(SLICE_LIT(" \t\r\n a b \v\f")), "a b"));
	assert_int_equal(slice_trim(SLICE_LIT("  ")).len, 0);
	assert_int_equal(slice_trim((struct slice){NULL, 0}).len, 0);
}

static void whole_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"-0", 0},
		{"007", 7},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
	};
	static const char *const bad[] = {
		"",
		"-",
		"+1",
		" 1",
		"1 ",
		"1x",
		"0x1",
		"1.0",
		"9223372036854775808",
		"-9223372036854775809",
		"99999999999999999999999999999999999999999999999999999999999999999999999999999999"};
	struct err err = ERR_INIT;
	int64_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(slice_to_i64(slice_from(good[i].text), &n, &err), 0);
		assert_true(n == good[i].value);
	}
	n = 42;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(slice_to_i64(slice_from(bad[i]), &n, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_int_equal(n, 42);
	}
	assert_int_equal(slice_to_i64((struct slice){"123", 2}, &n, &err), 0);
	assert_int_equal(n, 12);
}

static void utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"", 0},
		{"a", 1},
		{"é", 2},
		{"€", 3},
		{"😀", 4},
		{"\xc3", 0},             /* cut */
		{"\xe2\x82", 0},         /* cut */
		{"\x80", 0},             /* continuation first */
		{"\xc0\x80", 0},         /* overlong */
		{"\xe0\x80\x80", 0},     /* overlong */
		{"\xf0\x80\x80\x80", 0}, /* overlong */
		{"\xed\xa0\x80", 0},     /* surrogate */
		{"\xf4\x8f\xbf\xbf", 4}, /* U+10FFFF */
		{"\xf4\x90\x80\x80", 0}, /* beyond */
		{"\xff", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(utf8_sequence(slice_from(cases[i].text)), cases[i].len);
	assert_int_equal(utf8_cut(SLICE_LIT("ab€")), 5);
	assert_int_equal(utf8_cut((struct slice){"ab€", 4}), 2);
	assert_int_equal(utf8_cut((struct slice){"ab€", 3}), 2);
	assert_int_equal(utf8_cut((struct slice){"😀", 3}), 0);
	assert_int_equal(utf8_cut(SLICE_LIT("\x80\x80\x80\x80\x80")), 5); /* not UTF-8: nothing to save */
	assert_int_equal(utf8_cut((struct slice){NULL, 0}), 0);
}

static void fixed_buffers(void **state)
{
	(void)state;
	char b[6];
	assert_true(str_format(b, sizeof(b), "%d", 12345));
	assert_string_equal(b, "12345");
	assert_false(str_format(b, sizeof(b), "%d", 123456));
	assert_string_equal(b, "12345");
	assert_false(str_copy(b, sizeof(b), "abcdé"));
	assert_string_equal(b, "abcd");
	assert_true(str_copy(b, sizeof(b), "abcé"));
	assert_string_equal(b, "abcé");
	assert_false(str_copy(b, 1, "x"));
	assert_string_equal(b, "");
}

static void memory(void **state)
{
	(void)state;
	CLEANUP_FREE char *copy = xstrndup("abc\0def", 7);
	assert_string_equal(copy, "abc");
	CLEANUP_FREE char *front = xstrndup("abc", 2);
	assert_string_equal(front, "ab");
	CLEANUP_FREE char *empty = xstrndup(NULL, 0);
	assert_string_equal(empty, "");
	CLEANUP_FREE char *text = xasprintf("%s-%d", "pool", 3);
	assert_string_equal(text, "pool-3");
	CLEANUP_FREE int *zeros = xcalloc(3, sizeof(int));
	assert_int_equal(zeros[0] | zeros[1] | zeros[2], 0);
	CLEANUP_FREE void *nothing = xreallocarray(NULL, 0, 8);
	assert_non_null(nothing);

	char *from = text;
	CLEANUP_FREE char *taken = STEAL_PTR(text);
	assert_ptr_equal(taken, from);
	assert_null(text);
}

static void cleaned(const char *text, const char *expected)
{
	CLEANUP_FREE char *copy = xstrdup(text);

	str_clean(copy);
	assert_string_equal(copy, expected);
}

/* Nothing that comes from elsewhere steers the terminal. */
static void clean(void **state)
{
	(void)state;
	cleaned("", "");
	cleaned("a\033[2Jb\r\n\x01 \x7fz", "a [2Jb     z");
	cleaned("\xc2\x80 \xc2\x9b \xc2\x9f", "        ");                  /* U+0080 to U+009F */
	cleaned("\xe2\x80\xa8|\xe2\x80\xae|\xe2\x80\x8f|", "   |   |   |"); /* U+2028, U+202E, U+200F */
	cleaned("\xe2\x81\xa6|\xe2\x81\xa9|", "   |   |");                  /* U+2066, U+2069 */
	cleaned("\x9b|\xc2|\xe2\x80", "?|?|??");
	cleaned("\xc3\xa9 \xc2\xa9 \xc2\xa0 \xe2\x80\xa6", "\xc3\xa9 \xc2\xa9 \xc2\xa0 \xe2\x80\xa6");
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(name_distance("my-llm", "my-llm"), 0);
	assert_int_equal(name_distance("my-lm", "my-llm"), 1);
	assert_int_equal(name_distance("mi-llm", "my-llm"), 1);
	assert_int_equal(name_distance("my-llm-2", "my-llm"), 2);
	assert_int_equal(name_distance("", "abc"), 3);
	assert_int_equal(name_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons), cmocka_unit_test(split),         cmocka_unit_test(trim),
		cmocka_unit_test(utf8),        cmocka_unit_test(whole_numbers), cmocka_unit_test(fixed_buffers),
		cmocka_unit_test(memory),      cmocka_unit_test(clean),         cmocka_unit_test(distances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
