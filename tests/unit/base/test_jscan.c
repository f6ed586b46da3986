/* The scanner against jansson: on real objects, on each cut at every byte, and on small nasty texts. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../fuzz/jscan_tree.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/jscan.h"
#include "base/mem.h"

#define CORPUS_DIR "tests/corpus"

/* A copy in a block of exactly its size, so that AddressSanitizer sees a read past the end. */
static char *exact_copy(struct slice s)
{
	char *copy = xmalloc(s.len);
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return copy;
}

static json_t *jansson(struct slice s, size_t flags)
{
	return json_loadb(s.ptr ? s.ptr : "", s.len, JSON_DECODE_ANY | flags, NULL);
}

/* Reading, skipping and jansson must agree about the text. Returns whether they accept it. */
static bool same_verdict(struct slice text)
{
	CLEANUP_FREE char *copy = exact_copy(text);
	struct slice s = {copy, text.len};
	struct jscan read, skip;
	json_t *want = jansson(s, 0), *unread = jansson(s, JSON_ALLOW_NUL), *got = jscan_tree(s, &read);
	bool skips = jscan_tree_skips(s, &skip);

	if (!got != !want || skips != !!unread || (want && !json_equal(got, want)))
		fail_msg("%.*s\njansson: %s, read: %s, skip: %s", SLICE_ARG(text), want ? "accepts" : "refuses",
		         read.error ? read.error : "accepts", skip.error ? skip.error : "accepts");
	if (!want)
		assert_true(read.error_offset <= text.len && skip.error_offset <= text.len);
	json_decref(got);
	json_decref(unread);
	json_decref(want);
	return got != NULL;
}

/* Read everything, keep nothing. */
static void walk(struct jscan *s)
{
	struct jscan_str str;
	bool b;

	switch (jscan_peek(s)) {
	case JSCAN_OBJECT:
		jscan_object_begin(s);
		while (jscan_object_next(s, &str) > 0)
			walk(s);
		break;
	case JSCAN_ARRAY:
		jscan_array_begin(s);
		while (jscan_array_next(s) > 0)
			walk(s);
		break;
	case JSCAN_STRING:
		jscan_string(s, &str);
		break;
	case JSCAN_BOOL:
		jscan_bool(s, &b);
		break;
	case JSCAN_NULL:
		jscan_null(s);
		break;
	case JSCAN_NUMBER:
		jscan_skip(s);
		break;
	case JSCAN_BAD:
		break;
	}
}

static void check_document(struct slice doc)
{
	assert_true(same_verdict(doc));
	for (size_t n = 0; n < doc.len; n++) {
		CLEANUP_FREE char *prefix = exact_copy((struct slice){doc.ptr, n});
		struct jscan s;
		jscan_init(&s, (struct slice){prefix, n});
		walk(&s);
		if (jscan_end(&s) == 0)
			fail_msg("read when cut at byte %zu", n);
		if (jscan_tree_skips((struct slice){prefix, n}, &s))
			fail_msg("skipped when cut at byte %zu", n);
	}
}

static void corpus_equals_jansson(void **state)
{
	(void)state;
	int documents = 0;
	DIR *dir = opendir(CORPUS_DIR);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		CLEANUP_BUF struct buf content;
		struct err err = ERR_INIT;
		char path[512];
		if (!strstr(e->d_name, ".json"))
			continue;
		str_format(path, sizeof(path), CORPUS_DIR "/%s", e->d_name);
		buf_init(&content, 1u << 20);
		assert_int_equal(file_read(path, &content, &err), 0);
		/* A .jsonl file is a watch stream: a document on each line. */
		struct slice rest = slice_trim(buf_slice(&content));
		bool lines = strstr(e->d_name, ".jsonl") != NULL;
		while (rest.len > 0) {
			struct slice doc = lines ? slice_split(rest, '\n', &rest) : rest;
			check_document(doc);
			documents++;
			if (!lines)
				break;
		}
	}
	closedir(dir);
	assert_true(documents >= 20);
}

/* A prefix of an object is never one, so that jansson need not see all cuts of the corpus: here it does. */
static void jansson_refuses_cut_documents_too(void **state)
{
	(void)state;
	static const char doc[] =
		"{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\xc3\xa9\\n\\ud83d\\ude00\"],\"b\":{}}";
	for (size_t n = 0; n < sizeof(doc) - 1; n++)
		assert_false(same_verdict((struct slice){doc, n}));
	assert_true(same_verdict(SLICE_LIT(doc)));
}

