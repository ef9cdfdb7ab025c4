/* Notes of files that go. No state of its own. */
#include "catalog/removal.h"

#include "catalog/catalog_priv.h"

#include <string.h>

int catalog_removal_note(struct txn *t, const uint8_t sha256[32], struct err *err)
{
	return db_do(txn_db(t), "INSERT INTO artifact_removal (sha256) VALUES ($1)", err, DB_BLOB(sha256, 32));
}

int catalog_removals(struct txn *t, int64_t after_id, struct removal *out, size_t max, size_t *count, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t), "SELECT id, sha256 FROM artifact_removal WHERE id > $1 ORDER BY id LIMIT $2", &s,
		err, DB_I64(after_id), DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	while (n < max && (rc = db_step(s, err)) == 1) {
		struct slice d = db_col_blob(s, 1);

		out[n] = (struct removal){.id = db_col_i64(s, 0)};
		if (d.n == sizeof(out[n].sha256))
			memcpy(out[n++].sha256, d.p, sizeof(out->sha256));
	}
	db_done(&s);
	if (rc < 0)
		return rc;
	*count = n;
	return 0;
}

int catalog_removal_due(struct txn *t, const struct removal *r, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(
		txn_db(t), "SELECT 1 FROM artifact WHERE sha256 = $1", &s, err, DB_BLOB(r->sha256, sizeof(r->sha256)));

	db_done(&s);
	return rc < 0 ? rc : rc == 0;
}

int catalog_removal_done(struct txn *t, const struct removal *r, struct err *err)
{
	return db_do(txn_db(t), "DELETE FROM artifact_removal WHERE id = $1", err, DB_I64(r->id));
}
