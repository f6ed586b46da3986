#include "sim/story.h"
#include <inttypes.h>
#include <stdarg.h>
#include "base/mem.h"
#include "sim/acts.h"
#include "sim/options.h"

#define MAX_WORDS 12
#define MAX_STORY_MS (24 * 3600 * MS_PER_S)
#define MAX_FOR_MS (3600 * MS_PER_S)

/* ---- writing ---- */

static void write_endpoint(const struct story *s, const struct story_endpoint *e, FILE *out)
{
	fprintf(out, "endpoint %s", e->name);
	options_write(&endpoint_options, e, out);
	for (size_t i = 0; i < e->n_pools; i++) {
		fprintf(out, "pool %s %s", e->name, s->types[e->pools[i].type].name);
		options_write(&pool_options, &e->pools[i], out);
	}
}

void story_write(const struct story *s, FILE *out)
{
	char time[STORY_SECONDS_SIZE];

	fprintf(out, "seed %" PRIu64 "\noperators %d\nnodes %s\n", s->seed, s->operators,
	        cluster_nodes_name(s->nodes));
	for (size_t i = 0; i < s->n_types; i++) {
		fprintf(out, "type %s", s->types[i].name);
		options_write(&type_options, &s->types[i], out);
	}
	for (size_t i = 0; i < s->n_endpoints; i++)
		write_endpoint(s, &s->endpoints[i], out);
	for (size_t i = 0; i < s->n_acts; i++) {
		story_seconds(s->acts[i].at_ms, time);
		fprintf(out, "%s ", time);
		story_write_act(s, &s->acts[i], out);
		fputc('\n', out);
	}
	story_seconds(s->heal_ms, time);
	fprintf(out, "heal %s\n", time);
}

/* ---- reading ---- */

struct reader {
	struct story *s;
	size_t line;
	struct slice words[MAX_WORDS];
	size_t n_words, next;
	unsigned seen; /* of lines[] */
	struct err *err;
};

/* -1. A macro, so that compilers and analysers see it. */
#define bad(r, word, ...) (set_bad(r, word, __VA_ARGS__), -1)

static void set_bad(struct reader *r, struct slice word, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void set_bad(struct reader *r, struct slice word, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(r->err, ERR_INVALID, "line %zu: \"" SLICE_FMT "\": %s", r->line, SLICE_ARG(word), text);
}

/* The next word of the line. */
static int take(struct reader *r, const char *what, struct slice *ret)
{
	if (r->next == r->n_words)
		return bad(r, r->words[r->next - 1], "%s must follow", what);
	*ret = r->words[r->next++];
	return 0;
}

/* Digits alone, no more than fit. */
static bool parse_digits(struct slice word, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9' || __builtin_mul_overflow(*ret, 10, ret) ||
		    __builtin_add_overflow(*ret, (uint64_t)(word.ptr[i] - '0'), ret))
			return false;
	}
	return word.len > 0;
}

static int read_number(struct reader *r, struct slice word, int64_t low, int64_t high, int64_t *ret)
{
	struct err ignored = ERR_INIT;

	if (slice_to_i64(word, ret, &ignored) < 0 || *ret < low || *ret > high)
		return bad(r, word, "must be a number from %" PRId64 " to %" PRId64, low, high);
	return 0;
}

/* "12.5" of a unit that has so many milliseconds. */
static bool parse_time(struct slice word, int64_t unit_ms, int64_t *ret)
{
	struct slice fraction, whole = slice_split(word, '.', &fraction);
	uint64_t n, part = 0;
	int64_t scale = 1;

	if (word.len > 12 || !parse_digits(whole, &n))
		return false;
	if (whole.len < word.len && !parse_digits(fraction, &part))
		return false;
	for (size_t i = 0; i < fraction.len; i++)
		scale *= 10;
	if ((int64_t)part * unit_ms % scale != 0)
		return false;
	*ret = (int64_t)n * unit_ms + (int64_t)part * unit_ms / scale;
	return true;
}

/* Seconds since the start. */
static int read_moment(struct reader *r, struct slice word, int64_t *ret)
{
	if (!parse_time(word, MS_PER_S, ret) || *ret > MAX_STORY_MS)
		return bad(r, word, "must be seconds since the start, like 12.5, and no more than a day");
	return 0;
}

