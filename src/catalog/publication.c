/* Publications: made incomplete, filled, then completed in one transaction that also records what they supersede. */
#include "catalog/repository.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"
#include "catalog/distribution.h"
#include "catalog/task_lock.h"

#include <stdlib.h>

/* Last-Modified has seconds: two publications of one repository must not have the same. */
static int publication_date(struct txn *t, int64_t version_id, int64_t *out, struct err *err)
{
	struct db_stmt *s;
	int64_t now;
	int rc = txn_created_us(t, "SELECT created FROM publication ORDER BY id DESC LIMIT 1", &now, err);

	if (rc < 0)
		return rc;
	rc = db_first(txn_db(t),
		"SELECT MAX(p.created) FROM publication p JOIN repository_version v ON v.id = p.repository_version_id "
		"WHERE v.repository_id = (SELECT repository_id FROM repository_version WHERE id = $1)",
		&s, err, DB_I64(version_id));
	if (rc == 1 && !db_col_null(s, 0))
		now = MAX(now, db_col_i64(s, 0) + US_PER_S);
	db_done(&s);
	*out = now;
	return rc < 0 ? rc : 0;
}

int catalog_publication_begin(struct txn *t, const char *type, int64_t version_id, bool pass_through, bool checkpoint,
	struct slice extra, int64_t *id, struct uuid *uuid, struct err *err)
{
	struct uuid u = uuid_v7();
	int64_t now;
	int rc = publication_date(t, version_id, &now, err);

	if (rc == 0)
		rc = db_do(txn_db(t),
			"INSERT INTO publication (uuid, type, created, updated, repository_version_id, complete, "
			"pass_through, "
			"checkpoint, extra) VALUES ($1, $2, $3, $3, $4, 0, $5, $6, $7)",
			err, DB_UUID(&u), DB_STR(type), DB_I64(now), DB_I64(version_id), DB_I64(pass_through),
			DB_I64(checkpoint), DB_TEXT(extra.n > 0 ? extra : SLICE("{}")));
	if (rc < 0)
		return rc;
	*id = db_last_id(txn_db(t));
	*uuid = u;
	return 0;
}

int catalog_publication_add(struct txn *t, int64_t publication_id, struct slice path, int64_t artifact_id,
	int64_t content_artifact_id, struct err *err)
{
	if (check_path(path, err) < 0)
		return -ERR_INVAL;
	return db_do(txn_db(t),
		"INSERT INTO published_artifact (publication_id, relative_path, artifact_id, content_artifact_id) "
		"VALUES ($1, $2, $3, $4)",
		err, DB_I64(publication_id), DB_TEXT(path), DB_ID_OR_NULL(artifact_id),
		DB_ID_OR_NULL(content_artifact_id));
}

/* --- what it supersedes --- */

struct affected {
	int64_t distribution_id, publication_id; /* what it serves before */
	struct distribution_source source;
};

/* The distributions that follow the version or its repository, with what they serve now. */
static int find_affected(struct db *db, int64_t version_id, struct affected **out, size_t *count, struct err *err)
{
	struct affected *list = NULL, *more;
	struct served_set set;
	size_t n = 0, cap = 0;
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT d.id, d.repository_id, d.repository_version_id FROM distribution d WHERE d.publication_id IS "
		"NULL "
		"AND (d.repository_version_id = $1 "
		"OR d.repository_id = (SELECT repository_id FROM repository_version WHERE id = $1)) ORDER BY d.id",
		&s, err, DB_I64(version_id));

	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		if (n == cap) {
			cap = cap == 0 ? 16 : cap * 2;
			more = realloc(list, cap * sizeof(*list));
			if (more == NULL) {
				rc = err_set(err, -ERR_NOMEM, "no memory for the distributions");
				break;
			}
			list = more;
		}
		list[n] = (struct affected){.distribution_id = db_col_i64(s, 0),
			.source = {.repository_id = db_col_i64(s, 1), .version_id = db_col_i64(s, 2)}};
		rc = distribution_current(db, &list[n].source, true, &set, err);
		list[n++].publication_id = rc == 1 ? set.publication_id : 0;
	}
	db_done(&s);
	if (rc < 0) {
		free(list);
		return rc;
	}
	*out = list;
	*count = n;
	return 0;
}

