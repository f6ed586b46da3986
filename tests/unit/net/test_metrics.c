#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "net/metrics.h"

static const char *const pool_labels[] = {"endpoint", "pool"};
#define POOL(endpoint, pool) ((const char *const[]){endpoint, pool})

static void assert_written(struct metrics *m, const char *want)
{
	CLEANUP_BUF struct buf out;
	buf_init(&out, 1 << 20);
	metrics_write(m, &out);
	assert_false(buf_failed(&out));
	assert_string_equal(out.len ? out.ptr : "", want);
}

static void counters_and_gauges_are_written_in_order(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	assert_written(m, "");
	struct metric *gauge = metrics_gauge(m, "b_gauge", "A gauge.", 2, pool_labels);
	struct metric *counter = metrics_counter(m, "a_total", "A counter.", 0, NULL);
	assert_written(m, "# HELP a_total A counter.\n# TYPE a_total counter\na_total 0\n");
	metric_add(counter, 2, NULL);
	metric_add(counter, 1.5, NULL);
	metric_set(gauge, -3, POOL("z", "one"));
	metric_set(gauge, 7, POOL("a", "two"));
	metric_add(gauge, 1, POOL("a", "one"));
	metric_add(gauge, -2, POOL("a", "one"));
	const char *want = "# HELP a_total A counter.\n# TYPE a_total counter\na_total 3.5\n"
					   "# HELP b_gauge A gauge.\n# TYPE b_gauge gauge\n"
					   "b_gauge{endpoint=\"a\",pool=\"one\"} -1\n"
					   "b_gauge{endpoint=\"a\",pool=\"two\"} 7\n"
					   "b_gauge{endpoint=\"z\",pool=\"one\"} -3\n";
	assert_written(m, want);
	assert_written(m, want);
	assert_true(metric_get(gauge, POOL("a", "two")) == 7);
	assert_true(metric_get(gauge, POOL("a", "three")) == 0);
	assert_true(metric_get(counter, NULL) == 3.5);
	metrics_free(m);
	metrics_free(NULL);
}

static void label_values_and_help_are_escaped(void **state)
{
	(void)state;
	static const char *const labels[] = {"a", "b"};
	struct metrics *m = metrics_new();
	struct metric *gauge = metrics_gauge(m, "g", "Back\\slash, \"quote\"\nand newline.", 2, labels);
	metric_set(gauge, 1, POOL("x\\y\"z\nw", "{,}=é"));
	metric_set(gauge, 2, POOL("", ""));
	/* Values that could be taken for one another. */
	metric_set(gauge, 3, POOL("1\",b=\"2", "3"));
	metric_set(gauge, 4, POOL("1", "2\",b=\"3"));
	assert_written(m, "# HELP g Back\\\\slash, \"quote\"\\nand newline.\n# TYPE g gauge\n"
	                  "g{a=\"\",b=\"\"} 2\n"
	                  "g{a=\"1\",b=\"2\\\",b=\\\"3\"} 4\n"
	                  "g{a=\"1\\\",b=\\\"2\",b=\"3\"} 3\n"
	                  "g{a=\"x\\\\y\\\"z\\nw\",b=\"{,}=é\"} 1\n");
	metrics_free(m);
}

static void numbers_read_back_and_are_short(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1e6, "1000000"},
		{123456789012345, "123456789012345"},
		{-42, "-42"},
		{0.1, "0.1"},
		{1.0 / 3, "0.3333333333333333"},
		{2.5e-7, "2.5e-07"},
		{1e300, "1e+300"},
		{(double)NAN, "NaN"},
		{(double)INFINITY, "+Inf"},
		{-(double)INFINITY, "-Inf"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct metrics *m = metrics_new();
		metric_set(metrics_gauge(m, "g", "G.", 0, NULL), cases[i].value, NULL);
		CLEANUP_BUF struct buf out;
		buf_init(&out, 4096);
		metrics_write(m, &out);
		const char *text = strrchr(out.ptr, ' ') + 1;
		if (isfinite(cases[i].value))
			assert_true(strtod(text, NULL) == cases[i].value);
		assert_true(slice_eq_str(slice_trim(slice_from(text)), cases[i].text));
		metrics_free(m);
	}
}

static void histograms_are_cumulative(void **state)
{
	(void)state;
	static const double bounds[] = {0.005, 0.5, 2.5, 10};
	static const char *const labels[] = {"code"};
	struct metrics *m = metrics_new();
	struct metric *h =
		metrics_histogram(m, "latency_seconds", "Latency.", 1, labels, ARRAY_LEN(bounds), bounds);
	struct metric *plain = metrics_histogram(m, "plain", "Plain.", 0, NULL, 1, bounds);
	const char *ok[] = {"200"};
	metric_observe(h, 0.005, ok); /* a bound is inclusive */
	metric_observe(h, 0.25, ok);
	metric_observe(h, 3, ok);
	metric_observe(h, 100, ok);
	metric_observe(plain, 0.001, NULL);
	assert_written(m, "# HELP latency_seconds Latency.\n# TYPE latency_seconds histogram\n"
	                  "latency_seconds_bucket{code=\"200\",le=\"0.005\"} 1\n"
	                  "latency_seconds_bucket{code=\"200\",le=\"0.5\"} 2\n"
	                  "latency_seconds_bucket{code=\"200\",le=\"2.5\"} 2\n"
	                  "latency_seconds_bucket{code=\"200\",le=\"10\"} 3\n"
	                  "latency_seconds_bucket{code=\"200\",le=\"+Inf\"} 4\n"
	                  "latency_seconds_sum{code=\"200\"} 103.255\n"
	                  "latency_seconds_count{code=\"200\"} 4\n"
	                  "# HELP plain Plain.\n# TYPE plain histogram\n"
	                  "plain_bucket{le=\"0.005\"} 1\n"
	                  "plain_bucket{le=\"+Inf\"} 1\n"
	                  "plain_sum 0.001\n"
	                  "plain_count 1\n");
	assert_true(metric_get(h, ok) == 4);
	metrics_free(m);
}

