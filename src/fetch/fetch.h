/* Upstream requests: libcurl's multi interface under our loop, and file:// from the pool.
 *
 * A context belongs to one loop; all functions are "its loop only". A fetch delivers, in this order and on the loop: on_head once, on_data
 * any number of times, on_done exactly once (never from inside fetch_start). Redirects are followed (10 at most; credentials stay with their origin,
 * C20 and facts 0.6). Bodies are never decoded: `Accept-Encoding: identity`.
 *
 * What can pass is retried here as long as on_head was not called: connection errors, time-outs, the statuses of fetch_status_may_pass(); after
 * the back-off, or after Retry-After when that is longer; `max_retries` times. A response that asks for more than 60 s is not retried but delivered, for
 * the caller to plan. A context that was given a table of health reports there how each attempt went, and asks it before each: a source that is
 * left alone gets no request, and on_done the memory of its failure at once. What happens after on_head is the caller's to decide. Fault points: fetch.start (as a refused connection), fetch.data (as a
 * connection that breaks off). */
#ifndef SLUICE_FETCH_FETCH_H
#define SLUICE_FETCH_FETCH_H

#include "base/err.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct fetch_ctx;
struct fetch;
struct health_table;

struct fetch_ctx_opts {
	struct loop *loop;
	struct pool *pool;                /* for file:// */
	const char *user_agent;           /* NULL: "sluice/<version>" */
	const char *allowed_import_paths; /* comma-separated directories for file://; "" refuses all */
	const char *
		credential_hosts; /* further hosts (HOST or HOST:PORT) that may get credentials; never over http what belongs to https */
	const char *
		foreign_networks; /* what is no host of the remote's own must lie in one of these, unless a proxy is asked; NULL, "": anywhere */
	int max_running;             /* requests over HTTP at once; 0: no limit */
	int max_per_host;            /* the same for one scheme, host and port, whatever the remote */
	int max_waiting_per_host;    /* with max_per_host: how many more may wait; past that -ERR_LIMIT */
	struct health_table *health; /* lives longer than the context; NULL: nothing is remembered */
};
/* The first one of the process reads the system's certificate authorities: tens of milliseconds. */
int fetch_ctx_new(const struct fetch_ctx_opts *opts, struct fetch_ctx **out, struct err *err);
/* Cancels what runs (each on_done gets -ERR_CANCELED) and frees. Not from inside a call-back. */
void fetch_ctx_free(struct fetch_ctx **pc);

/* How to talk to an upstream; copied by fetch_start as far as needed. Strings may be NULL. */
struct fetch_remote {
	int64_t key;            /* remote id: what is pooled, limited and throttled together */
	int64_t revision;       /* changes when settings change: older connections are not reused */
	const char *origin_url; /* the remote's url: its scheme, host and port may see the credentials */
	const char *ca_cert, *client_cert, *client_key; /* PEM */
	bool foreign; /* nobody who may make remotes chose the URL or the proxy: foreign_networks hold for the origin and the proxy as well */
	bool tls_validation;
	const char *proxy_url, *proxy_username, *proxy_password;
	const char *username, *password;
	const char *headers_json; /* list of one-key objects */
	double total_timeout_s, connect_timeout_s, sock_connect_timeout_s,
		sock_read_timeout_s; /* 0: defaults: none, 60, 60, 60 */
	int max_retries;             /* of this call */
	int concurrency; /* requests at once with this key in this context; 0: no limit. Others wait in order (at most 100,000: -ERR_LIMIT) */
	int rate_limit; /* requests started per second with this key; 0: no limit */
};

/* The head of the final response. Borrowed, valid during on_head. */
struct fetch_head {
	int status;          /* 200, 206, 304, or any error status (the retries are over then) */
	int64_t length;      /* Content-Length of this response; -1 unknown */
	int64_t range_start; /* of a 206's Content-Range; else 0 */
	int64_t total;       /* complete length: from Content-Range or Content-Length of a 200; -1 unknown */
	struct slice etag, last_modified, content_type, retry_after;
	const struct fetch_header {
		struct slice name, value;
	} * headers; /* all end-to-end fields of the response, in order (hop-by-hop ones of RFC 9110 §7.6.1 are removed) */
	size_t header_count;
	struct slice effective_url;
};

struct fetch_req {
	const char *url;      /* already encoded */
	int64_t range_from;   /* > 0: `Range: bytes=N-` */
	int64_t range_to;     /* > range_from: only up to before that byte; a server may still send more, or less */
	const char *if_range; /* with range_from */
	const char *if_none_match, *if_modified_since;
	/* Worth it only at once (hedges, ranges beside the main download): -ERR_LIMIT from fetch_start instead of a place in the queue. */
	bool optional;
	/* Nobody else can continue what has begun: when the source is left alone after failures, this waits and retries as after a failure of its
	 * own, instead of failing at once. */
	bool patient;
	/* Pieces that come together are handed over as one, of up to 128 KiB: libcurl cuts what it receives into 16. on_data must not answer FETCH_PAUSE
	 * then. Large writes are not only fewer: a file written so lies in large pages in the cache, and costs less whenever it is sent. */
	bool gather;
	/* Return 0 to go on; negative ends the fetch: on_done gets that code. Error statuses have their (short) bodies discarded: on_data is
	 * called for 200 and 206 only. */
	int (*on_head)(void *arg, const struct fetch_head *head);
	/* 0, or negative to end it, or FETCH_PAUSE: this piece was not taken; it comes again after fetch_resume. */
	int (*on_data)(void *arg, const char *p, size_t n);
	/* rc 0: the body is complete as far as HTTP can tell (or there was none: 304, 4xx, 5xx: look at the status). -ERR_TRUNCATED broke off after
	 * data; -ERR_CONNECT; -ERR_TIMEOUT; -ERR_DENIED (file:// outside the allowed paths; TLS: certificate refused is -ERR_CONNECT with curl's reason);
	 * -ERR_CANCELED; -ERR_LIMIT; and what health_may_ask() says. err names URL (redacted) and cause. *f is freed after this returns. */
	void (*on_done)(void *arg, int rc, const struct err *err);
	void *arg;
};
#define FETCH_PAUSE 1

/* When it fails no call-back comes. -ERR_LIMIT: too many wait already (`optional`: it would have to wait). */
int fetch_start(struct fetch_ctx *c, const struct fetch_remote *remote, const struct fetch_req *req, struct fetch **out,
	struct err *err);
/* No call-back comes after it (on_done neither). NULL is fine. Also from inside a call-back of this fetch, except on_done. */
void fetch_cancel(struct fetch **pf);
void fetch_resume(struct fetch *f);

/* For retries that the caller decides: back-off with jitter before attempt n (1, 2, …), in ms: about 250 · 2^(n-1), at most 30 s. */
int64_t fetch_backoff_ms(int attempt);
/* May a response of this status pass by itself? 408, 425, 429, 500, 502, 503, 504 and other 5xx but 501 and 505. */
bool fetch_status_may_pass(int status);
/* Retry-After as seconds from now: delta or HTTP date; -1 when absent or bad. */
int64_t fetch_retry_after_s(struct slice value);

#endif
