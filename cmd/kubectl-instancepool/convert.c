/* kubectl instancepool convert */
#include "convert/convert.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"
#include "command.h"

#define MAX_FILES 1000
#define MAX_INPUT_BYTES (16u << 20)
#define MAX_OUTPUT_BYTES (64u << 20)

static const char help[] =
	"usage: kubectl instancepool convert FILE...\n"
	"\n"
	"Makes Models and InstancePoolEndpoints, as YAML on standard output, of Amazon SageMaker AI's\n"
	"JSON: what CreateModel, CreateEndpointConfig and CreateEndpoint are called with (`aws sagemaker\n"
	"create-model --cli-input-json`), or what describe-model, describe-endpoint-config and\n"
	"describe-endpoint answer.\n"
	"\n"
	"A file holds one of these, several one after the other, or a list of them; - is standard input.\n"
	"Objects find each other by their names, so give all that belongs together at once.\n"
	"\n"
	"Each field that has no counterpart, or another meaning here, is named on standard error, with\n"
	"what to do instead, and again in comments at the head of the YAML. (There #2 is the second\n"
	"object of a file, [0] the first of a list.) No cluster is asked.\n"
	"\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 also when fields were not carried over; 1 if a file is not understood; 2 wrong\n"
	"usage.\n"
	"\n"
	"Example:\n"
	"  aws sagemaker describe-model --model-name my-llm >model.json\n"
	"  aws sagemaker describe-endpoint-config --endpoint-config-name my-llm >config.json\n"
	"  aws sagemaker describe-endpoint --endpoint-name my-llm >endpoint.json\n"
	"  kubectl instancepool convert model.json config.json endpoint.json >my-llm.yaml\n";

static int read_all(char **names, size_t n, struct buf *texts, struct convert_file *files, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (file_read_input(names[i], &texts[i], err) < 0)
			return -1;
		files[i] =
			(struct convert_file){str_eq(names[i], "-") ? "standard input" : names[i], buf_slice(&texts[i])};
	}
	return 0;
}

static int run(char **names, size_t n, struct err *err)
{
	struct buf *texts = xcalloc(n, sizeof(*texts));
	struct convert_file *files = xcalloc(n, sizeof(*files));
	CLEANUP_BUF struct buf yaml, notes;
	int result;

	buf_init(&yaml, MAX_OUTPUT_BYTES);
	buf_init(&notes, MAX_OUTPUT_BYTES);
	for (size_t i = 0; i < n; i++)
		buf_init(&texts[i], MAX_INPUT_BYTES);
	result = read_all(names, n, texts, files, err);
	if (result == 0)
		result = convert(files, n, &yaml, &notes, err);
	for (size_t i = 0; i < n; i++)
		buf_done(&texts[i]);
	free(texts);
	free(files);
	if (result < 0)
		return -1;
	fwrite(notes.ptr, 1, notes.len, stderr);
	if (fwrite(yaml.ptr, 1, yaml.len, stdout) < yaml.len || fflush(stdout) != 0)
		return err_set(err, ERR_IO, "standard output: %s", strerror(errno));
	return 0;
}

int command_convert(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct err err = ERR_INIT;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'h')
			return 2;
		fputs(help, stdout);
		return 0;
	}
	if (optind == argc || argc - optind > MAX_FILES) {
		fprintf(stderr, "kubectl instancepool convert: give 1 to %d files (see --help)\n", MAX_FILES);
		return 2;
	}
	if (run(argv + optind, (size_t)(argc - optind), &err) < 0) {
		fprintf(stderr, "kubectl instancepool convert: %s\n", err.message);
		return 1;
	}
	return 0;
}
