/*
 * The first process of every pod: holds the pod's namespaces until it is told to end, and reaps what the pod leaves.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int signum)
{
	(void)signum;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void end(int signum)
{
	(void)signum;
	_exit(EXIT_SUCCESS);
}

int main(void)
{
	struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP | SA_RESTART};
	struct sigaction ending = {.sa_handler = end};

	if (sigaction(SIGCHLD, &reaping, NULL) || sigaction(SIGTERM, &ending, NULL) ||
	    sigaction(SIGINT, &ending, NULL))
		return EXIT_FAILURE;
	for (;;)
		pause();
}
