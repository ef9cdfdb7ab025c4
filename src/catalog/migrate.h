/* The numbered steps from an empty database to the schema this program knows. Inside src/catalog only; blocking. */
#ifndef SLUICE_CATALOG_MIGRATE_H
#define SLUICE_CATALOG_MIGRATE_H

#include "base/err.h"

#include <stdbool.h>

struct db;

struct migration {
	int number; /* from 1, without gaps */
	const char *name;
	const char *sql;
};
extern const struct migration migrations[]; /* generated from migrations/ */
extern const int migration_count;

/* Takes the steps that are missing, each in a transaction of its own together with its number; several processes may
 * do so at once. Without `migrate` it only looks. -ERR_DB: the schema is newer than this program, or older and
 * `migrate` is false. */
int catalog_migrate(struct db *writer, bool migrate, struct err *err);

#endif
