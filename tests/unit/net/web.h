#pragma once
/* A real HTTP/2 server with TLS for tests: nginx, in front of a backend that the test plays itself on its own loop
 * (struct exchange), so that answers come when and as the test wants. It listens on an address of 127.0.0.0/8 that
 * is this process's own, so that programs which run at the same time do not meet. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define WEB_PORT 20443        /* TLS, certificate for the address */
#define WEB_PORT_NAMED 20444  /* TLS, certificate for web_name only */
#define WEB_PORT_MUTUAL 20445 /* TLS, asks for a client certificate */
#define WEB_PORT_GOAWAY 20446 /* TLS, each connection ends after some requests */
#define WEB_PORT_PLAIN 20447
#define WEB_PORT_BACKEND 20448
#define WEB_PORT_CLOSED 20449 /* nobody listens */
#define WEB_MAX_BODY (8u << 20)

static const char web_name[] = "kubernetes.example";

struct web;

/* One request at the backend. Everything of it is freed when its connection is closed. */
struct exchange {
	uv_tcp_t tcp; /* first: the close callback frees the whole */
	struct web *web;
	struct buf in;
	size_t head_len; /* 0 while it is not here in full */
	bool complete;   /* the whole request is here: web->on_request was called */
	char method[16], path[256];
	struct slice body;
	char space[16384];
};

struct web {
	uv_loop_t *uv;
	char address[16];
	char dir[32];
	pid_t nginx;
	uv_tcp_t backend;
	/* The test's part: called with each complete request. Must end it with exchange_end() some time. */
	void (*on_request)(struct web *w, struct exchange *x);
	void *arg;
	unsigned n_requests;
	struct exchange *held; /* the last one that a test's on_request left open */
	unsigned n_dropped;    /* requests whose peer went away before the end of the answer */
};

static inline void exchange_closed(uv_handle_t *h)
{
	struct exchange *x = (struct exchange *)h;
	buf_done(&x->in);
	free(x);
}

/* Closes the connection; before the end of an answer that is an error for the client. */
static inline void exchange_end(struct exchange *x)
{
	if (x->web->held == x)
		x->web->held = NULL;
	if (!uv_is_closing((uv_handle_t *)&x->tcp))
		uv_close((uv_handle_t *)&x->tcp, exchange_closed);
}

/* Small enough for the socket's buffer, or the test fails. */
static inline void exchange_send(struct exchange *x, const char *text, size_t len)
{
	uv_buf_t b = uv_buf_init(xstrndup(text, len), (unsigned)len);
	int n = uv_try_write((uv_stream_t *)&x->tcp, &b, 1);
	free(b.base);
	assert_int_equal(n, len);
}

/* The head of a streamed answer, and pieces of its body. */
static inline void exchange_begin(struct exchange *x)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
	exchange_send(x, head, strlen(head));
}

static inline void exchange_chunk(struct exchange *x, const char *text)
{
	CLEANUP_BUF struct buf b;
	buf_init(&b, WEB_MAX_BODY);
	buf_addf(&b, "%zx\r\n%s\r\n", strlen(text), text);
	exchange_send(x, b.ptr, b.len);
}

/* A whole answer. */
static inline void exchange_answer(struct exchange *x, const char *status, const char *body)
{
	CLEANUP_BUF struct buf b;
	buf_init(&b, WEB_MAX_BODY);
	buf_addf(&b, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, strlen(body),
	         body);
	exchange_send(x, b.ptr, b.len);
	exchange_end(x);
}

static inline void web_parse(struct exchange *x)
{
	if (x->head_len == 0) {
		const char *end = x->in.len ? strstr(x->in.ptr, "\r\n\r\n") : NULL;
		if (end == NULL)
			return;
		const char *length = strcasestr(x->in.ptr, "\r\nContent-Length:");
		x->body.len = length && length < end ? strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
		x->head_len = (size_t)(end + 4 - x->in.ptr);
	}
	if (x->complete || x->in.len < x->head_len + x->body.len)
		return;
	struct slice rest, line = slice_split(buf_slice(&x->in), '\r', &rest);
	struct slice method = slice_split(line, ' ', &rest), path = slice_split(rest, ' ', &rest);
	str_format(x->method, sizeof(x->method), SLICE_FMT, SLICE_ARG(method));
	str_format(x->path, sizeof(x->path), SLICE_FMT, SLICE_ARG(path));
	x->body.ptr = x->in.ptr + x->head_len;
	x->complete = true;
	x->web->n_requests++;
	x->web->on_request(x->web, x);
}

