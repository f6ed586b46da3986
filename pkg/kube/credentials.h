#pragma once
/* Who we are, kept fresh: a token, a token file, a client certificate (its files may change), or what a plugin
 * gives. Private to pkg/kube. */
#include "kube/config.h"
#include "net/http.h"

struct credentials;

enum credentials_state {
	CREDENTIALS_READY,
	CREDENTIALS_PENDING, /* the plugin runs: credentials_changed_fn comes, in a minute at most */
	CREDENTIALS_FAILED,  /* it failed a short while ago and is run again later */
};

/* The plugin has ended, or new connections must show another certificate. Never from inside a call of one of the
 * functions below. */
typedef void credentials_changed_fn(void *arg);

/* cfg is borrowed for as long as this lives. */
struct credentials *credentials_new(struct loop *l, const struct kube_config *cfg,
                                    credentials_changed_fn *changed, void *arg, struct err *err);
void credentials_free(struct credentials *c);

/* To be asked before each request: starts what is needed. FAILED fills err. */
enum credentials_state credentials_ask(struct credentials *c, struct err *err);

/* Counts the tokens; with the number that a request went out with, its answer is understood: a 401 makes the
 * credential be renewed, if that has not happened since. */
unsigned credentials_generation(const struct credentials *c);
void credentials_note_answer(struct credentials *c, unsigned generation, int http_status);
/* Puts before a 401's message what was not accepted, and that it has expired where that can be seen. */
void credentials_explain(const struct credentials *c, struct err *err);

/* Counts the client certificates, and sets what connections need to show the present one. */
unsigned credentials_identity(const struct credentials *c);
void credentials_apply(struct credentials *c, struct http_client_options *o);
