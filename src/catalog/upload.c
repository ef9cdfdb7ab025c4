/* The chunks of an upload. What they hold is the store's; here is only where they lie. */
#include "catalog/upload.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"

int catalog_upload_chunk(struct txn *t, int64_t upload_id, int64_t at, int64_t size, struct err *err)
{
	struct db *db = txn_db(t);
	int rc = db_do(
		db, "UPDATE upload SET updated = $1 WHERE id = $2", err, DB_I64(clock_wall_us()), DB_I64(upload_id));

	if (rc < 0)
		return rc;
	if (db_changes(db) == 0)
		return err_set(err, -ERR_NOTFOUND, "the upload is gone");
	return db_do(db,
		"INSERT INTO upload_chunk (upload_id, at, size) VALUES ($1, $2, $3) ON CONFLICT (upload_id, at) DO "
		"UPDATE SET "
		"size = excluded.size",
		err, DB_I64(upload_id), DB_I64(at), DB_I64(size));
}

int catalog_upload_reach(struct txn *t, int64_t upload_id, int64_t *reach, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t), "SELECT at, size FROM upload_chunk WHERE upload_id = $1 ORDER BY at", &s, err,
		DB_I64(upload_id));

	if (rc < 0)
		return rc;
	*reach = 0;
	while ((rc = db_step(s, err)) == 1 && db_col_i64(s, 0) <= *reach)
		*reach = MAX(*reach, db_col_i64(s, 0) + db_col_i64(s, 1));
	db_done(&s);
	return rc < 0 ? rc : 0;
}
