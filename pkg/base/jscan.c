#include "base/jscan.h"
#include <endian.h>
#include <string.h>

/* The functions here are built on `const char *x_end(s, p)`: checks the x that starts at p and returns where
 * it ends, or NULL after it has set the error. */

#define BYTES(b) (UINT64_C(0x0101010101010101) * (b))

static const char *fail_at(struct jscan *s, const char *at, const char *error)
{
	if (!s->error) {
		s->error = error;
		s->error_offset = (size_t)(at - s->begin);
	}
	s->p = s->end; /* where every other call fails too */
	return NULL;
}

static int fail(struct jscan *s, const char *at, const char *error)
{
	fail_at(s, at, error);
	return -1;
}

void jscan_init(struct jscan *s, struct slice text)
{
	const char *begin = text.ptr ? text.ptr : "";
	*s = (struct jscan){.begin = begin, .p = begin, .end = begin + text.len};
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline const char *space_end(const struct jscan *s, const char *p)
{
	while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* The first byte at or after p that a string may not hold as it is: a quote, a backslash, a control character
 * or a part of a character beyond ASCII. */
static inline const char *plain_end(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t w;
		memcpy(&w, p, sizeof(w));
		w = le64toh(w); /* the first byte lowest; a borrow only reaches bytes above the first find */
		uint64_t quote = (w ^ BYTES('"')) - BYTES(1);
		uint64_t backslash = (w ^ BYTES('\\')) - BYTES(1);
		uint64_t found = (w | (w - BYTES(' ')) | quote | backslash) & BYTES(0x80);
		if (found)
			return p + __builtin_ctzll(found) / 8;
		p += 8;
	}
	while (p < end && (unsigned char)*p >= ' ' && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* The four hexadecimal digits at p as a number, or -1. */
static int32_t hex4(const char *p, const char *end)
{
	if (end - p < 4)
		return -1;
	int32_t v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		if (is_digit(c))
			v = v * 16 + (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			v = v * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

static inline bool is_high_surrogate(int32_t c)
{
	return c >= 0xd800 && c <= 0xdbff;
}

static inline bool is_low_surrogate(int32_t c)
{
	return c >= 0xdc00 && c <= 0xdfff;
}

static const char *escape_end(struct jscan *s, const char *p)
{
	if (s->end - p < 2)
		return fail_at(s, p, "a string without an end");
	if (p[1] != 'u') {
		if (!memchr("\"\\/bfnrt", p[1], 8))
			return fail_at(s, p, "an invalid escape");
		return p + 2;
	}
	int32_t c = hex4(p + 2, s->end);
	if (c < 0)
		return fail_at(s, p, "an invalid escape");
	if (c == 0)
		s->nul = p;
	if (is_low_surrogate(c))
		return fail_at(s, p, "half a surrogate pair");
	if (!is_high_surrogate(c))
		return p + 6;
	if (s->end - p < 8 || p[6] != '\\' || p[7] != 'u' || !is_low_surrogate(hex4(p + 8, s->end)))
		return fail_at(s, p, "half a surrogate pair");
	return p + 12;
}

/* p stands after the opening quote, the result before the closing one. */
static inline const char *string_end(struct jscan *s, const char *p, bool *ret_escaped)
{
	*ret_escaped = false;
	s->nul = NULL;
	for (;;) {
		p = plain_end(p, s->end);
		if (p == s->end)
			return fail_at(s, p, "a string without an end");
		if (*p == '"')
			return p;
		if (*p == '\\') {
			*ret_escaped = true;
			p = escape_end(s, p);
			if (!p)
				return NULL;
		} else {
			if ((unsigned char)*p < ' ')
				return fail_at(s, p, "a control character in a string");
			size_t len = utf8_sequence((struct slice){p, (size_t)(s->end - p)});
			if (len == 0)
				return fail_at(s, p, "invalid UTF-8");
			p += len;
		}
	}
}

/* Would this number (syntax checked) be rounded to infinity? */
static bool real_overflows(const char *p, const char *end)
{
	/* 2^1024 - 2^970, half way from the largest double to the next that would be; ties go up. */
	static const char limit[] =
		"179769313486231580793728971405303415079934132710037826936173778980444968292764"
		"750946649017977587207096330286416692887910946555547851940402630657488671505820"
		"681908902000708383676273854845817711531764475730270069855571366959622842914819"
		"860834936475292719074168444365510704342711559699508093042880177904174497792";
	const int64_t limit_digits = sizeof(limit) - 1, far = INT64_C(1000000000000000);
	if (*p == '-')
		p++;
	/* The order of magnitude counts from the first digit that is not 0. */
	const char *first = NULL;
	int64_t magnitude = 0;
	bool fraction = false;
	for (; p < end && (is_digit(*p) || *p == '.'); p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		if (!first && *p != '0')
			first = p;
		if (first && !fraction)
			magnitude++;
		else if (!first && fraction)
			magnitude--;
	}
	if (!first)
		return false;
	const char *mantissa_end = p;
	if (p < end) {
		p++;
		bool negative = *p == '-';
		if (*p == '-' || *p == '+')
			p++;
		int64_t exponent = 0;
		for (; p < end; p++)
			if (exponent < far)
				exponent = exponent * 10 + (*p - '0');
		magnitude += negative ? -exponent : exponent;
	}
	if (magnitude != limit_digits)
		return magnitude > limit_digits;
	int order = 0; /* of our digits to the limit's */
	for (int64_t i = 0; i < limit_digits && order == 0; first++) {
		if (first < mantissa_end && *first == '.')
			continue;
		order = (first < mantissa_end ? *first : '0') - limit[i++];
	}
	return order >= 0;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? within the range of int64 or double. */
static const char *number_end(struct jscan *s, const char *p, bool *ret_integer)
{
	static const char limit[] = "9223372036854775808"; /* 2^63 */
	const char *start = p, *end = s->end;
	bool negative = *p == '-', integer = true;
	if (negative)
		p++;
	const char *digits = p;
	while (p < end && is_digit(*p))
		p++;
	if (p == digits)
		return fail_at(s, p, "a digit is missing");
	if (*digits == '0' && p - digits > 1)
		return fail_at(s, digits, "a number with a leading zero");
	if (p < end && *p == '.') {
		const char *fraction = ++p;
		integer = false;
		while (p < end && is_digit(*p))
			p++;
		if (p == fraction)
			return fail_at(s, p, "a digit is missing");
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		integer = false;
		p++;
		if (p < end && (*p == '-' || *p == '+'))
			p++;
		const char *exponent = p;
		while (p < end && is_digit(*p))
			p++;
		if (p == exponent)
			return fail_at(s, p, "a digit is missing");
	}
	if (integer && p - digits >= 19) {
		int order = p - digits > 19 ? 1 : memcmp(digits, limit, 19);
		if (order > 0 || (order == 0 && !negative))
			return fail_at(s, start, "an integer beyond 64 bits");
	}
	if (!integer && real_overflows(start, p))
		return fail_at(s, start, "a real beyond the range of a double");
	*ret_integer = integer;
	return p;
}

static inline const char *literal_end(struct jscan *s, const char *p, const char *word, size_t len)
{
	if ((size_t)(s->end - p) < len || memcmp(p, word, len) != 0)
		return fail_at(s, p, "a value is missing");
	return p + len;
}

/* A value that is no container. */
static inline const char *scalar_end(struct jscan *s, const char *p)
{
	bool unused;
	if (p == s->end)
		return fail_at(s, p, "unexpected end");
	switch (*p) {
	case '"':
		p = string_end(s, p + 1, &unused);
		return p ? p + 1 : NULL;
	case 't':
		return literal_end(s, p, "true", 4);
	case 'f':
		return literal_end(s, p, "false", 5);
	case 'n':
		return literal_end(s, p, "null", 4);
	default:
		if (*p == '-' || is_digit(*p))
			return number_end(s, p, &unused);
		return fail_at(s, p, "a value is missing");
	}
}

/* A string that is to be read cannot hold a NUL; one that is skipped may. */
static inline const char *readable_end(struct jscan *s, const char *p, bool *ret_escaped)
{
	p = string_end(s, p, ret_escaped);
	return p && s->nul ? fail_at(s, s->nul, "\\u0000 is not allowed") : p;
}

/* A key with its colon, up to its value. */
static inline const char *key_end(struct jscan *s, const char *p, struct jscan_str *ret)
{
	if (p == s->end)
		return fail_at(s, p, "unexpected end");
	if (*p != '"')
		return fail_at(s, p, "a key is missing");
	const char *start = p + 1;
	p = readable_end(s, start, &ret->escaped);
	if (!p)
		return NULL;
	ret->raw = (struct slice){start, (size_t)(p - start)};
	p = space_end(s, p + 1);
	if (p == s->end)
		return fail_at(s, p, "unexpected end");
	if (*p != ':')
		return fail_at(s, p, "':' is missing");
	return space_end(s, p + 1);
}

/* Any value, without recursion. */
static const char *value_end(struct jscan *s, const char *p)
{
	char closers[JSCAN_MAX_DEPTH]; /* of the containers opened here: what is below depth is set */
	const unsigned room = JSCAN_MAX_DEPTH - s->depth;
	unsigned depth = 0;
	struct jscan_str key;
	p = space_end(s, p);
	for (;;) {
		/* A value starts at p. */
		if (p < s->end && (*p == '{' || *p == '[')) {
			if (depth == room)
				return fail_at(s, p, "nested too deeply");
			closers[depth++] = *p == '{' ? '}' : ']';
			p = space_end(s, p + 1);
			if (p == s->end || *p != closers[depth - 1]) {
				if (closers[depth - 1] == '}' && !(p = key_end(s, p, &key)))
					return NULL;
				continue;
			}
		} else {
			p = scalar_end(s, p);
			if (!p)
				return NULL;
			if (depth == 0)
				return p;
			p = space_end(s, p);
		}
		/* One has ended, or the container that it opened is about to. */
		/* cppcheck-suppress uninitvar ; depth is not 0 here */
		while (p < s->end && *p == closers[depth - 1]) {
			p++;
			if (--depth == 0)
				return p;
			p = space_end(s, p);
		}
		if (p == s->end)
			return fail_at(s, p, "unexpected end");
		if (*p != ',')
			return fail_at(s, p, "',' or the end of the container is missing");
		p = space_end(s, p + 1);
		if (closers[depth - 1] == '}' && !(p = key_end(s, p, &key)))
			return NULL;
	}
}

enum jscan_kind jscan_peek(struct jscan *s)
{
	s->p = space_end(s, s->p);
	if (s->p == s->end) {
		fail(s, s->p, "unexpected end");
		return JSCAN_BAD;
	}
	switch (*s->p) {
	case '{':
		return JSCAN_OBJECT;
	case '[':
		return JSCAN_ARRAY;
	case '"':
		return JSCAN_STRING;
	case 't':
	case 'f':
		return JSCAN_BOOL;
	case 'n':
		return JSCAN_NULL;
	default:
		if (*s->p == '-' || is_digit(*s->p))
			return JSCAN_NUMBER;
		fail(s, s->p, "a value is missing");
		return JSCAN_BAD;
	}
}

static int begin(struct jscan *s, enum jscan_kind kind, const char *otherwise)
{
	if (jscan_peek(s) != kind)
		return fail(s, s->p, otherwise);
	if (s->depth == JSCAN_MAX_DEPTH)
		return fail(s, s->p, "nested too deeply");
	s->depth++;
	s->p++;
	s->opened = true;
	return 0;
}

/* 1: an element follows at s->p; 0: the container has been closed; -1. */
static inline int next(struct jscan *s, char closer)
{
	const char *p = space_end(s, s->p);
	if (p == s->end)
		return fail(s, p, "unexpected end");
	if (*p == closer) {
		s->p = p + 1;
		s->depth--;
		s->opened = false;
		return 0;
	}
	if (!s->opened) {
		if (*p != ',')
			return fail(s, p, "',' or the end of the container is missing");
		p = space_end(s, p + 1);
	}
	s->opened = false;
	s->p = p;
	return 1;
}

int jscan_object_begin(struct jscan *s)
{
	return begin(s, JSCAN_OBJECT, "not an object");
}

int jscan_object_next(struct jscan *s, struct jscan_str *ret_key)
{
	int n = next(s, '}');
	if (n <= 0)
		return n;
	const char *p = key_end(s, s->p, ret_key);
	if (!p)
		return -1;
	s->p = p;
	return 1;
}

int jscan_array_begin(struct jscan *s)
{
	return begin(s, JSCAN_ARRAY, "not an array");
}

int jscan_array_next(struct jscan *s)
{
	return next(s, ']');
}

int jscan_string(struct jscan *s, struct jscan_str *ret)
{
	if (jscan_peek(s) != JSCAN_STRING)
		return fail(s, s->p, "not a string");
	const char *start = s->p + 1;
	const char *p = readable_end(s, start, &ret->escaped);
	if (!p)
		return -1;
	ret->raw = (struct slice){start, (size_t)(p - start)};
	s->p = p + 1;
	return 0;
}

int jscan_i64(struct jscan *s, int64_t *ret)
{
	if (jscan_peek(s) != JSCAN_NUMBER)
		return fail(s, s->p, "not a number");
	const char *start = s->p;
	bool integer;
	const char *p = number_end(s, start, &integer);
	if (!p)
		return -1;
	if (!integer)
		return fail(s, start, "not an integer");
	s->p = p;
	bool negative = *start == '-';
	uint64_t v = 0;
	for (start += negative; start < p; start++)
		v = v * 10 + (uint64_t)(*start - '0');
	*ret = (int64_t)(negative ? 0 - v : v);
	return 0;
}

int jscan_bool(struct jscan *s, bool *ret)
{
	if (jscan_peek(s) != JSCAN_BOOL)
		return fail(s, s->p, "not a boolean");
	const char *p = scalar_end(s, s->p);
	if (!p)
		return -1;
	*ret = *s->p == 't';
	s->p = p;
	return 0;
}

int jscan_null(struct jscan *s)
{
	if (jscan_peek(s) != JSCAN_NULL)
		return fail(s, s->p, "not null");
	const char *p = scalar_end(s, s->p);
	if (!p)
		return -1;
	s->p = p;
	return 0;
}

int jscan_skip(struct jscan *s)
{
	const char *p = value_end(s, s->p);
	if (!p)
		return -1;
	s->p = p;
	return 0;
}

int jscan_raw(struct jscan *s, struct slice *ret)
{
	const char *start = space_end(s, s->p), *p = value_end(s, start);
	if (!p)
		return -1;
	*ret = (struct slice){start, (size_t)(p - start)};
	s->p = p;
	return 0;
}

int jscan_end(struct jscan *s)
{
	if (s->error)
		return -1;
	s->p = space_end(s, s->p);
	if (s->p != s->end)
		return fail(s, s->p, "something follows the end");
	return 0;
}

/* Decode what stands at *p, an escape or one plain byte, into out; returns its length. */
static size_t decode(const char **p, const char *end, char out[static 4])
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *e = *p;
	if (*e != '\\') {
		out[0] = *e;
		*p = e + 1;
		return 1;
	}
	if (e[1] != 'u') {
		const char *named = strchr(from, e[1]);
		out[0] = named ? to[named - from] : e[1];
		*p = e + 2;
		return 1;
	}
	int32_t c = hex4(e + 2, end);
	*p = e + 6;
	if (is_high_surrogate(c)) {
		c = 0x10000 + ((c - 0xd800) << 10) + (hex4(e + 8, end) - 0xdc00);
		*p = e + 12;
	}
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

char *jscan_str_dup(struct jscan_str s, struct arena *a)
{
	if (!s.escaped)
		return arena_slicedup(a, s.raw);
	char *text = arena_alloc(a, s.raw.len + 1); /* decoded it is shorter, and the rest is zero */
	char *to = text;
	for (const char *p = s.raw.ptr, *end = p + s.raw.len; p < end;) {
		char out[4];
		size_t len = decode(&p, end, out);
		memcpy(to, out, len);
		to += len;
	}
	return text;
}

bool jscan_str_eq(struct jscan_str s, const char *plain)
{
	if (!s.escaped)
		return slice_eq_str(s.raw, plain);
	for (const char *p = s.raw.ptr, *end = p + s.raw.len; p < end;) {
		char out[4];
		size_t len = decode(&p, end, out);
		if (strncmp(plain, out, len) != 0)
			return false;
		plain += len;
	}
	return *plain == '\0';
}

int jscan_err(const struct jscan *s, struct err *err)
{
	return err_set(err, ERR_INVALID, "not valid JSON: %s (byte %zu)", s->error ? s->error : "unknown error",
	               s->error_offset);
}
