/* See guard.h. No state of its own. */
#include "catalog/guard.h"

#include "base/check.h"
#include "base/clock.h"
#include "catalog/catalog_priv.h"

#include <stdlib.h>

static int no_memory(struct err *err)
{
	return err_set(err, -ERR_NOMEM, "no memory for the content guards");
}

void guard_rows_free(struct guard_row **prows, size_t count)
{
	struct guard_row *rows = TAKE(*prows);

	for (size_t i = 0; rows != NULL && i < count; i++) {
		struct guard_row *g = &rows[i];

		free(g->type);
		free(g->name);
		free(g->header_name);
		free(g->header_value);
		free(g->jq_filter);
		free(g->ca_certificate);
		free(g->crl);
		free(g->guards);
		free(g->users);
	}
	free(rows);
}

/* One more place at the end of an array that has `count`; it doubles when that is a power of two. */
static void *grown(void *array, size_t count, size_t size)
{
	if (count != 0 && (count & (count - 1)) != 0)
		return array;
	return realloc(array, (count == 0 ? 1 : 2 * count) * size);
}

static int read_users(struct db *db, struct guard_row *g, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(db,
		"SELECT user_id FROM content_guard_user WHERE guard_id = $1 UNION SELECT m.user_id FROM "
		"user_group_member m "
		"JOIN content_guard_group g ON g.group_id = m.group_id WHERE g.guard_id = $1 ORDER BY 1",
		&s, err, DB_I64(g->id));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		int64_t *more = grown(g->users, g->user_count, sizeof(*more));

		if (more == NULL) {
			rc = no_memory(err);
			break;
		}
		g->users = more;
		g->users[g->user_count++] = db_col_i64(s, 0);
	}
	db_done(&s);
	return rc;
}

static int read_guard(struct db_stmt *s, struct guard_row *g, struct err *err)
{
	bool failed = false;

	*g = (struct guard_row){.id = db_col_i64(s, 0), .updated_us = db_col_i64(s, 4)};
	col_uuid(s, 1, &g->uuid);
	g->type = col_dup(s, 2, &failed);
	g->name = col_dup(s, 3, &failed);
	g->header_name = col_dup(s, 5, &failed);
	g->header_value = col_dup(s, 6, &failed);
	g->jq_filter = col_dup(s, 7, &failed);
	g->ca_certificate = col_dup(s, 8, &failed);
	g->crl = col_dup(s, 9, &failed);
	g->guards = col_dup(s, 10, &failed);
	return failed ? no_memory(err) : 0;
}

int catalog_guards(struct txn *t, struct guard_row **out, size_t *count, struct err *err)
{
	struct guard_row *rows = NULL;
	struct db_stmt *s = NULL;
	size_t n = 0;
	int rc = db_rows(txn_db(t),
		"SELECT id, uuid, type, name, updated, header_name, header_value, jq_filter, ca_certificate, crl, "
		"guards "
		"FROM content_guard ORDER BY id",
		&s, err);

	while (rc >= 0 && (rc = db_step(s, err)) == 1) {
		struct guard_row *more = grown(rows, n, sizeof(*more));

		if (more == NULL) {
			rc = no_memory(err);
			break;
		}
		rows = more;
		rc = read_guard(s, &rows[n++], err);
		if (rc == 0)
			rc = read_users(txn_db(t), &rows[n - 1], err);
	}
	db_done(&s);
	if (rc < 0) {
		guard_rows_free(&rows, n);
		return rc;
	}
	*out = rows;
	*count = n;
	return 0;
}

/* ---- whom a guard lets pass ---- */

static int id_of(struct db *db, const char *sql, const char *what, struct slice name, int64_t *id, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db, sql, &s, err, DB_TEXT(name));

	if (rc == 1)
		*id = db_col_i64(s, 0);
	db_done(&s);
	if (rc == 0)
		return err_set(err, -ERR_NOTFOUND, "there is no %s '%.*s'", what, SLICE_ARG(name));
	return rc < 0 ? rc : 0;
}

static int user_find(struct db *db, struct slice username, int64_t *id, struct err *err)
{
	return id_of(db, "SELECT id FROM users WHERE username = $1", "user", username, id, err);
}

static int group_find(struct db *db, struct slice name, int64_t *id, struct err *err)
{
	return id_of(db, "SELECT id FROM user_group WHERE name = $1", "group", name, id, err);
}

