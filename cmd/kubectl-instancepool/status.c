/* kubectl instancepool status */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "command.h"
#include "facts.h"

#define MAX_OUTPUT_BYTES (16u << 20)

static const char help[] =
	"usage: kubectl instancepool status NAME [OPTION...]\n"
	"\n"
	"Shows how an InstancePoolEndpoint is served: its pools, the best first, and their instances as a\n"
	"tree, the conditions that are not well, the last Events, and what to do next. What you have no\n"
	"right to read is named and left out. Nothing is changed.\n"
	"\n"
	"  -n, --namespace NS        default: the kubeconfig context's\n"
	"  --kubeconfig FILE         default: KUBECONFIG, else ~/.kube/config\n"
	"  --context NAME            of the kubeconfig; default: its current-context\n"
	"  --operator-namespace NS   where the operator's Lease is; default: instancepool-system\n"
	"  -h, --help\n"
	"\n"
	"On a terminal words are coloured, unless NO_COLOR is set. Exit status: 0 whatever state the\n"
	"endpoint is in; 1 if it cannot be read; 2 wrong usage.\n"
	"\n"
	"Example:\n"
	"  kubectl instancepool status my-llm -n serving\n";

static int fail(const struct err *err)
{
	fprintf(stderr, "kubectl instancepool status: %s\n", err->message);
	return 1;
}

static struct inspect_style style_of_stdout(void)
{
	const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return (struct inspect_style){0};
	return (struct inspect_style){
		.color = str_empty(no_color) && !str_eq(terminal, "dumb"),
		.width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0,
	};
}

static int run(struct cluster *c, const char *name, const char *operator_ns, struct err *err)
{
	const struct inspect_style style = style_of_stdout();
	CLEANUP_BUF struct buf out;
	struct facts f;
	int result = facts_read(&f, c, name, operator_ns, err);

	buf_init(&out, MAX_OUTPUT_BYTES);
	if (result == 0)
		inspect_write(&f.view, &style, &out);
	facts_done(&f);
	if (result == 0 && (fwrite(out.ptr, 1, out.len, stdout) < out.len || fflush(stdout) != 0))
		return err_set(err, ERR_IO, "standard output: %s", strerror(errno));
	return result;
}

int command_status(int argc, char **argv)
{
	enum { KUBECONFIG = 256, CONTEXT, OPERATOR_NAMESPACE };
	static const struct option options[] = {
		{"namespace", required_argument, NULL, 'n'},
		{"kubeconfig", required_argument, NULL, KUBECONFIG},
		{"context", required_argument, NULL, CONTEXT},
		{"operator-namespace", required_argument, NULL, OPERATOR_NAMESPACE},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *operator_ns = "instancepool-system";
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
		case OPERATOR_NAMESPACE:
			operator_ns = optarg;
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
	result = run(c, argv[optind], operator_ns, &err);
	cluster_free(c);
	return result < 0 ? fail(&err) : 0;
}
