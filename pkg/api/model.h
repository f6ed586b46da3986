#pragma once
/* Model: what runs in an instance. The template is kept as text: it is looked at only when a Deployment is
 * made. */
#include <stdint.h>
#include "base/arena.h"
#include "base/objmeta.h"

struct model {
	struct objmeta meta;
	int32_t port; /* spec.server, SageMaker's container contract by default: 8080, /ping, /metrics */
	const char *health_path;
	const char *metrics_path;
	const char *template_json; /* spec.template, canonical JSON */
	/* Extended resources (nvidia.com/gpu, ...) that one instance asks for: containers summed, init
	 * containers by maximum. Sorted by key. */
	const struct jqty *resources;
	size_t n_resources;
	uint64_t revision_seed; /* the Model's part of pool_revision(): template, port and healthPath */
	struct arena arena;
};

struct model *model_decode(struct slice json, struct err *err);
void model_free(struct model *m);
