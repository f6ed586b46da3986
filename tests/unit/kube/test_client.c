#include <stdio.h>
#include <sys/stat.h>
#include "scripted_server.h"

static const struct kube_resource pods = {
	.group = "", .version = "v1", .plural = "pods", .kind = "Pod", .namespaced = true};
static const struct kube_resource deployments = {
	.group = "apps", .version = "v1", .plural = "deployments", .kind = "Deployment", .namespaced = true};

struct fixture {
	struct server server;
	struct patient_loop loop;
	struct kube_client *client;
	unsigned to_come;
};

struct answer {
	struct fixture *fixture;
	unsigned calls;
	enum kube_outcome outcome;
	struct err err;
	int http_status;
	struct wall date;
	char uid[64], resource_version[64], body[256];
};

static void on_answer(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	struct answer *a = arg;
	a->calls++;
	a->outcome = outcome;
	a->err = *err;
	a->http_status = r->http_status;
	a->date = r->date;
	str_copy(a->uid, sizeof(a->uid), r->uid);
	str_copy(a->resource_version, sizeof(a->resource_version), r->resource_version);
	str_format(a->body, sizeof(a->body), SLICE_FMT, SLICE_ARG(r->body));
	if (--a->fixture->to_come == 0)
		loop_stop(a->fixture->loop.loop);
}

static void begin(struct fixture *f, const char *script, struct kube_config *cfg, struct metrics *m)
{
	*f = (struct fixture){0};
	server_start(&f->server, script);
	patient_loop_init(&f->loop);
	struct err err = ERR_INIT;
	cfg->server = f->server.url;
	f->client = kube_client_new(f->loop.loop, cfg,
	                            &(struct kube_client_options){.user_agent = "t", .metrics = m}, &err);
	assert_non_null(f->client);
}

static void end(struct fixture *f)
{
	kube_client_free(f->client);
	patient_loop_done(&f->loop);
	server_stop(&f->server);
}

static struct kube_call *start(struct fixture *f, const struct kube_request *rq, struct answer *a)
{
	*a = (struct answer){.fixture = f};
	f->to_come++;
	struct kube_call *call = kube_client_call(f->client, rq, on_answer, a);
	assert_int_equal(a->calls, 0);
	return call;
}

static void call(struct fixture *f, const struct kube_request *rq, struct answer *a)
{
	start(f, rq, a);
	patient_loop_run(&f->loop);
	assert_int_equal(a->calls, 1);
}

#define POD(n) .resource = &pods, .ns = "ns", .name = (n)

static const char requests_script[] =
	"[{'on':'GET /api/v1/namespaces/ns/pods/p','body':{'metadata':{'uid':'u1','resourceVersion':'7'}}},"
	"{'on':'GET /api/v1/pods?','body':{'metadata':{'resourceVersion':'9'},'items':[]}},"
	"{'on':'POST /','status':201,'body':{'metadata':{'uid':'u2','resourceVersion':'8'}}},"
	"{'on':'PATCH /'},"
	"{'on':'PATCH /'},"
	"{'on':'PATCH /','body':'no JSON'},"
	"{'on':'DELETE /'},"
	"{'on':'DELETE /'},"
	"{'on':'GET /version','body':{'major':'1'}}]";

