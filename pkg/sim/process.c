#include "sim/process.h"
#include "base/mem.h"
#include "kube/config.h"
#include "net/metrics.h"
#include "operator/controller.h"
#include "operator/election.h"
#include "sim/loop.h"

struct process {
	struct loop *loop;
	struct metrics *metrics;
	struct kube_client *client;
	struct controller *op;
	struct election *election; /* NULL: always leads */
};

static void on_finished(void *arg)
{
	(void)arg; /* nobody asks it to stop in order */
}

struct process *process_new(struct network *n, const struct process_options *o)
{
	struct process *p = xcalloc(1, sizeof(*p));
	struct kube_config config = {.server = (char *)(uintptr_t) "https://in.virtual.time",
	                             .namespace = (char *)(uintptr_t) "default",
	                             .token = (char *)(uintptr_t) "none",
	                             .source = (char *)(uintptr_t) "a story"};
	const struct elector_options lease = {.ns = "default",
	                                      .name = PROCESS_LEASE,
	                                      .identity = o->identity,
	                                      .lease_duration_ms = 15 * MS_PER_S,
	                                      .renew_deadline_ms = 10 * MS_PER_S,
	                                      .retry_period_ms = 2 * MS_PER_S};
	struct controller_options options = {.watch_nodes = true,
	                                     .node_autoscaler = o->nodes_external ? NODE_AUTOSCALER_EXTERNAL
	                                                                          : NODE_AUTOSCALER_NONE,
	                                     .instance = o->identity};
	struct err err = ERR_INIT;

	network_reconnect(n, o->identity);
	p->loop = loop_new();
	p->metrics = metrics_new();
	p->client = kube_client_new(
		p->loop, &config, &(struct kube_client_options){.user_agent = o->identity, .metrics = p->metrics},
		&err);
	if (o->elects) {
		p->election = election_new(p->loop, &config, &lease, o->identity, p->metrics, on_finished, p, &err);
		options.may_write = election_may_write;
		options.may_write_arg = p->election;
		options.write_timeout_ms = election_write_timeout_ms(&lease);
	}
	p->op = controller_new(p->loop, p->client, p->metrics, &options);
	controller_start(p->op);
	if (p->election)
		election_start(p->election, p->op);
	else
		controller_lead(p->op, true);
	return p;
}

void process_kill(struct process *p)
{
	if (!p)
		return;
	controller_free(p->op);
	election_free(p->election);
	kube_client_free(p->client);
	metrics_free(p->metrics);
	loop_free(p->loop);
	free(p);
}

void process_stop(struct process *p, bool stopped)
{
	loop_freeze(p->loop, stopped);
}

bool process_leads(const struct process *p)
{
	return !p->election || election_may_write(p->election);
}
