/* Files of artifacts whose rows are gone: catalog_artifact_delete notes each in its transaction, and what is noted is removed after the commit
 * (space/removal.h). Blocking. */
#ifndef SLUICE_CATALOG_REMOVAL_H
#define SLUICE_CATALOG_REMOVAL_H

#include "base/err.h"
#include "catalog/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct removal {
	int64_t id;
	uint8_t sha256[32];
};
/* That a file is to go: in the transaction that makes it so. */
int catalog_removal_note(struct txn *t, const uint8_t sha256[32], struct err *err);
/* At most `max` notes after that id, oldest first. */
int catalog_removals(struct txn *t, int64_t after_id, struct removal *out, size_t max, size_t *count, struct err *err);
/* Has that digest no artifact? Meant for a write transaction: as long as it lasts nobody can record one. 1 or 0. */
int catalog_removal_due(struct txn *t, const struct removal *r, struct err *err);
int catalog_removal_done(struct txn *t, const struct removal *r, struct err *err);

#endif
