#include "sim/acts.h"
#include <inttypes.h>
#include "base/mem.h"

#define MAX_FAULTY_WRITES 100
#define MAX_INSTANCES 1000

const char *const story_type_names[CLUSTER_MAX_TYPES] = {"p5", "g6", "g5", "g4"};
const char *const story_endpoint_names[STORY_MAX_ENDPOINTS] = {"a", "b", "c", "d"};

static const char *fault_word(int word)
{
	return network_fault_name((enum network_fault)word);
}

static const char *watch_fault_word(int word)
{
	return network_watch_fault_name((enum network_watch_fault)word);
}

static const char *point_word(int word)
{
	return network_point_name((enum network_point)word);
}

static const char *failure_word(int word)
{
	static const char *const words[] = {
		[CLUSTER_UNREADY] = "unready", [CLUSTER_CRASH] = "crash", [CLUSTER_IMAGE] = "image"};

	return words[word];
}

#define ON_NODE ARGUMENT_TYPE, ARGUMENT_N

static const struct act_form forms[ACT_TYPE_COUNT] = {
	[ACT_SCALE] = {"scale", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 0, MAX_INSTANCES},
	[ACT_EDIT_MODEL] = {"edit-model", {ARGUMENT_ENDPOINT}},
	[ACT_EDIT_BACK] = {"edit-back", {ARGUMENT_ENDPOINT}},
	[ACT_POOLS] = {"turn-pools", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 1, STORY_MAX_POOLS - 1},
	[ACT_DROP_POOL] = {"drop-pool", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 0, STORY_MAX_POOLS - 1},
	[ACT_CAP] = {"cap", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 0, MAX_INSTANCES},
	[ACT_DELETE] = {"delete", {ARGUMENT_ENDPOINT}},
	[ACT_CREATE] = {"create", {ARGUMENT_ENDPOINT}},
	[ACT_FOREIGN_SCALE] = {"foreign-scale", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 0, MAX_INSTANCES},
	[ACT_LOSE_STATUS] = {"lose-status", {ARGUMENT_ENDPOINT}},
	[ACT_ADD_NODE] = {"add-node", {ARGUMENT_TYPE}},
	[ACT_DELETE_NODE] = {"delete-node", {ON_NODE}, 0, MAX_INSTANCES},
	[ACT_DOOM_NODE] = {"doom-node", {ON_NODE, ARGUMENT_FOR}, 0, MAX_INSTANCES},
	[ACT_SILENCE_NODE] = {"silence-node", {ON_NODE, ARGUMENT_FOR}, 0, MAX_INSTANCES},
	[ACT_CORDON_NODE] = {"cordon-node", {ON_NODE, ARGUMENT_FOR}, 0, MAX_INSTANCES},
	[ACT_LOSE_DEVICES] = {"lose-devices", {ON_NODE, ARGUMENT_FOR}, 0, MAX_INSTANCES},
	[ACT_STOCK] = {"stock", {ARGUMENT_TYPE, ARGUMENT_N}, 0, MAX_INSTANCES},
	[ACT_STRANGER] = {"stranger", {ARGUMENT_TYPE, ARGUMENT_N, ARGUMENT_FOR}, 1, MAX_INSTANCES},
	[ACT_END_INSTANCE] = {"end-instance", {ARGUMENT_ENDPOINT, ARGUMENT_N}, 0, MAX_INSTANCES},
	[ACT_FAIL_STARTS] = {"fail-starts",
                         {ARGUMENT_TYPE, ARGUMENT_WORD, ARGUMENT_FOR},
                         .word = failure_word,
                         .n_words = CLUSTER_IMAGE + 1},
	[ACT_QUOTA] = {"quota", {ARGUMENT_N}, -1, MAX_INSTANCES},
	[ACT_PAUSE] = {"pause", {ARGUMENT_FOR}},
	[ACT_FAIL_WRITES] =
		{"fail-writes", {ARGUMENT_WORD, ARGUMENT_N}, 1, MAX_FAULTY_WRITES, fault_word, NETWORK_FAULT_COUNT},
	[ACT_FAIL_WATCH] = {"fail-watch",
                        {ARGUMENT_KIND, ARGUMENT_WORD, ARGUMENT_FOR_LATE},
                        .word = watch_fault_word,
                        .n_words = NETWORK_WATCH_FAULT_COUNT},
	[ACT_DOWN] = {"down", {ARGUMENT_FOR}},
	[ACT_CRASH] = {"crash", {ARGUMENT_N}, 0, 1},
	[ACT_CRASH_AT] =
		{"crash-at", {ARGUMENT_WORD, ARGUMENT_N}, 0, MAX_FAULTY_WRITES, point_word, NETWORK_POINT_COUNT},
	[ACT_FREEZE] = {"freeze", {ARGUMENT_N, ARGUMENT_FOR}, 0, 1},
};

const struct act_form *act_form(enum act_type t)
{
	return &forms[t];
}

bool act_has(const struct story_act *a, enum act_argument argument)
{
	const struct act_form *f = act_form(a->type);

	for (size_t i = 0; i < ARRAY_LEN(f->arguments); i++)
		if (f->arguments[i] == argument)
			return true;
	return false;
}

void story_seconds(int64_t ms, char buf[static STORY_SECONDS_SIZE])
{
	size_t len;

	str_format(buf, STORY_SECONDS_SIZE, "%" PRId64 ".%03d", ms / MS_PER_S, (int)(ms % MS_PER_S));
	len = strlen(buf);
	while (buf[len - 1] == '0')
		len--;
	if (buf[len - 1] == '.')
		len--;
	buf[len] = '\0';
}

static void write_argument(const struct story *s, const struct story_act *a, enum act_argument argument,
                           FILE *out)
{
	char time[STORY_SECONDS_SIZE];

	switch (argument) {
	case ARGUMENT_END:
		break;
	case ARGUMENT_ENDPOINT:
		fprintf(out, " %s", s->endpoints[a->subject].name);
		break;
	case ARGUMENT_TYPE:
		fprintf(out, " %s", s->types[a->subject].name);
		break;
	case ARGUMENT_N:
		fprintf(out, " %d", a->n);
		break;
	case ARGUMENT_WORD:
		fprintf(out, " %s", act_form(a->type)->word(a->word));
		break;
	case ARGUMENT_KIND:
		fprintf(out, " %s", api_plural(a->kind));
		break;
	case ARGUMENT_FOR_LATE:
		if (a->word != NETWORK_WATCH_LATE)
			break;
		__attribute__((fallthrough));
	case ARGUMENT_FOR:
		story_seconds(a->for_ms, time);
		fprintf(out, " for %ss", time);
		break;
	}
}

void story_write_act(const struct story *s, const struct story_act *a, FILE *out)
{
	const struct act_form *f = act_form(a->type);

	fputs(f->verb, out);
	for (size_t i = 0; i < ARRAY_LEN(f->arguments); i++)
		write_argument(s, a, f->arguments[i], out);
}
