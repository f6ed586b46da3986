#include "flags.h"
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"

static const char help[] =
	"Usage: instancepool-operator [flags]\n"
	"\n"
	"Keeps InstancePoolEndpoints served by the best instance types that have capacity.\n"
	"\n"
	"  --kubeconfig FILE            how to reach the cluster; default: $KUBECONFIG, else the pod's\n"
	"                               ServiceAccount, else ~/.kube/config\n"
	"  --namespace NAME             manage this namespace only; default: all. Nodes, which have no "
	"namespace, must\n"
	"                               be readable all the same\n"
	"  --node-autoscaler MODE       auto | none | external; default auto. none: nothing adds nodes, so a "
	"pool\n"
	"                               without room is left after a few seconds. external: something adds "
	"nodes\n"
	"                               when pods wait, so a pool gets its whole provision timeout. auto: "
	"external\n"
	"                               if Karpenter or cluster-autoscaler is found\n"
	"  --metrics-bind-address A     default :8080; 0 switches it off\n"
	"  --health-probe-bind-address A\n"
	"                               /healthz and /readyz; default :8081; 0 switches it off\n"
	"  --log-level LEVEL            debug | info | warn | error; default info\n"
	"  --log-format FORMAT          json | text; default json\n"
	"  --version, --help\n";

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

enum flag { KUBECONFIG = 256, NAMESPACE, NODE_AUTOSCALER, METRICS, HEALTH, LEVEL, FORMAT, VERSION, HELP };

static int set_option(struct flags *f, int option, const char *value, struct err *err)
{
	switch (option) {
	case KUBECONFIG:
		f->kubeconfig = value;
		return 0;
	case NAMESPACE:
		f->ns = str_empty(value) ? NULL : value;
		return 0;
	case NODE_AUTOSCALER:
		return parse_autoscaler(value, &f->node_autoscaler, err);
	case METRICS:
		f->metrics_address = value;
		return 0;
	case HEALTH:
		f->health_address = value;
		return 0;
	case LEVEL:
		return log_level_parse(value, &f->log_level, err);
	case FORMAT:
		return log_format_parse(value, &f->log_format, err);
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

int flags_parse(int argc, char **argv, struct flags *ret, struct err *err)
{
	static const struct option options[] = {
		{"kubeconfig", required_argument, NULL, KUBECONFIG},
		{"namespace", required_argument, NULL, NAMESPACE},
		{"node-autoscaler", required_argument, NULL, NODE_AUTOSCALER},
		{"metrics-bind-address", required_argument, NULL, METRICS},
		{"health-probe-bind-address", required_argument, NULL, HEALTH},
		{"log-level", required_argument, NULL, LEVEL},
		{"log-format", required_argument, NULL, FORMAT},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	int option;

	*ret = (struct flags){.metrics_address = ":8080",
	                      .health_address = ":8081",
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
	return 0;
}
