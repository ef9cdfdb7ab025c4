/* Walks over saved artifacts. No state of its own. */
#include "catalog/repair.h"

#include "catalog/catalog_priv.h"

/* $1 and $2 are the scope. */
#define IN_SCOPE                                                                                             \
	"($1 = 0 OR EXISTS (SELECT 1 FROM content_artifact x JOIN repository_content rc ON rc.content_id = " \
	"x.content_id AND rc.repository_id = $1 WHERE x.artifact_id = a.id AND rc.version_added <= $2 AND "  \
	"(rc.version_removed IS NULL OR rc.version_removed > $2)))"

int catalog_repair_count(struct txn *t, const struct repair_scope *scope, int64_t *count, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(txn_db(t), "SELECT COUNT(*) FROM artifact a WHERE " IN_SCOPE, &s, err,
		DB_I64(scope->repository_id), DB_I64(scope->number));

	if (rc == 1)
		*count = db_col_i64(s, 0);
	db_done(&s);
	return rc < 0 ? rc : 0;
}

int catalog_repair_page(struct txn *t, const struct repair_scope *scope, int64_t after_id, struct repair_artifact *out,
	size_t max, size_t *count, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t),
		"SELECT a.id, a.size, " DIGEST_COLUMNS("a.") " FROM artifact a WHERE a.id > $3 AND " IN_SCOPE
							     " ORDER BY a.id LIMIT $4",
		&s, err, DB_I64(scope->repository_id), DB_I64(scope->number), DB_I64(after_id), DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	while (n < max && (rc = db_step(s, err)) == 1) {
		out[n] = (struct repair_artifact){.id = db_col_i64(s, 0), .size = db_col_i64(s, 1)};
		col_digests(s, 2, &out[n++].digests);
	}
	db_done(&s);
	if (rc < 0)
		return rc;
	*count = n;
	return 0;
}

int catalog_repair_users(struct txn *t, int64_t artifact_id, int64_t after_id, int64_t *content_artifact_ids,
	size_t max, size_t *count, struct err *err)
{
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t),
		"SELECT id FROM content_artifact WHERE artifact_id = $1 AND id > $2 ORDER BY id LIMIT $3", &s, err,
		DB_I64(artifact_id), DB_I64(after_id), DB_I64((int64_t)max));

	if (rc < 0)
		return rc;
	while (n < max && (rc = db_step(s, err)) == 1)
		content_artifact_ids[n++] = db_col_i64(s, 0);
	db_done(&s);
	if (rc < 0)
		return rc;
	*count = n;
	return 0;
}