/* Who looks at the guard sees that it is another now. */
static int touch(struct txn *t, int64_t guard_id, struct err *err)
{
	int64_t changes;
	int rc = db_do(txn_db(t), "UPDATE content_guard SET updated = $1 WHERE id = $2", err,
		DB_I64(clock_wall_unique_us()), DB_I64(guard_id));

	if (rc < 0)
		return rc;
	changes = db_changes(txn_db(t));
	txn_changes_service(t);
	return expect_row(changes, "content guard", err);
}

int catalog_guard_grant(struct txn *t, int64_t guard_id, struct slice username, struct err *err)
{
	int64_t user = 0;
	int rc;

	if ((rc = user_find(txn_db(t), username, &user, err)) < 0 || (rc = touch(t, guard_id, err)) < 0)
		return rc;
	return db_do(txn_db(t),
		"INSERT INTO content_guard_user (guard_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", err,
		DB_I64(guard_id), DB_I64(user));
}

int catalog_guard_revoke(struct txn *t, int64_t guard_id, struct slice username, struct err *err)
{
	int64_t user = 0;
	int rc;

	if ((rc = user_find(txn_db(t), username, &user, err)) < 0 || (rc = touch(t, guard_id, err)) < 0)
		return rc;
	return db_do(txn_db(t), "DELETE FROM content_guard_user WHERE guard_id = $1 AND user_id = $2", err,
		DB_I64(guard_id), DB_I64(user));
}

int catalog_guard_grant_group(struct txn *t, int64_t guard_id, struct slice name, struct err *err)
{
	int64_t group = 0;
	int rc;

	if ((rc = group_find(txn_db(t), name, &group, err)) < 0 || (rc = touch(t, guard_id, err)) < 0)
		return rc;
	return db_do(txn_db(t),
		"INSERT INTO content_guard_group (guard_id, group_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", err,
		DB_I64(guard_id), DB_I64(group));
}

int catalog_guard_revoke_group(struct txn *t, int64_t guard_id, struct slice name, struct err *err)
{
	int64_t group = 0;
	int rc;

	if ((rc = group_find(txn_db(t), name, &group, err)) < 0 || (rc = touch(t, guard_id, err)) < 0)
		return rc;
	return db_do(txn_db(t), "DELETE FROM content_guard_group WHERE guard_id = $1 AND group_id = $2", err,
		DB_I64(guard_id), DB_I64(group));
}

int catalog_guards_touch(struct txn *t, struct err *err)
{
	txn_changes_service(t);
	return db_do(txn_db(t), "UPDATE content_guard SET updated = $1 WHERE type = 'core.rbac'", err,
		DB_I64(clock_wall_unique_us()));
}

void guard_users_free(char ***pnames, size_t count)
{
	char **names = TAKE(*pnames);

	for (size_t i = 0; names != NULL && i < count; i++)
		free(names[i]);
	free(names);
}

static int names_of(struct txn *t, const char *sql, int64_t guard_id, char ***out, size_t *count, struct err *err)
{
	char **names = NULL, **more;
	bool failed = false;
	struct db_stmt *s;
	size_t n = 0;
	int rc = db_rows(txn_db(t), sql, &s, err, DB_I64(guard_id));

	if (rc < 0)
		return rc;
	while ((rc = db_step(s, err)) == 1) {
		if ((more = grown(names, n, sizeof(*more))) == NULL) {
			rc = no_memory(err);
			break;
		}
		names = more;
		names[n++] = col_dup(s, 0, &failed);
		if (failed) {
			rc = no_memory(err);
			break;
		}
	}
	db_done(&s);
	if (rc < 0) {
		guard_users_free(&names, n);
		return rc;
	}
	*out = names;
	*count = n;
	return 0;
}

int catalog_guard_users(struct txn *t, int64_t guard_id, char ***out, size_t *count, struct err *err)
{
	return names_of(t,
		"SELECT u.username FROM content_guard_user g JOIN users u ON u.id = g.user_id WHERE g.guard_id = $1 "
		"ORDER BY u.username",
		guard_id, out, count, err);
}

int catalog_guard_groups(struct txn *t, int64_t guard_id, char ***out, size_t *count, struct err *err)
{
	return names_of(t,
		"SELECT u.name FROM content_guard_group g JOIN user_group u ON u.id = g.group_id WHERE g.guard_id = $1 "
		"ORDER BY u.name",
		guard_id, out, count, err);
}
