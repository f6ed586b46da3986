#pragma once
/* Amazon SageMaker AI's JSON -> our objects as YAML. Pure. */
#include "base/buf.h"
#include "base/err.h"

struct convert_file {
	const char *name; /* for messages */
	struct slice text;
};

/* Each file holds what CreateModel, CreateEndpointConfig or CreateEndpoint is called with, or what the Describe call of the
 * same kind answers: one such object, several one after the other, a list of them, or an object with them as members; which
 * is which, their fields tell. Objects refer to each other by name, whatever file they are in.
 *
 * ret_yaml gets the notes as comments, then a Model for each model (one more for each other number of GPUs that it is used
 * with) and an InstancePoolEndpoint for each variant of each endpoint. ret_notes gets one line for each field that was not
 * carried over, or carried over into something else, with its file, path and value, and what to do about it. It is plain
 * ASCII; what else a file's name holds is a '?'.
 *
 * The error names file, field and value of what is not understood. Values of environment variables, or of what may be
 * meant for them (fields that are not known, no objects where there should be one), are in neither. */
int convert(const struct convert_file *files, size_t n_files, struct buf *ret_yaml, struct buf *ret_notes,
            struct err *err);
