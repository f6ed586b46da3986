#pragma once
/* What only the machine knows: time and chance. Alone in its object file, so that a simulation can stand in for it. */
#include <stdint.h>
#include "base/clock.h"

/* CLOCK_BOOTTIME: it goes on while the process is stopped and while the machine sleeps. */
struct mono boot_now(void);
/* Of the kernel's random numbers; aborts where there are none. */
uint64_t host_random(void);
