#pragma once
/* Leader election of a process: lease.h on the loop. One replica leads, the others stand by. A leader that loses its
 * lease stands by, too; nothing here ends the process.
 *
 * Time is CLOCK_BOOTTIME: it goes on while the process is stopped (SIGSTOP, a frozen cgroup) and while the machine
 * sleeps, which CLOCK_MONOTONIC does not. Of a virtual machine that its host holds for a while no clock inside can
 * tell. */
#include <stdbool.h>
#include "kube/client.h"

struct elector;

struct elector_options {
	const char *ns, *name; /* of the Lease; copied */
	/* What others see as the holder, unique to this process; copied. NULL: the host's name and a random part. */
	const char *identity;
	/* 0: 15 s, 10 s, 2 s; see lease_options_check(). */
	int64_t lease_duration_ms, renew_deadline_ms, retry_period_ms;
};

/* Called from the loop, on_stopped also from inside elector_stop(). All but on_finished must not call elector_stop() or
 * elector_free(). Members may be NULL. */
struct elector_handler {
	void (*on_started)(void *arg); /* we lead */
	/* We do not any more. What of our writes is still on its way should be called back; it need not be waited for, as
	 * long as it ends before the rest of the lease's duration is over. */
	void (*on_stopped)(void *arg);
	void (*on_holder)(void *arg, const char *identity); /* somebody else or nobody ("") or us; at a change */
	/* The first of a row of failures of one kind; it goes on trying. A lost race is not one. */
	void (*on_trouble)(void *arg, const struct err *err);
	/* After elector_stop(), once: released, or given up after a second. The elector and its client may be freed here. */
	void (*on_finished)(void *arg);
	void *arg;
};

/* Borrows the client, which should be of the elector alone: the lease must not wait behind other requests. */
struct elector *elector_new(struct kube_client *c, const struct elector_options *o,
                            const struct elector_handler *h, struct err *err);
void elector_start(struct elector *e);
/* Lead no more, and give the lease back if it is ours, so that another can lead within its retry period. Before it,
 * let writes end. Once. */
void elector_stop(struct elector *e);
/* Without a release. NULL is fine. Before the client. */
void elector_free(struct elector *e);

/* Ask immediately before each write: true if we lead at this moment, by the clock and not by what the loop has seen of
 * it, so that it is false at once in a process that was suspended. A write that began with it has
 * lease_duration - renew_deadline to arrive before another can lead. */
bool elector_may_write(const struct elector *e);
const char *elector_identity(const struct elector *e);
const char *elector_holder(const struct elector *e); /* as last seen; "": nobody, or not known */
/* What went wrong, as it was told first, while it goes on trying; NULL: all is well. */
const struct err *elector_trouble(const struct elector *e);
