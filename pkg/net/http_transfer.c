#include <ctype.h>
#include "base/mem.h"
#include "net/http_call.h"

#define MAX_AUTHORIZATION_BYTES 65536
#define MAX_SHOWN_PATH 400

void http_call_set_err(struct http_call *call, enum err_code code, const char *text)
{
	/* The query may hold a secret, or a continue token of some kilobytes. */
	int path_len = (int)strcspn(call->path, "?");
	/* A word, not a name like "OpenSSL". */
	size_t small = isupper((unsigned char)text[0]) ? strspn(text + 1, "abcdefghijklmnopqrstuvwxyz'") : 0;
	bool capitalised = small > 0 && !isupper((unsigned char)text[1 + small]);
	err_set(&call->err, code, "%s %s%.*s: %c%s", call->method, call->client->conf.shown,
	        path_len > MAX_SHOWN_PATH ? MAX_SHOWN_PATH : path_len, call->path,
	        capitalised ? tolower((unsigned char)text[0]) : text[0], text + 1);
}

/* Whose certificate is not good, and what its chain was held against. */
static void set_distrust_err(struct http_call *call, enum err_code code, const char *said)
{
	static const char of_chain[] = "SSL certificate problem: ", of_name[] = "SSL: ";
	const struct http_conf *conf = &call->client->conf;
	char text[CURL_ERROR_SIZE + 256];
	if (str_starts(said, of_chain))
		str_format(text, sizeof(text), "the server's certificate is not trusted: %s (trusted: %s)",
		           said + strlen(of_chain),
		           conf->ca_file  ? conf->ca_file
		           : conf->ca_pem ? "the given certificate authority"
		                          : "the system's certificate authorities");
	else
		str_format(text, sizeof(text), "the server's certificate is not trusted: %s",
		           str_starts(said, of_name) ? said + strlen(of_name) : said);
	http_call_set_err(call, code, text);
}

void http_call_set_curl_err(struct http_call *call, CURLcode result)
{
	if (call->stopped == ERR_CANCELED) {
		http_call_set_err(call, ERR_CANCELED, "ended by the receiver");
		return;
	}
	if (call->stopped == ERR_LIMIT) {
		char text[64];
		str_format(text, sizeof(text), "the answer is larger than %zu bytes", call->body.max);
		http_call_set_err(call, ERR_LIMIT, text);
		return;
	}
	enum err_code code = call->sent ? ERR_TRANSPORT : ERR_CONNECT;
	if (result == CURLE_URL_MALFORMAT)
		code = ERR_INVALID;
	long os_errno = 0;
	if (result == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (os_errno != 0) {
		char text[128];
		str_format(text, sizeof(text), "%s%s", call->client->conf.proxy_url ? "the proxy: " : "",
		           strerror((int)os_errno));
		http_call_set_err(call, code, text);
		return;
	}
	const char *said = call->curl_error[0] ? call->curl_error : curl_easy_strerror(result);
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		set_distrust_err(call, code, said);
	else
		http_call_set_err(call, code, said);
}

/* Callbacks of libcurl. All but the first end the transfer by returning less than they were given. */

static bool is_over(const struct http_call *call)
{
	return call->state != CALL_RUNNING || call->canceled;
}

/* A connection stands, TLS included, and the request goes out now: the only certain sign, also where libcurl tries
 * again on another connection. */
static int on_before_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	(void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
	struct http_call *call = arg;
	long connects = call->connects;
	curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects);
	call->client->connections_opened += (uint64_t)(connects - call->connects);
	call->connects = connects;
	call->sent_again = call->sent;
	call->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	(void)size; /* always 1 */
	struct http_call *call = arg;
	if (is_over(call))
		return 0;
	call->last_byte = loop_now(call->client->loop);
	bool at_end = n > 0 && (data[0] == '\r' || data[0] == '\n');
	long status = 0;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Not after an interim answer, nor after trailers. */
	if (!at_end || status < 200 || call->status != 0)
		return n;
	call->status = (int)status;
	if (call->cb.on_status)
		call->cb.on_status(call->cb.arg, call->status);
	return is_over(call) ? 0 : n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	(void)size; /* always 1 */
	struct http_call *call = arg;
	if (is_over(call) || call->stopped != ERR_NONE)
		return 0;
	call->last_byte = loop_now(call->client->loop);
	if (n == 0)
		return 0;
	if (call->cb.on_data && call->status < 300) {
		if (call->cb.on_data(call->cb.arg, (struct slice){data, n}) == 0 && !is_over(call))
			return n;
		call->stopped = ERR_CANCELED;
		return 0;
	}
	buf_add(&call->body, data, n);
	if (!buf_failed(&call->body))
		return n;
	call->stopped = ERR_LIMIT;
	return 0;
}

