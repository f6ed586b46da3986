#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *j = json_parse(slice_from(text), &err);
	assert_string_equal(err.message, "");
	assert_non_null(j);
	return j;
}

static void parse_is_strict(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
	                                  "null",
	                                  "{}x",
	                                  "{\"a\":1,\"a\":2}",
	                                  "{'a':1}",
	                                  "[1,]",
	                                  "[\"\xff\"]",
	                                  "{\"\\u0000\":1}",
	                                  "{\"a\":NaN}",
	                                  "[01]"};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(json_parse(slice_from(bad[i]), &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	assert_null(json_parse((struct slice){NULL, 0}, &err));
	CLEANUP_JSON json_t *part = json_parse((struct slice){"{} x", 2}, &err);
	assert_non_null(part);
}

/* An annotation that nobody reads may hold a NUL; what is read may not. */
static void nul_is_refused_where_it_is_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *s = NULL;
	CLEANUP_JSON json_t *j = json_parse(SLICE_LIT("{\"a\":\"x\\u0000y\",\"b\":\"z\"}"), &err);
	assert_non_null(j);
	assert_int_equal(json_opt_str(j, "spec", "b", &s, &err), 0);
	assert_string_equal(s, "z");
	assert_int_equal(json_opt_str(j, "spec", "a", &s, &err), -1);
	assert_string_equal(err.message, "spec.a: must not hold \\u0000");
}

static void parse_error_shows_place_but_not_text(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_null(json_parse(SLICE_LIT("{\n  \"token\": hunter2\n}"), &err));
	assert_non_null(strstr(err.message, "line 2, column "));
	assert_null(strstr(err.message, "hunter2"));
}

static void path(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *j = parse("{\"spec\":{\"a\":{\"b\":3},\"n\":null,\"s\":\"x\"}}");
	assert_int_equal(json_integer_value(json_at(j, "spec", "a", "b", NULL)), 3);
	assert_true(json_is_object(json_at(j, "spec", NULL)));
	assert_null(json_at(j, "spec", "n", NULL));
	assert_null(json_at(j, "spec", "n", "x", NULL));
	assert_null(json_at(j, "spec", "s", "x", NULL));
	assert_null(json_at(j, "nope", "x", NULL));
	assert_null(json_at(NULL, "x", NULL));
}

static void optional_members(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *j =
		parse("{\"s\":\"text\",\"i\":-5,\"l\":3000000000,\"b\":true,\"z\":null,\"r\":1.5,"
	          "\"t\":\"2026-11-25T17:00:00Z\",\"o\":{},\"a\":[1]}");
	struct err err = ERR_INIT;
	const char *s = "default";
	int32_t i32 = 7;
	int64_t i64 = 8;
	bool b = false;
	struct wall t = {0};
	json_t *o = NULL, *a = NULL;

	assert_int_equal(json_opt_str(j, "spec", "z", &s, &err), 0);
	assert_int_equal(json_opt_str(j, "spec", "nope", &s, &err), 0);
	assert_string_equal(s, "default");
	assert_int_equal(json_opt_i32(j, "spec", "z", &i32, &err), 0);
	assert_int_equal(i32, 7);

	assert_int_equal(json_opt_str(j, "spec", "s", &s, &err), 0);
	assert_string_equal(s, "text");
	assert_int_equal(json_opt_i32(j, "spec", "i", &i32, &err), 0);
	assert_int_equal(i32, -5);
	assert_int_equal(json_opt_i64(j, "spec", "l", &i64, &err), 0);
	assert_int_equal(i64, 3000000000);
	assert_int_equal(json_opt_bool(j, "spec", "b", &b, &err), 0);
	assert_true(b);
	assert_int_equal(json_opt_time(j, "spec", "t", &t, &err), 0);
	assert_int_equal(t.ms, INT64_C(1795626000000));
	assert_int_equal(json_opt_object(j, "spec", "o", &o, &err), 0);
	assert_non_null(o);
	assert_int_equal(json_opt_array(j, "spec", "a", &a, &err), 0);
	assert_non_null(a);
	assert_int_equal(err.code, ERR_NONE);

	assert_int_equal(json_opt_i32(j, "spec", "l", &i32, &err), -1);
	assert_string_equal(err.message, "spec.l: is out of range");
	assert_int_equal(json_opt_i64(j, "spec", "r", &i64, &err), -1);
	assert_string_equal(err.message, "spec.r: must be a whole number");
	assert_int_equal(json_opt_str(j, "", "i", &s, &err), -1);
	assert_string_equal(err.message, "i: must be a string");
	assert_int_equal(json_opt_bool(j, "spec", "s", &b, &err), -1);
	assert_int_equal(json_opt_object(j, "spec", "a", &o, &err), -1);
	assert_int_equal(json_opt_array(j, "spec", "o", &a, &err), -1);
	assert_int_equal(json_opt_time(j, "spec.x", "s", &t, &err), -1);
	assert_memory_equal(err.message, "spec.x.s: ", 10);
	assert_int_equal(err.code, ERR_INVALID);
}

static void building(void **state)
{
	(void)state;
	CLEANUP_JSON json_t *j = json_object();
	json_put_str(j, "z", "last");
	json_put_str(j, "none", NULL);
	json_put_str(j, "bad", "a\xff");
	json_put_int(j, "int", INT64_MIN);
	json_put_bool(j, "yes", true);
	json_put_time(j, "unset", (struct wall){0});
	json_put_time(j, "time", (struct wall){INT64_C(1795626000000)});
	json_put_str(json_child(json_child(j, "meta"), "labels"), "a", "b");
	json_put_str(json_child(json_child(j, "meta"), "labels"), "c", "d");
	json_set(j, "int", json_null());
	json_t *list = json_array();
	json_set(j, "list", list);
	json_append(list, json_integer(1));
	json_append(list, json_true());
	CLEANUP_FREE char *compact = json_compact(j);
	assert_string_equal(compact,
	                    "{\"z\":\"last\",\"bad\":\"a\xef\xbf\xbd\",\"int\":null,\"yes\":true,"
	                    "\"time\":\"2026-11-25T17:00:00Z\",\"meta\":{\"labels\":{\"a\":\"b\",\"c\":\"d\"}},"
	                    "\"list\":[1,true]}");
	CLEANUP_FREE char *canonical = json_canonical(j);
	assert_string_equal(canonical, "{\"bad\":\"a\xef\xbf\xbd\",\"int\":null,"
	                               "\"list\":[1,true],\"meta\":{\"labels\":{\"a\":\"b\",\"c\":\"d\"}},"
	                               "\"time\":\"2026-11-25T17:00:00Z\",\"yes\":true,\"z\":\"last\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_is_strict),
		cmocka_unit_test(nul_is_refused_where_it_is_read),
		cmocka_unit_test(parse_error_shows_place_but_not_text),
		cmocka_unit_test(path),
		cmocka_unit_test(optional_members),
		cmocka_unit_test(building),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
