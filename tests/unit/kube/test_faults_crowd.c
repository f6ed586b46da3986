/* 500 requests at once beside seven watches: all are answered, over few connections, in little memory. */
#include <malloc.h>
#include "faults.h"

#define WATCHES 7
#define REQUESTS 500
#define MAX_CONNECTIONS 10 /* 8 to read, 2 to write */
#define MAX_IN_FLIGHT 64   /* to read, and as many to write */
#define MAX_HEAP_BYTES (8u << 20)

/* NULL without AddressSanitizer. */
size_t sanitizer_bytes(void) __asm__("__sanitizer_get_current_allocated_bytes") __attribute__((weak));

static size_t heap_bytes(void)
{
	return sanitizer_bytes ? sanitizer_bytes() : mallinfo2().uordblks;
}

static unsigned n_answered(const struct outcome *o)
{
	unsigned n = 0;
	for (unsigned i = 0; i < REQUESTS; i++)
		n += o[i].calls;
	return n;
}

static unsigned most(const struct fixture *f, const char *member)
{
	unsigned most = 0;
	for (size_t i = 0; i < json_array_size(f->server.requests); i++) {
		unsigned n = (unsigned)strtoul(server_saw(&f->server, i, member), NULL, 10);
		most = n > most ? n : most;
	}
	return most;
}

static bool all_watches_know(const struct watcher *w, const char *version)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		const struct thing *a = store_get(informer_store(w[i].informer), "ns", "a");
		if (!a || !str_eq(a->meta.resource_version, version))
			return false;
	}
	return true;
}

static void many_at_once(void **state)
{
	static struct outcome o[REQUESTS];
	struct fixture f;
	struct watcher w[WATCHES];
	struct outcome last;
	begin(&f, state, HAS(OWN("a", "1", "1")) ",'answers':[{'on':'* " THINGS "/a','hang':true,'times':500}]");
	for (unsigned i = 0; i < WATCHES; i++)
		watch(&w[i], f.client, i);
	for (unsigned i = 0; i < WATCHES; i++)
		RUN_UNTIL(&f, w[i].synced);
	bool http2 = str_eq(*state, "h2");
	/* In HTTP/1.1 each has a connection to itself. */
	unsigned n_reads = http2 ? MAX_IN_FLIGHT : 8 - WATCHES, n_writes = http2 ? MAX_IN_FLIGHT : 2;
	size_t before = heap_bytes();
	for (unsigned i = 0; i < REQUESTS; i++) {
		CLEANUP_FREE char *body = xasprintf("{\"n\":%u}", i);
		start(&f, i % 2 ? KUBE_PATCH_MERGE : KUBE_GET, "a", i % 2 ? body : NULL, 0, &o[i]);
	}
	RUN_UNTIL(&f,
	          count_requests(&f, "GET *things/a") == n_reads && count_requests(&f, "PATCH *") == n_writes);
	assert_in_range(turns_in(&f, 500), 0, 50);
	size_t used = heap_bytes() - before;
	assert_in_range(used, 0, MAX_HEAP_BYTES);
	assert_int_equal(n_answered(o), 0);
	server_poll(&f.server);
	assert_int_equal(most(&f, "in_flight"), WATCHES + n_reads + n_writes);

	server_go_on(&f.server);
	RUN_UNTIL(&f, n_answered(o) == REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(o[i].calls, 1);
		assert_int_equal(o[i].outcome, KUBE_DONE);
	}
	call(&f, GET("a"), &last);
	RUN_UNTIL(&f, all_watches_know(w, last.resource_version));
	assert_in_range(turns_in(&f, 500), 0, 50);
	assert_in_range(f.turns, 1, 10 * REQUESTS);
	for (unsigned i = 0; i < WATCHES; i++) {
		assert_int_equal(w[i].troubles, 0);
		informer_free(w[i].informer);
	}
	end(&f);
	assert_in_range(most(&f, "connections"), 1, MAX_CONNECTIONS);
	assert_in_range(most(&f, "in_flight"), 1, WATCHES + 2 * MAX_IN_FLIGHT);
	assert_int_equal(json_array_size(f.server.requests), WATCHES + REQUESTS + 1);
	server_done(&f.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_BOTH(many_at_once),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
