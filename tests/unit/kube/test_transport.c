/* Connections that have gone silent, over HTTP/2: nginx in front of a scripted server that does not answer. */
#include "kube/transport.h"
#include "tls_files.h"

#define PORT 20460

struct fixture {
	struct folder files;
	struct server server;
	char address[16]; /* of 127.0.0.0/8, this process's own */
	pid_t nginx;
	struct patient_loop loop;
	struct transport *transport;
};

struct answer {
	struct loop *loop;
	struct transport_call *call;
	unsigned n_data, n_done;
	struct err err;
	int status;
	char body[64];
};

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct answer *a = arg;
	a->n_done++;
	a->err = *err;
	a->status = r->status;
	str_format(a->body, sizeof(a->body), SLICE_FMT, SLICE_ARG(r->body));
	loop_stop(a->loop);
}

static int on_data(void *arg, struct slice data)
{
	struct answer *a = arg;
	a->n_data++;
	(void)data;
	loop_stop(a->loop);
	return 0;
}

static void start(struct fixture *f, const char *path, int64_t timeout_ms, struct answer *a)
{
	bool stream = str_eq(path, "/stream");
	struct http_request r = {.method = "GET", .path = path, .timeout_ms = timeout_ms, .long_running = stream};
	struct http_callbacks cb = {.on_data = stream ? on_data : NULL, .on_done = on_done, .arg = a};
	*a = (struct answer){.loop = f->loop.loop, .err = ERR_INIT};
	a->call = transport_call(f->transport, TRANSPORT_READS, &r, &cb);
}

static void call(struct fixture *f, const char *path, int64_t timeout_ms, struct answer *a)
{
	start(f, path, timeout_ms, a);
	patient_loop_run(&f->loop);
	assert_int_equal(a->n_done, 1);
}

/* The number of the connection that is used now. */
static void connection(struct fixture *f, char ret[static 64])
{
	struct answer a;
	call(f, "/connection", 0, &a);
	if (a.err.code != ERR_NONE)
		print_error("%s\n", a.err.message);
	assert_int_equal(a.status, 200);
	assert_true(str_starts(a.body, "HTTP/2.0 "));
	str_copy(ret, 64, a.body);
}

static void start_nginx(struct fixture *f)
{
	unsigned pid = (unsigned)getpid();
	str_format(f->address, sizeof(f->address), "127.%u.%u.%u", 1 + (pid >> 16) % 250, (pid >> 8) & 255,
	           pid & 255);
	CLEANUP_FREE char *name = xasprintf("subjectAltName=IP:%s", f->address);
	folder_certificate(&f->files, "ca", "nginx", name);
	CLEANUP_FREE char *conf =
		xasprintf("daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n"
	              "events {}\n"
	              "http {\naccess_log off;\n"
	              "client_body_temp_path t;\nproxy_temp_path t;\nfastcgi_temp_path t;\n"
	              "uwsgi_temp_path t;\nscgi_temp_path t;\n"
	              "server {\nlisten %s:%d ssl http2;\n"
	              "ssl_certificate nginx.pem;\nssl_certificate_key nginx.key;\n"
	              "location = /connection { return 200 '$server_protocol $connection'; }\n"
	              "location / { proxy_pass http://127.0.0.1:%d; proxy_buffering off; }\n"
	              "}\n}\n",
	              f->address, PORT, f->server.port);
	folder_write(&f->files, "nginx.conf", conf);
	const char *argv[] = {"setpriv", "--pdeathsig", "KILL", "nginx",     "-p", f->files.path,
	                      "-c",      "nginx.conf",  "-e",   "error.log", NULL};
	CLEANUP_FREE char *before = xstrdup(getenv("PATH")), *path = xasprintf("%s:/usr/sbin", before);
	setenv("PATH", path, 1);
	assert_int_equal(posix_spawnp(&f->nginx, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ), 0);
	setenv("PATH", before, 1);
}

