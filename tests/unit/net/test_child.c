#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/mem.h"
#include "net/child.h"

#define TIMEOUT_MS 20000 /* a sanitized build on a busy machine */

struct outcome {
	struct loop *loop;
	unsigned calls;
	int exit_status, signal;
	struct err err;
	struct buf output, errors;
	int64_t took_ms;
};

static void on_done(void *arg, const struct child_result *r, const struct err *err)
{
	struct outcome *o = arg;
	o->calls++;
	o->exit_status = r->exit_status;
	o->signal = r->signal;
	o->err = *err;
	buf_add_slice(&o->output, r->output);
	buf_add_slice(&o->errors, r->errors);
}

static void outcome_init(struct outcome *o)
{
	*o = (struct outcome){.loop = loop_new(), .err = ERR_INIT};
	buf_init(&o->output, SIZE_MAX - 1);
	buf_init(&o->errors, SIZE_MAX - 1);
	buf_add_str(&o->output, "");
	buf_add_str(&o->errors, "");
}

static void outcome_done(struct outcome *o)
{
	loop_free(o->loop);
	buf_done(&o->output);
	buf_done(&o->errors);
}

static void run(const struct child_options *options, struct outcome *o)
{
	struct err err = ERR_INIT;
	outcome_init(o);
	struct mono started = mono_now();
	struct child *c = child_start(o->loop, options, on_done, o, &err);
	if (!c)
		print_error("%s\n", err.message);
	assert_non_null(c);
	assert_int_equal(o->calls, 0);
	loop_run(o->loop);
	o->took_ms = mono_now().ms - started.ms;
	assert_int_equal(o->calls, 1);
}

static void run_script(const char *script, size_t max_bytes, int64_t timeout_ms, struct outcome *o)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	run(
		&(struct child_options){
			.program = "sh", .argv = argv, .max_output_bytes = max_bytes, .timeout_ms = timeout_ms},
		o);
}

