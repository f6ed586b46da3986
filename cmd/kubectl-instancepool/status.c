/* kubectl instancepool status */
#include <getopt.h>
#include <stdio.h>
#include "api/endpoint.h"
#include "api/names.h"
#include "cluster.h"
#include "command.h"
#include "kube/resource.h"

#define MAX_OBJECT_BYTES (4u << 20)
#define MAX_PATH_BYTES 4096u

static const char help[] = "usage: kubectl instancepool status NAME [OPTION...]\n"
						   "\n"
						   "Shows how an InstancePoolEndpoint is served: its pools and instances, what is "
						   "wrong, and what to do next.\n"
						   "\n"
						   "  -n, --namespace NS   default: the kubeconfig context's\n"
						   "  --kubeconfig FILE    default: KUBECONFIG, else ~/.kube/config\n"
						   "  --context NAME       of the kubeconfig; default: its current-context\n"
						   "  -h, --help\n"
						   "\n"
						   "Example:\n"
						   "  kubectl instancepool status my-llm -n serving\n";

static const struct kube_resource endpoints = {API_GROUP, API_VERSION, "instancepoolendpoints",
                                               "InstancePoolEndpoint", true};

static int fail(const struct err *err)
{
	fprintf(stderr, "kubectl instancepool status: %s\n", err->message);
	return 1;
}

static int run(struct cluster *c, const char *name, struct err *err)
{
	CLEANUP_BUF struct buf path, body;
	struct endpoint *e;

	buf_init(&path, MAX_PATH_BYTES);
	buf_init(&body, MAX_OBJECT_BYTES);
	kube_resource_path(&endpoints, cluster_namespace(c), name, NULL, &path);
	if (buf_failed(&path))
		return err_set(err, ERR_INVALID, "\"%s\" is no name of an endpoint", name);
	if (cluster_get(c, path.ptr, &body, err) < 0)
		return -1;
	e = endpoint_decode(buf_slice(&body), err);
	if (!e)
		return -1;
	printf("%s   %s\n", e->meta.name, endpoint_phase_name(e->status.phase));
	endpoint_free(e);
	return 0;
}

int command_status(int argc, char **argv)
{
	enum { KUBECONFIG = 256, CONTEXT };
	static const struct option options[] = {
		{"namespace", required_argument, NULL, 'n'},
		{"kubeconfig", required_argument, NULL, KUBECONFIG},
		{"context", required_argument, NULL, CONTEXT},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct cluster_options o = {0};
	struct cluster *c;
	struct err err = ERR_INIT;
	int option, result;

	while ((option = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			o.ns = optarg;
			break;
		case KUBECONFIG:
			o.kubeconfig = optarg;
			break;
		case CONTEXT:
			o.context = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (argc - optind != 1) {
		fputs("kubectl instancepool status: give the name of one endpoint (see --help)\n", stderr);
		return 2;
	}
	c = cluster_connect(&o, &err);
	if (!c)
		return fail(&err);
	result = run(c, argv[optind], &err);
	cluster_free(c);
	return result < 0 ? fail(&err) : 0;
}
