/* Versions: reading them, and deleting one.
 *
 * A version owns the numbers from `since` to `number`, and the spans of a repository's versions follow each other
 * without gap. Deleting one gives its span to the next, so that none of its content moves. What must go is what no
 * version shows any more: units that were added inside of the deleted span and removed inside of the next one. And a
 * unit that was removed inside of the one and added again inside of the other was never away: its two rows become
 * one. */
#include "catalog/version.h"

#include "base/check.h"
#include "base/log.h"
#include "catalog/change_priv.h"
#include "catalog/distribution.h"
#include "catalog/repository.h"

#include <stdlib.h>

#define UNDO_ROWS 1000

#define VERSION_SELECT \
	"SELECT id, repository_id, number, uuid, created, added, removed, present FROM repository_version "

static int read_version(struct db_stmt *s, int rc, struct version_row *out, struct err *err)
{
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "no such repository version");
	if (rc == 1) {
		*out = (struct version_row){.id = db_col_i64(s, 0),
			.repository_id = db_col_i64(s, 1),
			.number = db_col_i64(s, 2),
			.created_us = db_col_i64(s, 4),
			.added = db_col_i64(s, 5),
			.removed = db_col_i64(s, 6),
			.present = db_col_i64(s, 7)};
		col_uuid(s, 3, &out->uuid);
		rc = 0;
	}
	db_done(&s);
	return rc;
}

int catalog_version_latest(struct txn *t, int64_t repository_id, struct version_row *out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t),
		VERSION_SELECT "WHERE repository_id = $1 AND complete = 1 ORDER BY number DESC LIMIT 1", &s, err,
		DB_I64(repository_id));

	return read_version(s, rc, out, err);
}

int catalog_version_get(struct txn *t, int64_t repository_id, int64_t number, struct version_row *out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), VERSION_SELECT "WHERE repository_id = $1 AND number = $2 AND complete = 1", &s,
		err, DB_I64(repository_id), DB_I64(number));

	return read_version(s, rc, out, err);
}

int catalog_version_by_id(struct txn *t, int64_t id, struct version_row *out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t), VERSION_SELECT "WHERE id = $1 AND complete = 1", &s, err, DB_I64(id));

	return read_version(s, rc, out, err);
}

/* --- is it served? --- */

static int exists(int rc, struct db_stmt **s)
{
	db_done(s);
	return rc;
}

/* By a distribution that names it, or one of its publications, or its repository while no later version is published
 * (or, without any publication, while it is the latest); or as a checkpoint. 1, 0 or negative. */
static int is_served(struct db *db, const struct version_row *v, struct err *err)
{
	struct distribution_source src = {.repository_id = v->repository_id};
	struct served_set set;
	struct db_stmt *s;
	int rc;

	rc = exists(db_first(db,
			    "SELECT 1 FROM distribution d LEFT JOIN publication p ON p.id = d.publication_id "
			    "WHERE d.repository_version_id = $1 OR p.repository_version_id = $1 LIMIT 1",
			    &s, err, DB_I64(v->id)),
		&s);
	if (rc != 0)
		return rc;
	rc = exists(db_first(db,
			    "SELECT 1 FROM distribution d JOIN publication p ON p.repository_version_id = $1 "
			    "WHERE d.repository_id = $2 AND d.checkpoint = 1 AND p.checkpoint = 1 LIMIT 1",
			    &s, err, DB_I64(v->id), DB_I64(v->repository_id)),
		&s);
	if (rc != 0)
		return rc;
	rc = exists(db_first(db, "SELECT 1 FROM distribution WHERE repository_id = $1 LIMIT 1", &s, err,
			    DB_I64(v->repository_id)),
		&s);
	if (rc <= 0)
		return rc;
	rc = distribution_current(db, &src, false, &set, err);
	return rc == 1 ? set.version_number == v->number : rc;
}

/* --- deleting --- */

struct span {
	int64_t repository_id, since, number;
};

static int read_span(int rc, struct db_stmt **s, struct span *out)
{
	if (rc > 0)
		*out = (struct span){db_col_i64(*s, 0), db_col_i64(*s, 1), db_col_i64(*s, 2)};
	db_done(s);
	return rc;
}

/* Paths of the units whose rows `which` selects (repository, content, version_added). */
#define PATHS_OF(which)                                                                                    \
	"(repository_id, relative_path, version_added, content_artifact_id) IN (SELECT rc.repository_id, " \
	"ca.relative_path, rc.version_added, ca.id FROM repository_content rc "                            \
	"JOIN content_artifact ca ON ca.content_id = rc.content_id WHERE " which ")"

