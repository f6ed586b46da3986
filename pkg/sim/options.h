#pragma once
/* What stands as "count=3" at the end of a line of a story's text: of a type, an endpoint, a pool. */
#include "sim/story.h"

enum option_form {
	OPTION_NUMBER,  /* int32_t */
	OPTION_TIME,    /* int64_t: milliseconds */
	OPTION_SECONDS, /* int64_t: milliseconds, whole seconds only: the API has no others */
	OPTION_CHOICE,  /* bool: false and true are words[0] and words[1] */
};

struct option {
	const char *key;
	enum option_form form;
	bool required; /* else 0 where it is not given, and not written then */
	size_t offset;
	int64_t low, high;
	const char *words[2];
};

struct options {
	const struct option *list;
	size_t n;
};
extern const struct options type_options, endpoint_options, pool_options;

/* `of` is the struct cluster_type, story_endpoint or story_pool. */
void option_put(const struct option *o, int64_t value, void *of);
/* With the end of the line. */
void options_write(const struct options *options, const void *of, FILE *out);
