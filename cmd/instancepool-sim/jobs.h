#pragma once
/* The stories of many seeds, played by several processes. */
#include "flags.h"

/* Says on standard output which rules were broken. The number of stories that broke one, or ended their process; -1: err. */
int64_t jobs_run(const struct flags *f, uint64_t *ret_played, struct err *err);
