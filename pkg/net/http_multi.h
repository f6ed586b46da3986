#pragma once
/* libcurl's multi interface on the loop: sockets and timers only, private to pkg/net. */
#include <curl/curl.h>
#include <stdbool.h>
#include "net/loop.h"

struct http_multi;

/* progress is called after each time libcurl had its turn, outside of libcurl: transfers may have ended. */
struct http_multi *http_multi_new(struct loop *l, void (*progress)(void *arg), void *arg);
/* No transfer may be left in it. */
void http_multi_free(struct http_multi *m);
CURLM *http_multi_handle(struct http_multi *m); /* borrowed */
/* Is libcurl on the stack? Its transfers must not be added or removed now. */
bool http_multi_busy(const struct http_multi *m);