static void test_requests(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a;
	char token[] = "abc";
	begin(&f, requests_script, &(struct kube_config){.token = token}, NULL);

	call(&f, &(struct kube_request){.verb = KUBE_GET, POD("p"), .body = SLICE_LIT("ignored")}, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	assert_int_equal(a.err.code, ERR_NONE);
	assert_string_equal(a.uid, "u1");
	assert_string_equal(a.resource_version, "7");

	call(&f,
	     &(struct kube_request){.verb = KUBE_LIST,
	                            .resource = &pods,
	                            .label_selector = "a=b,c in (d,e)",
	                            .field_selector = "spec.nodeName=n",
	                            .limit = 5,
	                            .continue_token = "x+/="},
	     &a);
	assert_int_equal(a.outcome, KUBE_DONE);

	call(&f,
	     &(struct kube_request){.verb = KUBE_CREATE,
	                            .resource = &deployments,
	                            .ns = "ns",
	                            .body = SLICE_LIT("{\"n\":0}"),
	                            .field_manager = "a&b",
	                            .dry_run = true},
	     &a);
	assert_int_equal(a.http_status, 201);
	assert_string_equal(a.uid, "u2");

	struct kube_request patch = {
		.verb = KUBE_PATCH_JSON, POD("p"), .body = SLICE_LIT("[]"), .field_manager = "m", .force = true};
	call(&f, &patch, &a);
	patch.verb = KUBE_PATCH_MERGE;
	patch.subresource = "status";
	call(&f, &patch, &a);
	patch.verb = KUBE_APPLY;
	call(&f, &patch, &a);
	assert_int_equal(a.outcome, KUBE_DONE);
	assert_string_equal(a.uid, "");
	assert_string_equal(a.body, "no JSON");

	call(&f, &(struct kube_request){.verb = KUBE_DELETE, POD("p")}, &a);
	call(&f,
	     &(struct kube_request){.verb = KUBE_DELETE,
	                            POD("p"),
	                            .precondition_uid = "u",
	                            .dry_run = true,
	                            .precondition_resource_version = "3"},
	     &a);

	a = (struct answer){.fixture = &f};
	f.to_come = 1;
	kube_client_get_path(f.client, "/version", on_answer, &a);
	patient_loop_run(&f.loop);
	assert_string_equal(a.body, "{\"major\": \"1\"}");
	end(&f);

	const struct {
		const char *request, *type, *body;
	} want[] = {
		{"GET /api/v1/namespaces/ns/pods/p", "", ""},
		{"GET /api/v1/pods?labelSelector=a%3Db%2Cc%20in%20%28d%2Ce%29&fieldSelector=spec.nodeName%3Dn&limit=5"
	     "&continue=x%2B%2F%3D",
	     "", ""},
		{"POST /apis/apps/v1/namespaces/ns/deployments?fieldManager=a%26b&dryRun=All", "application/json",
	     "{\"n\":0}"},
		{"PATCH /api/v1/namespaces/ns/pods/p?fieldManager=m", "application/json-patch+json", "[]"},
		{"PATCH /api/v1/namespaces/ns/pods/p/status?fieldManager=m", "application/merge-patch+json", "[]"},
		{"PATCH /api/v1/namespaces/ns/pods/p/status?fieldManager=m&force=true",
	     "application/apply-patch+yaml", "[]"},
		{"DELETE /api/v1/namespaces/ns/pods/p", "application/json",
	     "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\"}"},
		{"DELETE /api/v1/namespaces/ns/pods/p", "application/json",
	     "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"Background\",\"dryRun\":["
	     "\"All\"],"
	     "\"preconditions\":{\"uid\":\"u\",\"resourceVersion\":\"3\"}}"},
		{"GET /version", "", ""},
	};
	assert_int_equal(json_array_size(f.server.requests), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(server_saw(&f.server, i, "request"), want[i].request);
		assert_string_equal(server_saw(&f.server, i, "type"), want[i].type);
		assert_string_equal(server_saw(&f.server, i, "body"), want[i].body);
		assert_string_equal(server_saw(&f.server, i, "authorization"), "Bearer abc");
	}
	server_done(&f.server);
}

static void test_outcomes(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		enum kube_outcome patch;
		enum err_code code;
	} cases[] = {
		{"'status':302", KUBE_UNKNOWN, ERR_HTTP},
		{"'status':409,'headers':{'Date':'Wed, 25 Nov 2026 17:00:00 GMT'}", KUBE_NOT_DONE, ERR_HTTP},
		{"'status':422,'headers':{'Date':'yesterday'}", KUBE_NOT_DONE, ERR_HTTP},
		{"'status':429,'headers':{'Retry-After':'7'}", KUBE_NOT_DONE, ERR_HTTP},
		{"'status':500", KUBE_UNKNOWN, ERR_HTTP},
		{"'status':503", KUBE_UNKNOWN, ERR_HTTP},
		{"'status':504", KUBE_UNKNOWN, ERR_HTTP},
		{"'cut':true", KUBE_UNKNOWN, ERR_TRANSPORT},
		{"'hang':true", KUBE_UNKNOWN, ERR_TIMEOUT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		struct answer a;
		CLEANUP_FREE char *script =
			xasprintf("[{'on':'PATCH /',%s,'body':{'kind':'Status','reason':'Why','message':'so'}},"
		              "{'on':'GET /',%s}]",
		              cases[i].answer, cases[i].answer);
		begin(&f, script, &(struct kube_config){0}, NULL);
		int64_t timeout_ms = cases[i].code == ERR_TIMEOUT ? 300 : 0;
		call(&f, &(struct kube_request){.verb = KUBE_PATCH_JSON, POD("p"), .timeout_ms = timeout_ms}, &a);
		assert_int_equal(a.outcome, cases[i].patch);
		assert_int_equal(a.err.code, cases[i].code);
		assert_int_equal(a.date.ms, a.http_status == 409 ? INT64_C(1795626000000) : 0);
		if (cases[i].code == ERR_HTTP) {
			assert_string_equal(a.err.reason, "Why");
			assert_string_equal(a.err.message, "so");
			assert_int_equal(a.err.http_status, a.http_status);
			assert_int_equal(a.err.retry_after_ms, a.http_status == 429 ? 7000 : -1);
		}
		call(&f, &(struct kube_request){.verb = KUBE_GET, POD("p"), .timeout_ms = timeout_ms}, &a);
		assert_int_equal(a.outcome, KUBE_NOT_DONE);
		end(&f);
		assert_string_equal(server_saw(&f.server, 0, "authorization"), "");
		server_done(&f.server);
	}
}

static void test_nobody_there(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a;
	begin(&f, "[]", &(struct kube_config){0}, NULL);
	server_stop(&f.server);
	server_done(&f.server);
	call(&f, &(struct kube_request){.verb = KUBE_DELETE, POD("p")}, &a);
	assert_int_equal(a.outcome, KUBE_NOT_DONE);
	assert_int_equal(a.err.code, ERR_CONNECT);
	assert_int_equal(a.http_status, 0);
	kube_client_free(f.client);
	patient_loop_done(&f.loop);
}

/* A request for one object must never become one for the whole collection, or for something above. */
static void test_refused_requests(void **state)
{
	(void)state;
	const struct kube_request requests[] = {
		{.verb = KUBE_DELETE, .resource = &pods, .ns = "ns"},
		{.verb = KUBE_DELETE, .resource = &pods, .ns = "ns", .name = ""},
		{.verb = KUBE_DELETE, .resource = &pods, .ns = "ns", .name = ".."},
		{.verb = KUBE_GET, .resource = &pods, .name = "p"},
		{.verb = KUBE_PATCH_JSON, .resource = &pods, .ns = "..", .name = "p"},
		{.verb = KUBE_CREATE, .resource = &pods},
	};
	struct fixture f;
	struct answer a;
	begin(&f, "[]", &(struct kube_config){0}, NULL);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		call(&f, &requests[i], &a);
		assert_int_equal(a.outcome, KUBE_NOT_DONE);
		assert_int_equal(a.err.code, ERR_INVALID);
	}
	kube_call_cancel(start(&f, &requests[0], &a));
	start(&f, &requests[0], &a);
	end(&f);
	assert_int_equal(a.calls, 0);
	assert_int_equal(json_array_size(f.server.requests), 0);
	server_done(&f.server);
}

