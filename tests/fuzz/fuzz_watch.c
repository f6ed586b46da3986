/* A watch stream gives the same events however it is cut. The first byte says into what pieces. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/hash.h"
#include "kube/watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t events, hash;
};

static void mix(struct seen *seen, const void *p, size_t len)
{
	seen->hash = hash64(seen->hash, (struct slice){p, len});
}

static int on_event(void *arg, const struct watch_event *e, struct err *err)
{
	struct seen *seen = arg;
	(void)err;
	if (e->object.len < 2 || e->object.ptr[0] != '{' || e->object.ptr[e->object.len - 1] == '\n')
		abort();
	if ((e->type == WATCH_ERROR) != (e->status.code == ERR_HTTP && e->status.http_status >= 400))
		abort();
	if (e->initial_events_end && e->type != WATCH_BOOKMARK)
		abort();
	seen->events++;
	mix(seen, &e->type, sizeof(e->type));
	mix(seen, e->object.ptr, e->object.len);
	mix(seen, e->resource_version, strlen(e->resource_version));
	mix(seen, &e->initial_events_end, sizeof(e->initial_events_end));
	mix(seen, e->status.message, strlen(e->status.message));
	return 0;
}

/* What comes of it in pieces of so many bytes. */
static struct seen decode(struct watch_decoder *d, struct slice text, size_t piece)
{
	struct seen seen = {0, HASH64_INIT};
	struct err err = ERR_INIT;
	int r = 0;
	watch_decoder_reset(d);
	while (text.len > 0 && r == 0) {
		size_t n = text.len < piece ? text.len : piece;
		/* A block of its own, so that the sanitizer sees what goes past its end. */
		char *copy = malloc(n);
		if (!copy)
			abort();
		memcpy(copy, text.ptr, n);
		r = watch_decoder_feed(d, (struct slice){copy, n}, on_event, &seen, &err);
		free(copy);
		text = (struct slice){text.ptr + n, text.len - n};
	}
	if (r != 0 && err.code == ERR_NONE)
		abort();
	mix(&seen, &r, sizeof(r));
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice text = {(const char *)data + 1, size - 1};
	struct watch_decoder d;
	watch_decoder_init(&d);
	struct seen whole = decode(&d, text, SIZE_MAX), cut = decode(&d, text, (size_t)data[0] + 1);
	if (whole.events != cut.events || whole.hash != cut.hash)
		abort();
	watch_decoder_done(&d);
	return 0;
}
