/* Whatever an Event says: its words stay inside the message, and only a "no" has any. */
#include <stdint.h>
#include <stdlib.h>
#include "plan/hint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		const char *source, *reason;
	} speakers[] = {
		{"cluster-autoscaler", "TriggeredScaleUp"},
		{"cluster-autoscaler", "NotTriggerScaleUp"},
		{"cluster-autoscaler", "FailedScaleUp"},
		{"karpenter", "FailedScheduling"},
		{"karpenter", "Nominated"},
	};
	const char *text = size > 0 ? (const char *)data : "";

	for (size_t i = 0; i < sizeof(speakers) / sizeof(speakers[0]); i++) {
		struct slice words;
		enum hint h = hint_parse(speakers[i].source, speakers[i].reason, (struct slice){text, size}, &words);
		bool says_no = h == HINT_STOCK_OUT || h == HINT_LIMIT;

		check(says_no == (words.len > 0));
		check(!says_no || (words.ptr >= text && words.ptr + words.len <= text + size));
	}
	return 0;
}
