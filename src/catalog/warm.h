/* What a version lacks that could be had, and what of its repository was used: for fetching ahead of clients. Blocking. */
#ifndef SLUICE_CATALOG_WARM_H
#define SLUICE_CATALOG_WARM_H

#include "base/err.h"
#include "catalog/catalog.h"
#include "catalog/change.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WARM_TASK "sluice.app.tasks.warm.warm"

/* Where a walk is: after the artifacts of that unit up to that one. Zeroed at first. */
struct warm_at {
	int64_t content_id, content_artifact_id;
};
/* One artifact of a unit; what is NULL or n == 0 was not asked for. Slices are valid during the call. */
struct warm_unit {
	int64_t content_artifact_id;
	struct slice type, extra, relative_path;
	int64_t version_added;
	bool dropped;               /* the repository's latest version has the unit no more */
	struct change_missing want; /* of what is missing: borrowed, remote_artifact_id 0 */
	int64_t last_used_us;       /* of what is saved */
};
/* A negative result stops the walk and is returned. */
typedef int warm_fn(void *arg, const struct warm_unit *u, struct err *err);

/* Artifacts of the version that are not saved and that a source offers which is to be kept (no `streamed` one) and has not failed since `failed_before_us`.
 * Up to `max` rows from *at on; 1: there may be more; 0: no more. */
int catalog_warm_missing(struct txn *t, int64_t repository_id, int64_t number, int64_t failed_before_us,
	struct warm_at *at, size_t max, warm_fn *fn, void *arg, struct err *err);
/* Saved artifacts of units that came into the repository with that version or before, and that were used since then: a client had them, or a sync that
 * downloads everything did. */
int catalog_warm_used(struct txn *t, int64_t repository_id, int64_t number, int64_t since_us, struct warm_at *at,
	size_t max, warm_fn *fn, void *arg, struct err *err);
/* Every unit that the repository has in any version, by artifact. */
int catalog_warm_units(
	struct txn *t, int64_t repository_id, struct warm_at *at, size_t max, warm_fn *fn, void *arg, struct err *err);

#endif
