/* Runs a fuzz target over the files of the directories given as arguments, without libFuzzer: the corpus as a
 * regression test, with any compiler and under valgrind. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/file.h"

#define MAX_FILE_BYTES (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run_directory(const char *dir)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_visible, alphasort);
	if (n < 0) {
		perror(dir);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", dir, entries[i]->d_name);
		CLEANUP_BUF struct buf content;
		struct err err = ERR_INIT;
		buf_init(&content, MAX_FILE_BYTES);
		if (file_read(path, &content, &err) < 0) {
			fprintf(stderr, "%s: %s\n", path, err.message);
			exit(1);
		}
		/* The sanitizers see a read past the end of a block of exactly this size. */
		CLEANUP_FREE uint8_t *data = xmalloc(content.len);
		if (content.len > 0)
			memcpy(data, content.ptr, content.len);
		LLVMFuzzerTestOneInput(data, content.len);
		free(entries[i]);
	}
	free(entries);
	return n;
}

int main(int argc, char **argv)
{
	int files = 0;
	for (int i = 1; i < argc; i++)
		files += run_directory(argv[i]);
	printf("%s: %d files\n", argv[0], files);
	return files > 0 ? 0 : 1;
}
