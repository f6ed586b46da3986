#pragma once
/* A test for each file of a folder, by its name, and its text. After <cmocka.h>. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define GOLDEN_MAX_FILES 200
#define GOLDEN_MAX_BYTES (1u << 20)

static const char *golden_suffix;

static int golden_has_suffix(const struct dirent *d)
{
	size_t len = strlen(d->d_name), end = strlen(golden_suffix);

	return len > end && str_eq(d->d_name + len - end, golden_suffix);
}

/* The caller ends the buffer. */
static inline void golden_read(const char *folder, const char *name, struct buf *ret)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);
	struct err err = ERR_INIT;

	buf_init(ret, GOLDEN_MAX_BYTES);
	if (file_read(path, ret, &err) < 0)
		fail_msg("%s", err.message);
}

/* What main() returns. fn is given the file's name, without the folder, as its state. */
static inline int golden_run(const char *group, const char *folder, const char *suffix, CMUnitTestFunction fn)
{
	static struct CMUnitTest tests[GOLDEN_MAX_FILES];
	struct dirent **names;
	int n, failed;

	golden_suffix = suffix;
	n = scandir(folder, &names, golden_has_suffix, alphasort);
	if (n <= 0 || n > GOLDEN_MAX_FILES) {
		fprintf(stderr, "%d stories in %s\n", n, folder);
		return 1;
	}
	for (int i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){names[i]->d_name, fn, NULL, NULL, names[i]->d_name};
	failed = _cmocka_run_group_tests(group, tests, (size_t)n, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return failed;
}
