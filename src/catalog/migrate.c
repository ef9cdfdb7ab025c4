/* Bringing the schema up to date. The number of the last step taken is the row "schema_version" of the table meta,
 * written in the transaction of the step: a process that dies in between leaves the step undone. */
#include "catalog/migrate.h"

#include "base/log.h"
#include "catalog/db_ops.h"

#include <stdio.h>

static int read_version(struct db *db, int64_t *version, struct err *err)
{
	struct db_stmt *s;
	int rc;

	*version = 0;
	if (!db->ops->has_table(db, "meta"))
		return 0;
	rc = db_first(db, "SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'schema_version'", &s, err);
	if (rc == 1)
		*version = db_col_i64(s, 0);
	db_done(&s);
	return rc < 0 ? rc : 0;
}

static int take_step(struct db *db, const struct migration *m, struct err *err)
{
	int64_t version;
	char number[16];
	int rc = db->ops->begin(db, true, err);

	if (rc < 0)
		return rc;
	rc = read_version(db, &version, err); /* another process may have been faster */
	if (rc < 0 || version >= m->number)
		goto out;
	snprintf(number, sizeof(number), "%d", m->number);
	rc = db_exec(db, "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) {norowid};", err);
	if (rc == 0)
		rc = db_exec(db, m->sql, err);
	if (rc == 0)
		rc = db_do(db,
			"INSERT INTO meta (key, value) VALUES ('schema_version', $1) "
			"ON CONFLICT (key) DO UPDATE SET value = excluded.value",
			err, DB_STR(number));
	if (rc == 0)
		rc = db->ops->commit(db, err);
	if (rc == 0)
		log_info("catalog", "schema is at version %d (%s)", m->number, m->name);
out:
	db->ops->rollback(db); /* nothing to do after a commit */
	if (rc < 0 && err != NULL)
		err_wrap(err, "schema version %d (%s)", m->number, m->name);
	return rc;
}

int catalog_migrate(struct db *db, bool migrate, struct err *err)
{
	int64_t version;
	int rc = read_version(db, &version, err);

	if (rc < 0)
		return rc;
	if (version > migration_count)
		return err_set(err, -ERR_DB,
			"the database has schema version %lld, this program knows versions up to %d only; use a newer "
			"one",
			(long long)version, migration_count);
	if (version < migration_count && !migrate)
		return err_set(err, -ERR_DB, "the database has schema version %lld, this program needs version %d",
			(long long)version, migration_count);
	for (int i = (int)version; i < migration_count && rc == 0; i++)
		rc = take_step(db, &migrations[i], err);
	return rc;
}
