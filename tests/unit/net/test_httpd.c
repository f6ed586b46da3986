#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "net/httpd.h"

#define PATIENCE_MS 20000
#define MAX_TEXT (1 << 20)

static int handle_echo(void *arg, const char *query, struct buf *body, const char **content_type)
{
	(void)content_type;
	buf_addf(body, "%s %s\n", (const char *)arg, query);
	return 200;
}

static int handle_unwell(void *arg, const char *query, struct buf *body, const char **content_type)
{
	(void)arg, (void)query;
	*content_type = "application/json";
	buf_add_str(body, "{}");
	return 503;
}

static int handle_empty(void *arg, const char *query, struct buf *body, const char **content_type)
{
	(void)arg, (void)query, (void)body, (void)content_type;
	return 200;
}

static int handle_big(void *arg, const char *query, struct buf *body, const char **content_type)
{
	(void)arg, (void)query, (void)content_type;
	for (int i = 0; i < 50000; i++)
		buf_add_str(body, "0123456789");
	return 200;
}

/* More than the buffers of a connection take. */
static int handle_huge(void *arg, const char *query, struct buf *body, const char **content_type)
{
	for (int i = 0; i < 40; i++)
		handle_big(arg, query, body, content_type);
	return 200;
}

static char echo_arg[] = "hello";

struct server {
	struct loop *loop;
	struct httpd *httpd;
};

static struct server server_start(const char *address)
{
	struct server s = {.loop = loop_new()};
	struct err err = ERR_INIT;
	s.httpd = httpd_new(s.loop, address, &err);
	assert_string_equal(err.message, "");
	assert_non_null(s.httpd);
	httpd_route(s.httpd, "/echo", handle_echo, echo_arg);
	httpd_route(s.httpd, "/unwell", handle_unwell, NULL);
	httpd_route(s.httpd, "/empty", handle_empty, NULL);
	httpd_route(s.httpd, "/big", handle_big, NULL);
	httpd_route(s.httpd, "/huge", handle_huge, NULL);
	return s;
}

static void server_stop(struct server *s)
{
	httpd_free(s->httpd);
	loop_free(s->loop);
}

static int client_to(int family, unsigned port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to = {.any = {0}};
	if (family == AF_INET6)
		to.v6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
	else
		to.v4 = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to.any, family == AF_INET6 ? sizeof(to.v6) : sizeof(to.v4)), 0);
	return fd;
}

static int client(const struct server *s)
{
	return client_to(AF_INET, httpd_port(s->httpd));
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads what is there now; false once the server has closed. */
static bool take(int fd, struct buf *text)
{
	char bytes[4096];
	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		buf_add(text, bytes, (size_t)n);
	}
}

/* Runs the loop until the server has closed this connection. */
static void hear_all(const struct server *s, int fd, struct buf *text)
{
	int64_t begin = mono_now().ms;
	while (take(fd, text)) {
		assert_true(mono_now().ms - begin < PATIENCE_MS);
		uv_run(loop_uv(s->loop), UV_RUN_NOWAIT);
	}
}

/* Runs the loop until the text holds this. */
static void hear(const struct server *s, int fd, struct buf *text, const char *what)
{
	int64_t begin = mono_now().ms;
	while (!slice_contains(buf_slice(text), what)) {
		assert_true(take(fd, text));
		assert_true(mono_now().ms - begin < PATIENCE_MS);
		uv_run(loop_uv(s->loop), UV_RUN_NOWAIT);
	}
}

