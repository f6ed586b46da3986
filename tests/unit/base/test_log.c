#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/log.h"

#define LINE(format, level, msg, ...)                                 \
	line(format, level, msg, (const struct log_field[]){__VA_ARGS__}, \
	     sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* New. */
static char *line(enum log_format format, enum log_level level, const char *msg,
                  const struct log_field *fields, size_t n)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	log_write_to(f, format, level, msg, fields, n);
	fclose(f);
	return text;
}

static void json_lines(void **state)
{
	(void)state;
	CLEANUP_FREE char *a =
		LINE(LOG_FORMAT_JSON, LOG_LEVEL_INFO, "pool asked", LOG_STR("endpoint", "ns/a \"b\"\n\xff"),
	         LOG_INT("instances", -4), LOG_BOOL("late", true), LOG_STR("none", NULL));
	assert_string_equal(
		a, "{\"level\":\"info\",\"msg\":\"pool asked\",\"endpoint\":\"ns/a \\\"b\\\"\\n\\ufffd\","
		   "\"instances\":-4,\"late\":true,\"none\":null}\n");
	struct err err = ERR_INIT;
	err_set(&err, ERR_HTTP, "refused");
	err.http_status = 409;
	str_copy(err.reason, sizeof(err.reason), "Conflict");
	CLEANUP_FREE char *b = LINE(LOG_FORMAT_JSON, LOG_LEVEL_ERROR, "write failed", LOG_ERR(&err));
	assert_string_equal(b, "{\"level\":\"error\",\"msg\":\"write failed\",\"error\":\"refused\","
	                       "\"httpStatus\":409,\"reason\":\"Conflict\"}\n");
}

static void text_lines(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_set(&err, ERR_IO, "no such file");
	CLEANUP_FREE char *a =
		LINE(LOG_FORMAT_TEXT, LOG_LEVEL_WARN, "two words", LOG_STR("plain", "ns/a-1"),
	         LOG_STR("spaced", "a b"), LOG_STR("equals", "a=b"), LOG_STR("empty", ""), LOG_STR("quote", "\""),
	         LOG_STR("utf", "é"), LOG_INT("n", 1), LOG_BOOL("b", false), LOG_ERR(&err));
	assert_string_equal(
		a, "WARN  two words plain=ns/a-1 spaced=\"a b\" equals=\"a=b\" empty=\"\" quote=\"\\\"\" "
		   "utf=\"é\" n=1 b=false error=\"no such file\"\n");
}

static void huge_values_are_cut_and_the_line_stays_json(void **state)
{
	(void)state;
	static char huge[100001];
	memset(huge, '\x01', sizeof(huge) - 1); /* six bytes each when escaped */
	CLEANUP_FREE char *a =
		LINE(LOG_FORMAT_JSON, LOG_LEVEL_INFO, huge, LOG_STR("a", huge), LOG_STR("b", huge),
	         LOG_STR("c", huge), LOG_STR("d", huge), LOG_STR("e", huge), LOG_INT("f", INT64_MIN));
	assert_in_range(strlen(a), 8000, 8192);
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *j = json_parse(slice_from(a), &err);
	assert_non_null(j);
	assert_true(json_is_true(json_at(j, "truncated", NULL)));
	const char *first = json_string_value(json_at(j, "a", NULL));
	assert_string_equal(first + strlen(first) - strlen("…"), "…");

	memset(huge, 'x', sizeof(huge) - 1);
	CLEANUP_FREE char *b =
		LINE(LOG_FORMAT_JSON, LOG_LEVEL_INFO, "m", LOG_STR("a", huge), LOG_STR("b", "whole"));
	assert_in_range(strlen(b), 2000, 2200);
	assert_non_null(strstr(b, "\"b\":\"whole\"}\n"));
}

static void as_many_fields_as_fit(void **state)
{
	(void)state;
	struct log_field fields[2000];
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		fields[i] = LOG_INT("key", INT64_MIN);
	CLEANUP_FREE char *json = line(LOG_FORMAT_JSON, LOG_LEVEL_INFO, "m", fields, ARRAY_LEN(fields));
	assert_in_range(strlen(json), 8000, 8192);
	assert_non_null(strstr(json, ",\"truncated\":true}\n"));
	CLEANUP_FREE char *text = line(LOG_FORMAT_TEXT, LOG_LEVEL_INFO, "m", fields, ARRAY_LEN(fields));
	assert_in_range(strlen(text), 8000, 8192);
	assert_non_null(strstr(text, " truncated=true\n"));
}

static void levels(void **state)
{
	(void)state;
	assert_true(log_enabled(LOG_LEVEL_INFO));
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_JSON;
	struct err err = ERR_INIT;
	assert_int_equal(log_level_parse("warn", &level, &err), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("loud", &level, &err), -1);
	assert_int_equal(log_level_parse(NULL, &level, &err), -1);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_format_parse("text", &format, &err), 0);
	assert_int_equal(format, LOG_FORMAT_TEXT);
	assert_int_equal(log_format_parse("xml", &format, &err), -1);
}

/* What the macros write to standard error. */
static void written(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	int saved = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	LOG_INFO("not this");
	LOG_WARN("this", LOG_INT("n", 1));
	log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	LOG_INFO("and this");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	char got[1000];
	ssize_t n = read(fds[0], got, sizeof(got) - 1);
	close(fds[0]);
	assert_true(n > 0);
	got[n] = '\0';

	/* Blank the digits of the times. */
	for (char *p = got; *p; p++)
		if (*p >= '2' && *p <= '9')
			*p = '0';
	for (char *p = got; *p; p++)
		if (*p == '1' && p[-1] != '=')
			*p = '0';
	assert_string_equal(got,
	                    "0000-00-00T00:00:00.000Z WARN  this n=1\n"
	                    "{\"time\":\"0000-00-00T00:00:00.000Z\",\"level\":\"info\",\"msg\":\"and this\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_lines),
		cmocka_unit_test(text_lines),
		cmocka_unit_test(huge_values_are_cut_and_the_line_stays_json),
		cmocka_unit_test(as_many_fields_as_fit),
		cmocka_unit_test(levels),
		cmocka_unit_test(written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
