#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "kube/base64.h"

/* RFC 4648, section 10. */
static const struct {
	const char *plain, *encoded;
} known[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xef\xbe\xff\xff", "++++//8="},
};

static void both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CLEANUP_BUF struct buf b;
		buf_init(&b, 100);
		base64_encode(slice_from(known[i].plain), &b);
		assert_true(slice_eq_str(buf_slice(&b), known[i].encoded));
		CLEANUP_FREE char *plain = base64_decode(known[i].encoded);
		assert_string_equal(plain, known[i].plain);
		size_t len;
		CLEANUP_FREE char *bytes = base64_decode_bytes(known[i].encoded, &len);
		assert_int_equal(len, strlen(known[i].plain));
		assert_memory_equal(bytes, plain, len);
	}
	CLEANUP_BUF struct buf nul;
	buf_init(&nul, 100);
	base64_encode(SLICE_LIT("a\0\xff"), &nul);
	assert_string_equal(nul.ptr, "YQD/");
	assert_null(base64_decode("YQD/"));
	size_t len;
	CLEANUP_FREE char *bytes = base64_decode_bytes("YQD/", &len);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "a\0\xff", 3);
	CLEANUP_FREE char *lines = base64_decode("\nZm9v\r\nYm\nFy\n");
	assert_string_equal(lines, "foobar");
}

static void decoding_is_strict(void **state)
{
	(void)state;
	/* The last three: a NUL, the URL alphabet, not ASCII. */
	static const char *const bad[] = {"=",
	                                  "A",
	                                  "AA",
	                                  "AAA",
	                                  "A===",
	                                  "AA=A",
	                                  "QQ",
	                                  "QQ=",
	                                  "Q Q=",
	                                  "QR==",
	                                  "QQR=",
	                                  "QQ==QQ==",
	                                  "Zm9v=",
	                                  "Zm9vA",
	                                  "AAAA",
	                                  "-_==",
	                                  "\xc3\xa4\xc3\xa4"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(base64_decode(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways), cmocka_unit_test(decoding_is_strict)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
