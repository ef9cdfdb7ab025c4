/* Files that clients send in chunks, in any order. Blocking. */
#ifndef SLUICE_CATALOG_UPLOAD_H
#define SLUICE_CATALOG_UPLOAD_H

#include "base/err.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

/* Notes that these bytes are there; a chunk at the same place before is replaced. -ERR_NOTFOUND: the upload is gone. */
int catalog_upload_chunk(struct txn *t, int64_t upload_id, int64_t at, int64_t size, struct err *err);
/* How far the chunks reach from the begin on without a gap: all of it, when that is the size. */
int catalog_upload_reach(struct txn *t, int64_t upload_id, int64_t *reach, struct err *err);

#endif
