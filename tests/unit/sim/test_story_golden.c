/* Plays the stories in tests/golden/sim: none may break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "../golden_folder.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/world.h"

#define GOLDEN_DIR "tests/golden/sim"
#define MAX_STORY_BYTES 100000u

static void play(void **state)
{
	CLEANUP_FREE char *path = xasprintf(GOLDEN_DIR "/%s", (const char *)*state);
	struct buf text CLEANUP_BUF;
	struct err err = ERR_INIT;
	struct world_result r;
	struct story s;

	buf_init(&text, MAX_STORY_BYTES);
	if (file_read(path, &text, &err) < 0 || story_read(buf_slice(&text), &s, &err) < 0)
		fail_msg("%s: %s", path, err.message);
	world_play(&s, NULL, &r);
	if (r.rule)
		fail_msg("%s: %s, after %lld ms: %s", path, r.rule, (long long)r.at_ms, r.text);
	assert_true(r.writes > 0);
}

int main(void)
{
	log_setup((enum log_level)(LOG_LEVEL_ERROR + 1),
	          LOG_FORMAT_TEXT); /* what they log is not what is tested */
	return golden_run("story_golden", GOLDEN_DIR, ".story", play);
}
