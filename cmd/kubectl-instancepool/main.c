/* kubectl-instancepool: a plugin of kubectl, run as `kubectl instancepool COMMAND`. */
#include <stdio.h>
#include "base/mem.h"
#include "base/str.h"
#include "command.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"status", command_status, "how an endpoint is served, what is wrong and what to do next"},
	{"plan", command_plan, "where the instances of an endpoint would land, and what if a type is out"},
	{"convert", command_convert, "makes our objects of Amazon SageMaker AI's JSON"},
};

static void print_help(void)
{
	fputs("usage: kubectl instancepool COMMAND [ARGUMENT...]\n"
	      "\n"
	      "For endpoints that the Instance Pool Operator serves.\n"
	      "\n"
	      "Commands:\n",
	      stdout);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "  --version, --help\n"
	      "\n"
	      "`kubectl instancepool COMMAND --help` tells more.\n"
	      "Exit status: 0 fine, 1 failed, 2 wrong usage.\n",
	      stdout);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eq(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	fprintf(stderr, "kubectl instancepool: there is no command '%s' (see kubectl instancepool --help)\n",
	        name);
	return 2;
}

/* "help" and "help COMMAND". */
static int help(const char *name)
{
	const struct command *c = find(name);
	char option[] = "--help", command[16];

	if (str_empty(name)) {
		print_help();
		return 0;
	}
	if (!c)
		return unknown(name);
	str_copy(command, sizeof(command), c->name);
	return c->run(2, (char *[]){command, option, NULL});
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *c = find(name);

	if (c)
		return c->run(argc - 1, argv + 1);
	if (str_eq(name, "help"))
		return help(argc > 2 ? argv[2] : "");
	if (str_eq(name, "--help") || str_eq(name, "-h"))
		return help("");
	if (str_eq(name, "--version")) {
		puts("kubectl-instancepool " INSTANCEPOOL_VERSION);
		return 0;
	}
	if (*name)
		return unknown(name);
	fputs("kubectl instancepool: which command? (see kubectl instancepool --help)\n", stderr);
	return 2;
}
