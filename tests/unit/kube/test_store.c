#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/mem.h"
#include "kube/store.h"

#define MAX_KEYS 4

/* By its keys in index 0 (several), and by node in index 1 (one or none). */
struct thing {
	struct objmeta meta;
	const char *keys[MAX_KEYS];
	const char *node;
	int value;
};

static void thing_index(const void *obj, store_emit_fn *emit, void *arg)
{
	const struct thing *t = obj;
	for (int i = 0; i < MAX_KEYS; i++) {
		/* The key need not outlive the call. */
		CLEANUP_FREE char *key = t->keys[i] ? xstrdup(t->keys[i]) : NULL;
		emit(arg, 0, key);
	}
	emit(arg, 1, t->node);
}

static const struct kube_type thing_type = {
	.resource = {"", "v1", "things", "Thing", true},
	.free = free,
	.index = thing_index,
};

static struct thing *thing_new(const char *ns, const char *name, int value)
{
	struct thing *t = xcalloc(1, sizeof(*t));
	t->meta.ns = ns;
	t->meta.name = name;
	t->value = value;
	return t;
}

/* Takes `t` over and frees what it replaces; tells its value, 0 if there was none. */
static int put(struct store *s, struct thing *t)
{
	struct thing *old = store_put(s, t);
	int value = old ? old->value : 0;
	free(old);
	return value;
}

static int visit_values(void *arg, const void *obj)
{
	const struct thing *t = obj;
	buf_addf(arg, "%d ", t->value);
	return 0;
}

static void assert_all(const struct store *s, const char *expected)
{
	CLEANUP_BUF struct buf got;
	buf_init(&got, 1 << 20);
	assert_int_equal(store_each(s, visit_values, &got), 0);
	assert_string_equal(buf_slice(&got).ptr, expected);
}

static void assert_indexed(const struct store *s, unsigned index, const char *key, const char *expected)
{
	CLEANUP_BUF struct buf got;
	buf_init(&got, 1 << 20);
	assert_int_equal(store_each_indexed(s, index, key, visit_values, &got), 0);
	assert_string_equal(buf_slice(&got).ptr, expected);
}

static int value_of(const struct store *s, const char *ns, const char *name)
{
	const struct thing *t = store_get(s, ns, name);
	return t ? t->value : 0;
}

static void put_get_remove(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	assert_int_equal(store_count(s), 0);
	assert_null(store_get(s, "a", "x"));
	assert_int_equal(put(s, thing_new("a", "x", 1)), 0);
	assert_int_equal(put(s, thing_new("b", "x", 2)), 0);
	assert_int_equal(put(s, thing_new("a", "y", 3)), 0);
	assert_int_equal(store_count(s), 3);
	assert_int_equal(value_of(s, "a", "x"), 1);
	assert_int_equal(value_of(s, "b", "x"), 2);
	assert_int_equal(value_of(s, "b", "y"), 0);
	/* A replacement keeps its place in the order. */
	assert_int_equal(put(s, thing_new("a", "x", 4)), 1);
	assert_int_equal(store_count(s), 3);
	assert_all(s, "4 2 3 ");
	struct thing *gone = store_remove(s, "a", "x");
	assert_int_equal(gone->value, 4);
	free(gone);
	assert_null(store_remove(s, "a", "x"));
	assert_all(s, "2 3 ");
	store_free(s);
	store_free(NULL);
}

static void cluster_scoped(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	put(s, thing_new(NULL, "n1", 1));
	assert_int_equal(value_of(s, NULL, "n1"), 1);
	assert_int_equal(value_of(s, "", "n1"), 1);
	assert_int_equal(put(s, thing_new("", "n1", 2)), 1);
	store_free(s);
}

static void names_do_not_run_together(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	CLEANUP_FREE char *longest = xcalloc(1, 1001);
	memset(longest, 'x', 1000);
	put(s, thing_new("ab", "c", 1));
	put(s, thing_new("a", "bc", 2));
	put(s, thing_new(longest, "c", 3));
	put(s, thing_new("c", longest, 4));
	assert_int_equal(value_of(s, "ab", "c"), 1);
	assert_int_equal(value_of(s, "a", "bc"), 2);
	assert_int_equal(value_of(s, longest, "c"), 3);
	assert_int_equal(value_of(s, "c", longest), 4);
	store_free(s);
}

static struct thing *with_keys(struct thing *t, const char *k0, const char *k1, const char *node)
{
	t->keys[0] = k0;
	t->keys[1] = k1;
	t->node = node;
	return t;
}

