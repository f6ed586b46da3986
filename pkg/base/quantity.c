#include "base/quantity.h"
#include <stdbool.h>
#include "base/mem.h"

struct suffix {
	const char *text;
	int exponent; /* of ten */
	int shift;    /* or of two */
};

/* clang-format off */
static const struct suffix suffixes[] = {
	{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},
	{"k", 3, 0},   {"M", 6, 0},   {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},
	{"Ki", 0, 10}, {"Mi", 0, 20}, {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
};
/* clang-format on */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct slice take_digits(struct slice *s)
{
	size_t n = 0;
	while (n < s->len && is_digit(s->ptr[n]))
		n++;
	struct slice digits = {s->ptr, n};
	s->ptr += n;
	s->len -= n;
	return digits;
}

/* Of a slice that is not empty. */
static bool take_sign(struct slice *s)
{
	bool negative = s->ptr[0] == '-';
	if (negative || s->ptr[0] == '+') {
		s->ptr++;
		s->len--;
	}
	return negative;
}

static bool parse_suffix(struct slice s, struct suffix *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (slice_eq_str(s, suffixes[i].text)) {
			*ret = suffixes[i];
			return true;
		}
	if (s.len < 2 || (s.ptr[0] != 'e' && s.ptr[0] != 'E'))
		return false;
	s.ptr++;
	s.len--;
	bool negative = take_sign(&s);
	struct slice digits = take_digits(&s);
	if (digits.len == 0 || s.len > 0)
		return false;
	int exponent = 0;
	for (size_t i = 0; i < digits.len && exponent < 100000000; i++)
		exponent = exponent * 10 + (digits.ptr[i] - '0');
	*ret = (struct suffix){.exponent = negative ? -exponent : exponent};
	return true;
}

/* v * 10 + digit, or UINT64_MAX for good. */
static uint64_t append_digit(uint64_t v, int digit)
{
	return __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v) ? UINT64_MAX : v;
}

static uint64_t round_up(uint64_t v, bool more)
{
	return v < UINT64_MAX ? v + more : v;
}

/* whole.fraction * 10^exponent */
static uint64_t scale_decimal(struct slice whole, struct slice fraction, int exponent)
{
	uint64_t v = 0;
	bool more = false;
	int64_t point = (int64_t)whole.len + exponent, n = (int64_t)(whole.len + fraction.len);
	for (int64_t i = 0; i < n; i++) {
		int digit = ((size_t)i < whole.len ? whole.ptr[i] : fraction.ptr[(size_t)i - whole.len]) - '0';
		if (i < point)
			v = append_digit(v, digit);
		else
			more = more || digit > 0;
	}
	for (int64_t i = n; i < point && v > 0 && v < UINT64_MAX; i++)
		v = append_digit(v, 0);
	return round_up(v, more);
}

/* whole.fraction * 2^shift, shift <= 60 */
static uint64_t scale_binary(struct slice whole, struct slice fraction, int shift)
{
	uint64_t v = 0, carry = 0;
	bool more = false;
	for (size_t i = 0; i < whole.len; i++)
		v = append_digit(v, whole.ptr[i] - '0');
	if (v > UINT64_MAX >> shift)
		return UINT64_MAX;
	/* Long multiplication from the right: what the first digit carries is whole. 9 * 2^60 + carry fits. */
	for (size_t i = fraction.len; i > 0; i--) {
		uint64_t product = ((uint64_t)(fraction.ptr[i - 1] - '0') << shift) + carry;
		more = more || product % 10 > 0;
		carry = product / 10;
	}
	v <<= shift;
	return __builtin_add_overflow(v, carry, &v) ? UINT64_MAX : round_up(v, more);
}

/* power: of ten, by which the value is multiplied. */
static bool parse(struct slice s, int power, int64_t *ret)
{
	if (s.len == 0)
		return false;
	bool negative = take_sign(&s);
	struct slice whole = take_digits(&s), fraction = {NULL, 0};
	if (s.len > 0 && s.ptr[0] == '.') {
		s.ptr++;
		s.len--;
		fraction = take_digits(&s);
	}
	struct suffix suffix;
	if (whole.len + fraction.len == 0 || !parse_suffix(s, &suffix))
		return false;
	uint64_t v = suffix.shift > 0 ? scale_binary(whole, fraction, suffix.shift)
	                              : scale_decimal(whole, fraction, suffix.exponent + power);
	for (int i = 0; i < power && suffix.shift > 0; i++)
		v = append_digit(v, 0);
	*ret = v > INT64_MAX ? INT64_MAX : (int64_t)v;
	if (negative)
		*ret = -*ret;
	return true;
}

static int parse_or_say(struct slice s, int power, int64_t *ret, struct err *err)
{
	if (!parse(s, power, ret))
		return err_set(err, ERR_INVALID, "not a quantity: '%.*s'", s.len > 64 ? 64 : (int)s.len,
		               s.len ? s.ptr : "");
	return 0;
}

int quantity_parse(struct slice s, int64_t *ret, struct err *err)
{
	return parse_or_say(s, 0, ret, err);
}

int quantity_parse_milli(struct slice s, int64_t *ret, struct err *err)
{
	return parse_or_say(s, 3, ret, err);
}
