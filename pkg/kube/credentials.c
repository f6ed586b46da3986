#include "kube/credentials.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "kube/exec.h"
#include "kube/pem.h"
#include "net/child.h"

#define MAX_TOKEN_BYTES (60u << 10)
/* Certificate and key are two files: a change counts when both have kept still for so long. */
#define SETTLING_MS (1 * MS_PER_S)
#define PLUGIN_TIMEOUT_MS (60 * MS_PER_S)
#define PLUGIN_MAX_OUTPUT_BYTES (1u << 20)
/* Between two runs: doubled by each, until an answer of the server shows that the credential is good. */
#define PLUGIN_PAUSE_MS (1 * MS_PER_S)
#define PLUGIN_MAX_PAUSE_MS (30 * MS_PER_S)
/* A credential is renewed so long before it expires, or when nine tenths of its life are over. */
#define PLUGIN_MARGIN_MS (60 * MS_PER_S)
#define MAX_SAID_BYTES 300u
#define MAX_CERTIFICATE_BYTES (1u << 20)

struct pair {
	struct stat cert, key;
};

struct credentials {
	struct loop *loop;
	const struct kube_config *cfg;
	credentials_changed_fn *changed;
	void *arg;

	char *token; /* NULL: none */
	unsigned generation;
	bool refused;           /* a 401 came: renew, whatever else is known */
	struct stat token_seen; /* of the file that gave the token */

	unsigned identity;
	struct pair files, settling_files;
	bool settling;
	struct loop_timer *settle_timer;

	/* The plugin. */
	bool plugin; /* it is used */
	bool have;   /* it has given a credential: `token`, `given` without its token */
	struct exec_credential given;
	struct wall renew_at; /* not set: never */
	struct child *child;  /* NULL: it does not run */
	struct mono next_run;
	int64_t pause_ms;
	struct err failure; /* of the last run */
	struct loop_timer *renew_timer;
};

/* Wiped, because it may be a secret. */
static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void set_token(struct credentials *c, char *token)
{
	free_secret(c->token);
	c->token = token;
	c->generation++;
	c->refused = false;
}

/* The token file */

/* What stands in the file, new, and which file that was. */
static char *read_token(const char *path, struct stat *ret_stat, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_set(err, ERR_IO, "token file %s: %s", path, strerror(errno));
		return NULL;
	}
	char *text = xmalloc(MAX_TOKEN_BYTES), *value = NULL;
	size_t len = 0;
	/* stat comes first: a file that changes while it is read counts as changed the next time. */
	ssize_t n = fstat(fd, ret_stat);
	while (n >= 0 && len < MAX_TOKEN_BYTES) {
		n = read(fd, text + len, MAX_TOKEN_BYTES - len);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	struct slice token = slice_trim((struct slice){text, len});
	bool printable = true;
	for (size_t i = 0; i < token.len; i++)
		printable = printable && token.ptr[i] > 0x20 && token.ptr[i] < 0x7f;
	if (n < 0)
		err_set(err, ERR_IO, "token file %s: %s", path, strerror(errno));
	else if (len == MAX_TOKEN_BYTES)
		err_set(err, ERR_LIMIT, "token file %s is too large", path);
	else if (token.len == 0)
		err_set(err, ERR_INVALID, "token file %s is empty", path);
	else if (!printable) /* it could add headers of its own */
		err_set(err, ERR_INVALID, "token file %s does not hold a token", path);
	else
		value = xstrndup(token.ptr, token.len);
	explicit_bzero(text, len);
	free(text);
	close(fd);
	return value;
}

/* The kubelet rotates tokens long before they end, so that an old one is better than none. */
static int refresh_token(struct credentials *c, struct err *err)
{
	const char *path = c->cfg->token_file;
	struct stat st;
	bool from_file = c->token_seen.st_ino != 0;
	if (from_file && !c->refused && stat(path, &st) == 0 && same_file(&st, &c->token_seen))
		return 0;
	char *fresh = read_token(path, &st, err);
	if (!fresh)
		return -1;
	set_token(c, fresh);
	c->token_seen = st;
	return 0;
}

