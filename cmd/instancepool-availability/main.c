/* instancepool-availability: the figures of docs/availability.md, one JSON line for each rule. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "availability/availability.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/random.h"

#define DAY_S (24 * 60 * 60)
#define WARM_UP_S (60 * 60)
#define TRACE_MAX_BYTES (64u << 20)
#define MAX_SEEDS 100

struct options {
	const struct availability_type *type;
	const char *traces[AVAILABILITY_POOLS];
	size_t n_traces;
	int64_t pools, desired, boot_s, days, seeds, lifetime_s, shared_percent;
	bool silent, spot;
	const char *rule; /* NULL: all */
};

static const char usage[] =
	"usage: instancepool-availability [OPTION...]\n"
	"\n"
	"How much of the time the desired number of instances serves, by who decides what is asked for where. "
	"Prints one JSON\n"
	"line for each rule. docs/availability.md says what is simulated.\n"
	"\n"
	"  --type calm|stormy     made-up outages (stormy)\n"
	"  --trace FILE           a real trace instead, once for each pool, best first; the runs are as long as "
	"the shortest\n"
	"  --pools N              1 to 4 (3)\n"
	"  --boot SECONDS         from the cloud's answer to an instance that serves (180)\n"
	"  --silent               the cloud does not say that it has none\n"
	"  --spot                 an outage takes the instances that run\n"
	"  --lifetime SECONDS     instances end after this time on average, whatever the stock (0: none does)\n"
	"  --shared PERCENT       so much of a type's unavailability is of all types at once (0)\n"
	"  --desired N            instances (4)\n"
	"  --days N               length of a run (30)\n"
	"  --seeds N              runs (8)\n"
	"  --rule NAME            this one only\n";

enum {
	OPT_TYPE = 256,
	OPT_TRACE,
	OPT_POOLS,
	OPT_BOOT,
	OPT_SILENT,
	OPT_SPOT,
	OPT_LIFETIME,
	OPT_SHARED,
	OPT_DESIRED,
	OPT_DAYS,
	OPT_SEEDS,
	OPT_RULE,
	OPT_HELP
};

static const struct option long_options[] = {
	{"type", required_argument, NULL, OPT_TYPE},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"pools", required_argument, NULL, OPT_POOLS},
	{"boot", required_argument, NULL, OPT_BOOT},
	{"silent", no_argument, NULL, OPT_SILENT},
	{"spot", no_argument, NULL, OPT_SPOT},
	{"lifetime", required_argument, NULL, OPT_LIFETIME},
	{"shared", required_argument, NULL, OPT_SHARED},
	{"desired", required_argument, NULL, OPT_DESIRED},
	{"days", required_argument, NULL, OPT_DAYS},
	{"seeds", required_argument, NULL, OPT_SEEDS},
	{"rule", required_argument, NULL, OPT_RULE},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static int number(const char *flag, int64_t low, int64_t high, int64_t *ret, struct err *err)
{
	struct err why = ERR_INIT;

	if (slice_to_i64(slice_from(optarg), ret, &why) < 0 || *ret < low || *ret > high)
		return err_set(err, ERR_INVALID, "--%s: '%s' is not a number from %" PRId64 " to %" PRId64, flag,
		               optarg, low, high);
	return 0;
}