/* Values, right and wrong ones. */
static const struct slice nasty[] = {
	SLICE_LIT(""),
	SLICE_LIT(" "),
	SLICE_LIT("null"),
	SLICE_LIT("true"),
	SLICE_LIT("false"),
	SLICE_LIT("nul"),
	SLICE_LIT("nulll"),
	SLICE_LIT("True"),
	SLICE_LIT("truefalse"),
	SLICE_LIT("true1"),
	SLICE_LIT("NaN"),
	SLICE_LIT("Infinity"),
	SLICE_LIT("undefined"),
	SLICE_LIT("'a'"),
	SLICE_LIT("//\n1"),
	SLICE_LIT("/**/1"),
	SLICE_LIT("\xef\xbb\xbf[]"),
	SLICE_LIT("\0"),
	SLICE_LIT("\v1"),
	SLICE_LIT("\f1"),
	SLICE_LIT("\xc2\xa0[]"),
	SLICE_LIT(" \t\r\n1 \t\r\n"),
	/* numbers */
	SLICE_LIT("0"),
	SLICE_LIT("-0"),
	SLICE_LIT("-"),
	SLICE_LIT("--1"),
	SLICE_LIT("+1"),
	SLICE_LIT("00"),
	SLICE_LIT("01"),
	SLICE_LIT("-01"),
	SLICE_LIT("0x10"),
	SLICE_LIT("1_000"),
	SLICE_LIT("1 0"),
	SLICE_LIT("1a"),
	SLICE_LIT("1."),
	SLICE_LIT(".5"),
	SLICE_LIT("1.5"),
	SLICE_LIT("-1.5"),
	SLICE_LIT("3.0"),
	SLICE_LIT("1.e5"),
	SLICE_LIT("1.5.5"),
	SLICE_LIT("1e"),
	SLICE_LIT("1e+"),
	SLICE_LIT("1e-"),
	SLICE_LIT("1e5"),
	SLICE_LIT("1E+05"),
	SLICE_LIT("1e5e5"),
	SLICE_LIT("1e5.5"),
	SLICE_LIT("0e5"),
	SLICE_LIT("00e5"),
	SLICE_LIT("9223372036854775807"),
	SLICE_LIT("9223372036854775808"),
	SLICE_LIT("-9223372036854775808"),
	SLICE_LIT("-9223372036854775809"),
	SLICE_LIT("9999999999999999999"),
	SLICE_LIT("1000000000000000000"),
	SLICE_LIT("10000000000000000000"),
	SLICE_LIT("18446744073709551616"),
	SLICE_LIT("9223372036854775808.0"),
	SLICE_LIT("9223372036854775808e0"),
	SLICE_LIT("1e308"),
	SLICE_LIT("1e309"),
	SLICE_LIT("-1e309"),
	SLICE_LIT("1e400"),
	SLICE_LIT("-1e400"),
	SLICE_LIT("1e-400"),
	SLICE_LIT("5e-324"),
	SLICE_LIT("2.2250738585072011e-308"),
	SLICE_LIT("1e99999999999999999999"),
	SLICE_LIT("1e-99999999999999999999"),
	SLICE_LIT("0e99999999999999999999"),
	SLICE_LIT("0.0e99999999999999999999"),
	SLICE_LIT("-0.000e400"),
	SLICE_LIT("0.0001e312"),
	SLICE_LIT("0.0001e313"),
	SLICE_LIT("10000e304"),
	SLICE_LIT("10000e305"),
	SLICE_LIT("1.7976931348623157e308"),
	SLICE_LIT("1.7976931348623158e308"),
	SLICE_LIT("1.7976931348623159e308"),
	SLICE_LIT("17976931348623158079e289"),
	SLICE_LIT("17976931348623158080e289"),
	SLICE_LIT("1.8e308"),
	SLICE_LIT("0.17976931348623158e309"),
	SLICE_LIT("0.17976931348623159e309"),
	/* strings */
	SLICE_LIT("\"\""),
	SLICE_LIT("\""),
	SLICE_LIT("\"\\\""),
	SLICE_LIT("\"\\\\\""),
	SLICE_LIT("\"\\"),
	SLICE_LIT("\"\\\\\\\""),
	SLICE_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	SLICE_LIT("\"\\a\""),
	SLICE_LIT("\"\\'\""),
	SLICE_LIT("\"\\x41\""),
	SLICE_LIT("\"\\\0\""),
	SLICE_LIT("\"\\U0041\""),
	SLICE_LIT("\"\n\""),
	SLICE_LIT("\"\t\""),
	SLICE_LIT("\"\0\""),
	SLICE_LIT("\"\x1f\""),
	SLICE_LIT("\"\x7f\""),
	SLICE_LIT("\"\\u\""),
	SLICE_LIT("\"\\u0\""),
	SLICE_LIT("\"\\u004\""),
	SLICE_LIT("\"\\u0041\""),
	SLICE_LIT("\"\\u00e9\\u00E9\""),
	SLICE_LIT("\"\\u004g\""),
	SLICE_LIT("\"\\u-041\""),
	SLICE_LIT("\"\\u 041\""),
	SLICE_LIT("\"\\u0000\""),
	SLICE_LIT("\"a\\u0000b\""),
	SLICE_LIT("\"\\u0001\""),
	SLICE_LIT("\"\\u007f\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\uffff\""),
	SLICE_LIT("\"\\ud800\\udc00\""),
	SLICE_LIT("\"\\uDBFF\\uDFFF\""),
	SLICE_LIT("\"\\ud83d\\ude00\""),
	SLICE_LIT("\"\\ud83d\""),
	SLICE_LIT("\"\\ud83dx\""),
	SLICE_LIT("\"\\ud83d\\n\""),
	SLICE_LIT("\"\\ud83d\\u\""),
	SLICE_LIT("\"\\ud83d\\u0041\""),
	SLICE_LIT("\"\\ud83d\\ud83d\""),
	SLICE_LIT("\"\\ude00\""),
	SLICE_LIT("\"\\ude00\\ud83d\""),
	/* UTF-8 */
	SLICE_LIT("\"\xc3\xa9\""),
	SLICE_LIT("\"\xe2\x82\xac\""),
	SLICE_LIT("\"\xf0\x9f\x98\x80\""),
	SLICE_LIT("\"\x80\""),
	SLICE_LIT("\"\xbf\""),
	SLICE_LIT("\"\xc0\x80\""),
	SLICE_LIT("\"\xc1\xbf\""),
	SLICE_LIT("\"\xc2\x80\""),
	SLICE_LIT("\"\xc2\""),
	SLICE_LIT("\"\xc2\xc2\""),
	SLICE_LIT("\"\xe0\x80\x80\""),
	SLICE_LIT("\"\xe0\x9f\xbf\""),
	SLICE_LIT("\"\xe0\xa0\x80\""),
	SLICE_LIT("\"\xed\x9f\xbf\""),
	SLICE_LIT("\"\xed\xa0\x80\""),
	SLICE_LIT("\"\xed\xbf\xbf\""),
	SLICE_LIT("\"\xee\x80\x80\""),
	SLICE_LIT("\"\xef\xbf\xbe\""),
	SLICE_LIT("\"\xef\xbf\xbf\""),
	SLICE_LIT("\"\xe2\x82\""),
	SLICE_LIT("\"\xe2\""),
	SLICE_LIT("\"\xf0\x80\x80\x80\""),
	SLICE_LIT("\"\xf0\x8f\xbf\xbf\""),
	SLICE_LIT("\"\xf0\x90\x80\x80\""),
	SLICE_LIT("\"\xf4\x8f\xbf\xbf\""),
	SLICE_LIT("\"\xf4\x90\x80\x80\""),
	SLICE_LIT("\"\xf5\x80\x80\x80\""),
	SLICE_LIT("\"\xff\""),
	SLICE_LIT("\"\xfe\""),
	SLICE_LIT("\"\xf0\x9f\x98\""),
	SLICE_LIT("\"\xf0\x9f\x98"),
	/* containers */
	SLICE_LIT("[]"),
	SLICE_LIT("{}"),
	SLICE_LIT("[ ]"),
	SLICE_LIT("{ }"),
	SLICE_LIT("["),
	SLICE_LIT("{"),
	SLICE_LIT("]"),
	SLICE_LIT("}"),
	SLICE_LIT("[}"),
	SLICE_LIT("{]"),
	SLICE_LIT("[[]"),
	SLICE_LIT("[]]"),
	SLICE_LIT("[,]"),
	SLICE_LIT("[1,]"),
	SLICE_LIT("[,1]"),
	SLICE_LIT("[1,,2]"),
	SLICE_LIT("[1 2]"),
	SLICE_LIT("[1:2]"),
	SLICE_LIT("[1;2]"),
	SLICE_LIT("[ 1 , [ 2 ] , { } ]"),
	SLICE_LIT("{,}"),
	SLICE_LIT("{1:2}"),
	SLICE_LIT("{a:1}"),
	SLICE_LIT("{\"a\"}"),
	SLICE_LIT("{\"a\":}"),
	SLICE_LIT("{\"a\",1}"),
	SLICE_LIT("{\"a\" 1}"),
	SLICE_LIT("{\"a\":1,}"),
	SLICE_LIT("{,\"a\":1}"),
	SLICE_LIT("{\"a\":1 \"b\":2}"),
	SLICE_LIT("{\"a\":1,,\"b\":2}"),
	SLICE_LIT("{\"a\"::1}"),
	SLICE_LIT("{\"a\":1]"),
	SLICE_LIT("{\"a\":[1}"),
	SLICE_LIT("{ \"a\" : 1 , \"b\" : [ ] }"),
	SLICE_LIT("{\"a\":1,\"a\":2}"),
	SLICE_LIT("{\"\\u0061\":1,\"a\":2}"),
	SLICE_LIT("{\"\":1}"),
	SLICE_LIT("{\"\\u0000\":1}"),
	SLICE_LIT("{\"a\":[\"\\u0000\"]}"),
	SLICE_LIT("{\"a\":{\"b\\u0000\":1}}"),
	SLICE_LIT("{\"a\\\"b\":{\"c\\\\\":[]}}"),
	SLICE_LIT("{} {}"),
	SLICE_LIT("[]x"),
	SLICE_LIT("[]\0"),
};

