#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/mem.h"

#define YEAR_9999_END INT64_C(253402300799999)
#define YEAR_0000_START INT64_C(-62167219200000)

static void parses(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:01Z", 1000},
		{"1969-12-31T23:59:59Z", -1000},
		{"1969-12-31T23:59:59.999Z", -1},
		{"2026-11-25T17:00:00Z", 1795626000000},
		{"2026-11-25t17:00:00z", 1795626000000},
		{"2026-11-25T17:00:00.123456Z", 1795626000123},
		{"2026-11-25T17:00:00.1Z", 1795626000100},
		{"2026-11-25T17:00:00.999999999999Z", 1795626000999},
		{"2026-11-25T18:30:00+01:30", 1795626000000},
		{"2026-11-25T11:30:00.5-05:30", 1795626000500},
		{"2026-11-26T16:59:00+23:59", 1795626000000},
		{"2026-11-25T17:00:00-00:00", 1795626000000},
		{"2024-02-29T00:00:00Z", 1709164800000},
		{"2000-02-29T12:00:00Z", 951825600000},
		{"1900-03-01T00:00:00Z", -2203891200000},
		{"2038-01-19T03:14:08Z", 2147483648000},
		{"0000-01-01T00:00:00Z", YEAR_0000_START},
		{"9999-12-31T23:59:59.999Z", YEAR_9999_END},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct wall t = {-7};
		if (wall_parse(slice_from(cases[i].text), &t, &err) < 0 || t.ms != cases[i].ms)
			fail_msg("%s: got %lld, %s", cases[i].text, (long long)t.ms, err.message);
	}
}

static void refuses(void **state)
{
	static const char *const cases[] = {
		"",
		"2026-11-25",
		"2026-11-25T17:00:00",
		"2026-11-25 17:00:00Z",
		"2026-11-25T17:00Z",
		"2026-11-25T17:00:00 Z",
		"2026-11-25T17:00:00ZZ",
		" 2026-11-25T17:00:00Z",
		"2026-1-25T17:00:00Z",
		"26-11-25T17:00:00Z",
		"12026-11-25T17:00:00Z",
		"+026-11-25T17:00:00Z",
		"2026-00-25T17:00:00Z",
		"2026-13-25T17:00:00Z",
		"2026-11-00T17:00:00Z",
		"2026-11-31T17:00:00Z",
		"2026-02-29T17:00:00Z",
		"1900-02-29T17:00:00Z",
		"2026-11-25T24:00:00Z",
		"2026-11-25T17:60:00Z",
		"2026-11-25T17:00:60Z",
		"2026-11-25T17:00:00.Z",
		"2026-11-25T17:00:00,5Z",
		"2026-11-25T17:00:00.5",
		"2026-11-25T17:00:00+1:00",
		"2026-11-25T17:00:00+0100",
		"2026-11-25T17:00:00+24:00",
		"2026-11-25T17:00:00+01:60",
		"2026-11-25T17:00:00+01:00Z",
		"2026-11-25T17:00:00+",
		"2026/11/25T17:00:00Z",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct wall t;
		if (wall_parse(slice_from(cases[i]), &t, &err) != -1 || err.code != ERR_INVALID)
			fail_msg("'%s' was accepted", cases[i]);
	}
	struct err err = ERR_INIT;
	struct wall t;
	assert_int_equal(wall_parse((struct slice){NULL, 0}, &t, &err), -1);
	assert_int_equal(wall_parse(SLICE_LIT("now"), &t, &err), -1);
	assert_string_equal(err.message, "not an RFC 3339 time: 'now'");
}

static void formats(void **state)
{
	static const struct {
		int64_t ms;
		const char *text, *micro;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		{1795626000123, "2026-11-25T17:00:00Z", "2026-11-25T17:00:00.123000Z"},
		{-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999000Z"},
		{-86400000, "1969-12-31T00:00:00Z", "1969-12-31T00:00:00.000000Z"},
		{951825600000, "2000-02-29T12:00:00Z", "2000-02-29T12:00:00.000000Z"},
		{YEAR_9999_END, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999000Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999000Z"},
		{YEAR_0000_START, "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"},
		{INT64_MIN, "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[WALL_RFC3339_SIZE];
		wall_format((struct wall){cases[i].ms}, buf);
		assert_string_equal(buf, cases[i].text);
		wall_format_micro((struct wall){cases[i].ms}, buf);
		assert_string_equal(buf, cases[i].micro);
	}
}

/* Every day of 1200 years, against the C library. */
static void agrees_with_gmtime(void **state)
{
	(void)state;
	for (int64_t day = -400 * 365; day < 800 * 365; day++) {
		time_t s = (time_t)(day * 86400 + (day & 0xffff));
		char got[WALL_RFC3339_SIZE], want[WALL_RFC3339_SIZE];
		struct tm tm;
		struct wall back;
		struct err err = ERR_INIT;
		assert_non_null(gmtime_r(&s, &tm));
		assert_true(strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
		wall_format((struct wall){s * MS_PER_S}, got);
		if (strcmp(got, want) != 0)
			fail_msg("%s, not %s", got, want);
		if (wall_parse(slice_from(got), &back, &err) < 0 || back.ms != s * MS_PER_S)
			fail_msg("%s comes back as %lld", got, (long long)back.ms);
	}
}

static void durations(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ms"},
		{999, "999ms"},
		{1000, "1s"},
		{1999, "1s"},
		{45000, "45s"},
		{59999, "59s"},
		{60000, "1m"},
		{180000, "3m"},
		{90500, "1m30s"},
		{3600000, "1h"},
		{3900000, "1h5m"},
		{3605000, "1h"},
		{86399999, "23h59m"},
		{86400000, "1d"},
		{187200000, "2d4h"},
		{86460000, "1d"},
		{-45000, "-45s"},
		{-5, "-5ms"},
		{INT64_MAX, "106751991167d7h"},
		{INT64_MIN, "-106751991167d7h"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[DURATION_TEXT_SIZE];
		duration_format(cases[i].ms, buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void clocks_run(void **state)
{
	(void)state;
	struct mono m = mono_now();
	struct wall w = wall_now();
	assert_true(wall_is_set(w));
	assert_true(llabs(w.ms / MS_PER_S - (int64_t)time(NULL)) <= 1);
	assert_true(mono_now().ms >= m.ms);
}

static void wall_arithmetic(void **state)
{
	(void)state;
	assert_int_equal(wall_add((struct wall){1500}, -500).ms, 1000);
	assert_int_equal(wall_max((struct wall){1}, (struct wall){2}).ms, 2);
	assert_int_equal(wall_floor_s((struct wall){1999}).ms, 1000);
	assert_false(wall_is_set((struct wall){0}));
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),          cmocka_unit_test(refuses),
		cmocka_unit_test(formats),         cmocka_unit_test(agrees_with_gmtime),
		cmocka_unit_test(durations),       cmocka_unit_test(clocks_run),
		cmocka_unit_test(wall_arithmetic), cmocka_unit_test(ages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
