#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/err.h"

static void set_fills_and_resets(void **state)
{
	(void)state;
	struct err err = {.code = ERR_HTTP, .http_status = 503, .retry_after_ms = 7, .reason = "Busy"};
	assert_int_equal(err_set(&err, ERR_TIMEOUT, "no answer in %d s", 30), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_int_equal(err.http_status, 0);
	assert_int_equal(err.retry_after_ms, -1);
	assert_string_equal(err.reason, "");
	assert_string_equal(err.message, "no answer in 30 s");
}

static void prefix_keeps_the_rest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_HTTP, "refused");
	err.http_status = 409;
	assert_int_equal(err_prefix(&err, "patch %s", "a/b"), -1);
	assert_int_equal(err.code, ERR_HTTP);
	assert_int_equal(err.http_status, 409);
	assert_string_equal(err.message, "patch a/b: refused");
}

static void arguments_may_point_into_the_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_IO, "inner");
	err_set(&err, ERR_IO, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
	err_prefix(&err, "again (%s)", err.message);
	assert_string_equal(err.message, "again (outer (inner)): outer (inner)");
}

static void message_is_one_line_of_utf8(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_INVALID, "%s", "two\nlines\tand \xff\xc3 café \x7f \xc2\x9b");
	assert_string_equal(err.message, "two lines and ?? café     ");
}

static void long_message_is_cut_between_characters(void **state)
{
	(void)state;
	char text[2001];
	for (size_t i = 0; i < 2000; i += 2)
		memcpy(text + i, "é", 2);
	text[2000] = '\0';
	struct err err = ERR_INIT;
	err_set(&err, ERR_INVALID, "x%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	err_set(&err, ERR_INVALID, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 2);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_int_equal(err.message[sizeof(err.message) - 2], ':');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_and_resets),
		cmocka_unit_test(prefix_keeps_the_rest),
		cmocka_unit_test(arguments_may_point_into_the_error),
		cmocka_unit_test(message_is_one_line_of_utf8),
		cmocka_unit_test(long_message_is_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