static void assert_answer(const struct server *s, const char *request_line, const char *const *wants)
{
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int fd = client(s);
	say(fd, request_line);
	say(fd, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear_all(s, fd, &text);
	close(fd);
	for (; *wants; wants++)
		if (!slice_contains(buf_slice(&text), *wants))
			fail_msg("%s: no \"%s\" in: %s", request_line, *wants, text.ptr);
}

#define WANTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void routes_answer(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	assert_answer(
		&s, "GET /echo",
		WANTS("HTTP/1.1 200 OK\r\n", "Content-Type: text/plain; charset=utf-8\r\n", "\r\n\r\nhello \n"));
	assert_answer(&s, "GET /echo?verbose=1&x=%20", WANTS("\r\n\r\nhello verbose=1&x=%20\n"));
	assert_answer(&s, "GET /unwell",
	              WANTS("HTTP/1.1 503 ", "Content-Type: application/json\r\n", "\r\n\r\n{}"));
	assert_answer(&s, "GET /empty", WANTS("HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n"));
	assert_answer(&s, "GET /nowhere", WANTS("HTTP/1.1 404 "));
	assert_answer(&s, "GET /echo/", WANTS("HTTP/1.1 404 "));
	assert_answer(&s, "DELETE /echo", WANTS("HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"));
	assert_answer(&s, "POST /echo", WANTS("HTTP/1.1 405 "));
	server_stop(&s);
	httpd_free(NULL);
}

static void head_has_no_body(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int fd = client(&s);
	say(fd, "HEAD /echo?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear_all(&s, fd, &text);
	close(fd);
	assert_true(slice_contains(buf_slice(&text), "Content-Length: 8\r\n"));
	assert_string_equal(text.ptr + text.len - 4, "\r\n\r\n");
	server_stop(&s);
}

static void a_connection_is_kept_for_more_requests(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int fd = client(&s);
	say(fd, "GET /echo?first HTTP/1.1\r\nHo");
	for (int i = 0; i < 10; i++)
		uv_run(loop_uv(s.loop), UV_RUN_NOWAIT);
	say(fd, "st: x\r\n\r\n");
	hear(&s, fd, &text, "hello first\n");
	/* Two at once, and the query of the one before is forgotten. */
	say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?third HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(&s, fd, &text, "hello \n");
	hear(&s, fd, &text, "hello third\n");
	/* Larger than the socket buffers. */
	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear_all(&s, fd, &text);
	assert_true(text.len > 500000);
	close(fd);
	server_stop(&s);
}

static void bodies_are_refused(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int fd = client(&s);
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
	hear_all(&s, fd, &text);
	assert_true(slice_contains(buf_slice(&text), " 405 "));
	close(fd);
	/* Garbage, and a head beyond the memory of a connection. */
	buf_clear(&text);
	fd = client(&s);
	say(fd, "\x16\x03\x01 nonsense\r\n\r\n");
	hear_all(&s, fd, &text);
	close(fd);
	fd = client(&s);
	say(fd, "GET /");
	for (int i = 0; i < 100; i++)
		say(fd, "0123456789012345678901234567890123456789012345678901234567890123456789"
		        "0123456789012345678901234567890123456789012345678901234567890123456789"
		        "0123456789012345678901234567890123456789012345678901234567890123456789");
	buf_clear(&text);
	hear_all(&s, fd, &text);
	assert_true(slice_contains(buf_slice(&text), " 414 "));
	close(fd);
	server_stop(&s);
}

static void all_addresses_are_ipv4_and_ipv6(void **state)
{
	(void)state;
	struct server s = server_start(":0");
	static const int families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		CLEANUP_BUF struct buf text;
		buf_init(&text, MAX_TEXT);
		int fd = client_to(families[i], httpd_port(s.httpd));
		say(fd, "GET /echo HTTP/1.0\r\n\r\n");
		hear_all(&s, fd, &text);
		assert_true(slice_contains(buf_slice(&text), "200 OK"));
		close(fd);
	}
	server_stop(&s);
	s = server_start("[::1]:0");
	close(client_to(AF_INET6, httpd_port(s.httpd)));
	server_stop(&s);
}

static void bad_addresses_are_refused(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	static const char *const bad[] = {
		"", "8080", "host:", "host:http", "::1:80", ":65536", ":-1", "[::1]", "no.such.host.invalid:0"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;
		assert_null(httpd_new(l, bad[i], &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.message, "listen address"));
	}
	struct server s = server_start("127.0.0.1:0");
	char address[32];
	str_format(address, sizeof(address), "127.0.0.1:%u", httpd_port(s.httpd));
	struct err err = ERR_INIT;
	assert_null(httpd_new(l, address, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.message, "Address already in use"));
	server_stop(&s);
	loop_free(l);
}

