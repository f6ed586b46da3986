#pragma once
/* Whole small files. */
#include "base/buf.h"
#include "base/err.h"

/* Append the file's bytes to b (bounded by b's maximum). ERR_NOT_FOUND when it does not exist, else ERR_IO,
 * ERR_LIMIT; the message names the path. */
int file_read(const char *path, struct buf *b, struct err *err);
/* The same of a file that a command is given: "-" is standard input, which messages call so. */
int file_read_input(const char *path, struct buf *b, struct err *err);
