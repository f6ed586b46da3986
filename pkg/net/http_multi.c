#include "net/http_multi.h"
#include <sys/queue.h>
#include "base/mem.h"

/* One descriptor that libcurl wants watched. Kept in a list and looked up by number, so that there are never two for
 * the same descriptor; there are as many as connections. */
struct sock {
	uv_poll_t uv; /* first: the close callback frees the whole */
	curl_socket_t fd;
	int events; /* UV_READABLE, UV_WRITABLE */
	struct http_multi *multi;
	TAILQ_ENTRY(sock) link;
};

TAILQ_HEAD(sock_list, sock);

struct http_multi {
	CURLM *curl;
	struct loop *loop;
	struct loop_timer *timer;
	struct sock_list socks;
	bool busy;
	void (*progress)(void *arg);
	void *arg;
};

static void action(struct http_multi *m, curl_socket_t fd, int flags)
{
	int running;
	m->busy = true;
	CURLMcode rc = curl_multi_socket_action(m->curl, fd, flags, &running);
	m->busy = false;
	if (rc != CURLM_OK)
		abort(); /* a broken handle or no memory */
	m->progress(m->arg);
}

static struct sock *find(struct http_multi *m, curl_socket_t fd)
{
	struct sock *s = TAILQ_FIRST(&m->socks);
	while (s && s->fd != fd)
		s = TAILQ_NEXT(s, link);
	return s;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct sock *s = (struct sock *)poll;
	struct http_multi *m = s->multi;
	curl_socket_t fd = s->fd;
	int flags = 0;
	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	/* libuv has stopped a handle with an error. Armed again before libcurl has its turn: afterwards it may be gone. */
	if (status < 0)
		uv_poll_start(&s->uv, s->events, on_poll);
	action(m, fd, flags);
}

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void drop(struct http_multi *m, struct sock *s)
{
	TAILQ_REMOVE(&m->socks, s, link);
	uv_close((uv_handle_t *)&s->uv, free_handle);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	(void)easy, (void)unused;
	struct http_multi *m = arg;
	struct sock *s = find(m, fd);
	if (what == CURL_POLL_REMOVE) {
		if (s)
			drop(m, s);
		return 0;
	}
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->fd = fd;
		s->multi = m;
		if (uv_poll_init_socket(loop_uv(m->loop), &s->uv, fd) != 0) {
			free(s);
			return -1;
		}
		TAILQ_INSERT_TAIL(&m->socks, s, link);
	}
	s->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return uv_poll_start(&s->uv, s->events, on_poll) == 0 ? 0 : -1;
}

static void on_timer(void *arg)
{
	action(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *curl, long timeout_ms, void *arg)
{
	(void)curl;
	struct http_multi *m = arg;
	if (timeout_ms < 0)
		loop_timer_stop(m->timer);
	else
		loop_timer_arm(m->timer, timeout_ms);
	return 0;
}

struct http_multi *http_multi_new(struct loop *l, void (*progress)(void *arg), void *arg)
{
	struct http_multi *m = xcalloc(1, sizeof(*m));
	m->curl = curl_multi_init();
	if (m->curl == NULL)
		abort();
	m->loop = l;
	m->timer = loop_timer_new(l, on_timer, m);
	m->progress = progress;
	m->arg = arg;
	TAILQ_INIT(&m->socks);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	return m;
}

void http_multi_free(struct http_multi *m)
{
	/* Closing the cached connections still calls on_socket. */
	curl_multi_cleanup(m->curl);
	struct sock *s;
	while ((s = TAILQ_FIRST(&m->socks)) != NULL)
		drop(m, s);
	loop_timer_free(m->timer);
	free(m);
}

CURLM *http_multi_handle(struct http_multi *m)
{
	return m->curl;
}

bool http_multi_busy(const struct http_multi *m)
{
	return m->busy;
}
