#pragma once
/* Text for a terminal. */
#include "inspect/inspect.h"

/* In texts for text_write(), where colours begin and end; nobody else's text holds any control character. */
#define RED "\x01"
#define YELLOW "\x02"
#define GREEN "\x03"
#define BOLD "\x04"
#define PLAIN "\x05"

/* In the arena: control characters, which could steer the terminal, as blanks. NULL as "". */
const char *text_clean(struct arena *a, const char *s);
/* How many columns it takes, without what the colours take. */
size_t text_columns(const char *s);
/* Blanks that fill it up to so many columns; static. */
const char *text_pad(const char *s, size_t columns);
/* One line, or several where it is wider than the style allows: then broken at blanks, and `rest` stands before all but the
 * first, which `first` stands before. */
void text_write(const struct inspect_style *style, const char *first, const char *rest, const char *text,
                struct buf *out);