static void tell_twice(void *arg, struct metric *m)
{
	int *asked = arg;

	metric_add(m, ++*asked, POOL("a", "x"));
	metric_add(m, 1, POOL("a", "x"));
	if (*asked == 1)
		metric_set(m, 5, POOL("b", "x"));
}

static void series_can_be_told_when_asked(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct metric *g = metrics_gauge(m, "g", "G.", 2, pool_labels);
	int asked = 0;
	metric_tell_by(g, tell_twice, &asked);
	assert_written(
		m, "# HELP g G.\n# TYPE g gauge\ng{endpoint=\"a\",pool=\"x\"} 2\ng{endpoint=\"b\",pool=\"x\"} 5\n");
	assert_written(m, "# HELP g G.\n# TYPE g gauge\ng{endpoint=\"a\",pool=\"x\"} 3\n");
	assert_int_equal(asked, 2);
	metrics_free(m);
}

static void the_number_of_series_is_bounded(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct metric *c = metrics_counter(m, "c_total", "C.", 2, pool_labels);
	for (int i = 0; i < METRICS_MAX_SERIES + 5; i++) {
		char name[16];
		str_format(name, sizeof(name), "e%d", i);
		metric_add(c, 1, POOL(name, "p"));
	}
	metric_add(c, 1, POOL("e0", "p")); /* what was there first goes on */
	assert_true(metric_get(c, POOL("other", "other")) == 5);
	assert_true(metric_get(c, POOL("e0", "p")) == 2);
	CLEANUP_BUF struct buf out;
	buf_init(&out, 4 << 20);
	metrics_write(m, &out);
	assert_true(
		slice_contains(buf_slice(&out), "instancepool_metrics_series_dropped_total{metric=\"c_total\"} 5\n"));
	/* So is the size of one. */
	char *huge = xcalloc(1, 100001);
	for (int i = 0; i < 100000; i++)
		huge[i] = 'x';
	metric_add(c, 1, POOL(huge, "p"));
	assert_true(metric_get(c, POOL("other", "other")) == 6);
	free(huge);
	metrics_free(m);
}

static void collect(void *arg)
{
	metric_add(arg, 1, NULL);
}

static void collectors_run_before_each_exposition(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct metric *g = metrics_gauge(m, "g", "G.", 0, NULL);
	metrics_on_collect(m, collect, g);
	metrics_on_collect(m, collect, g);
	assert_written(m, "# HELP g G.\n# TYPE g gauge\ng 2\n");
	assert_written(m, "# HELP g G.\n# TYPE g gauge\ng 4\n");
	metrics_free(m);
}

static double value_of(const struct buf *text, const char *name)
{
	char line[64];
	str_format(line, sizeof(line), "\n%s ", name);
	const char *p = strstr(text->ptr, line);
	assert_non_null(p);
	return strtod(p + strlen(line), NULL);
}

static void the_process_is_described(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	metrics_add_process(m);
	CLEANUP_BUF struct buf out;
	buf_init(&out, 1 << 16);
	metrics_write(m, &out);
	double rss = value_of(&out, "process_resident_memory_bytes");
	assert_true(rss > 100e3 && rss < 1e12);
	assert_true(value_of(&out, "process_virtual_memory_bytes") >= rss);
	double fds = value_of(&out, "process_open_fds");
	assert_true(fds >= 3);
	assert_true(value_of(&out, "process_max_fds") >= fds);
	double now_s = (double)wall_now().ms / 1000;
	double start_s = value_of(&out, "process_start_time_seconds");
	assert_true(start_s <= now_s + 1 && start_s > now_s - 600);
	double cpu_s = value_of(&out, "process_cpu_seconds_total");
	assert_true(cpu_s >= 0 && cpu_s < 600);
	int fd = dup(0);
	buf_clear(&out);
	metrics_write(m, &out);
	assert_true(value_of(&out, "process_open_fds") == fds + 1);
	assert_true(value_of(&out, "process_cpu_seconds_total") >= cpu_s);
	close(fd);
	metrics_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_and_gauges_are_written_in_order),
		cmocka_unit_test(label_values_and_help_are_escaped),
		cmocka_unit_test(numbers_read_back_and_are_short),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(series_can_be_told_when_asked),
		cmocka_unit_test(the_number_of_series_is_bounded),
		cmocka_unit_test(collectors_run_before_each_exposition),
		cmocka_unit_test(the_process_is_described),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
