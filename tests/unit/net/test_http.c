#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "http_reply.h"

static void answers_over_http2(void **state)
{
	(void)state;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.user_agent = "test/1"});
	CLEANUP_REPLY struct reply a = {0}, b = {0}, d = {0};
	call(c, &a, (struct http_request){.path = "/hello", .timeout_ms = 10000});
	WAIT(a.done);
	assert_answer(&a, 200, "hello");
	assert_string_equal(a.content_type, "application/json");
	assert_int_equal(a.retry_after_ms, -1);
	assert_in_range(a.date.ms, wall_now().ms - 20000, wall_now().ms);
	call(c, &b, (struct http_request){.path = "/missing?x=1", .method = "DELETE"});
	WAIT(b.done);
	assert_answer(&b, 404, "nothing here");
	call(c, &d, (struct http_request){.path = "/about", .accept = "text/plain"});
	WAIT(d.done);
	CLEANUP_FREE char *about =
		xasprintf("HTTP/2.0|GET|/about|%s:%d||||text/plain|test/1|", web.address, WEB_PORT);
	assert_answer(&d, 200, about);
	struct http_client_stats stats = http_client_stats(c);
	assert_int_equal(stats.connections_opened, 1);
	assert_int_equal(stats.in_flight + stats.waiting + stats.long_running, 0);
	http_client_free(c);
	http_client_free(NULL);
}

static void plain_http_and_methods(void **state)
{
	(void)state;
	struct http_client *c = client_of(WEB_PORT_PLAIN, (struct http_client_options){0});
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		CLEANUP_REPLY struct reply r = {0};
		call(c, &r, (struct http_request){.path = "/about?q=%20/../x", .method = methods[i]});
		WAIT(r.done);
		CLEANUP_FREE char *about = xasprintf("HTTP/1.1|%s|/about?q=%%20/../x|%s:%d||||application/json||",
		                                     methods[i], web.address, WEB_PORT_PLAIN);
		assert_answer(&r, 200, about);
	}
	CLEANUP_REPLY struct reply head = {0}, moved = {0};
	call(c, &head, (struct http_request){.path = "/hello", .method = "HEAD"});
	call(c, &moved, (struct http_request){.path = "/moved"});
	WAIT(head.done && moved.done);
	assert_answer(&head, 200, "");
	assert_int_equal(moved.status, 302); /* not followed */
	http_client_free(c);
}

static void answer_body(struct web *w, struct exchange *x)
{
	(void)w;
	CLEANUP_BUF struct buf b;
	buf_init(&b, WEB_MAX_BODY);
	const char *type = strcasestr(x->in.ptr, "Content-Type: ");
	buf_addf(&b, "%s %zu %.40s", x->method, x->body.len, type ? type + strlen("Content-Type: ") : "no type");
	b.ptr[strcspn(b.ptr, "\r")] = '\0';
	exchange_answer(x, "201 Created", b.ptr);
}

static void bodies_are_sent(void **state)
{
	(void)state;
	web.on_request = answer_body;
	CLEANUP_FREE char *big = xmalloc(1000000);
	memset(big, 'x', 1000000);
	static const int ports[] = {WEB_PORT, WEB_PORT_PLAIN};
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct http_client *c = client_of(ports[i], (struct http_client_options){0});
		CLEANUP_REPLY struct reply a = {0}, b = {0}, d = {0}, e = {0};
		call(
			c, &a,
			(struct http_request){
				.path = "/x", .method = "POST", .body = SLICE_LIT("{}"), .content_type = "application/json"});
		call(c, &b,
		     (struct http_request){
				 .path = "/x", .method = "PATCH", .body = {big, 1000000}, .content_type = "a/b"});
		call(c, &d, (struct http_request){.path = "/x", .method = "DELETE", .body = SLICE_LIT("123")});
		call(c, &e, (struct http_request){.path = "/x", .method = "POST"});
		WAIT(a.done && b.done && d.done && e.done);
		assert_answer(&a, 201, "POST 2 application/json");
		assert_answer(&b, 201, "PATCH 1000000 a/b");
		assert_answer(&d, 201, "DELETE 3 no type");
		assert_int_equal(e.status, 201);
		http_client_free(c);
	}
}

