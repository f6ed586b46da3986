#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"

/* Messages carry texts of servers and files, and end in log lines and object statuses: keep them one line of
 * valid UTF-8. */
static void clean_message(char *s)
{
	struct slice rest = slice_from(s);
	while (rest.len > 0) {
		size_t n = utf8_sequence(rest);
		char *p = s + (rest.ptr - s);
		if (n == 0)
			*p = '?';
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
		n = n ? n : 1;
		rest = (struct slice){rest.ptr + n, rest.len - n};
	}
}

static void __attribute__((format(printf, 2, 0))) set_message(struct err *err, const char *fmt, va_list ap)
{
	/* The arguments may point into err. */
	char text[sizeof(err->message)];
	str_vformat(text, sizeof(text), fmt, ap);
	clean_message(text);
	memcpy(err->message, text, strlen(text) + 1);
}

void err_fill(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_message(err, fmt, ap);
	va_end(ap);
	err->code = code;
	err->http_status = 0;
	err->retry_after_ms = -1;
	err->reason[0] = '\0';
}

void err_fill_prefix(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->message)];
	str_copy(old, sizeof(old), err->message);
	va_list ap;
	va_start(ap, fmt);
	set_message(err, fmt, ap);
	va_end(ap);
	size_t len = strlen(err->message);
	str_format(err->message + len, sizeof(err->message) - len, ": %s", old);
}
