#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "plan/verdict.h"

#define NO_VICTIM "No preemption victims found for incoming pod"
#define NO_HELP "Preemption is not helpful for scheduling"

struct story {
	const char *text;
	struct verdict expect;
	const char *words;
};

static void tell(const struct story *stories, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct verdict v;
		CLEANUP_BUF struct buf words;
		buf_init(&words, 1 << 16);
		verdict_parse(slice_from(stories[i].text), &v);
		verdict_words(slice_from(stories[i].text), &words);
		if (v.understood != stories[i].expect.understood || v.nodes != stories[i].expect.nodes ||
		    v.prefilter != stories[i].expect.prefilter || !str_eq(v.resource, stories[i].expect.resource) ||
		    memcmp(v.count, stories[i].expect.count, sizeof(v.count)) != 0 ||
		    !str_eq(words.ptr, stories[i].words)) {
			print_error("%s\nunderstood %d, nodes %d, prefilter %d, resource '%s', words '%s'\n",
			            stories[i].text, v.understood, v.nodes, v.prefilter, v.resource,
			            words.ptr ? words.ptr : "");
			for (size_t k = 0; k < VERDICT_KIND_COUNT; k++)
				print_error("count[%zu] is %d, not %d\n", k, v.count[k], stories[i].expect.count[k]);
			fail();
		}
	}
}

