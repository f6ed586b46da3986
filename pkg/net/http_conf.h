#pragma once
/* What is the same for every transfer of one client: address, TLS identity, proxy. Private to pkg/net. */
#include <curl/curl.h>
#include "net/http.h"

struct http_conf {
	char *url;   /* what a request's path is appended to */
	char *shown; /* the same for messages: no credentials, the server's own name */
	bool tls;
	/* Set when tls_server_name differs from the host: the URL then names the former, so that libcurl verifies and
	 * sends it, and these lead to the server and name it in the request. */
	struct curl_slist *connect_to;
	char *host_header;
	char *ca_file, *ca_pem;
	char *cert_file, *key_file, *cert_pem, *key_pem;
	bool insecure_skip_verify;
	char *proxy_url;
	char *user_agent;
	long connect_timeout_ms;
};

int http_conf_init(struct http_conf *conf, const struct http_client_options *o, struct err *err);
void http_conf_done(struct http_conf *conf);
/* conf must outlive the handle. */
CURLcode http_conf_apply(const struct http_conf *conf, CURL *easy);
