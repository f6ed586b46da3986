#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "inspect/inspect.h"
#include "inspect/text.h"

/* What kubectl (k8s.io/apimachinery/pkg/util/duration) prints. */
static void ages(void **state)
{
	static const struct {
		int64_t s;
		const char *text;
	} cases[] = {
		{-5, "0s"},
		{0, "0s"},
		{119, "119s"},
		{120, "2m"},
		{190, "3m10s"},
		{599, "9m59s"},
		{600, "10m"},
		{10799, "179m"},
		{10800, "3h"},
		{25500, "7h5m"},
		{28800, "8h"},
		{172799, "47h"},
		{172800, "2d"},
		{187200, "2d4h"},
		{691199, "7d23h"},
		{691200, "8d"},
		{86400 * 400, "400d"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[AGE_TEXT_SIZE];

		age_format(cases[i].s * MS_PER_S, text);
		assert_string_equal(text, cases[i].text);
	}
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

static void written(const char *text, unsigned width, bool color, const char *expected)
{
	CLEANUP_BUF struct buf out;

	buf_init(&out, 10000);
	text_write(&(struct inspect_style){.color = color, .width = width}, "- ", "  ", text, &out);
	assert_string_equal(out.ptr, expected);
}

static void lines(void **state)
{
	(void)state;
	written("one two", 0, false, "- one two\n");
	written("", 40, false, "- \n");
	written("a sentence that is longer than a line", 24, false,
	        "- a sentence that is\n  longer than a line\n");
	/* A word that is longer than a line is cut. */
	written("abcdefghijklmnopqrstuvwxyz", 24, false, "- abcdefghijklmnopqrstuv\n  wxyz\n");
	/* Nothing narrower than what a word needs. */
	written("one two three", 3, false, "- one two three\n");
	/* Colours and the bytes of a character take no column of their own. */
	written(RED "rot" PLAIN
	            " \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 und mehr",
	        24, true,
	        "- \033[31mrot\033[0m "
	        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 und\n  "
	        "mehr\n");
	written(RED "rot" PLAIN, 0, false, "- rot\n");
}

/* Nothing that comes from the API steers the terminal. */
static void texts_are_clean(void **state)
{
	CLEANUP_ARENA struct arena a;

	(void)state;
	arena_init(&a);
	assert_string_equal(text_clean(&a, "a\033[2Jb\n\x01 \x7f\xc2\x9bz"), "a [2Jb      z");
	assert_string_equal(text_clean(&a, "\xc3\xa9\xc2\xa9"), "\xc3\xa9\xc2\xa9");
	assert_string_equal(text_clean(&a, NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages),
		cmocka_unit_test(distances),
		cmocka_unit_test(lines),
		cmocka_unit_test(texts_are_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
