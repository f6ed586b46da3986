#pragma once
/* A program that runs to its end: what it writes is collected, and it is killed at its deadline. There is no shell.
 * It has an empty input, a session of its own (so no terminal to ask on) and none of our descriptors. */
#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct child;

struct child_options {
	const char *program; /* with a slash: a path; else it is looked for in the absolute folders of our PATH */
	const char *const *argv; /* argv[0] included, up to a NULL */
	const char *const *env;  /* "NAME=value" up to a NULL; NULL: ours */
	size_t max_output_bytes; /* more of it ends the program with ERR_LIMIT */
	int64_t timeout_ms;      /* ends it with ERR_TIMEOUT */
};

#define CHILD_MAX_ERRORS_BYTES 4096u

/* The texts are valid during the callback. */
struct child_result {
	int exit_status; /* when no signal ended it */
	int signal;      /* 0: none */
	struct slice output;
	struct slice errors; /* what it wrote to its standard error, the first CHILD_MAX_ERRORS_BYTES */
};

/* Once; the child is gone then. `err->code` is ERR_NONE when the program ended by itself, however. */
typedef void child_done_fn(void *arg, const struct child_result *r, const struct err *err);

/* All options are copied. NULL when it cannot be started: ERR_NOT_FOUND when there is no such program. Every
 * descriptor of this process becomes close-on-exec, because libraries forget it for some of theirs. */
struct child *child_start(struct loop *l, const struct child_options *o, child_done_fn *fn, void *arg,
                          struct err *err);
/* Kills it, with what it started itself, and calls nothing. Not from its own callback. NULL is fine. */
void child_cancel(struct child *c);