static void nasty_texts_get_the_same_verdict(void **state)
{
	static const struct {
		const char *before, *after;
	} around[] = {{"", ""}, {"[", "]"}, {"{\"k\":", "}"}, {"[{\"k\":[1,", "]}]"}, {"[0,", ",0]"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(nasty); i++)
		for (size_t k = 0; k < ARRAY_LEN(around); k++) {
			CLEANUP_BUF struct buf text;
			buf_init(&text, 4096);
			buf_add_str(&text, around[k].before);
			buf_add_slice(&text, nasty[i]);
			buf_add_str(&text, around[k].after);
			same_verdict(buf_slice(&text));
		}
}

/* Strings are scanned eight bytes at a time: every byte at every place, and in the tail. */
static void every_byte_at_every_place_of_a_string(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 18; len++)
		for (size_t at = 1; at <= len; at++)
			for (int byte = 0; byte < 256; byte++) {
				char text[32];
				memset(text, 'x', sizeof(text));
				text[0] = text[len + 1] = '"';
				text[at] = (char)byte;
				same_verdict((struct slice){text, len + 2});
			}
}

/* The largest number that rounds to a double, and the smallest that does not: 309 digits each. */
static void reals_overflow_exactly_where_strtod_says(void **state)
{
	static const char largest[] =
		"179769313486231580793728971405303415079934132710037826936173778980444968292764"
		"750946649017977587207096330286416692887910946555547851940402630657488671505820"
		"681908902000708383676273854845817711531764475730270069855571366959622842914819"
		"860834936475292719074168444365510704342711559699508093042880177904174497791";
	static const char *const tails[] = {".0", ".9999", "e0", "0e-1", "00000.0e-5"};
	char text[400];

	(void)state;
	for (int last = '0'; last <= '9'; last++)
		for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
			str_format(text, sizeof(text), "[-%.308s%c%s]", largest, last, tails[i]);
			assert_int_equal(same_verdict(slice_from(text)), last <= '1');
		}
	for (size_t point = 0; point <= 309; point++) {
		str_format(text, sizeof(text), "%.*s.%se%d", point ? (int)point : 1, point ? largest : "0",
		           largest + point, 309 - (int)point);
		/* Behind the last digit no point may stand. */
		assert_int_equal(same_verdict(slice_from(text)), point < 309);
	}
}

