#include "convert/accelerators.h"
#include <stddef.h>
#include "base/mem.h"
#include "base/str.h"

#define GPU "nvidia.com/gpu"
#define NEURON "aws.amazon.com/neuron"

/* https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html: of each family the sizes, by count. */
static const struct {
	const char *family, *sizes; /* sizes: "4xlarge 8xlarge" */
	const char *resource;
	int32_t count;
} table[] = {
	{"g4dn", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", GPU, 1},
	{"g4dn", "12xlarge", GPU, 4},
	{"g5", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", GPU, 1},
	{"g5", "12xlarge 24xlarge", GPU, 4},
	{"g5", "48xlarge", GPU, 8},
	{"g6", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", GPU, 1},
	{"g6", "12xlarge 24xlarge", GPU, 4},
	{"g6", "48xlarge", GPU, 8},
	{"gr6", "4xlarge 8xlarge", GPU, 1},
	{"g6e", "xlarge 2xlarge 4xlarge 8xlarge 16xlarge", GPU, 1},
	{"g6e", "12xlarge 24xlarge", GPU, 4},
	{"g6e", "48xlarge", GPU, 8},
	{"p2", "xlarge", GPU, 1},
	{"p2", "8xlarge", GPU, 8},
	{"p2", "16xlarge", GPU, 16},
	{"p3", "2xlarge", GPU, 1},
	{"p3", "8xlarge", GPU, 4},
	{"p3", "16xlarge", GPU, 8},
	{"p3dn", "24xlarge", GPU, 8},
	{"p4d", "24xlarge", GPU, 8},
	{"p4de", "24xlarge", GPU, 8},
	{"p5", "4xlarge", GPU, 1},
	{"p5", "48xlarge", GPU, 8},
	{"p5e", "48xlarge", GPU, 8},
	{"p5en", "48xlarge", GPU, 8},
	{"p6-b200", "48xlarge", GPU, 8},
	{"inf1", "xlarge 2xlarge", NEURON, 1},
	{"inf1", "6xlarge", NEURON, 4},
	{"inf1", "24xlarge", NEURON, 16},
	{"inf2", "xlarge 8xlarge", NEURON, 1},
	{"inf2", "24xlarge", NEURON, 6},
	{"inf2", "48xlarge", NEURON, 12},
	{"trn1", "2xlarge", NEURON, 1},
	{"trn1", "32xlarge", NEURON, 16},
	{"trn1n", "32xlarge", NEURON, 16},
	{"trn2", "48xlarge", NEURON, 16},
};

/* c5, m6i, r7gd, t2: of one letter and a number. */
static bool is_plain_family(struct slice family)
{
	return family.len >= 2 && memchr("cmrt", family.ptr[0], 4) && family.ptr[1] >= '0' &&
	       family.ptr[1] <= '9';
}

static bool has_word(const char *words, struct slice word)
{
	struct slice rest = slice_from(words);

	while (rest.len > 0)
		if (slice_eq(slice_split(rest, ' ', &rest), word))
			return true;
	return false;
}

struct accelerators accelerators_of(const char *type)
{
	struct slice size, family = slice_split(slice_from(type), '.', &size);

	if (is_plain_family(family) && size.len > 0)
		return (struct accelerators){.known = true};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (slice_eq_str(family, table[i].family) && has_word(table[i].sizes, size))
			return (struct accelerators){true, table[i].resource, table[i].count};
	return (struct accelerators){0};
}
