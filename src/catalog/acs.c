/* See acs.h. Where there is no alternate source it costs one seek in an empty index. */
#include "catalog/acs.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"

#include <stdlib.h>
#include <string.h>

void acs_row_free(struct acs_row **pr)
{
	struct acs_row *r = TAKE(*pr);

	if (r == NULL)
		return;
	free(r->type);
	free(r->name);
	free(r);
}

int catalog_acs_by_uuid(struct txn *t, const struct uuid *u, struct acs_row **out, struct err *err)
{
	struct db_stmt *s;
	struct acs_row *r;
	bool failed = false;
	int rc = db_first(txn_db(t), "SELECT id, type, name, remote_id FROM acs WHERE uuid = $1", &s, err, DB_UUID(u));

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such alternate content source");
	r = calloc(1, sizeof(*r));
	if (r != NULL) {
		r->id = db_col_i64(s, 0);
		r->type = col_dup(s, 1, &failed);
		r->name = col_dup(s, 2, &failed);
		r->remote_id = db_col_i64(s, 3);
	}
	db_done(&s);
	if (r == NULL || failed) {
		acs_row_free(&r);
		return err_set(err, -ERR_NOMEM, "no memory for an alternate content source");
	}
	*out = r;
	return 0;
}

/* ---- what a refresh finds ---- */

int catalog_acs_note(struct txn *t, int64_t acs_id, const char *path, int64_t seen, const uint8_t sha256[32],
	int64_t size, const char *url, struct err *err)
{
	return db_do(txn_db(t),
		"INSERT INTO acs_artifact (acs_id, path, sha256, url, size, seen) VALUES ($1, $2, $3, $4, $5, $6) "
		"ON CONFLICT (sha256, acs_id, path) DO UPDATE SET url = excluded.url, size = excluded.size, "
		"seen = excluded.seen, failed_at = NULL, missing_at = NULL",
		err, DB_I64(acs_id), DB_STR(path), DB_BLOB(sha256, 32), DB_STR(url),
		((struct db_arg){.type = size >= 0 ? DB_ARG_I64 : DB_ARG_NULL, .i = size}), DB_I64(seen));
}

int catalog_acs_sweep(
	struct txn *t, int64_t acs_id, const char *path, int64_t seen, int64_t max, bool *more, struct err *err)
{
	int rc = db_do(txn_db(t),
		"DELETE FROM acs_artifact WHERE id IN (SELECT id FROM acs_artifact WHERE acs_id = $1 AND path = $2 "
		"AND seen <> $3 LIMIT $4)",
		err, DB_I64(acs_id), DB_STR(path), DB_I64(seen), DB_I64(max));

	*more = rc == 0 && db_changes(txn_db(t)) == max;
	return rc;
}

int catalog_acs_paths(
	struct txn *t, int64_t acs_id, int (*fn)(void *arg, struct slice path), void *arg, struct err *err)
{
	struct db_stmt *s;
	int rc =
		db_rows(txn_db(t), "SELECT DISTINCT path FROM acs_artifact WHERE acs_id = $1", &s, err, DB_I64(acs_id));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		rc = fn(arg, db_col_text(s, 0));
		if (rc != 0)
			break;
	}
	db_done(&s);
	return rc;
}

int catalog_acs_refreshed(struct txn *t, int64_t acs_id, struct err *err)
{
	return db_do(txn_db(t), "UPDATE acs SET last_refreshed = $1 WHERE id = $2", err, DB_I64(clock_wall_us()),
		DB_I64(acs_id));
}

/* ---- who may be asked ---- */

int catalog_acs_any(struct txn *t, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), "SELECT 1 FROM acs_artifact LIMIT 1", &s, err);

	db_done(&s);
	return rc;
}

static int read_source(
	struct txn *t, struct db_stmt *s, const struct source_row *like, struct source_row *out, struct err *err)
{
	struct source_row r = {.remote_artifact_id = -db_col_i64(s, 0),
		.size = col_size(s, 3),
		.failed_at_us = db_col_i64(s, 4),
		.missing_at_us = db_col_i64(s, 5),
		.digests = like->digests,
		.is_acs = true};
	bool failed = false;
	int rc = catalog_remote_by_id(t, db_col_i64(s, 1), &r.remote, err);

	if (rc < 0)
		return rc;
	r.remote->policy =
		like->remote->policy; /* whether it is kept is said by whoever is served, not by whom it comes from */
	r.url = col_dup(s, 2, &failed);
	if (failed) {
		remote_row_free(&r.remote);
		return err_set(err, -ERR_NOMEM, "no memory for a source");
	}
	*out = r;
	return 0;
}

static int read_all(struct txn *t, const struct source_row *like, struct source_row **list, size_t *n, struct err *err)
{
	struct source_row *more;
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT a.id, s.remote_id, a.url, a.size, a.failed_at, a.missing_at FROM acs_artifact a "
		"JOIN acs s ON s.id = a.acs_id WHERE a.sha256 = $1 ORDER BY a.acs_id, a.id",
		&s, err, DB_BLOB(like->digests.d[DIGEST_SHA256], 32));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		more = realloc(*list, (*n + 1) * sizeof(**list));
		if (more == NULL) {
			rc = err_set(err, -ERR_NOMEM, "no memory for the sources");
			break;
		}
		*list = more;
		rc = read_source(t, s, like, &more[*n], err);
		if (rc < 0)
			break;
		++*n;
	}
	db_done(&s);
	return rc;
}

int catalog_acs_sources(struct txn *t, struct source_row **rows, size_t *count, struct err *err)
{
	const struct source_row *like = NULL;
	struct source_row *list = NULL, *all;
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < *count && like == NULL; i++)
		if (((*rows)[i].digests.have & (1u << DIGEST_SHA256)) != 0)
			like = &(*rows)[i];
	if (like == NULL)
		return 0;
	rc = read_all(t, like, &list, &n, err);
	if (rc == 0 && n > 0) {
		all = realloc(list, (n + *count) * sizeof(*all));
		if (all != NULL) {
			memcpy(all + n, *rows, *count * sizeof(*all));
			free(*rows);
			*rows = all;
			*count += n;
			return 0;
		}
		rc = err_set(err, -ERR_NOMEM, "no memory for the sources");
	}
	source_rows_free(&list, n);
	return rc;
}
