#include "jobs.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "report.h"

#define PROGRESS_MS 2000
#define MAX_REPORT_BYTES (1u << 20)
#define MAX_RULES 64

/* What the processes share. */
struct shared {
	_Atomic uint64_t taken, done; /* of the seeds */
	struct {
		_Atomic uint64_t seed;
		_Atomic bool busy; /* with that seed */
	} workers[MAX_JOBS];
};

struct worker {
	pid_t pid;
	int fd; /* reports come here, each with a NUL at its end; -1: there is no such worker any more */
	struct buf text;
};

struct jobs {
	const struct flags *flags;
	struct shared *shared;
	struct worker workers[MAX_JOBS];
	int64_t violations;
};

/* ---- in a worker ---- */

static void send_report(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			exit(1); /* nobody listens any more */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

static void report(const struct jobs *j, int fd, const struct story *s, const struct world_result *r,
                   bool shrink)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	fprintf(out, "seed %" PRIu64 ": ", s->seed);
	report_violation(out, s, r, shrink && j->flags->shrink);
	fclose(out);
	send_report(fd, text, len + 1);
	free(text);
}

/* Of each rule one story is shrunk: the others mostly say the same. */
static bool is_new(const char **rules, size_t *n, const char *rule)
{
	for (size_t i = 0; i < *n; i++)
		if (str_eq(rules[i], rule))
			return false;
	if (*n < MAX_RULES)
		rules[(*n)++] = rule;
	return true;
}

/* Seeds are taken in order: who is at an earlier one tells of it, too. */
static void stop(const struct jobs *j)
{
	if (j->flags->stop)
		atomic_store(&j->shared->taken, j->flags->seeds);
}

static void work(const struct jobs *j, size_t me, int fd)
{
	struct shared *shared = j->shared;
	const char *rules[MAX_RULES];
	size_t n_rules = 0;
	uint64_t taken;

	while ((taken = atomic_fetch_add(&shared->taken, 1)) < j->flags->seeds) {
		uint64_t seed = j->flags->first + taken;
		struct story s;
		struct world_result r;

		atomic_store(&shared->workers[me].seed, seed);
		atomic_store(&shared->workers[me].busy, true);
		story_generate(seed, &s);
		world_play(&s, NULL, &r);
		if (r.rule) {
			stop(j);
			report(j, fd, &s, &r, is_new(rules, &n_rules, r.rule));
		}
		atomic_store(&shared->workers[me].busy, false);
		atomic_fetch_add(&shared->done, 1);
	}
}

/* ---- around them ---- */

static int start_worker(struct jobs *j, size_t i, struct err *err)
{
	struct worker *w = &j->workers[i];
	int fds[2];

	if (pipe(fds) < 0)
		return err_set(err, ERR_IO, "pipe: %s", strerror(errno));
	fflush(NULL);
	w->pid = fork();
	if (w->pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return err_set(err, ERR_IO, "fork: %s", strerror(errno));
	}
	if (w->pid == 0) {
		close(fds[0]);
		work(j, i, fds[1]);
		exit(0);
	}
	close(fds[1]);
	w->fd = fds[0];
	return 0;
}

static void take_reports(struct jobs *j, struct worker *w)
{
	const char *end;

	while (w->text.len > 0 && (end = memchr(w->text.ptr, '\0', w->text.len)) != NULL) {
		fputs(w->text.ptr, stdout);
		fflush(stdout);
		buf_consume(&w->text, (size_t)(end - w->text.ptr) + 1);
		j->violations++;
	}
}

/* One that did not end by itself was ended by a story; another one goes on with the next. */
static int worker_ended(struct jobs *j, size_t i, struct err *err)
{
	struct worker *w = &j->workers[i];
	uint64_t seed = atomic_load(&j->shared->workers[i].seed);
	int status;

	close(w->fd);
	w->fd = -1;
	while (waitpid(w->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, ERR_IO, "waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	j->violations++;
	stop(j);
	buf_clear(&w->text);
	printf("seed %" PRIu64 ": %s: the process ended with %s %d\n", seed,
	       atomic_load(&j->shared->workers[i].busy) ? "crash" : "crash after it",
	       WIFSIGNALED(status) ? "signal" : "status",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (!atomic_exchange(&j->shared->workers[i].busy, false))
		return 0;
	atomic_fetch_add(&j->shared->done, 1);
	return start_worker(j, i, err);
}

static int read_worker(struct jobs *j, size_t i, struct err *err)
{
	struct worker *w = &j->workers[i];
	char chunk[4096];
	ssize_t n = read(w->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR ? 0 : err_set(err, ERR_IO, "read: %s", strerror(errno));
	if (n == 0)
		return worker_ended(j, i, err);
	buf_add(&w->text, chunk, (size_t)n);
	take_reports(j, w);
	return 0;
}

static void show_progress(const struct jobs *j, bool last)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " stories, %" PRId64 " broke a rule%s",
	        atomic_load(&j->shared->done), j->flags->seeds, j->violations, last ? "\n" : "");
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * MS_PER_S + t.tv_nsec / 1000000;
}

static int watch(struct jobs *j, struct err *err)
{
	struct pollfd fds[MAX_JOBS];
	size_t of[MAX_JOBS];
	int64_t next_ms = clock_ms() + PROGRESS_MS;

	for (;;) {
		nfds_t n = 0;

		for (size_t i = 0; i < j->flags->jobs; i++)
			if (j->workers[i].fd >= 0) {
				of[n] = i;
				fds[n++] = (struct pollfd){.fd = j->workers[i].fd, .events = POLLIN};
			}
		if (n == 0)
			break;
		if (poll(fds, n, PROGRESS_MS) < 0 && errno != EINTR)
			return err_set(err, ERR_IO, "poll: %s", strerror(errno));
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents && read_worker(j, of[i], err) < 0)
				return -1;
		if (clock_ms() >= next_ms) {
			show_progress(j, false);
			next_ms = clock_ms() + PROGRESS_MS;
		}
	}
	show_progress(j, true);
	return 0;
}

int64_t jobs_run(const struct flags *f, uint64_t *ret_played, struct err *err)
{
	struct jobs j = {.flags = f};
	int result = 0;

	j.shared = mmap(NULL, sizeof(*j.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j.shared == MAP_FAILED)
		return err_set(err, ERR_IO, "mmap: %s", strerror(errno));
	for (size_t i = 0; i < f->jobs; i++) {
		j.workers[i].fd = -1;
		buf_init(&j.workers[i].text, MAX_REPORT_BYTES);
	}
	for (size_t i = 0; i < f->jobs && result == 0; i++)
		result = start_worker(&j, i, err);
	if (result == 0)
		result = watch(&j, err);
	for (size_t i = 0; i < f->jobs; i++)
		buf_done(&j.workers[i].text);
	*ret_played = atomic_load(&j.shared->done);
	munmap(j.shared, sizeof(*j.shared));
	return result < 0 ? -1 : j.violations;
}