static void indexes_follow(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	assert_indexed(s, 0, "k", "");
	put(s, with_keys(thing_new("a", "1", 1), "k", "l", NULL));
	put(s, with_keys(thing_new("a", "2", 2), "k", NULL, "n1"));
	put(s, with_keys(thing_new("a", "3", 3), "l", "k", "n1"));
	assert_indexed(s, 0, "k", "1 2 3 ");
	assert_indexed(s, 0, "l", "1 3 ");
	assert_indexed(s, 1, "n1", "2 3 ");
	assert_indexed(s, 1, "k", "");
	/* The same keys: same place. */
	put(s, with_keys(thing_new("a", "1", 10), "k", "l", NULL));
	assert_indexed(s, 0, "k", "10 2 3 ");
	/* Other keys: what stays keeps its place, also in the middle, and in another order. */
	put(s, with_keys(thing_new("a", "2", 20), "m", "k", NULL));
	assert_indexed(s, 0, "k", "10 20 3 ");
	assert_indexed(s, 0, "m", "20 ");
	assert_indexed(s, 1, "n1", "3 ");
	put(s, with_keys(thing_new("a", "3", 30), "k", NULL, "n2"));
	assert_indexed(s, 0, "k", "10 20 30 ");
	assert_indexed(s, 0, "l", "10 ");
	assert_indexed(s, 1, "n1", "");
	assert_indexed(s, 1, "n2", "30 ");
	/* New ones go to the end. */
	put(s, with_keys(thing_new("a", "1", 11), "l", NULL, "n2"));
	put(s, with_keys(thing_new("a", "1", 12), "k", NULL, "n2"));
	assert_indexed(s, 0, "k", "20 30 12 ");
	assert_indexed(s, 0, "l", "");
	assert_indexed(s, 1, "n2", "30 12 ");
	free(store_remove(s, "a", "3"));
	assert_indexed(s, 0, "k", "20 12 ");
	assert_indexed(s, 1, "n2", "12 ");
	/* No key at all. */
	put(s, thing_new("a", "1", 13));
	put(s, thing_new("a", "2", 21));
	assert_indexed(s, 0, "k", "");
	assert_indexed(s, 1, "n2", "");
	assert_all(s, "13 21 ");
	store_free(s);
}

static void the_same_key_twice_counts_once(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	put(s, with_keys(thing_new("a", "1", 1), "k", "k", NULL));
	assert_indexed(s, 0, "k", "1 ");
	put(s, with_keys(thing_new("a", "1", 2), "k", NULL, NULL));
	assert_indexed(s, 0, "k", "2 ");
	free(store_remove(s, "a", "1"));
	assert_indexed(s, 0, "k", "");
	store_free(s);
}

static int stop_at(void *arg, const void *obj)
{
	const struct thing *t = obj;
	return t->value == *(const int *)arg ? 7 : 0;
}

static void visits_can_stop(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	put(s, with_keys(thing_new("a", "1", 1), "k", NULL, NULL));
	put(s, with_keys(thing_new("a", "2", 2), "k", NULL, NULL));
	int value = 1;
	assert_int_equal(store_each(s, stop_at, &value), 7);
	assert_int_equal(store_each_indexed(s, 0, "k", stop_at, &value), 7);
	value = 3;
	assert_int_equal(store_each(s, stop_at, &value), 0);
	assert_int_equal(store_each_indexed(s, 0, "k", stop_at, &value), 0);
	store_free(s);
}

struct sweep {
	const struct store *store;
	struct buf gone;
};

static void on_gone(void *arg, void *obj)
{
	struct sweep *w = arg;
	struct thing *t = obj;
	/* It is out already. */
	assert_null(store_get(w->store, t->meta.ns, t->meta.name));
	buf_addf(&w->gone, "%d ", t->value);
	free(t);
}

static void assert_swept(struct store *s, const char *ns, uint32_t mark, const char *expected)
{
	struct sweep w = {.store = s};
	buf_init(&w.gone, 1 << 20);
	store_list_sweep(s, ns, mark, on_gone, &w);
	assert_string_equal(buf_slice(&w.gone).ptr, expected);
	buf_done(&w.gone);
}

static void lists(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	uint32_t mark;
	put(s, with_keys(thing_new("a", "early", 1), "k", NULL, NULL));
	assert_swept(s, NULL, 0, ""); /* no list was begun */
	mark = store_list_begin(s);
	assert_swept(s, NULL, mark, "1 ");

	for (int round = 0; round < 2; round++) {
		put(s, with_keys(thing_new("a", "1", 1), "k", NULL, NULL));
		put(s, with_keys(thing_new("a", "2", 2), "k", NULL, NULL));
		put(s, with_keys(thing_new("a", "3", 3), "k", NULL, NULL));
		put(s, with_keys(thing_new("a", "4", 4), "k", NULL, NULL));
	}
	store_list_begin(s);
	put(s, with_keys(thing_new("a", "1", 10), "k", NULL, NULL));
	mark = store_list_begin(s); /* broke, and starts anew */
	put(s, with_keys(thing_new("a", "2", 20), "k", NULL, NULL));
	store_touch(s, "a", "3");
	store_touch(s, "a", "unknown");
	put(s, with_keys(thing_new("a", "5", 5), "k", NULL, NULL));
	free(store_remove(s, "a", "4"));
	assert_swept(s, NULL, mark, "10 ");
	assert_all(s, "20 3 5 ");
	assert_indexed(s, 0, "k", "20 3 5 ");
	assert_swept(s, NULL, mark, "");
	mark = store_list_begin(s);
	assert_swept(s, NULL, mark, "20 3 5 ");
	assert_int_equal(store_count(s), 0);
	assert_indexed(s, 0, "k", "");
	store_free(s);
}

