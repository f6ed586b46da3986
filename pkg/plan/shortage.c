#include "plan/shortage.h"
#include <inttypes.h>
#include <utlist.h>
#include "base/hash.h"
#include "base/map.h"

#define KEY_TEXT_SIZE 17

/* An endpoint with something to say about an entry. */
struct member {
	struct entry *entry;
	const char *endpoint;        /* of its teller */
	struct member *next;         /* of the same endpoint */
	struct member *prev, *after; /* in the entry's line */
	bool in_line;
	bool told; /* while shortages_tell() runs: spoken of */
	bool tries;
	struct wall tries_since;
};

struct entry {
	uint64_t key;
	size_t n_members;
	struct wall struck, until;
	enum pool_reason reason;
	char *message;
	char *striker; /* the endpoint that told the strike; NULL: none, or it has nothing to say any more */
	struct member *holder; /* tries now */
	struct member *line;   /* held back, the longest first */
};

struct teller {
	char *endpoint;
	struct member *members;
};

struct shortages {
	struct map entries; /* by key, as text */
	struct map tellers; /* by endpoint */
	shortages_call_fn *call;
	void *arg;
};

static void free_entry(void *value)
{
	struct entry *e = value;

	free(e->message);
	free(e->striker);
	free(e);
}

static void free_teller(void *value)
{
	struct teller *t = value;

	while (t->members) {
		struct member *m = t->members;

		t->members = m->next;
		free(m);
	}
	free(t->endpoint);
	free(t);
}

struct shortages *shortages_new(shortages_call_fn *call, void *arg)
{
	struct shortages *s = xcalloc(1, sizeof(*s));

	map_init(&s->entries);
	map_init(&s->tellers);
	s->call = call;
	s->arg = arg;
	return s;
}

void shortages_reset(struct shortages *s)
{
	map_done(&s->entries, free_entry);
	map_done(&s->tellers, free_teller);
}

void shortages_free(struct shortages *s)
{
	if (s)
		shortages_reset(s);
	free(s);
}

bool shortages_none(const struct shortages *s)
{
	return map_count(&s->entries) == 0;
}

uint64_t shortage_key(const struct endpoint_pool *p, const struct model *m)
{
	uint64_t h = HASH64_INIT;

	for (size_t i = 0; i < p->n_node_selector; i++)
		h = hash64_str(hash64_str(h, p->node_selector[i].key), p->node_selector[i].value);
	h = hash64_str(hash64_str(h, p->tolerations), p->runtime_class_name);
	for (size_t i = 0; i < m->n_resources; i++) {
		int64_t n = m->resources[i].value;

		h = hash64(hash64_str(h, m->resources[i].key), (struct slice){(const char *)&n, sizeof(n)});
	}
	return h;
}

static bool is_explicit(enum pool_reason r)
{
	return r == REASON_STOCK_OUT || r == REASON_LIMIT || r == REASON_NO_NODES;
}

/* Who waits for something else than nodes must not keep others from these. */
static bool is_about_capacity(enum pool_reason r)
{
	return is_explicit(r) || r == REASON_PENDING || r == REASON_PROVISIONING || r == REASON_RELEASING ||
	       r == REASON_SETTLING;
}

struct shortage_report shortage_report_of(uint64_t key, const struct pool_status *s, bool held_back)
{
	struct shortage_report r = {.key = key, .held_back = held_back};

	r.back_off = s->state == POOL_BACK_OFF && is_explicit(s->reason);
	if (r.back_off) {
		r.reason = s->reason;
		r.struck = s->since;
		if (wall_is_set(s->next_retry)) {
			r.struck = s->last_strike;
			r.until = s->next_retry;
			r.message = s->message;
		}
	}
	r.probes = s->state == POOL_PROBING && s->waiting > 0 && s->strikes > 0;
	r.tries = s->state != POOL_BACK_OFF && s->waiting > 0 && is_about_capacity(s->reason);
	return r;
}

static void key_text(uint64_t key, char buf[static KEY_TEXT_SIZE])
{
	str_format(buf, KEY_TEXT_SIZE, "%016" PRIx64, key);
}

static struct entry *entry_find(const struct shortages *s, uint64_t key)
{
	char text[KEY_TEXT_SIZE];

	key_text(key, text);
	return map_get(&s->entries, text);
}

static struct entry *entry_new(struct shortages *s, const struct shortage_report *r)
{
	struct entry *e = xcalloc(1, sizeof(*e));
	char text[KEY_TEXT_SIZE];

	e->key = r->key;
	e->struck = e->until = r->struck;
	e->reason = r->reason;
	key_text(r->key, text);
	map_put(&s->entries, text, e);
	return e;
}

/* Whose turn it is learns so, or until when it is to wait. The teller knows already. */
static void call_next(const struct shortages *s, const struct entry *e, const struct teller *teller)
{
	if (!e->holder && e->line && (!teller || e->line->endpoint != teller->endpoint))
		s->call(s->arg, e->line->endpoint);
}

