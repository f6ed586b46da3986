#pragma once
/* Shared by api.c and api_watch.c. */
#include <sys/queue.h>
#include "sim/api.h"
#include "sim/api_request.h"

/* Something that happened, as those who watch are told. */
struct api_event {
	uint64_t version;
	bool labelled; /* has LABEL_ENDPOINT; of Events: is about a Pod */
	char *line;
};

struct api_log {
	struct api_event *events;
	size_t n, capacity;
};

/* Into the log, and to who watches. */
void api_log_add(struct api *a, enum api_change change, const struct api_object *o);
void api_log_free(struct api_log *l);

struct api_watch {
	LIST_ENTRY(api_watch) link;
	struct api *api;
	enum api_kind kind;
	bool with_label;
	api_watch_fn *fn;
	void *arg;
};
LIST_HEAD(api_watch_list, api_watch);

struct api_log *api_log_of(struct api *a, enum api_kind kind);
struct api_watch_list *api_watches_of(struct api *a, enum api_kind kind);
