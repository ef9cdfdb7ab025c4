/* What is to be saved by the save task, on its way from the loops to the catalog: the split deployment. Any thread. */
#ifndef SLUICE_CONTENT_SAVE_H
#define SLUICE_CONTENT_SAVE_H

#include "base/pool.h"
#include "base/slice.h"
#include "catalog/catalog.h"

#include <pthread.h>
#include <stdatomic.h>

/* Wishes that may wait for the pool; past it they are dropped and counted: the next request brings them again. */
#define SAVE_ROOM 1000

struct save_wish {
	int64_t content_artifact_id;
	bool lost;
	char *target;
};

struct save_queue {
	struct pool *pool;
	struct catalog *catalog;
	int64_t max_waiting;   /* tasks; 0: nothing is to be saved */
	_Atomic int64_t *jobs; /* counts the one that runs */
	pthread_mutex_t lock;  /* of `noted` and `busy` */
	struct save_wish *noted, *writing;
	size_t noted_n, writing_n;
	bool busy; /* `writing` is the pool's */
	struct pool_job job;
};

int save_queue_init(
	struct save_queue *q, struct pool *pool, struct catalog *catalog, int64_t max_waiting, _Atomic int64_t *jobs);
/* After the last job. */
void save_queue_fini(struct save_queue *q);
/* Has the content artifact saved, by what comes from the target: one task, however often it is said. `lost`: the catalog thinks that it is saved, but the
 * store lacks it. Never blocks. */
void save_want(struct save_queue *q, int64_t content_artifact_id, bool lost, struct slice target);

#endif
