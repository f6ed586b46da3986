#include "plan/startup.h"
#include <inttypes.h>
#include "base/buf.h"

/* The kubelet sets Ready to False right when it sees the pod: a later change to False means that it was Ready. */
#define FIRST_STATUS_MS (2 * MS_PER_S)
#define DETAIL_MAX_BYTES 200u

static bool downloads(const struct pod *p)
{
	return p->initialized == TRI_FALSE;
}

/* What runs now: the download, or what comes after it. The condition's time is later than the binding also where a node has
 * started again and all begins anew. */
static struct wall phase_began(const struct pod *p)
{
	struct wall bound = wall_is_set(p->scheduled_since) ? p->scheduled_since : p->meta.created;

	return wall_max(bound, p->initialized_since);
}

static bool was_ready(const struct pod *p)
{
	return !downloads(p) && p->ready_since.ms > phase_began(p).ms + FIRST_STATUS_MS;
}

static struct wall deadline(const struct startup_input *in, const struct pod *p)
{
	return wall_add(phase_began(p), downloads(p) ? in->download_timeout_ms : in->startup_timeout_ms);
}

static const char *detail(struct arena *a, const struct pod *p)
{
	struct slice text = slice_from(p->trouble_detail);

	if (text.len > DETAIL_MAX_BYTES)
		text.len = utf8_cut((struct slice){text.ptr, DETAIL_MAX_BYTES});
	return text.len ? arena_slicedup(a, slice_trim(text)) : "no reason given";
}

static void tell_trouble(const struct pod *p, struct arena *a, struct startup_output *ret)
{
	switch (p->trouble) {
	case POD_IMAGE_PULL:
		ret->reason = REASON_IMAGE_PULL_FAILED;
		ret->message = arena_printf(a, "image %s cannot be pulled", detail(a, p));
		break;
	case POD_CRASH:
		ret->reason = REASON_CRASH_LOOP;
		ret->message =
			arena_printf(a, "container %s has ended with exit code %" PRId32 " (%s) and is started again",
		                 p->trouble_container, p->exit_code, detail(a, p));
		break;
	case POD_CONTAINER_ERROR:
		ret->reason = REASON_CONTAINER_ERROR;
		ret->message =
			arena_printf(a, "container %s cannot be started: %s", p->trouble_container, detail(a, p));
		break;
	case POD_FINE:
		break;
	}
}

static void tell_timeout(const struct startup_input *in, const struct pod *p, struct arena *a,
                         struct startup_output *ret)
{
	if (downloads(p)) {
		ret->reason = REASON_DOWNLOAD_TIMEOUT;
		ret->message = arena_printf(a, "the init containers have not ended within %" PRId64 " s",
		                            in->download_timeout_ms / MS_PER_S);
	} else {
		ret->reason = REASON_STARTUP_TIMEOUT;
		ret->message = arena_printf(a, "not Ready within %" PRId64 " s", in->startup_timeout_ms / MS_PER_S);
	}
}

bool startup_failed(const struct startup_input *in, const struct pod *p, struct wall now)
{
	return !was_ready(p) && now.ms >= deadline(in, p).ms;
}

/* Known trouble says more than a timeout, and one that failed more than one that still may start. */
void startup_look(const struct startup_input *in, struct wall now, struct arena *a,
                  struct startup_output *ret)
{
	const struct pod *failed = NULL, *troubled = NULL;

	*ret = (struct startup_output){.reason = REASON_NONE};
	for (size_t i = 0; i < in->n_pods; i++) {
		const struct pod *p = in->pods[i];
		struct wall due = deadline(in, p);

		if (p->trouble != POD_FINE && !troubled)
			troubled = p;
		if (!startup_failed(in, p, now)) {
			if (!was_ready(p) && (!wall_is_set(ret->deadline) || due.ms < ret->deadline.ms))
				ret->deadline = due;
			continue;
		}
		ret->failed++;
		if (!failed || (failed->trouble == POD_FINE && p->trouble != POD_FINE))
			failed = p;
	}
	if (failed && failed->trouble == POD_FINE)
		tell_timeout(in, failed, a, ret);
	else if (failed || troubled)
		tell_trouble(failed ? failed : troubled, a, ret);
}