static bool entry_strike(struct entry *e, const struct shortage_report *r, const char *endpoint)
{
	if (!wall_is_set(r->until) || (r->struck.ms <= e->struck.ms && e->message))
		return false;
	e->struck = r->struck;
	e->until = r->until;
	e->reason = r->reason;
	free(e->message);
	e->message = xstrdup(r->message ? r->message : "no capacity");
	free(e->striker);
	e->striker = xstrdup(endpoint);
	return true;
}

static void line_set(struct member *m, bool held_back)
{
	if (held_back && !m->in_line)
		DL_APPEND2(m->entry->line, m, prev, after);
	if (!held_back && m->in_line)
		DL_DELETE2(m->entry->line, m, prev, after);
	m->in_line = held_back;
}

/* Not for ever. */
static bool may_hold(const struct member *m, struct wall now)
{
	return m->tries && now.ms < m->tries_since.ms + SHORTAGE_TRY_MAX_MS;
}

static void hold_set(struct member *m, bool tries, struct wall now)
{
	struct entry *e = m->entry;

	if (tries && !m->tries)
		m->tries_since = now;
	m->tries = tries;
	if (e->holder && !may_hold(e->holder, now))
		e->holder = NULL;
	if (!e->holder && may_hold(m, now))
		e->holder = m;
}

static struct member *member_of(struct teller *t, struct entry *e)
{
	struct member *m;

	LL_FOREACH(t->members, m)
	if (m->entry == e)
		return m;
	m = xcalloc(1, sizeof(*m));
	m->entry = e;
	m->endpoint = t->endpoint;
	LL_PREPEND(t->members, m);
	e->n_members++;
	return m;
}

static void tell_one(struct shortages *s, struct teller *t, const struct shortage_report *r, struct wall now)
{
	struct entry *e = entry_find(s, r->key);
	struct entry before;
	struct member *m;

	if (!r->back_off && !r->probes && !(e && (r->tries || r->held_back)))
		return;
	if (!e)
		e = entry_new(s, r);
	before = *e;
	m = member_of(t, e);
	line_set(m, r->held_back || (m->told && m->in_line));
	hold_set(m, r->tries || (m->told && m->tries), now);
	m->told = true;
	if (entry_strike(e, r, t->endpoint) || e->line != before.line || e->holder != before.holder)
		call_next(s, e, t);
}

/* Whoever struck asks no more: nobody else is to wait for the time at which it would have. */
static bool drop_strike(struct entry *e, const struct teller *t, struct wall now)
{
	if (!str_eq(e->striker, t->endpoint))
		return false;
	free(e->striker);
	e->striker = NULL;
	if (now.ms < e->until.ms)
		e->until = now;
	return true;
}

static void drop_member(struct shortages *s, struct teller *t, struct member *m, struct wall now)
{
	struct entry *e = m->entry;
	bool was_next = e->line == m || e->holder == m;
	char text[KEY_TEXT_SIZE];

	was_next = drop_strike(e, t, now) || was_next;
	line_set(m, false);
	if (e->holder == m)
		e->holder = NULL;
	free(m);
	if (--e->n_members == 0) {
		key_text(e->key, text);
		free_entry(map_remove(&s->entries, text));
	} else if (was_next) {
		call_next(s, e, t);
	}
}

static void drop_untold(struct shortages *s, struct teller *t, struct wall now)
{
	struct member **at = &t->members;

	while (*at) {
		struct member *m = *at;

		if (m->told) {
			m->told = false;
			at = &m->next;
		} else {
			*at = m->next;
			drop_member(s, t, m, now);
		}
	}
}

static bool has_news(const struct shortages *s, const struct shortage_report *reports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (reports[i].back_off || reports[i].probes ||
		    ((reports[i].tries || reports[i].held_back) && entry_find(s, reports[i].key)))
			return true;
	return false;
}

void shortages_tell(struct shortages *s, const char *endpoint, const struct shortage_report *reports,
                    size_t n_reports, struct wall now)
{
	struct teller *t = map_get(&s->tellers, endpoint);

	if (!t) {
		if (!has_news(s, reports, n_reports))
			return;
		t = xcalloc(1, sizeof(*t));
		t->endpoint = xstrdup(endpoint);
		map_put(&s->tellers, endpoint, t);
	}
	for (size_t i = 0; i < n_reports; i++)
		tell_one(s, t, &reports[i], now);
	drop_untold(s, t, now);
	if (!t->members)
		free_teller(map_remove(&s->tellers, endpoint));
}

void shortages_bound(struct shortages *s, uint64_t key, struct wall now)
{
	struct entry *e = entry_find(s, key);

	if (!e || e->until.ms <= now.ms)
		return;
	e->until = now;
	call_next(s, e, NULL);
}

void shortages_look(const struct shortages *s, const char *endpoint, uint64_t key, struct plan_shortage *ret)
{
	const struct entry *e = entry_find(s, key);

	*ret = (struct plan_shortage){0};
	if (!e)
		return;
	ret->struck = e->struck;
	ret->until = str_eq(e->striker, endpoint) ? e->struck : e->until;
	ret->reason = e->reason;
	ret->message = e->message;
	if (e->holder && !str_eq(e->holder->endpoint, endpoint))
		ret->taken = wall_add(e->holder->tries_since, SHORTAGE_TRY_MAX_MS);
}
