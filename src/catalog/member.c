/* Which units a version in the making holds: rows of repository_content, and beside each the rows of repository_path
 * of its artifacts. The rules about paths are here: one path, one unit; and no unit's path is a directory of
 * another's. */
#include "catalog/change_priv.h"

#include "base/check.h"

int member_state(struct db *db, const struct change *ch, int64_t content_id, enum membership *out, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db,
		"SELECT version_removed FROM repository_content WHERE repository_id = $1 AND content_id = $2 "
		"AND (version_removed IS NULL OR version_removed = $3)",
		&s, err, DB_I64(ch->opts.repository_id), DB_I64(content_id), DB_I64(ch->number));

	if (rc < 0)
		return rc;
	*out = rc == 0 ? MEMBER_ABSENT : db_col_null(s, 0) ? MEMBER_PRESENT : MEMBER_REMOVED;
	db_done(&s);
	return 0;
}

int member_declare(struct change *ch, int64_t content_id, bool partial, bool made, struct err *err)
{
	int rc;

	if (idset_has(&ch->declared, content_id))
		return 0;
	rc = change_mark(ch, &ch->declared, content_id, true, err);
	if (rc == 0 && partial)
		rc = change_mark(ch, &ch->partial, content_id, true, err);
	if (rc == 0 && made)
		rc = change_mark(ch, &ch->made, content_id, true, err);
	return rc;
}

#define PATHS_OF_UNIT                                                                          \
	"repository_id = $1 AND relative_path IN (SELECT relative_path FROM content_artifact " \
	"WHERE content_id = $2) AND content_artifact_id IN (SELECT id FROM content_artifact WHERE content_id = $2) "

