#pragma once
/* What can be said of PEM texts (RFC 7468) without TLS: are they whole, and from when to when is a certificate good
 * (RFC 5280)? For messages to people, never to trust anything. Private to pkg/kube. */
#include "base/clock.h"
#include "base/str.h"

/* It holds something, and whatever begins in it ends. */
bool pem_is_whole(const char *text);
/* Of the first certificate in the text, in whole seconds. */
int pem_validity(const char *text, struct wall *ret_from, struct wall *ret_until, struct err *err);
