#include "net/metrics.h"
#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_LABEL_TEXT_BYTES (64u * 1024)
#define OTHER "other"

enum metric_type { COUNTER, GAUGE, HISTOGRAM };

/* One combination of label values. Its key in metric.series is the text between the braces of the exposition, which
 * is unambiguous and sorts well. */
struct series {
	double value; /* of a histogram: the sum */
	uint64_t count;
	uint64_t buckets[]; /* histogram: one for each bound, not cumulated */
};

struct metric {
	struct metrics *registry;
	enum metric_type type;
	const char *name, *help;
	size_t n_labels;
	const char *const *labels;
	size_t n_bounds;
	const double *bounds;
	struct map series;
	void (*collect)(void *arg, struct metric *m); /* NULL: the series are kept */
	void *collect_arg;
};

struct collector {
	void (*fn)(void *arg);
	void *arg;
};

struct process_metrics {
	struct metric *cpu, *resident, *virtual, *open_fds, *max_fds, *start;
};

struct metrics {
	struct metric **metrics;
	size_t n_metrics;
	struct collector *collectors;
	size_t n_collectors;
	struct metric *dropped;
	struct buf key; /* scratch: the key of a look-up */
	struct process_metrics process;
};

static const char *const dropped_labels[] = {"metric"};

static struct series *series_at(struct metric *m, const char *const *values);

static struct metric *add_metric(struct metrics *m, struct metric metric)
{
	assert(metric.n_labels <= METRICS_MAX_LABELS);
	for (size_t i = 0; i < m->n_metrics; i++)
		if (str_eq(m->metrics[i]->name, metric.name))
			abort();
	struct metric *new = xmalloc(sizeof(*new));
	*new = metric;
	new->registry = m;
	map_init(&new->series);
	m->metrics = xreallocarray(m->metrics, m->n_metrics + 1, sizeof(m->metrics[0]));
	m->metrics[m->n_metrics++] = new;
	/* A metric without labels exists from the start, at zero, so that rates and alerts see it. */
	if (new->n_labels == 0)
		series_at(new, NULL);
	return new;
}

struct metrics *metrics_new(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));
	buf_init(&m->key, MAX_LABEL_TEXT_BYTES);
	m->dropped =
		metrics_counter(m, "instancepool_metrics_series_dropped_total",
	                    "Updates that went to the series \"other\" because the metric has too many series.",
	                    1, dropped_labels);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_metrics; i++) {
		map_done(&m->metrics[i]->series, free);
		free(m->metrics[i]);
	}
	free(m->metrics);
	free(m->collectors);
	buf_done(&m->key);
	free(m);
}

struct metric *metrics_counter(struct metrics *m, const char *name, const char *help, size_t n_labels,
                               const char *const *labels)
{
	return add_metric(
		m,
		(struct metric){.type = COUNTER, .name = name, .help = help, .n_labels = n_labels, .labels = labels});
}

struct metric *metrics_gauge(struct metrics *m, const char *name, const char *help, size_t n_labels,
                             const char *const *labels)
{
	return add_metric(
		m,
		(struct metric){.type = GAUGE, .name = name, .help = help, .n_labels = n_labels, .labels = labels});
}

struct metric *metrics_histogram(struct metrics *m, const char *name, const char *help, size_t n_labels,
                                 const char *const *labels, size_t n_bounds, const double *bounds)
{
	return add_metric(m, (struct metric){.type = HISTOGRAM,
	                                     .name = name,
	                                     .help = help,
	                                     .n_labels = n_labels,
	                                     .labels = labels,
	                                     .n_bounds = n_bounds,
	                                     .bounds = bounds});
}

static void add_escaped(struct buf *b, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\n')
			buf_add_str(b, "\\n");
		else if (*s == '\\' || (quotes && *s == '"'))
			buf_addf(b, "\\%c", *s);
		else
			buf_add_char(b, *s);
	}
}

/* The labels as they are written. Valid until the next call for this registry; cut (see buf_failed) when the values are
 * too long. */
static const char *series_key(const struct metric *m, const char *const *values)
{
	struct buf *b = &m->registry->key;
	buf_clear(b);
	for (size_t i = 0; values && i < m->n_labels; i++) {
		buf_addf(b, "%s%s=\"", i > 0 ? "," : "", m->labels[i]);
		add_escaped(b, values[i], true);
		buf_add_char(b, '"');
	}
	return b->len == 0 ? "" : b->ptr;
}

static const char *other_key(const struct metric *m)
{
	const char *values[METRICS_MAX_LABELS] = {OTHER, OTHER, OTHER, OTHER, OTHER, OTHER};
	return series_key(m, values);
}