static void add_header(struct http_call *call, const char *line)
{
	call->headers = curl_slist_append(call->headers, line);
	if (call->headers == NULL)
		abort(); /* no memory */
}

static void add_header_value(struct http_call *call, const char *name, const char *value)
{
	CLEANUP_FREE char *line = xasprintf("%s: %s", name, value);
	add_header(call, line);
}

static int add_authorization(struct http_call *call)
{
	struct http_client *c = call->client;
	CLEANUP_BUF struct buf value;
	buf_init(&value, MAX_AUTHORIZATION_BYTES);
	if (c->authorization)
		c->authorization(c->authorization_arg, &value);
	bool clean = !buf_failed(&value);
	for (size_t i = 0; i < value.len && clean; i++)
		clean = (unsigned char)value.ptr[i] >= ' ';
	if (!clean) {
		http_call_set_err(call, ERR_INVALID, "the credentials are too long or hold a control character");
		return -1;
	}
	if (value.len > 0)
		add_header_value(call, "Authorization", value.ptr);
	return 0;
}

static int add_headers(struct http_call *call)
{
	add_header_value(call, "Accept", call->accept ? call->accept : "application/json");
	if (call->client->conf.host_header)
		add_header(call, call->client->conf.host_header);
	if (call->request_body_len > 0) {
		/* An empty value removes what libcurl would send: a form's type, "100-continue". */
		add_header_value(call, "Content-Type", call->content_type ? call->content_type : "");
		add_header(call, "Expect:");
	}
	return add_authorization(call);
}

#define SET(option, value)                                        \
	do {                                                          \
		if (rc == CURLE_OK)                                       \
			rc = curl_easy_setopt(call->easy, (option), (value)); \
	} while (0)

static CURLcode set_method(struct http_call *call)
{
	CURLcode rc = CURLE_OK;
	if (call->request_body_len > 0 || str_eq(call->method, "POST") || str_eq(call->method, "PUT") ||
	    str_eq(call->method, "PATCH")) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request_body_len);
		SET(CURLOPT_POSTFIELDS, call->request_body ? call->request_body : "");
	} else if (str_eq(call->method, "HEAD")) {
		SET(CURLOPT_NOBODY, 1L);
		return rc;
	}
	SET(CURLOPT_CUSTOMREQUEST, call->method);
	return rc;
}

static CURLcode set_options(struct http_call *call)
{
	CLEANUP_FREE char *url = xasprintf("%s%s", call->client->conf.url, call->path);
	CURLcode rc = http_conf_apply(&call->client->conf, call->easy);
	if (rc == CURLE_OK)
		rc = set_method(call);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_HTTPHEADER, call->headers);
	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_ERRORBUFFER, call->curl_error);
	SET(CURLOPT_PREREQFUNCTION, on_before_request);
	SET(CURLOPT_PREREQDATA, call);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, call);
	return rc;
}

int http_call_begin(struct http_call *call)
{
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		abort(); /* no memory */
	if (add_headers(call) != 0)
		return -1;
	CURLcode rc = set_options(call);
	if (rc != CURLE_OK) {
		http_call_set_curl_err(call, rc);
		return -1;
	}
	if (curl_multi_add_handle(http_multi_handle(call->client->multi), call->easy) != CURLM_OK)
		abort(); /* no memory, or libcurl is on the stack */
	return 0;
}
