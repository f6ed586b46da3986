#include "base/mem.h"
#include "reflector_bench.h"

/* Up to the third page of a list. */
static void to_pages(struct bench *b)
{
	start(b);
	end_http(b, 422);
	assert_did(b, "begin page");
	page(b, "50", "token1");
	assert_did(b, "page");
	page(b, "50", "token2");
	assert_did(b, "page");
	assert_string_equal(b->r.continue_token, "token2");
}

static void streaming_list(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	to_watch(&b);
	event(&b, "101");
	event(&b, "105");
	assert_did(&b, "");
	b.now_ms += 400000;
	end_clean(&b);
	assert_did(&b, "watch");
	assert_string_equal(b.r.resource_version, "105");
	assert_int_equal(b.opens, 2);
	stop(&b);
	assert_did(&b, "close");
	reflector_done(&b.r);
}

static void refused_streaming_means_pages(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int http_status;
	} cases[] = {{ERR_HTTP, 400},  {ERR_HTTP, 404}, {ERR_HTTP, 405}, {ERR_HTTP, 422},
	             {ERR_INVALID, 0}, {ERR_LIMIT, 0},  {ERR_NONE, 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		start(&b);
		end_with(&b, cases[i].code, cases[i].http_status, -1);
		assert_did(&b, "begin page");
		assert_int_equal(b.r.failures, 0);
		page(&b, "50", "token");
		assert_did(&b, "page");
		page(&b, "50", "");
		assert_did(&b, "end watch");
		assert_null(b.r.continue_token);
		assert_string_equal(b.r.resource_version, "50");
		assert_true(b.r.synced);

		/* It is remembered over the next list and a stop, but only for an hour. */
		end_http(&b, 410);
		assert_did(&b, "begin page");
		stop(&b);
		assert_did(&b, "close");
		start(&b);
		assert_did(&b, "begin page");
		page(&b, "60", NULL);
		assert_did(&b, "end watch");
		b.now_ms += 3600 * 1000;
		end_http(&b, 410);
		assert_did(&b, "begin stream-list");
		stop(&b);
		reflector_done(&b.r);
	}
}

static void other_trouble_is_no_refusal(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int http_status;
	} cases[] = {{ERR_HTTP, 401},  {ERR_HTTP, 403},    {ERR_HTTP, 429},  {ERR_HTTP, 500}, {ERR_HTTP, 503},
	             {ERR_CONNECT, 0}, {ERR_TRANSPORT, 0}, {ERR_TIMEOUT, 0}, {ERR_IO, 0},     {ERR_CANCELED, 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		start(&b);
		event(&b, "7");
		end_with(&b, cases[i].code, cases[i].http_status, -1);
		assert_did(&b, "timer");
		assert_in_range(b.delay_ms, 400, 800);
		/* A broken list starts anew. */
		timer(&b);
		assert_did(&b, "begin stream-list");
		assert_string_equal(b.r.resource_version, "");
		stop(&b);
		reflector_done(&b.r);
	}
}

static void expired(void **state)
{
	(void)state;
	struct bench b;
	/* In a watch: a new list at once. */
	bench_init(&b, 1);
	to_watch(&b);
	event(&b, "101");
	end_http(&b, 410);
	assert_did(&b, "begin stream-list");
	assert_string_equal(b.r.resource_version, "");
	assert_true(b.r.synced);
	/* In the initial stream, again and again: not at once. */
	end_http(&b, 410);
	assert_did(&b, "timer");
	assert_in_range(b.delay_ms, 800, 1600);
	timer(&b);
	assert_did(&b, "begin stream-list");
	/* A good list does not make the next 410 the first one ... */
	initial_end(&b, "200");
	event(&b, "201");
	end_http(&b, 410);
	assert_did(&b, "timer");
	assert_in_range(b.delay_ms, 1600, 3200);
	timer(&b);
	/* ... a watch that lasts does. */
	initial_end(&b, "200");
	b.now_ms += 10000;
	event(&b, "201");
	assert_int_equal(b.r.failures, 0);
	end_http(&b, 410);
	assert_did(&b, "begin stream-list");
	reflector_done(&b.r);
}

static void expired_after_an_outage(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	to_watch(&b);
	for (int i = 0; i < 6; i++) {
		end_http(&b, 503);
		assert_did(&b, "timer");
		assert_in_range(b.delay_ms, 1, 3000);
		timer(&b);
		assert_did(&b, "watch");
	}
	end_http(&b, 410); /* the server is back and has forgotten: no more waiting */
	assert_did(&b, "begin stream-list");
	reflector_done(&b.r);
}

