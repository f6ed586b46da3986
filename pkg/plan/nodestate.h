#pragma once
/* What a node is going through, for instances that ask for given extended resources. Part of classify.h. */
#include "api/views.h"
#include "base/arena.h"

enum nodestate {
	NODESTATE_USABLE,
	NODESTATE_COMING,  /* young (CLASSIFY_YOUNG_NODE_MS) and not complete */
	NODESTATE_EMPTIED, /* Ready, and had devices that are not allocatable now */
	NODESTATE_CORDONED,
	NODESTATE_NOT_READY, /* or tainted as such */
	NODESTATE_DOOMED,    /* being removed */
	NODESTATE_COUNT,
};

struct nodestate_asked {
	const struct jqty *resources; /* of one instance */
	size_t n_resources;
};

enum nodestate nodestate_of(const struct node *n, struct nodestate_asked asked, struct wall now);
/* So far the views of pods and nodes may be apart, and so long a kubelet may need to start again. */
#define NODESTATE_SETTLE_MS (30 * MS_PER_S)
/* One that is not heard of (Unknown) has had most of its time before that is said. */
#define NODESTATE_UNHEARD_MS (10 * MS_PER_S)
/* Where as many nodes are not heard of at once, it is not the nodes (kube-controller-manager's unhealthyZoneThreshold). */
#define NODESTATE_UNHEARD_PERCENT 55

/* From when on an instance that was bound to the node then counts as lost, because the node is not there (NULL), not Ready
 * since, or about to go; not set: it lasts. Long ago for one that is about to go. */
struct wall nodestate_lost_from(const struct node *n, struct wall bound_since);
/* Is it the way to the nodes that is broken? Then no instance is lost for not being heard of. */
bool nodestate_none_is_heard(size_t n_unheard, size_t n_nodes);
bool nodestate_loses(const struct node *n, struct wall bound_since, struct wall now);
/* "is cordoned" / "are cordoned"; NULL for USABLE. */
const char *nodestate_words(enum nodestate s, size_t n_nodes);

/* The larger of capacity and allocatable. */
int64_t nodestate_total(const struct node *n, const char *resource);
/* How many instances the node holds when empty; -1: it does not say (yet). */
int64_t nodestate_room(const struct node *n, struct nodestate_asked asked);
/* Emptied or cordoned, and likely to take instances again without anybody's help. */
bool nodestate_returns(const struct node *n, struct nodestate_asked asked, struct wall now);
/* The keys of the taints that keep a usable node for others, joined by ", "; "" when there are none. */
const char *nodestate_kept_for(const struct node *n, struct arena *a);
