#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/hash.h"
#include "kube/client.h"
#include "kube/watch.h"

/* What came, in few bytes: one line per event. */
struct record {
	struct buf text;
	int stop_after; /* events; 0: never */
};

static const char *const type_names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};

static int on_event(void *arg, const struct watch_event *e, struct err *err)
{
	struct record *r = arg;
	buf_addf(&r->text, "%s rv=%s object=%zu:%016llx%s", type_names[e->type], e->resource_version,
	         e->object.len, (unsigned long long)hash64(HASH64_INIT, e->object),
	         e->initial_events_end ? " end" : "");
	if (e->type == WATCH_ERROR)
		buf_addf(&r->text, " %d %s: %s", e->status.http_status, e->status.reason, e->status.message);
	else
		assert_int_equal(e->status.code, ERR_NONE);
	buf_add_char(&r->text, '\n');
	if (r->stop_after > 0 && --r->stop_after == 0)
		return err_set(err, ERR_CANCELED, "enough");
	return 0;
}

static void record_init(struct record *r)
{
	buf_init(&r->text, 1 << 20);
	r->stop_after = 0;
}

static const char *record_text(const struct record *r)
{
	return buf_slice(&r->text).ptr;
}

/* The text in one piece. */
static int decode(struct record *r, const char *text, struct err *err)
{
	struct watch_decoder d;
	watch_decoder_init(&d);
	int rc = watch_decoder_feed(&d, slice_from(text), on_event, r, err);
	watch_decoder_done(&d);
	return rc;
}

static void assert_events(const char *text, const char *expected)
{
	struct record r;
	struct err err = ERR_INIT;
	record_init(&r);
	assert_int_equal(decode(&r, text, &err), 0);
	/* Without the sizes and hashes. */
	CLEANUP_BUF struct buf got;
	buf_init(&got, 1 << 20);
	struct slice rest = buf_slice(&r.text);
	while (rest.len > 0) {
		struct slice line = slice_split(rest, '\n', &rest);
		const char *object = memmem(line.ptr, line.len, " object=", 8);
		const char *after = memchr(object + 1, ' ', line.len - (size_t)(object + 1 - line.ptr));
		buf_add(&got, line.ptr, (size_t)(object - line.ptr));
		if (after)
			buf_add(&got, after, line.len - (size_t)(after - line.ptr));
		buf_add_char(&got, '\n');
	}
	assert_string_equal(buf_slice(&got).ptr, expected);
	buf_done(&r.text);
}

static void assert_refused(const char *text, enum err_code code, const char *message)
{
	struct record r;
	struct err err = ERR_INIT;
	record_init(&r);
	assert_int_equal(decode(&r, text, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, message));
	buf_done(&r.text);
}

static void read_corpus(const char *path, struct buf *b)
{
	struct err err = ERR_INIT;
	buf_init(b, 1 << 20);
	assert_int_equal(file_read(path, b, &err), 0);
}

static void recorded_stream_cut_at_every_byte(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf stream;
	struct record whole;
	struct err err = ERR_INIT;
	read_corpus("tests/corpus/watchlist-pods.jsonl", &stream);
	record_init(&whole);
	assert_int_equal(decode(&whole, stream.ptr, &err), 0);
	assert_non_null(strstr(record_text(&whole), "ADDED rv=284 "));
	assert_non_null(strstr(record_text(&whole), "BOOKMARK rv=377 "));
	assert_non_null(strstr(record_text(&whole), " end\n"));

	struct watch_decoder d;
	struct record cut;
	watch_decoder_init(&d);
	record_init(&cut);
	for (size_t at = 0; at <= stream.len; at++) {
		buf_clear(&cut.text);
		struct slice head = {stream.ptr, at}, tail = {stream.ptr + at, stream.len - at};
		assert_int_equal(watch_decoder_feed(&d, head, on_event, &cut, &err), 0);
		assert_int_equal(watch_decoder_feed(&d, tail, on_event, &cut, &err), 0);
		assert_string_equal(record_text(&cut), record_text(&whole));
	}
	for (size_t step = 1; step < 40; step++) {
		buf_clear(&cut.text);
		for (size_t at = 0; at < stream.len; at += step) {
			size_t len = stream.len - at < step ? stream.len - at : step;
			assert_int_equal(
				watch_decoder_feed(&d, (struct slice){stream.ptr + at, len}, on_event, &cut, &err), 0);
		}
		assert_string_equal(record_text(&cut), record_text(&whole));
	}
	watch_decoder_done(&d);
	buf_done(&cut.text);
	buf_done(&whole.text);
}

