#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/arena.h"

static void is_zeroed_and_aligned(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	for (int round = 0; round < 3; round++) {
		for (size_t size = 0; size < 300; size++) {
			unsigned char *p = arena_alloc(&a, size);
			assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, size);
		}
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
}

static void large_things_do_not_waste_the_block(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	char *before = arena_alloc(&a, 16);
	char *large = arena_alloc(&a, 1 << 20);
	large[(1 << 20) - 1] = 1;
	char *after = arena_alloc(&a, 16);
	assert_ptr_equal(after, before + 16);
	assert_int_equal(a.used_bytes, (1 << 20) + 32);
	arena_reset(&a);
	assert_ptr_equal(arena_alloc(&a, 16), before);
}

static void large_thing_first(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	char *p = arena_alloc(&a, 100000);
	p[99999] = 1;
	arena_reset(&a);
	assert_null(a.head);
	assert_string_equal(arena_strdup(&a, "x"), "x");
}

static void small_blocks(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena a;
	arena_init_small(&a, 100); /* not a multiple of the alignment */
	for (int round = 0; round < 2; round++) {
		for (size_t size = 1; size < 250; size++)
			memset(arena_alloc(&a, size), 0xff, size);
		arena_reset(&a);
	}
}

static void strings(void **state)
{
	(void)state;
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	const char *copy = arena_strdup(&a, "abc");
	const char *part = arena_slicedup(&a, (struct slice){"abcdef", 2});
	const char *none = arena_slicedup(&a, (struct slice){NULL, 0});
	const char *text = arena_printf(&a, "%s/%0500d", "ns", 7);
	const int *numbers = arena_calloc(&a, 4, sizeof(int));
	assert_string_equal(copy, "abc");
	assert_string_equal(part, "ab");
	assert_string_equal(none, "");
	assert_int_equal(strlen(text), 503);
	assert_int_equal(numbers[3], 0);
	arena_done(&a);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_zeroed_and_aligned),
		cmocka_unit_test(large_things_do_not_waste_the_block),
		cmocka_unit_test(large_thing_first),
		cmocka_unit_test(small_blocks),
		cmocka_unit_test(strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
