/* What a lease reads, writes and accepts as options; how it behaves is test_lease.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "kube/lease.h"

static const struct lease_options usual = {
	.identity = "me", .duration_ms = 15000, .renew_deadline_ms = 10000, .retry_period_ms = 2000};

static void bodies(void **state)
{
	(void)state;
	static const struct {
		enum lease_call call;
		int32_t transitions;
		const char *body;
	} cases[] = {
		{LEASE_CREATE, 3,
	     "{'metadata':{'name':'op'},'spec':{'holderIdentity':'me','leaseDurationSeconds':15,"
	     "'renewTime':'2026-11-25T17:00:00.123000Z','acquireTime':'2026-11-25T17:00:00.123000Z',"
	     "'leaseTransitions':0},'apiVersion':'coordination.k8s.io/v1','kind':'Lease'}"},
		{LEASE_TAKE, 3,
	     "{'metadata':{'resourceVersion':'77'},'spec':{'holderIdentity':'me','leaseDurationSeconds':15,"
	     "'renewTime':'2026-11-25T17:00:00.123000Z','acquireTime':'2026-11-25T17:00:00.123000Z',"
	     "'leaseTransitions':4}}"},
		{LEASE_TAKE, INT32_MAX,
	     "{'metadata':{'resourceVersion':'77'},'spec':{'holderIdentity':'me','leaseDurationSeconds':15,"
	     "'renewTime':'2026-11-25T17:00:00.123000Z','acquireTime':'2026-11-25T17:00:00.123000Z',"
	     "'leaseTransitions':2147483647}}"},
		{LEASE_RENEW, 3,
	     "{'metadata':{'resourceVersion':'77'},'spec':{'holderIdentity':'me','leaseDurationSeconds':15,"
	     "'renewTime':'2026-11-25T17:00:00.123000Z'}}"},
		{LEASE_RELEASE, 3,
	     "{'metadata':{'resourceVersion':'77'},'spec':{'holderIdentity':'','leaseDurationSeconds':1,"
	     "'renewTime':'2026-11-25T17:00:00.123000Z','acquireTime':'2026-11-25T17:00:00.123000Z'}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct lease l;
		struct err err = ERR_INIT;
		struct wall now;
		assert_int_equal(wall_parse(SLICE_LIT("2026-11-25T17:00:00.123Z"), &now, &err), 0);
		lease_init(&l, &usual, 1);
		l.call = cases[i].call;
		l.record = (struct lease_record){.resource_version = "77", .transitions = cases[i].transitions};
		CLEANUP_BUF struct buf out;
		buf_init(&out, 4096);
		lease_body(&l, "op", now, &out);
		CLEANUP_FREE char *expected = xstrdup(cases[i].body);
		for (char *p = expected; (p = strchr(p, '\'')) != NULL;)
			*p = '"';
		CLEANUP_JSON json_t *got_json = json_parse(buf_slice(&out), &err);
		CLEANUP_JSON json_t *expected_json = json_parse(slice_from(expected), &err);
		assert_non_null(got_json);
		assert_non_null(expected_json);
		if (!json_equal(got_json, expected_json))
			assert_string_equal(out.ptr, expected);
	}
}

static void records(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		int rc;
		struct lease_record record;
	} cases[] = {
		{"{\"metadata\":{\"resourceVersion\":\"9\"},\"spec\":{\"holderIdentity\":\"h\","
	     "\"leaseDurationSeconds\":15,\"leaseTransitions\":2,\"renewTime\":\"nonsense\",\"acquireTime\":7}}",
	     0,
	     {.resource_version = "9", .holder = "h", .duration_ms = 15000, .transitions = 2}},
		{"{\"metadata\":{\"resourceVersion\":\"9\"}}", 0, {.resource_version = "9"}},
		{"{\"metadata\":{\"resourceVersion\":\"9\"},\"spec\":{\"holderIdentity\":null,"
	     "\"leaseDurationSeconds\":-1}}",
	     0,
	     {.resource_version = "9"}},
		{"{\"metadata\":{}}", -1, {{0}}},
		{"{\"metadata\":{\"resourceVersion\":\"0123456789012345678901234567890123456789012345678901234567890"
	     "123456789\"}}",
	     -1,
	     {{0}}},
		{"{\"metadata\":{\"resourceVersion\":\"9\"},\"spec\":{\"leaseDurationSeconds\":\"15\"}}", -1, {{0}}},
		{"[]", -1, {{0}}},
		{"", -1, {{0}}},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct lease_record r = {{0}};
		struct err err = ERR_INIT;
		int rc = lease_record_read(slice_from(cases[i].json), &r, &err);
		assert_int_equal(rc, cases[i].rc);
		if (rc < 0) {
			assert_true(str_starts(err.message, "lease: "));
			continue;
		}
		assert_string_equal(r.resource_version, cases[i].record.resource_version);
		assert_string_equal(r.holder, cases[i].record.holder);
		assert_int_equal(r.duration_ms, cases[i].record.duration_ms);
		assert_int_equal(r.transitions, cases[i].record.transitions);
	}
}

static void options(void **state)
{
	(void)state;
	char long_identity[LEASE_NAME_SIZE + 1] = "";
	memset(long_identity, 'x', LEASE_NAME_SIZE);
	const struct {
		struct lease_options o;
		const char *says; /* NULL: fine */
	} cases[] = {
		{usual, NULL},
		{{"me", 1000, 600, 200}, NULL},
		{{"me", 2000, 1201, 1000}, NULL},
		{{"me", 2000, 1200, 1000}, "1.2"},
		{{"me", 15000, 15000, 2000}, "longer than the renew deadline"},
		{{"me", 15500, 10000, 2000}, "whole"},
		{{"me", 0, -5000, 2000}, "1.2"},
		{{"me", -15000, 10000, 2000}, "longer than the renew deadline"},
		{{"me", INT64_C(5000000000000), 10000, 2000}, "whole"},
		{{"me", 15000, INT64_MAX, 2000}, "longer than the renew deadline"},
		{{"me", 15000, 10000, INT64_MAX}, "1.2"},
		{{"me", 15000, 10000, 0}, "retry period"},
		{{"me", 15000, 10000, 99}, "retry period"},
		{{"", 15000, 10000, 2000}, "identity"},
		{{NULL, 15000, 10000, 2000}, "identity"},
		{{long_identity, 15000, 10000, 2000}, "identity"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		int rc = lease_options_check(&cases[i].o, &err);
		assert_int_equal(rc, cases[i].says ? -1 : 0);
		if (cases[i].says)
			assert_non_null(strstr(err.message, cases[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(records),
		cmocka_unit_test(options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
