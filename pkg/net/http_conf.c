#include "net/http_conf.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "base/mem.h"
#include "base/str.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or newer is needed (CURLOPT_CA_CACHE_TIMEOUT)"
#endif

#define KEEPALIVE_IDLE_S 30L
#define KEEPALIVE_INTERVAL_S 10L
/* libcurl uses no connection again that has rested for 118 s: the first write after that would wait for TLS. Keep-alive
 * tells whether a resting one is still good. */
#define IDLE_CONNECTION_MAX_S 3600L
#define USER_TIMEOUT_MS 60000u
#define UPLOAD_BUFFER_BYTES 16384L

static char *dup_or_null(const char *s)
{
	return str_empty(s) ? NULL : xstrdup(s);
}

static void cleanup_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void cleanup_curl_str(char **s)
{
	curl_free(*s);
}

/* The whole URL without the slash at its end. */
static char *url_text(CURLU *u)
{
	char *text CLEANUP(cleanup_curl_str) = NULL;
	if (curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
		abort(); /* no memory: its parts are known to be good */
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '/')
		len--;
	return xstrndup(text, len);
}

static int use_server_name(struct http_conf *conf, CURLU *u, const char *name, struct err *err)
{
	char *host CLEANUP(cleanup_curl_str) = NULL;
	char *port CLEANUP(cleanup_curl_str) = NULL;
	if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		abort();
	if (str_eq(host, name))
		return 0;
	if (curl_url_set(u, CURLUPART_HOST, name, 0) != CURLUE_OK)
		return err_set(err, ERR_INVALID, "TLS server name \"%s\": not a host name", name);
	free(conf->url);
	conf->url = url_text(u);
	conf->host_header =
		str_eq(port, "443") ? xasprintf("Host: %s", host) : xasprintf("Host: %s:%s", host, port);
	CLEANUP_FREE char *target = xasprintf("::%s:%s", host, port);
	conf->connect_to = curl_slist_append(NULL, target);
	if (conf->connect_to == NULL)
		abort();
	return 0;
}

static int set_url(struct http_conf *conf, const struct http_client_options *o, struct err *err)
{
	CURLU *u CLEANUP(cleanup_curlu) = curl_url();
	char *scheme CLEANUP(cleanup_curl_str) = NULL;
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, o->base_url, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	/* Not quoted: it may hold a password. */
	if (rc != CURLUE_OK)
		return err_set(err, ERR_INVALID, "server URL: %s", curl_url_strerror(rc));
	conf->tls = str_eq(scheme, "https");
	if (!conf->tls && !str_eq(scheme, "http"))
		return err_set(err, ERR_INVALID, "server URL: neither https nor http but %s", scheme);
	conf->url = url_text(u);
	if (conf->tls && !str_empty(o->tls_server_name) && use_server_name(conf, u, o->tls_server_name, err) != 0)
		return -1;
	rc = curl_url_set(u, CURLUPART_URL, o->base_url, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_set(u, CURLUPART_USER, NULL, 0);
	if (rc == CURLUE_OK)
		rc = curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	if (rc != CURLUE_OK)
		abort();
	conf->shown = url_text(u);
	return 0;
}

int http_conf_init(struct http_conf *conf, const struct http_client_options *o, struct err *err)
{
	*conf = (struct http_conf){
		.ca_file = dup_or_null(o->ca_file),
		.ca_pem = dup_or_null(o->ca_pem),
		.cert_file = dup_or_null(o->cert_file),
		.key_file = dup_or_null(o->key_file),
		.cert_pem = dup_or_null(o->cert_pem),
		.key_pem = dup_or_null(o->key_pem),
		.insecure_skip_verify = o->insecure_skip_verify,
		.user_agent = dup_or_null(o->user_agent),
		.connect_timeout_ms = (long)o->connect_timeout_ms,
	};
	/* As every Kubernetes client: the proxy resolves the name. */
	if (!str_empty(o->proxy_url) && str_starts(o->proxy_url, "socks5://"))
		conf->proxy_url = xasprintf("socks5h%s", o->proxy_url + strlen("socks5"));
	else
		conf->proxy_url = dup_or_null(o->proxy_url);
	if (set_url(conf, o, err) == 0)
		return 0;
	http_conf_done(conf);
	return -1;
}

void http_conf_done(struct http_conf *conf)
{
	curl_slist_free_all(conf->connect_to);
	free(conf->url);
	free(conf->shown);
	free(conf->host_header);
	free(conf->ca_file);
	free(conf->ca_pem);
	free(conf->cert_file);
	free(conf->key_file);
	free(conf->cert_pem);
	free(conf->key_pem);
	free(conf->proxy_url);
	free(conf->user_agent);
	*conf = (struct http_conf){0};
}

/* Keep-alive finds a dead peer while nothing is under way, this one while something is. */
static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg, (void)purpose;
	unsigned ms = USER_TIMEOUT_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return CURL_SOCKOPT_OK;
}

/* Stops at the first failure. */
#define SET(option, value)                                  \
	do {                                                    \
		if (rc == CURLE_OK)                                 \
			rc = curl_easy_setopt(easy, (option), (value)); \
	} while (0)

static CURLcode set_blob(CURL *easy, CURLoption option, char *pem)
{
	struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};
	return curl_easy_setopt(easy, option, &blob);
}

static CURLcode apply_tls(const struct http_conf *conf, CURL *easy)
{
	CURLcode rc = CURLE_OK;
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* Where a CA is given, nothing else is trusted: libcurl would add the system's directory. */
	if (conf->ca_file || conf->ca_pem)
		SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CA_CACHE_TIMEOUT, 0L); /* a rotated CA file is seen by the next connection */
	if (conf->ca_file)
		SET(CURLOPT_CAINFO, conf->ca_file);
	if (conf->ca_pem && rc == CURLE_OK)
		rc = set_blob(easy, CURLOPT_CAINFO_BLOB, conf->ca_pem);
	if (conf->cert_file)
		SET(CURLOPT_SSLCERT, conf->cert_file);
	if (conf->key_file)
		SET(CURLOPT_SSLKEY, conf->key_file);
	if (conf->cert_pem && rc == CURLE_OK)
		rc = set_blob(easy, CURLOPT_SSLCERT_BLOB, conf->cert_pem);
	if (conf->key_pem && rc == CURLE_OK)
		rc = set_blob(easy, CURLOPT_SSLKEY_BLOB, conf->key_pem);
	SET(CURLOPT_KEYPASSWD, ""); /* an encrypted key fails; without this OpenSSL asks on the terminal */
	if (conf->insecure_skip_verify) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (conf->connect_to)
		SET(CURLOPT_CONNECT_TO, conf->connect_to);
	return rc;
}

CURLcode http_conf_apply(const struct http_conf *conf, CURL *easy)
{
	CURLcode rc = CURLE_OK;
	SET(CURLOPT_NOSIGNAL, 1L);
	/* A call that ends while its host is looked up does not wait for the resolver, which may take half a minute. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_PROTOCOLS_STR, conf->tls ? "https" : "http");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_PIPEWAIT, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROXY, conf->proxy_url ? conf->proxy_url : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	SET(CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_MAX_S);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	SET(CURLOPT_CONNECTTIMEOUT_MS, conf->connect_timeout_ms);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);
	if (conf->user_agent)
		SET(CURLOPT_USERAGENT, conf->user_agent);
	if (conf->tls && rc == CURLE_OK)
		rc = apply_tls(conf, easy);
	return rc;
}