static inline void web_on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *ret)
{
	(void)wanted;
	struct exchange *x = (struct exchange *)h;
	*ret = uv_buf_init(x->space, sizeof(x->space));
}

static inline void web_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct exchange *x = (struct exchange *)stream;
	if (n < 0) {
		x->web->n_dropped++;
		exchange_end(x);
		return;
	}
	buf_add(&x->in, b->base, (size_t)n);
	assert_false(buf_failed(&x->in));
	web_parse(x);
}

static inline void web_on_connection(uv_stream_t *backend, int status)
{
	assert_int_equal(status, 0);
	struct web *w = backend->data;
	struct exchange *x = xcalloc(1, sizeof(*x));
	x->web = w;
	buf_init(&x->in, WEB_MAX_BODY);
	uv_tcp_init(w->uv, &x->tcp);
	x->tcp.data = w;
	assert_int_equal(uv_accept(backend, (uv_stream_t *)&x->tcp), 0);
	uv_read_start((uv_stream_t *)&x->tcp, web_on_alloc, web_on_read);
	uv_unref((uv_handle_t *)&x->tcp);
}

static inline char *web_path(const struct web *w, const char *file)
{
	return xasprintf("%s/%s", w->dir, file);
}

/* The text of one of the certificates. Caller frees. */
static inline char *web_text(const struct web *w, const char *file)
{
	CLEANUP_FREE char *path = web_path(w, file);
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 20);
	struct err err = ERR_INIT;
	assert_int_equal(file_read(path, &b, &err), 0);
	return buf_steal(&b);
}

static inline void web_write(const struct web *w, const char *file, const char *text)
{
	CLEANUP_FREE char *path = web_path(w, file);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Runs a program in w->dir; it dies with us. */
static inline pid_t web_spawn(const struct web *w, const char *const *argv)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chdir(w->dir) == 0 && freopen("/dev/null", "r", stdin) && freopen("output", "a", stdout) &&
	    dup2(1, 2) == 2 &&
	    setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", 1) == 0)
		execvp(argv[0], (char **)(uintptr_t)argv);
	_exit(127);
}

static inline void web_fail(const struct web *w, const char *program)
{
	CLEANUP_FREE char *output = web_text(w, "output");
	fail_msg("%s (see hack/install-deps.sh) fails: %s", program, output);
}