static int read_duration(struct reader *r, struct slice word, int64_t low, int64_t high, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", MS_PER_S}, {"m", 60 * MS_PER_S}};
	char from[STORY_SECONDS_SIZE], to[STORY_SECONDS_SIZE];
	size_t len = 0;

	while (len < word.len && (word.ptr[len] == '.' || (word.ptr[len] >= '0' && word.ptr[len] <= '9')))
		len++;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (slice_eq_str(slice_skip(word, len), units[i].unit) &&
		    parse_time((struct slice){word.ptr, len}, units[i].ms, ret) && *ret >= low && *ret <= high)
			return 0;
	story_seconds(low, from);
	story_seconds(high, to);
	return bad(r, word, "must be a time from %ss to %ss, like 90s, 1.5s, 350ms or 2m", from, to);
}

static void list_word(char *list, size_t size, const char *word)
{
	size_t len = strlen(list);

	str_format(list + len, size - len, "%s%s", len ? ", " : "", word);
}

static int read_choice(struct reader *r, struct slice word, const char *(*name)(int), int n, int *ret)
{
	char list[200] = "";

	for (*ret = 0; *ret < n; ++*ret) {
		if (slice_eq_str(word, name(*ret)))
			return 0;
		list_word(list, sizeof(list), name(*ret));
	}
	return bad(r, word, "must be one of: %s", list);
}

static const char *nodes_word(int word)
{
	return cluster_nodes_name((enum cluster_nodes)word);
}

static const char *kind_word(int word)
{
	return api_plural((enum api_kind)word);
}

static const char *type_word(int word)
{
	return story_type_names[word];
}

static const char *endpoint_word(int word)
{
	return story_endpoint_names[word];
}

/* A type or an endpoint that was told of before. */
static int read_type(struct reader *r, size_t *ret)
{
	char list[64] = "";
	struct slice word;

	if (take(r, "a type", &word) < 0)
		return -1;
	for (*ret = 0; *ret < r->s->n_types; ++*ret) {
		if (slice_eq_str(word, r->s->types[*ret].name))
			return 0;
		list_word(list, sizeof(list), r->s->types[*ret].name);
	}
	return bad(r, word, "no such type: those above are: %s", *list ? list : "none");
}

static int read_subject_endpoint(struct reader *r, size_t *ret)
{
	char list[64] = "";
	struct slice word;

	if (take(r, "an endpoint", &word) < 0)
		return -1;
	for (*ret = 0; *ret < r->s->n_endpoints; ++*ret) {
		if (slice_eq_str(word, r->s->endpoints[*ret].name))
			return 0;
		list_word(list, sizeof(list), r->s->endpoints[*ret].name);
	}
	return bad(r, word, "no such endpoint: those above are: %s", *list ? list : "none");
}

static int read_option(struct reader *r, const struct option *o, struct slice word, void *of)
{
	int64_t value = 0;
	int status = 0;

	switch (o->form) {
	case OPTION_NUMBER:
		status = read_number(r, word, o->low, o->high, &value);
		break;
	case OPTION_CHOICE:
		value = slice_eq_str(word, o->words[1]);
		if (!value && !slice_eq_str(word, o->words[0]))
			status = bad(r, word, "must be %s or %s", o->words[0], o->words[1]);
		break;
	case OPTION_TIME:
	case OPTION_SECONDS:
		status = read_duration(r, word, o->low, o->high, &value);
		if (status == 0 && o->form == OPTION_SECONDS && value % MS_PER_S != 0)
			status = bad(r, word, "must be whole seconds");
		break;
	}
	option_put(o, value, of);
	return status;
}

/* The rest of the line. */
static int read_options(struct reader *r, const struct options *of_line, void *of)
{
	const struct option *options = of_line->list;
	unsigned seen = 0;

	while (r->next < r->n_words) {
		struct slice word = r->words[r->next++], value, key = slice_split(word, '=', &value);
		char list[200] = "";
		size_t i = 0;

		for (; i < of_line->n && !slice_eq_str(key, options[i].key); i++)
			list_word(list, sizeof(list), options[i].key);
		if (i == of_line->n)
			return bad(r, word, "must be one of these, with = and a value: %s", list);
		if (seen & 1u << i)
			return bad(r, word, "is said twice");
		seen |= 1u << i;
		if (read_option(r, &options[i], value, of) < 0)
			return -1;
	}
	for (size_t i = 0; i < of_line->n; i++)
		if (options[i].required && !(seen & 1u << i))
			return bad(r, r->words[0], "needs %s=", options[i].key);
	return 0;
}

static int read_seed(struct reader *r)
{
	struct slice word;

	if (take(r, "a number", &word) < 0)
		return -1;
	return parse_digits(word, &r->s->seed) ? 0
	                                       : bad(r, word, "must be a number from 0 to %" PRIu64, UINT64_MAX);
}