static void write_authorization(void *arg, struct buf *out)
{
	struct credentials *c = arg;
	struct err ignored = ERR_INIT;
	if (c->cfg->token_file)
		refresh_token(c, &ignored);
	if (!c->token)
		return;
	buf_add_str(out, "Bearer ");
	buf_add_str(out, c->token);
}

/* The files of a client certificate */

static bool look_at_pair(const struct credentials *c, struct pair *ret)
{
	return stat(c->cfg->cert_file, &ret->cert) == 0 && stat(c->cfg->key_file, &ret->key) == 0;
}

static bool same_pair(const struct pair *a, const struct pair *b)
{
	return same_file(&a->cert, &b->cert) && same_file(&a->key, &b->key);
}

static void watch_pair(struct credentials *c)
{
	struct pair now;
	if (!c->cfg->cert_file || c->settling || !look_at_pair(c, &now) || same_pair(&now, &c->files))
		return;
	c->settling = true;
	c->settling_files = now;
	loop_timer_arm(c->settle_timer, SETTLING_MS);
}

static void on_settle_timer(void *arg)
{
	struct credentials *c = arg;
	struct pair now;
	c->settling = false;
	if (!look_at_pair(c, &now))
		return; /* the next request looks again */
	if (!same_pair(&now, &c->settling_files)) {
		watch_pair(c);
		return;
	}
	c->files = now;
	c->identity++;
	c->changed(c->arg);
}

/* The plugin */