static void begin(struct fixture *f, const char *script)
{
	*f = (struct fixture){0};
	folder_init(&f->files);
	server_start(&f->server, script);
	start_nginx(f);
	patient_loop_init(&f->loop);
	CLEANUP_FREE char *url = xasprintf("https://%s:%d", f->address, PORT),
					  *ca = folder_file(&f->files, "ca.pem");
	struct kube_config cfg = {.server = url, .ca_file = ca};
	struct err err = ERR_INIT;
	f->transport = transport_new(f->loop.loop, &cfg, "t", &err);
	assert_non_null(f->transport);
	struct answer a;
	do { /* until nginx listens */
		call(f, "/connection", 0, &a);
		usleep(10 * 1000);
	} while (a.err.code == ERR_CONNECT);
}

static void end(struct fixture *f)
{
	transport_free(f->transport);
	patient_loop_done(&f->loop);
	kill(f->nginx, SIGKILL);
	waitpid(f->nginx, NULL, 0);
	server_stop(&f->server);
	server_done(&f->server);
	folder_done(&f->files);
}

/* After a time-out the next calls go over another connection, though a stream is still open on the silent one. */
static void a_silent_connection_is_left(void **state)
{
	(void)state;
	struct fixture f;
	struct answer stream, a, b;
	char before[64], after[64], later[64];
	begin(
		&f,
		"[{'on':'GET /stream','lines':['{}']},{'on':'GET /hang','hang':true},{'on':'GET /hang','hang':true},"
		"{'on':'GET /fast'}]");
	start(&f, "/stream", 0, &stream);
	patient_loop_run(&f.loop);
	assert_int_equal(stream.n_data, 1);
	connection(&f, before);
	connection(&f, after);
	assert_string_equal(before, after);

	start(&f, "/hang", 300, &a);
	start(&f, "/hang", 600, &b);
	patient_loop_run(&f.loop);
	assert_int_equal(a.err.code, ERR_TIMEOUT);
	connection(&f, after);
	assert_string_not_equal(before, after);
	/* What ends on the old one is no reason to leave the new one. */
	patient_loop_run(&f.loop);
	assert_int_equal(b.err.code, ERR_TIMEOUT);
	connection(&f, later);
	assert_string_equal(after, later);
	call(&f, "/fast", 0, &a);
	assert_int_equal(a.status, 200);
	assert_int_equal(stream.n_done, 0);
	transport_cancel(stream.call);
	end(&f);
}

/* A stream that the server does not end: its own deadline does. */
static void a_stream_has_a_deadline(void **state)
{
	(void)state;
	struct fixture f;
	struct answer stream;
	char before[64], after[64];
	begin(&f, "[{'on':'GET /stream','lines':['{}']}]");
	connection(&f, before);
	start(&f, "/stream", 500, &stream);
	patient_loop_run(&f.loop);
	assert_int_equal(stream.n_data, 1);
	patient_loop_run(&f.loop);
	assert_int_equal(stream.n_done, 1);
	assert_int_equal(stream.err.code, ERR_TIMEOUT);
	connection(&f, after);
	assert_string_not_equal(before, after);
	end(&f);
}

/* What the silent connections have left is gone after a while, and not before their last call is. */
static void old_connections_are_closed(void **state)
{
	(void)state;
	struct fixture f;
	struct answer stream, a;
	begin(&f, "[{'on':'GET /stream','lines':['{}']},{'on':'GET /hang','hang':true}]");
	start(&f, "/stream", 6000, &stream);
	patient_loop_run(&f.loop);
	call(&f, "/hang", 200, &a);
	patient_loop_run(&f.loop);
	assert_int_equal(stream.err.code, ERR_TIMEOUT);
	/* Nothing is left to wait for but the closing of old connections. */
	loop_run(f.loop.loop);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_connection_is_left),
		cmocka_unit_test(a_stream_has_a_deadline),
		cmocka_unit_test(old_connections_are_closed),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failed;
}
