/* jscan against jansson: the same verdict about every text, the same value, whether read or skipped. jread
 * must refuse what jansson refuses, and survive the rest. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/objmeta.h"
#include "jscan_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct condition {
	const char *type, *status;
	struct wall since;
};

struct view {
	struct objmeta meta;
	const struct jkv *labels;
	size_t n_labels;
	const struct condition *conditions;
	size_t n_conditions;
	const struct jqty *allocatable;
	size_t n_allocatable;
	int32_t replicas;
	bool has_spec;
};

static const struct jfield condition_fields[] = {
	{"type", J_STR, .offset = offsetof(struct condition, type)},
	{"status", J_STR, .offset = offsetof(struct condition, status)},
	{"lastTransitionTime", J_TIME, .offset = offsetof(struct condition, since)},
	{0},
};
static const struct jfield meta_fields[] = {
	OBJMETA_FIELDS,
	{"labels", J_MAP, .offset = offsetof(struct view, labels),
     .count_offset = offsetof(struct view, n_labels)},
	{0},
};
static const struct jfield status_fields[] = {
	{"replicas", J_I32, .offset = offsetof(struct view, replicas)},
	{"allocatable", J_QTY_MAP, .offset = offsetof(struct view, allocatable),
     .count_offset = offsetof(struct view, n_allocatable)},
	{"conditions", J_ARRAY, .offset = offsetof(struct view, conditions),
     .count_offset = offsetof(struct view, n_conditions), .sub = condition_fields,
     .elem_size = sizeof(struct condition)},
	{0},
};
static const struct jfield view_fields[] = {
	{"metadata", J_OBJECT, .sub = meta_fields},
	{"spec", J_PRESENT, .offset = offsetof(struct view, has_spec)},
	{"status", J_OBJECT, .sub = status_fields},
	{0},
};

static void require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_reader: %s\n", what);
	abort();
}

static void read_view(struct slice text, bool valid)
{
	CLEANUP_ARENA struct arena a;
	struct view view = {0};
	struct err err = ERR_INIT;

	arena_init(&a);
	if (jread(view_fields, text, &a, &view, &err) < 0) {
		require(err.code == ERR_INVALID && *err.message, "jread fails without an error");
		return;
	}
	require(valid, "jread accepts what jansson refuses");
	free(jread_pack(view_fields, &view, sizeof(view)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	struct jscan read, skip;
	json_t *want = json_loadb(size ? text.ptr : "", size, JSON_DECODE_ANY, NULL);
	json_t *unread = json_loadb(size ? text.ptr : "", size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	json_t *got = jscan_tree(text, &read);
	bool skips = jscan_tree_skips(text, &skip);

	/* The documented differences. */
	bool too_deep = skip.error && strcmp(skip.error, "nested too deeply") == 0;
	bool has_nul = size > 0 && memchr(data, '\0', size);

	require(skips || !got, "reads what it does not skip");
	require(unread || !skips, "skips what jansson refuses");
	if (got)
		require(want && json_equal(got, want), "another value than jansson's");
	else if (!too_deep && !has_nul)
		require(!want && !unread == !skips, "refuses what jansson accepts");
	read_view(text, skips);

	json_decref(got);
	json_decref(unread);
	json_decref(want);
	return 0;
}
