#pragma once
/* JSON as tests write it, with ' for ". After <cmocka.h>. */
#include "base/json.h"

/* A new reference; text that is no JSON fails the test. */
static inline json_t *quoted_json(const char *text)
{
	CLEANUP_FREE char *json = xstrdup(text);
	struct err err = ERR_INIT;
	json_t *j;

	for (char *p = json; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	j = json_parse(slice_from(json), &err);
	if (!j)
		fail_msg("%s", err.message);
	return j;
}
