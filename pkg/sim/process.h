#pragma once
/* One operator process, as cmd/instancepool-operator wires it, in virtual time: its loop, its clients, the controller, the
 * election. It can be killed at any moment and stopped (SIGSTOP) for a while. */
#include <stdbool.h>
#include "sim/network.h"

#define PROCESS_LEASE "instancepool-operator"

struct process;

struct process_options {
	const char *identity; /* of the lease; borrowed */
	bool elects;          /* else it always leads */
	bool nodes_external;  /* --node-autoscaler=external, else none */
};

struct process *process_new(struct network *n, const struct process_options *o);
/* SIGKILL: what it has sent still arrives. NULL is fine. */
void process_kill(struct process *p);
/* While it is stopped none of its timers runs and nothing reaches it; all of that comes when it goes on. */
void process_stop(struct process *p, bool stopped);
bool process_leads(const struct process *p);
