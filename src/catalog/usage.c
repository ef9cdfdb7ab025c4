/* The sum of what is saved, and last uses. The sum is a row that txn_commit changes together with the artifacts (catalog.c), so that nobody has
 * to add up millions of them, nor to look at the disk. */
#include "catalog/usage.h"

#include "catalog/catalog_priv.h"
#include "catalog/removal.h"

#include <string.h>

int catalog_usage(struct txn *t, struct usage *out, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(txn_db(t), "SELECT artifacts, bytes FROM artifact_total WHERE id = 1", &s, err);

	if (rc == 0)
		rc = err_set(err, -ERR_DB, "the catalog has lost the sum of its artifacts");
	if (rc < 0)
		return rc;
	*out = (struct usage){db_col_i64(s, 0), db_col_i64(s, 1)};
	db_done(&s);
	txn_note_stored(t, out->bytes);
	return 0;
}

int catalog_artifacts_used(struct txn *t, const int64_t *ids, size_t count, int64_t now_us, int64_t interval_us,
	size_t *written, struct err *err)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = db_do(txn_db(t), "UPDATE artifact SET last_used = $1 WHERE id = $2 AND last_used < $3", err,
			DB_I64(now_us), DB_I64(ids[i]), DB_I64(now_us - interval_us / 2));
		n += rc == 0 && db_changes(txn_db(t)) > 0;
	}
	if (rc == 0)
		*written = n;
	return rc;
}

int catalog_artifact_set_used(struct txn *t, int64_t artifact_id, int64_t when_us, struct err *err)
{
	return db_do(txn_db(t), "UPDATE artifact SET last_used = $1 WHERE id = $2", err, DB_I64(when_us),
		DB_I64(artifact_id));
}

int catalog_artifact_delete(struct txn *t, int64_t artifact_id, struct err *err)
{
	struct db_stmt *s = NULL;
	uint8_t sha256[32];
	int rc = db_first(txn_db(t),
		"DELETE FROM artifact WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM content_artifact x WHERE "
		"x.artifact_id = $1) AND NOT EXISTS (SELECT 1 FROM published_artifact x WHERE x.artifact_id = $1) "
		"RETURNING size, sha256",
		&s, err, DB_I64(artifact_id));

	if (rc == 1) {
		struct slice d = db_col_blob(s, 1);

		txn_count_artifact(t, -1, -db_col_i64(s, 0));
		if (d.n == sizeof(sha256))
			memcpy(sha256, d.p, sizeof(sha256));
		else
			rc = err_set(err, -ERR_DB, "artifact %lld has no sha256", (long long)artifact_id);
	}
	db_done(&s);
	if (rc == 1) {
		int noted = catalog_removal_note(t, sha256, err);

		rc = noted < 0 ? noted : rc;
	}
	return rc;
}
