#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "http_reply.h"

static void refused_connections_have_sent_nothing(void **state)
{
	(void)state;
	struct http_client *c = client_of(WEB_PORT_CLOSED, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0}, v6 = {0}, unknown = {0}, credentials = {0};
	CLEANUP_FREE char *want =
		xasprintf("POST http://%s:%d/api/v1/x: connection refused", web.address, WEB_PORT_CLOSED);
	call(c, &r, (struct http_request){.path = "/api/v1/x?token=secret", .method = "POST"});
	WAIT(r.done);
	assert_failure(&r, ERR_CONNECT, false, want);
	assert_string_equal(r.message, want);
	assert_int_equal(r.status, 0);
	assert_int_equal(http_client_stats(c).connections_opened, 0);
	http_client_free(c);

	c = client_of(0, (struct http_client_options){.base_url = "https://[::1]:1"});
	call(c, &v6, (struct http_request){.path = "/x"});
	WAIT(v6.done);
	assert_failure(&v6, ERR_CONNECT, false, "GET https://[::1]:1/x: connection refused");
	http_client_free(c);

	c = client_of(0, (struct http_client_options){.base_url = "https://no.such.host.invalid"});
	call(c, &unknown, (struct http_request){.path = "/x"});
	WAIT(unknown.done);
	assert_failure(&unknown, ERR_CONNECT, false,
	               "GET https://no.such.host.invalid/x: could not resolve host");
	http_client_free(c);

	c = client_of(0, (struct http_client_options){.base_url = "http://me:secret@127.0.0.1:1/prefix/"});
	call(c, &credentials, (struct http_request){.path = "/x"});
	WAIT(credentials.done);
	assert_string_equal(credentials.message, "GET http://127.0.0.1:1/prefix/x: connection refused");
	http_client_free(c);
}

