#pragma once
/* The objects of a story as a person would apply them, and how people change them. */
#include <jansson.h>
#include "sim/story.h"

#define DOCUMENT_NS "default"

/* New references. The Model of an endpoint is called "model-NAME"; `edit` is a value in its template, 0 at first. */
json_t *document_model(const struct story_endpoint *e, int64_t grace_s, int edit);
json_t *document_endpoint(const struct story *s, const struct story_endpoint *e);
#define DOCUMENT_NAME_SIZE 16
void document_model_name(const struct story_endpoint *e, char buf[static DOCUMENT_NAME_SIZE]);

/* Of the object's document. */
void document_edit_model(json_t *model, int edit);
/* The list goes round by n places; the priorities stay at their places. */
void document_turn_pools(json_t *endpoint, size_t n);
/* Modulo their number; false: there is only one. */
bool document_drop_pool(json_t *endpoint, size_t at);
/* Of the first pool; 0: no limit. */
void document_cap(json_t *endpoint, int32_t max);
/* Borrowed. */
const char *document_first_pool(const json_t *endpoint);