/* A text of the plugin's or the kubeconfig's, as part of one line. */
static void one_line(struct slice text, char ret[static MAX_SAID_BYTES])
{
	if (text.len >= MAX_SAID_BYTES)
		text.len = utf8_cut((struct slice){text.ptr, MAX_SAID_BYTES - 1});
	for (size_t i = 0; i < text.len; i++)
		ret[i] = (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? ' ' : text.ptr[i];
	ret[text.len] = '\0';
}

static struct slice first_line(struct slice text)
{
	struct slice line = {NULL, 0};
	while (line.len == 0 && text.len > 0)
		line = slice_trim(slice_split(text, '\n', &text));
	return line;
}

static void begin_pause(struct credentials *c)
{
	c->next_run.ms = loop_now(c->loop).ms + c->pause_ms;
	c->pause_ms = c->pause_ms > PLUGIN_MAX_PAUSE_MS / 2 ? PLUGIN_MAX_PAUSE_MS : c->pause_ms * 2;
}

/* what: "exit status 1"; said: what the plugin, or the kubeconfig, has to say about it. */
static void plugin_failed(struct credentials *c, const char *what, const char *between, struct slice said)
{
	char text[MAX_SAID_BYTES];
	one_line(said, text);
	/* Whatever it was: nothing was sent, and it may pass. */
	err_set(&c->failure, ERR_IO, "exec plugin %s: %s%s%s", kube_exec_name(c->cfg->exec), what,
	        *text ? between : "", text);
	begin_pause(c);
	/* While the old credential is still good nobody may ask. */
	if (c->have)
		loop_timer_arm(c->renew_timer, c->next_run.ms - loop_now(c->loop).ms);
}

static int take_credential(struct credentials *c, struct slice output, struct err *err)
{
	CLEANUP_EXEC_CREDENTIAL struct exec_credential fresh;
	if (exec_credential_read(output, c->cfg->exec->api_version, &fresh, err) < 0)
		return -1;
	struct wall now = wall_now();
	int64_t life_ms = fresh.expires.ms - now.ms;
	if (wall_is_set(fresh.expires) && life_ms <= 0) {
		char when[WALL_RFC3339_SIZE];
		wall_format(fresh.expires, when);
		return err_set(err, ERR_INVALID, "the credential that it gave expired at %s", when);
	}
	if (!str_eq(fresh.cert_pem, c->given.cert_pem) || !str_eq(fresh.key_pem, c->given.key_pem))
		c->identity++;
	set_token(c, STEAL_PTR(fresh.token));
	exec_credential_done(&c->given);
	c->given = fresh;
	fresh = (struct exec_credential){0};
	c->have = true;
	begin_pause(c);
	loop_timer_stop(c->renew_timer);
	c->renew_at = (struct wall){0};
	if (!wall_is_set(c->given.expires))
		return 0;
	int64_t margin_ms = life_ms / 10 < PLUGIN_MARGIN_MS ? life_ms / 10 : PLUGIN_MARGIN_MS;
	int64_t pause_ms = c->next_run.ms - loop_now(c->loop).ms;
	c->renew_at = wall_add(c->given.expires, -margin_ms);
	loop_timer_arm(c->renew_timer, life_ms - margin_ms > pause_ms ? life_ms - margin_ms : pause_ms);
	return 0;
}

static void on_plugin_done(void *arg, const struct child_result *r, const struct err *err)
{
	struct credentials *c = arg;
	struct err failure = *err;
	c->child = NULL;
	if (failure.code == ERR_NONE && r->signal != 0)
		err_set(&failure, ERR_IO, "killed by signal %d", r->signal);
	else if (failure.code == ERR_NONE && r->exit_status != 0)
		err_set(&failure, ERR_IO, "exit status %d", r->exit_status);
	else if (failure.code == ERR_NONE)
		take_credential(c, r->output, &failure);
	if (failure.code != ERR_NONE)
		plugin_failed(c, failure.message, ": ", first_line(r->errors));
	c->changed(c->arg);
}

static void run_plugin(struct credentials *c)
{
	struct err err = ERR_INIT;
	const struct kube_exec *exec = c->cfg->exec;
	CLEANUP_FREE char *info = kube_exec_info(c->cfg, &err);
	if (!info) {
		plugin_failed(c, err.message, "", SLICE_LIT(""));
		return;
	}
	CLEANUP_FREE const char **argv = kube_exec_arguments(exec);
	CLEANUP_FREE const char **env = kube_exec_environment(exec, environ, info);
	struct child_options o = {
		.program = exec->command,
		.argv = argv,
		.env = env,
		.max_output_bytes = PLUGIN_MAX_OUTPUT_BYTES,
		.timeout_ms = PLUGIN_TIMEOUT_MS,
	};
	c->child = child_start(c->loop, &o, on_plugin_done, c, &err);
	explicit_bzero(info, strlen(info)); /* a proxy's password may stand in it */
	if (!c->child)
		plugin_failed(c, err.message, ". ",
		              slice_from(err.code == ERR_NOT_FOUND ? exec->install_hint : NULL));
}

static void on_renew_timer(void *arg)
{
	struct credentials *c = arg;
	if (!c->child)
		run_plugin(c);
}

static enum credentials_state ask_plugin(struct credentials *c, struct err *err)
{
	int64_t now_ms = wall_now().ms;
	bool usable = c->have && (!wall_is_set(c->given.expires) || now_ms < c->given.expires.ms);
	bool due = !c->have || c->refused || (wall_is_set(c->renew_at) && now_ms >= c->renew_at.ms);
	if (due && !c->child && loop_now(c->loop).ms >= c->next_run.ms)
		run_plugin(c);
	/* What was refused is shown again only while there is nothing to hope for. */
	if (usable && !(c->refused && c->child))
		return CREDENTIALS_READY;
	if (c->child)
		return CREDENTIALS_PENDING;
	*err = c->failure;
	return CREDENTIALS_FAILED;
}

struct credentials *credentials_new(struct loop *l, const struct kube_config *cfg,
                                    credentials_changed_fn *changed, void *arg, struct err *err)
{
	struct credentials *c = xcalloc(1, sizeof(*c));
	c->loop = l;
	c->cfg = cfg;
	c->changed = changed;
	c->arg = arg;
	c->pause_ms = PLUGIN_PAUSE_MS;
	c->failure = ERR_INIT;
	c->settle_timer = loop_timer_new(l, on_settle_timer, c);
	c->renew_timer = loop_timer_new(l, on_renew_timer, c);
	if (!str_empty(cfg->token))
		set_token(c, xstrdup(cfg->token));
	/* The file, as far as it can be read, wins. */
	if (cfg->token_file && refresh_token(c, err) < 0 && !c->token) {
		credentials_free(c);
		return NULL;
	}
	if (cfg->cert_file && !look_at_pair(c, &c->files))
		c->files = (struct pair){0};
	c->plugin = cfg->exec && !c->token;
	return c;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	child_cancel(c->child);
	loop_timer_free(c->settle_timer);
	loop_timer_free(c->renew_timer);
	exec_credential_done(&c->given);
	free_secret(c->token);
	free(c);
}

enum credentials_state credentials_ask(struct credentials *c, struct err *err)
{
	watch_pair(c);
	return c->plugin ? ask_plugin(c, err) : CREDENTIALS_READY;
}

unsigned credentials_generation(const struct credentials *c)
{
	return c->generation;
}

void credentials_note_answer(struct credentials *c, unsigned generation, int http_status)
{
	if (http_status == 401)
		c->refused = c->refused || generation == c->generation;
	else if (http_status > 0)
		c->pause_ms = PLUGIN_PAUSE_MS;
}

/* What is wrong with the certificate as far as one can see without the server; `what` says which it is. */
static int explain_certificate(const char *pem, const char *what, struct err *err)
{
	struct wall from, until, now = wall_now();
	struct err unreadable = ERR_INIT;
	char when[WALL_RFC3339_SIZE];
	if (pem_validity(pem, &from, &until, &unreadable) < 0)
		return 0; /* TLS had another look at it, and was content */
	if (now.ms > until.ms) {
		wall_format(until, when);
		return err_prefix(err, "%s expired at %s", what, when);
	}
	if (now.ms < from.ms) {
		wall_format(from, when);
		return err_prefix(err, "%s is not valid before %s", what, when);
	}
	return 0;
}

void credentials_explain(const struct credentials *c, struct err *err)
{
	const struct kube_config *cfg = c->cfg;
	const char *source = cfg->source ? cfg->source : "the kubeconfig";
	CLEANUP_FREE char *what = NULL;
	CLEANUP_BUF struct buf pem;
	struct err unread = ERR_INIT;
	buf_init(&pem, MAX_CERTIFICATE_BYTES);
	if (cfg->cert_file) {
		what = xasprintf("the client certificate %s", cfg->cert_file);
		file_read(cfg->cert_file, &pem, &unread);
	} else if (cfg->cert_pem) {
		what = xasprintf("the client certificate in %s", source);
		buf_add_str(&pem, cfg->cert_pem);
	} else if (c->plugin) {
		what = xasprintf("the credential of exec plugin %s", kube_exec_name(cfg->exec));
		buf_add_str(&pem, c->given.cert_pem ? c->given.cert_pem : "");
	}
	if (what && explain_certificate(buf_slice(&pem).ptr, what, err) < 0)
		return;
	if (!what && cfg->token_file)
		what = xasprintf("the token in %s", cfg->token_file);
	else if (!what && cfg->token)
		what = xasprintf("the token in %s", source);
	if (what)
		err_prefix(err, "the server does not accept %s", what);
	else
		err_prefix(err, "%s has no credential for the server", source);
}

unsigned credentials_identity(const struct credentials *c)
{
	return c->identity;
}

void credentials_apply(struct credentials *c, struct http_client_options *o)
{
	const struct kube_config *cfg = c->cfg;
	bool own = cfg->cert_file || cfg->cert_pem;
	o->cert_file = cfg->cert_file;
	o->key_file = cfg->key_file;
	o->cert_pem = own ? cfg->cert_pem : c->given.cert_pem;
	o->key_pem = own ? cfg->key_pem : c->given.key_pem;
	o->authorization = write_authorization;
	o->authorization_arg = c;
}
