#pragma once
/* A played story in lines for whoever has to find out what went wrong. out NULL: nothing is told. */
#include "sim/story.h"

/* "  12.345 TEXT" */
void tell_line(FILE *out, int64_t ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void tell_act(FILE *out, int64_t ms, const struct story *s, const struct story_act *a);
void tell_write(FILE *out, int64_t ms, const char *who, const struct api_request *r, int status);
void tell_event(FILE *out, int64_t ms, const json_t *event);