static struct series *find_or_add(struct metric *m, const char *key)
{
	struct series *s = map_get(&m->series, key);
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s) + m->n_bounds * sizeof(s->buckets[0]));
		map_put(&m->series, key, s);
	}
	return s;
}

static struct series *series_at(struct metric *m, const char *const *values)
{
	const char *key = series_key(m, values);
	if (!buf_failed(&m->registry->key)) {
		struct series *s = map_get(&m->series, key);
		if (s)
			return s;
		if (map_count(&m->series) < METRICS_MAX_SERIES)
			return find_or_add(m, key);
	}
	if (m != m->registry->dropped)
		metric_add(m->registry->dropped, 1, &m->name);
	return find_or_add(m, other_key(m));
}

void metric_add(struct metric *m, double delta, const char *const *values)
{
	assert(m->type == GAUGE || (m->type == COUNTER && delta >= 0));
	series_at(m, values)->value += delta;
}

void metric_set(struct metric *m, double value, const char *const *values)
{
	assert(m->type == GAUGE);
	series_at(m, values)->value = value;
}

void metric_observe(struct metric *m, double value, const char *const *values)
{
	assert(m->type == HISTOGRAM);
	struct series *s = series_at(m, values);
	s->value += value;
	s->count++;
	for (size_t i = 0; i < m->n_bounds; i++) {
		if (value <= m->bounds[i]) {
			s->buckets[i]++;
			break;
		}
	}
}

double metric_get(const struct metric *m, const char *const *values)
{
	const struct series *s = map_get(&m->series, series_key(m, values));
	if (s == NULL)
		return 0;
	return m->type == HISTOGRAM ? (double)s->count : s->value;
}

void metric_tell_by(struct metric *m, void (*fn)(void *arg, struct metric *m), void *arg)
{
	m->collect = fn;
	m->collect_arg = arg;
}

void metrics_on_collect(struct metrics *m, void (*fn)(void *arg), void *arg)
{
	m->collectors = xreallocarray(m->collectors, m->n_collectors + 1, sizeof(m->collectors[0]));
	m->collectors[m->n_collectors++] = (struct collector){fn, arg};
}

/* The shortest text that reads back as the same number; whole numbers without an exponent. */
static void add_number(struct buf *b, double v)
{
	if (isnan(v)) {
		buf_add_str(b, "NaN");
	} else if (isinf(v)) {
		buf_add_str(b, v > 0 ? "+Inf" : "-Inf");
	} else if (fabs(v) < 1e15 && floor(v) >= v) {
		buf_addf(b, "%.0f", v);
	} else {
		char text[32];
		for (int digits = 15; digits <= 17; digits++) {
			str_format(text, sizeof(text), "%.*g", digits, v);
			double back = strtod(text, NULL);
			if (back >= v && back <= v)
				break;
		}
		buf_add_str(b, text);
	}
}

struct row {
	const char *key;
	const struct series *series;
};

static void add_line_start(struct buf *b, const struct metric *m, const char *suffix, const char *key,
                           const char *le)
{
	buf_add_str(b, m->name);
	buf_add_str(b, suffix);
	if (*key || le) {
		buf_add_char(b, '{');
		buf_add_str(b, key);
		if (le)
			buf_addf(b, "%sle=\"%s\"", *key ? "," : "", le);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ' ');
}

static void write_histogram(struct buf *b, const struct metric *m, const struct row *row)
{
	const struct series *s = row->series;
	uint64_t total = 0;
	for (size_t i = 0; i < m->n_bounds; i++) {
		CLEANUP_BUF struct buf le;
		buf_init(&le, 64);
		add_number(&le, m->bounds[i]);
		total += s->buckets[i];
		add_line_start(b, m, "_bucket", row->key, le.ptr);
		buf_addf(b, "%llu\n", (unsigned long long)total);
	}
	add_line_start(b, m, "_bucket", row->key, "+Inf");
	buf_addf(b, "%llu\n", (unsigned long long)s->count);
	add_line_start(b, m, "_sum", row->key, NULL);
	add_number(b, s->value);
	buf_add_char(b, '\n');
	add_line_start(b, m, "_count", row->key, NULL);
	buf_addf(b, "%llu\n", (unsigned long long)s->count);
}

struct row_list {
	struct row *rows;
	size_t n;
};

