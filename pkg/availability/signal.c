#include "availability/signal.h"
#include <math.h>
#include "base/mem.h"
#include "base/random.h"

/* Sigma 1.5 makes the mean three times the median, and one outage in twenty longer than eleven times that. */
static const struct availability_type types[] = {
	{"calm", 42 * 60, 1.5, 0.95},
	{"stormy", 23 * 60, 1.5, 0.60},
};

const struct availability_type *availability_type_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(types[i].name, name))
			return &types[i];
	return NULL;
}

double availability_uniform(uint64_t *seed)
{
	const int64_t n = INT64_C(1) << 52;

	return ((double)random_between(seed, 0, n - 1) + 0.5) / (double)n;
}

int64_t availability_exponential_s(uint64_t *seed, double mean_s)
{
	int64_t s = llround(-log(availability_uniform(seed)) * mean_s);

	return s > 0 ? s : 1;
}

/* Box and Muller. */
static double normal(uint64_t *seed)
{
	double r = sqrt(-2 * log(availability_uniform(seed)));

	return r * cos(2 * M_PI * availability_uniform(seed));
}

void availability_signal_add(struct availability_signal *s, int64_t from_s, int64_t to_s)
{
	if (s->n > 0 && from_s <= s->outages[s->n - 1].to_s) {
		if (to_s > s->outages[s->n - 1].to_s)
			s->outages[s->n - 1].to_s = to_s;
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->outages = xreallocarray(s->outages, s->cap, sizeof(*s->outages));
	}
	s->outages[s->n++] = (struct availability_outage){from_s, to_s};
}

void availability_signal_generate(const struct availability_type *type, uint64_t seed, int64_t length_s,
                                  struct availability_signal *ret)
{
	double mean_out_s = (double)type->median_s * exp(type->sigma * type->sigma / 2);
	double mean_in_s = mean_out_s * type->in_stock / (1 - type->in_stock);
	int64_t at_s = availability_exponential_s(&seed, mean_in_s);

	while (at_s < length_s) {
		int64_t out_s = llround((double)type->median_s * exp(type->sigma * normal(&seed)));

		out_s = out_s > 0 ? out_s : 1;
		availability_signal_add(ret, at_s, at_s + out_s);
		at_s += out_s + availability_exponential_s(&seed, mean_in_s);
	}
}

void availability_signal_join(const struct availability_signal *a, const struct availability_signal *b,
                              struct availability_signal *ret)
{
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		bool first = k == b->n || (i < a->n && a->outages[i].from_s <= b->outages[k].from_s);
		const struct availability_outage *o = first ? &a->outages[i++] : &b->outages[k++];

		availability_signal_add(ret, o->from_s, o->to_s);
	}
}

void availability_signal_done(struct availability_signal *s)
{
	free(s->outages);
	*s = (struct availability_signal){0};
}

/* How many outages have begun at that time. */
static size_t begun(const struct availability_signal *s, int64_t at_s)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->outages[mid].from_s <= at_s)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool availability_in_stock(const struct availability_signal *s, int64_t at_s)
{
	size_t n = begun(s, at_s);

	return n == 0 || s->outages[n - 1].to_s <= at_s;
}

int64_t availability_next_change(const struct availability_signal *s, int64_t at_s)
{
	size_t n = begun(s, at_s);

	if (n > 0 && s->outages[n - 1].to_s > at_s)
		return s->outages[n - 1].to_s;
	return n < s->n ? s->outages[n].from_s : INT64_MAX;
}
