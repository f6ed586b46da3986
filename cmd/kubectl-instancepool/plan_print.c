#include "plan_print.h"
#include <inttypes.h>
#include <stdio.h>
#include "base/json.h"

#define CELL_SIZE 80
#define WHY_SIZE 512
#define SAID_SIZE 2048

enum column { PRIORITY, POOL, TYPE, NOW, LANDS, WAITS, STATE, COLUMNS };
static const char *const titles[COLUMNS] = {"PRIORITY", "POOL", "TYPE", "NOW", "LANDS", "WAITS", "STATE"};

struct row {
	char text[COLUMNS][CELL_SIZE];
	const char *cells[COLUMNS];
	char why[WHY_SIZE];
};

/* What comes from the API and from files does not steer the terminal. Line ends are put beside it. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	char text[SAID_SIZE];
	va_list ap;

	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_clean(text);
	fputs(text, stdout);
}

static int32_t placed(const struct pool_status *p)
{
	return p->current + p->starting;
}

static int32_t has_now(const struct plan_objects *o, const char *pool)
{
	const struct pool_status *p = endpoint_status_pool(&o->endpoint->status, pool);

	return o->exists && p ? placed(p) : 0;
}

static void fill_row(const struct plan_objects *o, const struct pool_status *p, struct row *ret)
{
	const char *reason = pool_reason_name(p->reason), *message = p->message ? p->message : "";

	str_format(ret->text[PRIORITY], CELL_SIZE, "%" PRId32, p->priority);
	str_copy(ret->text[POOL], CELL_SIZE, p->name);
	str_copy(ret->text[TYPE], CELL_SIZE, p->instance_type);
	str_format(ret->text[NOW], CELL_SIZE, "%" PRId32, has_now(o, p->name));
	str_format(ret->text[LANDS], CELL_SIZE, "%" PRId32, placed(p));
	str_format(ret->text[WAITS], CELL_SIZE, "%" PRId32, p->waiting);
	str_copy(ret->text[STATE], CELL_SIZE, pool_state_name(p->state));
	str_format(ret->why, WHY_SIZE, "%s%s%s", reason, *reason && *message ? ": " : "", message);
	for (enum column c = 0; c < COLUMNS; c++)
		ret->cells[c] = ret->text[c];
}

/* The last cell may be empty: nothing trails then. */
static void print_row(const struct plan_objects *o, const size_t *width, const char *const *cells,
                      const char *last)
{
	for (enum column c = 0; c < COLUMNS; c++) {
		if (c == NOW && !o->exists)
			continue;
		say("%-*s", c == COLUMNS - 1 && !*last ? 0 : (int)width[c] + 2, cells[c]);
	}
	say("%s", last);
	putchar('\n');
}

static void print_table(const struct plan_objects *o, const struct endpoint_status *s)
{
	struct row rows[ENDPOINT_MAX_POOLS];
	size_t width[COLUMNS];

	for (size_t i = 0; i < s->n_pools; i++)
		fill_row(o, &s->pools[i], &rows[i]);
	for (enum column c = 0; c < COLUMNS; c++) {
		width[c] = strlen(titles[c]);
		for (size_t i = 0; i < s->n_pools; i++)
			if (strlen(rows[i].text[c]) > width[c])
				width[c] = strlen(rows[i].text[c]);
	}
	print_row(o, width, titles, "WHY");
	for (size_t i = 0; i < s->n_pools; i++)
		print_row(o, width, rows[i].cells, rows[i].why);
}

/* "at once", "after about 5s" */
static const char *after(int64_t ms, char buf[static DURATION_TEXT_SIZE + 16])
{
	char text[DURATION_TEXT_SIZE];

	if (ms < MS_PER_S)
		return "at once";
	duration_format(ms - ms % MS_PER_S, text);
	str_format(buf, DURATION_TEXT_SIZE + 16, "after about %s", text);
	return buf;
}

