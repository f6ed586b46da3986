#pragma once
/* A stable 64-bit hash (FNV-1a) for names: the same on every machine and in every version, because its
 * value is part of object names. Not for untrusted hash tables. */
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define HASH64_INIT UINT64_C(0xcbf29ce484222325)
uint64_t hash64(uint64_t seed, struct slice s);
/* A string (NULL: "") with its NUL, so that neighbours do not run together. */
uint64_t hash64_str(uint64_t seed, const char *s);

/* The hash as 10 characters that cannot spell words or break a DNS label ("bcdfghjklmnpqrstvwxz2456789"). */
#define HASH_TEXT_SIZE 11
void hash64_text(uint64_t h, char buf[static HASH_TEXT_SIZE]);