static void no_room(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* 1.24: a dot after the preemption part too. */
		{"0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node "
	     "affinity/selector. preemption: 0/3 nodes are available: 1 " NO_VICTIM ", 2 " NO_HELP "..",
	     {.understood = true,
	      .nodes = 3,
	      .count = {[VERDICT_INSUFFICIENT] = 1, [VERDICT_NO_MATCH] = 2},
	      .resource = "nvidia.com/gpu"},
	     "Insufficient nvidia.com/gpu"},
		/* 1.30 */
		{"0/11 nodes are available: 1 Insufficient nvidia.com/gpu, 10 node(s) didn't match Pod's node "
	     "affinity/selector. preemption: 0/11 nodes are available: 1 " NO_VICTIM ", 10 " NO_HELP ".",
	     {.understood = true,
	      .nodes = 11,
	      .count = {[VERDICT_INSUFFICIENT] = 1, [VERDICT_NO_MATCH] = 10},
	      .resource = "nvidia.com/gpu"},
	     "Insufficient nvidia.com/gpu"},
		/* 1.36, dynamic resources have their say before preemption. */
		{"0/4 nodes are available: 4 Insufficient amd.com/gpu. no new claims to deallocate, preemption: 0/4 "
	     "nodes are available: 4 " NO_VICTIM ".",
	     {.understood = true, .nodes = 4, .count = {[VERDICT_INSUFFICIENT] = 4}, .resource = "amd.com/gpu"},
	     "Insufficient amd.com/gpu"},
		{"0/4 nodes are available: 4 Insufficient amd.com/gpu. still not schedulable, preemption: 0/4 nodes "
	     "are available: 4 " NO_VICTIM ".",
	     {.understood = true, .nodes = 4, .count = {[VERDICT_INSUFFICIENT] = 4}, .resource = "amd.com/gpu"},
	     "Insufficient amd.com/gpu"},
		/* The same two nodes lack two things: two nodes, not four. */
		{"0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: "
	     "}, "
	     "2 Insufficient cpu, 2 Insufficient nvidia.com/gpu. preemption: not eligible due to "
	     "preemptionPolicy=Never.",
	     {.understood = true,
	      .nodes = 3,
	      .count = {[VERDICT_INSUFFICIENT] = 2, [VERDICT_TAINT] = 1},
	      .resource = "cpu"},
	     "Insufficient cpu, Insufficient nvidia.com/gpu"},
		{"0/2 nodes are available: 2 Too many pods.",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_INSUFFICIENT] = 2}},
	     "Too many pods"},
		{"0/1 nodes are available: 1 Insufficient ephemeral-storage.",
	     {.understood = true,
	      .nodes = 1,
	      .count = {[VERDICT_INSUFFICIENT] = 1},
	      .resource = "ephemeral-storage"},
	     "Insufficient ephemeral-storage"},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void other_nodes(void **state)
{
	(void)state;
	static const struct story stories[] = {
		{"0/6 nodes are available: 6 node(s) didn't match Pod's node affinity/selector. preemption: 0/6 "
	     "nodes "
	     "are available: 6 " NO_HELP ".",
	     {.understood = true, .nodes = 6, .count = {[VERDICT_NO_MATCH] = 6}},
	     "node(s) didn't match Pod's node affinity/selector"},
		{"0/2 nodes are available: 2 node(s) didn't match node selector.",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_NO_MATCH] = 2}},
	     "node(s) didn't match node selector"},
		{"0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
	     {.understood = true,
	      .nodes = 3,
	      .count = {[VERDICT_INSUFFICIENT] = 1, [VERDICT_NO_MATCH] = 2},
	      .resource = "cpu"},
	     "Insufficient cpu"},
		{"no nodes available to schedule pods", {.understood = true}, ""},
		{"no nodes available to schedule pods.", {.understood = true}, ""},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void taints_and_cordons(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* A comma inside a reason, as old versions put it. */
		{"0/4 nodes are available: 1 node(s) had taint {dedicated: web}, that the pod didn't tolerate, 3 "
	     "Insufficient cpu.",
	     {.understood = true,
	      .nodes = 4,
	      .count = {[VERDICT_TAINT] = 1, [VERDICT_INSUFFICIENT] = 3},
	      .resource = "cpu"},
	     "Insufficient cpu"},
		{"0/5 nodes are available: 1 node(s) had untolerated taint {dedicated: }, 1 node(s) had untolerated "
	     "taint {example.com/volume: pvc}, 3 node(s) were unschedulable. preemption: 0/5 nodes are "
	     "available: 5 " NO_HELP ".",
	     {.understood = true, .nodes = 5, .count = {[VERDICT_TAINT] = 2, [VERDICT_UNSCHEDULABLE] = 3}},
	     "node(s) had untolerated taint {dedicated: }, node(s) had untolerated taint {example.com/volume: "
	     "pvc}, node(s) were unschedulable"},
		/* Newer versions do not name the key. */
		{"0/2 nodes are available: 2 node(s) had untolerated taint(s). no new claims to deallocate, "
	     "preemption: 0/2 nodes are available: 2 " NO_HELP ".",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_TAINT] = 2}},
	     "node(s) had untolerated taint(s)"},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void volumes_and_claims(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* Old versions count what stands for all nodes. */
		{"0/3 nodes are available: 3 pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes "
	     "are available: 3 " NO_HELP "..",
	     {.understood = true, .nodes = 3, .count = {[VERDICT_VOLUME] = 3}},
	     "pod has unbound immediate PersistentVolumeClaims"},
		{"0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes "
	     "are "
	     "available: 3 " NO_HELP ".",
	     {.understood = true, .nodes = 3, .prefilter = true, .count = {[VERDICT_VOLUME] = 3}},
	     "pod has unbound immediate PersistentVolumeClaims"},
		/* Both at once. */
		{"0/3 nodes are available: persistentvolumeclaim \"weights\" not found. 3 Insufficient cpu. "
	     "preemption: 0/3 nodes are available: 3 " NO_HELP ".",
	     {.understood = true,
	      .nodes = 3,
	      .prefilter = true,
	      .count = {[VERDICT_VOLUME] = 3, [VERDICT_INSUFFICIENT] = 3},
	      .resource = "cpu"},
	     "persistentvolumeclaim \"weights\" not found, Insufficient cpu"},
		{"0/9 nodes are available: 1 node(s) had volume node affinity conflict, 2 node(s) didn't match "
	     "PersistentVolume's node affinity, 6 node(s) didn't match Pod's node affinity/selector.",
	     {.understood = true, .nodes = 9, .count = {[VERDICT_VOLUME] = 2, [VERDICT_NO_MATCH] = 6}},
	     "node(s) had volume node affinity conflict, node(s) didn't match PersistentVolume's node affinity"},
		{"0/2 nodes are available: 1 node(s) did not have enough free storage, 1 node(s) had no available "
	     "disk, 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_VOLUME] = 1}},
	     "node(s) did not have enough free storage, node(s) had no available disk, node(s) unavailable due "
	     "to "
	     "one or more pvc(s) bound to non-existent pv(s)"},
		{"0/2 nodes are available: 2 cannot allocate all claims. still not schedulable, preemption: 0/2 "
	     "nodes "
	     "are available: 2 " NO_HELP ".",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_CLAIM] = 2}},
	     "cannot allocate all claims"},
		{"0/2 nodes are available: request gpu: device class gpu.example.com does not exist. no new claims "
	     "to "
	     "deallocate.",
	     {.understood = true, .nodes = 2, .prefilter = true, .count = {[VERDICT_CLAIM] = 2}},
	     "request gpu: device class gpu.example.com does not exist"},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void placement(void **state)
{
	(void)state;
	static const struct story stories[] = {
		{"0/4 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) "
	     "didn't match pod anti-affinity rules, 1 node(s) didn't match pod topology spread constraints, 1 "
	     "node(s) didn't match pod topology spread constraints (missing required label).",
	     {.understood = true, .nodes = 4, .count = {[VERDICT_PLACEMENT] = 4}},
	     "node(s) didn't have free ports for the requested pod ports, node(s) didn't match pod anti-affinity "
	     "rules, node(s) didn't match pod topology spread constraints, node(s) didn't match pod topology "
	     "spread "
	     "constraints (missing required label)"},
		{"0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.",
	     {.understood = true, .nodes = 2, .count = {[VERDICT_PLACEMENT] = 2}},
	     "node(s) didn't satisfy existing pods anti-affinity rules"},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void strange_texts(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* Reasons of other schedulers. */
		{"0/4 nodes are available: 1 NodeUnfitPod, 1 node(s) had unknown conditions, 2 node unregistered.",
	     {.understood = true, .nodes = 4, .count = {[VERDICT_OTHER] = 4}},
	     "NodeUnfitPod, node(s) had unknown conditions, node unregistered"},
		/* Nothing before the preemption part. */
		{"0/4 nodes are available: preemption: 0/4 nodes are available: 4 Insufficient cpu.",
	     {.understood = true, .nodes = 4},
	     ""},
		{"0/4 nodes are available: . preemption: 0/4 nodes are available: 4 Insufficient cpu.",
	     {.understood = true, .nodes = 4},
	     ""},
		{"0/4 nodes are available: 4 Too many pods. All PostFilter plugins are skipped",
	     {.understood = true, .nodes = 4, .count = {[VERDICT_INSUFFICIENT] = 4}},
	     "Too many pods"},
		{"0/4 nodes are available", {.understood = true, .nodes = 4}, ""},
		{"0/4 nodes are available:", {.understood = true, .nodes = 4}, ""},
		/* Counts that cannot be. */
		{"0/2 nodes are available: 99999999999999999999 node(s) were unschedulable, 7 Insufficient cpu.",
	     {.understood = true,
	      .nodes = 2,
	      .count = {[VERDICT_UNSCHEDULABLE] = 2, [VERDICT_INSUFFICIENT] = 2},
	      .resource = "cpu"},
	     "Insufficient cpu"},
		{"0/99999999999 nodes are available: 2147483647 a, 2147483647 b.",
	     {.understood = true, .nodes = INT32_MAX, .count = {[VERDICT_OTHER] = INT32_MAX}},
	     "a, b"},
		{"0/1 nodes are available: 1 Insufficient cpu\xff, 1 \xc3.",
	     {.understood = true,
	      .nodes = 1,
	      .count = {[VERDICT_INSUFFICIENT] = 1, [VERDICT_OTHER] = 1},
	      .resource = "cpu"},
	     "Insufficient cpu\xef\xbf\xbd, \xef\xbf\xbd"},
		/* Not a FitError at all. */
		{"", {0}, ""},
		{"0/", {0}, ""},
		{"0/4", {0}, ""},
		{"0/4 nodes", {0}, ""},
		{"/4 nodes are available: 4 Insufficient cpu", {0}, ""},
		{"1/4 nodes are available: 3 Insufficient cpu", {0}, ""},
		{"running \"VolumeBinding\" filter plugin: pod has unbound immediate PersistentVolumeClaims",
	     {0},
	     ""},
		{"pod group is unschedulable", {0}, ""},
		{"Scheduling is blocked due to non-empty scheduling gates", {0}, ""},
	};
	tell(stories, ARRAY_LEN(stories));
}

static void long_names_and_long_texts(void **state)
{
	(void)state;
	struct verdict v;
	char name[200], text[400];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "0/1 nodes are available: 1 Insufficient %s.", name);
	verdict_parse(slice_from(text), &v);
	assert_int_equal(strlen(v.resource), VERDICT_RESOURCE_SIZE - 1);

	/* What stands beyond 16 KiB is not read, and a text of any size takes time in proportion. */
	size_t size = 1 << 20;
	CLEANUP_FREE char *big = xmalloc(size);
	memset(big, '.', size);
	const char *begin = "0/3 nodes are available: 1 ";
	memcpy(big, begin, strlen(begin));
	const char *late = ", 2 Insufficient cpu.";
	memcpy(big + 17000, late, strlen(late));
	verdict_parse((struct slice){big, size}, &v);
	assert_true(v.understood);
	assert_int_equal(v.count[VERDICT_INSUFFICIENT], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_room),
		cmocka_unit_test(other_nodes),
		cmocka_unit_test(taints_and_cordons),
		cmocka_unit_test(volumes_and_claims),
		cmocka_unit_test(placement),
		cmocka_unit_test(strange_texts),
		cmocka_unit_test(long_names_and_long_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
