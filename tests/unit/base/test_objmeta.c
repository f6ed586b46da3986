#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/objmeta.h"

static void reads_and_packs_metadata(void **state)
{
	static const struct jfield fields[] = {{"metadata", J_OBJECT, .sub = objmeta_fields}, {0}};
	static const char json[] =
		"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u-1\","
		"\"resourceVersion\":\"42\",\"generation\":3,"
		"\"creationTimestamp\":\"2026-11-25T17:00:00Z\","
		"\"deletionTimestamp\":\"2026-11-25T17:05:00Z\",\"ownerReferences\":["
		"{\"uid\":\"other\",\"controller\":false},"
		"{\"uid\":\"rs-1\",\"controller\":true},{\"uid\":\"third\"}]}}";
	struct arena a;
	struct objmeta meta = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	assert_int_equal(objmeta_read(SLICE_LIT(json), &a, &meta, &err), 0);
	CLEANUP_FREE struct objmeta *packed = jread_pack(fields, &meta, sizeof(meta));
	arena_done(&a);
	assert_string_equal(packed->name, "p");
	assert_string_equal(packed->ns, "n");
	assert_string_equal(packed->uid, "u-1");
	assert_string_equal(packed->resource_version, "42");
	assert_string_equal(packed->owner_uid, "rs-1");
	assert_int_equal(packed->generation, 3);
	assert_int_equal(packed->created.ms, INT64_C(1795626000000));
	assert_int_equal(packed->deleted.ms, INT64_C(1795626300000));
}

static void absent_members_stay_unset(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct objmeta meta = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	assert_int_equal(objmeta_read(SLICE_LIT("{\"metadata\":{\"name\":\"n\",\"creationTimestamp\":null,"
	                                        "\"ownerReferences\":[{\"uid\":\"x\"}]}}"),
	                              &a, &meta, &err),
	                 0);
	assert_null(meta.ns);
	assert_null(meta.owner_uid);
	assert_false(wall_is_set(meta.created));
	assert_false(wall_is_set(meta.deleted));
}

static void versions_compare_as_integers_of_any_length(void **state)
{
	static const struct {
		const char *a, *b;
		bool reached;
	} cases[] = {
		{"1", "1", true},
		{"2", "1", true},
		{"1", "2", false},
		{"10", "9", true},
		{"9", "10", false},
		{"18446744073709551616", "18446744073709551615", true},
		{"99999999999999999999999999999998", "99999999999999999999999999999999", false},
		/* not well-formed: equality only */
		{"0", "0", true},
		{"1", "0", false},
		{"01", "1", false},
		{"10", "", false},
		{"", "10", false},
		{"", "", true},
		{NULL, "1", false},
		{NULL, NULL, true},
		{"a", "a", true},
		{"b", "a", false},
		{"2", "1a", false},
		{"2a", "1", false},
		{"-1", "-2", false},
		{" 2", "1", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (resource_version_reached(cases[i].a, cases[i].b) != cases[i].reached)
			fail_msg("case %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_packs_metadata),
		cmocka_unit_test(absent_members_stay_unset),
		cmocka_unit_test(versions_compare_as_integers_of_any_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
