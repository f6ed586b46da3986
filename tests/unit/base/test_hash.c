#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/hash.h"

/* These values are part of object names: a change here is a new revision of every fleet. */
static void values_are_frozen(void **state)
{
	char text[HASH_TEXT_SIZE];

	(void)state;
	assert_true(hash64(HASH64_INIT, SLICE_LIT("")) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash64(HASH64_INIT, SLICE_LIT("a")) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash64(HASH64_INIT, SLICE_LIT("foobar")) == UINT64_C(0x85944171f73967e8));
	assert_true(hash64(HASH64_INIT, SLICE_LIT("\xff")) == UINT64_C(0xaf64724c8602eb6e));
	hash64_text(UINT64_C(0x85944171f73967e8), text);
	assert_string_equal(text, "7zxzz8lvm7");
	hash64_text(0, text);
	assert_string_equal(text, "bbbbbbbbbb");
	hash64_text(UINT64_MAX, text);
	assert_string_equal(text, "7544tj5ntw");
}

static void parts_can_be_hashed_one_after_the_other(void **state)
{
	(void)state;
	uint64_t whole = hash64(HASH64_INIT, SLICE_LIT("foobar"));
	assert_true(hash64(hash64(HASH64_INIT, SLICE_LIT("foo")), SLICE_LIT("bar")) == whole);
	assert_true(hash64(HASH64_INIT, (struct slice){NULL, 0}) == HASH64_INIT);
}

static void text_is_a_part_of_a_dns_label(void **state)
{
	(void)state;
	for (uint64_t h = 1; h; h <<= 1) {
		char text[HASH_TEXT_SIZE];
		hash64_text(h * UINT64_C(0x9e3779b97f4a7c15), text);
		assert_int_equal(strlen(text), HASH_TEXT_SIZE - 1);
		assert_int_equal(strspn(text, "bcdfghjklmnpqrstvwxz2456789"), HASH_TEXT_SIZE - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_frozen),
		cmocka_unit_test(parts_can_be_hashed_one_after_the_other),
		cmocka_unit_test(text_is_a_part_of_a_dns_label),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
