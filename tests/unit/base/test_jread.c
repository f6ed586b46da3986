#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/jread.h"
#include "base/mem.h"

struct port {
	const char *name;
	int32_t number;
	const struct jkv *notes;
	size_t n_notes;
};

struct part {
	const char *name;
	bool ready;
	const struct port *ports;
	size_t n_ports;
	const struct jqty *limits;
	size_t n_limits;
};

struct thing {
	const char *name;
	const char *not_in_table;
	const char *chosen; /* filled by the fold */
	bool on, has_state;
	int32_t small;
	int64_t big, quantity;
	struct wall at;
	const struct jkv *labels;
	size_t n_labels;
	const struct part *parts;
	size_t n_parts;
	int folded;
};

struct choice {
	const char *name;
	bool is_it;
	const struct jkv *unused;
	size_t n_unused;
};

static void fold_choice(void *base, const void *elem)
{
	struct thing *t = base;
	const struct choice *c = elem;
	t->folded++;
	if (c->is_it)
		t->chosen = c->name;
}

#define AT(member) .offset = offsetof(STRUCT, member)
#define COUNTED(member) .offset = offsetof(STRUCT, member), .count_offset = offsetof(STRUCT, n_##member)

#define STRUCT struct port
static const struct jfield port_fields[] = {
	{"name", J_STR, AT(name)},
	{"number", J_I32, AT(number)},
	{"notes", J_MAP, COUNTED(notes)},
	{0},
};
#undef STRUCT
#define STRUCT struct part
static const struct jfield part_state[] = {{"ready", J_BOOL, AT(ready)}, {0}};
static const struct jfield part_fields[] = {
	{"name", J_STR, AT(name)},
	{"state", J_OBJECT, .sub = part_state},
	{"ports", J_ARRAY, COUNTED(ports), .sub = port_fields, .elem_size = sizeof(struct port)},
	{"limits", J_QTY_MAP, COUNTED(limits)},
	{0},
};
#undef STRUCT
#define STRUCT struct choice
static const struct jfield choice_fields[] = {
	{"name", J_STR, AT(name)},
	{"isIt", J_BOOL, AT(is_it)},
	{"unused", J_MAP, COUNTED(unused)},
	{0},
};
#undef STRUCT
#define STRUCT struct thing
static const struct jfield meta_fields[] = {
	{"name", J_STR, AT(name)},
	{"labels", J_MAP, COUNTED(labels)},
	{"at", J_TIME, AT(at)},
	{0},
};
static const struct jfield thing_fields[] = {
	{"metadata", J_OBJECT, .sub = meta_fields},
	{"on", J_BOOL, AT(on)},
	{"small", J_I32, AT(small)},
	{"big", J_I64, AT(big)},
	{"quantity", J_QTY, AT(quantity)},
	{"state", J_PRESENT, AT(has_state)},
	{"parts", J_ARRAY, COUNTED(parts), .sub = part_fields, .elem_size = sizeof(struct part)},
	{"choices", J_EACH, .sub = choice_fields, .elem_size = sizeof(struct choice), .fold = fold_choice},
	{NULL, J_STR, AT(chosen)},
	{0},
};
#undef STRUCT

static const char full[] =
	"{ \"skipped\": {\"deep\":[1,{\"name\":\"wrong\"}]},\n"
	"\"metadata\" : {\"name\":\"th\\u00e9\", \"labels\":"
	"{\"a\":\"1\",\"b.c/d\":\"\",\"e\\\"f\":\"\\u0078\",\"g\":\"4\",\"h\":\"5\",\"i\":null},"
	"\"at\":\"2026-11-25T17:00:00Z\", \"x\":null},\n"
	"\"on\":true,\"small\":-2147483648,\"big\":9223372036854775807,"
	"\"quantity\":\"1.5Ki\",\"state\":{\"any\":[]},"
	"\"parts\":[{\"name\":\"one\",\"state\":{\"ready\":true},"
	"\"ports\":[{\"name\":\"http\",\"number\":80},"
	"{\"name\":\"metrics\",\"number\":9090,\"notes\":{\"k\":\"v\"}}],"
	"\"limits\":{\"nvidia.com/gpu\":\"8\",\"memory\":\"2Gi\",\"cpu\":1500e-3,\"none\":null}},"
	"null,{},{\"name\":\"four\",\"ports\":[]},{\"name\":\"five\"}],"
	"\"choices\":[{\"name\":\"first\"},{\"name\":\"second\",\"isIt\":true},null,{\"isIt\":false}]}";

