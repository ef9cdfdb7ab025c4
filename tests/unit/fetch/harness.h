/* What the tests of the fetch layer share: a loop, a context, a scripted server, and calls that write down what they were
 * given. Everything on the thread of the test, but the server's answers. */
#ifndef SLUICE_TESTS_FETCH_HARNESS_H
#define SLUICE_TESTS_FETCH_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "fetch/fetch.h"
#include "peer.h"

struct env {
	struct loop *loop;
	struct pool *pool;
	struct fetch_ctx *ctx;
	struct peer *peer;
	struct fetch_remote remote; /* of the peer: origin_url is its root, TLS validation on, no retries */
	char root[64];              /* "http://127.0.0.1:PORT/" */
	int fds;                    /* open before */
	struct loop_timer deadline;
	struct loop_timer tick;
	bool ticked;
};

/* `fn` serves; opts may be NULL. */
void env_open(struct env *e, peer_fn *fn, void *arg, const struct fetch_ctx_opts *opts);
/* With TLS: the root is https://localhost:PORT/. */
void env_open_tls(
	struct env *e, peer_fn *fn, void *arg, const struct fetch_ctx_opts *opts, const struct peer_layer *layer);
void env_free_ctx(struct env *e); /* the context, before the rest */
void env_close(struct env *e);    /* fails when a descriptor is left */
/* Runs the loop until cond(arg); fails after 20 seconds, saying what it waited for. */
void env_wait(struct env *e, bool (*cond)(void *arg), void *arg, const char *what);
int open_fds(void);

struct call {
	struct env *env;
	struct fetch *fetch;
	/* What the call-backs do: */
	int head_rc, data_rc;
	bool cancel_in_head;
	bool cancel_in_data;
	bool pause;          /* take nothing more, until call_resume */
	bool resume_at_once; /* from within on_data */
	/* What they were given: */
	int heads, datas, pauses;
	size_t largest; /* of the pieces */
	int status;
	int64_t length, range_start, total;
	char etag[64], last_modified[64], content_type[64], retry_after[64], url[256];
	struct buf headers; /* "Name: value\n" */
	struct buf body;
	bool done;
	int rc;
	struct err err;
	int64_t done_ns;
	int order; /* 1, 2, … in which calls ended */
};

/* `target` below the root, or an absolute URL. `req` gives the rest; may be NULL. */
int call_start(struct env *e, struct call *c, const char *target, const struct fetch_req *req, struct err *err);
void call_go(struct env *e, struct call *c, const char *target); /* must start */
void call_wait(struct call *c);
void call_resume(struct call *c);
void call_free(struct call *c);
/* go, wait: returns c->rc */
int call_run(struct env *e, struct call *c, const char *target);
int call_run_req(struct env *e, struct call *c, const char *target, const struct fetch_req *req);
bool call_done(void *c);
#define assert_body(c, text)                                                                     \
	do {                                                                                     \
		assert_int_equal((c)->body.n, strlen(text));                                     \
		assert_memory_equal((c)->body.p != NULL ? (c)->body.p : "", text, strlen(text)); \
	} while (0)

#endif
