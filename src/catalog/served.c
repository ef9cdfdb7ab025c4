/* What the content service asks about paths and sources, and what it reports about downloads. No state of its own. */
#include "catalog/served.h"

#include "base/check.h"
#include "catalog/acs.h"
#include "catalog/catalog_priv.h"
#include "catalog/save.h"

#include <stdlib.h>

/* --- a path --- */

/* Columns: content artifact, date, then the artifact: id, size, digests. */
static void read_path(struct db_stmt *s, struct served_path *p)
{
	p->content_artifact_id = db_col_i64(s, 0);
	p->date_us = db_col_i64(s, 1);
	p->saved = !db_col_null(s, 2);
	if (p->saved) {
		p->artifact_id = db_col_i64(s, 2);
		p->size = col_size(s, 3);
		col_digests(s, 4, &p->digests);
	}
}

#define ARTIFACT_COLUMNS "a.id, a.size, " DIGEST_COLUMNS("a.")

static int find_published(
	struct db *db, const struct served_set *set, struct slice path, struct served_path *p, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db,
		"SELECT pa.content_artifact_id, 0, " ARTIFACT_COLUMNS " FROM published_artifact pa "
		"LEFT JOIN content_artifact ca ON ca.id = pa.content_artifact_id "
		"LEFT JOIN artifact a ON a.id = COALESCE(pa.artifact_id, ca.artifact_id) "
		"WHERE pa.publication_id = $1 AND pa.relative_path = $2",
		&s, err, DB_I64(set->publication_id), DB_TEXT(path));

	if (rc == 1) {
		read_path(s, p);
		p->date_us = set->date_us;
	}
	db_done(&s);
	return rc;
}

static int find_unit(
	struct db *db, const struct served_set *set, struct slice path, struct served_path *p, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db,
		"SELECT rp.content_artifact_id, rp.added_at, " ARTIFACT_COLUMNS " FROM repository_path rp "
		"LEFT JOIN content_artifact ca ON ca.id = rp.content_artifact_id "
		"LEFT JOIN artifact a ON a.id = ca.artifact_id "
		"WHERE rp.repository_id = $1 AND rp.relative_path = $2 AND rp.version_added <= $3 "
		"AND (rp.version_removed IS NULL OR rp.version_removed > $3) ORDER BY rp.version_added DESC LIMIT 1",
		&s, err, DB_I64(set->repository_id), DB_TEXT(path), DB_I64(set->version_number));

	if (rc == 1)
		read_path(s, p);
	db_done(&s);
	return rc;
}

int catalog_path_find(
	struct txn *t, const struct served_set *set, struct slice path, struct served_path *out, struct err *err)
{
	struct db *db = txn_db(t);
	struct served_path p = {.repository_id = set->repository_id, .size = -1};
	int rc = 0;

	if (path.p == NULL)
		path = SLICE("");
	if (set->publication_id != 0)
		rc = find_published(db, set, path, &p, err);
	if (rc == 0 && set->pass_through)
		rc = find_unit(db, set, path, &p, err);
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no unit has the path");
	if (rc == 1 && !p.saved && p.content_artifact_id != 0)
		rc = catalog_declared(t, p.content_artifact_id, &p.digests, &p.size, err);
	if (rc < 0)
		return rc;
	*out = p;
	return 0;
}

/* --- sources --- */

void source_rows_free(struct source_row **rows, size_t count)
{
	struct source_row *r = TAKE(*rows);

	if (r == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		free(r[i].url);
		remote_row_free(&r[i].remote);
	}
	free(r);
}

/* Was this repository synced with that remote? 1, 0 or negative. */
static int synced_together(struct db *db, int64_t repository_id, int64_t remote_id, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db, "SELECT 1 FROM repository_remote WHERE repository_id = $1 AND remote_id = $2", &s, err,
		DB_I64(repository_id), DB_I64(remote_id));

	db_done(&s);
	return rc;
}

/* 1: *out is filled; 0: this remote's credentials are not for this repository. */
static int read_source(
	struct txn *t, struct db_stmt *s, int64_t repository_id, bool share, struct source_row *out, struct err *err)
{
	struct source_row r = {.remote_artifact_id = db_col_i64(s, 0), .size = col_size(s, 3)};
	bool failed = false;
	int rc = catalog_remote_by_id(t, db_col_i64(s, 1), &r.remote, err);

	if (rc < 0)
		return rc;
	rc = 1;
	if (!share && remote_has_credentials(r.remote))
		rc = synced_together(txn_db(t), repository_id, r.remote->id, err);
	if (rc <= 0)
		goto out;
	r.url = col_dup(s, 2, &failed);
	if (failed) {
		rc = err_set(err, -ERR_NOMEM, "no memory for a source");
		goto out;
	}
	r.failed_at_us = db_col_i64(s, 4);
	r.missing_at_us = db_col_i64(s, 5);
	col_digests(s, 6, &r.digests);
	*out = r;
	return 1;
out:
	remote_row_free(&r.remote);
	return rc;
}

