/* Connections that have gone silent, over HTTP/2. */
#include "kube/transport.h"
#include "tls_files.h"

struct fixture {
	struct folder files;
	struct server server;
	struct patient_loop loop;
	struct transport *transport;
};

struct answer {
	struct loop *loop;
	struct transport_call *call;
	unsigned n_data, n_done;
	struct err err;
	int status;
};

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
	struct answer *a = arg;
	a->n_done++;
	a->err = *err;
	a->status = r->status;
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
static void connection(struct fixture *f, char ret[static 16])
{
	struct answer a;
	call(f, "/connection", 0, &a);
	assert_int_equal(a.status, 200);
	server_poll(&f->server);
	size_t last = json_array_size(f->server.requests) - 1;
	assert_string_equal(server_saw(&f->server, last, "request"), "GET /connection");
	assert_string_equal(server_saw(&f->server, last, "protocol"), "h2");
	str_copy(ret, 16, server_saw(&f->server, last, "connection"));
}

static void begin(struct fixture *f, const char *answers)
{
	*f = (struct fixture){0};
	folder_init(&f->files);
	CLEANUP_FREE char *more = xasprintf("[{'on':'GET /connection','times':10},%s]", answers);
	server_start_tls(&f->server, &f->files, "server", NULL, more);
	patient_loop_init(&f->loop);
	CLEANUP_FREE char *url = xasprintf("https://127.0.0.1:%d", f->server.port),
					  *ca = folder_file(&f->files, "ca.pem");
	struct kube_config cfg = {.server = url, .ca_file = ca};
	struct err err = ERR_INIT;
	f->transport = transport_new(f->loop.loop, &cfg, "t", &err);
	assert_non_null(f->transport);
}

static void end(struct fixture *f)
{
	transport_free(f->transport);
	patient_loop_done(&f->loop);
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
	char before[16], after[16], later[16];
	begin(&f,
	      "{'on':'GET /stream','lines':['{}']},{'on':'GET /hang','hang':true,'times':2},{'on':'GET /fast'}");
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
	char before[16], after[16];
	begin(&f, "{'on':'GET /stream','lines':['{}']}");
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
	begin(&f, "{'on':'GET /stream','lines':['{}']},{'on':'GET /hang','hang':true}");
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
