#pragma once
/* Leader election for the process: the elector with a client of its own, tied to the controller. */
#include "flags.h"
#include "kube/config.h"

struct election;

/* NULL with err set on failure. Borrows all; `finished` is called once after election_stop(). */
struct election *election_new(struct loop *l, const struct kube_config *config, const struct flags *f,
                              struct metrics *m, void (*finished)(void *arg), void *arg, struct err *err);
/* The controller leads when this process does. After controller_start(). */
void election_start(struct election *e, struct controller *op);
/* Ends leading and gives the lease back; takes at most about a second, then `finished` is called. */
void election_stop(struct election *e);
/* After controller_free(). NULL is fine. */
void election_free(struct election *e);
/* For controller_options. */
bool election_may_write(void *election);
int64_t election_write_timeout_ms(const struct flags *f);
