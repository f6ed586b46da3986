/* Credential plugins at work: shell scripts in a folder of the test's own. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "client_set_up.h"
#include "kube/informer.h"

static const struct kube_resource pods = {
	.group = "", .version = "v1", .plural = "pods", .kind = "Pod", .namespaced = true};
static const struct kube_request get_pod = {.verb = KUBE_GET, .resource = &pods, .ns = "ns", .name = "p"};

struct fixture {
	char dir[32];
	char *program, *runs;
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	unsigned to_come;
	unsigned wanted_runs; /* what on_poll() waits for */
	struct loop_timer *poll;
	unsigned n_troubles;
};

struct answer {
	struct fixture *fixture;
	unsigned calls;
	enum kube_outcome outcome;
	struct err err;
};

static void on_answer(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	(void)r;
	struct answer *a = arg;
	a->calls++;
	a->outcome = outcome;
	a->err = *err;
	if (--a->fixture->to_come == 0)
		loop_stop(a->fixture->loop.loop);
}

static struct kube_call *start(struct fixture *f, const struct kube_request *rq, struct answer *a)
{
	*a = (struct answer){.fixture = f};
	f->to_come++;
	struct kube_call *call = kube_client_call(f->client, rq, on_answer, a);
	assert_int_equal(a->calls, 0);
	return call;
}

static void call(struct fixture *f, struct answer *a)
{
	start(f, &get_pod, a);
	patient_loop_run(&f->loop);
	assert_int_equal(a->calls, 1);
}

/* What the plugin does, after noting that it runs. */
static void write_plugin(const struct fixture *f, const char *body)
{
	CLEANUP_FREE char *fresh = xasprintf("%s.new", f->program);
	FILE *file = fopen(fresh, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho run >>%s\n%s\n", f->runs, body);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(fresh, 0700), 0);
	assert_int_equal(rename(fresh, f->program), 0);
}

#define ANSWER(status)                                                                                     \
	"echo "                                                                                                \
	"'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status \
	"}}'"
#define TOKEN(t) ANSWER("\"token\":\"" t "\"")
/* One that expires: date's word for when. */
#define EXPIRING(t, when)                                                                                \
	"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" \
	"\"token\":\"" t "\",\"expirationTimestamp\":\"'$(date -u -d '" when "' +%FT%T.%3NZ)'\"}}'"

static unsigned runs(const struct fixture *f)
{
	struct stat st;
	return stat(f->runs, &st) == 0 ? (unsigned)st.st_size / 4 : 0;
}

static void on_poll(void *arg)
{
	struct fixture *f = arg;
	if (runs(f) >= f->wanted_runs)
		loop_stop(f->loop.loop);
	else
		loop_timer_arm(f->poll, 20);
}

static void wait_for_runs(struct fixture *f, unsigned n)
{
	f->wanted_runs = n;
	loop_timer_arm(f->poll, 20);
	patient_loop_run(&f->loop);
}

static void begin_with(struct fixture *f, const char *plugin, const char *script, char *token)
{
	*f = (struct fixture){.dir = "/tmp/test_plugin.XXXXXX"};
	assert_non_null(mkdtemp(f->dir));
	f->program = xasprintf("%s/get-token", f->dir);
	f->runs = xasprintf("%s/runs", f->dir);
	if (plugin)
		write_plugin(f, plugin);
	server_start(&f->server, script);
	patient_loop_init(&f->loop);
	f->poll = loop_timer_new(f->loop.loop, on_poll, f);
	struct err err = ERR_INIT;
	char version[] = "client.authentication.k8s.io/v1", hint[] = "Install it\nfrom there.";
	struct kube_exec exec = {.command = f->program, .api_version = version, .install_hint = hint};
	struct kube_config whole = {.server = f->server.url, .exec = &exec, .token = token};
	f->client = kube_client_new(f->loop.loop, &whole, &(struct kube_client_options){0}, &err);
	assert_non_null(f->client);
}

static void begin(struct fixture *f, const char *plugin, const char *script)
{
	begin_with(f, plugin, script, NULL);
}

static void end(struct fixture *f)
{
	kube_client_free(f->client);
	patient_loop_done(&f->loop);
	server_stop(&f->server);
}

static void done(struct fixture *f)
{
	server_done(&f->server);
	unlink(f->program);
	unlink(f->runs);
	assert_int_equal(rmdir(f->dir), 0);
	free(f->program);
	free(f->runs);
}