static void count_iteration(uv_prepare_t *h)
{
	++*(int *)h->data;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* How often the loop goes round in this time. */
static int iterations(struct loop *l, int64_t ms)
{
	int n = 0;
	uv_prepare_t prepare = {.data = &n};
	uv_prepare_init(loop_uv(l), &prepare);
	uv_prepare_start(&prepare, count_iteration);
	struct loop_timer *t = loop_timer_new(l, stop_loop, l);
	loop_timer_arm(t, ms);
	loop_run(l);
	loop_timer_free(t);
	uv_close((uv_handle_t *)&prepare, NULL);
	uv_run(loop_uv(l), UV_RUN_NOWAIT);
	return n;
}

static void nothing_to_do_means_no_wake_ups(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int kept = client(&s), half = client(&s), silent = client(&s);
	say(kept, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(&s, kept, &text, "hello \n");
	say(half, "GET /echo HT");
	iterations(s.loop, 50);
	assert_in_range(iterations(s.loop, 300), 1, 3);
	close(kept);
	close(half);
	close(silent);
	iterations(s.loop, 50);
	assert_in_range(iterations(s.loop, 300), 1, 3);
	server_stop(&s);
}

#define SLOW_CLIENTS 64

/* As many slow clients as the server has room for: they are cut off after 10 s, whatever they do, and then the probe
 * that waited is answered. */
static void slow_clients_are_cut_off(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	CLEANUP_BUF struct buf text;
	buf_init(&text, MAX_TEXT);
	int slow[SLOW_CLIENTS];
	int64_t begin = mono_now().ms; /* of the first one's time */
	for (size_t i = 0; i < SLOW_CLIENTS; i++) {
		slow[i] = client(&s);
		if (i % 3 == 1)
			say(slow[i], "GET /echo HTTP/1.1\r\nX: ");
		else if (i == 2) /* never reads its answer */
			say(slow[i], "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (int i = 0; i < 100; i++)
		uv_run(loop_uv(s.loop), UV_RUN_NOWAIT);
	int probe = client(&s);
	say(probe, "GET /echo?probe HTTP/1.0\r\n\r\n");
	iterations(s.loop, 50);
	assert_in_range(iterations(s.loop, 300), 1, 3); /* a full house is no busy loop */
	bool answered = false;
	while (!answered && mono_now().ms - begin < PATIENCE_MS) {
		for (size_t i = 1; i < SLOW_CLIENTS; i += 3)
			send(slow[i], "x", 1, MSG_NOSIGNAL); /* a byte now and then */
		iterations(s.loop, 200);
		take(probe, &text);
		answered = slice_contains(buf_slice(&text), "hello probe\n");
	}
	int64_t waited_ms = mono_now().ms - begin;
	assert_true(answered);
	assert_in_range(waited_ms, 9000, 18000);
	iterations(s.loop, 500); /* until all of them have had their time */
	for (size_t i = 0; i < SLOW_CLIENTS; i++) {
		buf_clear(&text);
		hear_all(&s, slow[i], &text);
		close(slow[i]);
	}
	close(probe);
	server_stop(&s);
}

static void freed_with_clients_connected(void **state)
{
	(void)state;
	struct server s = server_start("127.0.0.1:0");
	int half = client(&s), big = client(&s), silent = client(&s);
	say(half, "GET /echo?query HTTP/1.1\r\nHost");
	say(big, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	iterations(s.loop, 50);
	server_stop(&s);
	close(half);
	close(big);
	close(silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_answer),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(a_connection_is_kept_for_more_requests),
		cmocka_unit_test(bodies_are_refused),
		cmocka_unit_test(all_addresses_are_ipv4_and_ipv6),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(nothing_to_do_means_no_wake_ups),
		cmocka_unit_test(slow_clients_are_cut_off),
		cmocka_unit_test(freed_with_clients_connected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
