#pragma once
/* The subcommands. Each reads its own flags (argv[0] is the subcommand), writes to stdout and stderr, and returns the exit
 * status: 0 fine, 1 failed, 2 wrong usage. */
int command_status(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_convert(int argc, char **argv);
