#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"

/* A line has a bound, and so has each value, so that one huge value leaves room for the others. */
#define LINE_MAX_BYTES 8192u
#define VALUE_MAX_BYTES 2048u
#define TAIL_BYTES 32u  /* what may follow the last field */
#define ESCAPE_BYTES 6u /* the longest form of one character: \u0001 */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_labels[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

static struct {
	enum log_level min;
	enum log_format format;
} settings = {LOG_LEVEL_INFO, LOG_FORMAT_JSON};

struct line {
	struct buf text;
	enum log_format format;
	bool cut; /* a field found no room at all */
};

void log_setup(enum log_level min, enum log_format format)
{
	settings.min = min;
	settings.format = format;
}

bool log_enabled(enum log_level level)
{
	return level >= settings.min;
}

int log_level_parse(const char *s, enum log_level *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (str_eq(s, level_names[i])) {
			*ret = (enum log_level)i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "'%s' is not a log level: debug, info, warn or error", s);
}

int log_format_parse(const char *s, enum log_format *ret, struct err *err)
{
	if (str_eq(s, "json"))
		*ret = LOG_FORMAT_JSON;
	else if (str_eq(s, "text"))
		*ret = LOG_FORMAT_TEXT;
	else
		return err_set(err, ERR_INVALID, "'%s' is not a log format: json or text", s);
	return 0;
}

/* As much of s as fits, with an ellipsis where it was cut. */
static void add_escaped(struct buf *b, const char *s)
{
	size_t limit = LINE_MAX_BYTES - TAIL_BYTES - 2 * ESCAPE_BYTES;
	if (b->len + VALUE_MAX_BYTES < limit)
		limit = b->len + VALUE_MAX_BYTES;
	struct slice rest = slice_from(s);
	while (rest.len > 0) {
		if (b->len >= limit) {
			buf_add_str(b, "…");
			return;
		}
		size_t n = utf8_sequence(rest);
		n = n ? n : 1;
		buf_add_json_escaped(b, (struct slice){rest.ptr, n});
		rest = (struct slice){rest.ptr + n, rest.len - n};
	}
}

static void add_quoted(struct buf *b, const char *s)
{
	buf_add_char(b, '"');
	add_escaped(b, s);
	buf_add_char(b, '"');
}

/* Can the text format show it without quotes? */
static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '"' || *s == '=' || *s == '\\')
			return false;
	return true;
}

/* The key and what separates it from its value; false when the line is full. */
static bool add_key(struct line *l, const char *key)
{
	/* Room for the key, a cut value, and the quotes and separators around both. */
	if (l->cut || l->text.len + strlen(key) * ESCAPE_BYTES + 64 > LINE_MAX_BYTES - TAIL_BYTES) {
		l->cut = true;
		return false;
	}
	if (l->format == LOG_FORMAT_TEXT) {
		buf_add_char(&l->text, ' ');
		add_escaped(&l->text, key);
		buf_add_char(&l->text, '=');
	} else {
		buf_add_char(&l->text, ',');
		add_quoted(&l->text, key);
		buf_add_char(&l->text, ':');
	}
	return true;
}

static void add_str(struct line *l, const char *key, const char *s)
{
	if (!add_key(l, key))
		return;
	if (s == NULL)
		buf_add_str(&l->text, "null");
	else if (l->format == LOG_FORMAT_TEXT && is_plain(s))
		add_escaped(&l->text, s);
	else
		add_quoted(&l->text, s);
}

static void add_int(struct line *l, const char *key, int64_t n)
{
	if (add_key(l, key))
		buf_addf(&l->text, "%lld", (long long)n);
}

static void add_field(struct line *l, const struct log_field *f)
{
	switch (f->type) {
	case LOG_TYPE_STR:
		add_str(l, f->key, f->s);
		break;
	case LOG_TYPE_INT:
		add_int(l, f->key, f->i);
		break;
	case LOG_TYPE_BOOL:
		if (add_key(l, f->key))
			buf_add_str(&l->text, f->i ? "true" : "false");
		break;
	case LOG_TYPE_ERR:
		add_str(l, f->key, f->err->message);
		if (f->err->http_status != 0)
			add_int(l, "httpStatus", f->err->http_status);
		if (f->err->reason[0] != '\0')
			add_str(l, "reason", f->err->reason);
		break;
	}
}

/* `time` is "" or a timestamp. */
static void render(struct line *l, const char *time, enum log_level level, const char *message,
                   const struct log_field *fields, size_t n)
{
	struct buf *b = &l->text;
	if (l->format == LOG_FORMAT_TEXT) {
		buf_addf(b, "%s%s%s ", time, *time ? " " : "", level_labels[level]);
		add_escaped(b, message);
	} else {
		buf_add_char(b, '{');
		if (*time)
			buf_addf(b, "\"time\":\"%s\",", time);
		buf_addf(b, "\"level\":\"%s\",\"msg\":", level_names[level]);
		add_quoted(b, message);
	}
	for (size_t i = 0; i < n; i++)
		add_field(l, &fields[i]);
	bool text = l->format == LOG_FORMAT_TEXT;
	if (l->cut)
		buf_add_str(b, text ? " truncated=true" : ",\"truncated\":true");
	buf_add_str(b, text ? "\n" : "}\n");
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t n)
{
	/* "2026-11-25T17:00:00.123456Z", cut to milliseconds. */
	char time[WALL_RFC3339_SIZE];
	wall_format_micro(wall_now(), time);
	size_t digits = strlen("2026-11-25T17:00:00.123");
	if (strlen(time) > digits)
		str_copy(time + digits, sizeof(time) - digits, "Z");

	struct line l = {.format = settings.format};
	buf_init(&l.text, LINE_MAX_BYTES);
	render(&l, time, level, message, fields, n);
	/* One write, so that lines of several writers do not mix. A log that nobody can take is lost. */
	ssize_t written;
	do
		written = write(STDERR_FILENO, l.text.ptr, l.text.len);
	while (written < 0 && errno == EINTR);
	buf_done(&l.text);
}

void log_write_to(FILE *out, enum log_format format, enum log_level level, const char *message,
                  const struct log_field *fields, size_t n)
{
	struct line l = {.format = format};
	buf_init(&l.text, LINE_MAX_BYTES);
	render(&l, "", level, message, fields, n);
	fwrite(l.text.ptr, 1, l.text.len, out);
	buf_done(&l.text);
}
