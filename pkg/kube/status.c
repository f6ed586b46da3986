#include "base/jread.h"
#include "kube/client.h"

/* How much of a body that is no Status (a proxy's page, a plain text) is worth showing. */
#define STATUS_TEXT_BYTES 200

struct status {
	const char *kind, *message, *reason;
	int64_t code, retry_after_s;
};

static const struct jfield details_fields[] = {
	{"retryAfterSeconds", J_I64, .offset = offsetof(struct status, retry_after_s)},
	{0},
};
static const struct jfield status_fields[] = {
	{"kind", J_STR, .offset = offsetof(struct status, kind)},
	{"message", J_STR, .offset = offsetof(struct status, message)},
	{"reason", J_STR, .offset = offsetof(struct status, reason)},
	{"code", J_I64, .offset = offsetof(struct status, code)},
	{"details", J_OBJECT, .sub = details_fields},
	{0},
};

/* One CamelCase word; whatever else a server puts there does not belong into logs and conditions. */
static bool is_reason(const char *s)
{
	for (const char *p = s; *p; p++) {
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
			return false;
	}
	return *s != '\0';
}

static void describe(const struct status *st, int http_status, struct slice body, struct err *err)
{
	if (!str_empty(st->message)) {
		err_set(err, ERR_HTTP, "%s", st->message);
		return;
	}
	if (!str_empty(st->reason)) {
		err_set(err, ERR_HTTP, "%s", st->reason);
		return;
	}
	struct slice text = slice_trim(body);
	if (text.len > STATUS_TEXT_BYTES)
		text.len = utf8_cut((struct slice){text.ptr, STATUS_TEXT_BYTES});
	if (text.len == 0 || text.ptr[0] == '<' || text.ptr[0] == '{')
		err_set(err, ERR_HTTP, "HTTP status %d", http_status);
	else
		err_set(err, ERR_HTTP, "HTTP status %d: " SLICE_FMT, http_status, SLICE_ARG(text));
}

void kube_status_to_err(int http_status, int64_t retry_after_ms, struct slice body, struct err *err)
{
	CLEANUP_ARENA struct arena arena;
	arena_init(&arena);
	struct status st = {0};
	struct err unreadable = ERR_INIT;
	if (jread(status_fields, body, &arena, &st, &unreadable) < 0 || !str_eq(st.kind, "Status"))
		st = (struct status){0};

	if (http_status == 0)
		http_status = st.code >= 400 && st.code <= 599 ? (int)st.code : 500;
	describe(&st, http_status, body, err);
	err->http_status = http_status;
	if (st.reason && is_reason(st.reason))
		str_copy(err->reason, sizeof(err->reason), st.reason);
	if (retry_after_ms >= 0)
		err->retry_after_ms = retry_after_ms;
	else if (st.retry_after_s > 0 && st.retry_after_s <= INT32_MAX)
		err->retry_after_ms = st.retry_after_s * MS_PER_S;
}
