/* What syncs and maintenance ask about whole repositories. One thread per transaction. */
#include "catalog/upkeep.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"
#include "catalog/usage.h"

int catalog_version_due(struct txn *t, int64_t repository_id, int64_t number, int64_t remote_id,
	int64_t missing_before_us, bool *due, struct err *err)
{
	static const char sql[] =
		"SELECT 1 FROM repository_content rc JOIN content_artifact ca ON ca.content_id = rc.content_id "
		"JOIN remote_artifact ra ON ra.content_artifact_id = ca.id AND ra.remote_id = $3 "
		"WHERE rc.repository_id = $1 AND rc.version_added <= $2 AND (rc.version_removed IS NULL OR "
		"rc.version_removed > $2) "
		"AND ca.artifact_id IS NULL AND ra.dropped_at IS NULL AND (ra.missing_at IS NULL OR ra.missing_at < "
		"$4) LIMIT 1";
	struct db_stmt *s = NULL;
	int rc = db_first(txn_db(t), sql, &s, err, DB_I64(repository_id), DB_I64(number), DB_I64(remote_id),
		DB_I64(missing_before_us));

	if (rc < 0)
		return rc;
	*due = rc == 1;
	db_done(&s);
	return 0;
}

int catalog_offers_sweep(struct catalog *c, struct err *err)
{
	return catalog_window_sweep(c, "SELECT 1 FROM remote_artifact WHERE dropped_at < $1 LIMIT 1",
		"DELETE FROM remote_artifact WHERE id IN (SELECT id FROM remote_artifact WHERE dropped_at < $1 "
		"ORDER BY dropped_at LIMIT 1000)",
		NULL, err);
}

int catalog_version_unpublished(struct txn *t, int64_t version_id, bool *unpublished, struct err *err)
{
	struct db_stmt *s = NULL;
	int rc = db_first(txn_db(t), "SELECT 1 FROM publication WHERE repository_version_id = $1 LIMIT 1", &s, err,
		DB_I64(version_id));

	if (rc < 0)
		return rc;
	*unpublished = rc == 0;
	db_done(&s);
	return 0;
}

/* ---- reclaiming ---- */

struct saved {
	int64_t content_artifact_id, artifact_id, size;
	bool first; /* of the content artifacts that have it */
};

static int is_kept(struct db *db, int64_t content_id, const struct upkeep_keep *keep, size_t count, struct err *err)
{
	static const char sql[] =
		"SELECT 1 FROM repository_content WHERE repository_id = $1 AND content_id = $2 AND version_added <= $3 "
		"AND (version_removed IS NULL OR version_removed > $3)";
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct db_stmt *s = NULL;

		rc = db_first(
			db, sql, &s, err, DB_I64(keep[i].repository_id), DB_I64(content_id), DB_I64(keep[i].number));
		db_done(&s);
	}
	return rc;
}

/* Takes the artifact away from its content artifact; its row too, when nobody else uses it. */
static int release(struct txn *t, const struct saved *x, struct upkeep_reclaimed *io, struct err *err)
{
	int rc = 0;

	if (io->dry_run) {
		io->reclaimed++;
		io->bytes += x->first ? x->size : 0;
		return 0;
	}
	rc = db_do(txn_db(t), "UPDATE content_artifact SET artifact_id = NULL WHERE id = $1", err,
		DB_I64(x->content_artifact_id));
	if (rc == 0)
		rc = catalog_artifact_delete(t, x->artifact_id, err);
	io->unused += rc == 1;
	io->bytes += rc == 1 ? x->size : 0;
	io->reclaimed += rc >= 0;
	return MIN(rc, 0);
}

/* The next saved artifact of a unit that a source still offers; 1 or 0. */
static int next_saved(struct db *db, int64_t content_id, int64_t after, struct saved *out, struct err *err)
{
	static const char sql[] =
		"SELECT ca.id, a.id, a.size, CASE WHEN EXISTS (SELECT 1 FROM content_artifact x WHERE "
		"x.artifact_id = a.id AND x.id < ca.id) THEN 0 ELSE 1 END "
		"FROM content_artifact ca JOIN artifact a ON a.id = ca.artifact_id "
		"WHERE ca.content_id = $1 AND ca.id > $2 AND ca.pinned = 0 AND EXISTS "
		"(SELECT 1 FROM "
		"remote_artifact ra "
		"WHERE ra.content_artifact_id = ca.id AND ra.missing_at IS NULL AND ra.dropped_at IS NULL) ORDER BY "
		"ca.id LIMIT 1";
	struct db_stmt *s = NULL;
	int rc = db_first(db, sql, &s, err, DB_I64(content_id), DB_I64(after));

	if (rc == 1)
		*out = (struct saved){db_col_i64(s, 0), db_col_i64(s, 1), db_col_i64(s, 2), db_col_i64(s, 3) != 0};
	db_done(&s);
	return rc;
}

static int reclaim_unit(struct txn *t, int64_t content_id, const struct upkeep_keep *keep, size_t keep_count,
	struct upkeep_reclaimed *io, struct err *err)
{
	struct saved x = {.content_artifact_id = 0};
	struct db *db = txn_db(t);
	int rc = is_kept(db, content_id, keep, keep_count, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	while ((rc = next_saved(db, content_id, x.content_artifact_id, &x, err)) == 1) {
		rc = release(t, &x, io, err);
		if (rc != 0)
			break;
	}
	return rc;
}

int catalog_reclaim(struct txn *t, int64_t repository_id, const struct upkeep_keep *keep, size_t keep_count, size_t max,
	struct upkeep_reclaimed *io, struct err *err)
{
	static const char sql[] = "SELECT content_id FROM repository_content WHERE repository_id = $1 AND content_id > "
				  "$2 ORDER BY content_id LIMIT 1";
	struct db *db = txn_db(t);
	int rc = 0;

	for (size_t i = 0; i < max; i++) {
		struct db_stmt *s = NULL;

		rc = db_first(db, sql, &s, err, DB_I64(repository_id), DB_I64(io->after_content_id));
		if (rc != 1) {
			io->at_end = rc == 0;
			break;
		}
		io->after_content_id = db_col_i64(s, 0);
		db_done(&s);
		rc = reclaim_unit(t, io->after_content_id, keep, keep_count, io, err);
		if (rc != 0)
			break;
	}
	return rc;
}
