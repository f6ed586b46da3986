#pragma once
/* Requests, as the operator makes them, on the objects of api.h: get, create, the three patches, delete, and watches. */
#include "base/str.h"
#include "sim/api.h"

struct api_request {
	const char *method, *path; /* the path with its query */
	struct slice body;
	/* Filled in by api_request_parse(). */
	enum api_kind kind; /* API_KIND_COUNT: no kind that there is */
	char ns[64], name[256], subresource[16];
	bool watch, list, dry_run;
	bool with_label; /* a label selector: those that have LABEL_ENDPOINT */
};

struct api_answer {
	int status;
	char *body; /* JSON; free() it */
};

/* What is it about? The strings of *r must be set. */
void api_request_parse(struct api_request *r);
/* Does it change something, but for leases and Events? */
bool api_request_is_write(const struct api_request *r);
/* Everything but watches. Applied when it returns. */
void api_request_serve(struct api *a, const struct api_request *r, struct api_answer *ret);
/* A Status. */
void api_answer_refuse(struct api_answer *ret, int status, const char *reason, const char *message);

/* A watch. fn gets one event a time, a line of JSON; first, from within api_watch_open(), what has happened since the version
 * that the request names, or all that is there and the mark of its end. */
struct api_watch;
typedef void api_watch_fn(void *arg, struct slice line);
struct api_watch *api_watch_open(struct api *a, const struct api_request *r, api_watch_fn *fn, void *arg);
void api_watch_close(struct api_watch *w); /* before the API server. NULL is fine */