/* Lists of two namespaces at a time, in one store: each sweeps its own. */
static void lists_of_namespaces(void **state)
{
	(void)state;
	struct store *s = store_new(&thing_type);
	put(s, thing_new("a", "old", 1));
	put(s, thing_new("b", "old", 2));
	uint32_t of_a = store_list_begin(s);
	put(s, thing_new("a", "new", 3));
	uint32_t of_b = store_list_begin(s);
	put(s, thing_new("b", "new", 4));
	assert_swept(s, "a", of_a, "1 ");
	assert_all(s, "2 3 4 ");
	assert_swept(s, "b", of_b, "2 ");
	assert_all(s, "3 4 ");
	/* One that comes once more knows what the other has seen meanwhile. */
	of_b = store_list_begin(s);
	put(s, thing_new("a", "newest", 5));
	assert_swept(s, "b", of_b, "4 ");
	assert_all(s, "3 5 ");
	store_free(s);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

#define N_NAMES 60
#define N_KEYS 7

/* Against a model that is too simple to be wrong: an array, looked through each time. */
static void random_changes(void **state)
{
	(void)state;
	static char names[N_NAMES][8];
	static const char *const keys[N_KEYS] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6"};
	const struct thing *model[N_NAMES] = {0};
	struct store *s = store_new(&thing_type);
	uint32_t seed = 1;
	for (unsigned i = 0; i < N_NAMES; i++)
		str_format(names[i], sizeof(names[i]), "n%u", i);
	for (int step = 1; step <= 20000; step++) {
		unsigned n = next_random(&seed) % N_NAMES;
		if (next_random(&seed) % 4 == 0) {
			free(store_remove(s, "a", names[n]));
			model[n] = NULL;
		} else {
			struct thing *t = thing_new("a", names[n], step);
			for (unsigned k = next_random(&seed) % (MAX_KEYS + 1); k > 0; k--)
				t->keys[k - 1] = keys[next_random(&seed) % N_KEYS];
			put(s, t);
			model[n] = t;
		}
		if (step % 100 != 0)
			continue;
		size_t count = 0;
		for (unsigned i = 0; i < N_NAMES; i++) {
			count += model[i] != NULL;
			assert_ptr_equal(store_get(s, "a", names[i]), model[i]);
		}
		assert_int_equal(store_count(s), count);
		for (unsigned k = 0; k < N_KEYS; k++) {
			size_t expected = 0;
			CLEANUP_BUF struct buf got;
			buf_init(&got, 1 << 20);
			store_each_indexed(s, 0, keys[k], visit_values, &got);
			for (unsigned i = 0; i < N_NAMES; i++) {
				bool in = false;
				for (int j = 0; model[i] && j < MAX_KEYS; j++)
					in = in || str_eq(model[i]->keys[j], keys[k]);
				if (!in)
					continue;
				char value[16];
				expected++;
				str_format(value, sizeof(value), "%d ", model[i]->value);
				assert_true(slice_contains(buf_slice(&got), value));
			}
			size_t spaces = 0;
			for (size_t i = 0; i < got.len; i++)
				spaces += got.ptr[i] == ' ';
			assert_int_equal(spaces, expected);
		}
	}
	store_free(s);
}

static void without_indexes(void **state)
{
	(void)state;
	static const struct kube_type plain = {.resource = {"", "v1", "things", "Thing", true}, .free = free};
	struct store *s = store_new(&plain);
	put(s, thing_new("a", "x", 1));
	assert_indexed(s, 0, "k", "");
	assert_all(s, "1 ");
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_get_remove),
		cmocka_unit_test(cluster_scoped),
		cmocka_unit_test(names_do_not_run_together),
		cmocka_unit_test(indexes_follow),
		cmocka_unit_test(the_same_key_twice_counts_once),
		cmocka_unit_test(visits_can_stop),
		cmocka_unit_test(lists),
		cmocka_unit_test(lists_of_namespaces),
		cmocka_unit_test(random_changes),
		cmocka_unit_test(without_indexes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
