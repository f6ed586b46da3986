#include "base/buf.h"
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes < SIZE_MAX ? max_bytes : SIZE_MAX - 1}; /* the NUL comes on top */
}

void buf_done(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr)
		b->ptr[0] = '\0';
}

/* Room for `extra` more bytes and the NUL; false (and failed) when the maximum forbids it. */
static bool reserve(struct buf *b, size_t extra)
{
	if (b->failed)
		return false;
	if (extra > b->max - b->len) {
		b->failed = true;
		return false;
	}
	size_t need = b->len + extra + 1;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap < 32 ? 64 : b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
	if (cap < need)
		cap = need;
	if (cap > b->max + 1)
		cap = b->max + 1;
	b->ptr = xreallocarray(b->ptr, cap, 1);
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->ptr + b->len, data, len);
	b->len += len;
	b->ptr[b->len] = '\0';
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.ptr, s.len);
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	if (!reserve(b, 0))
		return;
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, ap);
	if (n >= 0 && (size_t)n >= b->cap - b->len && reserve(b, (size_t)n))
		n = vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, again);
	va_end(again);
	if (n < 0)
		b->failed = true;
	if (!b->failed)
		b->len += (size_t)n;
	b->ptr[b->len] = '\0';
}

void buf_add_utf8(struct buf *b, struct slice s)
{
	while (s.len > 0) {
		size_t good = 0;
		for (size_t n; (n = utf8_sequence((struct slice){s.ptr + good, s.len - good})) > 0;)
			good += n;
		buf_add(b, s.ptr, good);
		if (good < s.len) {
			buf_add_str(b, "\xef\xbf\xbd");
			good++;
		}
		s = (struct slice){s.ptr + good, s.len - good};
	}
}

void buf_add_json_escaped(struct buf *b, struct slice s)
{
	size_t plain = 0; /* s[plain..i) needs no escape and is not added yet */
	for (size_t i = 0; i < s.len;) {
		unsigned char c = (unsigned char)s.ptr[i];
		size_t n = utf8_sequence((struct slice){s.ptr + i, s.len - i});
		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		buf_add(b, s.ptr + plain, i - plain);
		static const char letters[] = "btnvfr"; /* from 0x08 on; \v is not JSON's */
		if (n == 0)
			buf_add_str(b, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_add(b, (const char[]){'\\', (char)c}, 2);
		else if (c >= 0x08 && c <= 0x0d && c != 0x0b)
			buf_add(b, (const char[]){'\\', letters[c - 0x08]}, 2);
		else
			buf_addf(b, "\\u%04x", c);
		plain = ++i;
	}
	if (s.len > plain)
		buf_add(b, s.ptr + plain, s.len - plain);
}

void buf_add_url_escaped(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		             c == '.' || c == '_' || c == '~';
		if (plain)
			buf_add_char(b, (char)c);
		else
			buf_addf(b, "%%%02X", c);
	}
}

void buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
	} else if (len > 0) {
		b->len -= len;
		memmove(b->ptr, b->ptr + len, b->len);
	}
	if (b->ptr)
		b->ptr[b->len] = '\0';
}

void buf_shrink(struct buf *b)
{
	if (b->cap <= 4096 || b->len >= b->cap / 4)
		return;
	if (b->len == 0) {
		free(b->ptr);
		b->ptr = NULL;
		b->cap = 0;
		return;
	}
	b->cap = b->len + 1;
	b->ptr = xreallocarray(b->ptr, b->cap, 1);
}

char *buf_steal(struct buf *b)
{
	char *s = NULL;
	if (!b->failed)
		s = b->ptr ? xreallocarray(STEAL_PTR(b->ptr), b->len + 1, 1) : xstrdup("");
	buf_done(b);
	return s;
}
