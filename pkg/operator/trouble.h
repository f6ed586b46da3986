#pragma once
/* What goes wrong between us and the API server, in lines that somebody can act on: one for each cause, however many
 * requests meet it, again each minute while it lasts or comes and goes, and one when it is over. */
#include "base/clock.h"
#include "kube/resource.h"

struct trouble;

/* A server that has just started knows nobody's rights for a second or two and refuses for other passing reasons; a
 * stream that breaks is opened again. Only what lasts so long is told. */
#define TROUBLE_PASSING_MS (2 * MS_PER_S)

struct trouble *trouble_new(void);
void trouble_free(struct trouble *t); /* NULL is fine */

/* A list or watch of this resource, in this namespace (NULL: in all), failed, or succeeded after that. Both log what is
 * news. */
void trouble_watch(struct trouble *t, const struct kube_resource *r, const char *ns, const struct err *err,
                   struct mono now);
void trouble_watch_over(struct trouble *t, const struct kube_resource *r, const char *ns, struct mono now);
/* The server refused a write for this endpoint ("ns/name"), or an Event. A missing right is one cause, whomever it
 * hits; other refusals of a write are about the object and are all logged. */
void trouble_write(struct trouble *t, const char *endpoint, const struct kube_resource *r, const char *name,
                   const struct err *err, struct mono now);
/* No endpoint lacks a right to write any more; `say` so, unless none is written any more. */
void trouble_rights_over(struct trouble *t, bool say, struct mono now);
void trouble_event(struct trouble *t, const struct err *err, struct mono now);
/* A status was refused because the server does not know all its fields (trouble_is_schema()); NULL: one was written. */
#define TROUBLE_SCHEMA \
	"the CustomResourceDefinitions are older than the operator: kubectl apply --server-side -f crds/"
void trouble_schema(struct trouble *t, const struct err *err, struct mono now);

/* The parts that decide, for tests. */

bool trouble_is_schema(const struct err *err);
/* A right is missing, in the words of the API server's authorizer, not of admission. */
bool trouble_is_right(const struct err *err);

/* "" is the server: what it does to one request it does to all. Else one resource. */
const char *trouble_source(const struct kube_resource *r, const struct err *err);
/* Is it news? Then *ret_lasted_ms is how long it has been so. */
bool trouble_note(struct trouble *t, const char *source, const struct err *err, struct mono now,
                  int64_t *ret_lasted_ms);
/* Nothing of this source is wrong any more: is that news? */
bool trouble_end(struct trouble *t, const char *source, struct mono now, int64_t *ret_lasted_ms);
#define TROUBLE_HINT_SIZE 256
/* What to do about it; "": nothing that we know of. */
void trouble_hint(const struct kube_resource *r, const struct err *err, char buf[static TROUBLE_HINT_SIZE]);
