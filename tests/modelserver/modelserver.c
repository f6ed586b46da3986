/* modelserver: SageMaker's container contract without a model, for tests and the getting-started guides. It takes as
 * long to load, to answer and to stop as it is told to. As an init container it plays the download of the weights.
 *
 * On libmicrohttpd itself, a thread for each connection: pkg/net's server is for short answers on one loop. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

static const char help[] =
	"Usage: modelserver [flags]\n"
	"\n"
	"GET /ping           200, or 503 while it loads\n"
	"POST /invocations   JSON: model, instanceType and pod ($MODEL_NAME, $INSTANCE_TYPE, $POD_NAME or the\n"
	"                    host's name), inputBytes; 503 while it loads\n"
	"GET /metrics        modelserver_invocations_total, modelserver_invocations_in_flight\n"
	"\n"
	"  --port N               default 8080\n"
	"  --load-seconds N       is loaded after N seconds; default 0\n"
	"  --invoke-ms N          an invocation takes N milliseconds; default 0\n"
	"  --term-seconds N       goes on for N seconds after SIGTERM, then exits with 0; default 0\n"
	"  --crash-after N        exits with 1 after N seconds\n"
	"  --download-seconds N   serves nothing: waits for N seconds and exits with 0 (1 if stopped before)\n"
	"  --download-fails       the same, and exits with 1\n"
	"  --version, --help\n";

#define NEVER (-1)

struct options {
	int64_t port, load_s, invoke_ms, term_s, crash_s, download_s;
	bool download_fails;
};

struct server {
	struct options options;
	struct mono loaded_at;
	char host[HOST_NAME_MAX + 1];
	atomic_uint_fast64_t invocations, in_flight;
};

static void sleep_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / MS_PER_S, .tv_nsec = ms % MS_PER_S * 1000000};
	nanosleep(&t, NULL);
}

static bool loaded(const struct server *s)
{
	return mono_now().ms >= s->loaded_at.ms;
}

static void add_member(struct buf *body, const char *key, const char *value)
{
	buf_addf(body, "\"%s\":\"", key);
	buf_add_json_escaped(body, slice_from(value ? value : ""));
	buf_add_str(body, "\",");
}

static unsigned invoke(struct server *s, uint64_t input_bytes, struct buf *body)
{
	const char *pod = getenv("POD_NAME");

	if (!loaded(s))
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	atomic_fetch_add(&s->in_flight, 1);
	sleep_ms(s->options.invoke_ms);
	buf_add_char(body, '{');
	add_member(body, "model", getenv("MODEL_NAME"));
	add_member(body, "instanceType", getenv("INSTANCE_TYPE"));
	add_member(body, "pod", pod ? pod : s->host);
	buf_addf(body, "\"inputBytes\":%llu}\n", (unsigned long long)input_bytes);
	atomic_fetch_sub(&s->in_flight, 1);
	atomic_fetch_add(&s->invocations, 1);
	return MHD_HTTP_OK;
}

static void add_metric(struct buf *body, const char *name, const char *type, uint64_t value)
{
	buf_addf(body, "# TYPE %s %s\n%s %llu\n", name, type, name, (unsigned long long)value);
}

static unsigned route(struct server *s, const char *method, const char *path, uint64_t input_bytes,
                      struct buf *body)
{
	bool get = str_eq(method, "GET") || str_eq(method, "HEAD");

	if (str_eq(path, "/invocations"))
		return str_eq(method, "POST") ? invoke(s, input_bytes, body) : MHD_HTTP_METHOD_NOT_ALLOWED;
	if (str_eq(path, "/ping"))
		return !get ? MHD_HTTP_METHOD_NOT_ALLOWED : loaded(s) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
	if (!str_eq(path, "/metrics"))
		return MHD_HTTP_NOT_FOUND;
	if (!get)
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	add_metric(body, "modelserver_invocations_total", "counter", atomic_load(&s->invocations));
	add_metric(body, "modelserver_invocations_in_flight", "gauge", atomic_load(&s->in_flight));
	return MHD_HTTP_OK;
}

static enum MHD_Result answer(struct server *s, struct MHD_Connection *connection, const char *method,
                              const char *path, uint64_t input_bytes)
{
	bool json = str_eq(path, "/invocations");
	CLEANUP_BUF struct buf body;
	struct MHD_Response *response;
	enum MHD_Result result;
	unsigned status;

	buf_init(&body, 64 * 1024);
	status = route(s, method, path, input_bytes, &body);
	response = MHD_create_response_from_buffer(body.len, body.ptr, MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	                        json ? "application/json" : "text/plain; version=0.0.4; charset=utf-8");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Called for the head, for each piece of the body, which is counted and dropped, and at the end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
	uint64_t *body_bytes = *context;

	(void)version, (void)upload;
	if (body_bytes == NULL) {
		*context = xcalloc(1, sizeof(*body_bytes));
		return MHD_YES;
	}
	if (*upload_len > 0) {
		*body_bytes += *upload_len;
		*upload_len = 0;
		return MHD_YES;
	}
	return answer(arg, connection, method, path, *body_bytes);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	free(*context);
	*context = NULL;
}

/* IPv4 alone where the machine has no IPv6. */
static struct MHD_Daemon *listen_on(struct server *s)
{
	static const unsigned flags[] = {MHD_USE_DUAL_STACK, 0};
	struct MHD_Daemon *d = NULL;

