/* Alternate content sources: what each holds, by digest, and who may be asked for an artifact besides its remotes. Blocking. */
#ifndef SLUICE_CATALOG_ACS_H
#define SLUICE_CATALOG_ACS_H

#include "base/uuid.h"
#include "catalog/served.h"

/* The task, with args {"acs": uuid, "path": text, "paths": [text…]}: one for each path. */
#define ACS_TASK "sluice.app.tasks.acs.refresh"

struct acs_row {
	int64_t id;
	char *type, *name;
	int64_t remote_id;
};
void acs_row_free(struct acs_row **pr);
int catalog_acs_by_uuid(struct txn *t, const struct uuid *u, struct acs_row **out, struct err *err); /* -ERR_NOTFOUND */

/* It holds these bytes there, as the refresh `seen` (an id of its own) found below `path`. */
int catalog_acs_note(struct txn *t, int64_t acs_id, const char *path, int64_t seen, const uint8_t sha256[32],
	int64_t size, const char *url, struct err *err);
/* Forgets what that refresh did not find below `path`, `max` at most; *more: there may be more of it. */
int catalog_acs_sweep(
	struct txn *t, int64_t acs_id, const char *path, int64_t seen, int64_t max, bool *more, struct err *err);
/* The paths of which something is known: fn for each. */
int catalog_acs_paths(
	struct txn *t, int64_t acs_id, int (*fn)(void *arg, struct slice path), void *arg, struct err *err);
int catalog_acs_refreshed(struct txn *t, int64_t acs_id, struct err *err);

/* Appends to the sources of an artifact, in front of the `*count` that are there, those of the alternate sources that hold the digest. Their
 * remote_artifact_id is negative; they have the policy of the first that was there. Nothing is asked when the sources know no sha256. */
int catalog_acs_sources(struct txn *t, struct source_row **rows, size_t *count, struct err *err);
/* Is there any alternate source that holds something? 1, 0 or negative. */
int catalog_acs_any(struct txn *t, struct err *err);

#endif
