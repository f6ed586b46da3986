/* kubectl instancepool plan */
#include "plan/plan.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include "api/names.h"
#include "base/mem.h"
#include "command.h"
#include "plan_objects.h"
#include "plan_print.h"

#define MAX_FILES 64
#define MAX_QUESTIONS 17 /* the plain one, and one for each --out */
#define MAX_COUNT 10000

static const char help[] =
	"usage: kubectl instancepool plan -f FILE... [NAME] [OPTION...]\n"
	"       kubectl instancepool plan NAME [OPTION...]\n"
	"\n"
	"Where would the instances of an InstancePoolEndpoint land now, what waits and why, and when does it "
	"move "
	"on?\n"
	"The operator's own planner answers, in virtual time, for the nodes and pods as they are. Nothing is "
	"changed.\n"
	"\n"
	"  -f, --filename FILE       YAML or JSON with the endpoint and its Models (- is standard input),\n"
	"                            several documents or files; what is not there is taken from the cluster.\n"
	"                            NAME chooses one of several endpoints\n"
	"      --nodes FILE          no cluster is asked: the nodes are those of FILE. `kubectl get nodes -o "
	"json` (or\n"
	"                            `kubectl get nodes,pods -A -o json`: what pods use is taken off), or in "
	"short:\n"
	"                              - {type: p5.48xlarge, count: 4, gpus: 8}\n"
	"                              - {type: g6.48xlarge, count: 8, gpus: 8, labels: {capacity: spot}}\n"
	"      --out TYPE[,TYPE...]  what if none of these nodes is there, and none comes? Several times: one "
	"answer each\n"
	"      --count N             what if N instances are wanted?\n"
	"      --autoscaler none|external\n"
	"                            does something add nodes (the operator's --node-autoscaler)? Default:\n"
	"                            looked for in the cluster as an operator does that may read nodes (one\n"
	"                            with --watch-nodes=false looks for Karpenter only); with --nodes none.\n"
	"                            external gives two answers: all nodes come, and none does\n"
	"  -o, --output json         for programs\n"
	"  -n, --namespace NS        default: the kubeconfig context's\n"
	"      --kubeconfig FILE     default: KUBECONFIG, else ~/.kube/config\n"
	"      --context NAME        of the kubeconfig; default: its current-context\n"
	"  -h, --help\n"
	"\n"
	"Model loading is not forecast: an instance is taken to be Ready a second after it has a node.\n"
	"\n"
	"Exit status: 0 if all instances that are wanted land, in each of the answers (with an autoscaler: where "
	"all\n"
	"nodes come); 1 if some do not; 2 if the usage is wrong or something cannot be read.\n"
	"\n"
	"Examples:\n"
	"  kubectl instancepool plan -f my-llm.yaml --out p5.48xlarge\n"
	"  kubectl instancepool plan my-llm -n serving --count 12\n"
	"  kubectl instancepool plan -f my-llm.yaml --nodes nodes.yaml   # in CI\n";

struct options {
	const char *files[MAX_FILES];
	size_t n_files;
	char *out[MAX_QUESTIONS - 1]; /* as given, with commas */
	size_t n_out;
	const char *name, *nodes;
	int32_t count; /* -1: not given */
	bool autoscaler_given, autoscaler;
	bool json;
	struct cluster_options cluster;
};

static int fail(const struct err *err)
{
	fprintf(stderr, "kubectl instancepool plan: %s\n", err->message);
	return 2;
}

static int flush(struct err *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_set(err, ERR_IO, "standard output: %s", errno ? strerror(errno) : "not all was written");
}

static int read_number(const char *text, int32_t *ret, struct err *err)
{
	int64_t n;

	if (slice_to_i64(slice_from(text), &n, err) < 0 || n < 0 || n > MAX_COUNT)
		return err_set(err, ERR_INVALID, "--count: '%.80s' is not a number between 0 and %d", text,
		               MAX_COUNT);
	*ret = (int32_t)n;
	return 0;
}

static int read_autoscaler(const char *text, struct options *o, struct err *err)
{
	o->autoscaler_given = true;
	o->autoscaler = str_eq(text, "external");
	if (!o->autoscaler && !str_eq(text, "none"))
		return err_set(err, ERR_INVALID, "--autoscaler: '%.80s' is neither none nor external", text);
	return 0;
}