static void test_cancel_and_free(void **state)
{
	(void)state;
	struct fixture f;
	struct answer a, b, c;
	begin(&f,
	      "[{'on':'GET /api/v1/namespaces/ns/pods/hangs','hang':true},"
	      "{'on':'GET /'},{'on':'GET /'}]",
	      &(struct kube_config){0}, NULL);
	/* Without TLS libcurl waits for a first answer before it makes a second connection. */
	struct kube_request rq = {.verb = KUBE_GET, POD("p")};
	call(&f, &rq, &a);
	rq.name = "hangs";
	struct kube_call *hangs = start(&f, &rq, &a);
	f.to_come--;
	rq.name = "p";
	call(&f, &rq, &b);
	kube_call_cancel(hangs);
	start(&f, &rq, &c);
	end(&f);
	assert_int_equal(a.calls, 0);
	assert_int_equal(c.calls, 0);
	server_done(&f.server);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_token_file(void **state)
{
	(void)state;
	char dir[] = "/tmp/test_client.XXXXXX";
	assert_non_null(mkdtemp(dir));
	CLEANUP_FREE char *path = xasprintf("%s/token", dir);
	CLEANUP_FREE char *fresh = xasprintf("%s/fresh", dir);
	char first[] = "first";
	struct kube_config cfg = {.token = first, .token_file = path};
	struct kube_request rq = {.verb = KUBE_GET, POD("p")};
	struct fixture f;
	struct answer a;
	begin(&f,
	      "[{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},{'on':'GET'},"
	      "{'on':'GET','status':401},{'on':'GET'}]",
	      &cfg, NULL);
	call(&f, &rq, &a); /* no file yet */
	write_file(path, "second\n");
	call(&f, &rq, &a);
	write_file(path, "");
	call(&f, &rq, &a);
	write_file(path, "x\r\nInjected: y");
	call(&f, &rq, &a);
	write_file(fresh, "third");
	assert_int_equal(rename(fresh, path), 0);
	call(&f, &rq, &a);
	assert_int_equal(unlink(path), 0);
	call(&f, &rq, &a);
	write_file(path, "four");
	call(&f, &rq, &a);
	assert_int_equal(a.err.http_status, 401);
	/* A change that stat does not show is found because of the 401. */
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	write_file(path, "five");
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
	call(&f, &rq, &a);
	end(&f);
	const char *const want[] = {"first", "second", "second", "second", "third", "third", "four", "five"};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CLEANUP_FREE char *header = xasprintf("Bearer %s", want[i]);
		assert_string_equal(server_saw(&f.server, i, "authorization"), header);
	}
	server_done(&f.server);

	/* A file alone must be there from the start. */
	struct err err = ERR_INIT;
	struct loop *loop = loop_new();
	char server[] = "http://127.0.0.1:1";
	assert_int_equal(unlink(path), 0);
	cfg = (struct kube_config){.server = server, .token_file = path};
	assert_null(kube_client_new(loop, &cfg, &(struct kube_client_options){0}, &err));
	assert_non_null(strstr(err.message, path));
	loop_free(loop);
	assert_int_equal(rmdir(dir), 0);
}