static void recorded_expiry(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf stream;
	read_corpus("tests/corpus/watch-expired.jsonl", &stream);
	assert_events(stream.ptr, "ERROR rv= 410 Expired: too old resource version: 1 (380)\n");
}

static void events(void **state)
{
	(void)state;
	assert_events("", "");
	assert_events("\n\r\n \n", "");
	/* No end of line, no event. */
	assert_events("{\"type\":\"ADDED\",\"object\":{}}", "");
	assert_events("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n",
	              "ADDED rv=7\n");
	assert_events("{\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}},\"type\":\"DELETED\"}\r\n",
	              "DELETED rv=7\n");
	assert_events(" { \"type\" : \"MODIFIED\" , \"new\" : [ 1 ] , \"object\" : { \"metadata\" : "
	              "{ \"a\" : 1, \"resourceVersion\" : \"7\" } } } \n",
	              "MODIFIED rv=7\n");
	/* Escapes are the same text. */
	assert_events(
		"{\"\\u0074ype\":\"ADDE\\u0044\",\"object\":{\"metadata\":{\"resourceVersion\":\"a\\u0026b\"}}}\n",
		"ADDED rv=a&b\n");
	/* Objects that are not understood are not the decoder's matter. */
	assert_events("{\"type\":\"ADDED\",\"object\":{}}\n", "ADDED rv=\n");
	assert_events("{\"type\":\"ADDED\",\"object\":{\"metadata\":7}}\n", "ADDED rv=\n");
	assert_events("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}\n", "ADDED rv=\n");
	assert_events(
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"8\"},\"s\":\"{\\u0000\\\"\"}}\n"
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"},\"n\":1e999}}\n",
		"ADDED rv=8\nADDED rv=9\n");
}

static void bookmarks(void **state)
{
	(void)state;
	assert_events("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}\n",
	              "BOOKMARK rv=5\n");
	assert_events("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"annotations\":{\"x\":\"y\","
	              "\"k8s.io/initial-events-end\":\"true\"},\"resourceVersion\":\"5\"}}}\n",
	              "BOOKMARK rv=5 end\n");
	assert_events("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\","
	              "\"annotations\":{\"k8s.io/initial-events-end\":\"false\"}}}}\n",
	              "BOOKMARK rv=5\n");
	assert_events("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"annotations\":null,\"resourceVersion\":"
	              "\"5\"}}}\n",
	              "BOOKMARK rv=5\n");
	assert_events("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\","
	              "\"annotations\":{\"k8s.io/initial-events-end\":true}}}}\n",
	              "BOOKMARK rv=5\n");
	/* An object may carry that annotation as it likes. */
	assert_events("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"annotations\":{\"k8s.io/"
	              "initial-events-end\":\"true\"},"
	              "\"resourceVersion\":\"5\"}}}\n",
	              "ADDED rv=5\n");
}

static void errors_in_the_stream(void **state)
{
	(void)state;
	assert_events(
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,\"reason\":\"InternalError\","
		"\"message\":\"no\"}}\n",
		"ERROR rv= 500 InternalError: no\n");
	/* Not a Status, or one without a proper code. */
	assert_events("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Pod\"}}\n",
	              "ERROR rv= 500 : HTTP status 500\n");
	assert_events(
		"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":200,\"reason\":\"Expired\"}}\n",
		"ERROR rv= 500 Expired: Expired\n");
}

