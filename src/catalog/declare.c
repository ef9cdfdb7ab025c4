/* Declaring units: what upstream has becomes rows, and what is there already costs one look-up and is left alone. */
#include "catalog/change_priv.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

#define UNITS_MAX 1000

/* What the catalog knew of an artifact before. */
struct artifact_state {
	bool known, has_remote_artifact, same_remote_artifact, pinned;
};

static int check_unit(const struct change_unit *u, struct err *err)
{
	for (size_t i = 0; i < u->artifact_count; i++) {
		struct slice path = u->artifacts[i].relative_path;

		if (check_path(path, err) < 0)
			return -ERR_INVAL;
		for (size_t j = 0; j < i; j++) {
			if (slice_eq(path, u->artifacts[j].relative_path))
				return err_set(err, -ERR_EXISTS, "[PLP0022] one unit has the path '%.*s' twice",
					SLICE_ARG(path));
		}
	}
	return 0;
}

static int reserve_states(struct change *ch, size_t count, struct err *err)
{
	if (count > ch->state_cap) {
		struct artifact_state *more = realloc(ch->states, count * sizeof(*more));

		if (more == NULL)
			return err_set(err, -ERR_NOMEM, "no memory for a unit of %zu artifacts", count);
		ch->states = more;
		ch->state_cap = count;
	}
	for (size_t i = 0; i < count; i++)
		ch->states[i] = (struct artifact_state){.known = false};
	return 0;
}

/* --- what is known --- */

#define CA_ID 2
#define RA_ID 5
#define PINNED (RA_ID + 3 + DIGEST_COUNT)
#define RA_DROPPED (PINNED + 1)

static bool same_remote_artifact(struct db_stmt *s, const struct change_artifact *a)
{
	if (!slice_eq(db_col_text(s, RA_ID + 1), a->url) || col_size(s, RA_ID + 2) != MAX(a->size, -1))
		return false;
	for (int alg = 0; alg < DIGEST_COUNT; alg++) {
		struct slice stored = db_col_blob(s, RA_ID + 3 + alg), declared = SLICE_NULL;

		if (a->digests.have & 1u << alg)
			declared = slice_of((const char *)a->digests.d[alg], (size_t)digest_len(alg));
		if (!slice_eq(stored, declared))
			return false;
	}
	return true;
}

/* A row (content, membership, content artifact, remote artifact) of a unit. *partial: not among the declared ones. */
static void read_known(struct change *ch, struct db_stmt *s, struct change_unit *u, bool *partial)
{
	struct slice path = db_col_text(s, CA_ID + 1);

	for (size_t i = 0; i < u->artifact_count; i++) {
		struct change_artifact *a = &u->artifacts[i];
		struct artifact_state *st = &ch->states[i];

		if (!slice_eq(path, a->relative_path))
			continue;
		st->known = true;
		a->content_artifact_id = db_col_i64(s, CA_ID);
		a->saved = !db_col_null(s, CA_ID + 2);
		st->pinned = db_col_i64(s, PINNED) != 0;
		st->has_remote_artifact = !db_col_null(s, RA_ID);
		a->remote_artifact_id = db_col_i64(s, RA_ID);
		st->same_remote_artifact =
			st->has_remote_artifact && db_col_null(s, RA_DROPPED) && same_remote_artifact(s, a);
		*partial |= st->has_remote_artifact && db_col_null(s, RA_DROPPED) && a->url.n == 0;
		return;
	}
	*partial |= !db_col_null(s, RA_ID) && db_col_null(s, RA_DROPPED);
}

