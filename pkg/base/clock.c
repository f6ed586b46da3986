#include "base/clock.h"
#include <inttypes.h>
#include "base/mem.h"

#define DAY_S 86400
#define YEAR_0000_DAYS (-719528) /* of 0000-01-01, counted from 1970-01-01 */
#define YEAR_9999_DAYS 2932896   /* of 9999-12-31 */

struct date {
	int year, month, day; /* month and day from 1 */
};

/* The Gregorian calendar. A year counts from March here, so that the leap day is its last; an era is the 400
 * years after which all repeats (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
#define ERA_DAYS 146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t days_from_date(struct date d)
{
	int year = d.month <= 2 ? d.year - 1 : d.year;
	int era = (year >= 0 ? year : year - 399) / 400;
	int year_of_era = year - era * 400;
	int day_of_year = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return (int64_t)era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

static struct date date_from_days(int64_t days)
{
	days += EPOCH_DAYS;
	int era = (int)((days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS);
	int day_of_era = (int)(days - (int64_t)era * ERA_DAYS);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month = (5 * day_of_year + 2) / 153;
	struct date d = {year_of_era + era * 400, month < 10 ? month + 3 : month - 9,
	                 day_of_year - (153 * month + 2) / 5 + 1};
	d.year += d.month <= 2;
	return d;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leap);
}

static void format(struct wall t, bool micro, char *buf)
{
	int64_t ms = t.ms % (DAY_S * MS_PER_S), days = t.ms / (DAY_S * MS_PER_S);
	if (ms < 0) {
		ms += DAY_S * MS_PER_S;
		days--;
	}
	/* Four digits is all that RFC 3339 has for a year. */
	if (days < YEAR_0000_DAYS) {
		days = YEAR_0000_DAYS;
		ms = 0;
	} else if (days > YEAR_9999_DAYS) {
		days = YEAR_9999_DAYS;
		ms = DAY_S * MS_PER_S - 1;
	}
	struct date d = date_from_days(days);
	int s = (int)(ms / MS_PER_S);
	char fraction[8] = "";
	if (micro)
		str_format(fraction, sizeof(fraction), ".%03d000", (int)(ms % MS_PER_S));
	str_format(buf, WALL_RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", d.year, d.month, d.day, s / 3600,
	           s / 60 % 60, s % 60, fraction);
}

void wall_format(struct wall t, char buf[static WALL_RFC3339_SIZE])
{
	format(t, false, buf);
}

void wall_format_micro(struct wall t, char buf[static WALL_RFC3339_SIZE])
{
	format(t, true, buf);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Take the text of `pattern` off the front of s. Each run of '0' stands for a number of that many digits,
 * which goes to the next of ret (zeroed). 'T' is matched in either case. */
static bool take(struct slice *s, const char *pattern, int *ret)
{
	for (; *pattern; pattern++, s->ptr++, s->len--) {
		if (s->len == 0)
			return false;
		char c = *s->ptr;
		if (*pattern != '0') {
			if (c != *pattern && !(*pattern == 'T' && c == 't'))
				return false;
			continue;
		}
		if (!is_digit(c))
			return false;
		*ret = *ret * 10 + (c - '0');
		if (pattern[1] != '0')
			ret++;
	}
	return true;
}

static bool parse(struct slice s, struct wall *ret)
{
	int v[6] = {0}; /* year, month, day, hour, minute, second */
	if (!take(&s, "0000-00-00T00:00:00", v))
		return false;
	if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > days_in_month(v[0], v[1]))
		return false;
	if (v[3] > 23 || v[4] > 59 || v[5] > 59)
		return false;

	int ms = 0;
	if (s.len > 0 && *s.ptr == '.') {
		size_t n = 1;
		for (int weight = 100; n < s.len && is_digit(s.ptr[n]); n++, weight /= 10)
			ms += weight * (s.ptr[n] - '0');
		if (n == 1)
			return false;
		s.ptr += n;
		s.len -= n;
	}

	int offset[2] = {0}, sign = 1; /* hours, minutes */
	if (s.len == 1 && (*s.ptr == 'Z' || *s.ptr == 'z')) {
		s.len = 0;
	} else {
		sign = s.len > 0 && *s.ptr == '-' ? -1 : 1;
		if (!take(&s, sign < 0 ? "-00:00" : "+00:00", offset) || offset[0] > 23 || offset[1] > 59)
			return false;
	}
	if (s.len > 0)
		return false;

	int64_t days = days_from_date((struct date){v[0], v[1], v[2]});
	int64_t seconds = days * DAY_S + v[3] * 3600 + v[4] * 60 + v[5];
	seconds -= sign * (offset[0] * 3600 + offset[1] * 60);
	ret->ms = seconds * MS_PER_S + ms;
	return true;
}

int wall_parse(struct slice s, struct wall *ret, struct err *err)
{
	if (!parse(s, ret))
		return err_set(err, ERR_INVALID, "not an RFC 3339 time: '%.*s'", s.len > 64 ? 64 : (int)s.len,
		               s.len ? s.ptr : "");
	return 0;
}

void duration_format(int64_t ms, char buf[static DURATION_TEXT_SIZE])
{
	static const struct {
		char name[3];
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
	const char *sign = ms < 0 ? "-" : "";
	uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t n = rest / units[i].ms;
		if (n == 0)
			continue;
		uint64_t next = i + 1 < ARRAY_LEN(units) ? rest % units[i].ms / units[i + 1].ms : 0;
		if (next > 0)
			str_format(buf, DURATION_TEXT_SIZE, "%s%" PRIu64 "%s%" PRIu64 "%s", sign, n, units[i].name, next,
			           units[i + 1].name);
		else
			str_format(buf, DURATION_TEXT_SIZE, "%s%" PRIu64 "%s", sign, n, units[i].name);
		return;
	}
	if (rest > 0)
		str_format(buf, DURATION_TEXT_SIZE, "%s%" PRIu64 "ms", sign, rest);
	else
		str_copy(buf, DURATION_TEXT_SIZE, "0s");
}

void age_format(int64_t ms, char buf[static AGE_TEXT_SIZE])
{
	/* Up to how many seconds, the unit, and the smaller one beside it: k8s.io/apimachinery's HumanDuration. */
	static const struct {
		int64_t below_s, unit_s, minor_s;
		char unit, minor;
	} forms[] = {
		{120, 1, 0, 's', 0},           {600, 60, 1, 'm', 's'},
		{3 * 3600, 60, 0, 'm', 0},     {8 * 3600, 3600, 60, 'h', 'm'},
		{48 * 3600, 3600, 0, 'h', 0},  {8 * 86400, 86400, 3600, 'd', 'h'},
		{INT64_MAX, 86400, 0, 'd', 0},
	};
	int64_t s = ms > 0 ? ms / MS_PER_S : 0;
	size_t i = 0;

	while (s >= forms[i].below_s)
		i++;
	if (forms[i].minor_s > 0 && s % forms[i].unit_s / forms[i].minor_s > 0)
		str_format(buf, AGE_TEXT_SIZE, "%" PRId64 "%c%" PRId64 "%c", s / forms[i].unit_s, forms[i].unit,
		           s % forms[i].unit_s / forms[i].minor_s, forms[i].minor);
	else
		str_format(buf, AGE_TEXT_SIZE, "%" PRId64 "%c", s / forms[i].unit_s, forms[i].unit);
}
