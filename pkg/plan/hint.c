#include "plan/hint.h"
#include "plan/verdict.h"

#define MESSAGE_MAX_BYTES 16384u
/* Events of the newer API hold no more: what comes as long as this was cut, and hope may have been cut off. */
#define CUT_BYTES 1024u

/* What one entry of the list says about its node group. */
enum entry { ENTRY_UNKNOWN, ENTRY_UNFIT, ENTRY_STOCK_OUT, ENTRY_LIMIT };

struct sign {
	const char *text;
	bool at_front;
	enum entry entry;
};

/* The first that is found decides; the last is all else. */
static const struct sign cluster_autoscaler_signs[] = {
	{"max node group size reached", true, ENTRY_LIMIT},
	{"max cluster ", true, ENTRY_LIMIT}, /* "max cluster cpu, memory limit reached" */
	{"max total nodes in cluster reached", true, ENTRY_LIMIT},
	{"atomic scale-up exceeds cluster node count limit", true, ENTRY_LIMIT},
	{"in backoff after failed scale-up", true, ENTRY_STOCK_OUT},
	{"node(s) didn't match Pod's node affinity", true, ENTRY_UNFIT},
	{"node(s) didn't match node selector", true, ENTRY_UNFIT},
	{"node(s) had untolerated taint", true, ENTRY_UNFIT},
	{"node(s) had taint", true, ENTRY_UNFIT},
	{"Insufficient ", true, ENTRY_UNFIT},
	{"", true, ENTRY_UNKNOWN},
};

/* A NodePool's error may stand in the middle, after what was asked and before its name. Where no type meets the
 * requirements it may be one that is out of stock, or none that is known: that is no proof, and no hope either. */
static const struct sign karpenter_signs[] = {
	{"all available instance types exceed limits for", false, ENTRY_LIMIT},
	{"node limits have been exhausted for nodepool", false, ENTRY_LIMIT},
	{"no instance type has the required offering", false, ENTRY_STOCK_OUT},
	{"no instance type which met the scheduling requirements and had enough resources, had a required "
     "offering",
     false, ENTRY_STOCK_OUT},
	{"no instance type which met the scheduling requirements and the required offering had", false,
     ENTRY_UNFIT},
	{"no instance type which had enough resources and the required offering met", false, ENTRY_UNFIT},
	{"no instance type met the scheduling requirements or had", false, ENTRY_UNFIT},
	{"no instance type had enough resources or had a required offering", false, ENTRY_UNFIT},
	{"no instance type met all requirements", false, ENTRY_UNFIT},
	{"no instance type has enough resources", false, ENTRY_UNFIT},
	{"incompatible requirements, ", false, ENTRY_UNFIT},
	{"did not tolerate ", false, ENTRY_UNFIT},
	/* Requirements of one NodePool are listed like NodePools. */
	{"key ", true, ENTRY_UNFIT},
	{"label ", true, ENTRY_UNFIT},
	{"", true, ENTRY_UNKNOWN},
};

/* What the list comes to. */
struct sum {
	bool hope, stock_out, limit;
	struct slice words;
};

static bool take_prefix(struct slice *s, const char *prefix)
{
	if (!slice_starts(*s, prefix))
		return false;
	*s = slice_skip(*s, strlen(prefix));
	return true;
}

/* Where the text begins in s; s.len when it is not there. */
static size_t find(struct slice s, const char *text)
{
	const char *at = s.len > 0 ? memmem(s.ptr, s.len, text, strlen(text)) : NULL;
	return at ? (size_t)(at - s.ptr) : s.len;
}

/* Splits at the first separator: returns what stands before it, *s is what follows. */
static struct slice take_until(struct slice *s, const char *separator)
{
	size_t n = find(*s, separator), end = n + strlen(separator);
	struct slice before = {s->ptr, n};
	*s = slice_skip(*s, end < s->len ? end : s->len);
	return before;
}

static void add_entry(struct sum *sum, const struct sign *signs, struct slice text)
{
	while (!(signs->at_front ? slice_starts(text, signs->text) : slice_contains(text, signs->text)))
		signs++;
	bool explicit = signs->entry == ENTRY_STOCK_OUT || signs->entry == ENTRY_LIMIT;
	/* Of several the stock-out is what the result says. */
	if (explicit && (sum->words.len == 0 || (signs->entry == ENTRY_STOCK_OUT && !sum->stock_out))) {
		size_t at = find(text, signs->text);
		sum->words = signs->at_front ? text : (struct slice){text.ptr + at, strlen(signs->text)};
	}
	sum->hope = sum->hope || signs->entry == ENTRY_UNKNOWN;
	sum->stock_out = sum->stock_out || signs->entry == ENTRY_STOCK_OUT;
	sum->limit = sum->limit || signs->entry == ENTRY_LIMIT;
}

static enum hint conclude(const struct sum *sum, struct slice *ret_words)
{
	if (sum->hope || (!sum->stock_out && !sum->limit))
		return HINT_NONE;
	*ret_words = sum->words;
	return sum->stock_out ? HINT_STOCK_OUT : HINT_LIMIT;
}

/* "2 max node group size reached, 1 max cluster cpu, memory limit reached": an entry begins with its count, and may
 * have commas. Old versions say in between that "it wouldn't fit if a new node is added". */
static enum hint not_triggered(struct slice text, struct slice *ret_words)
{
	struct sum sum = {0};
	int32_t ignored;

	if (!take_prefix(&text, "pod didn't trigger scale-up"))
		return HINT_NONE;
	take_prefix(&text, " (it wouldn't fit if a new node is added)");
	if (!take_prefix(&text, ": "))
		return HINT_NONE;
	if (text.len > 0 && !verdict_is_counted(text)) { /* about the whole cluster */
		add_entry(&sum, cluster_autoscaler_signs, text);
		return conclude(&sum, ret_words);
	}
	while (text.len > 0)
		add_entry(&sum, cluster_autoscaler_signs, verdict_take_entry(&text, &ignored));
	return conclude(&sum, ret_words);
}

static enum hint failed_scheduling(struct slice text, struct slice *ret_words)
{
	struct sum sum = {0};

	if (!take_prefix(&text, "Failed to schedule pod, "))
		return HINT_NONE;
	while (text.len > 0)
		add_entry(&sum, karpenter_signs, take_until(&text, "; "));
	return conclude(&sum, ret_words);
}

enum hint hint_parse(const char *source, const char *reason, struct slice message, struct slice *ret_words)
{
	*ret_words = (struct slice){"", 0};
	message = slice_trim(message);
	if (message.len > MESSAGE_MAX_BYTES || message.len == CUT_BYTES)
		return HINT_NONE;
	if (str_eq(source, "karpenter") || str_eq(source, "eks-auto-mode/compute")) {
		if (str_eq(reason, "Nominated") && slice_starts(message, "Pod should schedule on: "))
			return HINT_PROVISIONING;
		if (str_eq(reason, "FailedScheduling"))
			return failed_scheduling(message, ret_words);
	} else if (str_eq(source, "cluster-autoscaler")) {
		if (str_eq(reason, "TriggeredScaleUp") && slice_starts(message, "pod triggered scale-up: "))
			return HINT_PROVISIONING;
		if (str_eq(reason, "NotTriggerScaleUp"))
			return not_triggered(message, ret_words);
	}
	return HINT_NONE;
}