static int look_up(
	struct db *db, struct change *ch, struct change_unit *u, enum membership *was, bool *partial, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT c.id, CASE WHEN rc.content_id IS NULL THEN 0 WHEN rc.version_removed IS NULL THEN 1 ELSE 2 "
		"END, "
		"ca.id, ca.relative_path, ca.artifact_id, ra.id, ra.url, ra.size, " DIGEST_COLUMNS(
			"ra.") ", ca.pinned, ra.dropped_at FROM content c "
			       "LEFT JOIN repository_content rc ON rc.repository_id = $3 AND rc.content_id = c.id "
			       "AND (rc.version_removed IS NULL OR rc.version_removed = $4) "
			       "LEFT JOIN content_artifact ca ON ca.content_id = c.id "
			       "LEFT JOIN remote_artifact ra ON ra.content_artifact_id = ca.id AND ra.remote_id = $5 "
			       "WHERE c.type = $1 AND c.natural_key = $2",
		&s, err, DB_TEXT(u->type), DB_TEXT(u->natural_key), DB_I64(ch->opts.repository_id), DB_I64(ch->number),
		DB_I64(ch->opts.remote_id));

	if (rc < 0)
		return rc;
	u->content_id = 0;
	u->is_new = true;
	for (size_t i = 0; i < u->artifact_count; i++) {
		u->artifacts[i].content_artifact_id = 0;
		u->artifacts[i].remote_artifact_id = 0;
		u->artifacts[i].saved = false;
	}
	while ((rc = db_step(s, err)) == 1) {
		u->content_id = db_col_i64(s, 0);
		u->is_new = false;
		*was = db_col_i64(s, 1) == 0 ? MEMBER_ABSENT : db_col_i64(s, 1) == 1 ? MEMBER_PRESENT : MEMBER_REMOVED;
		if (!db_col_null(s, CA_ID))
			read_known(ch, s, u, partial);
	}
	db_done(&s);
	return rc;
}

/* --- what is new --- */

static int insert_content(struct db *db, struct change_unit *u, int64_t now, struct err *err)
{
	struct uuid uuid = uuid_v7();
	int rc = db_do(db,
		"INSERT INTO content (uuid, type, natural_key, created, updated, extra) VALUES ($1, $2, $3, $4, $4, "
		"$5)",
		err, DB_UUID(&uuid), DB_TEXT(u->type), DB_TEXT(u->natural_key), DB_I64(now),
		DB_TEXT(u->extra.n > 0 ? u->extra : SLICE("{}")));

	if (rc == 0)
		u->content_id = db_last_id(db);
	return rc;
}

static int set_content_artifact(struct db *db, struct change *ch, struct change_unit *u, struct change_artifact *a,
	const struct artifact_state *st, enum membership was, struct err *err)
{
	int rc = 0;

	if (st->known) {
		if (a->pinned && !st->pinned)
			rc = db_do(db, "UPDATE content_artifact SET pinned = 1 WHERE id = $1", err,
				DB_I64(a->content_artifact_id));
		if (rc < 0 || a->saved || a->artifact_id == 0)
			return rc;
		rc = db_do(db, "UPDATE content_artifact SET artifact_id = $1 WHERE id = $2", err,
			DB_I64(a->artifact_id), DB_I64(a->content_artifact_id));
	} else {
		rc = db_do(db,
			"INSERT INTO content_artifact (content_id, relative_path, artifact_id, pinned) VALUES ($1, $2, "
			"$3, $4)",
			err, DB_I64(u->content_id), DB_TEXT(a->relative_path), DB_ID_OR_NULL(a->artifact_id),
			DB_I64(a->pinned));
		a->content_artifact_id = db_last_id(db);
		if (rc == 0 && !u->is_new)
			rc = member_add_artifact(db, ch, u->content_id, a->content_artifact_id, a->relative_path,
				was == MEMBER_PRESENT, err);
	}
	a->saved = a->artifact_id != 0;
	return rc;
}