static int read_operators(struct reader *r)
{
	struct slice word;
	int64_t n;

	if (take(r, "a number", &word) < 0 || read_number(r, word, 1, 2, &n) < 0)
		return -1;
	r->s->operators = (int)n;
	return 0;
}

static int read_nodes(struct reader *r)
{
	struct slice word;
	int nodes;

	if (take(r, "what provides nodes", &word) < 0 ||
	    read_choice(r, word, nodes_word, CLUSTER_KARPENTER + 1, &nodes) < 0)
		return -1;
	r->s->nodes = (enum cluster_nodes)nodes;
	return 0;
}

static int read_new_type(struct reader *r)
{
	struct cluster_type t = {0};
	struct slice word;
	int name;

	if (take(r, "a name", &word) < 0 || read_choice(r, word, type_word, CLUSTER_MAX_TYPES, &name) < 0)
		return -1;
	for (size_t i = 0; i < r->s->n_types; i++)
		if (slice_eq_str(word, r->s->types[i].name))
			return bad(r, word, "there is such a type above");
	t.name = story_type_names[name];
	if (read_options(r, &type_options, &t) < 0)
		return -1;
	r->s->types[r->s->n_types++] = t;
	return 0;
}

static int read_endpoint(struct reader *r)
{
	struct story_endpoint e = {0};
	struct slice word;
	int name;

	if (take(r, "a name", &word) < 0 || read_choice(r, word, endpoint_word, STORY_MAX_ENDPOINTS, &name) < 0)
		return -1;
	for (size_t i = 0; i < r->s->n_endpoints; i++)
		if (slice_eq_str(word, r->s->endpoints[i].name))
			return bad(r, word, "there is such an endpoint above");
	e.name = story_endpoint_names[name];
	if (read_options(r, &endpoint_options, &e) < 0)
		return -1;
	if (e.max_retry_ms < e.retry_ms)
		return bad(r, r->words[0], "max-retry must not be less than retry");
	r->s->endpoints[r->s->n_endpoints++] = e;
	return 0;
}

static int read_pool(struct reader *r)
{
	struct story_pool p = {0};
	struct story_endpoint *e;
	size_t endpoint;

	if (read_subject_endpoint(r, &endpoint) < 0 || read_type(r, &p.type) < 0)
		return -1;
	e = &r->s->endpoints[endpoint];
	for (size_t i = 0; i < e->n_pools; i++)
		if (e->pools[i].type == p.type)
			return bad(r, r->words[2], "the endpoint has such a pool above");
	if (read_options(r, &pool_options, &p) < 0)
		return -1;
	if (p.max > 0 && p.min > p.max)
		return bad(r, r->words[0], "min must not be more than max");
	e->pools[e->n_pools++] = p;
	return 0;
}

static int read_heal(struct reader *r)
{
	const struct story *s = r->s;
	struct slice word;

	if (take(r, "a time", &word) < 0 || read_moment(r, word, &r->s->heal_ms) < 0)
		return -1;
	if (s->heal_ms == 0)
		return bad(r, word, "must be later than the start");
	if (s->n_acts > 0 && s->heal_ms < s->acts[s->n_acts - 1].at_ms)
		return bad(r, word, "must not be before the last act");
	return 0;
}

static int read_for(struct reader *r, int64_t *ret)
{
	struct slice word;

	if (take(r, "\"for\" and a time", &word) < 0)
		return -1;
	if (!slice_eq_str(word, "for"))
		return bad(r, word, "must be \"for\" and a time");
	return take(r, "a time", &word) < 0 ? -1 : read_duration(r, word, 1, MAX_FOR_MS, ret);
}

static int read_argument(struct reader *r, const struct act_form *f, enum act_argument argument,
                         struct story_act *a)
{
	struct slice word;
	int64_t n;
	int kind;

	switch (argument) {
	case ARGUMENT_END:
		break;
	case ARGUMENT_ENDPOINT:
		return read_subject_endpoint(r, &a->subject);
	case ARGUMENT_TYPE:
		return read_type(r, &a->subject);
	case ARGUMENT_N:
		if (take(r, "a number", &word) < 0 || read_number(r, word, f->low, f->high, &n) < 0)
			return -1;
		a->n = (int32_t)n;
		break;
	case ARGUMENT_WORD:
		return take(r, "what", &word) < 0 ? -1 : read_choice(r, word, f->word, f->n_words, &a->word);
	case ARGUMENT_KIND:
		if (take(r, "a kind", &word) < 0 || read_choice(r, word, kind_word, API_KIND_COUNT, &kind) < 0)
			return -1;
		a->kind = (enum api_kind)kind;
		break;
	case ARGUMENT_FOR:
		return read_for(r, &a->for_ms);
	case ARGUMENT_FOR_LATE:
		return a->word == NETWORK_WATCH_LATE ? read_for(r, &a->for_ms) : 0;
	}
	return 0;
}

