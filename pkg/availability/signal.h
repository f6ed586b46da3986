#pragma once
/* When an instance type can be had: made up, or read from a trace. Seconds from the beginning, 0. */
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct availability_outage {
	int64_t from_s, to_s; /* out of stock in [from_s, to_s) */
};
struct availability_signal {
	struct availability_outage *outages; /* in order; they do not touch */
	size_t n, cap;
};

/* Outages last log-normally long (sigma is that of the logarithm), what lies between them exponentially. */
struct availability_type {
	const char *name;
	int64_t median_s;
	double sigma;
	double in_stock; /* share of the time, above 0 and below 1 */
};
/* "calm" or "stormy"; NULL for another name. */
const struct availability_type *availability_type_find(const char *name);

/* The same seed gives the same outages. Nothing begins after length_s. *ret is empty before. */
void availability_signal_generate(const struct availability_type *type, uint64_t seed, int64_t length_s,
                                  struct availability_signal *ret);
/* One that does not begin before the last one of *s; where it begins before that ends, or just there, it makes it longer. */
void availability_signal_add(struct availability_signal *s, int64_t from_s, int64_t to_s);
/* Out of stock whenever one of the two is. *ret is empty before. */
void availability_signal_join(const struct availability_signal *a, const struct availability_signal *b,
                              struct availability_signal *ret);
/* A trace as skypilot-org/spot-traces has them: {"metadata": {"gap_seconds": 300}, "data": [1, 0, ...]}, in each place how
 * many instances could be had (0: out of stock), one for each gap. Other members are skipped. An error names `name` and the
 * line. *ret is empty before, and after an error. */
int availability_trace_parse(const char *name, struct slice text, struct availability_signal *ret,
                             int64_t *ret_length_s, struct err *err);
void availability_signal_done(struct availability_signal *s);

bool availability_in_stock(const struct availability_signal *s, int64_t at_s);
/* The first change after at_s; INT64_MAX: none. */
int64_t availability_next_change(const struct availability_signal *s, int64_t at_s);

/* Above 0 and below 1; the generator is base/random.h's. */
double availability_uniform(uint64_t *seed);
/* Exponentially distributed, at least 1. */
int64_t availability_exponential_s(uint64_t *seed, double mean_s);
