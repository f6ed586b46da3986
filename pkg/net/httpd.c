#include "net/httpd.h"
#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"

#define MAX_ROUTES 16
#define MAX_CONNECTIONS 64
#define MAX_REQUEST_MS (10 * MS_PER_S)
#define MAX_BODY_BYTES (32u << 20)
#define CONNECTION_MEMORY_BYTES 16384

struct route {
	const char *path;
	httpd_handler *fn;
	void *arg;
};

struct client {
	int fd;
	struct mono deadline; /* of the next complete answer */
	char *query;          /* of the current request, NULL if none */
	TAILQ_ENTRY(client) link;
};

TAILQ_HEAD(client_list, client);

struct httpd {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	unsigned port;
	uv_poll_t *poll;          /* the daemon's epoll descriptor */
	struct loop_timer *again; /* when the daemon asks to be run without an event */
	struct loop_timer *reaper;
	struct client_list clients; /* in order of their deadlines */
	struct route routes[MAX_ROUTES];
	size_t n_routes;
};

static void run(struct httpd *h)
{
	MHD_run(h->daemon);
	MHD_UNSIGNED_LONG_LONG delay_ms;
	if (MHD_get_timeout(h->daemon, &delay_ms) == MHD_YES)
		loop_timer_arm(h->again, (int64_t)delay_ms);
	else
		loop_timer_stop(h->again);
}

static void on_again(void *arg)
{
	run(arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	run(poll->data);
}

/* A client that does not get its request out or its answer in, at whatever pace, is cut off: otherwise a few slow
 * ones would use up the connections and fail the probes. The daemon sees the end of the stream and closes. */
static void on_reaper(void *arg)
{
	struct httpd *h = arg;
	struct mono now = loop_now(h->loop);
	struct client *c;
	while ((c = TAILQ_FIRST(&h->clients)) != NULL && c->deadline.ms <= now.ms) {
		shutdown(c->fd, SHUT_RDWR);
		TAILQ_REMOVE(&h->clients, c, link);
		c->deadline.ms = now.ms + MAX_REQUEST_MS;
		TAILQ_INSERT_TAIL(&h->clients, c, link);
	}
	if (c)
		loop_timer_arm(h->reaper, c->deadline.ms - now.ms);
}

static void start_deadline(struct httpd *h, struct client *c)
{
	if (TAILQ_EMPTY(&h->clients))
		loop_timer_arm(h->reaper, MAX_REQUEST_MS);
	c->deadline.ms = loop_now(h->loop).ms + MAX_REQUEST_MS;
	TAILQ_INSERT_TAIL(&h->clients, c, link);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct httpd *h = arg;
	struct client *c = *context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		c = xcalloc(1, sizeof(*c));
		c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		*context = c;
		start_deadline(h, c);
		return;
	}
	TAILQ_REMOVE(&h->clients, c, link);
	if (TAILQ_EMPTY(&h->clients))
		loop_timer_stop(h->reaper);
	free(c->query);
	free(c);
	*context = NULL;
}

static struct client *client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* libmicrohttpd takes the query to pieces; here only it is seen whole. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	(void)arg;
	struct client *c = client_of(connection);
	const char *query = strchr(uri, '?');
	free(c->query);
	c->query = query ? xstrdup(query + 1) : NULL;
	return NULL;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
	(void)context, (void)code;
	struct httpd *h = arg;
	struct client *c = client_of(connection);
	TAILQ_REMOVE(&h->clients, c, link);
	start_deadline(h, c);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct buf *body,
                              const char *content_type)
{
	size_t len = body->len;
	char *text = buf_steal(body);
	if (text == NULL)
		return MHD_NO; /* over the bound: the connection is closed */
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (r == NULL) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(connection, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
	(void)version, (void)upload;
	struct httpd *h = arg;
	CLEANUP_BUF struct buf body;
	buf_init(&body, MAX_BODY_BYTES);
	const char *content_type = "text/plain; charset=utf-8";
	if (!str_eq(method, "GET") && !str_eq(method, "HEAD")) {
		buf_add_str(&body, "method not allowed\n");
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, &body, content_type);
	}
	/* Called for the head, for each piece of a body if there is one, and at the end: only an answer given there leaves
	 * the connection open. */
	bool first = *context == NULL, piece = *upload_len > 0;
	*context = h;
	*upload_len = 0;
	if (first || piece)
		return MHD_YES;
	for (size_t i = 0; i < h->n_routes; i++) {
		const struct route *r = &h->routes[i];
		if (!str_eq(r->path, path))
			continue;
		const char *query = client_of(connection)->query;
		int status = r->fn(r->arg, query ? query : "", &body, &content_type);
		return answer(connection, (unsigned)status, &body, content_type);
	}
	buf_add_str(&body, "not found\n");
	return answer(connection, MHD_HTTP_NOT_FOUND, &body, content_type);
}