int member_remove(struct db *db, struct change *ch, int64_t content_id, struct err *err)
{
	int64_t repository_id = ch->opts.repository_id;
	int rc;

	if (idset_add(&ch->removed, content_id) < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a change");
	rc = db_do(db,
		"DELETE FROM repository_path WHERE " PATHS_OF_UNIT "AND version_added = $3 AND version_removed IS NULL",
		err, DB_I64(repository_id), DB_I64(content_id), DB_I64(ch->number));
	if (rc == 0)
		rc = db_do(db,
			"DELETE FROM repository_content WHERE repository_id = $1 AND content_id = $2 AND version_added "
			"= $3 "
			"AND version_removed IS NULL",
			err, DB_I64(repository_id), DB_I64(content_id), DB_I64(ch->number));
	if (rc < 0 || db_changes(db) > 0)
		return rc;
	rc = db_do(db,
		"UPDATE repository_path SET version_removed = $3 WHERE " PATHS_OF_UNIT "AND version_removed IS NULL",
		err, DB_I64(repository_id), DB_I64(content_id), DB_I64(ch->number));
	if (rc == 0)
		rc = db_do(db,
			"UPDATE repository_content SET version_removed = $3 WHERE repository_id = $1 AND content_id = "
			"$2 "
			"AND version_removed IS NULL",
			err, DB_I64(repository_id), DB_I64(content_id), DB_I64(ch->number));
	return rc;
}

int member_supersede(struct db *db, struct change *ch, const struct change_unit *u, struct err *err)
{
	ptrdiff_t line = slice_chr(u->natural_key, '\n');
	struct buf from = BUF_INIT(0), to = BUF_INIT(0);
	struct db_stmt *s;
	int rc, gone;

	if (line < 0)
		return 0;
	buf_add(&from, u->natural_key.p, (size_t)line);
	buf_adds(&from, "\n");
	buf_add(&to, u->natural_key.p, (size_t)line);
	buf_adds(&to, "\v"); /* the byte behind it */
	rc = from.failed < 0 || to.failed < 0 ? err_set(err, -ERR_NOMEM, "no memory for a key") : 1;
	while (rc == 1) {
		rc = db_first(db,
			"SELECT c.id FROM content c CROSS JOIN repository_content rc ON rc.content_id = c.id "
			"WHERE c.type = $1 AND c.natural_key > $2 AND c.natural_key < $3 AND c.id <> $4 "
			"AND rc.repository_id = $5 AND rc.version_removed IS NULL LIMIT 1",
			&s, err, DB_TEXT(u->type), DB_TEXT(buf_slice(&from)), DB_TEXT(buf_slice(&to)),
			DB_I64(u->content_id), DB_I64(ch->opts.repository_id));
		gone = rc == 1 ? member_remove(db, ch, db_col_i64(s, 0), err) : 0;
		db_done(&s);
		rc = gone < 0 ? gone : rc;
	}
	buf_fini(&from);
	buf_fini(&to);
	return rc;
}

/* --- paths --- */

/* The unit at `s` (content, path) is where another one wants to be: it goes, or the change fails. */
static int displace(struct db *db, struct change *ch, struct db_stmt *s, struct slice path, struct err *err)
{
	int64_t other = db_col_i64(s, 0);
	bool same = slice_eq(db_col_text(s, 1), path), declared = idset_has(&ch->declared, other);

	if (declared && same)
		return err_set(
			err, -ERR_EXISTS, "[PLP0022] two units of one version have the path '%.*s'", SLICE_ARG(path));
	if (same && ch->opts.keep_existing)
		return err_set(err, -ERR_EXISTS, "[PLP0023] another unit of the repository has the path '%.*s'",
			SLICE_ARG(path));
	if (declared || (!same && !ch->opts.mirror)) {
		struct slice p = db_col_text(s, 1);

		return err_set(err, -ERR_EXISTS,
			"[PLP0022] '%.*s' and '%.*s' cannot be in one version: one is a directory of the other",
			SLICE_ARG(p), SLICE_ARG(path));
	}
	return member_remove(db, ch, other, err);
}

/* Whoever has a directory of `path` as its path. */
static int clear_dir(struct db *db, struct change *ch, struct slice dir, struct slice path, struct err *err)
{
	struct db_stmt *s;
	int rc, gone;

	do {
		rc = db_first(db,
			"SELECT ca.content_id, rp.relative_path FROM repository_path rp "
			"JOIN content_artifact ca ON ca.id = rp.content_artifact_id WHERE rp.repository_id = $1 "
			"AND rp.relative_path = $2 AND rp.version_removed IS NULL LIMIT 1",
			&s, err, DB_I64(ch->opts.repository_id), DB_TEXT(dir));
		gone = rc == 1 ? displace(db, ch, s, path, err) : 0;
		db_done(&s);
		rc = gone < 0 ? gone : rc;
	} while (rc == 1);
	return rc;
}

/* Whoever has the same path, or lies below it as if it were a directory. */
static int clear_path(struct db *db, struct change *ch, int64_t content_id, struct slice path, struct err *err)
{
	struct db_stmt *s;
	int rc, gone;

	buf_reset(&ch->below_from);
	buf_reset(&ch->below_to);
	buf_add_slice(&ch->below_from, path);
	buf_adds(&ch->below_from, "/");
	buf_add_slice(&ch->below_to, path);
	buf_adds(&ch->below_to, "0"); /* the byte behind '/' */
	if (ch->below_from.failed < 0 || ch->below_to.failed < 0)
		return err_set(err, -ERR_NOMEM, "no memory for a path");
	do {
		rc = db_first(db,
			"SELECT ca.content_id, rp.relative_path FROM repository_path rp "
			"JOIN content_artifact ca ON ca.id = rp.content_artifact_id WHERE rp.repository_id = $1 "
			"AND rp.relative_path = $2 AND rp.version_removed IS NULL AND ca.content_id <> $3 "
			"UNION ALL SELECT ca.content_id, rp.relative_path FROM repository_path rp "
			"JOIN content_artifact ca ON ca.id = rp.content_artifact_id WHERE rp.repository_id = $1 "
			"AND rp.relative_path >= $4 AND rp.relative_path < $5 AND rp.version_removed IS NULL LIMIT 1",
			&s, err, DB_I64(ch->opts.repository_id), DB_TEXT(path), DB_I64(content_id),
			DB_TEXT(buf_slice(&ch->below_from)), DB_TEXT(buf_slice(&ch->below_to)));
		gone = rc == 1 ? displace(db, ch, s, path, err) : 0;
		db_done(&s);
		rc = gone < 0 ? gone : rc;
	} while (rc == 1);
	return rc;
}

/* Is `dir` the clean directory or above it? */
static bool known_clean(const struct change *ch, struct slice dir)
{
	struct slice clean = buf_slice(&ch->clean_dir);

	return clean.n > 0 && slice_starts(clean, dir) && (clean.n == dir.n || clean.p[dir.n] == '/');
}

static int clear_above(struct db *db, struct change *ch, struct slice path, struct err *err)
{
	struct slice dir = path;
	ptrdiff_t slash;
	int rc = 0;

	while (rc == 0 && (slash = slice_rchr(dir, '/')) > 0) {
		dir.n = (size_t)slash;
		if (known_clean(ch, dir))
			break;
		rc = clear_dir(db, ch, dir, path, err);
	}
	slash = slice_rchr(path, '/');
	if (rc == 0 && slash > 0) {
		buf_reset(&ch->clean_dir);
		buf_add(&ch->clean_dir, path.p, (size_t)slash);
		if (ch->clean_dir.failed < 0) /* it only saves look-ups */
			buf_fini(&ch->clean_dir);
	}
	return rc;
}

static int make_room(struct db *db, struct change *ch, int64_t content_id, struct slice path, struct err *err)
{
	int rc = clear_path(db, ch, content_id, path, err);

	if (rc == 0)
		rc = clear_above(db, ch, path, err);
	if (known_clean(ch, path)) /* no longer */
		buf_reset(&ch->clean_dir);
	return rc;
}

static int add_path(
	struct db *db, const struct change *ch, int64_t ca_id, struct slice path, enum membership was, struct err *err)
{
	if (was == MEMBER_REMOVED)
		return db_do(db,
			"UPDATE repository_path SET version_removed = NULL WHERE repository_id = $1 AND relative_path "
			"= $2 "
			"AND content_artifact_id = $3 AND version_removed = $4",
			err, DB_I64(ch->opts.repository_id), DB_TEXT(path), DB_I64(ca_id), DB_I64(ch->number));
	return db_do(db,
		"INSERT INTO repository_path (repository_id, relative_path, version_added, content_artifact_id, "
		"added_at) "
		"VALUES ($1, $2, $3, $4, $5)",
		err, DB_I64(ch->opts.repository_id), DB_TEXT(path), DB_I64(ch->number), DB_I64(ca_id),
		DB_I64(ch->created_us));
}

static int member_insert(struct db *db, const struct change *ch, int64_t content_id, struct err *err)
{
	return db_do(db,
		"INSERT INTO repository_content (repository_id, content_id, version_added) VALUES ($1, $2, $3)", err,
		DB_I64(ch->opts.repository_id), DB_I64(content_id), DB_I64(ch->number));
}

/* For a unit whose artifacts the caller does not know. */
static int add_paths(struct db *db, struct change *ch, int64_t content_id, enum membership was, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT id, relative_path FROM content_artifact WHERE content_id = $1 ORDER BY relative_path", &s, err,
		DB_I64(content_id));

	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		rc = make_room(db, ch, content_id, db_col_text(s, 1), err);
		if (rc == 0)
			rc = add_path(db, ch, db_col_i64(s, 0), db_col_text(s, 1), was, err);
	}
	db_done(&s);
	return rc;
}

