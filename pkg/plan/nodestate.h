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
/* Pods and nodes are watched one by one, so the view of one may be behind that of the other: so far. */
#define NODESTATE_VIEWS_APART_MS (30 * MS_PER_S)

/* Will an instance that was bound to it then not last, or does nobody know whether it runs? NULL: the node is not there. What
 * may come from a view that is older than the binding does not count. */
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
