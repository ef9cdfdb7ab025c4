/* Verified downloads on their way into store and catalog, a hundred at a time: one batch fills while a pool thread writes
 * the other, so that fsync and the database never hold up the transfers. The task's thread, but for the job itself. */
#ifndef SLUICE_SYNC_SAVING_H
#define SLUICE_SYNC_SAVING_H

#include "base/digest.h"
#include "base/loop.h"
#include "base/pool.h"
#include "catalog/catalog.h"
#include "store/store.h"
#include "sync/sync.h"
#include "sync/wire.h"

#define SAVING_ITEMS 100                 /* written when a batch has so many, */
#define SAVING_BYTES ((int64_t)64 << 20) /* or so many bytes: what a crash costs */
#define SAVING_ROOM \
	(SAVING_ITEMS + WIRE_CONCURRENCY_MAX) /* every transfer that runs may end before the batch is handed over */

/* What became of a source, for the catalog. */
struct saving_mark {
	int64_t remote_artifact_id, when_us;
	bool missing; /* 404 or 410; else it sent wrong bytes */
};
#define SAVING_MARKS 1000

struct saving_row {
	int64_t content_artifact_id, remote_artifact_id;
	bool ahead;     /* of clients: that it is saved is no use of it, */
	int64_t for_us; /* this is its last one; 0: none */
	struct digests digests;
};

struct saving_batch {
	struct store_item items[SAVING_ROOM];
	struct saving_row rows[SAVING_ROOM];
	size_t count;
	int64_t bytes;
	struct saving_mark marks[SAVING_MARKS];
	size_t mark_count;
};

struct saving {
	struct loop *loop;
	struct pool *pool;
	struct store *store;
	struct catalog *catalog;
	struct space *space;
	int (*room)(struct space *s, int64_t bytes, struct err *err); /* before a batch; NULL: none is needed */
	bool *wake;                                                   /* set when a batch is written */
	struct saving_batch *filling, *writing;
	struct pool_job job;
	bool busy;     /* `writing` belongs to the pool */
	int64_t saved; /* rows written so far, */
	int64_t saved_bytes;
	int rc; /* of the last batch */
	struct err err;
};

int saving_init(struct saving *s, struct loop *loop, struct pool *pool, const struct sync_env *env, bool *wake,
	struct err *err);
/* After the job has ended. What is not written is dropped. */
void saving_fini(struct saving *s);
/* Takes the staging file. */
void saving_add(struct saving *s, struct staging **st, int64_t size, const struct saving_row *row);
/* Kept as far as there is room: they only tell later requests what not to try. */
void saving_mark(struct saving *s, int64_t remote_artifact_id, bool missing);
bool saving_empty(const struct saving *s);                         /* nothing waits and nothing is being written */
bool saving_full(const struct saving *s);                          /* start nothing new */
bool saving_has(const struct saving *s, const uint8_t sha256[32]); /* on its way */
/* Hands the batch to the pool, if that is free. */
void saving_push(struct saving *s);

#endif
