#pragma once
/* The scheduler's words -> counts. The text is FitError of kube-scheduler (pkg/scheduler/framework), in the
 * spellings of old and new versions: "0/11 nodes are available: 1 Insufficient nvidia.com/gpu, 10 node(s)
 * didn't match Pod's node affinity/selector. preemption: 0/11 ...". What stands before the preemption part is
 * read. */
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"

enum verdict_kind {
	VERDICT_INSUFFICIENT,  /* "Insufficient <resource>", "Too many pods" */
	VERDICT_NO_MATCH,      /* "node(s) didn't match Pod's node affinity/selector": the other types say so */
	VERDICT_TAINT,         /* untolerated taint(s) */
	VERDICT_UNSCHEDULABLE, /* cordoned */
	VERDICT_VOLUME,        /* volumes, claims, their nodes */
	VERDICT_PLACEMENT,     /* topology spread, (anti-)affinity of pods, host ports */
	VERDICT_CLAIM,         /* "cannot allocate all claims": dynamic resource allocation */
	VERDICT_OTHER,
	VERDICT_KIND_COUNT,
};

#define VERDICT_RESOURCE_SIZE 64
struct verdict {
	bool understood; /* false: not a FitError; everything else is 0 */
	int32_t nodes;   /* N of "0/N nodes" */
	/* Nodes per kind, never more than `nodes`; a node may be counted under several. Where one node can give
	 * several reasons of a kind (two resources, two volumes) this is the least that the text says. */
	int32_t count[VERDICT_KIND_COUNT];
	bool prefilter; /* a reason without count stands for all nodes (an unbound claim, say) */
	char resource[VERDICT_RESOURCE_SIZE]; /* of the first "Insufficient", "" if none */
};

/* Never fails: what is not understood is said to be so. Reads at most 16 KiB. */
void verdict_parse(struct slice message, struct verdict *ret);

/* Appends the reasons for people, joined by ", ", without counts (they change as the cluster does). Reasons
 * that nodes of other pools give as well (no match, taints, cordons) are left out where there are others.
 * Nothing for a text that is not understood. */
void verdict_words(struct slice message, struct buf *out);
/* Lists of "<count> <words>", as schedulers and autoscalers write them, joined by ", ". Words may hold a comma ("taint {a: b},
 * that the pod didn't tolerate"): the next entry begins with its count. */
bool verdict_is_counted(struct slice list);
/* The words of the first entry, its count if there is one; *list is what follows. */
struct slice verdict_take_entry(struct slice *list, int32_t *ret_count);
