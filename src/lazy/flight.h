/* Flights: downloads in progress that any number of clients read at once.
 *
 * One flight per artifact. Its bytes go to a staging file; one watermark says how far; readers on any loop send from the file up to what may be
 * shown: never the last `holdback` bytes before size and digests are verified and, unless the source is `streamed`, the artifact is saved and
 * visible. A flight survives its sources: it resumes, turns to the next source, and only fails when none is left.
 *
 *   LOADING ──► FETCHING ◄──► WAITING (back-off, or the catalog is told of a source that failed)
 *      │            │ body complete ▲
 *      │            ▼               │ wrong
 *      │        VERIFYING ──────────┘
 *      │ saved      │ right
 *      ├───────────►├──► COMMITTING ──► DONE
 *      └────────────┴─────────────────► FAILED
 *
 * A thread of its own (the fetch loop) drives all flights; readers see atomics. */
#ifndef SLUICE_LAZY_FLIGHT_H
#define SLUICE_LAZY_FLIGHT_H

#include "base/activity.h"
#include "base/body.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "space/space.h"
#include "store/store.h"

struct lazy; /* the engine: fetch loop, table of flights, committer */
struct flight;

struct lazy_opts {
	struct pool *pool;
	struct catalog *catalog;
	struct store *store;
	const struct settings *settings;
	struct space *space; /* NULL: no bound on what is saved */
};
int lazy_new(const struct lazy_opts *opts, struct lazy **out, struct err *err);
/* Waits for the flights in progress, at most wait_ms; the rest is canceled, and at once what nobody reads and nothing comes of. No flight_join afterwards. When it returns nothing of this is at work any
 * more: the pool, the catalog and the store may end. Blocks; not from a loop. */
void lazy_drain(struct lazy *lz, int64_t wait_ms);
/* After every reader has left. Drains first, if nobody has. */
void lazy_free(struct lazy **plz);

/* Which artifact, and on whose behalf. */
struct flight_want {
	int64_t content_artifact_id; /* 0: only what the store has */
	int64_t repository_id;
	struct digests digests; /* declared; may be empty */
	int64_t size;           /* -1 unknown */
	bool saved;             /* the catalog believes that the store has it */
	bool passing; /* not to be saved: a cache in front keeps it; its answer has upstream's own validators and type */
	bool alone;   /* share with requests of this content artifact and repository only: see flight_try_alone */
};

/* Joins the flight that fetches it, or starts one. Any thread; never blocks. Success: *out holds a reference, given back with flight_leave.
 * The first thing a flight does is to look into the store: what another flight has saved meanwhile is not downloaded again. When it has saved the
 * artifact, the content artifacts of all who have joined point to it.
 * -ERR_LIMIT: too many flights; -ERR_NOMEM. */
int flight_join(struct lazy *lz, const struct flight_want *want, struct flight **out);
/* It failed, but on behalf of another repository or content artifact, whose sources are not those of `want`: is a flight of `want` alone worth a try? */
bool flight_try_alone(const struct flight *f, const struct flight_want *want);
/* *pf is NULL afterwards. The last reader's leaving may cancel the flight (settings.content_finish_abandoned). */
void flight_leave(struct flight **pf);

/* Takes over the reference: body.done leaves the flight, after calling left(arg, f) where that is given. NULL when out of memory (the reference is given
 * back then, and left was not called). ready(0) > 0, or a known size of 0, means that the answer is 200; negative, that it is an error (flight_error). */
struct body *flight_body(struct flight *f, void (*left)(void *arg, const struct flight *f), void *arg);

/* Are there sources? 1 yes (or it is saved); 0 not known yet; negative: failed, see flight_error. For HEAD, which does not wait for upstream. */
int flight_prospects(struct flight *f);
/* 1: known already; 0: w is posted when it is. flight_unwait as body.unwait. */
int flight_wait_prospects(struct flight *f, struct wake *w);
void flight_unwait(struct flight *f, struct wake *w);

/* Complete, verified, and (unless streamed) saved or given up saving? */
bool flight_is_done(const struct flight *f);
/* ... and may the store have it now? Not when it is streamed, nor when the quota had no room for it. */
bool flight_was_saved(const struct flight *f);
/* Known size; -1. */
int64_t flight_size(const struct flight *f);
/* Valid once ready or prospects were negative. retry_after_s: -1 when it makes no difference. */
void flight_error(struct flight *f, struct err *out, int64_t *retry_after_s);
uint64_t flight_id(const struct flight *f);

/* What is in flight and how upstreams fare (base/activity.h). Waits for a turn of the fetch loop; any thread but a loop's. */
int lazy_flights(struct lazy *lz, struct flight_view *out, size_t max, size_t *n, int64_t *total);
int lazy_sources(struct lazy *lz, struct source_view *out, size_t max, size_t *n, int64_t *total);

/* Upstream's end-to-end response fields that pass to the client (C5); not those that sluice sets itself, which are fewer when the flight is `passing`. Borrowed; valid from ready(0) > 0 until the flight
 * is left. Empty when the store had the artifact. */
size_t flight_header_count(const struct flight *f);
void flight_header(const struct flight *f, size_t i, const char **name, const char **value);

#endif
