#pragma once
/* The command line. */
#include <stddef.h>
#include <stdint.h>
#include "base/log.h"

#define MAX_JOBS 256

struct flags {
	uint64_t first;
	uint64_t seeds;
	unsigned jobs;
	const char **files; /* stories to be played instead: free() it, the strings are argv's */
	size_t n_files;
	bool stop; /* after the first violation */
	bool tell, shrink;
	bool quiet; /* the operators log nothing, else from log_level on */
	enum log_level log_level;
};

/* 0: filled in. 1: --help was printed. -1: err says which flag and what would be right. */
int flags_parse(int argc, char **argv, struct flags *ret, struct err *err);