	for (size_t i = 0; i < ARRAY_LEN(flags) && d == NULL; i++)
		d = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | flags[i],
		                     (uint16_t)s->options.port, NULL, NULL, on_request, s,
		                     MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	return d;
}

static sigset_t end_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return set;
}

/* True if a signal to end came within this time; seconds < 0: waits for one. */
static bool told_to_end(int64_t seconds)
{
	const int64_t until_ms = mono_now().ms + seconds * MS_PER_S;
	sigset_t set = end_signals();
	int got;

	do { /* SIGCONT interrupts */
		int64_t left_ms = until_ms - mono_now().ms;
		struct timespec patience = {.tv_sec = left_ms / MS_PER_S, .tv_nsec = left_ms % MS_PER_S * 1000000};

		if (left_ms < 0)
			patience = (struct timespec){0};
		got = seconds < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &patience);
	} while (got < 0 && errno == EINTR);
	return got > 0;
}

static int serve(const struct options *o)
{
	struct server s = {.options = *o, .loaded_at = {mono_now().ms + o->load_s * MS_PER_S}};
	struct MHD_Daemon *d = listen_on(&s);

	if (d == NULL) {
		perror("modelserver: cannot listen");
		return 1;
	}
	gethostname(s.host, sizeof(s.host) - 1);
	if (!told_to_end(o->crash_s)) {
		fprintf(stderr, "modelserver: crashes, as told\n");
		_exit(1);
	}
	sleep_ms(o->term_s * MS_PER_S);
	MHD_stop_daemon(d);
	return 0;
}

static int download(const struct options *o)
{
	bool stopped = told_to_end(o->download_s);

	fprintf(stderr, "modelserver: download %s\n",
	        stopped             ? "stopped"
	        : o->download_fails ? "failed"
	                            : "done");
	return stopped || o->download_fails;
}

enum flag { PORT = 256, LOAD, INVOKE, TERM, CRASH, DOWNLOAD, DOWNLOAD_FAILS, VERSION, HELP };

static const struct option flags[] = {
	{"port", required_argument, NULL, PORT},
	{"load-seconds", required_argument, NULL, LOAD},
	{"invoke-ms", required_argument, NULL, INVOKE},
	{"term-seconds", required_argument, NULL, TERM},
	{"crash-after", required_argument, NULL, CRASH},
	{"download-seconds", required_argument, NULL, DOWNLOAD},
	{"download-fails", no_argument, NULL, DOWNLOAD_FAILS},
	{"version", no_argument, NULL, VERSION},
	{"help", no_argument, NULL, HELP},
	{0},
};

static bool read_number(const char *text, int64_t max, int64_t *ret)
{
	struct err err = ERR_INIT;

	if (slice_to_i64(slice_from(text), ret, &err) == 0 && *ret >= 0 && *ret <= max)
		return true;
	fprintf(stderr, "modelserver: \"%s\" is not a number from 0 to %lld\n", text, (long long)max);
	return false;
}

int main(int argc, char **argv)
{
	struct options o = {.port = 8080, .crash_s = NEVER, .download_s = NEVER};
	sigset_t end = end_signals();

	for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
		int64_t *number = c == PORT       ? &o.port
		                  : c == LOAD     ? &o.load_s
		                  : c == INVOKE   ? &o.invoke_ms
		                  : c == TERM     ? &o.term_s
		                  : c == CRASH    ? &o.crash_s
		                  : c == DOWNLOAD ? &o.download_s
		                                  : NULL;
		if (c == HELP)
			return fputs(help, stdout) < 0;
		if (c == VERSION)
			return puts("modelserver " INSTANCEPOOL_VERSION) < 0;
		if (c == DOWNLOAD_FAILS)
			o.download_fails = true;
		else if (number == NULL || !read_number(optarg, c == PORT ? UINT16_MAX : INT32_MAX, number))
			return 2;
	}
	if (optind < argc) {
		fprintf(stderr, "modelserver: unexpected \"%s\" (see --help)\n", argv[optind]);
		return 2;
	}
	/* Before the first thread: only told_to_end() takes them. */
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (o.download_fails && o.download_s == NEVER)
		o.download_s = 0;
	return o.download_s == NEVER ? serve(&o) : download(&o);
}
