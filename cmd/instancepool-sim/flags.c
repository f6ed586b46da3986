#include "flags.h"
#include <getopt.h>
#include <inttypes.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/str.h"

#define MAX_SEEDS INT64_C(1000000000)

static const char help[] =
	"Usage: instancepool-sim [flags]\n"
	"       instancepool-sim [--tell] [--shrink] --story FILE...\n"
	"\n"
	"Plays stories: the operator as it is, in virtual time, with a virtual API server and cluster, while "
	"nodes go,\n"
	"requests are lost and processes die. A story is made from a seed, or read from a FILE "
	"(tests/golden/sim). It\n"
	"goes the same way each time.\n"
	"\n"
	"  --seeds N      how many stories; default 1000\n"
	"  --first N      the first seed; default 1\n"
	"  --jobs N       processes; default: one for each core\n"
	"  --stop         end with the first story that breaks a rule\n"
	"  --story FILE   may be followed by more\n"
	"  --tell         say what happens, line by line: of the first seed, or of each FILE\n"
	"  --shrink, --no-shrink\n"
	"                 look for a shorter story that breaks the same rule; default: of seeds only\n"
	"  --log LEVEL    what the operators log: debug | info | warn | error; default: nothing\n"
	"  --help\n"
	"\n"
	"Ends with a line of JSON: {\"seeds\":N,\"violations\":N,\"seconds\":S}; seeds is the number of "
	"stories.\n"
	"Exit status: 0; 1 if a rule was broken; 2 if a flag or a FILE is wrong.\n";

enum flag { SEEDS = 256, FIRST, JOBS, STOP, STORY, TELL, SHRINK, NO_SHRINK, LOG, HELP };

static int parse_number(const char *flag, const char *text, int64_t low, int64_t high, int64_t *ret,
                        struct err *err)
{
	if (slice_to_i64(slice_from(text), ret, err) < 0 || *ret < low || *ret > high)
		return err_set(err, ERR_INVALID, "%s: \"%s\" is no number from %" PRId64 " to %" PRId64, flag, text,
		               low, high);
	return 0;
}

static int set_option(struct flags *f, int option, const char *value, struct err *err)
{
	int64_t n;

	switch (option) {
	case SEEDS:
		if (parse_number("--seeds", value, 1, MAX_SEEDS, &n, err) < 0)
			return -1;
		f->seeds = (uint64_t)n;
		return 0;
	case FIRST:
		if (parse_number("--first", value, 0, INT64_MAX - MAX_SEEDS, &n, err) < 0)
			return -1;
		f->first = (uint64_t)n;
		return 0;
	case JOBS:
		if (parse_number("--jobs", value, 1, MAX_JOBS, &n, err) < 0)
			return -1;
		f->jobs = (unsigned)n;
		return 0;
	case STOP:
		f->stop = true;
		return 0;
	case TELL:
		f->tell = true;
		return 0;
	case STORY:
		f->files[f->n_files++] = value;
		return 0;
	case SHRINK:
	case NO_SHRINK:
		f->shrink = option == SHRINK;
		return 0;
	case LOG:
		f->quiet = false;
		return log_level_parse(value, &f->log_level, err) < 0 ? err_prefix(err, "--log") : 0;
	case HELP:
		fputs(help, stdout);
		return 1;
	default:
		return -1;
	}
}

int flags_parse(int argc, char **argv, struct flags *ret, struct err *err)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, SEEDS},
		{"first", required_argument, NULL, FIRST},
		{"jobs", required_argument, NULL, JOBS},
		{"stop", no_argument, NULL, STOP},
		{"story", required_argument, NULL, STORY},
		{"tell", no_argument, NULL, TELL},
		{"shrink", no_argument, NULL, SHRINK},
		{"no-shrink", no_argument, NULL, NO_SHRINK},
		{"log", required_argument, NULL, LOG},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	bool shrink_said = false;
	int option;

	*ret = (struct flags){.first = 1,
	                      .seeds = 1000,
	                      .jobs = cores < 1          ? 1
	                              : cores > MAX_JOBS ? MAX_JOBS
	                                                 : (unsigned)cores,
	                      .files = xcalloc((size_t)argc, sizeof(*ret->files)),
	                      .quiet = true};
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		int result;

		if (option == '?')
			return err_set(err, ERR_INVALID, "unknown flag %s", argv[optind - 1]);
		if (option == ':')
			return err_set(err, ERR_INVALID, "%s needs a value", argv[optind - 1]);
		shrink_said |= option == SHRINK || option == NO_SHRINK;
		result = set_option(ret, option, optarg, err);
		if (result != 0)
			return result;
	}
	if (optind < argc && ret->n_files == 0)
		return err_set(err, ERR_INVALID, "unexpected argument \"%s\"", argv[optind]);
	while (optind < argc)
		ret->files[ret->n_files++] = argv[optind++];
	if (!shrink_said)
		ret->shrink = ret->n_files == 0;
	return 0;
}
