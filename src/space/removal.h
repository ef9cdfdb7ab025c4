/* Taking files of artifacts away, so that neither an interruption nor a download of the same bytes meanwhile leaves catalog and store apart.
 *
 *   rows go, a note stays (catalog_artifact_delete) ── commit ──> set aside, unless it has a row again ──> discarded ──> note deleted
 *
 * The file is set aside inside of a write transaction that has seen no row, and whoever records an artifact that was in the store before looks
 * for its file inside of his (store_items_there): so no row is ever made for a file that goes. Only names change under the database's write lock; freeing
 * the bytes, which takes long for large files, comes after. A damaged file goes the same way, though it has its row: repair sets it aside itself. Until then a note remains, and the next run goes on with it, in whatever process. */
#ifndef SLUICE_SPACE_REMOVAL_H
#define SLUICE_SPACE_REMOVAL_H

#include "base/err.h"
#include "catalog/catalog.h"
#include "store/store.h"

/* Removes all that is noted: after the commit of deletions, and at a start. What the store refuses is logged, and stays noted. Blocking; any number of
 * threads and processes at once. */
int removal_run(struct catalog *c, struct store *s, struct err *err);

#endif
