#include "sim/options.h"
#include <inttypes.h>
#include "base/mem.h"
#include "sim/acts.h"

#define HOUR_MS (3600 * MS_PER_S)

#define TYPE(member) offsetof(struct cluster_type, member)
static const struct option of_type[] = {
	{"gpus", OPTION_NUMBER, true, TYPE(gpus), 1, 16},
	{"nodes", OPTION_NUMBER, true, TYPE(nodes), 0, 100},
	{"stock", OPTION_NUMBER, false, TYPE(stock), 0, 100},
	{"boot", OPTION_TIME, true, TYPE(boot_ms), 0, HOUR_MS},
	{"load", OPTION_TIME, true, TYPE(load_ms), 0, HOUR_MS},
};

#define ENDPOINT(member) offsetof(struct story_endpoint, member)
static const struct option of_endpoint[] = {
	{"count", OPTION_NUMBER, true, ENDPOINT(count), 0, 100},
	{"gpus", OPTION_NUMBER, true, ENDPOINT(gpus), 1, 16},
	{"window", OPTION_SECONDS, true, ENDPOINT(window_ms), 0, HOUR_MS},
	{"retry", OPTION_SECONDS, true, ENDPOINT(retry_ms), 10 * MS_PER_S, HOUR_MS},
	{"max-retry", OPTION_SECONDS, true, ENDPOINT(max_retry_ms), 10 * MS_PER_S, HOUR_MS},
	{"startup", OPTION_SECONDS, true, ENDPOINT(startup_ms), 60 * MS_PER_S, HOUR_MS},
	{"rebalance", OPTION_CHOICE, false, ENDPOINT(rebalance_active), .words = {"Passive", "Active"}},
	{"on-failure", OPTION_CHOICE, false, ENDPOINT(lends), .words = {"Hold", "Lend"}},
};

#define POOL(member) offsetof(struct story_pool, member)
static const struct option of_pool[] = {
	{"priority", OPTION_NUMBER, true, POOL(priority), 1, 1000},
	{"min", OPTION_NUMBER, false, POOL(min), 0, 100},
	{"max", OPTION_NUMBER, false, POOL(max), 0, 100},
};

const struct options type_options = {of_type, ARRAY_LEN(of_type)};
const struct options endpoint_options = {of_endpoint, ARRAY_LEN(of_endpoint)};
const struct options pool_options = {of_pool, ARRAY_LEN(of_pool)};

static int64_t value_of(const struct option *o, const void *of)
{
	const char *at = (const char *)of + o->offset;
	int64_t wide;
	int32_t number;
	bool flag;

	switch (o->form) {
	case OPTION_NUMBER:
		memcpy(&number, at, sizeof(number));
		return number;
	case OPTION_CHOICE:
		memcpy(&flag, at, sizeof(flag));
		return flag;
	case OPTION_TIME:
	case OPTION_SECONDS:
		break;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

void option_put(const struct option *o, int64_t value, void *of)
{
	char *at = (char *)of + o->offset;
	int32_t number = (int32_t)value;
	bool flag = value != 0;

	switch (o->form) {
	case OPTION_NUMBER:
		memcpy(at, &number, sizeof(number));
		break;
	case OPTION_CHOICE:
		memcpy(at, &flag, sizeof(flag));
		break;
	case OPTION_TIME:
	case OPTION_SECONDS:
		memcpy(at, &value, sizeof(value));
		break;
	}
}

void options_write(const struct options *options, const void *of, FILE *out)
{
	char time[STORY_SECONDS_SIZE];

	for (size_t i = 0; i < options->n; i++) {
		const struct option *o = &options->list[i];
		int64_t value = value_of(o, of);

		if (!o->required && value == 0)
			continue;
		fprintf(out, " %s=", o->key);
		switch (o->form) {
		case OPTION_NUMBER:
			fprintf(out, "%" PRId64, value);
			break;
		case OPTION_CHOICE:
			fputs(o->words[value], out);
			break;
		case OPTION_TIME:
		case OPTION_SECONDS:
			story_seconds(value, time);
			fprintf(out, "%ss", time);
			break;
		}
	}
	fputc('\n', out);
}