enum { KUBECONFIG = 256, CONTEXT, NODES, OUT, COUNT, AUTOSCALER };

static int read_option(int option, struct options *o, struct err *err)
{
	switch (option) {
	case 'f':
		if (o->n_files == MAX_FILES)
			return err_set(err, ERR_LIMIT, "-f: more than %d files", MAX_FILES);
		o->files[o->n_files++] = optarg;
		return 0;
	case NODES:
		o->nodes = optarg;
		return 0;
	case OUT:
		if (o->n_out == MAX_QUESTIONS - 1)
			return err_set(err, ERR_LIMIT, "--out: more than %d times", MAX_QUESTIONS - 1);
		o->out[o->n_out++] = optarg;
		return 0;
	case COUNT:
		return read_number(optarg, &o->count, err);
	case AUTOSCALER:
		return read_autoscaler(optarg, o, err);
	case 'o':
		o->json = str_eq(optarg, "json");
		return o->json ? 0 : err_set(err, ERR_INVALID, "--output: '%.80s' is not json", optarg);
	case 'n':
		o->cluster.ns = optarg;
		return 0;
	case KUBECONFIG:
		o->cluster.kubeconfig = optarg;
		return 0;
	case CONTEXT:
		o->cluster.context = optarg;
		return 0;
	default: /* getopt has said it */
		return err_set(err, ERR_INVALID, "see --help");
	}
}

static size_t n_inputs(const struct options *o)
{
	size_t n = str_eq(o->nodes, "-");

	for (size_t i = 0; i < o->n_files; i++)
		n += str_eq(o->files[i], "-");
	return n;
}

/* 1: help was wanted. */
static int read_options(int argc, char **argv, struct options *o, struct err *err)
{
	static const struct option options[] = {
		{"filename", required_argument, NULL, 'f'},
		{"nodes", required_argument, NULL, NODES},
		{"out", required_argument, NULL, OUT},
		{"count", required_argument, NULL, COUNT},
		{"autoscaler", required_argument, NULL, AUTOSCALER},
		{"output", required_argument, NULL, 'o'},
		{"namespace", required_argument, NULL, 'n'},
		{"kubeconfig", required_argument, NULL, KUBECONFIG},
		{"context", required_argument, NULL, CONTEXT},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "f:o:n:h", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (read_option(option, o, err) < 0)
			return -1;
	}
	if (argc - optind > 1)
		return err_set(err, ERR_INVALID, "one endpoint at a time: '%.80s' is one too many", argv[optind + 1]);
	o->name = argv[optind];
	if (!o->name && o->n_files == 0)
		return err_set(err, ERR_INVALID, "give a file (-f) or the name of an endpoint (see --help)");
	if (n_inputs(o) > 1)
		return err_set(err, ERR_INVALID, "standard input (-) can be read once only");
	if (o->nodes && o->n_files == 0)
		return err_set(err, ERR_INVALID,
		               "with --nodes no cluster is asked: give the endpoint and its Models with -f");
	return 0;
}

static int gather(const struct options *o, struct cluster *c, struct plan_objects *ret, struct err *err)
{
	const char *ns = c ? cluster_namespace(c) : o->cluster.ns ? o->cluster.ns : "default";

	for (size_t i = 0; i < o->n_files; i++)
		if (plan_objects_read(ret, o->files[i], ns, err) < 0)
			return -1;
	if (plan_objects_choose(ret, c, o->name, ns, err) < 0)
		return -1;
	if (!c)
		return plan_objects_read_nodes(ret, o->nodes, err);
	if (!o->autoscaler_given && plan_objects_ask_autoscaler(ret, c, err) < 0)
		return -1;
	return plan_objects_ask_nodes(ret, c, err);
}

static const char *all_types(const struct endpoint *e, struct arena *a)
{
	const char *all = "";

	for (size_t i = 0; i < e->spec.n_pools; i++)
		all = arena_printf(a, "%s%s%s", all, *all ? ", " : "", e->spec.pools[i].instance_type);
	return all;
}

/* "ml.p5.48xlarge,g6.48xlarge" -> the types; said back as "p5.48xlarge, g6.48xlarge". */
static int split_types(const struct endpoint *e, const char *text, struct arena *a,
                       const char *types[static ENDPOINT_MAX_POOLS], size_t *ret_n, const char **ret_said,
                       struct err *err)
{
	struct slice rest = slice_from(text);

