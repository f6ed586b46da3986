#pragma once
/* Numbers for jitter and tests: splitmix64 (Sebastiano Vigna, 2015), good with any seed. Not for secrets. */
#include <stdint.h>

/* From low to high, both included; low <= high. *state is the generator, seeded with anything. */
int64_t random_between(uint64_t *state, int64_t low, int64_t high);