static void an_unanswered_connect_times_out(void **state)
{
	(void)state;
	/* The kernel takes the connection for us, nobody speaks TLS on it. */
	struct sockaddr_in at = web_sockaddr(&web, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(at);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	CLEANUP_FREE char *url = xasprintf("https://%s:%u", web.address, ntohs(at.sin_port));
	struct http_client *c =
		client_of(0, (struct http_client_options){.base_url = url, .connect_timeout_ms = 200});
	CLEANUP_REPLY struct reply r = {0}, whole = {0};
	call(c, &r, (struct http_request){.path = "/x", .timeout_ms = 10000});
	WAIT(r.done);
	assert_failure(&r, ERR_CONNECT, false, "timeout");
	http_client_free(c);
	c = client_of(0, (struct http_client_options){.base_url = url});
	call(c, &whole, (struct http_request){.path = "/x", .timeout_ms = 100});
	WAIT(whole.done);
	assert_failure(&whole, ERR_TIMEOUT, false, "not answered within 0.1 s");
	http_client_free(c);
	close(fd);
}

static void only_the_given_ca_is_trusted(void **state)
{
	(void)state;
	CLEANUP_FREE char *ca = web_text(&web, "ca.pem"), *other = web_text(&web, "other-ca.pem");
	CLEANUP_FREE char *other_path = web_path(&web, "other-ca.pem");
	CLEANUP_FREE char *url = xasprintf("https://%s:%d", web.address, WEB_PORT);
	const struct {
		struct http_client_options o;
		enum err_code code;
		const char *message;
	} cases[] = {
		{{.ca_pem = ca}, ERR_NONE, ""},
		{{.ca_pem = other},
	     ERR_CONNECT,
	     "not trusted: unable to get local issuer certificate (trusted: the given"},
		{{.ca_file = other_path}, ERR_CONNECT, other_path},
		{{.ca_file = "/nowhere/ca.pem"}, ERR_CONNECT, "/nowhere/ca.pem"},
		{{.ca_pem = "rubbish"}, ERR_CONNECT, "certificate"},
		{{.ca_file = other_path, .insecure_skip_verify = true}, ERR_NONE, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client *c = client_of(WEB_PORT, cases[i].o);
		CLEANUP_REPLY struct reply r = {0};
		call(c, &r, (struct http_request){.path = "/hello"});
		WAIT(r.done);
		if (cases[i].code == ERR_NONE)
			assert_answer(&r, 200, "hello");
		else
			assert_failure(&r, cases[i].code, false, cases[i].message);
		http_client_free(c);
	}
	/* Without a CA: the system's, which do not know ours. */
	struct http_client_options o = {
		.base_url = url, .max_connections = 2, .max_in_flight = 1, .connect_timeout_ms = 10000};
	struct err err = ERR_INIT;
	struct http_client *c = http_client_new(loop, &o, &err);
	CLEANUP_REPLY struct reply r = {0};
	call(c, &r, (struct http_request){.path = "/hello"});
	WAIT(r.done);
	assert_failure(&r, ERR_CONNECT, false, "certificate");
	http_client_free(c);
}

static void another_name_is_verified(void **state)
{
	(void)state;
	struct http_client *c =
		client_of(WEB_PORT_NAMED, (struct http_client_options){.tls_server_name = web_name});
	CLEANUP_REPLY struct reply r = {0}, refused = {0}, wrong = {0}, same = {0};
	call(c, &r, (struct http_request){.path = "/about"});
	WAIT(r.done);
	CLEANUP_FREE char *about =
		xasprintf("HTTP/2.0|GET|/about|%s:%d|%s|||application/json||", web.address, WEB_PORT_NAMED, web_name);
	assert_answer(&r, 200, about);
	http_client_free(c);

	c = client_of(WEB_PORT_NAMED, (struct http_client_options){0});
	call(c, &refused, (struct http_request){.path = "/about"});
	WAIT(refused.done);
	assert_failure(
		&refused, ERR_CONNECT, false,
		"the server's certificate is not trusted: no alternative certificate subject name matches");
	http_client_free(c);

	c = client_of(WEB_PORT, (struct http_client_options){.tls_server_name = web_name});
	call(c, &wrong, (struct http_request){.path = "/about"});
	WAIT(wrong.done);
	CLEANUP_FREE char *prefix = xasprintf("GET https://%s:%d/about: ", web.address, WEB_PORT);
	assert_failure(&wrong, ERR_CONNECT, false, prefix);
	http_client_free(c);

	c = client_of(WEB_PORT, (struct http_client_options){.tls_server_name = web.address});
	call(c, &same, (struct http_request){.path = "/hello"});
	WAIT(same.done);
	assert_answer(&same, 200, "hello");
	http_client_free(c);
}

static void a_client_certificate_is_shown(void **state)
{
	(void)state;
	CLEANUP_FREE char *cert_path = web_path(&web, "client.pem"), *key_path = web_path(&web, "client.key");
	CLEANUP_FREE char *cert = web_text(&web, "client.pem"), *key = web_text(&web, "client.key");
	CLEANUP_FREE char *other_key = web_text(&web, "server.key");
	const struct {
		struct http_client_options o;
		bool good;
	} cases[] = {
		{{.cert_file = cert_path, .key_file = key_path}, true},
		{{.cert_pem = cert, .key_pem = key}, true},
		{{.cert_pem = cert, .key_pem = other_key}, false},
		{{.cert_file = "/nowhere", .key_file = key_path}, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client *c = client_of(WEB_PORT_MUTUAL, cases[i].o);
		CLEANUP_REPLY struct reply r = {0};
		call(c, &r, (struct http_request){.path = "/about"});
		WAIT(r.done);
		if (cases[i].good)
			assert_non_null(strstr(r.body.ptr, "|CN=client|"));
		else
			assert_failure(&r, ERR_CONNECT, false, "");
		http_client_free(c);
	}
	struct http_client *c = client_of(WEB_PORT_MUTUAL, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0};
	call(c, &r, (struct http_request){.path = "/about"});
	WAIT(r.done);
	assert_int_equal(r.status, 400);
	http_client_free(c);
}

static void authorize(void *arg, struct buf *out)
{
	unsigned *n = arg;
	if (++*n == 1)
		return;
	if (*n == 5)
		buf_add_str(out, "Bearer a\r\nX-Injected: b");
	else
		buf_addf(out, "Bearer secret-%u", *n);
}

static void credentials_are_asked_for_each_call(void **state)
{
	(void)state;
	unsigned n = 0;
	struct http_client *c = client_of(
		WEB_PORT, (struct http_client_options){.authorization = authorize, .authorization_arg = &n});
	static const char *const wants[] = {"|||", "||Bearer secret-2|", "||Bearer secret-3|",
	                                    "||Bearer secret-4|"};
	for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
		CLEANUP_REPLY struct reply r = {0};
		call(c, &r, (struct http_request){.path = "/about"});
		WAIT(r.done);
		assert_non_null(strstr(r.body.ptr, wants[i]));
	}
	CLEANUP_REPLY struct reply bad = {0};
	call(c, &bad, (struct http_request){.path = "/about"});
	WAIT(bad.done);
	assert_failure(&bad, ERR_INVALID, false, "/about: the credentials");
	assert_null(strstr(bad.message, "Bearer"));
	http_client_free(c);
}

static int connects_to_proxy;

static void refuse_connect(struct web *w, struct exchange *x)
{
	(void)w;
	CLEANUP_FREE char *target = xasprintf("%s:%d", web.address, WEB_PORT_NAMED);
	assert_string_equal(x->method, "CONNECT");
	assert_string_equal(x->path, target);
	connects_to_proxy++;
	exchange_answer(x, "502 Bad Gateway", "no");
}

static void only_the_given_proxy_is_used(void **state)
{
	(void)state;
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "*", 1);
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply direct = {0}, refused = {0}, through = {0};
	call(c, &direct, (struct http_request){.path = "/hello"});
	WAIT(direct.done);
	assert_answer(&direct, 200, "hello");
	http_client_free(c);

	c = client_of(WEB_PORT, (struct http_client_options){.proxy_url = "http://user:secret@127.0.0.1:1"});
	call(c, &refused, (struct http_request){.path = "/hello"});
	WAIT(refused.done);
	assert_failure(&refused, ERR_CONNECT, false, "/hello: the proxy: Connection refused");
	assert_null(strstr(refused.message, "secret"));
	http_client_free(c);

	/* The proxy is asked for the server, also where another name is verified; its refusal is not an answer. */
	web.on_request = refuse_connect;
	CLEANUP_FREE char *proxy = xasprintf("http://%s:%d", web.address, WEB_PORT_BACKEND);
	c = client_of(WEB_PORT_NAMED,
	              (struct http_client_options){.proxy_url = proxy, .tls_server_name = web_name});
	call(c, &through, (struct http_request){.path = "/hello"});
	WAIT(through.done);
	assert_failure(&through, ERR_CONNECT, false, "502");
	assert_int_equal(through.status, 0);
	assert_int_equal(connects_to_proxy, 1);
	http_client_free(c);
	unsetenv("https_proxy");
	unsetenv("no_proxy");
}

static void bad_urls_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *url, *name;
	} cases[] = {
		{"", NULL},
		{"/path", NULL},
		{"ftp://host", NULL},
		{"https://me:secret@host:99999", NULL},
		{"https://host", "a b"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_client_options o = {.base_url = cases[i].url,
		                                .tls_server_name = cases[i].name,
		                                .max_connections = 2,
		                                .max_in_flight = 2};
		struct err err = ERR_INIT;
		assert_null(http_client_new(loop, &o, &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_null(strstr(err.message, "secret"));
	}
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0};
	call(c, &r, (struct http_request){.path = "/a b\r\nX: y"});
	WAIT(r.done);
	assert_failure(&r, ERR_INVALID, false, "");
	http_client_free(c);
}

static void versions_are_named(void **state)
{
	(void)state;
	assert_non_null(strstr(http_library_version(), "libcurl/"));
	assert_non_null(strstr(http_library_version(), "nghttp2/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(refused_connections_have_sent_nothing),
		HTTP_TEST(an_unanswered_connect_times_out),
		HTTP_TEST(only_the_given_ca_is_trusted),
		HTTP_TEST(another_name_is_verified),
		HTTP_TEST(a_client_certificate_is_shown),
		HTTP_TEST(credentials_are_asked_for_each_call),
		HTTP_TEST(only_the_given_proxy_is_used),
		HTTP_TEST(bad_urls_are_refused),
		HTTP_TEST(versions_are_named),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
