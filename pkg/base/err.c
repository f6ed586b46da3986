#include "base/err.h"
#include <stdarg.h>
#include <string.h>
#include "base/str.h"

static void __attribute__((format(printf, 2, 0))) set_message(struct err *err, const char *fmt, va_list ap)
{
	/* The arguments may point into err. */
	char text[sizeof(err->message)];
	str_vformat(text, sizeof(text), fmt, ap);
	str_clean(text); /* texts of servers and files end in log lines, object statuses and on terminals */
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
