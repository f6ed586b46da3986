#pragma once
/* What is said of a story that breaks a rule. */
#include "sim/world.h"

/* In so many words; with a shorter story that breaks the same rule, if `shrink`. */
void report_violation(FILE *out, const struct story *s, const struct world_result *r, bool shrink);
