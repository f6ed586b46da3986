#pragma once
/* What an instance type has besides CPUs. */
#include <stdbool.h>
#include <stdint.h>

struct accelerators {
	bool known;           /* false: the type is in no table */
	const char *resource; /* the extended resource of its devices; NULL: it has none */
	int32_t count;
};

/* type: without "ml.". */
struct accelerators accelerators_of(const char *type);
