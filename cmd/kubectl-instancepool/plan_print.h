#pragma once
/* A plan for a person, and for a program. */
#include "forecast/forecast.h"
#include "plan_objects.h"

/* One question and its answer. */
struct plan_answer {
	const char *out; /* the instance types that are out, as "p5.48xlarge, g6.48xlarge"; NULL: none */
	enum forecast_nodes adds_nodes; /* where it is not FIXED there is one answer for each of the others */
	struct forecast forecast;
};

void plan_print(const struct plan_objects *o, int32_t wanted, const struct plan_answer *answers, size_t n);
void plan_print_json(const struct plan_objects *o, int32_t wanted, const struct plan_answer *answers,
                     size_t n);
