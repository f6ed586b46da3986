#include "base/hash.h"

uint64_t hash64(uint64_t seed, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		seed = (seed ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
	return seed;
}

uint64_t hash64_str(uint64_t seed, const char *s)
{
	return hash64(seed, (struct slice){s ? s : "", s ? strlen(s) + 1 : 1});
}

void hash64_text(uint64_t h, char buf[static HASH_TEXT_SIZE])
{
	static const char digits[] = "bcdfghjklmnpqrstvwxz2456789";
	const uint64_t base = sizeof(digits) - 1;
	for (size_t i = 0; i < HASH_TEXT_SIZE - 1; i++) {
		buf[i] = digits[h % base];
		h /= base;
	}
	buf[HASH_TEXT_SIZE - 1] = '\0';
}
