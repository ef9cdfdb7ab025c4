/* A unit of one file, as uploads make it. What syncs declare, thousands at a time and with sources, is declare.c's. */
#include "catalog/unit.h"

#include "base/check.h"
#include "catalog/catalog_priv.h"

static int find(struct txn *t, const struct unit_new *n, int64_t *id, struct uuid *uuid, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), "SELECT id, uuid FROM content WHERE type = $1 AND natural_key = $2", &s, err,
		DB_TEXT(n->type), DB_TEXT(n->natural_key));

	if (rc <= 0)
		return rc;
	*id = db_col_i64(s, 0);
	col_uuid(s, 1, uuid);
	db_done(&s);
	return 1;
}

static int insert(struct txn *t, const struct unit_new *n, int64_t *id, struct uuid *uuid, struct err *err)
{
	int64_t now;
	int rc = txn_created_us(t, "SELECT created FROM content ORDER BY id DESC LIMIT 1", &now, err);

	*uuid = uuid_v7();
	if (rc == 0)
		rc = db_do(txn_db(t),
			"INSERT INTO content (uuid, type, natural_key, created, updated, extra, labels) VALUES ($1, "
			"$2, $3, $4, "
			"$4, $5, $6)",
			err, DB_UUID(uuid), DB_TEXT(n->type), DB_TEXT(n->natural_key), DB_I64(now),
			DB_TEXT(n->extra.n > 0 ? n->extra : SLICE("{}")),
			DB_TEXT(n->labels.n > 0 ? n->labels : SLICE("{}")));
	if (rc < 0)
		return rc;
	*id = db_last_id(txn_db(t));
	if (n->relative_path.n == 0)
		return 0;
	return db_do(txn_db(t),
		"INSERT INTO content_artifact (content_id, relative_path, artifact_id) VALUES ($1, $2, $3)", err,
		DB_I64(*id), DB_TEXT(n->relative_path), DB_I64(n->artifact_id));
}

int catalog_unit_put(
	struct txn *t, const struct unit_new *n, int64_t *id, struct uuid *uuid, bool *is_new, struct err *err)
{
	int rc = find(t, n, id, uuid, err);

	if (rc < 0)
		return rc;
	*is_new = rc == 0;
	rc = *is_new ? insert(t, n, id, uuid, err) : 0;
	if (rc == 0 && n->detail.n > 0)
		rc = db_do(txn_db(t),
			"INSERT INTO content_detail (content_id, data) VALUES ($1, $2) ON CONFLICT (content_id) DO "
			"NOTHING",
			err, DB_I64(*id), DB_BLOB(n->detail.p, n->detail.n));
	if (rc < 0 || *is_new)
		return rc;
	if (n->relative_path.n == 0)
		return 0;
	return db_do(txn_db(t),
		"UPDATE content_artifact SET artifact_id = $1 WHERE content_id = $2 AND relative_path = $3 AND "
		"artifact_id IS "
		"NULL",
		err, DB_I64(n->artifact_id), DB_I64(*id), DB_TEXT(n->relative_path));
}

int catalog_unit_find(struct txn *t, struct slice type, struct slice natural_key, int64_t *id, struct err *err)
{
	const struct unit_new n = {.type = type, .natural_key = natural_key};
	struct uuid uuid;
	int rc = find(t, &n, id, &uuid, err);

	return rc == 0 ? err_set(err, -ERR_NOTFOUND, "there is no such unit") : MIN(rc, 0);
}
