#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "plan/hint.h"

struct story {
	const char *reason, *message;
	enum hint expect;
	const char *words;
};

static void tell(const char *source, const struct story *stories, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct slice words;
		enum hint h = hint_parse(source, stories[i].reason, slice_from(stories[i].message), &words);
		if (h != stories[i].expect || !slice_eq_str(words, stories[i].words ? stories[i].words : ""))
			fail_msg("%s: %s\nis %d, not %d; words '" SLICE_FMT "'", stories[i].reason, stories[i].message, h,
			         stories[i].expect, SLICE_ARG(words));
	}
}

#define NOT "pod didn't trigger scale-up: "
#define NO_MATCH "node(s) didn't match Pod's node affinity/selector"
#define TAINT "node(s) had untolerated taint {dedicated: gpu}"

static void cluster_autoscaler(void **state)
{
	(void)state;
	static const struct story stories[] = {
		{"TriggeredScaleUp", "pod triggered scale-up: [{p5-group 1->2 (max: 7)}]", HINT_PROVISIONING, NULL},
		{"NotTriggerScaleUp", NOT "1 max node group size reached", HINT_LIMIT, "max node group size reached"},
		{"NotTriggerScaleUp", NOT "1 in backoff after failed scale-up", HINT_STOCK_OUT,
	     "in backoff after failed scale-up"},
		{"NotTriggerScaleUp", NOT "max total nodes in cluster reached", HINT_LIMIT,
	     "max total nodes in cluster reached"},
		{"NotTriggerScaleUp", NOT "2 max cluster cpu, memory limit reached", HINT_LIMIT,
	     "max cluster cpu, memory limit reached"},
		{"NotTriggerScaleUp", NOT "1 atomic scale-up exceeds cluster node count limit", HINT_LIMIT,
	     "atomic scale-up exceeds cluster node count limit"},
		/* The list comes from a map: any order. */
		{"NotTriggerScaleUp", NOT "3 " NO_MATCH ", 1 max node group size reached", HINT_LIMIT,
	     "max node group size reached"},
		{"NotTriggerScaleUp", NOT "1 max node group size reached, 2 " TAINT ", 3 Insufficient nvidia.com/gpu",
	     HINT_LIMIT, "max node group size reached"},
		{"NotTriggerScaleUp",
	     NOT "2 max cluster cpu, memory limit reached, 1 in backoff after failed scale-up, 4 " NO_MATCH,
	     HINT_STOCK_OUT, "in backoff after failed scale-up"},
		{"NotTriggerScaleUp",
	     "pod didn't trigger scale-up (it wouldn't fit if a new node is added): 1 max node group size "
	     "reached, 2 node(s) had taint {a: b}, that the pod didn't tolerate, 1 node(s) didn't match node "
	     "selector",
	     HINT_LIMIT, "max node group size reached"},
		/* Hope, or what is not known. */
		{"NotTriggerScaleUp", NOT "1 max node group size reached, 1 not ready for scale-up", HINT_NONE, NULL},
		{"NotTriggerScaleUp", NOT "1 in backoff after failed scale-up, 1 scale-up execution failed",
	     HINT_NONE, NULL},
		{"NotTriggerScaleUp",
	     NOT "1 expansion options filtered out and no longer considered, 1 max node group size reached",
	     HINT_NONE, NULL},
		{"NotTriggerScaleUp", NOT "1 not all pods would fit and scale-up is using all-or-nothing strategy",
	     HINT_NONE, NULL},
		{"NotTriggerScaleUp",
	     NOT "1 max node group size reached, 1 node(s) had volume node affinity conflict", HINT_NONE, NULL},
		/* A matter of configuration alone. */
		{"NotTriggerScaleUp", NOT "4 " NO_MATCH, HINT_NONE, NULL},
		{"NotTriggerScaleUp", NOT "4 " NO_MATCH ", 1 " TAINT, HINT_NONE, NULL},
		{"NotTriggerScaleUp", NOT, HINT_NONE, NULL},
		{"NotTriggerScaleUp", "pod didn't trigger scale-up:", HINT_NONE, NULL},
		{"NotTriggerScaleUp", "pod didn't trigger scale-up (it wouldn't fit if a new node is added)",
	     HINT_NONE, NULL},
		{"NotTriggerScaleUp", "1 max node group size reached", HINT_NONE, NULL},
		{"NotTriggerScaleUp", "", HINT_NONE, NULL},
		{"TriggeredScaleUp", "", HINT_NONE, NULL},
		{"ScaleDown", "deleting pod for node scale down", HINT_NONE, NULL},
		{NULL, NULL, HINT_NONE, NULL},
		/* Karpenter's reason, but not Karpenter's. */
		{"Nominated", "Pod should schedule on: nodeclaim/p5-x2x9z", HINT_NONE, NULL},
	};
	tell("cluster-autoscaler", stories, ARRAY_LEN(stories));
}