static void answer_big(struct web *w, struct exchange *x)
{
	(void)w;
	char text[2001];
	memset(text, 'x', 2000);
	text[2000] = '\0';
	exchange_answer(x, str_eq(x->path, "/bad") ? "400 Bad Request" : "200 OK", text);
}

static void collected_bodies_are_bounded(void **state)
{
	(void)state;
	web.on_request = answer_big;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply fits = {0}, over = {0}, bad = {0}, plain = {0};
	call(c, &fits, (struct http_request){.path = "/x", .max_body_bytes = 2000});
	call(c, &over, (struct http_request){.path = "/x", .max_body_bytes = 1999});
	call(c, &bad, (struct http_request){.path = "/bad", .max_body_bytes = 10, .long_running = true});
	call(c, &plain, (struct http_request){.path = "/bad", .long_running = true});
	WAIT(fits.done && over.done && bad.done && plain.done);
	assert_int_equal(fits.body.len, 2000);
	assert_int_equal(fits.code, ERR_NONE);
	assert_failure(&over, ERR_LIMIT, true, "/x: the answer is larger than 1999 bytes");
	assert_int_equal(over.status, 200);
	assert_failure(&bad, ERR_LIMIT, true, "larger than 10 bytes");
	assert_int_equal(bad.status, 400);
	/* A stream's failure is collected too. */
	assert_int_equal(plain.code, ERR_NONE);
	assert_int_equal(plain.status, 400);
	assert_int_equal(plain.chunks, 0);
	assert_int_equal(plain.body.len, 2000);
	http_client_free(c);
}

static void retry_after_is_understood(void **state)
{
	(void)state;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply seconds = {0}, date = {0}, junk = {0}, huge = {0};
	call(c, &seconds, (struct http_request){.path = "/busy-seconds"});
	call(c, &date, (struct http_request){.path = "/busy-date"});
	call(c, &junk, (struct http_request){.path = "/busy-junk"});
	call(c, &huge, (struct http_request){.path = "/busy-huge"});
	WAIT(seconds.done && date.done && junk.done && huge.done);
	assert_answer(&seconds, 429, "busy");
	assert_int_equal(seconds.retry_after_ms, 7000);
	assert_int_equal(date.status, 503);
	assert_in_range(date.retry_after_ms, 1000, 60000);
	assert_int_equal(junk.retry_after_ms, -1);
	assert_int_equal(huge.retry_after_ms, 24 * 3600 * 1000);
	http_client_free(c);
}

static void a_call_times_out(void **state)
{
	(void)state;
	web.on_request = hold;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0}, after = {0};
	int64_t begin = mono_now().ms;
	call(c, &r, (struct http_request){.path = "/slow?token=secret", .timeout_ms = 200});
	WAIT(r.done);
	assert_in_range(mono_now().ms - begin, 190, 10000);
	assert_failure(&r, ERR_TIMEOUT, true, "/slow: not answered within 0.2 s");
	assert_null(strstr(r.message, "secret"));
	assert_int_equal(r.status, 0);
	/* The connection stays, and with the next request the server is told. */
	call(c, &after, (struct http_request){.path = "/hello"});
	WAIT(after.done);
	WAIT(web.n_dropped == 1);
	assert_int_equal(http_client_stats(c).connections_opened, 1);
	http_client_free(c);
}

static void a_stalled_stream_times_out(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0};
	call(c, &r, (struct http_request){.path = "/watch", .idle_timeout_ms = 1000, .long_running = true});
	/* Not while something comes, however long that is in all. */
	for (unsigned i = 1; i <= 8; i++) {
		WAIT(r.chunks == i);
		int64_t end = mono_now().ms + 150;
		WAIT(mono_now().ms >= end);
		assert_int_equal(r.done, 0);
		exchange_chunk(web.held, "{}\n");
	}
	WAIT(r.chunks == 9);
	int64_t begin = mono_now().ms;
	WAIT(r.done);
	assert_in_range(mono_now().ms - begin, 900, 10000);
	assert_failure(&r, ERR_TIMEOUT, true, "/watch: nothing received for 1 s");
	assert_int_equal(r.status, 200);
	/* Nor a byte ever. */
	web.on_request = hold;
	CLEANUP_REPLY struct reply silent = {0};
	call(c, &silent, (struct http_request){.path = "/watch", .idle_timeout_ms = 100, .long_running = true});
	WAIT(silent.done);
	assert_failure(&silent, ERR_TIMEOUT, true, "nothing received for 0.1 s");
	WAIT(web.n_dropped == 1);
	http_client_free(c);
}

