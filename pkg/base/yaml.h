#pragma once
/* YAML 1.1 as kubectl reads it -> jansson: plain scalars are resolved (null, bool, int, float), anchors and
 * merge keys expanded under a bound, duplicate keys refused. Stricter than kubectl: also refused are integers
 * beyond 64 bits, tags that are not YAML's own, NUL in strings, and keys that are floats or null. */
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define YAML_MAX_BYTES (4u << 20)
#define YAML_MAX_NODES 100000u /* this and the above hold for the text and for what its aliases make of it */

/* The first document; a new reference. An empty document is null. */
json_t *yaml_parse(struct slice text, struct err *err);
/* All documents, in a new array; the limits hold for all together. */
json_t *yaml_parse_all(struct slice text, struct err *err);

/* Append j as one document, "---" first: members in their order, block style, no line folded. A string that some reader
 * could take for something else ("no", "1e3", "") is quoted. yaml_parse() makes the same value of it again. */
void yaml_write(json_t *j, struct buf *out);