#define ZONE "Node scale up in zones us-central1-a associated with this pod failed: "
#define RISK ". Pod is at risk of not being scheduled."

static void gke(void **state)
{
	(void)state;
	static const struct story stories[] = {
		/* Of one zone: another may have some. */
		{"FailedScaleUp", ZONE "GCE out of resources" RISK, HINT_NONE, NULL},
		{"FailedScaleUp", ZONE "GCE quota exceeded" RISK, HINT_NONE, NULL},
	};
	tell("cluster-autoscaler", stories, ARRAY_LEN(stories));
}

#define FAILED "Failed to schedule pod, "
#define POOL(name) \
	"incompatible with nodepool \"" name "\", daemonset overhead={\"cpu\":\"150m\",\"pods\":\"2\"}, "
#define ASKED                                                                                              \
	"no instance type satisfied resources {\"cpu\":\"190m\",\"nvidia.com/gpu\":\"8\",\"pods\":\"3\"} and " \
	"requirements karpenter.sh/nodepool In [p5], node.kubernetes.io/instance-type In [p5.48xlarge] ("
#define OTHER_TYPE                                                                                       \
	"incompatible requirements, key node.kubernetes.io/instance-type, node.kubernetes.io/instance-type " \
	"In [p5.48xlarge] not in node.kubernetes.io/instance-type In [g6.2xlarge g6.4xlarge]"

static const struct story karpenter_stories[] = {
	{"Nominated", "Pod should schedule on: nodeclaim/p5-x2x9z", HINT_PROVISIONING, NULL},
	{"Nominated", "Pod should schedule on: nodeclaim/p5-x2x9z, node/ip-10-0-0-1", HINT_PROVISIONING, NULL},
	{"FailedScheduling", FAILED POOL("p5") ASKED "no instance type has the required offering)",
     HINT_STOCK_OUT, "no instance type has the required offering"},
	{"FailedScheduling",
     FAILED POOL("gpu") ASKED "no instance type which met the scheduling requirements and had enough "
                              "resources, had a required offering)",
     HINT_STOCK_OUT,
     "no instance type which met the scheduling requirements and had enough resources, had a required "
     "offering"},
	{"FailedScheduling", FAILED "all available instance types exceed limits for nodepool: \"p5\"", HINT_LIMIT,
     "all available instance types exceed limits for"},
	{"FailedScheduling", FAILED "all available instance types exceed limits for nodepool (NodePool=p5)",
     HINT_LIMIT, "all available instance types exceed limits for"},
	{"FailedScheduling", FAILED "node limits have been exhausted for nodepool (NodePool=p5)", HINT_LIMIT,
     "node limits have been exhausted for nodepool"},
	/* One error per NodePool. */
	{"FailedScheduling",
     FAILED POOL("system") "incompatible requirements, label \"nvidia.com/device-plugin.config\" does not "
                           "have known values; " POOL(
							   "arm") "did not tolerate workload-type=ci-runner:NoSchedule; all available "
                                      "instance types exceed limits for nodepool \"graviton\"; " POOL(
										  "gpu-ner") OTHER_TYPE,
     HINT_LIMIT, "all available instance types exceed limits for"},
	{"FailedScheduling",
     FAILED "all available instance types exceed limits for nodepool \"p5-reserved\"; " POOL("p5") ASKED
     "no instance type has the required offering); " POOL("g6") OTHER_TYPE,
     HINT_STOCK_OUT, "no instance type has the required offering"},
	{"FailedScheduling",
     FAILED POOL("cpu") ASKED
     "no instance type met the scheduling requirements or had enough resources); " POOL("p5") ASKED
     "no instance type has the required offering)",
     HINT_STOCK_OUT, "no instance type has the required offering"},
	/* Several requirements of one NodePool are joined alike. */
	{"FailedScheduling",
     FAILED POOL("g6") "incompatible requirements, label \"team\" does not have known values; key zone, zone "
                       "In [a] not in zone In [b]; " POOL("p5") ASKED
     "no instance type has the required offering)",
     HINT_STOCK_OUT, "no instance type has the required offering"},
	/* Hope, or what is not known. */
	{"FailedScheduling",
     FAILED POOL("p5") ASKED "no instance type has the required offering); " POOL(
		 "spot") "unsatisfiable topology constraint for topology spread, key=zone (counts = a: 1, b: 0)",
     HINT_NONE, NULL},
	{"FailedScheduling",
     FAILED "one or more instance types with compatible reserved offerings are available, but could not be "
            "reserved",
     HINT_NONE, NULL},
	{"FailedScheduling", FAILED "nodepool requirements filtered out all available instance types", HINT_NONE,
     NULL},
	{"FailedScheduling",
     FAILED POOL("p5") ASKED "no instance type satisfies both scheduling and dynamic resource requirements)",
     HINT_NONE, NULL},
	{"FailedScheduling",
     FAILED "unbound pvc must define a storage class (PersistentVolumeClaim=default/x, StorageClass=)",
     HINT_NONE, NULL},
	/* A matter of configuration alone, or nobody can tell. */
	{"FailedScheduling", FAILED POOL("g6") OTHER_TYPE, HINT_NONE, NULL},
	{"FailedScheduling", FAILED POOL("g6") ASKED "no instance type has enough resources)", HINT_NONE, NULL},
	{"FailedScheduling", FAILED POOL("g6") ASKED "no instance type met all requirements)", HINT_NONE, NULL},
	{"FailedScheduling",
     FAILED POOL("g6") ASKED "no instance type met the scheduling requirements or had a required offering)",
     HINT_NONE, NULL},
	{"FailedScheduling",
     FAILED POOL("g6") ASKED "no instance type had enough resources or had a required offering)", HINT_NONE,
     NULL},
	{"FailedScheduling",
     FAILED POOL("g6") ASKED "no instance type which met the scheduling requirements and the required "
                             "offering had the required resources)",
     HINT_NONE, NULL},
	{"FailedScheduling", FAILED, HINT_NONE, NULL},
	{"FailedScheduling", "no instance type has the required offering", HINT_NONE, NULL},
	/* Cluster Autoscaler's reason. */
	{"NotTriggerScaleUp", NOT "1 max node group size reached", HINT_NONE, NULL},
};

