#pragma once
/* HTTP calls to the API server under our credential. A call waits until there is one, its deadline running. Calls
 * go over the present connections; these are replaced, while what is under way ends on the old ones, when another
 * client certificate must be shown and when a call timed out: libcurl does not find out that a connection is dead,
 * and would go on using it. Private to pkg/kube. */
#include "kube/config.h"
#include "net/http.h"

struct transport;

/* Two sets of connections. */
enum transport_lane { TRANSPORT_READS, TRANSPORT_WRITES };
#define TRANSPORT_LANES 2

/* cfg is copied. */
struct transport *transport_new(struct loop *l, const struct kube_config *cfg, const char *user_agent,
                                struct err *err);
/* Cancels what runs, without callbacks. NULL is fine. Not from inside one of its callbacks. */
void transport_free(struct transport *t);

/* As http_client_call() and http_call_cancel(). Where there is no credential on_done gets why, with ERR_IO or
 * ERR_TIMEOUT and nothing sent. */
struct transport_call *transport_call(struct transport *t, enum transport_lane lane,
                                      const struct http_request *r, const struct http_callbacks *cb);
void transport_cancel(struct transport_call *call);

/* For a 401: what was not accepted. */
void transport_explain(const struct transport *t, struct err *err);