int catalog_sources(struct txn *t, int64_t content_artifact_id, int64_t repository_id, bool share_credentials,
	struct source_row **rows, size_t *count, struct err *err)
{
	struct source_row *list = NULL, *more;
	size_t n = 0, cap = 0;
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT id, remote_id, url, size, failed_at, missing_at, " DIGEST_COLUMNS(
			"") " FROM remote_artifact "
			    "WHERE content_artifact_id = $1 ORDER BY id",
		&s, err, DB_I64(content_artifact_id));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		if (n == cap) {
			cap = cap == 0 ? 4 : cap * 2;
			more = realloc(list, cap * sizeof(*list));
			if (more == NULL) {
				rc = err_set(err, -ERR_NOMEM, "no memory for the sources");
				break;
			}
			list = more;
		}
		rc = read_source(t, s, repository_id, share_credentials, &list[n], err);
		if (rc < 0)
			break;
		n += (size_t)rc;
	}
	db_done(&s);
	if (rc < 0) {
		source_rows_free(&list, n);
		return rc;
	}
	*rows = list;
	*count = n;
	rc = catalog_acs_sources(t, rows, count, err);
	if (rc < 0) {
		source_rows_free(rows, *count);
		*count = 0;
	}
	return rc;
}

/* --- reports --- */

int catalog_artifact_find(struct txn *t, const uint8_t sha256[32], int64_t *id, int64_t *size, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), "SELECT id, size FROM artifact WHERE sha256 = $1", &s, err, DB_BLOB(sha256, 32));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such artifact");
	*id = db_col_i64(s, 0);
	*size = db_col_i64(s, 1);
	db_done(&s);
	return 0;
}

int catalog_artifact_of(
	struct txn *t, int64_t content_artifact_id, struct digests *digests, int64_t *size, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t),
		"SELECT a.size, " DIGEST_COLUMNS(
			"a.") " FROM content_artifact ca JOIN artifact a ON a.id = ca.artifact_id "
			      "WHERE ca.id = $1",
		&s, err, DB_I64(content_artifact_id));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "not saved");
	*size = col_size(s, 0);
	col_digests(s, 1, digests);
	db_done(&s);
	return 0;
}

static int insert_artifact(struct txn *t, const struct digests *digests, int64_t size, int64_t *id, struct err *err)
{
	struct uuid uuid = uuid_v7();
	struct db_stmt *s;
	int64_t now;
	int rc = txn_created_us(t, "SELECT created FROM artifact ORDER BY id DESC LIMIT 1", &now, err);

	if (rc == 0)
		rc = db_rows(txn_db(t),
			"INSERT INTO artifact (uuid, size, created, last_used, md5, sha1, sha224, sha256, sha384, "
			"sha512) "
			"VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9)",
			&s, err, DB_UUID(&uuid), DB_I64(size), DB_I64(now));
	if (rc < 0)
		return rc;
	bind_digests(s, 4, digests);
	rc = db_run(&s, err);
	if (rc == 0)
		*id = db_last_id(txn_db(t));
	if (rc == 0)
		txn_count_artifact(t, 1, size);
	return rc;
}

int catalog_artifact_saved(struct txn *t, int64_t content_artifact_id, int64_t remote_artifact_id,
	const struct digests *digests, int64_t size, int64_t *artifact_id, struct err *err)
{
	struct err found = ERR_INIT;
	int64_t id, known_size;
	int rc;

	BUG(!(digests->have & 1u << DIGEST_SHA256));
	rc = catalog_artifact_find(t, digests->d[DIGEST_SHA256], &id, &known_size, &found);
	if (rc == -ERR_NOTFOUND)
		rc = insert_artifact(t, digests, size, &id, err);
	else if (rc < 0 && err != NULL)
		*err = found;
	if (rc == 0 && content_artifact_id != 0)
		rc = db_do(txn_db(t), "UPDATE content_artifact SET artifact_id = $1 WHERE id = $2", err, DB_I64(id),
			DB_I64(content_artifact_id));
	if (rc == 0 && remote_artifact_id < 0)
		rc = db_do(txn_db(t), "UPDATE acs_artifact SET failed_at = NULL, missing_at = NULL WHERE id = $1", err,
			DB_I64(-remote_artifact_id));
	if (rc == 0 && remote_artifact_id > 0)
		rc = db_do(txn_db(t),
			"UPDATE remote_artifact SET failed_at = NULL, missing_at = NULL WHERE id = $1 "
			"AND (failed_at IS NOT NULL OR missing_at IS NOT NULL)",
			err, DB_I64(remote_artifact_id));
	if (rc == 0 && artifact_id != NULL)
		*artifact_id = id;
	return rc;
}

int catalog_source_failed(struct txn *t, int64_t remote_artifact_id, int64_t when_us, struct err *err)
{
	if (remote_artifact_id < 0)
		return db_do(txn_db(t), "UPDATE acs_artifact SET failed_at = $1 WHERE id = $2", err, DB_I64(when_us),
			DB_I64(-remote_artifact_id));
	return db_do(txn_db(t), "UPDATE remote_artifact SET failed_at = $1 WHERE id = $2", err, DB_I64(when_us),
		DB_I64(remote_artifact_id));
}

int catalog_source_missing(struct txn *t, int64_t remote_artifact_id, int64_t when_us, struct err *err)
{
	if (remote_artifact_id < 0)
		return db_do(txn_db(t), "UPDATE acs_artifact SET missing_at = $1 WHERE id = $2", err, DB_I64(when_us),
			DB_I64(-remote_artifact_id));
	return db_do(txn_db(t), "UPDATE remote_artifact SET missing_at = $1 WHERE id = $2", err, DB_I64(when_us),
		DB_I64(remote_artifact_id));
}
