#pragma once
/* Every field that SageMaker's objects have, and what becomes of it: so that none is dropped in silence. */
#include "convert/internal.h"

extern const struct field model_fields[], container_fields[], model_source_fields[], s3_source_fields[],
	config_fields[], variant_fields[], pool_fields[], endpoint_fields[], endpoint_variant_fields[];

/* Notes each member of o that the table does not call carried over. path: of o in its object, "" for itself. */
void fields_note(struct conversion *c, const struct object *of, const char *path, json_t *o,
                 const struct field *table);
