#pragma once
/* What endpoints tell each other: which nodes are known to be short, and whose turn it is to ask for them again. One entry
 * for each kind of node as an instance sees it (shortage_key()), while an endpoint has such a pool in BackOff or waits
 * for its turn. One endpoint at a time asks; when its try ends, the one that was held back longest is called.
 *
 * Nothing here is kept for longer than the process: it is made again from the endpoints' statuses. No clock. */
#include "api/endpoint.h"
#include "api/model.h"
#include "plan/plan.h"

/* Whoever tries for longer (a template that is not accepted, a node that takes its time) holds nobody back any more. */
#define SHORTAGE_TRY_MAX_MS (5 * 60 * MS_PER_S)

struct shortages;

/* Called when it is this endpoint's turn, or the time of its turn has changed: plan it again. Not from within: the answer
 * comes with shortages_tell(). */
typedef void shortages_call_fn(void *arg, const char *endpoint);
struct shortages *shortages_new(shortages_call_fn *call, void *arg);
void shortages_free(struct shortages *s); /* NULL is fine */
/* Forgets all; nobody is called. */
void shortages_reset(struct shortages *s);
bool shortages_none(const struct shortages *s);

/* Two pools of the same key are after the same nodes: node selector, tolerations, runtime class; the Model's extended
 * resources. What else a Model's template says is not compared. */
uint64_t shortage_key(const struct endpoint_pool *p, const struct model *m);

/* What one pool of an endpoint has to tell; all strings are copied. */
struct shortage_report {
	uint64_t key;
	struct wall struck;      /* of back_off: since when that is known */
	struct wall until;       /* ... set only for its own evidence */
	const char *message;     /* ... */
	enum pool_reason reason; /* ... */
	bool back_off;           /* by explicit evidence, its own or another endpoint's */
	bool tries;              /* it waits for such a node, as far as it is a matter of capacity */
	bool probes;             /* ... with one instance, after a timeout: nobody else is to meanwhile */
	bool held_back;          /* plan_output.held_back */
};
struct shortage_report shortage_report_of(uint64_t key, const struct pool_status *s, bool held_back);

/* All that the endpoint (any string that names it) has to tell now: what it told before is over. 0 reports: it is gone. */
void shortages_tell(struct shortages *s, const char *endpoint, const struct shortage_report *reports,
                    size_t n_reports, struct wall now);
/* An instance got such a node: there may be more. */
void shortages_bound(struct shortages *s, uint64_t key, struct wall now);
/* What this endpoint's plan is to know. Its own strike holds it back by its status, not by this: until is the strike's own
 * time then. The message is borrowed until the next change. */
void shortages_look(const struct shortages *s, const char *endpoint, uint64_t key, struct plan_shortage *ret);