static void assert_tokens(const struct fixture *f, const char *const *want, size_t n)
{
	assert_int_equal(json_array_size(f->server.requests), n);
	for (size_t i = 0; i < n; i++) {
		CLEANUP_FREE char *header = xasprintf("Bearer %s", want[i]);
		assert_string_equal(server_saw(&f->server, i, "authorization"), header);
	}
}
#define ASSERT_TOKENS(f, ...) \
	assert_tokens(f, (const char *const[]){__VA_ARGS__}, ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void assert_fails(const struct answer *a, const char *message)
{
	assert_int_equal(a->calls, 1);
	assert_int_equal(a->outcome, KUBE_NOT_DONE);
	assert_int_equal(a->err.code, ERR_IO);
	if (!strstr(a->err.message, message))
		print_error("'%s' is not in '%s'\n", message, a->err.message);
	assert_non_null(strstr(a->err.message, message));
	assert_null(strstr(a->err.message, "geheim"));
}

#define GETS() ("[{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'}]")

static void requests_wait_for_one_run(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a[4];
	begin(&f, "sleep 0.2; " TOKEN("one"), GETS());
	assert_int_equal(runs(&f), 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		start(&f, &get_pod, &a[i]);
	patient_loop_run(&f.loop);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(a[i].outcome, KUBE_DONE);
	call(&f, &a[0]);
	assert_int_equal(a[0].outcome, KUBE_DONE);
	end(&f);
	assert_int_equal(runs(&f), 1);
	ASSERT_TOKENS(&f, "one", "one", "one", "one", "one");
	done(&f);
}

static void failures_are_told_and_pass(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a, b;
	begin(&f, "echo '  ' >&2; echo 'no \033such user' >&2; echo more >&2; echo geheim; exit 1", GETS());
	start(&f, &get_pod, &a);
	call(&f, &b);
	assert_fails(&a, "exec plugin get-token: exit status 1: no  such user");
	assert_string_equal(a.err.message, b.err.message);
	/* Known already. */
	write_plugin(&f, TOKEN("good"));
	call(&f, &a);
	assert_fails(&a, "exec plugin get-token: exit status 1: no  such user");
	assert_int_equal(runs(&f), 1);
	pass_time(&f.loop, 1100);
	call(&f, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	end(&f);
	assert_int_equal(runs(&f), 2);
	ASSERT_TOKENS(&f, "good");
	done(&f);
}

static void kinds_of_failure(void **state)
{
	(void)state;
	static const struct {
		const char *plugin, *message;
	} cases[] = {
		{NULL, ": no such file or directory. Install it from there."},
		{"kill -KILL $$", "exec plugin get-token: killed by signal 9"},
		{"exit 3", "exec plugin get-token: exit status 3"},
		{"yes geheim", "exec plugin get-token: more than 1048576 bytes of output"},
		{"echo geheim", "exec plugin get-token: its output is not JSON"},
		{ANSWER("\"token\":\"geheim \""), "exec plugin get-token: its token has"},
		{"echo oh >&2; echo '{}'", "exec plugin get-token: its output is not an ExecCredential of "
	                               "client.authentication.k8s.io/v1: oh"},
		{EXPIRING("geheim", "-1 second"), "exec plugin get-token: the credential that it gave expired at 20"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		struct answer a;
		begin(&f, cases[i].plugin, "[]");
		call(&f, &a);
		assert_fails(&a, cases[i].message);
		end(&f);
		assert_int_equal(json_array_size(f.server.requests), 0);
		done(&f);
	}
}

static void a_401_makes_it_run_again(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a, b;
	begin(&f, TOKEN("one"),
	      "[{'on':'GET'},{'on':'GET','status':401},{'on':'GET','status':401},{'on':'GET'},"
	      "{'on':'GET','status':401},{'on':'GET','status':401},{'on':'GET'}]");
	call(&f, &a);
	pass_time(&f.loop, 1100);
	write_plugin(&f, "sleep 0.2; " TOKEN("two"));
	/* Both with the old one: it is renewed once. */
	start(&f, &get_pod, &a);
	call(&f, &b);
	assert_int_equal(a.err.http_status, 401);
	assert_int_equal(b.err.http_status, 401);
	call(&f, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	assert_int_equal(runs(&f), 2);
	/* Not again and again: the server may not like us at all. */
	call(&f, &a);
	assert_int_equal(a.err.http_status, 401);
	call(&f, &a);
	assert_int_equal(a.err.http_status, 401);
	assert_int_equal(runs(&f), 2);
	pass_time(&f.loop, 1100);
	write_plugin(&f, TOKEN("three"));
	call(&f, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	end(&f);
	assert_int_equal(runs(&f), 3);
	ASSERT_TOKENS(&f, "one", "one", "one", "two", "two", "two", "three");
	done(&f);
}

static void it_runs_again_before_the_credential_expires(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a;
	begin(&f, EXPIRING("one", "+1.5 seconds"), GETS());
	call(&f, &a);
	assert_int_equal(runs(&f), 1);
	write_plugin(&f, EXPIRING("two", "+100 seconds"));
	wait_for_runs(&f, 2); /* nobody asks */
	pass_time(&f.loop, 500);
	call(&f, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	end(&f);
	assert_int_equal(runs(&f), 2);
	ASSERT_TOKENS(&f, "one", "two");
	done(&f);
}

/* A renewal that fails is tried again; when the credential has expired, requests get to know why. */
static void an_expired_credential_is_not_used(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a;
	begin(&f, EXPIRING("one", "+2 seconds"), GETS());
	call(&f, &a);
	write_plugin(&f, "echo down >&2; exit 1");
	wait_for_runs(&f, 2);
	call(&f, &a); /* it is still good */
	assert_int_equal(a.outcome, KUBE_DONE);
	pass_time(&f.loop, 600);
	call(&f, &a);
	assert_fails(&a, "exit status 1: down");
	write_plugin(&f, TOKEN("two"));
	wait_for_runs(&f, runs(&f) + 1);
	call(&f, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	end(&f);
	ASSERT_TOKENS(&f, "one", "one", "two");
	done(&f);
}

static void waiting_has_an_end(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a, b, c;
	begin(&f, "sleep 2; " TOKEN("one"), "[{'on':'GET'},{'on':'GET','hang':true}]");
	struct kube_request rq = get_pod;
	rq.timeout_ms = 200;
	start(&f, &rq, &a);
	patient_loop_run(&f.loop);
	assert_int_equal(a.outcome, KUBE_NOT_DONE);
	assert_int_equal(a.err.code, ERR_TIMEOUT);
	assert_string_equal(a.err.message, "the exec plugin gave no credential within 0.2 s");

	/* What is over is over; what goes on has the rest of its time. */
	rq.verb = KUBE_DELETE;
	struct kube_call *canceled = start(&f, &rq, &a);
	rq.verb = KUBE_GET;
	rq.timeout_ms = 2500;
	start(&f, &get_pod, &b);
	struct mono started = mono_now();
	start(&f, &rq, &c);
	kube_call_cancel(canceled);
	f.to_come--;
	patient_loop_run(&f.loop);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.outcome, KUBE_DONE);
	assert_int_equal(c.err.code, ERR_TIMEOUT);
	int64_t took_ms = mono_now().ms - started.ms;
	assert_true(took_ms >= 2490 && took_ms < 4000);
	end(&f);
	assert_int_equal(json_array_size(f.server.requests), 2);
	done(&f);
}

static void freed_while_it_runs(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a, b;
	begin(&f, "sleep 100", GETS());
	start(&f, &get_pod, &a);
	start(&f, &get_pod, &b);
	wait_for_runs(&f, 1);
	struct mono started = mono_now();
	end(&f);
	assert_true(mono_now().ms - started.ms < 10000);
	assert_int_equal(a.calls + b.calls, 0);
	assert_int_equal(json_array_size(f.server.requests), 0);
	done(&f);
}

static void a_token_wins(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a;
	char token[] = "own";
	begin_with(&f, TOKEN("one"), GETS(), token);
	call(&f, &a);
	end(&f);
	assert_int_equal(runs(&f), 0);
	ASSERT_TOKENS(&f, "own");
	done(&f);
}

static void *decode(struct slice json, struct err *err)
{
	(void)json;
	err_set(err, ERR_INVALID, "no objects here");
	return NULL;
}

static void on_synced(void *arg)
{
	struct fixture *f = arg;
	loop_stop(f->loop.loop);
}

static void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	struct fixture *f = arg;
	assert_true(retry_ms > 0);
	assert_string_equal(err->message, "exec plugin get-token: exit status 7");
	f->n_troubles++;
}

/* It waits too, is told of failures, and goes on. */
static void an_informer(void **state)
{
	(void)state;
	static const struct kube_type type = {
		.resource = {.group = "", .version = "v1", .plural = "pods", .kind = "Pod", .namespaced = true},
		.decode = decode,
		.free = free,
	};
	struct fixture f;
	begin(&f, "[ $(wc -l <${0%/*}/runs) = 1 ] && exit 7; " TOKEN("one"),
	      "[{'on':'GET','lines':[{'type':'BOOKMARK','object':{'metadata':{'resourceVersion':'5',"
	      "'annotations':{'k8s.io/initial-events-end':'true'}}}}]}]");
	struct informer_options o = {
		.type = &type,
		.handler = {.on_change = ignore_change,
	                .on_undecodable = ignore_undecodable,
	                .on_synced = on_synced,
	                .on_trouble = on_trouble,
	                .arg = &f},
	};
	struct informer *i = informer_new(f.client, &o);
	informer_start(i);
	patient_loop_run(&f.loop);
	assert_true(informer_synced(i));
	assert_true(f.n_troubles >= 1);
	informer_free(i);
	end(&f);
	assert_int_equal(runs(&f), 2);
	ASSERT_TOKENS(&f, "one");
	done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_for_one_run),
		cmocka_unit_test(failures_are_told_and_pass),
		cmocka_unit_test(kinds_of_failure),
		cmocka_unit_test(a_401_makes_it_run_again),
		cmocka_unit_test(it_runs_again_before_the_credential_expires),
		cmocka_unit_test(an_expired_credential_is_not_used),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(freed_while_it_runs),
		cmocka_unit_test(a_token_wins),
		cmocka_unit_test(an_informer),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failed;
}
