#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/yaml.h"

struct yaml_case {
	const char *yaml, *json;
};

static void check(const char *yaml, const char *json)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *j = yaml_parse(slice_from(yaml), &err);
	assert_string_equal(err.message, "");
	CLEANUP_FREE char *text = json_compact(j);
	assert_string_equal(text, json);
}

static void check_all(const struct yaml_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(cases[i].yaml, cases[i].json);
}

static void refuse(const char *yaml, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;
	assert_null(yaml_parse(slice_from(yaml), &err));
	assert_string_equal(err.message, message);
	assert_int_equal(err.code, code);
}

/* Compared with sigs.k8s.io/yaml 1.6.0. */
static void plain_scalars(void **state)
{
	(void)state;
	static const struct yaml_case cases[] = {
		{"", "null"},
		{"# nothing", "null"},
		{"~", "null"},
		{"Null", "null"},
		{"nULL", "\"nULL\""},
		{"y", "true"},
		{"Yes", "true"},
		{"yES", "\"yES\""},
		{"on", "true"},
		{"TRUE", "true"},
		{"n", "false"},
		{"Off", "false"},
		{"no", "false"},
		{"False", "false"},
		{"0", "0"},
		{"-0", "0"},
		{"+12", "12"},
		{"010", "8"},
		{"0o17", "15"},
		{"08", "8"},
		{"0x1F", "31"},
		{"-0x10", "-16"},
		{"0x", "\"0x\""},
		{"0xg", "\"0xg\""},
		{"0b101", "5"},
		{"0b12", "\"0b12\""},
		{"1_000", "1000"},
		{"_1", "\"_1\""},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"1.5", "1.5"},
		{"-1.5e-3", "-0.0015"},
		{".5", "0.5"},
		{"1.", "1"},
		{"3.0", "3"},
		{"1e3", "1000"},
		{"1e22", "1e22"},
		{"1e999", "\"1e999\""},
		{"1e", "\"1e\""},
		{".", "\".\""},
		{"+", "\"+\""},
		{"1.2.3", "\"1.2.3\""},
		{"500m", "\"500m\""},
		{"2Ti", "\"2Ti\""},
		{"12:30:45", "\"12:30:45\""},
		{"2001-12-14", "\"2001-12-14\""},
		{"2001-12-14T21:59:43.10Z", "\"2001-12-14T21:59:43.10Z\""},
		{"nan", "\"nan\""},
		{"1111111111222222222233333333334444444444555555555566666666667777.5x",
	     "\"1111111111222222222233333333334444444444555555555566666666667777.5x\""},
	};
	check_all(cases, ARRAY_LEN(cases));
}

