/* Questions of syncs and maintenance tasks that need the whole of a repository. Blocking. */
#ifndef SLUICE_CATALOG_UPKEEP_H
#define SLUICE_CATALOG_UPKEEP_H

#include "base/err.h"
#include "catalog/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a unit of the version lack an artifact that this remote offers and was not found missing since `missing_before_us`? */
int catalog_version_due(struct txn *t, int64_t repository_id, int64_t number, int64_t remote_id,
	int64_t missing_before_us, bool *due, struct err *err);
/* Forgets what remotes had ceased to offer before the window of catalog_opts began, a thousand rows at most: now and then. */
int catalog_offers_sweep(struct catalog *c, struct err *err);
/* Has the version no publication, not even one in the making? */
int catalog_version_unpublished(struct txn *t, int64_t version_id, bool *unpublished, struct err *err);

/* A version whose units are spared. */
struct upkeep_keep {
	int64_t repository_id, number;
};
/* One step of turning saved artifacts of a repository's units (of any version) back into lazy ones. */
struct upkeep_reclaimed {
	bool dry_run; /* in: nothing is changed, and a read transaction suffices. Bytes that several units share are then counted as if all of them were reclaimed */
	int64_t after_content_id; /* in: where to go on, 0 at first; out: the last unit that was looked at */
	bool at_end;              /* no unit comes after it */
	int64_t reclaimed;        /* content artifacts that have no artifact any more */
	int64_t bytes;            /* of files that are free now */
	int64_t unused;           /* artifacts whose rows are gone, for nothing else used them: removal_run is due */
};
/* Looks at `max` units. Spared are units of a kept version, pinned artifacts (change.h), those without a source, and those whose every source was found
 * missing. */
int catalog_reclaim(struct txn *t, int64_t repository_id, const struct upkeep_keep *keep, size_t keep_count, size_t max,
	struct upkeep_reclaimed *io, struct err *err);

#endif