	*ret_n = 0;
	*ret_said = "";
	do {
		const char *type = instance_type_strip(arena_slicedup(a, slice_trim(slice_split(rest, ',', &rest))));

		if (!plan_has_type(e, type) || *ret_n == ENDPOINT_MAX_POOLS)
			return err_set(err, ERR_INVALID, "--out: '%.80s' is none of the instance types of %s (%s)", type,
			               e->meta.name, all_types(e, a));
		types[(*ret_n)++] = type;
		*ret_said = arena_printf(a, "%s%s%s", *ret_said, **ret_said ? ", " : "", type);
	} while (rest.len > 0);
	return 0;
}

static struct forecast_input input_of(const struct plan_objects *o, int32_t count, struct wall now)
{
	return (struct forecast_input){
		.endpoint = o->endpoint,
		.models = (const struct model *const *)o->models.list,
		.n_models = o->models.n,
		.unreadable = (const struct forecast_unreadable *const *)o->unreadable.list,
		.n_unreadable = o->unreadable.n,
		.nodes = (const struct forecast_node *const *)o->nodes.list,
		.n_nodes = o->nodes.n,
		.pods = (const struct forecast_pod *const *)o->pods.list,
		.n_pods = o->pods.n,
		.deployments = (const struct deployment *const *)o->deployments.list,
		.n_deployments = o->deployments.n,
		.others = (const struct endpoint *const *)o->others.list,
		.n_others = o->others.n,
		.instance_count = count,
		.now = now,
	};
}

/* Where an autoscaler adds nodes both ends are shown. */
static size_t answer(struct forecast_input *in, bool autoscaler, const char *out, struct arena *a,
                     struct plan_answer *ret)
{
	size_t n = 0;

	for (enum forecast_nodes nodes = FORECAST_NODES_FIXED; nodes <= FORECAST_NODES_STAY_AWAY; nodes++) {
		if ((nodes != FORECAST_NODES_FIXED) != autoscaler)
			continue;
		in->adds_nodes = nodes;
		ret[n] = (struct plan_answer){.out = out, .adds_nodes = nodes};
		forecast(in, a, &ret[n++].forecast);
	}
	return n;
}

static int answer_all(const struct options *o, const struct plan_objects *objects, struct wall now,
                      struct err *err)
{
	CLEANUP_ARENA struct arena a;
	struct forecast_input in = input_of(objects, o->count, now);
	struct plan_answer answers[2 * MAX_QUESTIONS];
	bool autoscaler = o->autoscaler_given ? o->autoscaler : objects->has_autoscaler;
	int32_t wanted = o->count >= 0 ? o->count : plan_desired(objects->endpoint);
	size_t n;
	int result = 0;

	arena_init(&a);
	n = answer(&in, autoscaler, NULL, &a, answers);
	for (size_t i = 0; i < o->n_out; i++) {
		const char *types[ENDPOINT_MAX_POOLS], *said;

		if (split_types(objects->endpoint, o->out[i], &a, types, &in.n_out, &said, err) < 0)
			return -1;
		in.out = types;
		n += answer(&in, autoscaler, said, &a, answers + n);
	}
	for (size_t i = 0; i < n; i++)
		if (answers[i].adds_nodes != FORECAST_NODES_STAY_AWAY &&
		    forecast_missing(&answers[i].forecast.rest) > 0)
			result = 1;
	(o->json ? plan_print_json : plan_print)(objects, wanted, answers, n);
	return flush(err) < 0 ? -1 : result;
}

static int run(const struct options *o, struct err *err)
{
	struct cluster *c = o->nodes ? NULL : cluster_connect(&o->cluster, err);
	struct plan_objects objects;
	int result;

	if (!o->nodes && !c)
		return -1;
	plan_objects_init(&objects);
	result = gather(o, c, &objects, err);
	if (result == 0)
		result = answer_all(o, &objects, c ? cluster_now(c) : wall_now(), err);
	plan_objects_done(&objects);
	cluster_free(c);
	return result;
}

int command_plan(int argc, char **argv)
{
	struct options o = {.count = -1};
	struct err err = ERR_INIT;
	int result = read_options(argc, argv, &o, &err);

	if (result > 0) {
		fputs(help, stdout);
		return flush(&err) < 0 ? fail(&err) : 0;
	}
	if (result == 0)
		result = run(&o, &err);
	return result < 0 ? fail(&err) : result;
}
