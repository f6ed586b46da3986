#pragma once
/* A metrics registry and its Prometheus text exposition (version 0.0.4). A metric has a fixed list of label names; a
 * series is one combination of their values (a metric without labels has one from the start). The number of series
 * per metric is bounded: what is beyond lands in one series whose label values are "other", and is counted in
 * instancepool_metrics_series_dropped_total. */
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define METRICS_MAX_LABELS 6
#define METRICS_MAX_SERIES 20000

struct metrics;
struct metric;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* name, help and label names must live as long as the registry (string literals). Registering a name twice aborts. */
struct metric *metrics_counter(struct metrics *m, const char *name, const char *help, size_t n_labels,
                               const char *const *labels);
struct metric *metrics_gauge(struct metrics *m, const char *name, const char *help, size_t n_labels,
                             const char *const *labels);
/* bounds: upper bounds, ascending, without +Inf; must live as long as the registry. */
struct metric *metrics_histogram(struct metrics *m, const char *name, const char *help, size_t n_labels,
                                 const char *const *labels, size_t n_bounds, const double *bounds);

/* values: as many as the metric has labels (NULL when none); copied. */
void metric_add(struct metric *m, double delta, const char *const *values);     /* counter, gauge */
void metric_set(struct metric *m, double value, const char *const *values);     /* gauge */
void metric_observe(struct metric *m, double value, const char *const *values); /* histogram */
/* 0 when there is no such series; of a histogram the number of observations. For tests. */
double metric_get(const struct metric *m, const char *const *values);
/* The series of this counter or gauge are not kept from now on: in each exposition fn says them all, by metric_set() or
 * metric_add(). For what is told of many objects that are in memory anyway. */
void metric_tell_by(struct metric *m, void (*fn)(void *arg, struct metric *m), void *arg);

/* Called before each exposition, to set gauges that are read and not counted. */
void metrics_on_collect(struct metrics *m, void (*fn)(void *arg), void *arg);
/* Sorted by name and labels: the same state gives the same bytes. */
void metrics_write(struct metrics *m, struct buf *out);
/* process_* (CPU, RSS, fds, start time) as Prometheus client libraries name them. */
void metrics_add_process(struct metrics *m);