static void quotes_and_tags(void **state)
{
	(void)state;
	static const struct yaml_case cases[] = {
		{"'1'", "\"1\""},
		{"\"yes\"", "\"yes\""},
		{"''", "\"\""},
		{"'it''s'", "\"it's\""},
		{"\"\\x41\\u00e9\\U0001F600\"", "\"Aé😀\""},
		{"|\n  a\n  b\n", "\"a\\nb\\n\""},
		{">-\n  a\n  b\n", "\"a b\""},
		{"|\n  1\n", "\"1\\n\""},
		{"!!str 1", "\"1\""},
		{"! 1", "\"1\""},
		{"!!int \"1\"", "1"},
		{"!!float 1", "1"},
		{"!!bool 'yes'", "true"},
		{"!!null ''", "null"},
		{"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
	};
	check_all(cases, ARRAY_LEN(cases));
	refuse("!!int x", ERR_INVALID, "line 1, column 1: not a value for the tag !!int");
	refuse("!!binary aGk=", ERR_INVALID, "line 1, column 1: not a value for the tag !!binary");
	refuse("a: !foo 1", ERR_INVALID, "line 1, column 4: unknown tag '!foo'");
	refuse("a: !!seq {}", ERR_INVALID, "line 1, column 4: unknown tag 'tag:yaml.org,2002:seq'");
}

static void collections(void **state)
{
	(void)state;
	check("spec:\n  pools:\n  - {type: a, priority: 1}\n  - type: b\n    tags: [x, 'y', 1]\n  empty: {}\n  "
	      "none:\n",
	      "{\"spec\":{\"pools\":[{\"type\":\"a\",\"priority\":1},{\"type\":\"b\",\"tags\":[\"x\",\"y\",1]}],"
	      "\"empty\":{},\"none\":null}}");
	check("{\"a\": [1, 2.5, \"x\", null, true]}", "{\"a\":[1,2.5,\"x\",null,true]}");
	check("? a\n? b\n: c", "{\"a\":null,\"b\":\"c\"}");
	check("{0x10: a, true: b, '7': c, no: d}", "{\"16\":\"a\",\"true\":\"b\",\"7\":\"c\",\"false\":\"d\"}");
	refuse("{~: a}", ERR_INVALID, "line 1, column 2: a key must be a string: quote it");
	refuse("{1.5: a}", ERR_INVALID, "line 1, column 2: a key must be a string: quote it");
	refuse("? [1]\n: a", ERR_INVALID, "line 1, column 3: a key must be a string: quote it");
	refuse("a: 1\nb:\n  c: 1\n  c: 2\n", ERR_INVALID, "line 4, column 3: duplicate key 'c'");
	refuse("{1: a, '1': b}", ERR_INVALID, "line 1, column 8: duplicate key '1'");
}

static void anchors(void **state)
{
	(void)state;
	check("a: &x {p: [1]}\nb: *x\nc: [*x, *x]",
	      "{\"a\":{\"p\":[1]},\"b\":{\"p\":[1]},\"c\":[{\"p\":[1]},{\"p\":[1]}]}");
	check("[&a 1, *a, &a 2, *a]", "[1,1,2,2]");
	check("[&a [&a 1, *a], *a]", "[[1,1],1]"); /* the name belongs to whoever took it last */
	check("[&a [&a 1, &a 2, *a], *a]", "[[1,2,2],2]");
	check("{&k a: 1, b: *k}", "{\"a\":1,\"b\":\"a\"}");
	refuse("[*a]", ERR_INVALID, "line 1, column 2: unknown anchor 'a'");
	refuse("&a [1, *a]", ERR_INVALID, "line 1, column 8: anchor 'a' contains itself");

	struct err err = ERR_INIT;
	/* A copy is a copy: changing one leaves the other alone. */
	CLEANUP_JSON json_t *j = yaml_parse(SLICE_LIT("a: &x {p: 1}\nb: *x\nc:\n  <<: *x"), &err);
	json_put_int(json_child(j, "a"), "p", 2);
	CLEANUP_FREE char *text = json_compact(j);
	assert_string_equal(text, "{\"a\":{\"p\":2},\"b\":{\"p\":1},\"c\":{\"p\":1}}");
}

static void merge_keys(void **state)
{
	(void)state;
	check("base: &b {a: 1, b: 2}\nx:\n  <<: *b\n  a: 3\nz: {a: 3, <<: *b}",
	      "{\"base\":{\"a\":1,\"b\":2},\"x\":{\"a\":3,\"b\":2},\"z\":{\"a\":3,\"b\":2}}");
	check("{<<: [{a: 1}, {a: 2, b: 3}]}", "{\"a\":1,\"b\":3}");
	check("{\"<<\": 1}", "{\"<<\":1}");
	refuse("{<<: 1}", ERR_INVALID, "line 1, column 6: '<<' needs a mapping or a list of mappings");
	refuse("{<<: [{}, 1]}", ERR_INVALID, "line 1, column 6: '<<' needs a mapping or a list of mappings");
}

static void impossible_values(void **state)
{
	(void)state;
	refuse("a: .inf", ERR_INVALID, "line 1, column 4: .inf is not a JSON number");
	refuse("a: -.Inf", ERR_INVALID, "line 1, column 4: -.Inf is not a JSON number");
	refuse("a: .NaN", ERR_INVALID, "line 1, column 4: .NaN is not a JSON number");
	refuse("\n- 9223372036854775808", ERR_INVALID,
	       "line 2, column 3: the number 9223372036854775808 is out of range");
	refuse("a: \"\\0\"", ERR_INVALID, "line 1, column 4: a string holds a NUL character");
}

static void broken_text(void **state)
{
	(void)state;
	refuse("a: [1, 2\nb: c", ERR_INVALID,
	       "line 2, column 2: did not find expected ',' or ']', while parsing a flow sequence");
	refuse(
		"a:\n\t- b", ERR_INVALID,
		"line 2, column 1: found character that cannot start any token, while scanning for the next token");
	refuse("a: b: c", ERR_INVALID, "line 1, column 5: mapping values are not allowed in this context");
	refuse("ab\xff", ERR_INVALID, "byte 2: invalid leading UTF-8 octet");
	refuse("\"\\ud800\"", ERR_INVALID,
	       "line 1, column 4: found invalid Unicode character escape code, while parsing a quoted scalar");
}

static void laughs(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 16);
	buf_add_str(&b, "- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++) {
		buf_addf(&b, "- &a%d [", i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "%s*a%d", k ? ", " : "", i - 1);
		buf_add_str(&b, "]\n");
	}
	struct err err = ERR_INIT;
	assert_null(yaml_parse(buf_slice(&b), &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.message, "too many values, aliases expanded"));
}

static void long_strings_many_times(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 20);
	buf_add_str(&b, "- &a ");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&b, "0123456789x");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&b, "\n- *a");
	struct err err = ERR_INIT;
	assert_null(yaml_parse(buf_slice(&b), &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.message, "too large, aliases expanded"));
}

