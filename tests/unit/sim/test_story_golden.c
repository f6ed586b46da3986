/* Plays the stories in tests/golden/sim: none may break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/world.h"

#define GOLDEN_DIR "tests/golden/sim"
#define MAX_STORIES 200
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

static int is_story(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > 6 && str_eq(d->d_name + len - 6, ".story");
}

int main(void)
{
	static struct CMUnitTest tests[MAX_STORIES];
	struct dirent **names;
	int n = scandir(GOLDEN_DIR, &names, is_story, alphasort), failed;

	if (n <= 0 || n > MAX_STORIES) {
		fprintf(stderr, "%d stories in %s\n", n, GOLDEN_DIR);
		return 1;
	}
	log_setup((enum log_level)(LOG_LEVEL_ERROR + 1),
	          LOG_FORMAT_TEXT); /* what they log is not what is tested */
	for (int i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){names[i]->d_name, play, NULL, NULL, names[i]->d_name};
	failed = _cmocka_run_group_tests("story_golden", tests, (size_t)n, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return failed;
}
