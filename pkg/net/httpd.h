#pragma once
/* A small HTTP server for /metrics and the health probes: libmicrohttpd, its epoll descriptor in the loop. GET and
 * HEAD only; anything else is 405, an unknown path 404. At most 64 connections; one that does not get a request in
 * and its answer out in 10 s is closed. */
#include "base/buf.h"
#include "base/err.h"
#include "net/loop.h"

struct httpd;

/* Fills `body` (empty at first) and *content_type (preset to "text/plain; charset=utf-8", static), returns the
 * status. `query` is what follows '?', "" if nothing. Runs on the loop; must not block. */
typedef int httpd_handler(void *arg, const char *query, struct buf *body, const char **content_type);

/* address: "host:port", ":port" (all addresses, IPv6 included), "[::1]:port"; port 0 takes a free one. */
int httpd_address_check(const char *address, struct err *err); /* its form only */
struct httpd *httpd_new(struct loop *l, const char *address, struct err *err);
/* path: static; at most 16 routes. */
void httpd_route(struct httpd *h, const char *path, httpd_handler *fn, void *arg);
unsigned httpd_port(const struct httpd *h);
void httpd_free(struct httpd *h); /* NULL is fine */