static void lines_that_are_no_events(void **state)
{
	(void)state;
	assert_refused("404 page not found\n", ERR_INVALID, "no event");
	assert_refused("{\n", ERR_INVALID, "no event");
	assert_refused("[]\n", ERR_INVALID, "no event");
	assert_refused("{\"kind\":\"PodList\",\"items\":[]}\n", ERR_INVALID, "its type is ''");
	assert_refused("{\"type\":\"SYNC\",\"object\":{}}\n", ERR_INVALID, "its type is 'SYNC'");
	assert_refused("{\"type\":7,\"object\":{}}\n", ERR_INVALID, "not a string");
	assert_refused("{\"type\":\"ADDED\"}\n", ERR_INVALID, "no object");
	assert_refused("{\"type\":\"ADDED\",\"object\":null}\n", ERR_INVALID, "no object");
	assert_refused("{\"type\":\"ADDED\",\"object\":\"{}\"}\n", ERR_INVALID, "no object");
	assert_refused("{\"type\":\"ADDED\",\"object\":{{}\n", ERR_INVALID, "no event");
	assert_refused("{\"type\":\"ADDED\",\"object\":{\"a\":\"\\\n", ERR_INVALID, "no event");
	assert_refused("{\"type\":\"ADDED\",\"object\":{}} x\n", ERR_INVALID, "no event");
	assert_refused("{\"type\":\"ADDED\",\"object\":{}}{\"type\":\"ADDED\",\"object\":{}}\n", ERR_INVALID,
	               "no event");
}

static void the_callback_can_stop(void **state)
{
	(void)state;
	static const char text[] =
		"{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"DELETED\",\"object\":{}}\nnonsense\n";
	for (int stop_after = 1; stop_after <= 2; stop_after++) {
		struct record r;
		struct err err = ERR_INIT;
		record_init(&r);
		r.stop_after = stop_after;
		assert_int_equal(decode(&r, text, &err), -1);
		assert_int_equal(err.code, ERR_CANCELED);
		assert_string_equal(err.message, "enough");
		assert_int_equal(strstr(record_text(&r), "DELETED") != NULL, stop_after == 2);
		buf_done(&r.text);
	}
}

static void add_line(struct buf *b, size_t bytes)
{
	static const char head[] = "{\"type\":\"ADDED\",\"object\":{\"x\":\"", tail[] = "\"}}";
	buf_add_str(b, head);
	for (size_t n = sizeof(head) - 1 + sizeof(tail) - 1; n < bytes; n++)
		buf_add_char(b, 'x');
	buf_add_str(b, tail);
	buf_add_char(b, '\n');
}

static void long_lines(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf line;
	struct watch_decoder d;
	struct record r;
	buf_init(&line, WATCH_MAX_LINE_BYTES + 100);
	watch_decoder_init(&d);
	record_init(&r);
	for (size_t over = 0; over <= 1; over++) {
		buf_clear(&line);
		add_line(&line, WATCH_MAX_LINE_BYTES + over);
		for (size_t piece = 1 << 16; piece <= 1 << 24; piece <<= 8) { /* in pieces, and at once */
			int rc = 0;
			struct err err = ERR_INIT;
			watch_decoder_reset(&d);
			for (size_t at = 0; at < line.len && rc == 0; at += piece) {
				size_t len = line.len - at < piece ? line.len - at : piece;
				rc = watch_decoder_feed(&d, (struct slice){line.ptr + at, len}, on_event, &r, &err);
			}
			assert_int_equal(rc, over ? -1 : 0);
			assert_int_equal(err.code, over ? ERR_LIMIT : ERR_NONE);
			/* A long line's memory is not kept. */
			assert_true(d.line.cap <= 4096);
		}
	}
	watch_decoder_done(&d);
	buf_done(&r.text);
}

static void reset_forgets_the_tail(void **state)
{
	(void)state;
	struct watch_decoder d;
	struct record r;
	struct err err = ERR_INIT;
	watch_decoder_init(&d);
	record_init(&r);
	assert_int_equal(watch_decoder_feed(&d, SLICE_LIT("{\"type\":\"ADD"), on_event, &r, &err), 0);
	watch_decoder_reset(&d);
	assert_int_equal(
		watch_decoder_feed(&d, SLICE_LIT("{\"type\":\"ADDED\",\"object\":{}}\n"), on_event, &r, &err), 0);
	assert_non_null(strstr(record_text(&r), "ADDED"));
	watch_decoder_done(&d);
	watch_decoder_done(&d);
	buf_done(&r.text);
}

