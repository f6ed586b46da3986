#pragma once
/* A call and its client, as http.c (queue, deadlines, delivery) and http_transfer.c (the curl handle) share them. */
#include <curl/curl.h>
#include <sys/queue.h>
#include "base/clock.h"
#include "net/http.h"
#include "net/http_conf.h"
#include "net/http_multi.h"

enum call_state {
	CALL_WAITING,   /* on client->waiting or client->waiting_long */
	CALL_RUNNING,   /* on client->running; libcurl has it */
	CALL_FINISHED,  /* on client->finished; on_done is still to come */
	CALL_DELIVERED, /* its on_done is on the stack */
};

struct http_call {
	struct http_client *client;
	enum call_state state;
	TAILQ_ENTRY(http_call) link;
	uint64_t round; /* of client->round when it finished */

	char *method, *path, *content_type, *accept;
	char *request_body;
	size_t request_body_len;
	struct http_callbacks cb;
	int64_t timeout_ms, idle_timeout_ms;
	bool long_running;

	CURL *easy;
	struct curl_slist *headers;
	struct loop_timer *timer; /* for both deadlines; NULL when there is none */
	struct mono deadline, last_byte;
	long connects; /* made for this call so far */
	bool sent, sent_again;
	bool canceled;         /* by the caller while libcurl was on the stack; freed when it is not */
	enum err_code stopped; /* why a callback of ours ended the transfer, else ERR_NONE */
	int status;
	struct buf body;
	struct err err;
	char curl_error[CURL_ERROR_SIZE];
};

TAILQ_HEAD(call_list, http_call);

struct http_client {
	struct loop *loop;
	struct http_conf conf;
	struct http_multi *multi;
	unsigned max_in_flight;
	void (*authorization)(void *arg, struct buf *out);
	void *authorization_arg;
	struct call_list waiting, waiting_long, running, finished;
	unsigned n_waiting, n_in_flight, n_long_running, n_canceled;
	uint64_t round;
	struct loop_timer *deliver_timer; /* for calls that failed before they began */
	uint64_t connections_opened;
};

/* "GET https://host/path: text", without what may be secret in the path. */
void http_call_set_err(struct http_call *call, enum err_code code, const char *text);
/* How libcurl says that the transfer failed. */
void http_call_set_curl_err(struct http_call *call, CURLcode result);
/* Gives the call to libcurl; -1 with call->err when that fails. */
int http_call_begin(struct http_call *call);