static void streams_are_passed_on_at_once(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 1});
	CLEANUP_REPLY struct reply r = {0}, beside = {0};
	call(c, &r, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(r.chunks == 1);
	assert_int_equal(r.seen_status, 200);
	assert_int_equal(http_client_stats(c).long_running, 1);
	/* It does not use up what may be in flight. */
	call(c, &beside, (struct http_request){.path = "/hello"});
	WAIT(beside.done);
	exchange_chunk(web.held, "second\n");
	WAIT(r.chunks == 2);
	exchange_chunk(web.held, "third\n");
	exchange_send(web.held, "0\r\n\r\n", 5);
	WAIT(r.done);
	assert_answer(&r, 200, "{\"first\":1}\nsecond\nthird\n");
	/* A stream that breaks off is an error. */
	CLEANUP_REPLY struct reply broken = {0};
	call(c, &broken, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(broken.chunks == 1);
	exchange_end(web.held);
	WAIT(broken.done);
	assert_failure(&broken, ERR_TRANSPORT, true, "/watch: ");
	assert_int_equal(broken.status, 200);
	http_client_free(c);
}

static void a_lost_answer_may_have_been_sent(void **state)
{
	(void)state;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {0};
	call(c, &r, (struct http_request){.path = "/drop", .method = "POST", .body = SLICE_LIT("{}")});
	WAIT(r.done);
	assert_failure(&r, ERR_TRANSPORT, true, "/drop: ");
	assert_int_equal(r.status, 0);
	http_client_free(c);
}

#define MANY 300

static void many_calls_share_few_connections(void **state)
{
	(void)state;
	static const int ports[] = {WEB_PORT, WEB_PORT_PLAIN, WEB_PORT_GOAWAY};
	for (size_t p = 0; p < ARRAY_LEN(ports); p++) {
		struct http_client *c = client_of(ports[p], (struct http_client_options){0});
		struct reply *replies = xcalloc(MANY, sizeof(*replies));
		for (unsigned i = 0; i < MANY; i++) {
			char path[32];
			str_format(path, sizeof(path), "/item/%u", i);
			call(c, &replies[i], (struct http_request){.path = path, .timeout_ms = 15000});
		}
		assert_int_equal(http_client_stats(c).in_flight, 64);
		assert_int_equal(http_client_stats(c).waiting, MANY - 64);
		WAIT(http_client_stats(c).in_flight + http_client_stats(c).waiting == 0);
		for (unsigned i = 0; i < MANY; i++) {
			char path[32];
			str_format(path, sizeof(path), "/item/%u", i);
			assert_answer(&replies[i], 200, path);
			reply_done(&replies[i]);
		}
		if (ports[p] != WEB_PORT_GOAWAY)
			assert_in_range(http_client_stats(c).connections_opened, 1, 4);
		free(replies);
		http_client_free(c);
	}
}

/* The paths in the order in which they came. */
static char order[64];

static void note_order(struct web *w, struct exchange *x)
{
	(void)w;
	size_t len = strlen(order);
	str_copy(order + len, sizeof(order) - len, x->path + 1);
	exchange_answer(x, "200 OK", "");
}

static void calls_wait_in_order_of_arrival(void **state)
{
	(void)state;
	web.on_request = note_order;
	order[0] = '\0';
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 1});
	struct reply replies[8] = {0};
	for (unsigned i = 0; i < ARRAY_LEN(replies); i++) {
		char path[8];
		str_format(path, sizeof(path), "/%u", i);
		call(c, &replies[i], (struct http_request){.path = path});
	}
	assert_int_equal(http_client_stats(c).waiting, 7);
	http_call_cancel(replies[3].call); /* while it waits */
	WAIT(replies[7].done);
	assert_string_equal(order, "0124567");
	assert_int_equal(replies[3].done, 0);
	for (unsigned i = 0; i < ARRAY_LEN(replies); i++)
		reply_done(&replies[i]);
	http_client_free(c);
}

