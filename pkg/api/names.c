#include "api/names.h"
#include <ctype.h>
#include "base/hash.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_lower_alnum(char c)
{
	return is_alnum(c) && !(c >= 'A' && c <= 'Z');
}

bool dns_label_valid(struct slice s)
{
	if (s.len == 0 || !is_lower_alnum(s.ptr[0]) || !is_lower_alnum(s.ptr[s.len - 1]))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_lower_alnum(s.ptr[i]) && s.ptr[i] != '-')
			return false;
	return true;
}

const char *instance_type_strip(const char *type)
{
	return str_starts(type, "ml.") ? type + 3 : type;
}

/* "<front of the text>-<hash>", `room` bytes at most. The cut never ends in a separator. */
static void cut_with_hash(char *buf, size_t size, size_t room, const char *front, uint64_t hash)
{
	char text[HASH_TEXT_SIZE];
	hash64_text(hash, text);
	size_t len = strlen(front), most = room - HASH_TEXT_SIZE;
	if (len > most)
		len = most;
	while (len > 0 && !is_alnum(front[len - 1]))
		len--;
	str_format(buf, size, "%.*s%s%s", (int)len, front, len > 0 ? "-" : "", text);
}

void pool_default_name(const char *type, char buf[static NAME_MAX_BYTES + 1])
{
	type = instance_type_strip(type);
	if (strlen(type) > NAME_MAX_BYTES)
		cut_with_hash(buf, NAME_MAX_BYTES + 1, NAME_MAX_BYTES, type, hash64(HASH64_INIT, slice_from(type)));
	else
		str_copy(buf, NAME_MAX_BYTES + 1, type);
	for (char *c = buf; *c; c++)
		*c = is_alnum(*c) ? (char)tolower((unsigned char)*c) : '-';
}

void deployment_name(const char *endpoint, const char *pool, const char *revision,
                     char buf[static NAME_MAX_BYTES + 1])
{
	if (str_format(buf, NAME_MAX_BYTES + 1, "%s-%s-%s", endpoint, pool, revision))
		return;

	/* The terminating NULs go into the hash: "a-b" + "c" is not "a" + "b-c". */
	uint64_t hash = HASH64_INIT;
	const char *parts[] = {endpoint, pool, revision};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		hash = hash64(hash, (struct slice){parts[i], strlen(parts[i]) + 1});

	char front[NAME_MAX_BYTES + 1], cut[NAME_MAX_BYTES + 1], tail[NAME_MAX_BYTES + 1];
	str_format(front, sizeof(front), "%s-%s", endpoint, pool);
	str_format(tail, sizeof(tail), "-%.*s", HASH_TEXT_SIZE - 1, revision);
	cut_with_hash(cut, sizeof(cut), NAME_MAX_BYTES - strlen(tail), front, hash);
	str_format(buf, NAME_MAX_BYTES + 1, "%s%s", cut, tail);
}

bool label_value_valid(const char *s)
{
	size_t len = strlen(s);
	if (len > NAME_MAX_BYTES || (len > 0 && !(is_alnum(s[0]) && is_alnum(s[len - 1]))))
		return false;
	for (; *s; s++)
		if (!is_alnum(*s) && !strchr("-_.", *s))
			return false;
	return true;
}

void label_value(const char *text, char buf[static NAME_MAX_BYTES + 1])
{
	if (label_value_valid(text)) {
		str_copy(buf, NAME_MAX_BYTES + 1, text);
		return;
	}

	char front[NAME_MAX_BYTES + 1] = "";
	size_t n = 0;
	for (const char *c = text; *c && n < NAME_MAX_BYTES; c++)
		if (n > 0 || is_alnum(*c))
			front[n++] = is_alnum(*c) || strchr("-_.", *c) ? *c : '-';
	front[n] = '\0';
	cut_with_hash(buf, NAME_MAX_BYTES + 1, NAME_MAX_BYTES, front, hash64(HASH64_INIT, slice_from(text)));
}

void endpoint_selector(const char *endpoint, struct buf *out)
{
	char value[NAME_MAX_BYTES + 1];
	label_value(endpoint, value);
	buf_addf(out, "%s=%s", LABEL_ENDPOINT, value);
}