static int write_history(struct db *db, int64_t distribution_id, int64_t publication_id, int64_t now, struct err *err)
{
	return db_do(db,
		"INSERT INTO distribution_history (distribution_id, publication_id, superseded_at) VALUES ($1, $2, $3) "
		"ON CONFLICT (distribution_id, publication_id) DO UPDATE SET superseded_at = excluded.superseded_at",
		err, DB_I64(distribution_id), DB_I64(publication_id), DB_I64(now));
}

static int write_superseded(struct db *db, const struct affected *a, int64_t now, struct err *err)
{
	struct served_set set;
	int rc = distribution_current(db, &a->source, true, &set, err);

	if (rc <= 0 || a->publication_id == 0 || set.publication_id == a->publication_id)
		return rc < 0 ? rc : 0;
	return write_history(db, a->distribution_id, a->publication_id, now, err);
}

int catalog_publication_complete(struct txn *t, int64_t publication_id, struct err *err)
{
	struct affected *list = NULL;
	struct db *db = txn_db(t);
	int64_t now = clock_wall_us(), version_id;
	struct db_stmt *s;
	size_t count = 0;
	int rc = db_first(
		db, "SELECT repository_version_id FROM publication WHERE id = $1", &s, err, DB_I64(publication_id));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such publication");
	version_id = db_col_i64(s, 0);
	db_done(&s);
	rc = find_affected(db, version_id, &list, &count, err);
	if (rc == 0)
		rc = db_do(db, "UPDATE publication SET complete = 1, updated = $1 WHERE id = $2", err, DB_I64(now),
			DB_I64(publication_id));
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = write_superseded(db, &list[i], now, err);
	free(list);
	txn_changes_service(t);
	return rc;
}

int catalog_distribution_supersede(struct txn *t, int64_t distribution_id, struct err *err)
{
	struct distribution_source src;
	struct served_set set;
	struct db_stmt *s;
	int rc = db_first(txn_db(t),
		"SELECT repository_id, repository_version_id, publication_id FROM distribution WHERE id = $1", &s, err,
		DB_I64(distribution_id));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such distribution");
	src = (struct distribution_source){db_col_i64(s, 0), db_col_i64(s, 1), db_col_i64(s, 2)};
	db_done(&s);
	rc = distribution_current(txn_db(t), &src, true, &set, err);
	if (rc == 1)
		rc = write_history(txn_db(t), distribution_id, set.publication_id, clock_wall_us(), err);
	txn_changes_service(t);
	return rc;
}

int catalog_distribution_forget(struct txn *t, int64_t distribution_id, struct err *err)
{
	txn_changes_service(t);
	return db_do(
		txn_db(t), "DELETE FROM distribution_history WHERE distribution_id = $1", err, DB_I64(distribution_id));
}

int catalog_history_sweep(struct catalog *c, struct err *err)
{
	return catalog_window_sweep(c, "SELECT 1 FROM distribution_history WHERE superseded_at < $1 LIMIT 1",
		"DELETE FROM distribution_history WHERE superseded_at < $1", txn_changes_service, err);
}

/* --- the end --- */

int catalog_publication_delete(struct txn *t, int64_t publication_id, struct err *err)
{
	int rc = db_do(txn_db(t), "DELETE FROM publication WHERE id = $1", err, DB_I64(publication_id));

	txn_changes_service(t);
	return rc < 0 ? rc : expect_row(db_changes(txn_db(t)), "such publication", err);
}

int catalog_publication_sweep(struct txn *t, struct err *err)
{
	struct db *db = txn_db(t);
	struct uuid repository;
	int64_t id = 0;
	struct db_stmt *s;
	int rc, busy;

	while ((rc = db_first(db,
			"SELECT p.id, r.uuid FROM publication p JOIN repository_version v ON v.id = "
			"p.repository_version_id "
			"JOIN repository r ON r.id = v.repository_id WHERE p.complete = 0 AND p.id > $1 ORDER BY p.id "
			"LIMIT 1",
			&s, err, DB_I64(id))) == 1) {
		id = db_col_i64(s, 0);
		col_uuid(s, 1, &repository);
		db_done(&s);
		busy = task_lock_is_running(db, &repository, false, err);
		rc = busy == 0 ? db_do(db, "DELETE FROM publication WHERE id = $1", err, DB_I64(id)) : MIN(busy, 0);
		if (rc < 0)
			break;
	}
	return rc;
}
