/* That no path of the reflector asks too often or waits too long. */
#include "base/mem.h"
#include "reflector_bench.h"

static void jitter(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int http_status;
		int64_t max_ms;
	} cases[] = {{ERR_CONNECT, 0, 3000}, {ERR_HTTP, 503, 3000}, {ERR_HTTP, 429, 30000}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t low[8] = {0}, high[8] = {0};
		for (uint64_t seed = 0; seed < 500; seed++) {
			struct bench b;
			bench_init(&b, seed);
			to_watch(&b);
			for (int n = 0; n < 8; n++) {
				end_with(&b, cases[i].code, cases[i].http_status, -1);
				if (seed == 0 || b.delay_ms < low[n])
					low[n] = b.delay_ms;
				if (seed == 0 || b.delay_ms > high[n])
					high[n] = b.delay_ms;
				timer(&b);
			}
			reflector_done(&b.r);
		}
		for (int n = 0; n < 8; n++) {
			int64_t full = 800 << n;
			full = full > cases[i].max_ms ? cases[i].max_ms : full;
			assert_in_range(low[n], full / 2, full / 2 + full / 50);
			assert_in_range(high[n], full - full / 50, full);
		}
	}
}

/* How the server of a simulation answers each call: after_ms later, with so many events before. */
struct answer {
	enum err_code code;
	int http_status;
	int64_t retry_after_ms, after_ms;
	unsigned events;
	bool lists; /* lists succeed, only what comes after them does not */
};

static void carry_out(struct bench *b, const struct answer *a)
{
	bool list = b->r.state == REFLECTOR_STREAM_LIST;
	if (list && a->lists)
		initial_end(b, "1");
	if (b->r.state == REFLECTOR_PAGE_LIST && a->lists) {
		page(b, "1", NULL);
		return;
	}
	for (unsigned i = 0; i < a->events; i++)
		event(b, "2");
	b->now_ms += a->after_ms;
	end_with(b, a->code, a->http_status, a->retry_after_ms);
}

/* Calls opened in ten minutes. */
static unsigned simulate(const struct answer *a, bool pages, uint64_t seed)
{
	struct bench b;
	bench_init(&b, seed);
	int64_t until_ms = b.now_ms + 600 * 1000;
	b.r.streaming_refused = pages;
	b.r.refused_at.ms = b.now_ms;
	start(&b);
	while (b.now_ms < until_ms && b.opens < 100000) {
		if (b.r.state == REFLECTOR_WAIT)
			timer(&b);
		else
			carry_out(&b, a);
	}
	stop(&b);
	reflector_done(&b.r);
	return b.opens;
}

static void no_path_asks_without_bound(void **state)
{
	(void)state;
	/* At least 1.5 s each in the end; at least 15 s each, with good lists up to two calls; one per second,
	 * and a list now and then. */
	enum { AWAY = 410, OTHER = 100, PACED = 1210 };
	static const struct {
		enum err_code code;
		int http_status;
		unsigned max; /* calls in ten minutes, when answered at once and without Retry-After */
	} failures[] = {{ERR_CONNECT, 0, AWAY},    {ERR_TRANSPORT, 0, AWAY}, {ERR_TIMEOUT, 0, AWAY},
	                {ERR_HTTP, 500, AWAY},     {ERR_HTTP, 503, AWAY},    {ERR_HTTP, 400, OTHER},
	                {ERR_HTTP, 401, OTHER},    {ERR_HTTP, 403, OTHER},   {ERR_HTTP, 404, OTHER},
	                {ERR_HTTP, 410, OTHER},    {ERR_HTTP, 422, OTHER},   {ERR_HTTP, 429, OTHER},
	                {ERR_INVALID, 0, OTHER},   {ERR_LIMIT, 0, OTHER},    {ERR_IO, 0, OTHER},
	                {ERR_NOT_FOUND, 0, OTHER}, {ERR_CANCELED, 0, OTHER}, {ERR_NONE, 0, PACED}};

	static const int64_t retry_after_ms[] = {-1, 0, 1, 1000, 10000}, after_ms[] = {0, 10, 2000, 9999, 10000};
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		for (unsigned variant = 0; variant < 8; variant++) {
			for (size_t k = 0; k < ARRAY_LEN(retry_after_ms); k++) {
				for (size_t m = 0; m < ARRAY_LEN(after_ms); m++) {
					struct answer a = {failures[i].code, failures[i].http_status, retry_after_ms[k],
					                   after_ms[m],      variant & 1 ? 3 : 0,     (variant & 2) != 0};
					unsigned opens = simulate(&a, (variant & 4) != 0, i + variant);
					bool plain = retry_after_ms[k] < 1000 && after_ms[m] <= 10;
					assert_in_range(opens, 1, plain ? failures[i].max : PACED);
				}
			}
		}
	}
}

static void recovers_soon(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct bench b;
		bench_init(&b, seed);
		to_watch(&b);
		event(&b, "500");
		b.now_ms += 30000;
		int64_t back_ms = b.now_ms + 60000;
		end_with(&b, ERR_TRANSPORT, 0, -1);
		while (b.now_ms < back_ms) {
			timer(&b);
			if (b.now_ms < back_ms)
				end_with(&b, ERR_CONNECT, 0, -1);
		}
		assert_did(&b, "watch");
		assert_string_equal(b.r.resource_version, "500");
		assert_true(b.now_ms - back_ms <= 3000);
		reflector_done(&b.r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jitter),
		cmocka_unit_test(no_path_asks_without_bound),
		cmocka_unit_test(recovers_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
