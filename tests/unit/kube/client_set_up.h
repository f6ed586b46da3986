#pragma once
/* A client of a scripted server, and time that passes. */
#include "scripted_server.h"

static inline struct kube_client *client_begin(struct server *s, struct patient_loop *l, const char *script)
{
	struct err err = ERR_INIT;
	server_start(s, script);
	patient_loop_init(l);
	struct kube_config cfg = {.server = s->url};
	struct kube_client *c = kube_client_new(l->loop, &cfg, &(struct kube_client_options){0}, &err);
	assert_non_null(c);
	return c;
}

/* c may be NULL: it is freed already. */
static inline void client_end(struct kube_client *c, struct server *s, struct patient_loop *l)
{
	kube_client_free(c);
	patient_loop_done(l);
	server_stop(s);
	server_done(s);
}

/* What an informer is given where its objects do not matter. */
static inline void ignore_change(void *arg, const void *before, const void *after)
{
	(void)arg, (void)before, (void)after;
}

static inline void ignore_undecodable(void *arg, const char *ns, const char *name, const struct err *err)
{
	(void)arg, (void)ns, (void)name, (void)err;
}

static inline void on_time_over(void *arg)
{
	loop_stop(arg);
}

static inline void pass_time(struct patient_loop *l, int64_t ms)
{
	struct loop_timer *timer = loop_timer_new(l->loop, on_time_over, l->loop);
	loop_timer_arm(timer, ms);
	patient_loop_run(l);
	loop_timer_free(timer);
}
