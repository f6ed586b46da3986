#pragma once
/* Leader election for the process: the elector with a client of its own, tied to the controller. */
#include "kube/config.h"
#include "kube/elector.h"
#include "net/metrics.h"
#include "operator/controller.h"

struct election;

/* NULL with err set on failure. Borrows loop and metrics; `finished` is called once after election_stop(). o->ns may be
 * NULL: the configuration's. */
struct election *election_new(struct loop *l, const struct kube_config *config,
                              const struct elector_options *o, const char *user_agent, struct metrics *m,
                              void (*finished)(void *arg), void *arg, struct err *err);
/* The controller leads when this process does. After controller_start(). */
void election_start(struct election *e, struct controller *op);
/* Ends leading and gives the lease back; takes at most about a second, then `finished` is called. */
void election_stop(struct election *e);
/* After controller_free(). NULL is fine. */
void election_free(struct election *e);
/* False: err says why it cannot hold or read the lease at the moment, and what to do. */
bool election_is_well(const struct election *e, struct err *err);
/* For controller_options. */
bool election_may_write(void *election);
/* ... and what a write may take: one that began while we led has to arrive before another can lead. */
int64_t election_write_timeout_ms(const struct elector_options *o);
