#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/map.h"

static void put_get_remove(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	int one = 1, two = 2;
	char key[] = "key";
	assert_null(map_get(&m, "key"));
	assert_null(map_remove(&m, "key"));
	assert_null(map_put(&m, key, &one));
	key[0] = 'K'; /* the map has its own copy */
	assert_ptr_equal(map_get(&m, "key"), &one);
	assert_null(map_get(&m, "Key"));
	assert_ptr_equal(map_put(&m, "key", &two), &one);
	assert_int_equal(map_count(&m), 1);
	assert_null(map_put(&m, "", &one));
	assert_ptr_equal(map_get(&m, ""), &one);
	assert_ptr_equal(map_remove(&m, "key"), &two);
	assert_null(map_get(&m, "key"));
	assert_int_equal(map_count(&m), 1);
	map_done(&m, NULL);
	map_done(&m, NULL);
	assert_int_equal(map_count(&m), 0);
}

static int append_key(void *arg, const char *key, void *value)
{
	(void)value;
	buf_addf(arg, "%s ", key);
	return strcmp(key, "stop") == 0 ? 7 : 0;
}

static void iterates_in_insertion_order(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	int v = 0;
	static const char *const keys[] = {"z", "a", "m", "stop", "b"};
	CLEANUP_BUF struct buf seen;
	buf_init(&seen, 100);
	assert_int_equal(map_each(&m, append_key, &seen), 0);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		map_put(&m, keys[i], &v);
	map_put(&m, "z", &v); /* keeps its place */
	assert_int_equal(map_each(&m, append_key, &seen), 7);
	assert_string_equal(seen.ptr, "z a m stop ");
	map_done(&m, NULL);
}

static int remove_current(void *arg, const char *key, void *value)
{
	CLEANUP_FREE char *copy = xstrdup(key);
	assert_ptr_equal(map_remove(arg, copy), value);
	free(value);
	return 0;
}

static void many_and_removed_while_iterating(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	for (int i = 0; i < 5000; i++) {
		CLEANUP_FREE char *key = xasprintf("namespace/name-%d", i);
		int *v = xmalloc(sizeof(*v));
		*v = i;
		assert_null(map_put(&m, key, v));
	}
	assert_int_equal(map_count(&m), 5000);
	assert_int_equal(*(int *)map_get(&m, "namespace/name-4321"), 4321);
	assert_int_equal(map_each(&m, remove_current, &m), 0);
	assert_int_equal(map_count(&m), 0);
	map_put(&m, "left", xstrdup("value"));
	map_done(&m, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_remove),
		cmocka_unit_test(iterates_in_insertion_order),
		cmocka_unit_test(many_and_removed_while_iterating),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
