/* Upstreams as a task talks to them: a loop of the task's own that runs only while the task waits for something. What
 * blocks may be called between two such runs and, as nobody else uses the loop, inside its call-backs. One thread. */
#ifndef SLUICE_SYNC_WIRE_H
#define SLUICE_SYNC_WIRE_H

#include "base/err.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/settings.h"
#include "catalog/remote.h"
#include "fetch/fetch.h"

struct wire {
	struct loop *loop;
	struct pool *pool; /* for file:// and for saving beside the downloads */
	struct fetch_ctx *fetch;
};

int wire_init(struct wire *w, const struct settings *settings, struct err *err);
void wire_fini(struct wire *w); /* also of a zeroed one */
/* How fetch talks to a remote; borrows from `r`. */
void wire_remote(const struct remote_row *r, struct fetch_remote *out);
/* How many downloads at once: 1 to WIRE_CONCURRENCY_MAX. Each has a socket and a staging file, and as many may wait to be
 * saved twice over; a process often has no more than 1,024 descriptors. */
#define WIRE_CONCURRENCY_MAX 128
int wire_concurrency(const struct remote_row *r);
int wire_retries(const struct remote_row *r);
int wire_wait(struct wire *w, int64_t ms, struct err *err);

/* "404, message='Not Found', url='…'" in the form that Pulp's users look for. -ERR_GONE for 404 and 410, else -ERR_UPSTREAM. */
int wire_status(struct err *err, int status, const char *url);
/* Puts the code that users look for in front of what fetch says: [PLP0005] time-outs, [PLP0010] proxies. Returns err->code. */
int wire_error(struct err *err);

#endif
