/* Plays the stories in tests/golden/sim: none may break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "../golden_folder.h"
#include "base/log.h"
#include "sim/world.h"

#define GOLDEN_DIR "tests/golden/sim"

static void play(void **state)
{
	const char *file = *state;
	struct buf text CLEANUP_BUF;
	struct err err = ERR_INIT;
	struct world_result r;
	struct story s;

	golden_read(GOLDEN_DIR, file, &text);
	if (story_read(buf_slice(&text), &s, &err) < 0)
		fail_msg("%s: %s", file, err.message);
	world_play(&s, NULL, &r);
	if (r.rule)
		fail_msg("%s: %s, after %lld ms: %s", file, r.rule, (long long)r.at_ms, r.text);
	assert_true(r.writes > 0);
}

int main(void)
{
	log_setup((enum log_level)(LOG_LEVEL_ERROR + 1),
	          LOG_FORMAT_TEXT); /* what they log is not what is tested */
	return golden_run("story_golden", GOLDEN_DIR, ".story", play);
}
