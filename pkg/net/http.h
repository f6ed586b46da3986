#pragma once
/* An HTTP client: libcurl's multi interface on the loop, HTTP/2 by ALPN. One client is one set of connections to
 * one server with one TLS identity. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/loop.h"

struct http_client;
struct http_call;

struct http_client_options {
	const char *base_url; /* "https://host:port" (an IPv6 host in brackets), no trailing slash; copied */
	/* Trust: exactly one of these, or neither for the system's CAs. Both copied. */
	const char *ca_file;
	const char *ca_pem;
	/* Client certificate: files or PEM texts (both of a pair), or neither. Copied. */
	const char *cert_file, *key_file;
	const char *cert_pem, *key_pem;
	const char *tls_server_name; /* name to verify and to send as SNI instead of the URL's host; copied */
	bool insecure_skip_verify;   /* only where a kubeconfig says so */
	const char *proxy_url;       /* copied; NULL: none (the environment is not read) */
	const char *user_agent;      /* copied */
	/* 2 to 4. To a server without HTTP/2 there can only be as many streams at once. */
	unsigned max_connections;
	/* More calls wait, in order of arrival; long-running ones (watches) do not count. */
	unsigned max_in_flight;
	int64_t connect_timeout_ms; /* name, TCP and TLS together */
	/* Called before each request is sent: writes the value of the Authorization header ("Bearer ..."), or nothing for
	 * none, and does nothing else. May be NULL. */
	void (*authorization)(void *arg, struct buf *out);
	void *authorization_arg;
};

struct http_client *http_client_new(struct loop *l, const struct http_client_options *o, struct err *err);
/* Cancels what runs, without callbacks. NULL is fine. Not from inside one of its callbacks. */
void http_client_free(struct http_client *c);

#define HTTP_DEFAULT_MAX_BODY_BYTES (1u << 20)

struct http_request {
	const char *method;       /* "GET", ...; copied */
	const char *path;         /* what follows base_url, query included, already escaped; copied */
	const char *content_type; /* of the body; copied */
	const char *accept;       /* NULL: application/json; copied */
	struct slice body;        /* copied; empty: none */
	int64_t timeout_ms;       /* the whole call; 0: none (a watch) */
	int64_t idle_timeout_ms;  /* no byte for so long ends it with ERR_TIMEOUT; 0: none */
	/* Of a collected body, more ends it with ERR_LIMIT; 0: HTTP_DEFAULT_MAX_BODY_BYTES. */
	size_t max_body_bytes;
	bool long_running; /* a stream: not counted by max_in_flight */
};

struct http_response {
	int status;               /* 0 when there was none */
	int64_t retry_after_ms;   /* from Retry-After (seconds or a date), -1 if none */
	struct wall date;         /* the server's clock, in seconds, from Date; not set if none */
	struct slice body;        /* collected; valid during the callback; empty where on_data took it */
	const char *content_type; /* valid during the callback; "" if none */
	bool sent;                /* something of the request may have reached the server */
	bool sent_again;          /* libcurl sent it more than once, by itself; the answer is to the last */
};

struct http_callbacks {
	/* The status line and headers of the final answer are here. May be NULL. */
	void (*on_status)(void *arg, int status);
	/* Body bytes of a 2xx answer as they come; returns 0, or -1 to end the call (ERR_CANCELED is reported). NULL: the
	 * body is collected. Bodies of other answers are always collected. */
	int (*on_data)(void *arg, struct slice data);
	/* Exactly once, last, unless the call was canceled. `err->code` is ERR_NONE when an answer of any status came
	 * in full. Never before http_client_call() has returned. */
	void (*on_done)(void *arg, const struct http_response *r, const struct err *err);
	void *arg;
};

/* Starts a call. Borrowed handle, dead once on_done was called or http_call_cancel() returned. Never fails at once:
 * failures come through on_done. */
struct http_call *http_client_call(struct http_client *c, const struct http_request *r,
                                   const struct http_callbacks *cb);
/* No callback comes any more. May be called from inside on_status, on_data (then return -1) or elsewhere, but not
 * from the call's own on_done. Over HTTP/2 the server may hear of it only with the next request on the connection. */
void http_call_cancel(struct http_call *call);

/* For metrics and tests. */
struct http_client_stats {
	unsigned in_flight, waiting, long_running;
	uint64_t connections_opened; /* that came to stand */
};
struct http_client_stats http_client_stats(const struct http_client *c);

/* Once per process, before the first client / after the last. Ignores SIGPIPE. */
void http_global_init(void);
void http_global_done(void);
const char *http_library_version(void); /* libcurl, TLS and nghttp2 versions in one line; static */