static void print_lines(const struct forecast *f)
{
	int64_t last_s = -1;

	for (size_t i = 0; i < f->n_lines; i++) {
		int64_t s = f->lines[i].after_ms / MS_PER_S;
		char text[DURATION_TEXT_SIZE] = "0s";

		if (s > 0)
			duration_format(s * MS_PER_S, text);
		say("  %8s  %s", s == last_s ? "" : text, f->lines[i].text);
		putchar('\n');
		last_s = s;
	}
}

static void print_end(int32_t wanted, const struct forecast *f)
{
	char text[DURATION_TEXT_SIZE + 16];
	int32_t missing = forecast_missing(&f->rest);
	const char *when = after(f->rest_after_ms, text);

	if (missing == 0)
		say("%" PRId32 " of %" PRId32 " %s land", wanted, wanted, forecast_instances(wanted));
	else
		say("%" PRId32 " of %" PRId32 " %s land, %" PRId32 " find%s no place", wanted - missing, wanted,
		    forecast_instances(wanted), missing, missing == 1 ? "s" : "");
	say("; %s %s",
	    f->rests     ? "it rests"
	    : f->repeats ? "all pools have been tried in vain"
	                 : "it does not come to rest,",
	    when);
	say("; phase %s", endpoint_phase_name(f->rest.phase));
	for (enum condition_type t = COND_STALLED; t < CONDITION_COUNT; t++)
		if (f->rest.conditions[t].status)
			say(", %s", condition_type_name(t));
	puts(".");
}

static void print_question(const struct plan_objects *o, const struct plan_answer *a)
{
	char window[DURATION_TEXT_SIZE];

	duration_format(o->endpoint->spec.provision_timeout_ms, window);
	if (a->out && a->adds_nodes == FORECAST_NODES_FIXED)
		say("If %s is out:", a->out);
	else if (a->adds_nodes == FORECAST_NODES_COME)
		say("If the autoscaler brings all nodes that are asked for%s%s:", a->out ? ", but there is no " : "",
		    a->out ? a->out : "");
	else if (a->adds_nodes == FORECAST_NODES_STAY_AWAY)
		say("If none comes within the window of a pool (%s)%s%s:", window, a->out ? ", and there is no " : "",
		    a->out ? a->out : "");
	else
		return;
	puts("\n");
}

/* With an autoscaler both answers begin alike: with what is there. */
static void print_first(const struct plan_objects *o, const struct plan_answer *a)
{
	if (a->out)
		say("Now, if %s is out:", a->out);
	else
		say("Now:");
	puts("\n");
	print_table(o, &a->forecast.first);
	putchar('\n');
}

static void print_head(const struct plan_objects *o, int32_t wanted, const struct plan_answer *a)
{
	say("Endpoint %s in namespace %s: %" PRId32 " %s wanted, %s.", o->endpoint->meta.name,
	    o->endpoint->meta.ns, wanted, forecast_instances(wanted),
	    o->exists ? "it exists" : "it does not exist yet");
	putchar('\n');
	say("%zu %s; %s.", o->nodes.n, o->nodes.n == 1 ? "node" : "nodes",
	    a->adds_nodes == FORECAST_NODES_FIXED ? "nothing adds more" : "an autoscaler adds more");
	puts("\n");
}

static void print_note(const char *note)
{
	putchar('\n');
	say("Note: %s.", note);
	putchar('\n');
}

void plan_print(const struct plan_objects *o, int32_t wanted, const struct plan_answer *answers, size_t n)
{
	print_head(o, wanted, &answers[0]);
	for (size_t i = 0; i < n; i++) {
		const struct plan_answer *a = &answers[i];

		if (i > 0)
			putchar('\n');
		if (a->adds_nodes == FORECAST_NODES_COME)
			print_first(o, a);
		print_question(o, a);
		print_table(o, &a->forecast.rest);
		putchar('\n');
		print_end(wanted, &a->forecast);
		if (a->forecast.n_lines > 0)
			putchar('\n');
		print_lines(&a->forecast);
	}
	for (size_t i = 0; i < answers[0].forecast.n_notes; i++)
		print_note(answers[0].forecast.notes[i]);
	for (size_t i = 0; i < o->notes.n; i++)
		print_note(o->notes.list[i]);
}

