#include "operator/election.h"
#include "base/log.h"
#include "base/mem.h"
#include "operator/trouble.h"

struct election {
	struct kube_client *client; /* of the lease alone: it must not wait behind other requests */
	struct elector *elector;
	struct controller *op;
	struct metric *leader;
	void (*finished)(void *arg);
	void *arg;
};

static void on_started(void *arg)
{
	struct election *e = arg;

	LOG_INFO("leading", LOG_STR("identity", elector_identity(e->elector)));
	metric_set(e->leader, 1, NULL);
	controller_lead(e->op, true);
}

static void on_stopped(void *arg)
{
	struct election *e = arg;

	LOG_INFO("not leading any more, standing by", LOG_STR("holder", elector_holder(e->elector)));
	metric_set(e->leader, 0, NULL);
	controller_lead(e->op, false);
}

static void on_holder(void *arg, const char *identity)
{
	(void)arg;
	LOG_INFO("the lease has a new holder", LOG_STR("holder", identity));
}

static void on_trouble(void *arg, const struct err *err)
{
	char hint[TROUBLE_HINT_SIZE];

	(void)arg;
	trouble_hint(NULL, err, hint);
	if (*hint)
		LOG_WARN("leader election has trouble and goes on trying", LOG_ERR(err), LOG_STR("hint", hint));
	else
		LOG_WARN("leader election has trouble and goes on trying", LOG_ERR(err));
}

static void on_finished(void *arg)
{
	struct election *e = arg;

	e->finished(e->arg);
}

struct election *election_new(struct loop *l, const struct kube_config *config,
                              const struct elector_options *o, const char *user_agent, struct metrics *m,
                              void (*finished)(void *arg), void *arg, struct err *err)
{
	struct election *e;
	struct elector_options options = *o;

	e = xcalloc(1, sizeof(*e));
	e->finished = finished;
	e->arg = arg;
	e->leader = metrics_gauge(m, "instancepool_leader", "1 while this process leads.", 0, NULL);
	if (str_empty(options.ns))
		options.ns = str_empty(config->namespace) ? "default" : config->namespace;
	e->client = kube_client_new(l, config, &(struct kube_client_options){.user_agent = user_agent}, err);
	if (e->client)
		e->elector = elector_new(
			e->client, &options,
			&(struct elector_handler){on_started, on_stopped, on_holder, on_trouble, on_finished, e}, err);
	if (!e->elector) {
		election_free(e);
		return NULL;
	}
	return e;
}

void election_start(struct election *e, struct controller *op)
{
	e->op = op;
	elector_start(e->elector);
}

void election_stop(struct election *e)
{
	elector_stop(e->elector);
}

void election_free(struct election *e)
{
	if (!e)
		return;
	elector_free(e->elector);
	kube_client_free(e->client);
	free(e);
}

bool election_is_well(const struct election *e, struct err *err)
{
	const struct err *trouble = elector_trouble(e->elector);
	char hint[TROUBLE_HINT_SIZE];

	if (!trouble)
		return true;
	trouble_hint(NULL, trouble, hint);
	err_set(err, trouble->code, "leader election: %s%s%s", trouble->message, *hint ? "; " : "", hint);
	return false;
}

bool election_may_write(void *election)
{
	const struct election *e = election;

	return elector_may_write(e->elector);
}

int64_t election_write_timeout_ms(const struct elector_options *o)
{
	return o->lease_duration_ms - o->renew_deadline_ms;
}
