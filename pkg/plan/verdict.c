#include "plan/verdict.h"

#define MESSAGE_MAX_BYTES 16384u

/* Walks the reasons of a message. Sentences end at a dot before a blank or the end: taint keys and resource
 * names have dots inside. */
struct reader {
	struct slice sentence; /* what is left of it */
	struct slice rest;     /* what follows it */
	bool counted;          /* the sentence is a list of "<count> <reason>" */
	bool first;            /* no sentence has been read yet */
};

struct reason {
	struct slice text;
	int32_t count; /* nodes; -1: it stands for all of them */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The number at the front, saturated; returns its bytes, 0 when there is none. */
static size_t take_count(struct slice s, int32_t *ret)
{
	int32_t value = 0;
	size_t n = 0;
	for (; n < s.len && is_digit(s.ptr[n]); n++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, s.ptr[n] - '0', &value))
			value = INT32_MAX;
	*ret = value;
	return n;
}

/* Bytes of "<count> " at the front, 0 when it is something else. */
static size_t take_count_and_blank(struct slice s, int32_t *ret)
{
	size_t n = take_count(s, ret);
	return n > 0 && n < s.len && s.ptr[n] == ' ' ? n + 1 : 0;
}

bool verdict_is_counted(struct slice list)
{
	int32_t ignored;
	return take_count_and_blank(list, &ignored) > 0;
}

struct slice verdict_take_entry(struct slice *list, int32_t *ret_count)
{
	struct slice s = slice_skip(*list, take_count_and_blank(*list, ret_count));
	size_t end = 0;

	while (end < s.len &&
	       !(slice_starts(slice_skip(s, end), ", ") && verdict_is_counted(slice_skip(s, end + 2))))
		end++;
	*list = slice_skip(s, end < s.len ? end + 2 : end);
	return (struct slice){s.ptr, end};
}

/* What the PostFilter plugins say comes last; it repeats counts that mean something else. */
static bool is_post_filter(struct slice sentence)
{
	static const char *const starts[] = {
		"preemption:",
		"no new claims to deallocate",
		"still not schedulable",
	};
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (slice_starts(sentence, starts[i]))
			return true;
	return false;
}

static void split_sentence(struct slice s, struct slice *ret_sentence, struct slice *ret_rest)
{
	size_t i = 0;
	while (i < s.len) {
		if (s.ptr[i] != '.') {
			i++;
			continue;
		}
		size_t dots = i;
		while (dots < s.len && s.ptr[dots] == '.')
			dots++;
		if (dots == s.len || s.ptr[dots] == ' ') {
			*ret_sentence = slice_trim((struct slice){s.ptr, i});
			*ret_rest = slice_trim(slice_skip(s, dots));
			return;
		}
		i = dots;
	}
	*ret_sentence = slice_trim(s);
	*ret_rest = slice_skip(s, s.len);
}

/* False: not a FitError. */
static bool reader_init(struct reader *r, struct slice message, int32_t *ret_nodes)
{
	static const char none[] = "no nodes available to schedule pods";
	static const char available[] = " nodes are available";
	int32_t feasible;

	*r = (struct reader){.first = true};
	*ret_nodes = 0;
	if (message.len > MESSAGE_MAX_BYTES)
		message.len = MESSAGE_MAX_BYTES;
	message = slice_trim(message);
	if (slice_starts(message, none)) {
		r->rest = slice_skip(message, message.len);
		return true;
	}
	size_t n = take_count(message, &feasible);
	if (n == 0 || feasible != 0 || n == message.len || message.ptr[n] != '/')
		return false;
	message = slice_skip(message, n + 1);
	n = take_count(message, ret_nodes);
	if (n == 0 || !slice_starts(slice_skip(message, n), available)) {
		*ret_nodes = 0;
		return false;
	}
	message = slice_skip(message, n + sizeof(available) - 1);
	r->rest = slice_trim(message.len > 0 && message.ptr[0] == ':' ? slice_skip(message, 1) : message);
	return true;
}

static bool next_sentence(struct reader *r)
{
	do {
		if (r->rest.len == 0)
			return false;
		split_sentence(r->rest, &r->sentence, &r->rest);
	} while (r->sentence.len == 0);
	r->counted = verdict_is_counted(r->sentence);
	bool follows = !r->first;
	r->first = false;
	/* Whatever else follows without a count is a PostFilter text that we do not know. */
	return !is_post_filter(r->sentence) && (r->counted || !follows);
}

static bool next_reason(struct reader *r, struct reason *ret)
{
	if (r->sentence.len == 0 && !next_sentence(r)) {
		r->sentence.len = r->rest.len = 0;
		return false;
	}
	if (!r->counted) {
		*ret = (struct reason){.text = r->sentence, .count = -1};
		r->sentence.len = 0;
		return true;
	}
	ret->text = slice_trim(verdict_take_entry(&r->sentence, &ret->count));
	return true;
}

