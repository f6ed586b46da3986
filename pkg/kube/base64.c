#include "kube/base64.h"
#include <string.h>

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *base64_decode_bytes(const char *in, size_t *ret_len)
{
	size_t cap = strlen(in) / 4 * 3 + 4, n = 0;
	char *out = xcalloc(cap, 1);
	uint32_t bits = 0;
	unsigned have = 0, pad = 0;
	bool good = true;
	for (; *in && good; in++) {
		if (*in == '\n' || *in == '\r')
			continue;
		int v = base64_value(*in);
		if (*in == '=') {
			good = have >= 2;
			pad++;
		} else {
			good = v >= 0 && pad == 0;
		}
		bits = bits << 6 | (uint32_t)(v < 0 ? 0 : v);
		if (++have < 4)
			continue;
		/* What the padding leaves over of the last byte is zero in a proper encoding. */
		good = good && (bits & ((1u << 8 * pad) - 1)) == 0;
		for (unsigned i = 0; good && i < 3 - pad; i++)
			out[n++] = (char)(bits >> (16 - 8 * i) & 0xff);
		have = 0;
		bits = 0;
	}
	if (good && have == 0) {
		*ret_len = n;
		return out;
	}
	explicit_bzero(out, cap); /* it may be half of a secret */
	free(out);
	return NULL;
}

char *base64_decode(const char *in)
{
	size_t len;
	char *out = base64_decode_bytes(in, &len);
	if (!out || strlen(out) == len)
		return out;
	explicit_bzero(out, len);
	free(out);
	return NULL;
}

void base64_encode(struct slice s, struct buf *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < s.len; i += 3) {
		uint32_t bits = 0;
		size_t left = s.len - i < 3 ? s.len - i : 3;
		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < left ? (unsigned char)s.ptr[i + k] : 0);
		for (unsigned k = 0; k < 4; k++)
			buf_add_char(out, k > left ? '=' : alphabet[bits >> (18 - 6 * k) & 63]);
	}
}
