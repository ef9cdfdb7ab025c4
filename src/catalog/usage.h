/* What saved artifacts weigh and when each was used last: what a quota goes by. Blocking, but for catalog_stored_bytes. */
#ifndef SLUICE_CATALOG_USAGE_H
#define SLUICE_CATALOG_USAGE_H

#include "base/err.h"
#include "catalog/catalog.h"

#include <stddef.h>
#include <stdint.h>

struct usage {
	int64_t artifacts, bytes; /* of files that the catalog knows; not of downloads in progress */
};
/* One row, whatever there is. */
int catalog_usage(struct txn *t, struct usage *out, struct err *err);
/* `bytes` as this process knew it last: from its own commits, and from catalog_usage. Any thread, never blocks. */
int64_t catalog_stored_bytes(const struct catalog *c);

/* These artifacts were used now. Unless that is known already, give or take half of `interval_us`. *written: how many were not. */
int catalog_artifacts_used(struct txn *t, const int64_t *ids, size_t count, int64_t now_us, int64_t interval_us,
	size_t *written, struct err *err);
/* Says so of one, whatever is known. 0: never. */
int catalog_artifact_set_used(struct txn *t, int64_t artifact_id, int64_t when_us, struct err *err);
/* Deletes the artifact's row, if no unit and no publication has it, and notes that its file is to go (catalog/removal.h): after the commit, by
 * removal_run. 1: gone; 0: used, or not there. */
int catalog_artifact_delete(struct txn *t, int64_t artifact_id, struct err *err);

#endif