static void karpenter(void **state)
{
	(void)state;
	tell("karpenter", karpenter_stories, ARRAY_LEN(karpenter_stories));
	tell("eks-auto-mode/compute", karpenter_stories, ARRAY_LEN(karpenter_stories));
}

static void others(void **state)
{
	(void)state;
	static const struct story stories[] = {
		{"FailedScheduling", "0/11 nodes are available: 1 Insufficient nvidia.com/gpu.", HINT_NONE, NULL},
		{"FailedScheduling", FAILED POOL("p5") ASKED "no instance type has the required offering)", HINT_NONE,
	     NULL},
		{"NotTriggerScaleUp", NOT "1 max node group size reached", HINT_NONE, NULL},
		{"TriggeredScaleUp", "pod triggered scale-up: [{p5-group 1->2 (max: 7)}]", HINT_NONE, NULL},
	};
	tell("default-scheduler", stories, ARRAY_LEN(stories));
	tell(NULL, stories, ARRAY_LEN(stories));
}

static void cut_and_endless(void **state)
{
	(void)state;
	static const char text[] = NOT "1 max node group size reached, 1 " NO_MATCH;
	CLEANUP_FREE char *message = xmalloc(1 << 15);
	struct slice words;
	memset(message, 'x', 1 << 15);
	memcpy(message, text, sizeof(text) - 1);
	static const struct {
		size_t len;
		enum hint expect;
	} lengths[] = {{1023, HINT_LIMIT}, {1024, HINT_NONE}, {1025, HINT_LIMIT}, {1 << 15, HINT_NONE}};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		assert_int_equal(hint_parse("cluster-autoscaler", "NotTriggerScaleUp",
		                            (struct slice){message, lengths[i].len}, &words),
		                 lengths[i].expect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cluster_autoscaler), cmocka_unit_test(gke),
		cmocka_unit_test(karpenter),          cmocka_unit_test(others),
		cmocka_unit_test(cut_and_endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
