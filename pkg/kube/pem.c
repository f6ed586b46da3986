#include "kube/pem.h"
#include "base/mem.h"
#include "kube/base64.h"

#define BEGIN "-----BEGIN "
#define END "-----END "

bool pem_is_whole(const char *text)
{
	const char *begin = strstr(text, BEGIN);
	if (!begin)
		return false;
	for (; begin; begin = strstr(begin + strlen(BEGIN), BEGIN)) {
		const char *end = strstr(begin, END), *next = strstr(begin + strlen(BEGIN), BEGIN);
		if (!end || (next && next < end) || !strstr(end + strlen(END), "-----"))
			return false;
	}
	return true;
}

/* DER: values of a tag, a length and that many bytes. */

enum der_tag {
	DER_INTEGER = 0x02,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_VERSION = 0xa0, /* [0], constructed */
};

/* Takes the next value off the front. */
static bool der_next(struct slice *s, unsigned *ret_tag, struct slice *ret)
{
	const unsigned char *p = (const unsigned char *)s->ptr;
	if (s->len < 2)
		return false;
	size_t head = 2, len = p[1];
	if (len >= 0x80) { /* so many bytes of length follow */
		size_t n = len & 0x7f;
		if (n == 0 || n > 3 || s->len < 2 + n)
			return false;
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | p[2 + i];
		head += n;
	}
	if (len > s->len - head)
		return false;
	*ret_tag = p[0];
	*ret = (struct slice){s->ptr + head, len};
	*s = (struct slice){s->ptr + head + len, s->len - head - len};
	return true;
}

static bool der_take(struct slice *s, enum der_tag tag, struct slice *ret)
{
	unsigned found;
	return der_next(s, &found, ret) && found == tag;
}

/* "YYMMDDhhmmssZ" of the years 1950 to 2049, or "YYYYMMDDhhmmssZ". */
static bool der_time(struct slice *s, struct wall *ret)
{
	unsigned tag;
	struct slice t;
	struct err ignored = ERR_INIT;
	char text[WALL_RFC3339_SIZE];
	const char *century = "";
	if (!der_next(s, &tag, &t) || t.len != (tag == DER_UTC_TIME ? 13 : 15) || t.ptr[t.len - 1] != 'Z')
		return false;
	if (tag == DER_UTC_TIME)
		century = t.ptr[0] >= '5' ? "19" : "20";
	else if (tag != DER_GENERALIZED_TIME)
		return false;
	const char *d = t.ptr + t.len - 11; /* the month */
	str_format(text, sizeof(text), "%s%.*s-%.2s-%.2sT%.2s:%.2s:%.2sZ", century, (int)(d - t.ptr), t.ptr, d,
	           d + 2, d + 4, d + 6, d + 8);
	return wall_parse(slice_from(text), ret, &ignored) == 0;
}

static bool der_validity(struct slice s, struct wall *ret_from, struct wall *ret_until)
{
	struct slice certificate, body, part;
	unsigned tag;
	if (!der_take(&s, DER_SEQUENCE, &certificate) || !der_take(&certificate, DER_SEQUENCE, &body) ||
	    !der_next(&body, &tag, &part) || (tag == DER_VERSION && !der_next(&body, &tag, &part)) ||
	    tag != DER_INTEGER /* the serial number */)
		return false;
	/* The algorithm and who has signed it come before. */
	for (unsigned i = 0; i < 3; i++)
		if (!der_take(&body, DER_SEQUENCE, &part))
			return false;
	return der_time(&part, ret_from) && der_time(&part, ret_until);
}

int pem_validity(const char *text, struct wall *ret_from, struct wall *ret_until, struct err *err)
{
	static const char begin[] = BEGIN "CERTIFICATE-----";
	const char *p = strstr(text, begin), *end = p ? strstr(p, END) : NULL;
	if (!end)
		return err_set(err, ERR_INVALID, "holds no certificate");
	p += strlen(begin);
	CLEANUP_FREE char *base64 = xstrndup(p, (size_t)(end - p));
	struct slice der = {NULL, 0};
	CLEANUP_FREE char *bytes = base64_decode_bytes(base64, &der.len);
	der.ptr = bytes;
	if (!bytes || !der_validity(der, ret_from, ret_until))
		return err_set(err, ERR_INVALID, "holds a certificate that cannot be read");
	return 0;
}
