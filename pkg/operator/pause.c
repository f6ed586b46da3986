/* What is not asked again at once: what the API server has refused, names that are taken, templates that somebody changes
 * again and again. */
#include "base/hash.h"
#include "base/log.h"
#include "operator/internal.h"

#define PAUSE_MS (2 * MS_PER_S) /* a namespace is young: its ServiceAccount comes any moment */
#define PAUSE_MAX_MS (300 * MS_PER_S)
#define RESTORED_QUIET_MS (600 * MS_PER_S)

/* It doubles with each that came before. */
static struct mono pause_end(const struct work *w, unsigned before)
{
	int64_t ms = PAUSE_MS;

	for (unsigned i = 0; i < before && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	return (struct mono){loop_now(w->op->loop).ms + (ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS)};
}

struct refusal *refusal_find(struct work *w, enum kind kind, const char *name)
{
	for (struct refusal *r = w->refusals; r; r = r->next)
		if (r->kind == kind && str_eq(r->name, name))
			return r;
	return NULL;
}

bool refusal_pauses(struct work *w, enum kind kind, const char *name)
{
	const struct refusal *r = refusal_find(w, kind, name);

	return r && loop_now(w->op->loop).ms < r->retry_at.ms;
}

struct refusal *refusal_put(struct work *w, enum kind kind, const char *name, const char *reason,
                            const char *message)
{
	struct refusal *r = refusal_find(w, kind, name);

	if (!r) {
		r = xcalloc(1, sizeof(*r));
		r->kind = kind;
		r->name = xstrdup(name);
		r->next = w->refusals;
		w->refusals = r;
	}
	r->retry_at = pause_end(w, r->tries++);
	r->reason = reason;
	free(r->message);
	r->message = xstrdup(message);
	r->no_right = false;
	return r;
}

void refusal_clear(struct work *w, enum kind kind, const char *name)
{
	for (struct refusal **r = &w->refusals; *r; r = &(*r)->next)
		if ((*r)->kind == kind && str_eq((*r)->name, name)) {
			struct refusal *gone = *r;

			*r = gone->next;
			free(gone->name);
			free(gone->message);
			free(gone);
			return;
		}
}

void refusals_clear_gone(struct work *w)
{
	struct refusal *next;

	for (struct refusal *r = w->refusals; r; r = next) {
		next = r->next;
		if (r->kind == KIND_POD && !store_get(controller_store(w->op, KIND_POD), w->ns, r->name))
			refusal_clear(w, KIND_POD, r->name);
	}
}

static void drop_quiet(struct work *w)
{
	int64_t now_ms = loop_now(w->op->loop).ms;

	for (size_t i = w->n_restored; i-- > 0;)
		if (now_ms - w->restored[i].until.ms >= RESTORED_QUIET_MS)
			w->restored[i] = w->restored[--w->n_restored];
}

void restored_put(struct work *w, const char *deployment)
{
	uint64_t hash = hash64_str(HASH64_INIT, deployment);
	size_t i = 0;

	drop_quiet(w);
	while (i < w->n_restored && w->restored[i].name_hash != hash)
		i++;
	if (i == w->n_restored) {
		w->restored = xreallocarray(w->restored, ++w->n_restored, sizeof(*w->restored));
		w->restored[i] = (struct restored){.name_hash = hash};
	}
	w->restored[i].until = pause_end(w, w->restored[i].times++);
}

bool restored_pauses(const struct work *w, const char *deployment)
{
	uint64_t hash = hash64_str(HASH64_INIT, deployment);

	for (size_t i = 0; i < w->n_restored; i++)
		if (w->restored[i].name_hash == hash)
			return loop_now(w->op->loop).ms < w->restored[i].until.ms;
	return false;
}

void refusal_put_name(struct work *w, enum kind kind, const char *name, const char *reason, const char *what)
{
	const struct refusal *known = refusal_find(w, kind, name);
	char text[512];

	str_format(text, sizeof(text), "%s %s %s", controller_types[kind].resource.kind, name, what);
	if (!known || !str_eq(known->reason, reason))
		LOG_WARN("name cannot be used", LOG_STR("endpoint", w->key), LOG_STR("reason", reason),
		         LOG_STR("why", text));
	refusal_put(w, kind, name, reason, text);
}

void refusal_put_taken(struct work *w, enum kind kind, const char *name)
{
	refusal_put_name(w, kind, name, "NameTaken", "exists and belongs to somebody else; it is left alone");
}
