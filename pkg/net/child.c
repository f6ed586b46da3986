#include "net/child.h"
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"

/* What the program left running may hold its output open: so long is waited for the rest of it. */
#define REST_OF_OUTPUT_MS 500

struct stream {
	uv_pipe_t uv; /* first: libuv's callbacks get this */
	struct child *child;
	struct buf text;
	bool ended;
	char space[4096];
};

struct child {
	uv_process_t process;
	struct stream output, errors;
	unsigned n_handles; /* not closed yet; the last close callback frees the whole */
	struct loop_timer *timer;
	int64_t timeout_ms;
	bool exited;
	int exit_status, signal;
	struct err err; /* why it was killed */
	child_done_fn *fn;
	void *arg;
};

static void free_text(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->cap); /* it may be a secret */
	buf_done(b);
}

static void on_closed(uv_handle_t *h)
{
	struct child *c = h->data;
	if (--c->n_handles > 0)
		return;
	free_text(&c->output.text);
	free_text(&c->errors.text);
	free(c);
}

static void close_all(struct child *c)
{
	loop_timer_free(c->timer);
	uv_close((uv_handle_t *)&c->process, on_closed);
	uv_close((uv_handle_t *)&c->output.uv, on_closed);
	uv_close((uv_handle_t *)&c->errors.uv, on_closed);
}

static void finish(struct child *c)
{
	close_all(c); /* freed by the loop later */
	struct child_result r = {
		.exit_status = c->exit_status,
		.signal = c->signal,
		.output = buf_slice(&c->output.text),
		.errors = buf_slice(&c->errors.text),
	};
	c->fn(c->arg, &r, &c->err);
}

static void finish_if_over(struct child *c)
{
	if (c->exited && c->output.ended && c->errors.ended)
		finish(c);
}

/* With all of its session: a wrapper script alone would leave the real program behind. False where there is nothing to
 * wait for: it has ended, or it is another user's by now and cannot be killed. */
static bool kill_session(const struct child *c)
{
	return !c->exited && kill(-c->process.pid, SIGKILL) == 0;
}

static void on_timer(void *arg)
{
	struct child *c = arg;
	if (c->exited) {
		finish(c);
		return;
	}
	if (c->err.code == ERR_NONE)
		err_set(&c->err, ERR_TIMEOUT, "not done within %g s", (double)c->timeout_ms / (double)MS_PER_S);
	kill_session(c); /* on_exit() comes */
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
	struct child *c = process->data;
	c->exited = true;
	c->exit_status = (int)status;
	c->signal = signal;
	loop_timer_arm(c->timer, REST_OF_OUTPUT_MS);
	finish_if_over(c);
}

static void on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *ret)
{
	(void)wanted;
	struct stream *s = (struct stream *)h;
	*ret = uv_buf_init(s->space, sizeof(s->space));
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *space)
{
	struct stream *s = (struct stream *)uv;
	struct child *c = s->child;
	if (n < 0) {
		uv_read_stop(uv);
		s->ended = true;
		finish_if_over(c);
		return;
	}
	size_t len = (size_t)n;
	/* Of the errors the beginning is enough. */
	if (s == &c->errors && len > s->text.max - s->text.len)
		len = s->text.max - s->text.len;
	buf_add(&s->text, space->base, len);
	if (buf_failed(&s->text) && c->err.code == ERR_NONE) {
		err_set(&c->err, ERR_LIMIT, "more than %zu bytes of output", s->text.max);
		kill_session(c);
	}
}

/* As execvp(), without what is relative to the present folder. New. */
static char *find_program(const char *name, struct err *err)
{
	if (strchr(name, '/'))
		return xstrdup(name);
	struct slice rest = slice_from(getenv("PATH"));
	while (rest.len > 0) {
		struct slice dir = slice_split(rest, ':', &rest);
		if (!slice_starts(dir, "/"))
			continue;
		CLEANUP_FREE char *path = xasprintf(SLICE_FMT "/%s", SLICE_ARG(dir), name);
		struct stat st;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return STEAL_PTR(path);
	}
	err_set(err, ERR_NOT_FOUND, "not found in PATH");
	return NULL;
}

static void init_stream(struct child *c, struct stream *s, size_t max_bytes)
{
	s->child = c;
	buf_init(&s->text, max_bytes);
	uv_pipe_init(c->process.loop, &s->uv, 0);
	s->uv.data = c;
}

static char **words(const char *const *list)
{
	return (char **)(uintptr_t)list; /* libuv's interface is without const; it changes nothing */
}

struct child *child_start(struct loop *l, const struct child_options *o, child_done_fn *fn, void *arg,
                          struct err *err)
{
	CLEANUP_FREE char *path = find_program(o->program, err);
	if (!path)
		return NULL;
	struct child *c = xcalloc(1, sizeof(*c));
	c->process.loop = loop_uv(l);
	c->timer = loop_timer_new(l, on_timer, c);
	c->timeout_ms = o->timeout_ms;
	c->err = ERR_INIT;
	c->fn = fn;
	c->arg = arg;
	init_stream(c, &c->output, o->max_output_bytes);
	init_stream(c, &c->errors, CHILD_MAX_ERRORS_BYTES);
	uv_stdio_container_t stdio[] = {
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->output.uv},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->errors.uv},
	};
	uv_process_options_t options = {
		.exit_cb = on_exit_of,
		.file = path,
		.args = words(o->argv),
		.env = words(o->env),
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = ARRAY_LEN(stdio),
		.stdio = stdio,
	};
	close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC); /* fails only before Linux 5.11 */
	int rc = uv_spawn(loop_uv(l), &c->process, &options);
	c->process.data = c;
	c->n_handles = 3;
	if (rc != 0) {
		close_all(c);
		err_set(err, rc == UV_ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, uv_strerror(rc));
		return NULL;
	}
	loop_timer_arm(c->timer, o->timeout_ms);
	uv_read_start((uv_stream_t *)&c->output.uv, on_alloc, on_read);
	uv_read_start((uv_stream_t *)&c->errors.uv, on_alloc, on_read);
	return c;
}

void child_cancel(struct child *c)
{
	if (!c)
		return;
	pid_t pid = c->process.pid;
	bool killed = kill_session(c);
	close_all(c);
	/* libuv has just stopped to look after it. It is killed: this does not take long. */
	if (killed)
		waitpid(pid, NULL, 0);
}