static void nested(struct buf *b, unsigned depth, const char *open, const char *close)
{
	buf_clear(b);
	for (unsigned i = 0; i < depth; i++)
		buf_add_str(b, open);
	buf_add_str(b, "1");
	for (unsigned i = 0; i < depth; i++)
		buf_add_str(b, close);
}

static void nul_after_a_number_is_refused(void **state)
{
	static const struct slice texts[] = {SLICE_LIT("[1\0]"), SLICE_LIT("[true\0,2]"),
	                                     SLICE_LIT("{\"a\":-1.5\0}")};
	struct jscan s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *v = jansson(texts[i], 0);
		assert_non_null(v); /* a documented difference */
		json_decref(v);
		assert_false(jscan_tree_skips(texts[i], &s));
		assert_null(jscan_tree(texts[i], &s));
	}
}

static void depth_is_limited(void **state)
{
	static const char *const pairs[][2] = {{"[", "]"}, {"{\"a\":", "}"}, {"[ {\"a\": ", "}]"}};
	CLEANUP_BUF struct buf b;
	struct jscan s;

	(void)state;
	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		unsigned each = pairs[i][0][1] == ' ' ? 2 : 1;
		nested(&b, JSCAN_MAX_DEPTH / each, pairs[i][0], pairs[i][1]);
		assert_true(same_verdict(buf_slice(&b)));

		nested(&b, JSCAN_MAX_DEPTH / each + 1, pairs[i][0], pairs[i][1]);
		assert_false(jscan_tree_skips(buf_slice(&b), &s));
		assert_string_equal(s.error, "nested too deeply");
		assert_null(jscan_tree(buf_slice(&b), &s));
		assert_string_equal(s.error, "nested too deeply");
		json_t *v = jansson(buf_slice(&b), 0);
		assert_non_null(v); /* a documented difference */
		json_decref(v);
	}
	/* What is skipped inside of what has been opened counts together. */
	nested(&b, JSCAN_MAX_DEPTH + 1, "[", "]");
	jscan_init(&s, buf_slice(&b));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(jscan_array_begin(&s), 0);
		assert_int_equal(jscan_array_next(&s), 1);
	}
	assert_int_equal(jscan_skip(&s), -1);
}

