#include "flags.h"
#include <getopt.h>
#include <stdio.h>
#include "api/names.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/lease.h"
#include "net/httpd.h"

static const char help[] =
	"Usage: instancepool-operator [flags]\n"
	"\n"
	"Keeps InstancePoolEndpoints served by the best instance types that have capacity.\n"
	"\n"
	"  --kubeconfig FILE            how to reach the cluster; default: $KUBECONFIG, else the pod's\n"
	"                               ServiceAccount, else ~/.kube/config\n"
	"  --namespace NAME[,NAME...]   manage these namespaces only, may be repeated; default: all\n"
	"  --watch-nodes=false          do without the right to read nodes, which have no namespace; default "
	"true. A machine\n"
	"                               that is lost is noticed later then, and nodes that come up are not "
	"waited "
	"for\n"
	"  --node-autoscaler MODE       auto | none | external; default auto. none: nothing adds nodes, so a "
	"pool\n"
	"                               without room is left after a few seconds. external: something adds "
	"nodes\n"
	"                               when pods wait, so a pool gets its provision timeout, unless that says "
	"no.\n"
	"                               auto: external if Karpenter or cluster-autoscaler is found; the latter "
	"not "
	"without\n"
	"                               a look at nodes\n"
	"  --metrics-bind-address A     default :8080; 0 switches it off\n"
	"  --health-probe-bind-address A\n"
	"                               /healthz and /readyz; default :8081; 0 switches it off\n"
	"  --leader-elect               one of several replicas leads, the others stand by; default off\n"
	"  --leader-elect-lease-duration, --leader-elect-renew-deadline, --leader-elect-retry-period\n"
	"                               default 15s, 10s, 2s\n"
	"  --leader-elect-resource-namespace, --leader-elect-resource-name\n"
	"                               of the Lease; default: the own namespace, instancepool-operator\n"
	"  --log-level LEVEL            debug | info | warn | error; default info\n"
	"  --log-format FORMAT          json | text; default json\n"
	"  --version, --help\n"
	"\n"
	"Exit status: 0 after SIGTERM or SIGINT; 1 if it cannot start, and why is logged; 2 if a flag is wrong.\n"
	"What fails later is logged and tried again.\n";

static int parse_autoscaler(const char *s, enum node_autoscaler *ret, struct err *err)
{
	if (str_eq(s, "auto"))
		*ret = NODE_AUTOSCALER_AUTO;
	else if (str_eq(s, "none"))
		*ret = NODE_AUTOSCALER_NONE;
	else if (str_eq(s, "external"))
		*ret = NODE_AUTOSCALER_EXTERNAL;
	else
		return err_set(err, ERR_INVALID, "--node-autoscaler: \"%s\" is none of auto, none, external", s);
	return 0;
}

enum flag {
	KUBECONFIG = 256,
	NAMESPACE,
	WATCH_NODES,
	NODE_AUTOSCALER,
	METRICS,
	HEALTH,
	LEVEL,
	FORMAT,
	ELECT,
	LEASE_DURATION,
	RENEW_DEADLINE,
	RETRY_PERIOD,
	LEASE_NAMESPACE,
	LEASE_NAME,
	VERSION,
	HELP
};

static int add_namespace(struct flags *f, const char *name, struct err *err)
{
	/* They are DNS labels: any other would be waited for in vain. */
	if (strlen(name) > NAME_MAX_BYTES || !dns_label_valid(slice_from(name)))
		return err_set(err, ERR_INVALID,
		               "--namespace: \"%s\" is no name of a namespace: lower-case letters, digits and '-'",
		               name);
	for (size_t i = 0; i < f->n_namespaces; i++)
		if (str_eq(f->namespaces[i], name))
			return err_set(err, ERR_INVALID, "--namespace: \"%s\" is there twice", name);
	if (f->n_namespaces == CONTROLLER_MAX_NAMESPACES)
		return err_set(err, ERR_INVALID, "--namespace: more than %u; leave it out to manage all",
		               CONTROLLER_MAX_NAMESPACES);
	f->namespaces[f->n_namespaces++] = name;
	return 0;
}

/* "a,b"; "" adds none. */
static int parse_namespaces(char *s, struct flags *f, struct err *err)
{
	while (s && *s) {
		char *next = strchr(s, ',');

		if (next)
			*next++ = '\0';
		if (add_namespace(f, s, err) < 0)
			return -1;
		if (next && !*next)
			return add_namespace(f, next, err); /* which is none */
		s = next;
	}
	return 0;
}

static int parse_address(const char *flag, const char *s, const char **ret, struct err *err)
{
	if (!str_eq(s, "0") && httpd_address_check(s, err) < 0)
		return err_prefix(err, "%s", flag);
	*ret = s;
	return 0;
}

/* --leader-elect and --leader-elect=false, as Go's flags have them. */
static int parse_switch(const char *flag, const char *s, bool *ret, struct err *err)
{
	if (s && !str_eq(s, "true") && !str_eq(s, "false"))
		return err_set(err, ERR_INVALID, "%s: \"%s\" is neither true nor false", flag, s);
	*ret = !str_eq(s, "false");
	return 0;
}