static const char *verb_word(int word)
{
	return act_form((enum act_type)word)->verb;
}

static int read_act(struct reader *r)
{
	struct story *s = r->s;
	struct story_act a = {0};
	const struct act_form *f;
	struct slice word;
	int type;

	if (read_moment(r, r->words[0], &a.at_ms) < 0)
		return -1;
	if (s->n_acts > 0 && a.at_ms < s->acts[s->n_acts - 1].at_ms)
		return bad(r, r->words[0], "acts are in the order of their times");
	if (r->s->heal_ms > 0)
		return bad(r, r->words[0], "nothing happens after heal");
	if (s->n_acts == STORY_MAX_ACTS)
		return bad(r, r->words[0], "no more than %d acts", STORY_MAX_ACTS);
	if (take(r, "an act", &word) < 0)
		return -1;
	for (type = 0; type < ACT_TYPE_COUNT && !slice_eq_str(word, verb_word(type));)
		type++;
	if (type == ACT_TYPE_COUNT)
		return bad(r, word, "there is no such act");
	a.type = (enum act_type)type;
	f = act_form(a.type);
	for (size_t i = 0; i < ARRAY_LEN(f->arguments); i++)
		if (read_argument(r, f, f->arguments[i], &a) < 0)
			return -1;
	s->acts[s->n_acts++] = a;
	return 0;
}

static int read_line(struct reader *r)
{
	static const struct {
		const char *word;
		int (*read)(struct reader *r);
		bool once;
	} lines[] = {
		{"seed", read_seed, true},      {"operators", read_operators, true}, {"nodes", read_nodes, true},
		{"type", read_new_type, false}, {"endpoint", read_endpoint, false},  {"pool", read_pool, false},
		{"heal", read_heal, true},
	};
	char list[100] = "";
	int (*read)(struct reader * r) = NULL;

	r->next = 1;
	if (r->words[0].ptr[0] >= '0' && r->words[0].ptr[0] <= '9')
		read = read_act;
	for (size_t i = 0; i < ARRAY_LEN(lines) && !read; i++) {
		if (slice_eq_str(r->words[0], lines[i].word)) {
			if (lines[i].once && r->seen & 1u << i)
				return bad(r, r->words[0], "is said twice");
			r->seen |= 1u << i;
			read = lines[i].read;
		}
		list_word(list, sizeof(list), lines[i].word);
	}
	if (!read)
		return bad(r, r->words[0], "a line begins with a time or one of: %s", list);
	if (read(r) < 0)
		return -1;
	if (r->next < r->n_words)
		return bad(r, r->words[r->next], "must not be there: the line is complete without it");
	return 0;
}

static int split_line(struct reader *r, struct slice line)
{
	r->n_words = 0;
	while (line.len > 0) {
		size_t len = 0;

		if (line.ptr[0] == ' ' || line.ptr[0] == '\t' || line.ptr[0] == '\r') {
			line = slice_skip(line, 1);
			continue;
		}
		while (len < line.len && line.ptr[len] != ' ' && line.ptr[len] != '\t' && line.ptr[len] != '\r')
			len++;
		if (r->n_words == MAX_WORDS)
			return bad(r, (struct slice){line.ptr, len}, "too many words in a line");
		r->words[r->n_words++] = (struct slice){line.ptr, len};
		line = slice_skip(line, len);
	}
	return 0;
}

static int check_whole(const struct reader *r)
{
	const struct story *s = r->s;

	if (s->heal_ms == 0)
		return err_set(r->err, ERR_INVALID, "line %zu: the story ends without \"heal\"", r->line);
	if (s->n_endpoints == 0)
		return err_set(r->err, ERR_INVALID, "line %zu: the story ends without an \"endpoint\"", r->line);
	for (size_t i = 0; i < s->n_endpoints; i++)
		if (s->endpoints[i].n_pools == 0)
			return err_set(r->err, ERR_INVALID, "line %zu: the story ends without a \"pool %s\"", r->line,
			               s->endpoints[i].name);
	return 0;
}

int story_read(struct slice text, struct story *ret, struct err *err)
{
	struct reader r = {.s = ret, .err = err};

	*ret = (struct story){.operators = 1};
	while (text.len > 0) {
		struct slice ignored, line = slice_split(text, '\n', &text);

		r.line++;
		if (split_line(&r, slice_split(line, '#', &ignored)) < 0 || (r.n_words > 0 && read_line(&r) < 0))
			return -1;
	}
	return check_whole(&r);
}
