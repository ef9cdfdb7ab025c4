/* A pool of threads for what may block: database look-ups, disk, fsync, hashing. The queue is bounded; a full
 * queue refuses (-ERR_LIMIT) and the caller answers 503. */
#ifndef SLUICE_BASE_POOL_H
#define SLUICE_BASE_POOL_H

#include "base/err.h"
#include "base/loop.h"

struct pool;

/* Lives in its owner until done (or, without a loop, until fn) is called. */
struct pool_job {
	void (*fn)(struct pool_job *j);   /* on a pool thread */
	void (*done)(struct pool_job *j); /* afterwards on `loop`; not used when loop is NULL */
	struct loop *loop;
	struct pool_job *next;
	struct loop_post post;
};

int pool_new(const char *name, int threads, int queue_max, struct pool **out, struct err *err);
/* Finishes what is queued, then ends the threads. */
void pool_free(struct pool **pp);
/* Any thread; never blocks. -ERR_LIMIT: the queue is full, nothing happened. */
int pool_submit(struct pool *p, struct pool_job *j);
int pool_queued(struct pool *p);

#endif
