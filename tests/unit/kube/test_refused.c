/* What a client says of answers that refuse it, and an informer when that is over. */
#include "client_set_up.h"
#include "kube/informer.h"
#include "things.h"

/* Until 2025-11-01T12:34:56Z. */
static char old_cert[] = "-----BEGIN CERTIFICATE-----\n"
						 "MIHCMHYCAQEwBQYDK2VwMA4xDDAKBgNVBAMMA29sZDAeFw03MDAxMDEwMDAwMDBa\n"
						 "Fw0yNTExMDExMjM0NTZaMA4xDDAKBgNVBAMMA29sZDAqMAUGAytlcAMhAEorih7J\n"
						 "xOLpXkneOgOerpGiclhPGoEiSedJAKr/dx3tMAUGAytlcANBAOotD2n7O8EC0zkW\n"
						 "MXZSS8wL6S4CH7krNC5YeZVYFE9Rgv/fREmmCjbQtKpJY/nLGZhO6Azi5aklMA48\n"
						 "J/cheAQ=\n"
						 "-----END CERTIFICATE-----\n";
static char no_cert[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#define UNAUTHORIZED \
	"{'on':'GET','status':401,'body':{'kind':'Status','reason':'Unauthorized','message':'Unauthorized'}}"

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct err err;
	struct informer *informer;
	unsigned troubles, overs;
};

static void on_answer(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	struct fixture *f = arg;
	(void)r;
	assert_int_equal(outcome, KUBE_NOT_DONE);
	f->err = *err;
	loop_stop(f->loop.loop);
}

static void assert_explained(struct kube_config cfg, const char *message)
{
	struct fixture f = {.err = ERR_INIT};
	struct err err = ERR_INIT;
	server_start(&f.server, "[" UNAUTHORIZED "]");
	patient_loop_init(&f.loop);
	cfg.server = f.server.url;
	struct kube_client *c = kube_client_new(f.loop.loop, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(c);
	kube_client_get_path(c, "/version", on_answer, &f);
	patient_loop_run(&f.loop);
	assert_string_equal(f.err.message, message);
	assert_int_equal(f.err.http_status, 401);
	assert_string_equal(f.err.reason, "Unauthorized");
	client_end(c, &f.server, &f.loop);
}

static void unauthorized(void **state)
{
	(void)state;
	char token[] = "abc", source[] = "k", file[] = "/tmp/test_refused.XXXXXX";
	assert_explained((struct kube_config){.cert_pem = old_cert, .key_pem = old_cert, .source = source},
	                 "the client certificate in k expired at 2025-11-01T12:34:56Z: Unauthorized");
	assert_explained((struct kube_config){.cert_pem = no_cert, .key_pem = no_cert, .source = source},
	                 "the server does not accept the client certificate in k: Unauthorized");
	assert_explained((struct kube_config){.token = token, .source = source},
	                 "the server does not accept the token in k: Unauthorized");
	assert_explained((struct kube_config){.source = source},
	                 "k has no credential for the server: Unauthorized");

	int fd = mkstemp(file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, old_cert, strlen(old_cert)), strlen(old_cert));
	close(fd);
	CLEANUP_FREE char *expired =
		xasprintf("the client certificate %s expired at 2025-11-01T12:34:56Z: Unauthorized", file);
	assert_explained((struct kube_config){.cert_file = file, .key_file = file}, expired);
	FILE *f = fopen(file, "we");
	assert_non_null(f);
	fputs("abc", f);
	assert_int_equal(fclose(f), 0);
	CLEANUP_FREE char *token_file =
		xasprintf("the server does not accept the token in %s: Unauthorized", file);
	assert_explained((struct kube_config){.token_file = file}, token_file);
	unlink(file);
}

static void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	struct fixture *f = arg;
	(void)retry_ms;
	f->troubles++;
	f->err = *err;
	assert_string_equal(informer_trouble(f->informer)->message, err->message);
}

static void on_trouble_over(void *arg)
{
	struct fixture *f = arg;
	f->overs++;
	assert_null(informer_trouble(f->informer));
	loop_stop(f->loop.loop);
}

static void over(const char *script, unsigned troubles, const char *last)
{
	struct fixture f = {.err = ERR_INIT};
	struct kube_client *c = client_begin(&f.server, &f.loop, script);
	f.informer = informer_new(c, &(struct informer_options){.type = &things,
	                                                        .ns = "ns",
	                                                        .handler = {.on_change = ignore_change,
	                                                                    .on_undecodable = ignore_undecodable,
	                                                                    .on_trouble = on_trouble,
	                                                                    .on_trouble_over = on_trouble_over,
	                                                                    .arg = &f}});
	assert_null(informer_trouble(f.informer));
	informer_start(f.informer);
	patient_loop_run(&f.loop);
	assert_int_equal(f.troubles, troubles);
	assert_int_equal(f.overs, 1);
	if (!strstr(f.err.message, last))
		print_error("'%s' is not in '%s'\n", last, f.err.message);
	assert_non_null(strstr(f.err.message, last));
	informer_free(f.informer);
	client_end(c, &f.server, &f.loop);
}

/* clang-format off */
static void informer_says_when_it_is_over(void **state)
{
	(void)state;
	/* A streaming list that is refused is no trouble; a page counts when it is taken in, a watch when it is open. */
	over("[{'on':'GET','status':404,'body':'404 page not found'},"
	     "{'on':'GET','status':404,'body':'404 page not found'},"
	     "{'on':'GET','body':{'metadata':{'resourceVersion':'1'},'items':[]}},"
	     "{'on':'GET','lines':[]}]",
	     1, "the server has no resource \"things\" in API group \"g\", version v1");
	over("[" UNAUTHORIZED ","
	     "{'on':'GET','status':503},"
	     "{'on':'GET','lines':[" LIST_END("1") "]}]",
	     2, "503");
}
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unauthorized),
		cmocka_unit_test(informer_says_when_it_is_over),
	};
	http_global_init();
	int failures = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failures;
}