/* "15s", "1m30s", "500ms", as Go's flags have them. */
static int parse_duration(const char *flag, const char *text, int64_t *ret, struct err *err)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", MS_PER_S}, {"m", 60 * MS_PER_S}, {"h", 3600 * MS_PER_S}};
	const char *p = text;
	int64_t total = 0;

	while (*p) {
		size_t digits = strspn(p, "0123456789"), letters = strcspn(p + digits, "0123456789"), i = 0;
		struct slice unit = {p + digits, letters};
		int64_t n;

		while (i < ARRAY_LEN(units) && !slice_eq_str(unit, units[i].unit))
			i++;
		if (digits == 0 || digits > 9 || i == ARRAY_LEN(units) ||
		    slice_to_i64((struct slice){p, digits}, &n, err) < 0)
			return err_set(err, ERR_INVALID, "%s: \"%s\" is no duration; write it like 15s or 1m30s", flag,
			               text);
		total += n * units[i].ms;
		p += digits + letters;
	}
	if (total <= 0)
		return err_set(err, ERR_INVALID, "%s: must be longer than nothing, like 15s", flag);
	*ret = total;
	return 0;
}

static int set_option(struct flags *f, int option, char *value, struct err *err)
{
	switch (option) {
	case KUBECONFIG:
		f->kubeconfig = value;
		return 0;
	case NAMESPACE:
		return parse_namespaces(value, f, err);
	case WATCH_NODES:
		return parse_switch("--watch-nodes", value, &f->watch_nodes, err);
	case NODE_AUTOSCALER:
		return parse_autoscaler(value, &f->node_autoscaler, err);
	case METRICS:
		return parse_address("--metrics-bind-address", value, &f->metrics_address, err);
	case HEALTH:
		return parse_address("--health-probe-bind-address", value, &f->health_address, err);
	case LEVEL:
		return log_level_parse(value, &f->log_level, err) < 0 ? err_prefix(err, "--log-level") : 0;
	case FORMAT:
		return log_format_parse(value, &f->log_format, err) < 0 ? err_prefix(err, "--log-format") : 0;
	case ELECT:
		return parse_switch("--leader-elect", value, &f->leader_elect, err);
	case LEASE_DURATION:
		return parse_duration("--leader-elect-lease-duration", value, &f->lease_duration_ms, err);
	case RENEW_DEADLINE:
		return parse_duration("--leader-elect-renew-deadline", value, &f->renew_deadline_ms, err);
	case RETRY_PERIOD:
		return parse_duration("--leader-elect-retry-period", value, &f->retry_period_ms, err);
	case LEASE_NAMESPACE:
		f->lease_ns = value;
		return 0;
	case LEASE_NAME:
		f->lease_name = value;
		return 0;
	case VERSION:
		puts("instancepool-operator " INSTANCEPOOL_VERSION);
		return 1;
	case HELP:
		fputs(help, stdout);
		return 1;
	default:
		return -1;
	}
}

static int check_election(const struct flags *f, struct err *err)
{
	const struct lease_options o = {
		.identity = "any",
		.duration_ms = f->lease_duration_ms,
		.renew_deadline_ms = f->renew_deadline_ms,
		.retry_period_ms = f->retry_period_ms,
	};

	if (!f->leader_elect)
		return 0;
	if (lease_options_check(&o, err) < 0)
		return err_prefix(err, "--leader-elect-lease-duration, --leader-elect-renew-deadline, "
		                       "--leader-elect-retry-period");
	if (f->lease_duration_ms - f->renew_deadline_ms < MS_PER_S)
		return err_set(err, ERR_INVALID,
		               "--leader-elect-lease-duration must be at least 1 s longer than "
		               "--leader-elect-renew-deadline: that is the time that a write has to arrive");
	return 0;
}

int flags_parse(int argc, char **argv, struct flags *ret, struct err *err)
{
	static const struct option options[] = {
		{"kubeconfig", required_argument, NULL, KUBECONFIG},
		{"namespace", required_argument, NULL, NAMESPACE},
		{"watch-nodes", optional_argument, NULL, WATCH_NODES},
		{"node-autoscaler", required_argument, NULL, NODE_AUTOSCALER},
		{"metrics-bind-address", required_argument, NULL, METRICS},
		{"health-probe-bind-address", required_argument, NULL, HEALTH},
		{"log-level", required_argument, NULL, LEVEL},
		{"log-format", required_argument, NULL, FORMAT},
		{"leader-elect", optional_argument, NULL, ELECT},
		{"leader-elect-lease-duration", required_argument, NULL, LEASE_DURATION},
		{"leader-elect-renew-deadline", required_argument, NULL, RENEW_DEADLINE},
		{"leader-elect-retry-period", required_argument, NULL, RETRY_PERIOD},
		{"leader-elect-resource-namespace", required_argument, NULL, LEASE_NAMESPACE},
		{"leader-elect-resource-name", required_argument, NULL, LEASE_NAME},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	int option;

	*ret = (struct flags){.watch_nodes = true,
	                      .metrics_address = ":8080",
	                      .health_address = ":8081",
	                      .lease_name = "instancepool-operator",
	                      .lease_duration_ms = 15 * MS_PER_S,
	                      .renew_deadline_ms = 10 * MS_PER_S,
	                      .retry_period_ms = 2 * MS_PER_S,
	                      .log_level = LOG_LEVEL_INFO,
	                      .log_format = LOG_FORMAT_JSON};
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		int result;

		if (option == '?' && optopt > 0 &&
		    optopt < KUBECONFIG) /* a letter: getopt may still stand at its argument */
			return err_set(err, ERR_INVALID, "unknown flag -%c", optopt);
		if (option == '?')
			return err_set(err, ERR_INVALID, "unknown flag %s", argv[optind - 1]);
		if (option == ':')
			return err_set(err, ERR_INVALID, "%s needs a value", argv[optind - 1]);
		result = set_option(ret, option, optarg, err);
		if (result != 0)
			return result;
	}
	if (optind < argc)
		return err_set(err, ERR_INVALID, "unexpected argument \"%s\"", argv[optind]);
	return check_election(ret, err);
}
