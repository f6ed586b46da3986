#pragma once
/* Shared by network.c (calls) and network_watch.c (streams). */
#include <sys/queue.h>
#include "sim/network.h"

#define NETWORK_MAX_PROCESSES 8
#define NETWORK_MAX_FAULTS 8
#define NETWORK_MAX_LISTENERS 4

/* What a stream still has to tell. */
struct network_item {
	STAILQ_ENTRY(network_item) link;
	int64_t at_ms;
	char *line; /* NULL: the end */
	enum err_code code;
};

enum network_phase {
	NETWORK_GONE, /* never arrives, or is never answered */
	NETWORK_UP,   /* on the way to the server */
	NETWORK_BACK, /* the answer is on its way */
	NETWORK_OPEN, /* a stream */
};

struct network_call {
	LIST_ENTRY(network_call) link;
	struct network *network;
	const char *who;
	struct api_request request; /* with copies */
	struct network_callbacks cb;
	enum network_phase phase;
	bool forgotten;
	struct moment *moment; /* of the phase; NULL: none */
	bool has_fault, crashes;
	enum network_fault fault;
	enum network_point point;
	/* The answer. */
	enum err_code code;
	struct api_answer answer;
	/* A stream. */
	struct api_watch *watch;
	struct moment *timeout;
	int64_t last_ms; /* of what was queued */
	unsigned times;  /* that the next event is told: 1 but for faults */
	STAILQ_HEAD(, network_item) items;
};

struct network {
	struct api *api;
	struct timeline *timeline;
	uint64_t chance;
	int64_t down_until_ms, late_until_ms[API_KIND_COUNT];
	uint64_t forgotten[API_KIND_COUNT]; /* no watch can begin at a version before this one */
	struct {
		enum network_fault fault;
		unsigned count;
	} faults[NETWORK_MAX_FAULTS];
	size_t n_faults;
	struct {
		bool armed;
		unsigned skip;
		enum network_point point;
		network_crash_fn *fn;
		void *arg;
		const char *victim; /* set while its end is due */
	} crash;
	char *names[NETWORK_MAX_PROCESSES];
	const char *severed[NETWORK_MAX_PROCESSES]; /* of names */
	LIST_HEAD(, network_call) calls;
	struct {
		network_write_fn *fn;
		void *arg;
	} on_write[NETWORK_MAX_LISTENERS];
	size_t n_on_write;
};

int64_t network_latency_ms(struct network *n);
bool network_is_down(const struct network *n);
bool network_is_severed(const struct network *n, const char *who);
void network_call_free(struct network_call *c);

/* network_watch.c */
void network_stream_open(struct network_call *c);
void network_stream_end(struct network_call *c, enum err_code code);
void network_stream_hurry(struct network_call *c); /* what was held back comes now */
void network_stream_done(struct network_call *c);