static void assert_no_children(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Gone, or only waiting for somebody to take note of it. */
static bool is_dead(long pid)
{
	char path[64], text[256] = "";
	str_format(path, sizeof(path), "/proc/%ld/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n <= 0 || strstr(text, ") Z ") != NULL;
}

static void assert_dies(const char *pid)
{
	for (int i = 0; i < 200 && !is_dead(strtol(pid, NULL, 10)); i++)
		usleep(10 * 1000);
	assert_true(is_dead(strtol(pid, NULL, 10)));
}

static void what_it_writes_is_collected(void **state)
{
	(void)state;
	struct outcome o;
	run_script("printf hello; echo oh >&2; exit 3", 100, TIMEOUT_MS, &o);
	assert_int_equal(o.err.code, ERR_NONE);
	assert_int_equal(o.exit_status, 3);
	assert_int_equal(o.signal, 0);
	assert_string_equal(o.output.ptr, "hello");
	assert_string_equal(o.errors.ptr, "oh\n");
	outcome_done(&o);

	/* More than a pipe holds; of the errors only the beginning. */
	run_script("head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2", 300000,
	           TIMEOUT_MS, &o);
	assert_int_equal(o.err.code, ERR_NONE);
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(o.output.len, 300000);
	assert_int_equal(o.errors.len, CHILD_MAX_ERRORS_BYTES);
	outcome_done(&o);

	/* Its output ends before it does. */
	run_script("exec >&- 2>&-; sleep 0.1; exit 4", 100, TIMEOUT_MS, &o);
	assert_int_equal(o.exit_status, 4);
	outcome_done(&o);

	run_script("kill -TERM $$", 100, TIMEOUT_MS, &o);
	assert_int_equal(o.err.code, ERR_NONE);
	assert_int_equal(o.signal, SIGTERM);
	outcome_done(&o);
	assert_no_children();
}

static void its_surroundings(void **state)
{
	(void)state;
	struct outcome o;
	setenv("CHILD_TEST", "ours", 1);
	run_script("echo $CHILD_TEST", 100, TIMEOUT_MS, &o);
	assert_string_equal(o.output.ptr, "ours\n");
	outcome_done(&o);
	unsetenv("CHILD_TEST");

	const char *argv[] = {"any name", "-c", "echo \"$0:$CHILD_TEST:$HOME:$1\"", "zero", "a b;$(x)", NULL};
	const char *env[] = {"CHILD_TEST=given", "PATH=/usr/bin:/bin", NULL};
	run(&(struct child_options){.program = "/bin/sh",
	                            .argv = argv,
	                            .env = env,
	                            .max_output_bytes = 100,
	                            .timeout_ms = TIMEOUT_MS},
	    &o);
	assert_string_equal(o.output.ptr, "zero:given::a b;$(x)\n");
	outcome_done(&o);

	/* No input, no terminal, none of our descriptors, no ignored signals. */
	signal(SIGPIPE, SIG_IGN);
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	run_script("cat; (: </dev/tty) 2>/dev/null || echo no terminal; ls /proc/$$/fd;"
	           "while read -r key mask; do test $key != SigIgn: || echo ignored $((0x$mask & 0x7fffffff));"
	           "done </proc/self/status", /* without those above 31, which are the C library's own */
	           1000, TIMEOUT_MS, &o);
	assert_string_equal(o.output.ptr, "no terminal\n0\n1\n2\nignored 0\n");
	outcome_done(&o);
	close(pair[0]);
	close(pair[1]);
}

static void a_flood_ends_it(void **state)
{
	(void)state;
	struct outcome o;
	run_script("yes", 100000, TIMEOUT_MS, &o);
	assert_int_equal(o.err.code, ERR_LIMIT);
	assert_non_null(strstr(o.err.message, "more than 100000 bytes"));
	assert_true(o.took_ms < TIMEOUT_MS);
	outcome_done(&o);
	assert_no_children();
}

static void the_deadline_ends_all_of_it(void **state)
{
	(void)state;
	struct outcome o;
	run_script("trap '' TERM INT HUP; sleep 100 & echo $!; wait", 100, 300, &o);
	assert_int_equal(o.err.code, ERR_TIMEOUT);
	assert_string_equal(o.err.message, "not done within 0.3 s");
	assert_true(o.took_ms >= 300 && o.took_ms < TIMEOUT_MS);
	assert_dies(o.output.ptr);
	outcome_done(&o);
	assert_no_children();
}

static void what_it_leaves_behind_is_not_waited_for(void **state)
{
	(void)state;
	struct outcome o;
	run_script("sleep 100 & echo $!", 100, TIMEOUT_MS, &o);
	assert_int_equal(o.err.code, ERR_NONE);
	assert_int_equal(o.exit_status, 0);
	assert_true(o.took_ms < TIMEOUT_MS);
	pid_t pid = (pid_t)strtol(o.output.ptr, NULL, 10);
	assert_true(pid > 1 && !is_dead(pid));
	kill(pid, SIGKILL);
	outcome_done(&o);
}

static void cancelled(void **state)
{
	(void)state;
	struct outcome o;
	struct err err = ERR_INIT;
	const char *argv[] = {"sleep", "100", NULL};
	struct child_options options = {
		.program = "sleep", .argv = argv, .max_output_bytes = 100, .timeout_ms = TIMEOUT_MS};
	outcome_init(&o);
	child_cancel(NULL);
	child_cancel(child_start(o.loop, &options, on_done, &o, &err));
	loop_run(o.loop);
	/* Or with the loop. */
	child_cancel(child_start(o.loop, &options, on_done, &o, &err));
	assert_int_equal(o.calls, 0);
	outcome_done(&o);
	assert_no_children();
}

static void cannot_be_started(const char *program, enum err_code code, const char *message)
{
	struct outcome o;
	struct err err = ERR_INIT;
	const char *argv[] = {program, NULL};
	outcome_init(&o);
	assert_null(child_start(o.loop,
	                        &(struct child_options){.program = program, .argv = argv, .timeout_ms = 1},
	                        on_done, &o, &err));
	assert_int_equal(err.code, code);
	if (!strstr(err.message, message))
		print_error("%s\n", err.message);
	assert_non_null(strstr(err.message, message));
	loop_run(o.loop);
	assert_int_equal(o.calls, 0);
	outcome_done(&o);
	assert_no_children();
}

static void there_is_no_such_program(void **state)
{
	(void)state;
	char dir[] = "/tmp/test_child.XXXXXX", before[4096];
	assert_non_null(mkdtemp(dir));
	assert_non_null(getcwd(before, sizeof(before)));
	CLEANUP_FREE char *path = xstrdup(getenv("PATH")), *file = xasprintf("%s/here", dir);
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	close(fd);
	assert_int_equal(chdir(dir), 0);

	cannot_be_started("no-such-program", ERR_NOT_FOUND, "not found in PATH");
	cannot_be_started("./no-such-program", ERR_NOT_FOUND, "./no-such-program: ");
	cannot_be_started("/", ERR_IO, "/: ");
	/* Never from the present folder, unless a path says so. */
	setenv("PATH", ":.:/bin:", 1);
	cannot_be_started("here", ERR_NOT_FOUND, "not found in PATH");
	unsetenv("PATH");
	cannot_be_started("sh", ERR_NOT_FOUND, "not found in PATH");
	setenv("PATH", dir, 1);
	cannot_be_started("..", ERR_NOT_FOUND, "not found in PATH"); /* a folder */
	struct outcome o;
	const char *argv[] = {"here", NULL};
	run(&(struct child_options){.program = "here", .argv = argv, .timeout_ms = TIMEOUT_MS}, &o);
	assert_int_equal(o.err.code, ERR_NONE);
	outcome_done(&o);
	assert_int_equal(chmod(file, 0600), 0);
	cannot_be_started("here", ERR_NOT_FOUND, "not found in PATH");
	cannot_be_started("./here", ERR_IO, "permission denied");

	setenv("PATH", path, 1);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_writes_is_collected),
		cmocka_unit_test(its_surroundings),
		cmocka_unit_test(a_flood_ends_it),
		cmocka_unit_test(the_deadline_ends_all_of_it),
		cmocka_unit_test(what_it_leaves_behind_is_not_waited_for),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(there_is_no_such_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
