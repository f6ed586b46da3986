#pragma once
/* scripted_server.py as a child of the test. Scripts have ' where JSON has ". */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/json.h"
#include "kube/client.h"

#define SCRIPTED_SERVER "tests/unit/kube/scripted_server.py"
#define PYTHON "/usr/bin/python3" /* Debian's, which has the packages of hack/install-deps.sh */
#define PATIENCE_MS 20000         /* a sanitized build on a busy machine */

struct server {
	pid_t pid;
	int in, out;
	int port;
	char url[64]; /* of a plain one */
	struct buf lines;
	json_t *requests; /* array; what server_poll() and server_stop() have read */
};

static inline bool server_read(struct server *s)
{
	char chunk[4096];
	ssize_t n = read(s->out, chunk, sizeof(chunk));
	if (n > 0)
		buf_add(&s->lines, chunk, (size_t)n);
	return n > 0;
}

static inline void server_start(struct server *s, const char *script)
{
	int in[2], out[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	char python[] = PYTHON, no_cache[] = "-B", path[] = SCRIPTED_SERVER;
	char *argv[] = {python, no_cache, path, NULL};
	*s = (struct server){0};
	assert_int_equal(posix_spawn(&s->pid, python, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	CLEANUP_FREE char *json = xstrdup(script);
	for (char *p = json; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	for (struct slice rest = slice_from(json); rest.len > 0;) {
		ssize_t n = write(in[1], rest.ptr, rest.len);
		assert_true(n > 0);
		rest = (struct slice){rest.ptr + n, rest.len - (size_t)n};
	}
	assert_int_equal(write(in[1], "\n", 1), 1);
	s->in = in[1]; /* the server ends when this closes, at the latest with the test */
	s->out = out[0];
	s->requests = json_array();
	buf_init(&s->lines, 16u << 20);
	while (s->lines.len == 0 || !memchr(s->lines.ptr, '\n', s->lines.len))
		assert_true(server_read(s));
	struct err err = ERR_INIT;
	int64_t port = 0;
	assert_int_equal(slice_to_i64(slice_trim(buf_slice(&s->lines)), &port, &err), 0);
	buf_clear(&s->lines);
	s->port = (int)port;
	str_format(s->url, sizeof(s->url), "http://127.0.0.1:%d", s->port);
	assert_int_equal(fcntl(s->out, F_SETFL, O_NONBLOCK), 0);
}

/* What hangs goes on, and nothing hangs any more. */
static inline void server_go_on(struct server *s)
{
	assert_int_equal(write(s->in, "\n", 1), 1);
}

/* Reads what the server has seen so far. */
static inline void server_poll(struct server *s)
{
	while (server_read(s))
		;
	const char *nl;
	while (s->lines.len > 0 && (nl = memchr(s->lines.ptr, '\n', s->lines.len)) != NULL) {
		struct err err = ERR_INIT;
		size_t len = (size_t)(nl - s->lines.ptr);
		json_t *request = json_parse((struct slice){s->lines.ptr, len}, &err);
		assert_non_null(request);
		json_array_append_new(s->requests, request);
		buf_consume(&s->lines, len + 1);
	}
}

static inline void server_stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	server_poll(s);
	close(s->in);
	close(s->out);
}

static inline void server_done(struct server *s)
{
	json_decref(s->requests);
	buf_done(&s->lines);
}

/* A member of request number n: "request", "body", "type", "authorization", "host", "connection" (another for
 * each), "protocol", "sni", "client" (the certificate's name), "goaway" (of its answer), "ms" (when it came, on the
 * monotonic clock), "connections" and "in_flight" (how many there were then, itself included). "" when there was no
 * such request, or it has no such thing. */
static inline const char *server_saw(const struct server *s, size_t n, const char *member)
{
	const char *text = json_string_value(json_object_get(json_array_get(s->requests, n), member));
	return text ? text : "";
}

/* A loop that ends with a failed test when nothing stops it. */
struct patient_loop {
	struct loop *loop;
	struct loop_timer *timer;
	bool expired;
};

static inline void on_patience_over(void *arg)
{
	struct patient_loop *p = arg;
	p->expired = true;
	loop_stop(p->loop);
}

static inline void patient_loop_init(struct patient_loop *p)
{
	*p = (struct patient_loop){.loop = loop_new()};
	p->timer = loop_timer_new(p->loop, on_patience_over, p);
}

static inline void patient_loop_run(struct patient_loop *p)
{
	loop_timer_arm(p->timer, PATIENCE_MS);
	loop_run(p->loop);
	loop_timer_stop(p->timer);
	assert_false(p->expired);
}

static inline void patient_loop_done(struct patient_loop *p)
{
	loop_free(p->loop);
}
