/* instancepool-operator: flags and wiring. */
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>
#include "base/log.h"
#include "flags.h"
#include "net/httpd.h"
#include "operator/controller.h"
#include "operator/election.h"

#define USER_AGENT "instancepool-operator/" INSTANCEPOOL_VERSION

struct process {
	struct loop *loop;
	struct controller *op;
	struct election *election; /* NULL: this process always leads */
	struct metrics *metrics;
	bool stopping;
};

static int serve_metrics(void *arg, const char *query, struct buf *body, const char **content_type)
{
	struct process *p = arg;

	(void)query;
	metrics_write(p->metrics, body);
	*content_type = "text/plain; version=0.0.4; charset=utf-8";
	return 200;
}

static int serve_healthz(void *arg, const char *query, struct buf *body, const char **content_type)
{
	(void)arg;
	(void)query;
	(void)content_type;
	buf_add_str(body, "ok\n");
	return 200;
}

static int serve_readyz(void *arg, const char *query, struct buf *body, const char **content_type)
{
	struct process *p = arg;
	struct err err = ERR_INIT;

	(void)query;
	(void)content_type;
	if (controller_ready(p->op, &err) && (!p->election || election_is_well(p->election, &err))) {
		buf_add_str(body, "ok\n");
		return 200;
	}
	buf_addf(body, "%s\n", err.message);
	return 503;
}

static void stop_loop(void *arg)
{
	struct process *p = arg;

	loop_stop(p->loop);
}

/* A second signal does not wait for the lease to be given back. */
static void on_signal(void *arg, int signum)
{
	struct process *p = arg;

	LOG_INFO("shutting down", LOG_INT("signal", signum));
	if (p->election && !p->stopping)
		election_stop(p->election);
	else
		loop_stop(p->loop);
	p->stopping = true;
}

/* "0" switches a server off, as in other operators. */
static int serve(struct process *p, const char *address, bool with_metrics, bool with_health,
                 struct httpd **ret, struct err *err)
{
	if (str_eq(address, "0"))
		return 0;
	*ret = httpd_new(p->loop, address, err);
	if (!*ret)
		return err_prefix(err, with_metrics ? "--metrics-bind-address" : "--health-probe-bind-address");
	if (with_metrics)
		httpd_route(*ret, "/metrics", serve_metrics, p);
	if (with_health) {
		httpd_route(*ret, "/healthz", serve_healthz, p);
		httpd_route(*ret, "/readyz", serve_readyz, p);
	}
	LOG_INFO("serving", LOG_STR("address", address), LOG_INT("port", httpd_port(*ret)),
	         LOG_BOOL("metrics", with_metrics), LOG_BOOL("probes", with_health));
	return 0;
}

#define NAMESPACES_MAX_BYTES 8192u

/* "a,b", or "all". */
static void name_namespaces(const struct flags *f, struct buf *out)
{
	buf_init(out, NAMESPACES_MAX_BYTES);
	for (size_t i = 0; i < f->n_namespaces; i++)
		buf_addf(out, "%s%s", i > 0 ? "," : "", f->namespaces[i]);
	if (f->n_namespaces == 0)
		buf_add_str(out, "all");
}

static int run(const struct flags *f, struct err *err)
{
	CLEANUP_BUF struct buf namespaces;
	struct process p = {0};
	struct kube_config config = {0};
	struct kube_client *client = NULL;
	struct httpd *metrics_server = NULL, *health_server = NULL;
	bool one_server = str_eq(f->metrics_address, f->health_address);
	char instance[HOST_NAME_MAX + 1] = "";
	struct controller_options options = {
		.namespaces = f->namespaces,
		.n_namespaces = f->n_namespaces,
		.watch_nodes = f->watch_nodes,
		.node_autoscaler = f->node_autoscaler,
		.instance = instance,
	};
	int result = -1;

	name_namespaces(f, &namespaces);
	if (kube_config_load(f->kubeconfig, &config, err) < 0)
		return -1;
	gethostname(instance, sizeof(instance) - 1);
	http_global_init();
	p.loop = loop_new();
	p.metrics = metrics_new();
	metrics_add_process(p.metrics);
	client = kube_client_new(
		p.loop, &config, &(struct kube_client_options){.user_agent = USER_AGENT, .metrics = p.metrics}, err);
	if (!client)
		goto out;
	if (f->leader_elect) {
		const struct elector_options lease = {.ns = f->lease_ns,
		                                      .name = f->lease_name,
		                                      .lease_duration_ms = f->lease_duration_ms,
		                                      .renew_deadline_ms = f->renew_deadline_ms,
		                                      .retry_period_ms = f->retry_period_ms};

		p.election = election_new(p.loop, &config, &lease, USER_AGENT, p.metrics, stop_loop, &p, err);
		if (!p.election)
			goto out;
		options.may_write = election_may_write;
		options.may_write_arg = p.election;
		options.write_timeout_ms = election_write_timeout_ms(&lease);
	}
	p.op = controller_new(p.loop, client, p.metrics, &options);
	if (serve(&p, f->metrics_address, true, one_server, &metrics_server, err) < 0 ||
	    (!one_server && serve(&p, f->health_address, false, true, &health_server, err) < 0))
		goto out;
	loop_on_signal(p.loop, SIGTERM, on_signal, &p);
	loop_on_signal(p.loop, SIGINT, on_signal, &p);
	LOG_INFO("starting", LOG_STR("version", INSTANCEPOOL_VERSION), LOG_STR("server", config.server),
	         LOG_STR("configuration", config.source), LOG_STR("namespaces", buf_slice(&namespaces).ptr),
	         LOG_BOOL("nodes", f->watch_nodes), LOG_STR("libraries", http_library_version()));
	controller_start(p.op);
	if (p.election)
		election_start(p.election, p.op);
	else
		controller_lead(p.op, true);
	loop_run(p.loop);
	result = 0;
out:
	httpd_free(metrics_server);
	httpd_free(health_server);
	controller_free(p.op);
	election_free(p.election);
	kube_client_free(client);
	metrics_free(p.metrics);
	loop_free(p.loop);
	http_global_done();
	kube_config_done(&config);
	return result;
}

/* glibc raises its thresholds with the largest buffer that was ever freed, and then gives nothing back. Set to where they
 * begin, they stay there. */
static void keep_heap_small(void)
{
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

int main(int argc, char **argv)
{
	struct flags flags;
	struct err err = ERR_INIT;
	int result = flags_parse(argc, argv, &flags, &err);

	if (result > 0)
		return 0;
	if (result < 0) {
		fprintf(stderr, "instancepool-operator: %s (see --help)\n", err.message);
		return 2;
	}
	keep_heap_small();
	log_setup(flags.log_level, flags.log_format);
	if (run(&flags, &err) < 0) {
		LOG_ERROR("cannot start", LOG_ERR(&err));
		return 1;
	}
	return 0;
}
