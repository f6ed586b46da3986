#pragma once
/* The table of acts: their words in a story's text and what each of them has. */
#include "sim/story.h"

#define ACT_MAX_ARGUMENTS 4

enum act_argument {
	ARGUMENT_END,
	ARGUMENT_ENDPOINT, /* subject */
	ARGUMENT_TYPE,     /* subject */
	ARGUMENT_N,
	ARGUMENT_WORD,
	ARGUMENT_KIND,
	ARGUMENT_FOR,
	ARGUMENT_FOR_LATE, /* ... where the word is NETWORK_WATCH_LATE, else there is none */
};

struct act_form {
	const char *verb;
	enum act_argument arguments[ACT_MAX_ARGUMENTS]; /* in the order of the text */
	int32_t low, high;                              /* of n */
	const char *(*word)(int word);
	int n_words;
};

const struct act_form *act_form(enum act_type t);
bool act_has(const struct story_act *a, enum act_argument argument);

/* The names that there are, in the order that a generated story has them. */
extern const char *const story_type_names[CLUSTER_MAX_TYPES];
extern const char *const story_endpoint_names[STORY_MAX_ENDPOINTS];

/* "12.5": as short as it can be. */
#define STORY_SECONDS_SIZE 32
void story_seconds(int64_t ms, char buf[static STORY_SECONDS_SIZE]);
/* An act's line but for its time and the end of the line. */
void story_write_act(const struct story *s, const struct story_act *a, FILE *out);
