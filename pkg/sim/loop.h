#pragma once
/* net/loop.h on the timeline in use: what a process waits for, one loop each. There are no signals, files or sockets. */
#include "net/loop.h"
#include "sim/timeline.h"

/* A stopped process: what is due waits until it goes on. */
void loop_freeze(struct loop *l, bool frozen);
