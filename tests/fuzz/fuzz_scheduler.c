/* Whatever a scheduler writes into a pod: it is counted within bounds, and what the classifier makes of it
 * keeps to its contract. */
#include <stdint.h>
#include <stdlib.h>
#include "plan/classify.h"
#include "plan/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_verdict(struct slice text)
{
	struct verdict v;
	CLEANUP_BUF struct buf words;
	buf_init(&words, 1 << 17);
	verdict_parse(text, &v);
	verdict_words(text, &words);
	check(!buf_failed(&words) && (v.understood || words.len == 0));
	check(v.nodes >= 0 && (v.understood || (v.nodes == 0 && !v.prefilter)));
	for (size_t i = 0; i < VERDICT_KIND_COUNT; i++)
		check(v.count[i] >= 0 && v.count[i] <= v.nodes);
	check(memchr(v.resource, '\0', sizeof(v.resource)) != NULL);
	for (const char *c = v.resource; *c; c++)
		check(*c > ' ' && *c < 0x7f);
}

static void check_class(const char *text, bool has_node, bool provides_nodes)
{
	const struct wall now = {INT64_C(1795626000000)};
	const struct jqty gpus = {"nvidia.com/gpu", 8};
	const struct node n = {.meta = {.name = "a", .created = wall_add(now, -3600 * MS_PER_S)},
	                       .allocatable = &gpus,
	                       .n_allocatable = 1,
	                       .capacity = &gpus,
	                       .n_capacity = 1,
	                       .ready = TRI_TRUE};
	const struct pod p = {.meta = {.name = "p", .created = wall_add(now, -60 * MS_PER_S)},
	                      .phase = "Pending",
	                      .scheduled = TRI_FALSE,
	                      .scheduled_reason = "Unschedulable",
	                      .scheduled_message = text};
	const struct pod *pods = &p;
	const struct node *nodes = &n;
	const struct classify_input in = {.waiting = 2,
	                                  .pods = &pods,
	                                  .n_pods = 1,
	                                  .nodes = &nodes,
	                                  .n_nodes = has_node,
	                                  .resources = &gpus,
	                                  .n_resources = 1,
	                                  .provides_nodes = provides_nodes};
	struct classify_output o;
	CLEANUP_ARENA struct arena a;
	arena_init(&a);

	classify(&in, now, &a, &o);
	check(o.reason == REASON_STOCK_OUT || o.reason == REASON_NO_NODES || o.reason == REASON_CONFIG ||
	      o.reason == REASON_UNKNOWN);
	check(o.explicit_evidence ==
	      (!provides_nodes && (o.reason == REASON_STOCK_OUT || o.reason == REASON_NO_NODES)));
	check(!str_empty(o.message) && strlen(o.message) < 512 && !wall_is_set(o.deadline) && o.on_the_way == 0);

	struct classify_input refused = in;
	refused.failure_message = text;
	classify(&refused, now, &a, &o);
	check((o.reason == REASON_QUOTA || o.reason == REASON_CONFIG) && !o.explicit_evidence);
	check(!str_empty(o.message) && strlen(o.message) < 512);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	check_verdict(text);

	CLEANUP_FREE char *string = xstrndup(size > 0 ? text.ptr : "", size);
	for (unsigned i = 0; i < 4; i++)
		check_class(string, i & 1, i & 2);
	return 0;
}
