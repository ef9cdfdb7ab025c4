/* Letting old versions go by themselves. Inside src/catalog only; blocking. */
#ifndef SLUICE_CATALOG_VERSION_H
#define SLUICE_CATALOG_VERSION_H

#include "catalog/catalog.h"

/* Deletes the oldest versions beyond the repository's retain_repo_versions, but none that is served. A transaction
 * each. What fails is logged and left to the next change. */
void version_retain(struct catalog *c, int64_t repository_id);

#endif