static void test_metrics(void **state)
{
	(void)state;
	struct metrics *m = metrics_new();
	struct fixture f;
	struct answer a;
	begin(&f, "[{'on':'GET'},{'on':'GET','status':403},{'on':'POST','cut':true}]", &(struct kube_config){0},
	      m);
	struct kube_request rq = {.verb = KUBE_GET, POD("p")};
	call(&f, &rq, &a);
	call(&f, &rq, &a);
	call(&f,
	     &(struct kube_request){.verb = KUBE_CREATE, .resource = &pods, .ns = "ns", .body = SLICE_LIT("{}")},
	     &a);
	kube_client_note_answer(f.client, "watch", &pods, 200, -1);
	end(&f);
	server_done(&f.server);
	CLEANUP_BUF struct buf text;
	buf_init(&text, 1u << 20);
	metrics_write(m, &text);
	const char *const want[] = {
		"instancepool_api_requests_total{verb=\"get\",resource=\"pods\",code=\"200\"} 1",
		"instancepool_api_requests_total{verb=\"get\",resource=\"pods\",code=\"403\"} 1",
		"instancepool_api_requests_total{verb=\"create\",resource=\"pods\",code=\"none\"} 1",
		"instancepool_api_requests_total{verb=\"watch\",resource=\"pods\",code=\"200\"} 1",
		"instancepool_api_request_duration_seconds_count{verb=\"get\"} 2",
		"instancepool_api_request_duration_seconds_count{verb=\"create\"} 1",
	};
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_non_null(strstr(text.ptr, want[i]));
	assert_null(strstr(text.ptr, "duration_seconds_count{verb=\"watch\"}"));
	metrics_free(m);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(kube_outcome_name(KUBE_DONE), "done");
	assert_string_equal(kube_outcome_name(KUBE_NOT_DONE), "not_done");
	assert_string_equal(kube_outcome_name(KUBE_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),        cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_nobody_there),    cmocka_unit_test(test_refused_requests),
		cmocka_unit_test(test_cancel_and_free), cmocka_unit_test(test_token_file),
		cmocka_unit_test(test_metrics),         cmocka_unit_test(test_names),
	};
	http_global_init();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_global_done();
	return failed;
}