static inline void web_command(const struct web *w, const char *const *argv)
{
	int status;
	pid_t pid = web_spawn(w, argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		web_fail(w, argv[0]);
}

/* NAME.pem and NAME.key, signed by the key of `ca` (itself when that is the same). */
static inline void web_certificate(const struct web *w, const char *ca, const char *name,
                                   const char *extension)
{
	CLEANUP_FREE char *pem = xasprintf("%s.pem", name), *key = xasprintf("%s.key", name);
	CLEANUP_FREE char *ca_pem = xasprintf("%s.pem", ca), *ca_key = xasprintf("%s.key", ca);
	CLEANUP_FREE char *subject = xasprintf("/CN=%s", name);
	const char *argv[] = {"openssl", "req",      "-x509",
	                      "-config", "req.cnf",  "-newkey",
	                      "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
	                      "-nodes",  "-days",    "2",
	                      "-subj",   subject,    "-keyout",
	                      key,       "-out",     pem,
	                      "-addext", extension,  "-CA",
	                      ca_pem,    "-CAkey",   ca_key,
	                      NULL};
	if (str_eq(ca, name))
		argv[20] = NULL;
	web_command(w, argv);
}

static inline void web_configure(const struct web *w)
{
	static const char locations[] =
		"location = /hello { default_type application/json; return 200 'hello'; }\n"
		"location = /missing { return 404 'nothing here'; }\n"
		"location = /moved { return 302 /hello; }\n"
		"location = /drop { return 444; }\n"
		"location = /about { return 200 "
		"'$server_protocol|$request_method|$request_uri|$http_host|$ssl_server_name|"
		"$ssl_client_s_dn|$http_authorization|$http_accept|$http_user_agent|'; }\n"
		"location = /busy-seconds { add_header Retry-After 7 always; return 429 'busy'; }\n"
		"location = /busy-junk { add_header Retry-After soon always; return 429 'busy'; }\n"
		"location = /busy-huge { add_header Retry-After 99999999999999999 always; return 503 'busy'; }\n";
	char date[64];
	time_t soon = time(NULL) + 60;
	struct tm tm;
	gmtime_r(&soon, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 16);
	buf_addf(&b, "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n"
	             "events { worker_connections 512; }\n"
	             "http {\naccess_log off;\nclient_max_body_size 0;\nlarge_client_header_buffers 4 128k;\n");
	static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
	for (size_t i = 0; i < ARRAY_LEN(temporary); i++)
		buf_addf(&b, "%s_temp_path temp;\n", temporary[i]);
	static const struct {
		int port;
		const char *listen, *certificate, *extra;
	} servers[] = {
		{WEB_PORT, "ssl http2", "server", ""},
		{WEB_PORT_NAMED, "ssl http2", "named", ""},
		{WEB_PORT_MUTUAL, "ssl http2", "server", "ssl_client_certificate ca.pem;\nssl_verify_client on;\n"},
		{WEB_PORT_GOAWAY, "ssl http2", "server", "keepalive_requests 50;\n"},
		{WEB_PORT_PLAIN, "", "server", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(servers); i++)
		buf_addf(&b,
		         "server {\nlisten %s:%d %s;\nssl_certificate %s.pem;\nssl_certificate_key %s.key;\n%s%s"
		         "location = /busy-date { add_header Retry-After '%s' always; return 503 'busy'; }\n"
		         "location / { proxy_pass http://%s:%d; proxy_buffering off; proxy_request_buffering off; "
		         "proxy_http_version 1.1; }\n}\n",
		         w->address, servers[i].port, servers[i].listen, servers[i].certificate,
		         servers[i].certificate, servers[i].extra, locations, date, w->address, WEB_PORT_BACKEND);
	buf_add_str(&b, "}\n");
	web_write(w, "nginx.conf", b.ptr);
}

static inline struct sockaddr_in web_sockaddr(const struct web *w, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	assert_int_equal(inet_pton(AF_INET, w->address, &to.sin_addr), 1);
	return to;
}

static inline void web_wait(struct web *w)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} to = {.v4 = web_sockaddr(w, WEB_PORT_PLAIN)};
	for (int i = 0; i < 1000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc = connect(fd, &to.any, sizeof(to.v4));
		close(fd);
		if (rc == 0)
			return;
		if (waitpid(w->nginx, NULL, WNOHANG) != 0)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	web_fail(w, "nginx");
}

static inline void web_start(struct web *w, uv_loop_t *uv)
{
	*w = (struct web){.uv = uv};
	unsigned pid = (unsigned)getpid();
	str_format(w->address, sizeof(w->address), "127.%u.%u.%u", 1 + (pid >> 16) % 250, (pid >> 8) & 255,
	           pid & 255);
	str_copy(w->dir, sizeof(w->dir), "/tmp/web-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	web_write(w, "output", "");
	web_write(w, "req.cnf", "[req]\ndistinguished_name = dn\n[dn]\n");
	CLEANUP_FREE char *names = xasprintf("subjectAltName=IP:%s,DNS:localhost", w->address);
	CLEANUP_FREE char *name = xasprintf("subjectAltName=DNS:%s", web_name);
	web_certificate(w, "ca", "ca", "basicConstraints=critical,CA:TRUE");
	web_certificate(w, "other-ca", "other-ca", "basicConstraints=critical,CA:TRUE");
	web_certificate(w, "ca", "server", names);
	web_certificate(w, "ca", "named", name);
	web_certificate(w, "ca", "client", "extendedKeyUsage=clientAuth");
	web_configure(w);
	const char *const argv[] = {"nginx", "-p", ".", "-c", "nginx.conf", "-e", "error.log", NULL};
	w->nginx = web_spawn(w, argv);
	web_wait(w);

	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} at = {.v4 = web_sockaddr(w, WEB_PORT_BACKEND)};
	uv_tcp_init(uv, &w->backend);
	w->backend.data = w;
	assert_int_equal(uv_tcp_bind(&w->backend, &at.any, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&w->backend, 512, web_on_connection), 0);
	uv_unref((uv_handle_t *)&w->backend);
}

static inline void web_close_exchange(uv_handle_t *h, void *arg)
{
	if (h->type == UV_TCP && h->data == arg && (void *)h != (void *)&((struct web *)arg)->backend)
		exchange_end((struct exchange *)h);
}

static inline void web_stop(struct web *w)
{
	kill(w->nginx, SIGKILL);
	waitpid(w->nginx, NULL, 0);
	uv_walk(w->uv, web_close_exchange, w);
	uv_close((uv_handle_t *)&w->backend, NULL);
	const char *const argv[] = {"rm", "-rf", w->dir, NULL};
	web_command(w, argv);
}