/* Deletes what was added in span [$2, $3] and removed in [$4, $5]. *gone: how many units. */
static int delete_passers(struct db *db, const struct span *in, const struct span *out, int64_t *gone, struct err *err)
{
#define PASSERS                                                                                \
	"rc.repository_id = $1 AND rc.version_removed BETWEEN $4 AND $5 AND rc.version_added " \
	"BETWEEN $2 AND $3"
	int rc = db_do(db, "DELETE FROM repository_path WHERE " PATHS_OF(PASSERS), err, DB_I64(in->repository_id),
		DB_I64(in->since), DB_I64(in->number), DB_I64(out->since), DB_I64(out->number));

	if (rc == 0)
		rc = db_do(db, "DELETE FROM repository_content AS rc WHERE " PASSERS, err, DB_I64(in->repository_id),
			DB_I64(in->since), DB_I64(in->number), DB_I64(out->since), DB_I64(out->number));
	*gone = rc == 0 ? db_changes(db) : 0;
	return rc;
#undef PASSERS
}

struct returner {
	int64_t content_id, first_added, then_added, then_removed; /* then_removed == 0: not */
};

static int find_returners(struct db *db, const struct span *from, const struct span *to, struct returner **out,
	size_t *count, struct err *err)
{
	struct returner *list = NULL, *more;
	size_t n = 0, cap = 0;
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT a.content_id, a.version_added, b.version_added, b.version_removed FROM repository_content a "
		"JOIN repository_content b ON b.repository_id = a.repository_id AND b.content_id = a.content_id "
		"AND b.version_added BETWEEN $4 AND $5 WHERE a.repository_id = $1 AND a.version_removed BETWEEN $2 AND "
		"$3",
		&s, err, DB_I64(from->repository_id), DB_I64(from->since), DB_I64(from->number), DB_I64(to->since),
		DB_I64(to->number));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		if (n == cap) {
			cap = cap == 0 ? 256 : cap * 2;
			more = realloc(list, cap * sizeof(*list));
			if (more == NULL) {
				rc = err_set(err, -ERR_NOMEM, "no memory for the units of a version");
				break;
			}
			list = more;
		}
		list[n++] = (struct returner){db_col_i64(s, 0), db_col_i64(s, 1), db_col_i64(s, 2), db_col_i64(s, 3)};
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

/* The later row goes, the earlier one takes over its end. */
static int join_returner(struct db *db, int64_t repository_id, const struct returner *r, struct err *err)
{
#define PATHS_OF_CONTENT                                                                                              \
	"repository_id = $1 AND version_added = $3 AND relative_path IN (SELECT relative_path FROM content_artifact " \
	"WHERE content_id = $2) AND content_artifact_id IN (SELECT id FROM content_artifact WHERE content_id = $2)"
	int rc = db_do(db, "DELETE FROM repository_path WHERE " PATHS_OF_CONTENT, err, DB_I64(repository_id),
		DB_I64(r->content_id), DB_I64(r->then_added));

	if (rc == 0)
		rc = db_do(db, "UPDATE repository_path SET version_removed = $4 WHERE " PATHS_OF_CONTENT, err,
			DB_I64(repository_id), DB_I64(r->content_id), DB_I64(r->first_added),
			DB_ID_OR_NULL(r->then_removed));
	if (rc == 0)
		rc = db_do(db,
			"DELETE FROM repository_content WHERE repository_id = $1 AND content_id = $2 AND version_added "
			"= $3",
			err, DB_I64(repository_id), DB_I64(r->content_id), DB_I64(r->then_added));
	if (rc == 0)
		rc = db_do(db,
			"UPDATE repository_content SET version_removed = $4 "
			"WHERE repository_id = $1 AND content_id = $2 AND version_added = $3",
			err, DB_I64(repository_id), DB_I64(r->content_id), DB_I64(r->first_added),
			DB_ID_OR_NULL(r->then_removed));
	return rc;
#undef PATHS_OF_CONTENT
}

static int squash_into(
	struct db *db, const struct version_row *v, const struct span *from, const struct span *to, struct err *err)
{
	struct returner *returners = NULL;
	size_t count = 0;
	int64_t passed;
	int rc = find_returners(db, from, to, &returners, &count, err);

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = join_returner(db, v->repository_id, &returners[i], err);
	free(returners);
	if (rc == 0)
		rc = delete_passers(db, from, to, &passed, err);
	if (rc == 0)
		rc = db_do(db,
			"UPDATE repository_version SET since = $1, added = added + $2, removed = removed + $3 "
			"WHERE repository_id = $4 AND number = $5",
			err, DB_I64(from->since), DB_I64(v->added - passed - (int64_t)count),
			DB_I64(v->removed - passed - (int64_t)count), DB_I64(v->repository_id), DB_I64(to->number));
	return rc;
}

