/* A unit that a user brings, outside of any change of a repository. Blocking. */
#ifndef SLUICE_CATALOG_UNIT_H
#define SLUICE_CATALOG_UNIT_H

#include "base/err.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "catalog/catalog.h"

struct unit_new {
	struct slice type;          /* "file.file" */
	struct slice natural_key;   /* unique within the type */
	struct slice extra;         /* JSON object; n == 0: {} */
	struct slice labels;        /* likewise */
	struct slice relative_path; /* of its one artifact; n == 0: it has none */
	struct slice detail;        /* for publications; n == 0: none. What is known already stays */
	int64_t artifact_id;
};
/* Makes the unit, unless it is there: then it stays as it is, but gets the artifact if it has none. */
int catalog_unit_put(
	struct txn *t, const struct unit_new *n, int64_t *id, struct uuid *uuid, bool *is_new, struct err *err);

/* -ERR_NOTFOUND. */
int catalog_unit_find(struct txn *t, struct slice type, struct slice natural_key, int64_t *id, struct err *err);

#endif
