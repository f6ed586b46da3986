#pragma once
/* RFC 4648, the standard alphabet with padding. Private to pkg/kube. */
#include "base/buf.h"

/* Line ends in between are passed over. New; NULL when it is not that, or when a NUL comes out of it. */
char *base64_decode(const char *in);
/* The same for what may hold a NUL. */
char *base64_decode_bytes(const char *in, size_t *ret_len);
void base64_encode(struct slice s, struct buf *out);
