#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/file.h"

static void grows_up_to_its_maximum(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 100);
	assert_true(slice_eq_str(buf_slice(&b), ""));
	for (int i = 0; i < 10; i++)
		buf_add_str(&b, "0123456789");
	assert_false(buf_failed(&b));
	assert_int_equal(b.len, 100);
	assert_int_equal(strlen(b.ptr), 100);
	assert_int_equal(b.cap, 101);

	buf_add_char(&b, 'x');
	assert_true(buf_failed(&b));
	assert_int_equal(b.len, 100);
	buf_consume(&b, 50);
	buf_add_char(&b, 'x'); /* sticky */
	assert_int_equal(b.len, 50);
	buf_clear(&b);
	assert_false(buf_failed(&b));
	buf_add_char(&b, 'y');
	assert_string_equal(b.ptr, "y");
}

static void formatted(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 400);
	buf_addf(&b, "%s", "");
	assert_string_equal(b.ptr, "");
	buf_addf(&b, "%d,", 1);
	buf_addf(&b, "%0200d", 2); /* longer than the first allocation */
	assert_int_equal(b.len, 202);
	assert_int_equal(b.ptr[201], '2');
	buf_addf(&b, "%0300d", 3);
	assert_true(buf_failed(&b));
	assert_int_equal(b.len, 202);
	assert_int_equal(strlen(b.ptr), 202);
}

static void escaped(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1000);
	buf_add_json_escaped(&b, SLICE_LIT("a\"b\\c/\b\f\n\r\t\v\0\x1f\x7fé€😀"));
	assert_string_equal(b.ptr, "a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7fé€😀");
	buf_clear(&b);
	buf_add_json_escaped(&b, SLICE_LIT("\xff-\xc3-\xed\xa0\x80-\xe2\x82"));
	assert_string_equal(b.ptr, "\\ufffd-\\ufffd-\\ufffd\\ufffd\\ufffd-\\ufffd\\ufffd");
	buf_clear(&b);
	buf_add_utf8(&b, SLICE_LIT("ok\xffé\xc3"));
	assert_string_equal(b.ptr, "ok\xef\xbf\xbdé\xef\xbf\xbd");
	buf_clear(&b);
	buf_add_url_escaped(&b, SLICE_LIT("aZ09-._~ /+&=?é\xff"));
	assert_string_equal(b.ptr, "aZ09-._~%20%2F%2B%26%3D%3F%C3%A9%FF");
	buf_clear(&b);
	buf_add_slice(&b, (struct slice){NULL, 0});
	buf_add_json_escaped(&b, (struct slice){NULL, 0});
	assert_int_equal(b.len, 0);
}

static void consumed_and_shrunk(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 10000; i++)
		buf_add_str(&b, "0123456789");
	buf_consume(&b, 99995);
	assert_string_equal(b.ptr, "56789");
	assert_true(b.cap > 100000);
	buf_shrink(&b);
	assert_int_equal(b.cap, 6);
	assert_string_equal(b.ptr, "56789");
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
	buf_shrink(&b); /* too small to matter */
	assert_int_equal(b.cap, 6);
}

static void stolen(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 4);
	CLEANUP_FREE char *empty = buf_steal(&b);
	assert_string_equal(empty, "");
	buf_add_str(&b, "abcd");
	CLEANUP_FREE char *s = buf_steal(&b);
	assert_string_equal(s, "abcd");
	assert_int_equal(b.len, 0);
	buf_add_str(&b, "abcde");
	assert_null(buf_steal(&b));
	buf_done(&b);
	buf_done(&b);
	buf_add_str(&b, "abcd"); /* the maximum is still known */
	assert_false(buf_failed(&b));
}

static void without_a_limit(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf b;
	buf_init(&b, SIZE_MAX);
	buf_add_str(&b, "x");
	assert_false(buf_failed(&b));
}

static void whole_file(void **state)
{
	(void)state;
	char path[] = "/tmp/test_buf.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);

	struct err err = ERR_INIT;
	CLEANUP_BUF struct buf b;
	buf_init(&b, 20000);
	buf_add_char(&b, '>');
	assert_int_equal(file_read(path, &b, &err), 0);
	assert_int_equal(b.len, 10001);
	assert_int_equal(file_read(path, &b, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_non_null(strstr(err.message, path));

	unlink(path);
	buf_clear(&b);
	assert_int_equal(file_read(path, &b, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(file_read("/", &b, &err), -1);
	assert_int_equal(err.code, ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_up_to_its_maximum),
		cmocka_unit_test(formatted),
		cmocka_unit_test(escaped),
		cmocka_unit_test(consumed_and_shrunk),
		cmocka_unit_test(stolen),
		cmocka_unit_test(without_a_limit),
		cmocka_unit_test(whole_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