/* "host:port" into its parts; host is empty for all addresses. */
static int split_address(const char *address, struct slice *ret_host, struct slice *ret_port, struct err *err)
{
	struct slice host = {0};
	const char *colon = strrchr(address, ':');
	if (colon)
		host = (struct slice){address, (size_t)(colon - address)};
	bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	int64_t port;
	struct err ignored = ERR_INIT;
	if (colon == NULL || slice_to_i64(slice_from(colon + 1), &port, &ignored) != 0 || port < 0 ||
	    port > 65535 || (!bracketed && slice_contains(host, ":")))
		return err_set(err, ERR_INVALID, "listen address \"%s\": not host:port or [host]:port", address);
	*ret_host = bracketed ? (struct slice){host.ptr + 1, host.len - 2} : host;
	*ret_port = slice_from(colon + 1);
	return 0;
}

int httpd_address_check(const char *address, struct err *err)
{
	struct slice host, port;
	return split_address(address, &host, &port, err);
}

static int listen_on(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int on = 1, off = 0;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* [::] takes IPv4 too. */
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* IPv6 first, as it covers both; IPv4 where the machine has no IPv6, and only then. */
static int listen_on_first(const struct addrinfo *list)
{
	static const int families[] = {AF_INET6, AF_INET};
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
			if (ai->ai_family != families[f])
				continue;
			int fd = listen_on(ai);
			if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
				return fd;
		}
	}
	return -1;
}

static int listen_at(const char *address, struct err *err)
{
	struct slice host, port;
	if (split_address(address, &host, &port, err) != 0)
		return -1;
	CLEANUP_FREE char *host_text = xstrndup(host.ptr, host.len);
	CLEANUP_FREE char *port_text = xstrndup(port.ptr, port.len);
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(host.len ? host_text : NULL, port_text, &hints, &list);
	if (rc != 0)
		return err_set(err, ERR_INVALID, "listen address \"%s\": %s", address, gai_strerror(rc));
	int fd = listen_on_first(list);
	int saved = errno;
	freeaddrinfo(list);
	if (fd < 0)
		return err_set(err, ERR_IO, "listen on \"%s\": %s", address, strerror(saved));
	return fd;
}

static unsigned port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = {.v6 = {0}};
	socklen_t len = sizeof(at);
	getsockname(fd, &at.any, &len);
	return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

struct httpd *httpd_new(struct loop *l, const char *address, struct err *err)
{
	int fd = listen_at(address, err);
	if (fd < 0)
		return NULL;
	struct httpd *h = xcalloc(1, sizeof(*h));
	h->loop = l;
	h->port = port_of(fd);
	TAILQ_INIT(&h->clients);
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
	                             MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
	                             MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED,
	                             on_completed, h, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h, MHD_OPTION_END);
	if (h->daemon == NULL) {
		err_set(err, ERR_IO, "listen on \"%s\": the server does not start", address);
		close(fd);
		free(h);
		return NULL;
	}
	h->again = loop_timer_new(l, on_again, h);
	h->reaper = loop_timer_new(l, on_reaper, h);
	h->poll = xcalloc(1, sizeof(*h->poll));
	h->poll->data = h;
	int epoll_fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	if (uv_poll_init(loop_uv(l), h->poll, epoll_fd) != 0 || uv_poll_start(h->poll, UV_READABLE, on_poll) != 0)
		abort(); /* an epoll descriptor can always be polled */
	return h;
}

void httpd_route(struct httpd *h, const char *path, httpd_handler *fn, void *arg)
{
	assert(h->n_routes < MAX_ROUTES);
	h->routes[h->n_routes++] = (struct route){path, fn, arg};
}

unsigned httpd_port(const struct httpd *h)
{
	return h->port;
}

void httpd_free(struct httpd *h)
{
	if (h == NULL)
		return;
	uv_close((uv_handle_t *)h->poll, free_handle); /* before the daemon closes the descriptor */
	MHD_stop_daemon(h->daemon);
	loop_timer_free(h->again);
	loop_timer_free(h->reaper);
	free(h);
}
