#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>

#define MAX_NAME 253 /* that is compared */

bool str_starts(const char *s, const char *prefix)
{
	return slice_starts(slice_from(s), prefix);
}

bool slice_starts(struct slice s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.len >= n && (n == 0 || memcmp(s.ptr, prefix, n) == 0);
}

bool slice_contains(struct slice hay, const char *needle)
{
	size_t n = strlen(needle);
	return n == 0 || (hay.len >= n && memmem(hay.ptr, hay.len, needle, n) != NULL);
}

struct slice slice_split(struct slice s, char sep, struct slice *ret_rest)
{
	const char *p = s.len ? memchr(s.ptr, sep, s.len) : NULL;
	if (p == NULL) {
		*ret_rest = (struct slice){s.len ? s.ptr + s.len : "", 0};
		return s;
	}
	size_t n = (size_t)(p - s.ptr);
	*ret_rest = (struct slice){p + 1, s.len - n - 1};
	return (struct slice){s.ptr, n};
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

int slice_to_i64(struct slice s, int64_t *ret, struct err *err)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	size_t i = negative;
	int64_t value = 0;
	bool overflow = false;
	/* Counting downwards reaches INT64_MIN too. */
	for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
		overflow = overflow || __builtin_mul_overflow(value, 10, &value) ||
		           __builtin_sub_overflow(value, s.ptr[i] - '0', &value);
	if (s.len == negative || i < s.len)
		return err_set(err, ERR_INVALID, "'%.*s' is not a whole number", s.len > 64 ? 64 : (int)s.len,
		               s.len ? s.ptr : "");
	if (!negative)
		overflow = overflow || __builtin_sub_overflow(0, value, &value);
	if (overflow)
		return err_set(err, ERR_INVALID, "'%.*s' is out of range", s.len > 64 ? 64 : (int)s.len, s.ptr);
	*ret = value;
	return 0;
}

size_t utf8_sequence(struct slice s)
{
	if (s.len == 0)
		return 0;
	unsigned char lead = (unsigned char)s.ptr[0];
	if (lead < 0x80)
		return 1;
	/* The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
	unsigned char low = 0x80, high = 0xbf;
	size_t n;
	if (lead >= 0xc2 && lead <= 0xdf) {
		n = 2;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		n = 3;
		if (lead == 0xe0)
			low = 0xa0;
		else if (lead == 0xed)
			high = 0x9f;
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		n = 4;
		if (lead == 0xf0)
			low = 0x90;
		else if (lead == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (s.len < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

size_t utf8_cut(struct slice s)
{
	/* Go back over at most three continuation bytes to the lead byte of the last sequence. */
	for (size_t back = 1; back <= 4 && back <= s.len; back++) {
		unsigned char c = (unsigned char)s.ptr[s.len - back];
		if (c < 0x80)
			return s.len;
		if (c >= 0xc0) {
			size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
			return need > back ? s.len - back : s.len;
		}
	}
	return s.len;
}

bool str_vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);
	if (n >= 0 && (size_t)n < size)
		return true;
	if (size > 0)
		buf[n < 0 ? 0 : utf8_cut((struct slice){buf, size - 1})] = '\0';
	return false;
}

bool str_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	bool whole = str_vformat(buf, size, fmt, ap);
	va_end(ap);
	return whole;
}

bool str_copy(char *buf, size_t size, const char *s)
{
	return str_format(buf, size, "%s", s);
}

/* s begins with a whole UTF-8 sequence. */
static bool steers_terminal(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	if (c[0] == 0xe2 && c[1] == 0x80) /* U+200E, U+200F; U+2028 to U+202E */
		return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
	if (c[0] == 0xe2 && c[1] == 0x81) /* U+2066 to U+2069 */
		return c[2] >= 0xa6 && c[2] <= 0xa9;
	return c[0] < 0x20 || c[0] == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0);
}

void str_clean(char *s)
{
	size_t left = strlen(s);

	while (left > 0) {
		size_t n = utf8_sequence((struct slice){s, left});

		if (n == 0)
			*s = '?';
		else if (steers_terminal(s))
			memset(s, ' ', n);
		n = n ? n : 1;
		s += n;
		left -= n;
	}
}

size_t name_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, MAX_NAME), lb = strnlen(b, MAX_NAME), row[MAX_NAME + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t changed = corner + (a[i - 1] != b[j - 1]), shorter = row[j] + 1, longer = row[j - 1] + 1;

			corner = row[j];
			row[j] = changed < shorter ? changed : shorter;
			if (longer < row[j])
				row[j] = longer;
		}
	}
	return row[lb];
}
