/* What a kubeconfig says about the way to the server and about certificates, against a server with TLS. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "client_set_up.h"
#include "tls_files.h"

static const struct kube_resource pods = {
	.group = "", .version = "v1", .plural = "pods", .kind = "Pod", .namespaced = true};

static struct folder files;

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	unsigned calls;
	enum kube_outcome outcome;
	struct err err;
};

static int make_files(void **state)
{
	(void)state;
	folder_init(&files);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	folder_done(&files);
	return 0;
}

static void begin(struct fixture *f, const char *cert, const char *host, const char *answers)
{
	*f = (struct fixture){.err = ERR_INIT};
	server_start_tls(&f->server, &files, cert, host, answers);
	patient_loop_init(&f->loop);
}

/* The client of a kubeconfig with these members of cluster and user. */
static void connect_with(struct fixture *f, const char *cluster, const char *user)
{
	CLEANUP_FREE char *text = xasprintf("current-context: c\n"
	                                    "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
	                                    "clusters: [{name: k, cluster: {%s}}]\n"
	                                    "users: [{name: u, user: {%s}}]\n",
	                                    cluster, user);
	CLEANUP_FREE char *path = folder_file(&files, "kubeconfig");
	CLEANUP_KUBE_CONFIG struct kube_config cfg;
	struct err err = ERR_INIT;
	folder_write(&files, "kubeconfig", text);
	if (kube_config_load(path, &cfg, &err) < 0)
		print_error("%s\n", err.message);
	assert_non_null(cfg.server);
	f->client = kube_client_new(f->loop.loop, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(f->client);
}

static char *cluster(const struct fixture *f, const char *more)
{
	return xasprintf("server: 'https://127.0.0.1:%d', certificate-authority: trusted.pem%s", f->server.port,
	                 more);
}

static void end(struct fixture *f)
{
	kube_client_free(f->client);
	patient_loop_done(&f->loop);
	server_stop(&f->server);
}

static void on_answer(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	(void)r;
	struct fixture *f = arg;
	f->calls++;
	f->outcome = outcome;
	f->err = *err;
	loop_stop(f->loop.loop);
}

static struct kube_call *start(struct fixture *f, const char *name)
{
	struct kube_request rq = {.verb = KUBE_GET, .resource = &pods, .ns = "ns", .name = name};
	return kube_client_call(f->client, &rq, on_answer, f);
}

static void call(struct fixture *f)
{
	unsigned before = f->calls;
	start(f, "p");
	patient_loop_run(&f->loop);
	assert_int_equal(f->calls, before + 1);
}

static void call_succeeds(struct fixture *f)
{
	call(f);
	if (f->err.code != ERR_NONE)
		print_error("%s\n", f->err.message);
	assert_int_equal(f->outcome, KUBE_DONE);
}

#define GETS "[{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'}]"
#define CLOSING "{'on':'GET','goaway':'seen'}"

static void ipv6(void **state)
{
	(void)state;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool there = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
	if (fd >= 0)
		close(fd);
	if (!there)
		skip();
	struct fixture f;
	begin(&f, "server", "::1", GETS);
	CLEANUP_FREE char *there_it_is =
		xasprintf("server: 'https://[::1]:%d/', certificate-authority: ca.pem", f.server.port);
	connect_with(&f, there_it_is, "token: t");
	call_succeeds(&f);
	end(&f);
	CLEANUP_FREE char *host = xasprintf("[::1]:%d", f.server.port);
	assert_string_equal(server_saw(&f.server, 0, "host"), host);
	assert_string_equal(server_saw(&f.server, 0, "sni"), "");
	server_done(&f.server);
}

static void another_name(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f, "named", NULL, GETS);
	folder_copy(&files, "ca.pem", "trusted.pem");
	CLEANUP_FREE char *without = cluster(&f, ""),
					  *with = cluster(&f, ", tls-server-name: kubernetes.example");
	connect_with(&f, without, "");
	call(&f);
	assert_int_equal(f.outcome, KUBE_NOT_DONE);
	assert_int_equal(f.err.code, ERR_CONNECT);
	kube_client_free(f.client);
	connect_with(&f, with, "");
	call_succeeds(&f);
	end(&f);
	assert_int_equal(json_array_size(f.server.requests), 1);
	assert_string_equal(server_saw(&f.server, 0, "sni"), "kubernetes.example");
	server_done(&f.server);
}

