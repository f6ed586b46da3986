#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "kube/base64.h"
#include "kube/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"

/* Made by openssl: 1970-01-01T00:00:00Z to 2025-11-01T12:34:56Z, without a version; and until
 * 2100-12-31T23:59:59Z, for which another form of time is needed. */
static const char old_base64[] = "MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA29sZDAeFw03MDAxMDEwMDAwMDBa\n"
								 "Fw0yNTExMDExMjM0NTZaMA4xDDAKBgNVBAMMA29sZDAqMAUGAytlcAMhAEorih7J\n"
								 "xOLpXkneOgOerpGiclhPGoEiSedJAKr/dx3tMAUGAytlcANBAOotD2n7O8EC0zkW\n"
								 "MXZSS8wL6S4CH7krNC5YeZVYFE9Rgv/fREmmCjbQtKpJY/nLGZhO6Azi5aklMA48\n"
								 "J/cheAQ=\n";
static const char long_base64[] = "MIHGMHoCAQEwBQYDK2VwMA8xDTALBgNVBAMMBGxvbmcwIBcNMjYwMTAxMDAwMDAw\n"
								  "WhgPMjEwMDEyMzEyMzU5NTlaMA8xDTALBgNVBAMMBGxvbmcwKjAFBgMrZXADIQDO\n"
								  "f7XffLN4sHkUPKcnJ7ZEWAn+vK574VW74I+QCzFBuTAFBgMrZXADQQByzzBTplzh\n"
								  "OZOlaanJ9ZNFDOgMtvDS4sJpDiCEmBxaD24ov5Nhm9acVS2PkJameWy165VxiV0D\n"
								  "aCVF3Ptzb4IO\n";

static void assert_validity(const char *text, const char *from, const char *until)
{
	struct wall a, b;
	struct err err = ERR_INIT;
	char when[WALL_RFC3339_SIZE];
	assert_int_equal(pem_validity(text, &a, &b, &err), 0);
	wall_format(a, when);
	assert_string_equal(when, from);
	wall_format(b, when);
	assert_string_equal(when, until);
}

static void validity(void **state)
{
	(void)state;
	CLEANUP_FREE char *old = xasprintf("a comment\n" BEGIN "%s" END, old_base64);
	CLEANUP_FREE char *both = xasprintf(BEGIN "%s" END "%s", long_base64, old);
	assert_validity(old, "1970-01-01T00:00:00Z", "2025-11-01T12:34:56Z");
	assert_validity(both, "2026-01-01T00:00:00Z", "2100-12-31T23:59:59Z");
}

static int validity_of(struct slice der, struct wall *ret_until)
{
	CLEANUP_BUF struct buf text;
	struct wall from;
	struct err err = ERR_INIT;
	buf_init(&text, 4096);
	buf_add_str(&text, BEGIN);
	base64_encode(der, &text);
	buf_add_str(&text, "\n" END);
	return pem_validity(text.ptr, &from, ret_until, &err);
}

/* Whatever stands there, nothing outside of it is read. */
static void damaged(void **state)
{
	(void)state;
	struct wall until;
	size_t len;
	CLEANUP_FREE char *der = base64_decode_bytes(long_base64, &len);
	assert_non_null(der);
	for (size_t cut = 0; cut < len; cut++) {
		CLEANUP_FREE char *part = xmalloc(cut + 1);
		memcpy(part, der, cut);
		assert_int_equal(validity_of((struct slice){part, cut}, &until), -1);
	}
	for (size_t at = 0; at < len; at++) {
		for (unsigned value = 0; value < 256; value++) {
			char before = der[at];
			der[at] = (char)value;
			validity_of((struct slice){der, len}, &until);
			der[at] = before;
		}
	}
	assert_int_equal(validity_of((struct slice){der, len}, &until), 0);

	static const char *const none[] = {"",
	                                   BEGIN,
	                                   BEGIN END,
	                                   BEGIN "no base64" END,
	                                   BEGIN "MAA=" END,
	                                   "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		struct wall from;
		struct err err = ERR_INIT;
		assert_int_equal(pem_validity(none[i], &from, &until, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void whole(void **state)
{
	(void)state;
	assert_true(pem_is_whole(BEGIN "AA==\n" END));
	assert_true(pem_is_whole("Bag Attributes\n" BEGIN "AA==\n" END "between\n" BEGIN "AA==\n" END));
	static const char *const not [] = {"",
	                                   "AA==",
	                                   END,
	                                   BEGIN,
	                                   BEGIN "AA==\n-----EN",
	                                   BEGIN "AA==\n-----END CERTIFICATE---",
	                                   END BEGIN "AA==\n",
	                                   BEGIN "AA==\n" BEGIN "AA==\n" END,
	                                   BEGIN "AA==\n" END BEGIN "AA==\n"};
	for (size_t i = 0; i < ARRAY_LEN(not ); i++)
		assert_false(pem_is_whole(not [i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validity),
		cmocka_unit_test(damaged),
		cmocka_unit_test(whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
