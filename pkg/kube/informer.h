#pragma once
/* A store kept current: the reflector's runner. It owns the calls and the timer, nothing else. */
#include "kube/client.h"
#include "kube/store.h"

struct informer;

struct informer_handler {
	/* before NULL: new; after NULL: gone. Both are views, valid during the call; `after` is in the store (and
	 * `before` no longer). An event whose resourceVersion is the stored one is not reported. */
	void (*on_change)(void *arg, const void *before, const void *after);
	/* A complete list is in the store: the first, or once more after what was missed. May be NULL. */
	void (*on_synced)(void *arg);
	/* An object could not be read: it keeps its last good view. ns and name as far as they could be found,
	 * else "". */
	void (*on_undecodable)(void *arg, const char *ns, const char *name, const struct err *err);
	/* A list or watch failed and will be tried again in retry_ms; each time. Not told: that the server does not
	 * stream lists. May be NULL. */
	void (*on_trouble)(void *arg, const struct err *err, int64_t retry_ms);
	/* The server gave the first answer that is none of trouble since. May be NULL. */
	void (*on_trouble_over)(void *arg);
	void *arg;
};

struct informer_options {
	const struct kube_type *type;
	const char *ns;      /* NULL: all namespaces; copied */
	struct store *store; /* to be kept current, with other informers of other namespaces; NULL: an own one */
	const char *label_selector; /* NULL: all; copied */
	const char *field_selector; /* the same */
	struct informer_handler handler;
};

/* The handler may call anything but informer_free() of this informer. */
struct informer *informer_new(struct kube_client *c, const struct informer_options *o);
void informer_start(struct informer *i);
void informer_free(struct informer *i); /* no callback any more; NULL is fine */
const struct store *informer_store(const struct informer *i);
bool informer_synced(const struct informer *i);
/* Is a watch open that goes on from what is in the store? False while the server is away, and during a list. */
bool informer_current(const struct informer *i);
/* The last failure, while nothing has succeeded since; else NULL. */
const struct err *informer_trouble(const struct informer *i);