/* A server that has just started knows nobody's rights yet; after a while a 403 is meant. */
static void denied_at_first_is_tried_again_soon(void **state)
{
	(void)state;
	struct bench b;
	int64_t longest_ms = 0;
	bench_init(&b, 1);
	to_watch(&b);
	for (int i = 0; i < 40; i++) {
		end_http(&b, i < 20 ? 503 : 403);
		assert_did(&b, "timer");
		if (i < 28)
			assert_in_range(b.delay_ms, 1, 3000);
		else if (b.delay_ms > longest_ms)
			longest_ms = b.delay_ms;
		timer(&b);
	}
	assert_in_range(longest_ms, 10000, 30000);
	reflector_done(&b.r);
}

static void expired_in_the_third_page(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	to_pages(&b);
	end_http(&b, 410);
	assert_did(&b, "begin page");
	assert_null(b.r.continue_token);
	assert_false(b.r.synced);
	page(&b, "60", NULL);
	assert_did(&b, "end watch");
	assert_string_equal(b.r.resource_version, "60");
	reflector_done(&b.r);
}

static void trouble_between_pages(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int http_status;
		bool keeps_token;
	} cases[] = {{ERR_HTTP, 429, true},  {ERR_HTTP, 500, true},  {ERR_CONNECT, 0, true},
	             {ERR_TIMEOUT, 0, true}, {ERR_HTTP, 400, false}, {ERR_INVALID, 0, false},
	             {ERR_LIMIT, 0, false},  {ERR_NONE, 0, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		to_pages(&b);
		end_with(&b, cases[i].code, cases[i].http_status, -1);
		assert_did(&b, "timer");
		assert_in_range(b.delay_ms, 400, 800);
		timer(&b);
		assert_did(&b, cases[i].keeps_token ? "page" : "begin page");
		if (cases[i].keeps_token)
			assert_string_equal(b.r.continue_token, "token2");
		else
			assert_null(b.r.continue_token);
		reflector_done(&b.r);
	}
	/* The first page has no token to go on with. */
	struct bench b;
	bench_init(&b, 1);
	start(&b);
	end_http(&b, 422);
	end_with(&b, ERR_CONNECT, 0, -1);
	timer(&b);
	assert_did(&b, "begin page");
	reflector_done(&b.r);
}

static void senseless_pages(void **state)
{
	(void)state;
	CLEANUP_FREE char *huge = xcalloc(1, REFLECTOR_CONTINUE_SIZE + 1);
	memset(huge, 'x', REFLECTOR_CONTINUE_SIZE);
	const struct {
		const char *rv, *token;
	} cases[] = {{"50", "token2"}, {"50", huge}, {"", NULL}, {NULL, NULL}, {huge, NULL}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		to_pages(&b);
		page(&b, cases[i].rv, cases[i].token);
		assert_did(&b, "timer");
		assert_false(b.r.synced);
		timer(&b);
		assert_did(&b, "begin page");
		assert_null(b.r.continue_token);
		reflector_done(&b.r);
	}
	/* One byte less is fine. */
	struct bench b;
	bench_init(&b, 1);
	to_pages(&b);
	huge[REFLECTOR_CONTINUE_SIZE - 1] = '\0';
	page(&b, "50", huge);
	assert_did(&b, "page");
	reflector_done(&b.r);
}

static void stream_without_a_version_to_go_on_from(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	start(&b);
	initial_end(&b, "");
	assert_did(&b, "close timer");
	assert_false(b.r.synced);
	timer(&b);
	assert_did(&b, "begin stream-list");
	reflector_done(&b.r);
}

static void throttled(void **state)
{
	(void)state;
	static const struct {
		int http_status;
		int64_t retry_after_ms, min_ms, max_ms;
	} cases[] = {{429, 5000, 5000, 5500},
	             {429, 1000, 1000, 1100},
	             {429, -1, 400, 800},
	             {429, 0, 400, 800},
	             {503, 2000, 2000, 2200},
	             {503, -1, 400, 800},
	             {429, 86400000, 300000, 330000},
	             {401, 5000, 400, 800}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		to_watch(&b);
		event(&b, "123");
		b.now_ms += 100;
		end_with(&b, ERR_HTTP, cases[i].http_status, cases[i].retry_after_ms);
		assert_did(&b, "timer");
		assert_in_range(b.delay_ms, cases[i].min_ms, cases[i].max_ms);
		timer(&b);
		assert_did(&b, "watch");
		assert_string_equal(b.r.resource_version, "123");
		reflector_done(&b.r);
	}
}

