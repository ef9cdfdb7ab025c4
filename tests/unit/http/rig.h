/* A real http_server on loops in threads of their own, with handlers that do one thing each; client.h speaks to it.
 *
 * Handlers, by path (the query is a number or a word):
 *   /mem?N      N bytes of the pattern from memory          /file?N   the same from a file, so that sendfile sends it
 *   /ready?N    as /mem, with an answer made ready          /readyfile?N   likewise as /file
 *   /script     the body that rig.script describes          /fields   200 with the fields of the request as its body
 *   /async      replies from another thread, by a post      /never    only its abort function ever runs
 *   /echo       the request body, collected                 /stream   the same, streamed; rig.pauses says how often it pauses
 *   /refuse     answers 403 at the first piece of the body  /ignore   answers 200 and never reads the body
 *   /hurry      reads the body, and is answered by another thread meanwhile
 *   /status?N   only that status                            /odd      fields that a handler should not give
 *   /park       is answered by the next /unpark of any connection, which must be on the same loop
 *   /nobody     promises a body that it has no memory for   /close    asks for the connection to be closed
 *   /cert       the client's certificate (DER) */
#ifndef SLUICE_TESTS_HTTP_RIG_H
#define SLUICE_TESTS_HTTP_RIG_H

#include "http/http.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_LOOPS 2
#define RIG_ETAG "\"pattern\""
#define RIG_DATE INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */
#define KiB 1024
#define MiB (1024 * 1024)
#define WAIT_S 30 /* how long a test waits for what must come */

/* A body whose growth the test decides, from its own thread. */
struct script {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	int64_t size;     /* promised in the head; -1: unknown */
	bool by_sendfile; /* else by read() */
	int64_t limit;    /* bytes there are */
	bool ended;
	int failed;         /* -ERR_x */
	bool read_fails;    /* reading fails although bytes are ready */
	struct wake *first; /* sleepers */
	int sleeps;         /* times that anybody began to sleep */
	int open;           /* bodies not done */
	int64_t sent;       /* the furthest offset told to `sent` */
};

struct rig {
	struct http_limits limits;
	struct http_tls tls; /* of the TLS listener, if rig_tls */
	bool access_log;
	int loop_count;
	struct http_server *server;
	struct loop *loops[RIG_LOOPS];
	pthread_t threads[RIG_LOOPS];
	int port;
	struct script script;
	_Atomic int ready_held; /* answers of /ready that were not released yet */

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool drained;
	int handling; /* handlers of /never and /async that were entered */
	int aborts;
	int asyncs;  /* requests that another thread answers: /async, /hurry */
	int replies; /* of those threads, whether the client was there or not */
	bool hold;   /* /async waits while this is set: rig_hold() */
	int pauses;  /* of /stream before each piece: rig_pause() */
	int pieces;  /* that /stream and /refuse were given and took */
	int paused;
};
extern struct rig rig;
/* The rig listens with TLS, and its clients speak it. */
extern bool rig_tls;

/* Runs the tests on plain connections, then on TLS, but for those named in `plain_only` (NULL-terminated). */
int rig_run(const struct CMUnitTest *tests, size_t n, const char *const *plain_only);
#define RIG_RUN(...) rig_run(tests, ARRAY_LEN(tests), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* The byte at `off` of everything that is served. */
static inline char pattern(int64_t off)
{
	return (char)(off * 31 + (off >> 8) * 7 + (off >> 16));
}
const char *pattern_bytes(void); /* PATTERN_N of them */
#define PATTERN_N (8 * MiB)

/* cmocka set-up and tear-down. Tear-down drains, if the test has not, and checks that nothing is left: no connection, no body. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* With limits of its own: set rig.limits, then this instead of rig_set_up. */
void rig_defaults(void);
void rig_start(void);
void rig_drain(int64_t ms);

/* Waits until the integer, which changes under `lock` with a broadcast of `changed`, is at least n. */
void wait_at_least(pthread_mutex_t *lock, pthread_cond_t *changed, const int *value, int n, const char *what);
#define rig_wait(field, n) wait_at_least(&rig.lock, &rig.changed, &rig.field, n, #field)
#define script_wait(field, n) wait_at_least(&rig.script.lock, &rig.script.changed, &rig.script.field, n, #field)
/* Waits until a counter has grown by n since it was `before`. */
void wait_metric(enum metric m, int64_t before, int64_t n);
/* The same, for one that may grow further. */
void wait_metric_past(enum metric m, int64_t before, int64_t n);
/* Waits until no body of the script is open. */
void script_wait_closed(void);
/* Before it is asked for: what the head promises, what there is, how it is sent. */
void script_begin(int64_t size, int64_t limit, bool by_sendfile);
void script_grow(int64_t limit);
void script_end(void);
void script_fail(int code);

void rig_hold(bool hold);
void rig_pause(int pauses);

#endif
