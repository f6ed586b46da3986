#pragma once
/* A played story in lines for whoever has to find out what went wrong. out NULL: nothing is told. */
#include "sim/story.h"

/* "  12.345 TEXT" */
void tell_line(FILE *out, int64_t ms, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "happened" false: there was nothing that it could have happened to. */
void tell_act(FILE *out, int64_t ms, const struct story *s, const struct story_act *a, bool happened);
void tell_write(FILE *out, int64_t ms, const struct api_write *w, const json_t *body);
