/* How upstreams fare: what is remembered of each, whether it may be asked now, and how long it is worth waiting for.
 *
 * A record is kept for each pair of remote and origin (scheme, host, port). fetch.c writes it: of every attempt whether upstream
 * answered and when, so nobody else reports anything. Who has a choice reads it:
 *
 *   health_may_ask()        before a source is chosen: is it left alone now, why, and for how long?
 *   health_hedge_delay_ns() after a request is sent: a head that has not come after so long comes late by this source's own standards;
 *                           ask the next source besides.
 *
 *   UP ── failures in a row, for a second at least ──► DOWN ── back-off is over, a request comes ──► PROBING
 *   ▲                                                  ▲  │                                          │    │
 *   │  any answer that shows life                      │  └── meanwhile requests get the memory      │    │
 *   └──────────────────────────────────────────────────┼─────────────────────── the probe succeeds ──┘    │
 *                                                      └────── it fails: twice as long, up to the limit ──┘
 *
 * The back-off is short at first and never longer than its limit, and the first request after it is the probe: an upstream that
 * has recovered is used again by the first request that comes `backoff_max` (default 30 s) after that, usually sooner, for the
 * back-off is about as long as the outage was until then. What counts as a failure is one table, in health.c.
 *
 * The table of records is bounded; the one used least recently goes. Any thread: one lock, never held across anything slow. Functions
 * take NULL for a record that there is none of (file:, out of memory, all records in use): then nothing is known. */
#ifndef SLUICE_FETCH_HEALTH_H
#define SLUICE_FETCH_HEALTH_H

#include "base/clock.h"
#include "base/err.h"
#include "base/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct health;
struct health_table;

struct health_opts {
	int64_t failures;       /* in a row, from which a source is left alone; 0: never */
	int64_t backoff_ns;     /* at first */
	int64_t backoff_max_ns; /* not longer than that */
	size_t records_max;     /* 0: HEALTH_RECORDS_MAX */
	uint64_t seed;          /* of the jitter */
};
#define HEALTH_RECORDS_MAX 1000

int health_table_new(const struct health_opts *opts, struct health_table **out, struct err *err);
/* Every record was given back. NULL is fine. */
void health_table_free(struct health_table **pt);

/* The record of the remote (its id) and of the origin of `url`: found, or made. Gives a reference; NULL: see above. A new `revision` of the
 * remote's settings begins anew, for they may be what was wrong. */
struct health *health_get(struct health_table *t, int64_t remote, int64_t revision, const char *url);
void health_put(struct health **ph);

/* May it be asked at `now_ns` (clock_mono_ns, loop_now)? 0; or the code of its last failure, which is -ERR_CONNECT, -ERR_TIMEOUT or
 * -ERR_UPSTREAM, with err (may be NULL) filled in and *wait_ns (may be NULL) set to the time until asking is worth a try. Changes nothing. */
int health_may_ask(const struct health *h, int64_t now_ns, struct err *err, int64_t *wait_ns);
/* The same in one step for whoever does not keep the record. Also 0 when nothing is known. */
int health_peek(struct health_table *t, int64_t remote, int64_t revision, const char *url, int64_t now_ns,
	struct err *err, int64_t *wait_ns);

/* The 95th percentile of the last 64 times to the first byte, within HEALTH_HEDGE_MIN_NS … HEALTH_HEDGE_MAX_NS: one in twenty requests takes
 * longer, and that is what hedging costs while all is well. HEALTH_HEDGE_UNKNOWN_NS while fewer than 8 are known. */
int64_t health_hedge_delay_ns(const struct health *h);
int64_t health_hedge_delay_of(struct health_table *t, int64_t remote, const char *url);
#define HEALTH_HEDGE_MIN_NS (10 * NS_PER_MS) /* less than that is noise of a network and of loops */
#define HEALTH_HEDGE_MAX_NS (10 * NS_PER_S)
#define HEALTH_HEDGE_UNKNOWN_NS NS_PER_S

/* ---- for fetch.c ---- */

/* One attempt; its owner keeps it and fills in the rest before it tells how it ended. */
struct health_attempt {
	bool probe;         /* it tests a source that is down */
	uint64_t url;       /* a hash of the URL */
	int64_t started_ns; /* 0: none runs, or its end was told */
	bool connected;     /* the request was sent: what fails now may be this URL's own fault */
};
/* As health_may_ask, but an attempt begins when the answer is 0: *a is filled in, and exactly one of the next three follows. */
int health_ask(struct health *h, struct slice url, int64_t now_ns, struct health_attempt *a, struct err *err,
	int64_t *wait_ns);
/* The head of a final response came. retry_after_s: -1 when it names none. */
void health_answered(struct health *h, struct health_attempt *a, int status, int64_t retry_after_s, int64_t now_ns);
/* None came, and err says why. */
void health_failed(struct health *h, struct health_attempt *a, const struct err *err, int64_t now_ns);
/* We gave it up before one came. Also for one whose end was told: nothing happens. */
void health_let_go(struct health *h, struct health_attempt *a, int64_t now_ns);
/* Requests that run and that wait, for the view. */
void health_count(struct health *h, int open, int waiting);

/* ---- the view ---- */

/* clang-format off */
#define HEALTH_STATES(X)                                          \
	X(up, "it is asked")                                      \
	X(down, "it is left alone until its back-off is over")    \
	X(probing, "one request is testing whether it recovered")
/* clang-format on */
enum health_state {
#define X(name, help) HEALTH_##name,
	HEALTH_STATES(X)
#undef X
};
const char *health_state_name(enum health_state s);

struct health_view {
	int64_t remote;
	char origin[URL_ORIGIN_MAX]; /* scheme://host:port */
	enum health_state state;
	int64_t failures;       /* in a row */
	int64_t wait_ns;        /* until it may be asked; 0 */
	char last_failure[256]; /* "" when there was none since it was up */
	int64_t first_byte_ns;  /* exponentially weighted mean; 0 unknown */
	int64_t hedge_ns;
	int64_t answers; /* since the record was made */
	int open, waiting;
};
/* Fills at most `max`, the ones used last first; answers how many. */
size_t health_views(struct health_table *t, int64_t now_ns, struct health_view *out, size_t max);

#endif
