/*
 * The program in the images of nodes.bats.
 *
 *	tiny serve PORT [SECONDS]	answers every request with the name of its host; after SIGTERM it goes on for SECONDS
 *	tiny get HOST PORT			prints what a server answers
 */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t terminated;

static void terminate(int signum)
{
	(void)signum;
	terminated = 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "tiny: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

/* A socket to HOST, or one that listens if HOST is NULL; -1 on error, which is told. */
static int open_socket(const char *host, const char *port)
{
	struct addrinfo hints = {
		.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = host ? 0 : AI_PASSIVE};
	struct addrinfo *address;
	int on = 1;
	int error = getaddrinfo(host, port, &hints, &address);
	if (error) {
		fprintf(stderr, "tiny: %s: %s\n", host, gai_strerror(error));
		return -1;
	}
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!host && fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || (host ? connect(fd, address->ai_addr, address->ai_addrlen)
	                    : bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, 16))) {
		fail(host ? host : port);
		fd = -1;
	}
	freeaddrinfo(address);
	return fd;
}

static void answer(int fd)
{
	char host[64], request[4096], response[256];

	if (read(fd, request, sizeof(request)) > 0 && !gethostname(host, sizeof(host))) {
		int n = snprintf(response, sizeof(response),
		                 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
		                 strlen(host) + 1, host);
		if (write(fd, response, (size_t)n) < 0)
			fail("write");
	}
	close(fd);
}

static int serve(const char *port, long linger_s)
{
	struct sigaction ending = {.sa_handler = terminate};
	struct timeval poll = {.tv_usec = 100000};
	time_t end = 0;
	int listener = open_socket(NULL, port);

	if (listener < 0 || sigaction(SIGTERM, &ending, NULL) ||
	    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &poll, sizeof(poll)))
		return EXIT_FAILURE;
	printf("serving on port %s\n", port);
	fflush(stdout);
	while (!end || time(NULL) < end) {
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			answer(fd);
		if (terminated && !end) {
			end = time(NULL) + linger_s;
			printf("ending in %ld s\n", linger_s);
			fflush(stdout);
		}
	}
	return EXIT_SUCCESS;
}

static int get(const char *host, const char *port)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	char response[4096];
	size_t have = 0;
	ssize_t n;
	int fd = open_socket(host, port);

	if (fd < 0)
		return EXIT_FAILURE;
	if (write(fd, request, sizeof(request) - 1) < 0)
		return fail("write");
	while ((n = read(fd, response + have, sizeof(response) - 1 - have)) > 0)
		have += (size_t)n;
	response[have] = '\0';
	const char *body = strstr(response, "\r\n\r\n");
	if (n < 0 || !body)
		return fail("read");
	fputs(body + 4, stdout);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argc > 3 ? strtol(argv[3], NULL, 10) : 0);
	if (argc == 4 && strcmp(argv[1], "get") == 0)
		return get(argv[2], argv[3]);
	fputs("usage: tiny serve PORT [SECONDS] | tiny get HOST PORT\n", stderr);
	return 2;
}
