#include "inspect/text.h"
#include <inttypes.h>

#define MIN_COLUMNS 20u /* of the text, however narrow the terminal is */

const char *text_clean(struct arena *a, const char *s)
{
	char *copy = arena_strdup(a, s ? s : "");

	str_clean(copy);
	return copy;
}

/* A byte that begins a character. */
static bool takes_column(char c)
{
	return (unsigned char)c >= 0x20 && ((unsigned char)c & 0xc0) != 0x80;
}

size_t text_columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += takes_column(*s);
	return n;
}

const char *text_pad(const char *s, size_t columns)
{
	static const char blanks[] =
		"                                                                                ";
	size_t has = text_columns(s), missing = has < columns ? columns - has : 0;

	return blanks + sizeof(blanks) - 1 - (missing < sizeof(blanks) - 1 ? missing : sizeof(blanks) - 1);
}

static void add(const struct inspect_style *style, struct slice text, struct buf *out)
{
	static const char *const codes[] = {
		[1] = "\033[31m", [2] = "\033[33m", [3] = "\033[32m", [4] = "\033[1m", [5] = "\033[0m"};

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c >= ARRAY_LEN(codes))
			buf_add_char(out, text.ptr[i]);
		else if (style->color && codes[c])
			buf_add_str(out, codes[c]);
	}
}

/* The bytes that fit into so many columns, up to a blank where there is one. */
static size_t fitting(const char *s, size_t columns)
{
	size_t i, used = 0, blank = 0;

	for (i = 0; s[i] && (used < columns || !takes_column(s[i])); i++) {
		if (s[i] == ' ')
			blank = i;
		used += takes_column(s[i]);
	}
	return s[i] && s[i] != ' ' && blank > 0 ? blank : i;
}

void text_write(const struct inspect_style *style, const char *first, const char *rest, const char *text,
                struct buf *out)
{
	size_t taken = text_columns(first);
	size_t room = style->width > taken + MIN_COLUMNS ? style->width - taken : MIN_COLUMNS;
	const char *before = first;

	do {
		size_t n = style->width > 0 ? fitting(text, room) : strlen(text);

		buf_add_str(out, before);
		add(style, (struct slice){text, n}, out);
		buf_add_char(out, '\n');
		text += n;
		text += strspn(text, " ");
		before = rest;
	} while (*text);
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

#define MAX_NAME 253

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