static void waiting_counts_as_time(void **state)
{
	(void)state;
	web.on_request = hold;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 1});
	CLEANUP_REPLY struct reply first = {0}, second = {0}, third = {0};
	call(c, &first, (struct http_request){.path = "/first", .timeout_ms = 1500});
	call(c, &second, (struct http_request){.path = "/second", .timeout_ms = 100, .idle_timeout_ms = 10});
	call(c, &third, (struct http_request){.path = "/hello"});
	WAIT(second.done);
	assert_failure(&second, ERR_TIMEOUT, false, "/second: not answered within 0.1 s");
	assert_int_equal(first.done, 0);
	WAIT(first.done);
	WAIT(third.done);
	assert_answer(&third, 200, "hello");
	http_client_free(c);
}

static void cancel_self(struct reply *r)
{
	http_call_cancel(r->call);
	r->data_result = -1;
}

static void cancel_other(struct reply *r)
{
	http_call_cancel(r->other->call);
}

static void cancel_in_a_callback(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply in_data = {.on_data = cancel_self}, in_status = {.on_status = cancel_self};
	call(c, &in_data, (struct http_request){.path = "/watch", .long_running = true, .timeout_ms = 5000});
	WAIT(in_data.chunks == 1 && http_client_stats(c).long_running == 0);
	call(c, &in_status, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(in_status.seen_status == 200 && http_client_stats(c).long_running == 0);
	WAIT(web.n_dropped == 1); /* the server hears of the first with the second */

	/* A call ends another one, which is in libcurl's hands too or waits. */
	struct http_client *one = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 1});
	CLEANUP_REPLY struct reply running = {0}, waiting = {0}, next = {0};
	CLEANUP_REPLY struct reply killer = {.on_data = cancel_other, .other = &running};
	web.on_request = stream_watches;
	web.n_requests = 0;
	call(one, &running, (struct http_request){.path = "/running"});
	call(one, &waiting, (struct http_request){.path = "/waiting"});
	call(one, &next, (struct http_request){.path = "/hello"});
	WAIT(web.n_requests == 1);
	call(one, &killer, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(killer.chunks == 1);
	WAIT(http_client_stats(one).waiting == 1); /* the slot is free again */
	killer.other = &waiting;
	exchange_chunk(web.held, "x");
	WAIT(next.done);
	assert_answer(&next, 200, "hello");
	assert_int_equal(running.done + waiting.done + killer.done + in_data.done + in_status.done, 0);
	assert_int_equal(in_status.chunks, 0);
	http_client_free(one);
	http_client_free(c);
}

static void refuse_data(struct reply *r)
{
	r->data_result = -1;
}

static void the_receiver_may_end_a_stream(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply r = {.on_data = refuse_data};
	call(c, &r, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(r.done);
	assert_failure(&r, ERR_CANCELED, true, "/watch: ended by the receiver");
	assert_int_equal(r.chunks, 1);
	http_client_free(c);
}

static void call_other(struct reply *r)
{
	call(r->client, r->other, (struct http_request){.path = "/hello"});
}

static void call_long_other(struct reply *r)
{
	call(r->client, r->other, (struct http_request){.path = "/watch", .long_running = true});
}

static void calls_may_begin_in_a_callback(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 1});
	CLEANUP_REPLY struct reply last = {0}, middle = {.on_done = call_long_other, .other = &last};
	CLEANUP_REPLY struct reply first = {.on_data = call_other, .other = &middle};
	call(c, &first, (struct http_request){.path = "/watch", .long_running = true});
	WAIT(last.chunks == 1);
	assert_answer(&middle, 200, "hello");
	assert_int_equal(http_client_stats(c).long_running, 2);
	http_client_free(c);
}

static void bad_authorization(void *arg, struct buf *out)
{
	(void)arg;
	buf_add_char(out, '\n');
}

static void call_again(struct reply *r)
{
	if (r->done < 3)
		call(r->client, r, (struct http_request){.path = "/again"});
}

