#include "inspect/text.h"

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