static void check_full(const struct thing *t)
{
	assert_string_equal(t->name, "th\xc3\xa9");
	assert_string_equal(t->chosen, "second");
	assert_int_equal(t->folded, 4);
	assert_true(t->on);
	assert_true(t->has_state);
	assert_int_equal(t->small, INT32_MIN);
	assert_true(t->big == INT64_MAX);
	assert_int_equal(t->quantity, 1536);
	assert_int_equal(t->at.ms, INT64_C(1795626000000));
	assert_int_equal(t->n_labels, 6);
	assert_string_equal(t->labels[0].key, "a");
	assert_string_equal(t->labels[0].value, "1");
	assert_string_equal(t->labels[1].key, "b.c/d");
	assert_string_equal(t->labels[1].value, "");
	assert_string_equal(t->labels[2].key, "e\"f");
	assert_string_equal(t->labels[2].value, "x");
	assert_string_equal(t->labels[4].value, "5");
	assert_string_equal(t->labels[5].key, "i");
	assert_string_equal(t->labels[5].value, "");
	assert_int_equal(t->n_parts, 5);
	const struct part *p = t->parts;
	assert_string_equal(p[0].name, "one");
	assert_true(p[0].ready);
	assert_int_equal(p[0].n_ports, 2);
	assert_string_equal(p[0].ports[0].name, "http");
	assert_int_equal(p[0].ports[0].n_notes, 0);
	assert_int_equal(p[0].ports[1].number, 9090);
	assert_int_equal(p[0].ports[1].n_notes, 1);
	assert_string_equal(p[0].ports[1].notes[0].value, "v");
	assert_int_equal(p[0].n_limits, 4);
	assert_string_equal(p[0].limits[0].key, "nvidia.com/gpu");
	assert_int_equal(p[0].limits[0].value, 8);
	assert_int_equal(p[0].limits[1].value, INT64_C(2) << 30);
	assert_int_equal(p[0].limits[2].value, 2);
	assert_int_equal(p[0].limits[3].value, 0);
	assert_null(p[1].name);
	assert_null(p[2].name);
	assert_string_equal(p[3].name, "four");
	assert_null(p[3].ports);
	assert_string_equal(p[4].name, "five");
}

static void reads_all_types(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct thing t = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	if (jread(thing_fields, SLICE_LIT(full), &a, &t, &err) < 0)
		fail_msg("%s", err.message);
	check_full(&t);
	assert_int_equal(err.code, ERR_NONE);
}

static void packs_into_one_block(void **state)
{
	struct arena a;
	struct thing t = {.not_in_table = "static"};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	char *json = xstrdup(full);
	assert_int_equal(jread(thing_fields, slice_from(json), &a, &t, &err), 0);
	CLEANUP_FREE struct thing *packed = jread_pack(thing_fields, &t, sizeof(t));
	/* Nothing of it may point to what it was read from. */
	free(json);
	arena_done(&a);
	memset(&t, 0xa5, sizeof(t));
	check_full(packed);
	assert_string_equal(packed->not_in_table, "static");
	assert_int_equal((uintptr_t)packed->labels % 8, 0);
	assert_int_equal((uintptr_t)packed->parts % 8, 0);
	assert_int_equal((uintptr_t)packed->parts[0].ports % 8, 0);
	assert_int_equal((uintptr_t)packed->parts[0].limits % 8, 0);

	/* A packed one can be packed again. */
	CLEANUP_FREE struct thing *again = jread_pack(thing_fields, packed, sizeof(*packed));
	check_full(again);
}

static void packs_an_empty_one(void **state)
{
	struct thing t = {0};

	(void)state;
	t.labels = (const struct jkv *)(const void *)"dangling"; /* of no length */
	CLEANUP_FREE struct thing *packed = jread_pack(thing_fields, &t, sizeof(t));
	assert_null(packed->name);
	assert_null(packed->labels);
	assert_null(packed->parts);
}