static void failures_at_the_start_come_later(void **state)
{
	(void)state;
	struct http_client *c =
		client_of(WEB_PORT, (struct http_client_options){.authorization = bad_authorization});
	CLEANUP_REPLY struct reply canceled = {0}, again = {.on_done = call_again};
	CLEANUP_REPLY struct reply killer = {.on_done = cancel_other, .other = &canceled};
	call(c, &killer, (struct http_request){.path = "/killer"});
	call(c, &canceled, (struct http_request){.path = "/canceled"}); /* has failed when it is canceled */
	call(c, &again, (struct http_request){.path = "/again"});
	assert_int_equal(killer.done + again.done, 0);
	WAIT(again.done == 3);
	assert_failure(&killer, ERR_INVALID, false, "/killer: the credentials");
	assert_int_equal(canceled.done, 0);
	/* Nobody hears of this one. */
	call(c, &canceled, (struct http_request){.path = "/canceled"});
	http_client_free(c);
}

static void freed_with_calls_in_flight(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){.max_in_flight = 2});
	struct http_client *early = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply a = {0}, b = {0}, d = {0}, e = {0}, f = {0};
	call(c, &a, (struct http_request){.path = "/watch", .long_running = true, .idle_timeout_ms = 60000});
	call(c, &b,
	     (struct http_request){.path = "/x", .timeout_ms = 60000, .method = "POST", .body = SLICE_LIT("{}")});
	call(c, &d, (struct http_request){.path = "/y", .timeout_ms = 60000});
	call(c, &e, (struct http_request){.path = "/waits", .timeout_ms = 60000});
	WAIT(a.chunks == 1 && web.n_requests == 3);
	call(early, &f, (struct http_request){.path = "/x"}); /* not even connected */
	http_client_free(early);
	http_client_free(c);
	assert_int_equal(a.done + b.done + d.done + e.done + f.done, 0);
}

static void count_iteration(uv_prepare_t *h)
{
	++*(int *)h->data;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

static int iterations(int64_t ms)
{
	int n = 0;
	uv_prepare_t prepare = {.data = &n};
	uv_prepare_init(loop_uv(loop), &prepare);
	uv_prepare_start(&prepare, count_iteration);
	struct loop_timer *t = loop_timer_new(loop, stop_loop, loop);
	loop_timer_arm(t, ms);
	loop_run(loop);
	loop_timer_free(t);
	uv_close((uv_handle_t *)&prepare, NULL);
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	return n;
}

static void nothing_to_do_means_no_wake_ups(void **state)
{
	(void)state;
	web.on_request = stream;
	struct http_client *c = client_of(WEB_PORT, (struct http_client_options){0});
	CLEANUP_REPLY struct reply watch = {0}, get = {0};
	call(c, &watch, (struct http_request){.path = "/watch", .long_running = true, .idle_timeout_ms = 60000});
	call(c, &get, (struct http_request){.path = "/hello", .timeout_ms = 60000});
	WAIT(watch.chunks == 1 && get.done);
	iterations(300); /* libcurl's own timers of the first moments */
	assert_in_range(iterations(500), 1, 2);
	http_call_cancel(watch.call);
	/* The connection is kept, and keeps nothing awake. */
	iterations(100);
	assert_in_range(iterations(500), 1, 2);
	loop_run(loop); /* returns: nothing is left to wait for */
	http_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(answers_over_http2),
		HTTP_TEST(plain_http_and_methods),
		HTTP_TEST(bodies_are_sent),
		HTTP_TEST(collected_bodies_are_bounded),
		HTTP_TEST(retry_after_is_understood),
		HTTP_TEST(a_call_times_out),
		HTTP_TEST(a_stalled_stream_times_out),
		HTTP_TEST(streams_are_passed_on_at_once),
		HTTP_TEST(a_lost_answer_may_have_been_sent),
		HTTP_TEST(many_calls_share_few_connections),
		HTTP_TEST(calls_wait_in_order_of_arrival),
		HTTP_TEST(waiting_counts_as_time),
		HTTP_TEST(cancel_in_a_callback),
		HTTP_TEST(the_receiver_may_end_a_stream),
		HTTP_TEST(calls_may_begin_in_a_callback),
		HTTP_TEST(failures_at_the_start_come_later),
		HTTP_TEST(freed_with_calls_in_flight),
		HTTP_TEST(nothing_to_do_means_no_wake_ups),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
