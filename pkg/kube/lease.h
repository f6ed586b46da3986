#pragma once
/* Leader election on a Lease (coordination.k8s.io/v1), as client-go's leaderelection does it and able to share a
 * Lease with it. A pure state machine: it decides, elector.c acts.
 *
 * Why two never lead at once: a holder counts on its lease from the moment it *began* a write that succeeded, for
 * renew_deadline. The others count from the moment they *saw* the record change, which is later, for the longer
 * leaseDurationSeconds in it; and what they write then is refused if the record has changed meanwhile. Each uses its
 * own monotonic clock. The times in the record are for people: this code never reads them.
 *
 * A leader that could not renew in time, or that finds another's name or no Lease at all, steps down and goes on as a
 * follower. A write whose outcome is unknown, or that was refused because the record has changed, is followed by a
 * read, once at once and then at the usual pace. A follower reads every 0.5 to 0.9 retry periods, so that it sees a
 * release within one; a record that has run out it tries to take without reading it again. A Lease that was deleted
 * counts as held until it would have run out; only who has never seen it (a process that just started) cannot know
 * that, so deleting a Lease can make two leaders for the moment until the old one reads it again. */
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define LEASE_NAME_SIZE 256 /* of an identity; longer ones of others are cut */
#define LEASE_RV_SIZE 64
#define LEASE_RELEASE_MS INT64_C(1000) /* what a release may take, waiting for what was in flight included */

struct lease_options {
	const char *identity; /* unique to this process; outlives the lease */
	int64_t duration_ms;  /* whole seconds */
	int64_t renew_deadline_ms, retry_period_ms;
};
/* client-go's rules: duration > renew deadline > 1.2 retry periods. */
int lease_options_check(const struct lease_options *o, struct err *err);

/* What counts of a Lease object. */
struct lease_record {
	char resource_version[LEASE_RV_SIZE];
	char holder[LEASE_NAME_SIZE]; /* "": nobody */
	int64_t duration_ms;          /* 0: not said */
	int32_t transitions;
};
int lease_record_read(struct slice json, struct lease_record *ret, struct err *err);

enum lease_state {
	LEASE_IDLE, /* not started, or finished */
	LEASE_FOLLOWER,
	LEASE_LEADER,
	LEASE_RELEASING, /* stopped, and what we hold is being given up */
};
enum lease_call {
	LEASE_NO_CALL,
	LEASE_READ,
	LEASE_CREATE,
	LEASE_TAKE,    /* the record of another, or of nobody */
	LEASE_RENEW,   /* our own */
	LEASE_RELEASE, /* our own: nobody's from now on */
};
enum lease_view {
	LEASE_UNSEEN,
	LEASE_DOUBTFUL, /* `record` may be out of date through a write of ours or another's */
	LEASE_ABSENT,   /* no such object; `record` is what was there before */
	LEASE_PRESENT,
};

struct lease {
	struct lease_options options;
	enum lease_state state;
	enum lease_call call; /* in flight; at most one */
	enum lease_view view;
	struct lease_record record;
	struct mono changed;     /* when we saw that it had */
	struct mono called;      /* when `call` began */
	struct mono valid_until; /* LEASE_LEADER only */
	struct mono wake;        /* when to act again; without a call */
	struct mono give_up;     /* LEASE_RELEASING only */
	bool reread;             /* a doubt was followed by a read at once already */
	uint64_t random;         /* jitter: a generator of its own, seeded by the caller */
};

enum lease_input_type {
	LEASE_IN_START,
	LEASE_IN_TIMER,
	/* The four ends of a call. */
	LEASE_IN_RECORD, /* it succeeded: the object as it is now */
	LEASE_IN_ABSENT, /* a read: there is none */
	LEASE_IN_FAILED, /* a read failed, or a write was not done for a reason that is not in the record */
	LEASE_IN_DOUBT, /* a write that may have been done, or was refused as the record is not what it was (409, 404) */
	LEASE_IN_STOP, /* release what is ours, then finish */
};
struct lease_input {
	enum lease_input_type type;
	const struct lease_record *record; /* RECORD */
	int64_t retry_after_ms;            /* FAILED, DOUBT: -1 if none */
};

enum lease_effect_type {
	LEASE_FX_CALL,     /* begin `call`; give its end within timeout_ms */
	LEASE_FX_CANCEL,   /* drop the call in flight; its end is not wanted */
	LEASE_FX_TIMER,    /* give IN_TIMER after delay_ms; replaces an earlier one */
	LEASE_FX_STARTED,  /* we lead */
	LEASE_FX_STOPPED,  /* we do not lead any more */
	LEASE_FX_FINISHED, /* after STOP: nothing more comes */
};
struct lease_effect {
	enum lease_effect_type type;
	enum lease_call call;
	int64_t timeout_ms; /* CALL */
	int64_t delay_ms;   /* TIMER */
};
#define LEASE_MAX_EFFECTS 4

void lease_init(struct lease *l, const struct lease_options *o, uint64_t seed);
/* Returns how many effects were written, to be carried out in order. `now` has to count the time that the machine was
 * asleep, too. Inputs that do not belong to the present state are ignored; a timer may come early or late. */
unsigned lease_step(struct lease *l, const struct lease_input *in, struct mono now,
                    struct lease_effect fx[static LEASE_MAX_EFFECTS]);
/* Do we lead at this moment? Also right when lease_step() was kept from saying that it is over. */
bool lease_is_held(const struct lease *l, struct mono now);
/* The JSON that the call in flight sends: a whole object to create, else a merge patch whose resourceVersion makes it
 * conditional. `now` is for people. */
void lease_body(const struct lease *l, const char *name, struct wall now, struct buf *out);
