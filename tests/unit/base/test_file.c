#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"

/* A file that is there, under a name that ends with the program. */
static char path[] = "/tmp/test_file-XXXXXX";

static int write_it(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	return close(fd);
}

static int remove_it(void **state)
{
	(void)state;
	return unlink(path);
}

static void reads(void **state)
{
	CLEANUP_BUF struct buf b;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(file_read(path, &b, &err), 0);
	assert_int_equal(file_read_input(path, &b, &err), 0); /* appends */
	assert_string_equal(b.ptr, "hellohello");
	assert_int_equal(file_read(path, &b, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
}

static void refuses(void **state)
{
	CLEANUP_BUF struct buf b;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(file_read("/no/such/file", &b, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.message, "/no/such/file: No such file or directory");
	assert_int_equal(file_read("/tmp", &b, &err), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(file_read("-", &b, &err), -1); /* only what a command is given has that meaning */
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void standard_input(void **state)
{
	CLEANUP_BUF struct buf b;
	struct err err = ERR_INIT;
	int ends[2], before = dup(STDIN_FILENO);

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "a pipe and more", 15), 15);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(file_read_input("-", &b, &err), -1);
	dup2(before, STDIN_FILENO);
	close(before);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.message, "standard input: larger than the limit of 10 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(refuses),
		cmocka_unit_test(standard_input),
	};
	return cmocka_run_group_tests(tests, write_it, remove_it);
}
