/* Reservations of unfinished tasks. Inside src/catalog only.
 *
 * A task is free when no earlier unfinished one holds or wants a resource that either of the two wants exclusively.
 * Earlier means a lower id, and ids only grow: so a free task stays free, and becomes free only by the end of an
 * earlier one. */
#ifndef SLUICE_CATALOG_TASK_LOCK_H
#define SLUICE_CATALOG_TASK_LOCK_H

#include "base/err.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

/* Records what it wants (NULL-terminated lists, or NULL), for the queue and for the record. */
int task_lock_add(
	struct db *db, int64_t task_id, const char *const *exclusive, const char *const *shared, struct err *err);
/* 1, 0 or negative. */
int task_lock_is_free(struct db *db, int64_t task_id, struct err *err);
/* Gives back what an ended task had, and sets unblocked_at of those that were waiting for nothing else. */
int task_lock_release(struct db *db, int64_t task_id, int64_t now_us, struct err *err);

/* 1 when a running task has reserved the object with this uuid (its PRN ends in it), exclusively or, without
 * `exclusive`, in either way. */
int task_lock_is_running(struct db *db, const struct uuid *object, bool exclusive, struct err *err);

#endif