static void packs_odd_sizes(void **state)
{
	struct odd {
		char c[5];
	};
	struct base {
		const struct odd *odds;
		size_t n_odds;
		const struct jkv *map;
		size_t n_map;
		char tail[3];
	};
	static const struct jfield odd_fields[] = {{0}};
	static const struct jfield fields[] = {
		{"odds", J_ARRAY, .offset = offsetof(struct base, odds),
	     .count_offset = offsetof(struct base, n_odds), .sub = odd_fields, .elem_size = sizeof(struct odd)},
		{NULL, J_MAP, .offset = offsetof(struct base, map), .count_offset = offsetof(struct base, n_map)},
		{0},
	};
	static const struct odd odds[] = {{"abcd"}, {"efgh"}, {"ijkl"}};
	static const struct jkv map[] = {{"k", "v"}, {"only key", NULL}};
	struct base b = {odds, 3, map, 2, "xy"};

	(void)state;
	CLEANUP_FREE struct base *packed = jread_pack(fields, &b, sizeof(b));
	assert_ptr_not_equal(packed->odds, odds);
	assert_string_equal(packed->odds[2].c, "ijkl");
	assert_int_equal((uintptr_t)packed->map % 8, 0);
	assert_ptr_not_equal(packed->map[0].key, map[0].key);
	assert_string_equal(packed->map[1].key, "only key");
	assert_null(packed->map[1].value);
	assert_string_equal(packed->tail, "xy");
}

static void null_is_absent(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct thing t = {0}, zero = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	assert_int_equal(
		jread(thing_fields,
	          SLICE_LIT("{\"metadata\":null,\"on\":null,\"small\":null,\"big\":null,\"quantity\":null,"
	                    "\"state\":null,\"parts\":null,\"choices\":null}"),
	          &a, &t, &err),
		0);
	assert_memory_equal(&t, &zero, sizeof(t));
	assert_int_equal(jread(thing_fields,
	                       SLICE_LIT("{\"metadata\":{\"name\":null,\"labels\":null,\"at\":null}}"), &a, &t,
	                       &err),
	                 0);
	assert_memory_equal(&t, &zero, sizeof(t));
	assert_int_equal(jread(thing_fields, SLICE_LIT(" {} "), &a, &t, &err), 0);
	assert_memory_equal(&t, &zero, sizeof(t));
}

static void empty_is_not_absent(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct thing t = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	assert_int_equal(
		jread(thing_fields, SLICE_LIT("{\"metadata\":{\"name\":\"\"},\"state\":false}"), &a, &t, &err), 0);
	assert_string_equal(t.name, "");
	assert_true(t.has_state);
}

static void the_last_of_equal_members_counts(void **state)
{
	CLEANUP_ARENA struct arena a;
	struct thing t = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	assert_int_equal(
		jread(thing_fields,
	          SLICE_LIT("{\"small\":1,\"parts\":[{},{}],\"sm\\u0061ll\":2,\"parts\":[{\"name\":\"x\"}]}"), &a,
	          &t, &err),
		0);
	assert_int_equal(t.small, 2);
	assert_int_equal(t.n_parts, 1);
	assert_string_equal(t.parts[0].name, "x");
}