static void reads_values(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct jscan s;
	struct jscan_str key, str;
	struct slice raw;
	int64_t i64;
	bool b;

	(void)state;
	arena_init(&a);
	jscan_init(&s,
	           SLICE_LIT(" { \"i\" : -9223372036854775808, \"b\":true,\"n\":null , \"s\":\"a\\n\\u00e9\" ,"
	                     "\"skip\":[1,{\"x\":[]}], \"raw\" : { \"y\":2 } ,\"list\":[ [ ] ,7]} "));
	assert_int_equal(jscan_peek(&s), JSCAN_OBJECT);
	assert_int_equal(jscan_object_begin(&s), 0);
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_true(jscan_str_eq(key, "i"));
	assert_int_equal(jscan_peek(&s), JSCAN_NUMBER);
	assert_int_equal(jscan_i64(&s, &i64), 0);
	assert_true(i64 == INT64_MIN);
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_peek(&s), JSCAN_BOOL);
	assert_int_equal(jscan_bool(&s, &b), 0);
	assert_true(b);
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_peek(&s), JSCAN_NULL);
	assert_int_equal(jscan_null(&s), 0);
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_peek(&s), JSCAN_STRING);
	assert_int_equal(jscan_string(&s, &str), 0);
	assert_true(str.escaped);
	assert_string_equal(jscan_str_dup(str, &a), "a\n\xc3\xa9");
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_skip(&s), 0);
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_raw(&s, &raw), 0);
	assert_true(slice_eq_str(raw, "{ \"y\":2 }"));
	assert_int_equal(jscan_object_next(&s, &key), 1);
	assert_int_equal(jscan_peek(&s), JSCAN_ARRAY);
	assert_int_equal(jscan_array_begin(&s), 0);
	assert_int_equal(jscan_array_next(&s), 1);
	assert_int_equal(jscan_array_begin(&s), 0);
	assert_int_equal(jscan_array_next(&s), 0);
	assert_int_equal(jscan_array_next(&s), 1);
	assert_int_equal(jscan_i64(&s, &i64), 0);
	assert_int_equal(i64, 7);
	assert_int_equal(jscan_array_next(&s), 0);
	assert_int_equal(jscan_object_next(&s, &key), 0);
	assert_int_equal(jscan_end(&s), 0);
	assert_false(jscan_failed(&s));
}

