#include "availability/balancer.h"

#define PROCESS_S 15          /* --reprocess-period-sec */
#define STARTUP_TIMEOUT_S 180 /* fallback.startupTimeoutSeconds of the example */

void availability_balancer(const struct availability_view *v, int32_t desired,
                           int32_t replicas[static AVAILABILITY_POOLS], int64_t *ret_wake_s)
{
	bool waits = false;
	int32_t left = desired;

	for (size_t i = 0; i < v->n_pods; i++)
		waits = waits || (v->pods[i].alive && v->pods[i].node < 0);
	*ret_wake_s = v->now_s / PROCESS_S * PROCESS_S + PROCESS_S;
	if (v->now_s % PROCESS_S != 0)
		return;
	for (size_t pool = 0; pool < v->n_pools; pool++) {
		int32_t total = 0, late = 0, fall_back;

		for (size_t i = 0; i < v->n_pods; i++) {
			const struct availability_pod *p = &v->pods[i];

			if (!p->alive || p->pool != (int32_t)pool)
				continue;
			total++;
			late += p->node < 0 && p->created_s + STARTUP_TIMEOUT_S < v->now_s;
		}
		/* No target has a maximum here, so all goes to the first that is asked. */
		replicas[pool] = left;
		left = 0;
		fall_back = late + replicas[pool] - total;
		if (late > 0 && fall_back > 0)
			left = fall_back;
	}
	if (!waits)
		*ret_wake_s = AVAILABILITY_NEVER;
}