static void errors_name_the_path(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
		{"[]", "not an object"},
		{"null", "not an object"},
		{"7", "not an object"},
		{"{\"metadata\":[]}", "metadata: not an object"},
		{"{\"metadata\":{\"name\":1}}", "metadata.name: not a string"},
		{"{\"metadata\":{\"labels\":[]}}", "metadata.labels: not an object"},
		{"{\"metadata\":{\"labels\":{\"a.b/c\":true}}}", "metadata.labels[a.b/c]: not a string"},
		{"{\"metadata\":{\"labels\":{\"\":1}}}", "metadata.labels[]: not a string"},
		{"{\"metadata\":{\"labels\":{"
	     "\"0123456789012345678901234567890123456789012345678901234567890123456789\":1}}}",
	     "metadata.labels[0123456789012345678901234567890123456789012345678901234567890123]: not a string"},
		{"{\"metadata\":{\"at\":5}}", "metadata.at: not an RFC 3339 time"},
		{"{\"metadata\":{\"at\":\"today\"}}", "metadata.at: not an RFC 3339 time: 'today'"},
		{"{\"on\":\"true\"}", "on: not a boolean"},
		{"{\"small\":\"1\"}", "small: not an integer"},
		{"{\"small\":1.0}", "small: not an integer"},
		{"{\"small\":1e3}", "small: not an integer"},
		{"{\"small\":2147483648}", "small: out of range"},
		{"{\"small\":-2147483649}", "small: out of range"},
		{"{\"big\":true}", "big: not an integer"},
		{"{\"quantity\":[]}", "quantity: not a quantity"},
		{"{\"quantity\":\"8 GPUs\"}", "quantity: not a quantity: '8 GPUs'"},
		{"{\"parts\":{}}", "parts: not an array"},
		{"{\"parts\":[{},3]}", "parts[1]: not an object"},
		{"{\"parts\":[{},{},{\"ports\":[{},{\"number\":\"http\"}]}]}",
	     "parts[2].ports[1].number: not an integer"},
		{"{\"parts\":[{\"state\":{\"ready\":0}}]}", "parts[0].state.ready: not a boolean"},
		{"{\"parts\":[{\"limits\":{\"memory\":\"lots\"}}]}",
	     "parts[0].limits[memory]: not a quantity: 'lots'"},
		{"{\"choices\":[{},{\"isIt\":1}]}", "choices[1].isIt: not a boolean"},
		/* not JSON */
		{"", "not valid JSON: unexpected end (byte 0)"},
		{"{\"on\":tru}", "not valid JSON: a value is missing (byte 6)"},
		{"{\"small\":01}", "not valid JSON: a number with a leading zero (byte 9)"},
		{"{\"small\":9223372036854775808}", "not valid JSON: an integer beyond 64 bits (byte 9)"},
		{"{\"state\":[}", "not valid JSON: a value is missing (byte 10)"},
		{"{\"skipped\":[1e999]}", "not valid JSON: a real beyond the range of a double (byte 12)"},
		{"{\"parts\":[{},}", "not valid JSON: a value is missing (byte 13)"},
		{"{\"metadata\":{\"name\":\"a\\u0000\"}}", "not valid JSON: \\u0000 is not allowed (byte 22)"},
		{"{} {}", "not valid JSON: something follows the end (byte 3)"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_ARENA struct arena a;
		struct thing t = {0};
		struct err err = ERR_INIT;
		arena_init(&a);
		assert_int_equal(jread(thing_fields, slice_from(cases[i].json), &a, &t, &err), -1);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void a_cut_object_is_an_error(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(full) - 1; n++) {
		CLEANUP_ARENA struct arena a;
		CLEANUP_FREE char *json = xmalloc(n);
		struct thing t = {0};
		struct err err = ERR_INIT;
		memcpy(json, full, n);
		arena_init(&a);
		if (jread(thing_fields, (struct slice){json, n}, &a, &t, &err) != -1)
			fail_msg("accepted when cut at byte %zu", n);
	}
}

static void long_arrays_grow(void **state)
{
	CLEANUP_ARENA struct arena a;
	CLEANUP_BUF struct buf json;
	struct thing t = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	buf_init(&json, 1u << 20);
	buf_add_str(&json, "{\"parts\":[{\"name\":\"0\"}");
	for (int i = 1; i < 1000; i++)
		buf_addf(&json, ",{\"name\":\"%d\"}", i);
	buf_add_str(&json, "]}");
	assert_int_equal(jread(thing_fields, buf_slice(&json), &a, &t, &err), 0);
	assert_int_equal(t.n_parts, 1000);
	for (size_t i = 0; i < t.n_parts; i++)
		assert_int_equal(strtol(t.parts[i].name, NULL, 10), i);
}

static void nesting_too_deep_is_an_error(void **state)
{
	CLEANUP_ARENA struct arena a;
	CLEANUP_BUF struct buf json;
	struct thing t = {0};
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&a);
	buf_init(&json, 1u << 20);
	buf_add_str(&json, "{\"state\":");
	for (int i = 0; i < JSCAN_MAX_DEPTH; i++)
		buf_add_str(&json, "[");
	assert_int_equal(jread(thing_fields, buf_slice(&json), &a, &t, &err), -1);
	assert_string_equal(err.message, "not valid JSON: nested too deeply (byte 520)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_types),
		cmocka_unit_test(packs_into_one_block),
		cmocka_unit_test(packs_an_empty_one),
		cmocka_unit_test(packs_odd_sizes),
		cmocka_unit_test(null_is_absent),
		cmocka_unit_test(empty_is_not_absent),
		cmocka_unit_test(the_last_of_equal_members_counts),
		cmocka_unit_test(errors_name_the_path),
		cmocka_unit_test(a_cut_object_is_an_error),
		cmocka_unit_test(long_arrays_grow),
		cmocka_unit_test(nesting_too_deep_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
