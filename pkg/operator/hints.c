/* What node autoscalers say about pods: their Events, as far as they are hints, and the newest about a pod. */
#include "base/mem.h"
#include "operator/internal.h"

#define WORDS_MAX_BYTES 512u

/* What is read of an Event. Those of the newer API have other times, and their author elsewhere. */
struct event_fields {
	struct objmeta meta;
	const char *pod, *pod_uid, *reason, *message, *source, *reporting;
	struct wall last, series_last, time;
};

#define FIELD(name, type, member)                                   \
	{                                                               \
		name, type, .offset = offsetof(struct event_fields, member) \
	}
#define OBJECT(name, table)               \
	{                                     \
		name, J_OBJECT, 0, .sub = (table) \
	}

static const struct jfield involved_fields[] = {
	FIELD("name", J_STR, pod),
	FIELD("uid", J_STR, pod_uid),
	{0},
};
static const struct jfield source_fields[] = {FIELD("component", J_STR, source), {0}};
static const struct jfield series_fields[] = {FIELD("lastObservedTime", J_TIME, series_last), {0}};
static const struct jfield event_fields[] = {
	OBJECT("metadata", objmeta_fields),
	OBJECT("involvedObject", involved_fields),
	OBJECT("source", source_fields),
	OBJECT("series", series_fields),
	FIELD("reportingComponent", J_STR, reporting),
	FIELD("reason", J_STR, reason),
	FIELD("message", J_STR, message),
	FIELD("lastTimestamp", J_TIME, last),
	FIELD("eventTime", J_TIME, time),
	{0},
};

/* What is kept of it. */
static const struct jfield pod_event_fields[] = {
	OBJECT("metadata", objmeta_fields),
	{NULL, J_STR, .offset = offsetof(struct pod_event, pod)},
	{NULL, J_STR, .offset = offsetof(struct pod_event, pod_uid)},
	{NULL, J_STR, .offset = offsetof(struct pod_event, newest.words)},
	{0},
};

void *pod_event_decode(struct slice json, struct err *err)
{
	CLEANUP_ARENA struct arena scratch;
	struct event_fields f = {0};
	struct pod_event e = {0};
	struct slice words;

	arena_init(&scratch);
	if (jread(event_fields, json, &scratch, &f, err) < 0)
		return NULL;
	e.meta = f.meta;
	e.newest.hint =
		hint_parse(str_empty(f.source) ? f.reporting : f.source, f.reason, slice_from(f.message), &words);
	if (e.newest.hint != HINT_NONE) {
		e.pod = f.pod;
		e.pod_uid = f.pod_uid;
		e.newest.said = wall_max(wall_max(f.last, f.series_last), wall_max(f.time, f.meta.created));
		e.newest.said = wall_floor_s(e.newest.said);
		if (words.len > WORDS_MAX_BYTES)
			words.len = utf8_cut((struct slice){words.ptr, WORDS_MAX_BYTES});
		e.newest.words = arena_slicedup(&scratch, words);
	} else {
		e.meta.uid = e.meta.owner_uid = NULL;
	}
	return jread_pack(pod_event_fields, &e, sizeof(e));
}

void pod_event_index(const void *obj, store_emit_fn *emit, void *arg)
{
	const struct pod_event *e = obj;
	char key[KEY_SIZE];

	if (str_empty(e->pod))
		return;
	key_format(key, e->meta.ns, e->pod);
	emit(arg, INDEX_POD, key);
}

struct hint_search {
	const struct pod *pod;
	struct classify_hint *newest;
};

static int keep_if_newer(void *arg, const void *obj)
{
	const struct hint_search *s = arg;
	const struct pod_event *e = obj;
	struct classify_hint *newest = s->newest;

	/* A promise in the same second counts: nothing is given up by mistake. */
	if (str_eq(e->pod_uid, s->pod->meta.uid) &&
	    (newest->hint == HINT_NONE || e->newest.said.ms > newest->said.ms ||
	     (e->newest.said.ms == newest->said.ms && e->newest.hint < newest->hint)))
		*newest = e->newest;
	return 0;
}

const struct classify_hint *hints_about(const struct controller *op, const struct pod *const *pods,
                                        size_t n_pods, struct arena *a)
{
	struct classify_hint *hints;
	char key[KEY_SIZE];

	if (!watches_have_events(op) || n_pods == 0)
		return NULL;
	hints = arena_calloc(a, n_pods, sizeof(*hints));
	for (size_t i = 0; i < n_pods; i++) {
		struct hint_search search = {pods[i], &hints[i]};

		key_format(key, pods[i]->meta.ns, pods[i]->meta.name);
		store_each_indexed(controller_store(op, KIND_POD_EVENT), INDEX_POD, key, keep_if_newer, &search);
	}
	return hints;
}