static int collect_row(void *arg, const char *key, void *value)
{
	struct row_list *list = arg;
	list->rows[list->n++] = (struct row){key, value};
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

static void write_metric(struct buf *b, const struct metric *m)
{
	static const char *const type_names[] = {
		[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
	size_t n = map_count(&m->series);
	if (n == 0)
		return;
	CLEANUP_FREE struct row *rows = xcalloc(n, sizeof(*rows));
	struct row_list list = {rows, 0};
	map_each(&m->series, collect_row, &list);
	qsort(rows, n, sizeof(*rows), compare_rows);
	buf_addf(b, "# HELP %s ", m->name);
	add_escaped(b, m->help, false);
	buf_addf(b, "\n# TYPE %s %s\n", m->name, type_names[m->type]);
	for (size_t i = 0; i < n; i++) {
		if (m->type == HISTOGRAM) {
			write_histogram(b, m, &rows[i]);
			continue;
		}
		add_line_start(b, m, "", rows[i].key, NULL);
		add_number(b, rows[i].series->value);
		buf_add_char(b, '\n');
	}
}

static int compare_metrics(const void *a, const void *b)
{
	return strcmp((*(struct metric *const *)a)->name, (*(struct metric *const *)b)->name);
}

void metrics_write(struct metrics *m, struct buf *out)
{
	for (size_t i = 0; i < m->n_collectors; i++)
		m->collectors[i].fn(m->collectors[i].arg);
	qsort(m->metrics, m->n_metrics, sizeof(m->metrics[0]), compare_metrics);
	for (size_t i = 0; i < m->n_metrics; i++) {
		struct metric *metric = m->metrics[i];
		if (metric->collect)
			metric->collect(metric->collect_arg, metric);
		write_metric(out, metric);
		if (metric->collect)
			map_done(&metric->series, free);
	}
}

struct process_stat {
	double cpu_s, start_s; /* start: since boot */
	double virtual_bytes, resident_bytes;
};

static int read_process_stat(struct process_stat *ret)
{
	CLEANUP_BUF struct buf text;
	buf_init(&text, 4096);
	struct err err = ERR_INIT;
	if (file_read("/proc/self/stat", &text, &err) != 0)
		return -1;
	/* The second field is the program's name in parentheses and may hold anything. */
	const char *p = text.len ? strrchr(text.ptr, ')') : NULL;
	if (p == NULL)
		return -1;
	struct slice rest = slice_trim(slice_from(p + 1));
	double fields[25] = {0}; /* as proc(5) counts them */
	for (size_t i = 3; i < ARRAY_LEN(fields) && rest.len > 0; i++) {
		int64_t n = 0;
		if (slice_to_i64(slice_split(rest, ' ', &rest), &n, &err) == 0)
			fields[i] = (double)n;
	}
	double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
	*ret = (struct process_stat){
		.cpu_s = (fields[14] + fields[15]) / ticks_per_s,
		.start_s = fields[22] / ticks_per_s,
		.virtual_bytes = fields[23],
		.resident_bytes = fields[24] * (double)sysconf(_SC_PAGESIZE),
	};
	return 0;
}

static double count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return 0;
	double n = -1; /* the directory itself */
	for (const struct dirent *d = readdir(dir); d; d = readdir(dir))
		if (d->d_name[0] != '.')
			n++;
	closedir(dir);
	return n;
}

static double seconds(clockid_t clock)
{
	struct timespec ts = {0};
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void collect_process(void *arg)
{
	const struct process_metrics *p = arg;
	struct process_stat stat;
	if (read_process_stat(&stat) == 0) {
		series_at(p->cpu, NULL)->value = stat.cpu_s; /* a counter, but counted by the kernel */
		metric_set(p->resident, stat.resident_bytes, NULL);
		metric_set(p->virtual, stat.virtual_bytes, NULL);
	}
	metric_set(p->open_fds, count_open_fds(), NULL);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metric_set(p->max_fds, (double)limit.rlim_cur, NULL);
}

void metrics_add_process(struct metrics *m)
{
	struct process_metrics *p = &m->process;
	p->cpu = metrics_counter(m, "process_cpu_seconds_total",
	                         "Total user and system CPU time spent in seconds.", 0, NULL);
	p->resident =
		metrics_gauge(m, "process_resident_memory_bytes", "Resident memory size in bytes.", 0, NULL);
	p->virtual = metrics_gauge(m, "process_virtual_memory_bytes", "Virtual memory size in bytes.", 0, NULL);
	p->open_fds = metrics_gauge(m, "process_open_fds", "Number of open file descriptors.", 0, NULL);
	p->max_fds = metrics_gauge(m, "process_max_fds", "Maximum number of open file descriptors.", 0, NULL);
	p->start = metrics_gauge(m, "process_start_time_seconds",
	                         "Start time of the process since unix epoch in seconds.", 0, NULL);
	struct process_stat stat;
	if (read_process_stat(&stat) == 0)
		metric_set(p->start, seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + stat.start_s, NULL);
	metrics_on_collect(m, collect_process, p);
}
