#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int read_all(int fd, const char *name, struct buf *b, struct err *err)
{
	for (;;) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_IO, "%s: %s", name, strerror(errno));
		if (n == 0)
			return 0;
		buf_add(b, chunk, (size_t)n);
		if (buf_failed(b))
			return err_set(err, ERR_LIMIT, "%s: larger than the limit of %zu bytes", name, b->max);
	}
}

int file_read(const char *path, struct buf *b, struct err *err)
{
	CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
		               strerror(errno));
	return read_all(fd, path, b, err);
}

int file_read_input(const char *path, struct buf *b, struct err *err)
{
	return str_eq(path, "-") ? read_all(STDIN_FILENO, "standard input", b, err) : file_read(path, b, err);
}
