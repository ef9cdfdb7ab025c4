/* What a distribution serves now, for the table of the content service and for the history of publications. Inside
 * src/catalog only. */
#ifndef SLUICE_CATALOG_DISTRIBUTION_H
#define SLUICE_CATALOG_DISTRIBUTION_H

#include "catalog/served.h"

struct db;

struct distribution_source {
	int64_t repository_id, version_id, publication_id; /* 0: null */
};

/* 1: *out is what it serves; 0: nothing; or negative. `needs_publication`: a version alone is not served. */
int distribution_current(struct db *db, const struct distribution_source *src, bool needs_publication,
	struct served_set *out, struct err *err);

#endif