static void by_way_of_a_proxy(void **state)
{
	(void)state;
	struct fixture f;
	struct server proxy;
	begin(&f, "server", NULL, GETS);
	server_start(&proxy, "[]");
	folder_copy(&files, "ca.pem", "trusted.pem");
	CLEANUP_FREE char *more = xasprintf(", proxy-url: 'http://user:word@127.0.0.1:%d'", proxy.port);
	CLEANUP_FREE char *members = cluster(&f, more);
	connect_with(&f, members, "token: t");
	call_succeeds(&f);
	call_succeeds(&f);
	end(&f);
	server_stop(&proxy);
	CLEANUP_FREE char *request = xasprintf("CONNECT 127.0.0.1:%d", f.server.port);
	assert_int_equal(json_array_size(proxy.requests), 1);
	assert_string_equal(server_saw(&proxy, 0, "request"), request);
	/* Our credential is for the server alone. */
	assert_string_equal(server_saw(&proxy, 0, "authorization"), "");
	assert_string_equal(server_saw(&f.server, 1, "authorization"), "Bearer t");
	server_done(&proxy);
	server_done(&f.server);
}

static void merged_files(void **state)
{
	(void)state;
	struct fixture f;
	struct err err = ERR_INIT;
	begin(&f, "server", NULL, GETS);
	CLEANUP_FREE char *sub = folder_file(&files, "sub"), *missing = folder_file(&files, "missing");
	CLEANUP_FREE char *first = folder_file(&files, "first"), *second = folder_file(&files, "sub/second");
	CLEANUP_FREE char *clusters = xasprintf("clusters: [{name: k, cluster: {server: 'https://127.0.0.1:%d',"
	                                        " certificate-authority: ../ca.pem}}]\n"
	                                        "users: [{name: u, user: {token: never}}]\n",
	                                        f.server.port);
	assert_int_equal(mkdir(sub, 0700), 0);
	folder_write(&files, "first",
	             "current-context: c\n"
	             "contexts: [{name: c, context: {cluster: k, user: u, namespace: here}}]\n"
	             "users: [{name: u, user: {tokenFile: sub/token}}]\n");
	folder_write(&files, "sub/second", clusters);
	folder_write(&files, "sub/token", "from-the-file\n");
	CLEANUP_FREE char *list = xasprintf("%s:%s:%s", missing, first, second);
	setenv("KUBECONFIG", list, 1);
	CLEANUP_KUBE_CONFIG struct kube_config cfg;
	assert_int_equal(kube_config_load(NULL, &cfg, &err), 0);
	unsetenv("KUBECONFIG");
	assert_string_equal(cfg.namespace, "here");
	f.client = kube_client_new(f.loop.loop, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(f.client);
	call_succeeds(&f);
	end(&f);
	assert_string_equal(server_saw(&f.server, 0, "authorization"), "Bearer from-the-file");
	server_done(&f.server);
}

static void the_authority_changes(void **state)
{
	(void)state;
	struct fixture f;
	folder_copy(&files, "ca.pem", "trusted.pem");
	folder_copy_pair(&files, "server", "present");
	begin(&f, "present", NULL, "[" CLOSING "," CLOSING "," CLOSING "]");
	CLEANUP_FREE char *members = cluster(&f, "");
	connect_with(&f, members, "");
	call_succeeds(&f);
	folder_copy_pair(&files, "server2", "present");
	call(&f);
	assert_int_equal(f.outcome, KUBE_NOT_DONE);
	assert_int_equal(f.err.code, ERR_CONNECT);
	folder_copy(&files, "ca2.pem", "trusted.pem");
	call_succeeds(&f);
	/* The old one is trusted no more. */
	folder_copy_pair(&files, "server", "present");
	call(&f);
	assert_int_equal(f.err.code, ERR_CONNECT);
	end(&f);
	assert_int_equal(json_array_size(f.server.requests), 2);
	server_done(&f.server);
}

static void the_client_certificate_changes(void **state)
{
	(void)state;
	struct fixture f;
	folder_copy(&files, "ca.pem", "trusted.pem");
	folder_copy_pair(&files, "alice", "me");
	begin(&f, "server", NULL,
	      "[{'on':'GET /api/v1/namespaces/ns/pods/hangs','hang':true},{'on':'GET'},{'on':'GET'},{'on':'GET'},"
	      "{'on':'GET'},{'on':'GET'}]");
	CLEANUP_FREE char *members = cluster(&f, "");
	connect_with(&f, members, "client-certificate: me.pem, client-key: me.key");
	call_succeeds(&f);
	struct kube_call *hangs = start(&f, "hangs");
	call_succeeds(&f);
	/* One after the other, as files change. In between nothing fails. */
	folder_copy(&files, "bob.pem", "me.pem");
	call_succeeds(&f);
	folder_copy(&files, "bob.key", "me.key");
	call_succeeds(&f);
	pass_time(&f.loop, 2500);
	call_succeeds(&f);
	/* What was under way has stayed so: nobody called on_answer(). */
	assert_int_equal(f.calls, 5);
	kube_call_cancel(hangs);
	end(&f);
	unsigned n_bob = 0;
	for (size_t i = 0; i < json_array_size(f.server.requests); i++) {
		bool bob = str_eq(server_saw(&f.server, i, "client"), "bob");
		assert_true(bob || str_eq(server_saw(&f.server, i, "client"), "alice"));
		n_bob += bob;
	}
	assert_int_equal(n_bob, 1);
	assert_string_equal(server_saw(&f.server, 5, "client"), "bob");
	server_done(&f.server);
}

static void a_plugin_gives_certificates(void **state)
{
	(void)state;
	struct fixture f;
	folder_copy(&files, "ca.pem", "trusted.pem");
	folder_copy_pair(&files, "alice", "who");
	folder_write(
		&files, "plugin",
		"#!/bin/sh\n"
		"pem() { awk '{printf \"%s\\\\n\", $0}' \"$WHERE/$1\"; }\n"
		"case $KUBERNETES_EXEC_INFO in *'\"certificate-authority-data\":\"LS0t'*) ;; *) exit 1 ;; esac\n"
		"[ \"$*\" = 'one two' ] || exit 2\n"
		"printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{"
		"\"clientCertificateData\":\"%s\",\"clientKeyData\":\"%s\"}}' \"$(pem who.pem)\" \"$(pem "
		"who.key)\"\n");
	CLEANUP_FREE char *plugin = folder_file(&files, "plugin");
	assert_int_equal(chmod(plugin, 0700), 0);
	begin(&f, "server", NULL, "[{'on':'GET'},{'on':'GET'},{'on':'GET','status':401},{'on':'GET'}]");
	CLEANUP_FREE char *members = cluster(&f, "");
	CLEANUP_FREE char *user =
		xasprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,"
	              " args: [one, two], env: [{name: WHERE, value: %s}],"
	              " provideClusterInfo: true}",
	              files.path);
	connect_with(&f, members, user);
	call_succeeds(&f);
	call_succeeds(&f);
	folder_copy_pair(&files, "bob", "who");
	pass_time(&f.loop, 1100);
	call(&f);
	assert_int_equal(f.err.http_status, 401);
	call_succeeds(&f);
	end(&f);
	const char *const want[] = {"alice", "alice", "alice", "bob"};
	assert_int_equal(json_array_size(f.server.requests), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(server_saw(&f.server, i, "client"), want[i]);
		assert_string_equal(server_saw(&f.server, i, "authorization"), "");
	}
	assert_string_equal(server_saw(&f.server, 0, "connection"), server_saw(&f.server, 2, "connection"));
	server_done(&f.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6),
		cmocka_unit_test(another_name),
		cmocka_unit_test(by_way_of_a_proxy),
		cmocka_unit_test(merged_files),
		cmocka_unit_test(the_authority_changes),
		cmocka_unit_test(the_client_certificate_changes),
		cmocka_unit_test(a_plugin_gives_certificates),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, make_files, remove_files);
	http_global_done();
	return failed;
}
