#pragma once
/* net/loop.h on a timeline: what a process waits for, one loop each. There are no signals, files or sockets. */
#include "net/loop.h"
#include "sim/timeline.h"

/* The timeline of the loops that are made from now on. NULL: none can be made. */
void loop_use(struct timeline *t);
/* A stopped process: what is due waits until it goes on. */
void loop_freeze(struct loop *l, bool frozen);
