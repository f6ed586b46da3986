/* Lists and watches cut at every byte: nothing is lost, nothing is told twice, and the store ends right. */
#include "faults.h"

#define MAX_CUTS 640
#define PER_CLIENT 8

/* A watcher for each byte at which its first answer may be cut, all at once. */
struct crowd {
	struct fixture f;
	unsigned n, n_clients;
	struct kube_client *clients[MAX_CUTS / PER_CLIENT];
	struct watcher watchers[MAX_CUTS];
};

/* n_bytes: as many as the answer to `request` has, or more. */
static void begin_crowd(struct crowd *c, void **state, const char *request, unsigned n_bytes,
                        const char *more_answers)
{
	CLEANUP_BUF struct buf script;
	unsigned step = RUNNING_ON_VALGRIND ? 13 : 1;
	*c = (struct crowd){.n = n_bytes / step};
	buf_init(&script, 1u << 20);
	buf_addf(&script, HAS(OWN("a", "1", "1") "," OWN("b", "2", "2")) ",'answers':[%s", more_answers);
	for (unsigned i = 0; i < c->n; i++)
		buf_addf(&script, "%s{'on':'GET *%s*" MARK "','cut':%u,'by':'stream'}", i || *more_answers ? "," : "",
		         request, i, i * step);
	buf_add_str(&script, "]");
	begin(&c->f, state, script.ptr);
	for (unsigned i = 0; i < c->n; i++) {
		if (i % PER_CLIENT == 0)
			c->clients[c->n_clients++] = connect_as(&c->f, c->f.loop.loop, NULL);
		watch(&c->watchers[i], c->clients[c->n_clients - 1], i);
	}
}

static bool all_say(const struct crowd *c, const char *trace)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!c->watchers[i].synced || !str_eq(c->watchers[i].trace, trace))
			return false;
	return true;
}

/* Each has asked n times and once more for each trouble, so all watch again. */
static bool all_have_asked(const struct crowd *c, unsigned n)
{
	unsigned n_troubles = 0;
	for (unsigned i = 0; i < c->n; i++)
		n_troubles += c->watchers[i].troubles;
	return count_requests(&c->f, "GET *") == n * c->n + n_troubles;
}

static void end_crowd(struct crowd *c, const char *trace, size_t n_objects, unsigned n_requests)
{
	RUN_UNTIL(&c->f, all_have_asked(c, n_requests));
	/* From now on nothing happens, but that time-outs of connecting are still to run. */
	assert_in_range(turns_in(&c->f, 500), 0, 100);
	RUN_UNTIL(&c->f, all_have_asked(c, n_requests));
	for (unsigned i = 0; i < c->n; i++) {
		struct watcher *w = &c->watchers[i];
		assert_string_equal(w->trace, trace);
		assert_int_equal(w->synced, 1);
		assert_int_equal(store_count(informer_store(w->informer)), n_objects);
		assert_in_range(w->troubles, 0, 1);
		assert_int_equal(w->trouble.code, w->troubles ? ERR_TRANSPORT : ERR_NONE);
		informer_free(w->informer);
	}
	/* The last were to be cut behind the end of what came, so every byte has had its turn. */
	assert_int_equal(c->watchers[c->n - 1].troubles, 0);
	for (unsigned i = 0; i < c->n_clients; i++)
		kube_client_free(c->clients[i]);
	end(&c->f);
	assert_true(all_have_asked(c, n_requests));
	server_done(&c->f.server);
}

static void a_watch_cut_at_every_byte(void **state)
{
	static struct crowd c;
	begin_crowd(&c, state, "sendInitialEvents", 640, "");
	RUN_UNTIL(&c.f, all_say(&c, " +a:1 +b:2"));
	call_succeeds(&c.f, CHANGE("a", "3"));
	call_succeeds(&c.f, DELETE("b"));
	RUN_UNTIL(&c.f, all_say(&c, " +a:1 +b:2 a:1>3 -b:2"));
	end_crowd(&c, " +a:1 +b:2 a:1>3 -b:2", 1, 1);
}

static void a_list_cut_at_every_byte(void **state)
{
	static struct crowd c;
	begin_crowd(&c, state, "limit=", 280, "{'on':'GET *sendInitialEvents','status':422,'times':1000}");
	RUN_UNTIL(&c.f, all_say(&c, " +a:1 +b:2"));
	end_crowd(&c, " +a:1 +b:2", 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(a_watch_cut_at_every_byte),
		OVER_BOTH(a_list_cut_at_every_byte),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
