#pragma once
/* A story, played: API server, network, cluster and operators in virtual time, with the checks (check.h) looking on. */
#include "sim/story.h"

#define WORLD_TEXT_SIZE 512

struct world_result {
	const char *rule;           /* static: the first rule that was broken; NULL: none */
	char text[WORLD_TEXT_SIZE]; /* ... what was seen */
	int64_t at_ms;              /* ... when */
	unsigned writes; /* requests of the operators that changed something, without leases and Events */
	int64_t calm_ms; /* from heal to the last such write */
};

/* tell: what happens, line by line, goes there; NULL: nowhere. */
void world_play(const struct story *s, FILE *tell, struct world_result *ret);
