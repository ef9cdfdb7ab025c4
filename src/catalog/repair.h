/* Which artifacts there are, for whoever compares them with the store. Blocking. */
#ifndef SLUICE_CATALOG_REPAIR_H
#define SLUICE_CATALOG_REPAIR_H

#include "base/digest.h"
#include "base/err.h"
#include "catalog/catalog.h"

#include <stddef.h>
#include <stdint.h>

/* All, or those that units of one version have. */
struct repair_scope {
	int64_t repository_id; /* 0: all */
	int64_t number;
};
struct repair_artifact {
	int64_t id, size;
	struct digests digests; /* with sha256 */
};
int catalog_repair_count(struct txn *t, const struct repair_scope *scope, int64_t *count, struct err *err);
/* At most `max` after that id, in its order. */
int catalog_repair_page(struct txn *t, const struct repair_scope *scope, int64_t after_id, struct repair_artifact *out,
	size_t max, size_t *count, struct err *err);
/* The content artifacts that have it, after that id: whose sources may have it still. */
int catalog_repair_users(struct txn *t, int64_t artifact_id, int64_t after_id, int64_t *content_artifact_ids,
	size_t max, size_t *count, struct err *err);

#endif