/* ---- for programs ---- */

static void append(json_t *list, json_t *v)
{
	if (json_array_append_new(list, v) < 0)
		json_must(NULL);
}

static json_t *pools_json(const struct endpoint_status *s)
{
	json_t *list = json_must(json_array());

	for (size_t i = 0; i < s->n_pools; i++) {
		const struct pool_status *p = &s->pools[i];
		json_t *o = json_must(json_object());

		json_put_str(o, "name", p->name);
		json_put_str(o, "instanceType", p->instance_type);
		json_put_int(o, "priority", p->priority);
		json_put_int(o, "lands", placed(p));
		json_put_int(o, "waits", p->waiting);
		json_put_str(o, "state", pool_state_name(p->state));
		if (p->reason != REASON_NONE)
			json_put_str(o, "reason", pool_reason_name(p->reason));
		json_put_str(o, "message", p->message);
		append(list, o);
	}
	return list;
}

static json_t *moment_json(const struct endpoint_status *s, int64_t after_ms)
{
	json_t *o = json_must(json_object()), *conditions = json_must(json_array());

	json_put_int(o, "afterSeconds", after_ms / MS_PER_S);
	json_put_str(o, "phase", endpoint_phase_name(s->phase));
	json_put_int(o, "missing", forecast_missing(s));
	for (enum condition_type t = 0; t < CONDITION_COUNT; t++)
		if (s->conditions[t].present && s->conditions[t].status)
			append(conditions, json_must(json_string(condition_type_name(t))));
	json_set(o, "conditions", conditions);
	json_set(o, "pools", pools_json(s));
	return o;
}

static json_t *answer_json(const struct plan_answer *a)
{
	static const char *const words[] = {
		[FORECAST_NODES_FIXED] = "Fixed",
		[FORECAST_NODES_COME] = "Come",
		[FORECAST_NODES_STAY_AWAY] = "StayAway",
	};
	const struct forecast *f = &a->forecast;
	json_t *o = json_must(json_object()), *lines = json_must(json_array());

	json_put_str(o, "out", a->out);
	json_put_str(o, "nodes", words[a->adds_nodes]);
	json_set(o, "now", moment_json(&f->first, f->first_after_ms));
	json_set(o, "rest", moment_json(&f->rest, f->rest_after_ms));
	json_put_bool(o, "rests", f->rests);
	json_put_bool(o, "repeats", f->repeats);
	for (size_t i = 0; i < f->n_lines; i++) {
		json_t *line = json_must(json_object());

		json_put_int(line, "afterSeconds", f->lines[i].after_ms / MS_PER_S);
		json_put_str(line, "text", f->lines[i].text);
		append(lines, line);
	}
	json_set(o, "timeline", lines);
	return o;
}

void plan_print_json(const struct plan_objects *o, int32_t wanted, const struct plan_answer *answers,
                     size_t n)
{
	CLEANUP_JSON json_t *all = json_must(json_object());
	json_t *list = json_must(json_array()), *notes = json_must(json_array());
	CLEANUP_FREE char *text = NULL;

	json_put_str(all, "name", o->endpoint->meta.name);
	json_put_str(all, "namespace", o->endpoint->meta.ns);
	json_put_bool(all, "exists", o->exists);
	json_put_int(all, "wanted", wanted);
	for (size_t i = 0; i < n; i++)
		append(list, answer_json(&answers[i]));
	json_set(all, "answers", list);
	for (size_t i = 0; i < answers[0].forecast.n_notes; i++)
		append(notes, json_must(json_string(answers[0].forecast.notes[i])));
	for (size_t i = 0; i < o->notes.n; i++)
		append(notes, json_must(json_string(o->notes.list[i])));
	json_set(all, "notes", notes);
	text = json_dumps(all, JSON_INDENT(2));
	puts(text);
}