static void resumes_after_trouble(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		int http_status;
		bool resumes;
	} cases[] = {
		{ERR_CONNECT, 0, true},   {ERR_TRANSPORT, 0, true}, {ERR_TIMEOUT, 0, true},  {ERR_IO, 0, true},
		{ERR_NOT_FOUND, 0, true}, {ERR_HTTP, 500, true},    {ERR_HTTP, 502, true},   {ERR_HTTP, 504, true},
		{ERR_HTTP, 401, true},    {ERR_HTTP, 403, true},    {ERR_HTTP, 429, true},   {ERR_HTTP, 400, false},
		{ERR_HTTP, 404, false},   {ERR_HTTP, 422, false},   {ERR_INVALID, 0, false}, {ERR_LIMIT, 0, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;
		bench_init(&b, i);
		to_watch(&b);
		event(&b, "101");
		b.now_ms += 60000;
		event(&b, "900"); /* the last bookmark */
		event(&b, "");    /* an object without a version changes nothing */
		end_with(&b, cases[i].code, cases[i].http_status, -1);
		assert_did(&b, "timer");
		timer(&b);
		assert_did(&b, cases[i].resumes ? "watch" : "begin stream-list");
		assert_string_equal(b.r.resource_version, cases[i].resumes ? "900" : "");
		reflector_done(&b.r);
	}
}

static void overlong_versions_are_not_taken(void **state)
{
	(void)state;
	struct bench b;
	char rv[REFLECTOR_RV_SIZE + 1];
	memset(rv, '1', sizeof(rv));
	rv[REFLECTOR_RV_SIZE] = '\0';
	bench_init(&b, 1);
	to_watch(&b);
	event(&b, rv);
	assert_string_equal(b.r.resource_version, "100");
	rv[REFLECTOR_RV_SIZE - 1] = '\0';
	event(&b, rv);
	assert_string_equal(b.r.resource_version, rv);
	reflector_done(&b.r);
}

static void clean_ends(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	to_watch(&b);
	b.now_ms += 1000;
	end_clean(&b);
	assert_did(&b, "watch");
	/* Within a second with an event: no failure, but not at once either. */
	b.now_ms += 300;
	event(&b, "101");
	end_clean(&b);
	assert_did(&b, "timer");
	assert_int_equal(b.delay_ms, 700);
	assert_int_equal(b.r.failures, 0);
	timer(&b);
	assert_did(&b, "watch");
	/* Within a second without one: a failure. */
	b.now_ms += 999;
	end_clean(&b);
	assert_did(&b, "timer");
	assert_in_range(b.delay_ms, 400, 800);
	assert_int_equal(b.r.failures, 1);
	timer(&b);
	assert_did(&b, "watch");
	end_clean(&b);
	assert_in_range(b.delay_ms, 800, 1600);
	timer(&b);
	assert_string_equal(b.r.resource_version, "101");
	b.now_ms += 10000;
	end_clean(&b);
	assert_did(&b, "watch");
	assert_int_equal(b.r.failures, 0);
	reflector_done(&b.r);
}

static void stopping(void **state)
{
	(void)state;
	struct bench b;
	bench_init(&b, 1);
	stop(&b);
	assert_did(&b, "");
	start(&b);
	start(&b);
	assert_did(&b, "");
	stop(&b);
	assert_did(&b, "close");
	/* What comes late is ignored. */
	end_clean(&b);
	assert_did(&b, "");
	event(&b, "1");
	assert_did(&b, "");
	page(&b, "1", NULL);
	assert_did(&b, "");
	step(&b, (struct reflector_input){.type = REFLECTOR_IN_TIMER});
	assert_did(&b, "");
	assert_int_equal(b.r.state, REFLECTOR_STOPPED);
	/* While waiting. */
	start(&b);
	end_with(&b, ERR_CONNECT, 0, -1);
	stop(&b);
	assert_did(&b, "");
	to_watch(&b);
	step(&b, (struct reflector_input){.type = REFLECTOR_IN_TIMER});
	assert_did(&b, "");
	/* Between pages. */
	stop(&b);
	to_pages(&b);
	stop(&b);
	assert_did(&b, "close");
	assert_null(b.r.continue_token);
	assert_false(b.r.synced);
	reflector_done(&b.r);
	reflector_done(&b.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streaming_list),
		cmocka_unit_test(refused_streaming_means_pages),
		cmocka_unit_test(other_trouble_is_no_refusal),
		cmocka_unit_test(expired),
		cmocka_unit_test(expired_after_an_outage),
		cmocka_unit_test(denied_at_first_is_tried_again_soon),
		cmocka_unit_test(expired_in_the_third_page),
		cmocka_unit_test(trouble_between_pages),
		cmocka_unit_test(senseless_pages),
		cmocka_unit_test(stream_without_a_version_to_go_on_from),
		cmocka_unit_test(throttled),
		cmocka_unit_test(resumes_after_trouble),
		cmocka_unit_test(overlong_versions_are_not_taken),
		cmocka_unit_test(clean_ends),
		cmocka_unit_test(stopping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
