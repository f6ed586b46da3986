#include "base/host.h"
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts); /* cannot fail for these clocks */
	return ts.tv_sec * MS_PER_S + ts.tv_nsec / 1000000;
}

struct mono mono_now(void)
{
	return (struct mono){now_ms(CLOCK_MONOTONIC)};
}

struct wall wall_now(void)
{
	return (struct wall){now_ms(CLOCK_REALTIME)};
}

struct mono boot_now(void)
{
	return (struct mono){now_ms(CLOCK_BOOTTIME)};
}

uint64_t host_random(void)
{
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		abort(); /* only a kernel without the call refuses so few bytes */
	return n;
}