static int take(struct options *o, int c, struct err *err)
{
	switch (c) {
	case OPT_TYPE:
		o->type = availability_type_find(optarg);
		return o->type ? 0 : err_set(err, ERR_INVALID, "--type: '%s' is neither calm nor stormy", optarg);
	case OPT_TRACE:
		if (o->n_traces == AVAILABILITY_POOLS)
			return err_set(err, ERR_INVALID, "--trace: more than %d", AVAILABILITY_POOLS);
		o->traces[o->n_traces++] = optarg;
		return 0;
	case OPT_POOLS:
		return number("pools", 1, AVAILABILITY_POOLS, &o->pools, err);
	case OPT_BOOT:
		return number("boot", 0, 3600, &o->boot_s, err);
	case OPT_SILENT:
		o->silent = true;
		return 0;
	case OPT_SPOT:
		o->spot = true;
		return 0;
	case OPT_LIFETIME:
		return number("lifetime", 0, 365 * DAY_S, &o->lifetime_s, err);
	case OPT_SHARED:
		return number("shared", 0, 100, &o->shared_percent, err);
	case OPT_DESIRED:
		return number("desired", 1, 8, &o->desired, err);
	case OPT_DAYS:
		return number("days", 1, 3650, &o->days, err);
	case OPT_SEEDS:
		return number("seeds", 1, MAX_SEEDS, &o->seeds, err);
	case OPT_RULE:
		o->rule = optarg;
		return 0;
	default:
		return err_set(err, ERR_INVALID, "see --help");
	}
}

static int read_trace(const char *path, struct availability_signal *ret, int64_t *ret_length_s,
                      struct err *err)
{
	CLEANUP_BUF struct buf text;

	buf_init(&text, TRACE_MAX_BYTES);
	if (file_read(path, &text, err) < 0)
		return -1;
	return availability_trace_parse(path, buf_slice(&text), ret, ret_length_s, err);
}

/* A part of the unavailability is of all types at once; the share of the time in stock stays what it is. */
static void generate(const struct options *o, int64_t seed, int64_t length_s,
                     struct availability_signal signals[static AVAILABILITY_POOLS])
{
	double shared = (double)o->shared_percent / 100;
	struct availability_type own = *o->type, common = *o->type;
	struct availability_signal together = {0};

