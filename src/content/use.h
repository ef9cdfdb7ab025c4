/* When saved artifacts were used last, as one loop sees it: what was asked for is noted here, at most once an interval for each entry of the
 * resolver cache, and written to the catalog in batches. A kill loses the last minute of it, which only makes an artifact look a little
 * older than it is.
 *
 * The loop's, but for use_init and use_fini (before and after it runs) and use_drain. */
#ifndef SLUICE_CONTENT_USE_H
#define SLUICE_CONTENT_USE_H

#include "base/loop.h"
#include "base/pool.h"
#include "content/cache.h"

#include <stdatomic.h>

#define USE_ROOM 4096 /* artifacts noted between two batches; more are dropped, and noted when they are used next */

struct use_opts {
	struct loop *loop;
	struct pool *pool;
	struct catalog *catalog;
	int64_t interval_ms;     /* 0: nothing is noted */
	_Atomic int64_t *jobs;   /* counts batches on their way */
	void (*beat)(void *arg); /* called once a second at least, too; may be NULL */
	void *arg;
};

struct use_log {
	struct use_opts o;
	uint32_t tick;        /* counts beats, from 1 */
	uint32_t every;       /* beats from one note of an entry to the next */
	uint32_t flush_every; /* beats between batches */
	int64_t beat_ns;
	struct loop_timer beat;
	struct loop_post start, drain;
	_Atomic bool started;
	bool draining;
	int64_t *noted, *writing; /* USE_ROOM each; the latter is the pool's while busy */
	size_t noted_n, writing_n;
	bool busy;
	struct pool_job job;
};

/* -ERR_NOMEM. */
int use_init(struct use_log *u, const struct use_opts *o);
void use_fini(struct use_log *u);
/* Any other thread: writes what is noted and ends the beat; over when *jobs is 0. Nothing happens if the loop never ran. */
void use_drain(struct use_log *u);

void use_note_due(struct use_log *u, struct entry *e);
/* A client was given what the entry means. The hit path: one comparison, but for the first time an interval. */
static inline void use_note(struct use_log *u, struct entry *e)
{
	if (e->use_due <= u->tick)
		use_note_due(u, e);
}

#endif