/* The latest version has no next one: what it added goes, what it removed is back. */
static int take_back(struct db *db, const struct span *v, struct err *err)
{
#define ADDED "rc.repository_id = $1 AND rc.version_added BETWEEN $2 AND $3"
#define REMOVED "rc.repository_id = $1 AND rc.version_removed BETWEEN $2 AND $3"
	int rc = db_do(db, "DELETE FROM repository_path WHERE " PATHS_OF(ADDED), err, DB_I64(v->repository_id),
		DB_I64(v->since), DB_I64(v->number));

	if (rc == 0)
		rc = db_do(db, "DELETE FROM repository_content AS rc WHERE " ADDED, err, DB_I64(v->repository_id),
			DB_I64(v->since), DB_I64(v->number));
	if (rc == 0)
		rc = db_do(db, "UPDATE repository_path SET version_removed = NULL WHERE " PATHS_OF(REMOVED), err,
			DB_I64(v->repository_id), DB_I64(v->since), DB_I64(v->number));
	if (rc == 0)
		rc = db_do(db, "UPDATE repository_content AS rc SET version_removed = NULL WHERE " REMOVED, err,
			DB_I64(v->repository_id), DB_I64(v->since), DB_I64(v->number));
	return rc;
#undef ADDED
#undef REMOVED
}

/* What a crashed change left would take part in the spans. */
static int undo_leftovers(struct db *db, int64_t repository_id, struct err *err)
{
	struct db_stmt *s;
	int64_t number;
	int rc;

	while ((rc = db_first(db,
			"SELECT number FROM repository_version WHERE repository_id = $1 AND complete = 0 LIMIT 1", &s,
			err, DB_I64(repository_id))) == 1) {
		number = db_col_i64(s, 0);
		db_done(&s);
		do
			rc = version_undo(db, repository_id, number, UNDO_ROWS, err);
		while (rc == 0);
		if (rc < 0)
			break;
	}
	return rc;
}

static int delete_version(struct txn *t, const struct version_row *v, struct err *err)
{
	struct db *db = txn_db(t);
	struct span self = {0}, next = {0};
	struct db_stmt *s;
	int rc = undo_leftovers(db, v->repository_id, err);

	if (rc < 0)
		return rc;
	rc = db_first(db, "SELECT repository_id, since, number FROM repository_version WHERE id = $1", &s, err,
		DB_I64(v->id));
	if (read_span(rc, &s, &self) <= 0)
		return rc < 0 ? rc : err_set(err, -ERR_NOTFOUND, "no such repository version");
	rc = db_first(db,
		"SELECT repository_id, since, number FROM repository_version WHERE repository_id = $1 AND number > $2 "
		"ORDER BY number LIMIT 1",
		&s, err, DB_I64(v->repository_id), DB_I64(v->number));
	rc = read_span(rc, &s, &next);
	if (rc >= 0)
		rc = rc > 0 ? squash_into(db, v, &self, &next, err) : take_back(db, &self, err);
	if (rc == 0)
		rc = db_do(db, "DELETE FROM repository_version WHERE id = $1", err, DB_I64(v->id));
	txn_changes_service(t);
	return rc;
}

int catalog_version_delete(struct txn *t, int64_t repository_id, int64_t number, struct err *err)
{
	struct version_row v;
	struct db_stmt *s;
	int rc = catalog_version_get(t, repository_id, number, &v, err);

	if (rc < 0)
		return rc;
	rc = exists(db_first(txn_db(t),
			    "SELECT 1 FROM repository_version WHERE repository_id = $1 AND complete = 1 AND id <> $2 "
			    "LIMIT 1",
			    &s, err, DB_I64(repository_id), DB_I64(v.id)),
		&s);
	if (rc == 0)
		return err_set(err, -ERR_INVAL, "[PLP0011] the only version of a repository cannot be deleted");
	if (rc == 1)
		rc = is_served(txn_db(t), &v, err);
	if (rc == 1)
		return err_set(err, -ERR_BUSY, "the repository version is served by a distribution");
	return rc < 0 ? rc : delete_version(t, &v, err);
}

/* --- retention --- */

