#include "report.h"
#include "base/clock.h"

static void write_story(FILE *out, const struct story *s, const struct world_result *r)
{
	fprintf(out, "# %s: %s\n", r->rule, r->text);
	story_write(s, out);
}

void report_violation(FILE *out, const struct story *s, const struct world_result *r, bool shrink)
{
	struct story shorter;
	struct world_result again;

	fprintf(out, "%s, after %.3f s: %s\n", r->rule, (double)r->at_ms / (double)MS_PER_S, r->text);
	if (!shrink)
		return;
	story_shrink(s, r->rule, &shorter);
	world_play(&shorter, NULL, &again);
	fputs("A shorter story, to be kept as tests/golden/sim/NAME.story and played by\n"
	      "instancepool-sim --tell --story tests/golden/sim/NAME.story:\n\n",
	      out);
	write_story(out, &shorter, &again);
	fputc('\n', out);
}