	own.in_stock = pow(o->type->in_stock, 1 - shared);
	common.in_stock = pow(o->type->in_stock, shared);
	if (o->shared_percent > 0)
		availability_signal_generate(&common, (uint64_t)seed * 1000, length_s, &together);
	for (int64_t i = 0; i < o->pools; i++) {
		struct availability_signal alone = {0};

		if (o->shared_percent < 100)
			availability_signal_generate(&own, (uint64_t)(seed * 1000 + i + 1), length_s, &alone);
		availability_signal_join(&alone, &together, &signals[i]);
		availability_signal_done(&alone);
	}
	availability_signal_done(&together);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static json_t *share(int64_t part, int64_t whole)
{
	return json_must(json_real(whole > 0 ? (double)part / (double)whole : 0));
}

/* What is measured of one rule, over all runs. */
struct tally {
	json_t *all, *some; /* per run */
	struct availability_result sum;
};

static void add(struct tally *t, const struct availability_result *before)
{
	int64_t measured_s = t->sum.measured_s - before->measured_s;

	json_array_append_new(t->all, share(t->sum.all_s - before->all_s, measured_s));
	json_array_append_new(t->some, share(t->sum.some_s - before->some_s, measured_s));
}

static void print(const struct options *o, enum availability_rule rule, const struct tally *t)
{
	const struct availability_result *s = &t->sum;
	CLEANUP_JSON json_t *line = json_must(json_object());
	CLEANUP_FREE char *text = NULL;

	if (s->n_recoveries > 0)
		qsort(s->recoveries_s, s->n_recoveries, sizeof(*s->recoveries_s), compare);
	json_put_str(line, "rule", availability_rule_name(rule));
	json_put_str(line, "type", o->n_traces > 0 ? "trace" : o->type->name);
	json_put_int(line, "pools", o->pools);
	json_put_int(line, "boot", o->boot_s);
	json_put_bool(line, "silent", o->silent);
	json_put_bool(line, "spot", o->spot);
	json_put_int(line, "shared", o->shared_percent);
	json_set(line, "all", json_incref(t->all));
	json_set(line, "some", json_incref(t->some));
	json_set(line, "stock", share(s->stock_s, s->measured_s));
	json_set(line, "best", share(s->best_s, s->instance_s));
	json_set(line, "instances", share(s->instance_s, s->measured_s));
	json_set(line, "requests_per_day", share(s->requests * DAY_S, s->measured_s));
	if (s->n_recoveries > 0) {
		json_put_int(line, "recovery_p50", s->recoveries_s[s->n_recoveries / 2]);
		json_put_int(line, "recovery_p95", s->recoveries_s[s->n_recoveries * 95 / 100]);
	}
	text = json_compact(line);
	puts(text);
}

static void run_all(const struct options *o, struct availability_signal traces[static AVAILABILITY_POOLS],
                    int64_t length_s)
{
	struct tally tallies[RULE_COUNT] = {0};

	for (size_t k = 0; k < RULE_COUNT; k++) {
		tallies[k].all = json_must(json_array());
		tallies[k].some = json_must(json_array());
	}
	for (int64_t seed = 1; seed <= o->seeds; seed++) {
		struct availability_signal made[AVAILABILITY_POOLS] = {0};

		if (o->n_traces == 0)
			generate(o, seed, length_s, made);
		for (enum availability_rule k = 0; k < RULE_COUNT; k++) {
			struct availability_result before = tallies[k].sum;

			if (o->rule && !str_eq(o->rule, availability_rule_name(k)))
				continue;
			availability_run(
				&(struct availability_config){
					.rule = k,
					.n_pools = (size_t)o->pools,
					.signals = o->n_traces > 0 ? traces : made,
					.desired = (int32_t)o->desired,
					.boot_s = o->boot_s,
					.silent = o->silent,
					.spot = o->spot,
					.lifetime_s = o->lifetime_s,
					.seed = (uint64_t)seed,
					.warm_up_s = WARM_UP_S,
					.length_s = length_s,
				},
				&tallies[k].sum);
			add(&tallies[k], &before);
		}
		for (size_t i = 0; i < AVAILABILITY_POOLS; i++)
			availability_signal_done(&made[i]);
	}
	for (enum availability_rule k = 0; k < RULE_COUNT; k++) {
		if (json_array_size(tallies[k].all) > 0)
			print(o, k, &tallies[k]);
		json_decref(tallies[k].all);
		json_decref(tallies[k].some);
		availability_result_done(&tallies[k].sum);
	}
}

static int run(struct options *o, struct err *err)
{
	struct availability_signal traces[AVAILABILITY_POOLS] = {0};
	int64_t length_s = o->n_traces > 0 ? INT64_MAX : o->days * DAY_S, trace_s;
	int ret = 0;

	for (size_t i = 0; i < o->n_traces && ret == 0; i++) {
		ret = read_trace(o->traces[i], &traces[i], &trace_s, err);
		if (ret == 0 && trace_s < length_s)
			length_s = trace_s;
	}
	if (ret == 0 && length_s <= WARM_UP_S)
		ret = err_set(err, ERR_INVALID, "a trace is to be longer than an hour");
	if (ret == 0)
		run_all(o, traces, length_s);
	for (size_t i = 0; i < AVAILABILITY_POOLS; i++)
		availability_signal_done(&traces[i]);
	return ret;
}

int main(int argc, char **argv)
{
	struct options o = {.type = availability_type_find("stormy"),
	                    .pools = 3,
	                    .desired = 4,
	                    .boot_s = 180,
	                    .days = 30,
	                    .seeds = 8};
	struct err err = ERR_INIT;
	int c, ret = 0;

	while (ret == 0 && (c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		ret = take(&o, c, &err);
	}
	if (ret == 0 && optind < argc)
		ret = err_set(&err, ERR_INVALID, "'%s': there are no arguments but options", argv[optind]);
	if (o.n_traces > 0)
		o.pools = (int64_t)o.n_traces;
	if (ret == 0)
		ret = run(&o, &err);
	if (ret == 0)
		return 0;
	fprintf(stderr, "instancepool-availability: %s\n", err.message);
	return 1;
}
