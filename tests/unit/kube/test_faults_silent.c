/* A server that is still connected and says nothing any more. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "faults.h"
#include "kube/transport.h"

/* A stream as the informer opens it, but with a deadline that a test can wait for. */
struct stream {
	unsigned n_data, n_done;
	struct err err;
};

static int on_data(void *arg, struct slice data)
{
	(void)data;
	struct stream *s = arg;
	s->n_data++;
	return 0;
}

static void on_done(void *arg, const struct http_response *r, const struct err *err)
{
	(void)r;
	struct stream *s = arg;
	s->n_done++;
	s->err = *err;
}

static void open_stream(struct fixture *f, int64_t timeout_ms, struct stream *s)
{
	struct http_request r = {.method = "GET",
	                         .path = THINGS "?watch=1&resourceVersion=0",
	                         .timeout_ms = timeout_ms,
	                         .long_running = true};
	struct http_callbacks cb = {.on_data = on_data, .on_done = on_done, .arg = s};
	*s = (struct stream){.err = ERR_INIT};
	transport_call(kube_client_transport(f->client), TRANSPORT_READS, &r, &cb);
}

static void a_stopped_server(void **state)
{
	struct fixture f;
	struct watcher w;
	struct stream stream;
	struct outcome patch, get;
	begin(&f, state, HAS(OWN("a", "1", "1")) ",'answers':[]");
	watch(&w, f.client, 0);
	RUN_UNTIL(&f, w.synced);
	call_succeeds(&f, CHANGE("a", "2"));
	open_stream(&f, 1500, &stream);
	RUN_UNTIL(&f, stream.n_data > 0 && str_eq(w.trace, " +a:1 a:1>2"));
	assert_int_equal(kill(f.server.pid, SIGSTOP), 0);
	int64_t stopped_ms = mono_now().ms;
	start(&f, CHANGE("a", "3"), 500, &patch);
	start(&f, GET("a"), 500, &get);
	assert_in_range(turns_in(&f, 2000), 0, 40);
	assert_int_equal(patch.calls, 1);
	assert_int_equal(patch.outcome, KUBE_UNKNOWN);
	assert_int_equal(patch.err.code, ERR_TIMEOUT);
	assert_int_equal(get.calls, 1);
	assert_int_equal(get.outcome, KUBE_NOT_DONE);
	assert_int_equal(get.err.code, ERR_TIMEOUT);
	assert_int_equal(stream.n_done, 1);
	assert_int_equal(stream.err.code, ERR_TIMEOUT);
	assert_true(mono_now().ms - stopped_ms >= 1500);
	/* What was given up may have its effect yet, once. The informer's watch has not reached its deadline. */
	assert_int_equal(kill(f.server.pid, SIGCONT), 0);
	call_succeeds(&f, GET("a"));
	RUN_UNTIL(&f, str_eq(w.trace, " +a:1 a:1>2 a:2>3"));
	assert_int_equal(w.troubles, 0);
	informer_free(w.informer);
	end(&f);
	assert_int_equal(count_requests(&f, "PATCH *"), 2);
	assert_int_equal(count_requests(&f, "GET *watch=1*"), 2);
	/* Nothing more was asked on the connections that had gone silent. */
	const char *after = saw(&f, "GET *things/a", count_requests(&f, "GET *things/a") - 1, "connection");
	assert_string_not_equal(after, saw(&f, "GET *watch=1*", 0, "connection"));
	assert_string_not_equal(after, saw(&f, "GET *watch=1*", 1, "connection"));
	server_done(&f.server);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	assert_int_equal(getsockopt(fd, level, name, &value, &(socklen_t){sizeof(value)}), 0);
	return value;
}

/* What a peer that has vanished is found out by, on the sockets themselves. */
static void sockets_notice_a_dead_peer(void **state)
{
	struct fixture f;
	struct watcher w;
	begin(&f, state, HAS(OWN("a", "1", "1")) ",'answers':[]");
	watch(&w, f.client, 0);
	RUN_UNTIL(&f, w.synced);
	call_succeeds(&f, CHANGE("a", "2"));
	unsigned n = 0;
	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_in peer = {0};
		socklen_t len = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || peer.sin_family != AF_INET ||
		    ntohs(peer.sin_port) != f.server.port)
			continue;
		n++;
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 60000);
		assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	}
	assert_int_equal(n, 2); /* reads and writes */
	informer_free(w.informer);
	end(&f);
	server_done(&f.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(a_stopped_server),
		OVER_BOTH(sockets_notice_a_dead_peer),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