/* Signs from several versions; the first that is found decides, so the order matters: a taint's key may hold
 * any word, and volumes speak of claims and of node affinity too. */
static const struct {
	const char *sign;
	bool at_front;
	enum verdict_kind kind;
} signs[] = {
	{"Insufficient ", true, VERDICT_INSUFFICIENT},
	{"Too many pods", true, VERDICT_INSUFFICIENT},
	{"node(s) had untolerated taint", true, VERDICT_TAINT},
	{"node(s) had taint", true, VERDICT_TAINT},
	{"node(s) were unschedulable", true, VERDICT_UNSCHEDULABLE},
	{"olume", false, VERDICT_VOLUME}, /* Volume, volume, PersistentVolumeClaim, [VolumeBinding] */
	{"pvc", false, VERDICT_VOLUME},
	{"free storage", false, VERDICT_VOLUME},
	{"available disk", false, VERDICT_VOLUME},
	{"CSI", false, VERDICT_VOLUME},
	{"StorageClass", false, VERDICT_VOLUME},
	{"topology spread", false, VERDICT_PLACEMENT},
	{"affinity rules", false, VERDICT_PLACEMENT},
	{"free ports", false, VERDICT_PLACEMENT},
	{"didn't match Pod's node affinity", false, VERDICT_NO_MATCH},
	{"didn't match node selector", false, VERDICT_NO_MATCH},
	{"enforced node affinity", false, VERDICT_NO_MATCH},
	{"NodeAffinity", false, VERDICT_NO_MATCH}, /* "node(s) didn't satisfy plugin(s) [NodeAffinity]" */
	{"claim", false, VERDICT_CLAIM},
	{"device class", false, VERDICT_CLAIM},
	{"cannot fit resource", true, VERDICT_CLAIM}, /* an extended resource that devices stand behind */
};

static enum verdict_kind kind_of(struct slice text)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (signs[i].at_front ? slice_starts(text, signs[i].sign) : slice_contains(text, signs[i].sign))
			return signs[i].kind;
	return VERDICT_OTHER;
}

static void note_resource(struct slice text, char buf[static VERDICT_RESOURCE_SIZE])
{
	static const char insufficient[] = "Insufficient ";
	if (buf[0] != '\0' || !slice_starts(text, insufficient))
		return;
	text = slice_skip(text, sizeof(insufficient) - 1);
	size_t n = 0;
	/* The characters of a resource name, so that what goes into messages is clean. */
	while (n < text.len && n < VERDICT_RESOURCE_SIZE - 1 &&
	       (is_digit(text.ptr[n]) || (text.ptr[n] >= 'a' && text.ptr[n] <= 'z') ||
	        (text.ptr[n] >= 'A' && text.ptr[n] <= 'Z') ||
	        (text.ptr[n] != '\0' && strchr("./-_", text.ptr[n]) != NULL))) {
		buf[n] = text.ptr[n];
		n++;
	}
	buf[n] = '\0';
}

void verdict_parse(struct slice message, struct verdict *ret)
{
	struct reader r;
	struct reason reason;

	*ret = (struct verdict){0};
	ret->understood = reader_init(&r, message, &ret->nodes);
	if (!ret->understood)
		return;
	while (next_reason(&r, &reason)) {
		enum verdict_kind kind = kind_of(reason.text);
		int32_t *count = &ret->count[kind];
		bool several = kind == VERDICT_INSUFFICIENT || kind == VERDICT_VOLUME;
		if (reason.count < 0) {
			ret->prefilter = true;
			*count = ret->nodes;
		} else if (several) {
			*count = reason.count > *count ? reason.count : *count;
		} else if (__builtin_add_overflow(*count, reason.count, count)) {
			*count = INT32_MAX;
		}
		if (*count > ret->nodes)
			*count = ret->nodes;
		note_resource(reason.text, ret->resource);
	}
}

static bool others_say_so_too(struct slice text)
{
	enum verdict_kind kind = kind_of(text);
	return kind == VERDICT_NO_MATCH || kind == VERDICT_TAINT || kind == VERDICT_UNSCHEDULABLE;
}

void verdict_words(struct slice message, struct buf *out)
{
	struct reader r;
	struct reason reason;
	int32_t nodes;
	bool own = false;

	if (!reader_init(&r, message, &nodes))
		return;
	while (next_reason(&r, &reason))
		own = own || !others_say_so_too(reason.text);

	const char *separator = "";
	reader_init(&r, message, &nodes);
	while (next_reason(&r, &reason)) {
		if (own && others_say_so_too(reason.text))
			continue;
		buf_add_str(out, separator);
		buf_add_utf8(out, reason.text);
		separator = ", ";
	}
}