static void overlong_versions_are_none(void **state)
{
	(void)state;
	CLEANUP_BUF struct buf line;
	buf_init(&line, 4096);
	buf_add_str(&line, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"");
	for (int i = 0; i < 300; i++)
		buf_add_char(&line, '1');
	buf_add_str(&line, "\"}}}\n{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n");
	assert_events(line.ptr, "ADDED rv=\nADDED rv=7\n");
}

static void assert_status(int http_status, int64_t retry_after_ms, const char *body, const char *expected)
{
	struct err err = ERR_INIT;
	char text[1024];
	kube_status_to_err(http_status, retry_after_ms, slice_from(body), &err);
	assert_int_equal(err.code, ERR_HTTP);
	str_format(text, sizeof(text), "%d %s %lld %s", err.http_status, err.reason,
	           (long long)err.retry_after_ms, err.message);
	assert_string_equal(text, expected);
}

static void statuses(void **state)
{
	(void)state;
	assert_status(409, -1,
	              "{\n  \"kind\": \"Status\",\n  \"message\": \"it \\\"exists\\\"\",\n  \"reason\": "
	              "\"AlreadyExists\",\n"
	              "  \"details\": {\"name\": \"x\"},\n  \"code\": 409\n}\n",
	              "409 AlreadyExists -1 it \"exists\"");
	assert_status(429, -1, "{\"kind\":\"Status\",\"message\":\"slow\",\"details\":{\"retryAfterSeconds\":3}}",
	              "429  3000 slow");
	assert_status(429, 500,
	              "{\"kind\":\"Status\",\"message\":\"slow\",\"details\":{\"retryAfterSeconds\":3}}",
	              "429  500 slow");
	assert_status(503, -1,
	              "{\"kind\":\"Status\",\"message\":\"x\",\"details\":{\"retryAfterSeconds\":99999999999}}",
	              "503  -1 x");
	/* The answer's own status counts, not what the body says. */
	assert_status(403, -1, "{\"kind\":\"Status\",\"reason\":\"Gone\",\"code\":410}", "403 Gone -1 Gone");
	assert_status(404, -1, "404 page not found\n", "404  -1 HTTP status 404: 404 page not found");
	assert_status(502, 1000, "<html>Bad Gateway</html>", "502  1000 HTTP status 502");
	assert_status(500, -1, "", "500  -1 HTTP status 500");
	assert_status(500, -1, "{\"kind\":\"Status\",\"message\":", "500  -1 HTTP status 500");
	assert_status(500, -1, "{\"kind\":\"Pod\",\"message\":\"x\"}", "500  -1 HTTP status 500");
	assert_status(500, -1, "{\"kind\":\"Status\",\"reason\":\"a\\nb\",\"message\":\"x\\ny\"}", "500  -1 x y");
	assert_status(500, -1, "[1]", "500  -1 HTTP status 500: [1]");

	CLEANUP_BUF struct buf body;
	buf_init(&body, 4096);
	for (int i = 0; i < 300; i++)
		buf_add_str(&body, "\xc3\xa4");
	struct err err = ERR_INIT;
	kube_status_to_err(500, -1, buf_slice(&body), &err);
	assert_int_equal(strlen(err.message), strlen("HTTP status 500: ") + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_stream_cut_at_every_byte),
		cmocka_unit_test(recorded_expiry),
		cmocka_unit_test(events),
		cmocka_unit_test(bookmarks),
		cmocka_unit_test(errors_in_the_stream),
		cmocka_unit_test(lines_that_are_no_events),
		cmocka_unit_test(the_callback_can_stop),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(reset_forgets_the_tail),
		cmocka_unit_test(overlong_versions_are_none),
		cmocka_unit_test(statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
