/* The queue behind each resource: table task_lock, whose key (resource, exclusive, task) makes "is there an earlier
 * one" a seek. */
#include "catalog/task_lock.h"

#include "base/check.h"
#include "catalog/db.h"

#include <stdio.h>
#include <string.h>

static int add_one(struct db *db, int64_t task_id, int ord, const char *resource, bool exclusive, struct err *err)
{
	int rc = db_do(db, "INSERT INTO task_resource (task_id, ord, resource, exclusive) VALUES ($1, $2, $3, $4)", err,
		DB_I64(task_id), DB_I64(ord), DB_STR(resource), DB_I64(exclusive));

	if (rc < 0)
		return rc;
	return db_do(db,
		"INSERT INTO task_lock (resource, exclusive, task_id) VALUES ($1, $2, $3) "
		"ON CONFLICT (resource, exclusive, task_id) DO NOTHING",
		err, DB_STR(resource), DB_I64(exclusive), DB_I64(task_id));
}

int task_lock_add(
	struct db *db, int64_t task_id, const char *const *exclusive, const char *const *shared, struct err *err)
{
	int ord = 0, rc = 0;

	for (; exclusive != NULL && *exclusive != NULL && rc == 0; exclusive++)
		rc = add_one(db, task_id, ord++, *exclusive, true, err);
	for (; shared != NULL && *shared != NULL && rc == 0; shared++)
		rc = add_one(db, task_id, ord++, *shared, false, err);
	return rc;
}

/* 1 when an earlier task wants the resource in that way. */
static int earlier(struct db *db, struct slice resource, bool exclusive, int64_t task_id, struct err *err)
{
	struct db_stmt *s;
	int rc = db_first(db, "SELECT 1 FROM task_lock WHERE resource = $1 AND exclusive = $2 AND task_id < $3 LIMIT 1",
		&s, err, DB_TEXT(resource), DB_I64(exclusive), DB_I64(task_id));

	db_done(&s);
	return rc;
}

int task_lock_is_free(struct db *db, int64_t task_id, struct err *err)
{
	struct db_stmt *s;
	int rc = db_rows(db, "SELECT resource, exclusive FROM task_lock WHERE task_id = $1", &s, err, DB_I64(task_id));
	int blocked = 0;

	if (rc < 0)
		return rc;
	while (blocked == 0 && (rc = db_step(s, err)) == 1) {
		blocked = earlier(db, db_col_text(s, 0), true, task_id, err);
		if (blocked == 0 && db_col_i64(s, 1) != 0)
			blocked = earlier(db, db_col_text(s, 0), false, task_id, err);
	}
	db_done(&s);
	return rc < 0 ? rc : blocked < 0 ? blocked : blocked == 0;
}

static int unblock(struct db *db, int64_t task_id, int64_t now_us, struct err *err)
{
	int rc = task_lock_is_free(db, task_id, err);

	if (rc <= 0)
		return rc;
	return db_do(db,
		"UPDATE task SET unblocked_at = $1, updated = $1 WHERE id = $2 AND state = 'waiting' AND unblocked_at "
		"IS NULL",
		err, DB_I64(now_us), DB_I64(task_id));
}

/* Who may have waited for `task_id` to give this resource back: the first exclusive one; and if it was held
 * exclusively, the shared ones before that. Everybody behind waits for these. */
static int unblock_next(
	struct db *db, struct slice resource, bool was_exclusive, int64_t task_id, int64_t now_us, struct err *err)
{
	int64_t next = INT64_MAX;
	struct db_stmt *s;
	int rc = db_first(db,
		"SELECT task_id FROM task_lock WHERE resource = $1 AND exclusive = 1 ORDER BY task_id LIMIT 1", &s, err,
		DB_TEXT(resource));

	if (rc == 1)
		next = db_col_i64(s, 0);
	db_done(&s);
	if (rc == 1)
		rc = unblock(db, next, now_us, err);
	if (rc < 0 || !was_exclusive)
		return rc;
	rc = db_rows(db,
		"SELECT task_id FROM task_lock WHERE resource = $1 AND exclusive = 0 AND task_id > $2 AND task_id < $3 "
		"ORDER BY task_id",
		&s, err, DB_TEXT(resource), DB_I64(task_id), DB_I64(next));
	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = db_step(s, err)) == 1)
		rc = unblock(db, db_col_i64(s, 0), now_us, err);
	db_done(&s);
	return rc;
}

int task_lock_release(struct db *db, int64_t task_id, int64_t now_us, struct err *err)
{
	struct db_stmt *s;
	int rc = db_do(db, "DELETE FROM task_lock WHERE task_id = $1", err, DB_I64(task_id));

	/* The record has the same resources and stays. */
	if (rc == 0)
		rc = db_rows(db, "SELECT resource, exclusive FROM task_resource WHERE task_id = $1 ORDER BY ord", &s,
			err, DB_I64(task_id));
	if (rc < 0)
		return rc;
	while (rc >= 0 && (rc = db_step(s, err)) == 1)
		rc = unblock_next(db, db_col_text(s, 0), db_col_i64(s, 1) != 0, task_id, now_us, err);
	db_done(&s);
	return rc;
}

int task_lock_is_running(struct db *db, const struct uuid *object, bool exclusive, struct err *err)
{
	char uuid[UUID_STR], pattern[UUID_STR + 2];
	struct db_stmt *s;
	int rc;

	snprintf(pattern, sizeof(pattern), "%%:%s", uuid_str(object, uuid));
	rc = db_first(db,
		"SELECT 1 FROM task_lock l JOIN task t ON t.id = l.task_id WHERE l.exclusive >= $1 AND l.resource LIKE "
		"$2 "
		"AND t.state IN ('running', 'canceling') LIMIT 1",
		&s, err, DB_I64(exclusive), DB_STR(pattern));
	db_done(&s);
	return rc;
}
