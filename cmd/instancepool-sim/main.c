/* instancepool-sim: plays stories and says which of them break a rule. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include "base/clock.h"
#include "base/file.h"
#include "flags.h"
#include "jobs.h"
#include "report.h"

#define MAX_STORY_BYTES (1u << 20)

/* True: no rule was broken. */
static bool play(const struct flags *f, const char *title, const struct story *s)
{
	struct world_result r;

	world_play(s, f->tell ? stdout : NULL, &r);
	if (r.rule) {
		printf("%s: ", title);
		report_violation(stdout, s, &r, f->shrink);
		return false;
	}
	printf("%s: no rule broken; %u writes, the last one %.3f s after heal\n", title, r.writes,
	       (double)r.calm_ms / (double)MS_PER_S);
	return true;
}

static int64_t play_files(const struct flags *f, struct err *err)
{
	int64_t violations = 0;

	for (size_t i = 0; i < f->n_files; i++) {
		struct buf text CLEANUP_BUF;
		struct story s;

		buf_init(&text, MAX_STORY_BYTES);
		if (file_read(f->files[i], &text, err) < 0)
			return -1;
		if (story_read(buf_slice(&text), &s, err) < 0)
			return err_prefix(err, "%s", f->files[i]);
		violations += !play(f, f->files[i], &s);
	}
	return violations;
}

static int64_t tell_seed(const struct flags *f)
{
	char title[32];
	struct story s;

	story_generate(f->first, &s);
	story_write(&s, stdout);
	str_format(title, sizeof(title), "seed %" PRIu64, f->first);
	return !play(f, title, &s);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run(const struct flags *f, struct err *err)
{
	double started = seconds();
	uint64_t stories = f->n_files > 0 ? f->n_files : f->tell ? 1 : f->seeds;
	int64_t violations = f->n_files > 0 ? play_files(f, err)
	                     : f->tell      ? tell_seed(f)
	                                    : jobs_run(f, &stories, err);

	if (violations < 0)
		return -1;
	printf("{\"seeds\":%" PRIu64 ",\"violations\":%" PRId64 ",\"seconds\":%.1f}\n", stories, violations,
	       seconds() - started);
	return violations > 0;
}

int main(int argc, char **argv)
{
	struct flags flags;
	struct err err = ERR_INIT;
	int result = flags_parse(argc, argv, &flags, &err);

	if (result == 0) {
		/* Above all levels there are: nothing is logged. */
		log_setup(flags.quiet ? (enum log_level)(LOG_LEVEL_ERROR + 1) : flags.log_level, LOG_FORMAT_TEXT);
		result = run(&flags, &err);
	} else if (result > 0) {
		result = 0;
	}
	free(flags.files);
	if (result < 0) {
		fprintf(stderr, "instancepool-sim: %s (see --help)\n", err.message);
		return 2;
	}
	return result;
}