static void errors_stay(void **state)
{
	struct jscan s;
	struct jscan_str str;
	struct slice raw;
	struct err err = ERR_INIT;
	int64_t i64;
	bool b;

	(void)state;
	jscan_init(&s, SLICE_LIT("[1.5, 2]"));
	assert_int_equal(jscan_array_begin(&s), 0);
	assert_int_equal(jscan_array_next(&s), 1);
	assert_int_equal(jscan_i64(&s, &i64), -1);
	assert_true(jscan_failed(&s));
	assert_int_equal(jscan_array_next(&s), -1);
	assert_int_equal(jscan_object_next(&s, &str), -1);
	assert_int_equal(jscan_array_begin(&s), -1);
	assert_int_equal(jscan_object_begin(&s), -1);
	assert_int_equal(jscan_string(&s, &str), -1);
	assert_int_equal(jscan_bool(&s, &b), -1);
	assert_int_equal(jscan_null(&s), -1);
	assert_int_equal(jscan_skip(&s), -1);
	assert_int_equal(jscan_raw(&s, &raw), -1);
	assert_int_equal(jscan_peek(&s), JSCAN_BAD);
	assert_int_equal(jscan_end(&s), -1);
	assert_int_equal(jscan_err(&s, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.message, "not valid JSON: not an integer (byte 1)");

	static const struct {
		const char *text, *error;
		size_t offset;
	} cases[] = {
		{"", "unexpected end", 0},
		{"[1,2", "unexpected end", 4},
		{"{\"a\":x}", "a value is missing", 5},
		{"{\"a\":01}", "a number with a leading zero", 5},
		{"{\"a\" 1}", "':' is missing", 5},
		{"{\"a\":1 2}", "',' or the end of the container is missing", 7},
		{"[1]2", "something follows the end", 3},
		{"[\"a\\qb\"]", "an invalid escape", 3},
		{"[\"\xff\"]", "invalid UTF-8", 2},
		{"[1e400]", "a real beyond the range of a double", 1},
		{"[9223372036854775808]", "an integer beyond 64 bits", 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct jscan skip, read;
		assert_false(jscan_tree_skips(slice_from(cases[i].text), &skip));
		assert_string_equal(skip.error, cases[i].error);
		assert_int_equal(skip.error_offset, cases[i].offset);
		assert_null(jscan_tree(slice_from(cases[i].text), &read));
		assert_string_equal(read.error, cases[i].error);
		assert_int_equal(read.error_offset, cases[i].offset);
	}
}

static void wrong_kinds_are_errors(void **state)
{
	static const char *const values[] = {"null", "true", "1", "\"a\"", "{}", "[]"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct jscan s;
		struct jscan_str str;
		int64_t i64;
		bool b;
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_null(&s), i == 0 ? 0 : -1);
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_bool(&s, &b), i == 1 ? 0 : -1);
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_i64(&s, &i64), i == 2 ? 0 : -1);
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_string(&s, &str), i == 3 ? 0 : -1);
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_object_begin(&s), i == 4 ? 0 : -1);
		jscan_init(&s, slice_from(values[i]));
		assert_int_equal(jscan_array_begin(&s), i == 5 ? 0 : -1);
	}
	struct jscan s;
	jscan_init(&s, (struct slice){NULL, 0});
	assert_int_equal(jscan_skip(&s), -1);
}

static void strings_compare_decoded(void **state)
{
	(void)state;
	struct jscan_str plain = {SLICE_LIT("abc"), false};
	struct jscan_str escaped = {SLICE_LIT("a\\u0062c\\ud83d\\ude00"), true};
	assert_true(jscan_str_eq(plain, "abc"));
	assert_false(jscan_str_eq(plain, "ab"));
	assert_false(jscan_str_eq(plain, "abcd"));
	assert_true(jscan_str_eq(escaped, "abc\xf0\x9f\x98\x80"));
	assert_false(jscan_str_eq(escaped, "abc\xf0\x9f\x98"));
	assert_false(jscan_str_eq(escaped, "abc\xf0\x9f\x98\x80!"));
	assert_false(jscan_str_eq(escaped, "abc"));
	assert_false(jscan_str_eq(escaped, ""));
	assert_true(jscan_str_eq((struct jscan_str){SLICE_LIT(""), false}, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corpus_equals_jansson),
		cmocka_unit_test(jansson_refuses_cut_documents_too),
		cmocka_unit_test(nasty_texts_get_the_same_verdict),
		cmocka_unit_test(every_byte_at_every_place_of_a_string),
		cmocka_unit_test(reals_overflow_exactly_where_strtod_says),
		cmocka_unit_test(nul_after_a_number_is_refused),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(reads_values),
		cmocka_unit_test(errors_stay),
		cmocka_unit_test(wrong_kinds_are_errors),
		cmocka_unit_test(strings_compare_decoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
