#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "inspect/inspect.h"
#include "inspect/text.h"

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

static void steps_are_clean(void **state)
{
	struct endpoint e = {.meta = {.ns = "n", .name = "e"}, .status = {.present = true, .desired = 1}};
	const struct inspect_facts f = {.endpoint = &e};
	const char *steps[INSPECT_MAX_STEPS];
	CLEANUP_ARENA struct arena a;

	(void)state;
	arena_init(&a);
	e.status.conditions[COND_STALLED] = (struct condition){
		.present = true, .status = true, .reason = "Refused", .message = "a\033[2J\xc2\x9bz"};
	assert_int_equal(inspect_advise(&f, &a, steps), 1);
	assert_string_equal(steps[0], "mend what the API server refuses: a [2J  z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(texts_are_clean),
		cmocka_unit_test(steps_are_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