static int set_remote_artifact(struct db *db, const struct change *ch, struct change_artifact *a,
	const struct artifact_state *st, struct err *err)
{
	struct db_stmt *s;
	int rc;

	if (st->same_remote_artifact)
		return 0;
	if (st->has_remote_artifact)
		rc = db_query(db,
			"UPDATE remote_artifact SET url = $1, size = $2, md5 = $3, sha1 = $4, sha224 = $5, sha256 = "
			"$6, "
			"sha384 = $7, sha512 = $8, failed_at = NULL, missing_at = NULL, dropped_at = NULL "
			"WHERE content_artifact_id = $9 AND remote_id = $10",
			&s, err);
	else
		rc = db_query(db,
			"INSERT INTO remote_artifact (url, size, md5, sha1, sha224, sha256, sha384, sha512, "
			"content_artifact_id, remote_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
			&s, err);
	if (rc < 0)
		return rc;
	db_bind_text(s, 1, a->url);
	if (a->size >= 0)
		db_bind_i64(s, 2, a->size);
	bind_digests(s, 3, &a->digests);
	db_bind_i64(s, 9, a->content_artifact_id);
	db_bind_i64(s, 10, ch->opts.remote_id);
	rc = db_run(&s, err);
	if (rc == 0 && !st->has_remote_artifact)
		a->remote_artifact_id = db_last_id(db);
	return rc;
}

static int set_artifacts(struct db *db, struct change *ch, struct change_unit *u, enum membership was, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < u->artifact_count && rc == 0; i++) {
		struct change_artifact *a = &u->artifacts[i];

		rc = set_content_artifact(db, ch, u, a, &ch->states[i], was, err);
		if (rc < 0 || a->url.n == 0 || ch->opts.remote_id == 0)
			continue;
		rc = set_remote_artifact(db, ch, a, &ch->states[i], err);
		if (rc == 0)
			rc = change_mark(ch, &ch->artifacts, a->content_artifact_id, true, err);
	}
	return rc;
}

/* *last_created: of the newest content row; 0: not asked yet. */
static int declare_unit(struct txn *t, struct change *ch, struct change_unit *u, int64_t *last_created, struct err *err)
{
	struct db *db = txn_db(t);
	enum membership was = MEMBER_ABSENT;
	bool partial = false;
	int rc = check_unit(u, err);

	if (rc == 0)
		rc = reserve_states(ch, u->artifact_count, err);
	if (rc == 0)
		rc = look_up(db, ch, u, &was, &partial, err);
	if (rc == 0 && u->is_new) {
		if (*last_created == 0)
			rc = txn_created_us(
				t, "SELECT created FROM content ORDER BY id DESC LIMIT 1", last_created, err);
		else
			*last_created = MAX(*last_created + 1, clock_wall_unique_us());
		if (rc == 0)
			rc = insert_content(db, u, *last_created, err);
	}
	if (rc == 0 && u->detail.n > 0)
		rc = db_do(db,
			"INSERT INTO content_detail (content_id, data) VALUES ($1, $2) ON CONFLICT (content_id) DO "
			"NOTHING",
			err, DB_I64(u->content_id), DB_BLOB(u->detail.p, u->detail.n));
	if (rc == 0)
		rc = member_declare(ch, u->content_id, partial, u->is_new, err);
	if (rc == 0)
		rc = set_artifacts(db, ch, u, was, err);
	if (rc < 0 || was == MEMBER_PRESENT)
		return rc;
	if (u->supersedes && (rc = member_supersede(db, ch, u, err)) < 0)
		return rc;
	return u->is_new ? member_add_new(db, ch, u, err) : member_add(db, ch, u->content_id, was, err);
}

int change_declare(struct change *ch, struct change_unit *units, size_t count, struct err *err)
{
	int64_t last_created = 0;
	struct txn *t;
	int rc;

	BUG(count > UNITS_MAX);
	rc = catalog_write(ch->c, &t, err);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = declare_unit(t, ch, &units[i], &last_created, err);
	if (rc == 0)
		rc = txn_commit(&t, err);
	else
		txn_end(&t);
	change_marks_end(ch, rc == 0);
	if (rc < 0)
		buf_reset(&ch->clean_dir); /* what made it so was rolled back */
	return rc;
}