int member_add(struct db *db, struct change *ch, int64_t content_id, enum membership was, struct err *err)
{
	int rc;

	BUG(was == MEMBER_PRESENT);
	if (was == MEMBER_ABSENT)
		rc = member_insert(db, ch, content_id, err);
	else
		rc = db_do(db,
			"UPDATE repository_content SET version_removed = NULL WHERE repository_id = $1 AND content_id "
			"= $2 "
			"AND version_removed = $3",
			err, DB_I64(ch->opts.repository_id), DB_I64(content_id), DB_I64(ch->number));
	return rc < 0 ? rc : add_paths(db, ch, content_id, was, err);
}

int member_add_new(struct db *db, struct change *ch, const struct change_unit *u, struct err *err)
{
	int rc = member_insert(db, ch, u->content_id, err);

	for (size_t i = 0; i < u->artifact_count && rc == 0; i++) {
		const struct change_artifact *a = &u->artifacts[i];

		rc = make_room(db, ch, u->content_id, a->relative_path, err);
		if (rc == 0)
			rc = add_path(db, ch, a->content_artifact_id, a->relative_path, MEMBER_ABSENT, err);
	}
	return rc;
}

int member_add_artifact(struct db *db, struct change *ch, int64_t content_id, int64_t ca_id, struct slice path,
	bool present, struct err *err)
{
	int rc = present ? make_room(db, ch, content_id, path, err) : 0;

	if (rc < 0)
		return rc;
	return db_do(db,
		"INSERT INTO repository_path (repository_id, relative_path, version_added, version_removed, "
		"content_artifact_id, "
		"added_at) SELECT repository_id, $1, version_added, version_removed, $2, $3 FROM repository_content "
		"WHERE content_id = $4",
		err, DB_TEXT(path), DB_I64(ca_id), DB_I64(ch->created_us), DB_I64(content_id));
}

