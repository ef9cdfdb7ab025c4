/* A remote as one revision of its settings describes it, with its connections: one libcurl multi handle, so that no
 * connection is ever shared between remotes or outlives a change of their settings. Loop only. */
#ifndef SLUICE_FETCH_UPSTREAM_H
#define SLUICE_FETCH_UPSTREAM_H

#include "fetch/fetch_priv.h"
#include "fetch/origin.h"

#include <curl/curl.h>

struct upstream {
	uint32_t magic;
	struct upstream *next; /* of the lane */
	struct fetch_ctx *ctx;
	struct lane *lane;
	struct fetch_remote remote; /* its strings are in `text`; of its numbers only key and revision count */
	struct origin_headers headers;
	char *user_agent; /* for the origin: ours and the remote's */
	CURLM *multi;     /* NULL before the first request over HTTP */
	struct loop_timer timer;
	struct link watches; /* sockets that libcurl waits for */
	bool broken;         /* libcurl refuses: no new requests here */
	int refs;            /* fetches */
	int64_t idle_since_ns;
	char text[];
};

/* The upstream of these settings: found, or made. Gives a reference. -ERR_INVAL: headers that cannot be sent. -ERR_NOMEM. */
int upstream_get(struct fetch_ctx *c, const struct fetch_remote *r, struct upstream **out, struct err *err);
void upstream_put(struct upstream **pu);
/* Closes its connections; nobody holds a reference. */
void upstream_free(struct upstream *u);

/* Runs the request; its CURLOPT_PRIVATE is the transfer that transfer_completed() gets. Not from inside a call-back. */
int upstream_add(struct upstream *u, CURL *easy, struct err *err);
void upstream_remove(struct upstream *u, CURL *easy);
/* CURLOPT_OPENSOCKETFUNCTION; its data is the upstream. */
curl_socket_t upstream_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr);

#endif