/* A client that has the metadata of a superseded publication still comes for what it names. */
static int is_in_window(struct db *db, int64_t version_id, int64_t began_us, struct err *err)
{
	struct db_stmt *s;
	int rc;

	if (began_us == 0)
		return 0;
	rc = db_first(db,
		"SELECT 1 FROM publication p JOIN distribution_history h ON h.publication_id = p.id "
		"WHERE p.repository_version_id = $1 AND h.superseded_at >= $2 LIMIT 1",
		&s, err, DB_I64(version_id), DB_I64(began_us));
	return exists(rc, &s);
}

static int has_checkpoint(struct db *db, int64_t version_id, struct err *err)
{
	struct db_stmt *s;

	return exists(
		db_first(db, "SELECT 1 FROM publication WHERE repository_version_id = $1 AND checkpoint = 1 LIMIT 1",
			&s, err, DB_I64(version_id)),
		&s);
}

/* The next complete version between the numbers `after` and `before`, neither included. 1, 0 or negative. */
static int next_old(
	struct txn *t, int64_t repository_id, int64_t after, int64_t before, struct version_row *out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(txn_db(t),
		VERSION_SELECT
		"WHERE repository_id = $1 AND number > $2 AND number < $3 AND complete = 1 ORDER BY number LIMIT 1",
		&s, err, DB_I64(repository_id), DB_I64(after), DB_I64(before));

	if (rc <= 0)
		return rc;
	rc = read_version(s, rc, out, err);
	return rc < 0 ? rc : 1;
}

/* The oldest number that is kept. 1, 0 (all are kept) or negative. */
static int oldest_kept(struct catalog *c, int64_t repository_id, int64_t *number, struct err *err)
{
	int64_t keep = 0;
	struct db_stmt *s;
	struct txn *t;
	int rc = catalog_read(c, &t, err);

	if (rc < 0)
		return rc;
	rc = db_first(
		txn_db(t), "SELECT retain_repo_versions FROM repository WHERE id = $1", &s, err, DB_I64(repository_id));
	if (rc == 1)
		keep = db_col_i64(s, 0);
	db_done(&s);
	if (rc == 1 && keep <= 0)
		rc = 0;
	if (rc == 1) {
		rc = db_first(txn_db(t),
			"SELECT number FROM repository_version WHERE repository_id = $1 AND complete = 1 ORDER BY "
			"number DESC "
			"LIMIT 1 OFFSET $2",
			&s, err, DB_I64(repository_id), DB_I64(keep - 1));
		if (rc == 1)
			*number = db_col_i64(s, 0);
		db_done(&s);
	}
	txn_end(&t);
	return rc;
}

static int retain_one(struct catalog *c, int64_t repository_id, int64_t *after, int64_t before, struct err *err)
{
	struct version_row v;
	struct txn *t;
	int keep, rc = catalog_write(c, &t, err);

	if (rc < 0)
		return rc;
	rc = next_old(t, repository_id, *after, before, &v, err);
	if (rc <= 0)
		goto out;
	*after = v.number;
	keep = is_served(txn_db(t), &v, err);
	if (keep == 0)
		keep = has_checkpoint(txn_db(t), v.id, err);
	if (keep == 0)
		keep = is_in_window(txn_db(t), v.id, catalog_window_began_us(c), err);
	rc = keep < 0 ? keep : 1;
	if (keep == 0) {
		rc = delete_version(t, &v, err);
		if (rc == 0)
			rc = txn_commit(&t, err);
		if (rc == 0)
			rc = 1;
	}
out:
	txn_end(&t);
	return rc;
}

void version_retain(struct catalog *c, int64_t repository_id)
{
	struct err err = ERR_INIT;
	int64_t before, after = -1;
	int rc = oldest_kept(c, repository_id, &before, &err);

	if (rc == 1) {
		do
			rc = retain_one(c, repository_id, &after, before, &err);
		while (rc == 1);
	}
	if (rc < 0)
		log_warn("catalog", "ignoring that old versions of repository %lld are not deleted now: %s",
			(long long)repository_id, err.msg);
}

int catalog_version_units_each(struct txn *t, int64_t repository_id, int64_t number, const char *type,
	int (*fn)(void *arg, struct slice natural_key, struct slice extra), void *arg, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(txn_db(t),
		"SELECT c.natural_key, c.extra FROM repository_content rc JOIN content c ON c.id = rc.content_id "
		"WHERE rc.repository_id = $1 AND rc.version_added <= $2 AND (rc.version_removed IS NULL OR "
		"rc.version_removed > $2) AND c.type = $3 ORDER BY rc.content_id",
		&s, err, DB_I64(repository_id), DB_I64(number), DB_STR(type));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		rc = fn(arg, db_col_text(s, 0), db_col_text(s, 1));
		if (rc != 0)
			break;
	}
	db_done(&s);
	return rc;
}