/* --- undoing --- */

#define PATHS_OF_ROWS(which)                                                                                \
	"(repository_id, relative_path, version_added, content_artifact_id) IN (SELECT rc.repository_id, "  \
	"ca.relative_path, rc.version_added, ca.id FROM repository_content rc JOIN content_artifact ca ON " \
	"ca.content_id = rc.content_id "                                                                    \
	"WHERE (rc.repository_id, rc.content_id, rc.version_added) IN (" which "))"
#define ADDED_ROWS                                                                                          \
	"SELECT repository_id, content_id, version_added FROM repository_content WHERE repository_id = $1 " \
	"AND version_added = $2 ORDER BY content_id LIMIT $3"
#define REMOVED_ROWS                                                                                        \
	"SELECT repository_id, content_id, version_added FROM repository_content WHERE repository_id = $1 " \
	"AND version_removed = $2 ORDER BY content_id LIMIT $3"

int version_undo(struct db *db, int64_t repository_id, int64_t number, int64_t max, struct err *err)
{
	int64_t undone = 0;
	int rc;

	rc = db_do(db, "DELETE FROM repository_path WHERE " PATHS_OF_ROWS(ADDED_ROWS), err, DB_I64(repository_id),
		DB_I64(number), DB_I64(max));
	if (rc == 0)
		rc = db_do(db,
			"DELETE FROM repository_content WHERE (repository_id, content_id, version_added) IN "
			"(" ADDED_ROWS ")",
			err, DB_I64(repository_id), DB_I64(number), DB_I64(max));
	undone = db_changes(db);
	if (rc == 0 && undone == 0) {
		rc = db_do(db, "UPDATE repository_path SET version_removed = NULL WHERE " PATHS_OF_ROWS(REMOVED_ROWS),
			err, DB_I64(repository_id), DB_I64(number), DB_I64(max));
		if (rc == 0)
			rc = db_do(db,
				"UPDATE repository_content SET version_removed = NULL "
				"WHERE (repository_id, content_id, version_added) IN (" REMOVED_ROWS ")",
				err, DB_I64(repository_id), DB_I64(number), DB_I64(max));
		undone = db_changes(db);
	}
	if (rc < 0 || undone > 0)
		return rc;
	rc = db_do(db, "DELETE FROM repository_version WHERE repository_id = $1 AND number = $2 AND complete = 0", err,
		DB_I64(repository_id), DB_I64(number));
	return rc < 0 ? rc : 1;
}