static void depth(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 20);
	struct err err = ERR_INIT;
	for (int levels = 100; levels <= 101; levels++) {
		buf_clear(&b);
		for (int i = 0; i < levels; i++)
			buf_add_char(&b, '[');
		for (int i = 0; i < levels; i++)
			buf_add_char(&b, ']');
		CLEANUP_JSON json_t *j = yaml_parse(buf_slice(&b), &err);
		assert_int_equal(j == NULL, levels == 101);
	}
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.message, "line 1, column 101: too deeply nested");

	/* 60 levels around an alias of 60 levels. */
	buf_clear(&b);
	buf_add_str(&b, "- &a ");
	for (int i = 0; i < 60; i++)
		buf_add_char(&b, '[');
	for (int i = 0; i < 60; i++)
		buf_add_char(&b, ']');
	buf_add_str(&b, "\n- ");
	for (int i = 0; i < 60; i++)
		buf_add_char(&b, '[');
	buf_add_str(&b, "*a");
	for (int i = 0; i < 60; i++)
		buf_add_char(&b, ']');
	assert_null(yaml_parse(buf_slice(&b), &err));
	assert_string_equal(err.message, "line 2, column 63: too deeply nested");
}

static void size(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_null(yaml_parse((struct slice){"", (size_t)YAML_MAX_BYTES + 1}, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	CLEANUP_JSON json_t *j = yaml_parse((struct slice){NULL, 0}, &err);
	assert_true(json_is_null(j));
}

static void only_the_first_document_counts(void **state)
{
	(void)state;
	check("a\n---\nb\n", "\"a\"");
	check("---\n# empty\n---\nb\n", "null");
	check("# nothing\n", "null");
}

/* The text, and that reading it gives the value again. */
static void check_written(const char *json, const char *expected)
{
	CLEANUP_JSON json_t *j = json_loads(json, JSON_DECODE_ANY, NULL);
	CLEANUP_BUF struct buf text;
	struct err err = ERR_INIT;

	assert_non_null(j);
	buf_init(&text, 1u << 20);
	yaml_write(j, &text);
	assert_false(buf_failed(&text));
	if (expected)
		assert_string_equal(text.ptr, expected);
	CLEANUP_JSON json_t *again = yaml_parse(buf_slice(&text), &err);
	if (!json_equal(j, again))
		print_error("%s\n", text.ptr);
	assert_true(json_equal(j, again));
}

static void written(void **state)
{
	(void)state;
	check_written(
		"{\"b\": {\"list\": [1, {\"x\": \"y\"}, []], \"none\": {}}, \"a\": [true, null, -5, 0.5]}",
		"---\nb:\n  list:\n  - 1\n  - x: \"y\"\n  - []\n  none: {}\na:\n- true\n- null\n- -5\n- 0.5\n");
	check_written(
		"[\"plain words\", \"/opt/ml\", \"Off\", \"12\", \"1e3\", \"\", \"~\", \"-\", \"a: b\", \"a #b\"]",
		"---\n- plain words\n- /opt/ml\n- \"Off\"\n- \"12\"\n- \"1e3\"\n- \"\"\n- \"~\"\n- \"-\"\n"
		"- 'a: b'\n- 'a #b'\n");
	check_written(
		"[\"two\\nlines\\n\", \"tab\\there\", \" space \", \"quote'\\\"\", \"caf\\u00e9\", "
		"\"x\\u0085\\u2028\\u2029\\u0007\\r\\u007f\"]",
		"---\n- \"two\\nlines\\n\"\n- \"tab\\there\"\n- \" space \"\n- quote'\"\n- \"caf\xc3\xa9\"\n"
		"- \"x\\N\\L\\P\\a\\r\\x7F\"\n");
	check_written(
		"{\"no\": \"a word that nobody folds, however long the line gets because of it, and it does get long "
		"here, beyond eighty characters\"}",
		"---\n\"no\": a word that nobody folds, however long the line gets because of it, and it does get "
		"long "
		"here, beyond eighty characters\n");
}

static void check_documents(const char *yaml, const char *json)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *j = yaml_parse_all(slice_from(yaml), &err);
	assert_string_equal(err.message, "");
	CLEANUP_FREE char *text = json_compact(j);
	assert_string_equal(text, json);
}

static void documents(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	check_documents("", "[]");
	check_documents("# nothing\n", "[]");
	check_documents("a: 1\n", "[{\"a\":1}]");
	check_documents("a: 1\n---\n- 2\n---\n", "[{\"a\":1},[2],null]");
	check_documents("---\na: 1\n...\n---\nb: 2\n", "[{\"a\":1},{\"b\":2}]");
	check_documents("{\"a\": 1}", "[{\"a\":1}]");
	assert_null(yaml_parse_all(SLICE_LIT("a: &x 1\n---\nb: *x\n"), &err));
	assert_string_equal(err.message, "line 3, column 4: unknown anchor 'x'");
	assert_null(yaml_parse_all(SLICE_LIT("a: 1\n---\nb: [\n"), &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents),
		cmocka_unit_test(plain_scalars),
		cmocka_unit_test(quotes_and_tags),
		cmocka_unit_test(collections),
		cmocka_unit_test(anchors),
		cmocka_unit_test(merge_keys),
		cmocka_unit_test(impossible_values),
		cmocka_unit_test(broken_text),
		cmocka_unit_test(laughs),
		cmocka_unit_test(long_strings_many_times),
		cmocka_unit_test(depth),
		cmocka_unit_test(size),
		cmocka_unit_test(only_the_first_document_counts),
		cmocka_unit_test(written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
